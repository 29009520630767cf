"""Bytes as they arrive → lines → records, the same for every possible cut of the bytes; no I/O.

Containers frame their records as server-sent events, as JSON lines, or send one JSON document (pretty-printed or not);
which of them it is shows in the first line, so no caller has to know.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sm_ask.errors import IncompleteError, UnusableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _Done:
    """The type of ``DONE``."""


#: What ``records`` yields for the end mark ``[DONE]``.
DONE: Final = _Done()

_IGNORED_FIELDS = (b":", b"event:", b"id:", b"retry:")
_EXCERPT = 200
_SPACE = re.compile(r"\s+")


def lines(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each line without its end, and whether it had one; only LF ends a line, as U+2028 may stand in JSON."""
    held: list[bytes] = []
    for chunk in chunks:
        head, newline, rest = chunk.partition(b"\n")
        held.append(head)
        if not newline:
            continue
        yield b"".join(held).removesuffix(b"\r"), True
        *whole, last = rest.split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r"), True
        held = [last]
    if tail := b"".join(held):
        yield tail.removesuffix(b"\r"), False


def records(chunks: Iterable[bytes]) -> Iterator[Any]:
    """Yield the JSON values of a response, and ``DONE`` for its end mark.

    Raises IncompleteError where the bytes end within a record, UnusableError where they are no JSON.
    """
    source = lines(chunks)
    for line, ended in source:
        if not line.strip() or line.startswith(_IGNORED_FIELDS):
            continue
        if line.startswith(b"data:"):
            yield _event(line[5:].strip(), ended=ended)
            continue
        value = _whole_line(line)
        if value is None:
            yield from _document([line, *(rest for rest, _ in source)])
            return
        yield value[0]


def _event(data: bytes, *, ended: bool) -> Any:  # noqa: ANN401 - JSON
    if data == b"[DONE]":
        return DONE
    try:
        return _parse(data)
    except ValueError as error:
        if not ended:
            raise IncompleteError("the stream ends within a record") from error
        raise UnusableError(f"the stream holds a record that is not JSON: {excerpt(data)}") from error


def _whole_line(line: bytes) -> tuple[Any] | None:
    """Parse a line that is a record of its own; None where a JSON document only begins with it."""
    try:
        return (_parse(line),)
    except ValueError:
        return None


def _document(pieces: list[bytes]) -> Iterator[Any]:
    """Yield the JSON values that stand one after the other in a body that is no list of lines."""
    body = b"\n".join(pieces)
    try:
        text = body.decode("utf-8-sig")
        at = 0
        while at < len(text):
            value, at = _DECODER.raw_decode(text, at)
            yield value
            at = _skip_space(text, at)
    except json.JSONDecodeError as error:
        if body.lstrip().startswith((b"{", b"[")) and _ends_early(error):
            raise IncompleteError("the response ends within its JSON") from error
        raise UnusableError(f"the response is not JSON: {excerpt(body)}") from error
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"the response is not JSON: {excerpt(body)}") from error


def _skip_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _ends_early(error: json.JSONDecodeError) -> bool:
    """Tell a document that is cut from one that is wrong: the parser stops at its end, or within its last word."""
    longest_word = len("false")
    return error.msg.startswith("Unterminated") or len(error.doc) - error.pos <= longest_word


def excerpt(data: bytes) -> str:
    """Quote the beginning of a body for a message, control characters escaped."""
    text = data[:_EXCERPT].decode(errors="replace")
    return ascii(text) if not text.isprintable() else repr(text)


def _parse(data: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return _DECODER.decode(data.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# json.loads builds a new decoder at each call that names an option; it also lets NaN through.
_DECODER = json.JSONDecoder(parse_constant=_refuse)
