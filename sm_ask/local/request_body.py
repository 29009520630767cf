"""The body of an HTTP request, whose length is known or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message
    from io import BufferedIOBase

_READ_SIZE = 65_536
_LONGEST_LINE = 4_096


class TooLargeError(Exception):
    """The body is over the limit; it was read to its end all the same, so that an answer can be given."""


class MalformedError(Exception):
    """The headers or the chunks of the body do not say where it ends."""


def read_body(headers: Message, stream: BufferedIOBase, *, limit: int) -> bytes:
    """Read the whole body; ConnectionError where the client goes away within it."""
    encoding = headers.get("Transfer-Encoding", "").strip().lower()
    if encoding not in {"", "chunked"}:
        raise MalformedError(f"transfer encoding {encoding}")
    pieces = _chunks(stream) if encoding else _pieces(stream, _number(headers.get("Content-Length", "0"), 10))
    body = bytearray()
    size = 0
    for piece in pieces:
        size += len(piece)
        if size <= limit:
            body += piece
    if size > limit:
        raise TooLargeError
    return bytes(body)


def _chunks(stream: BufferedIOBase) -> Iterator[bytes]:
    while size := _number(_line(stream).partition(";")[0], 16):
        yield from _pieces(stream, size)
        if _line(stream):
            raise MalformedError("a chunk is longer than it says")
    while _line(stream):
        pass


def _pieces(stream: BufferedIOBase, size: int) -> Iterator[bytes]:
    while size:
        piece = stream.read(min(size, _READ_SIZE))
        if not piece:
            raise ConnectionError("the client went away within its request")
        size -= len(piece)
        yield piece


def _line(stream: BufferedIOBase) -> str:
    line = stream.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise ConnectionError("the client went away within its request")
    return line.decode("latin-1").rstrip("\r\n")


def _number(text: str, base: int) -> int:
    try:
        number = int(text, base)
    except ValueError as error:
        raise MalformedError(f"a length of {text!r}") from error
    if number < 0:
        raise MalformedError(f"a length of {text!r}")
    return number
