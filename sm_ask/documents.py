"""Paths and bytes → documents: text that is certain to be what the file holds, or an error that names the byte."""

from __future__ import annotations

import codecs
import glob
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from sm_ask.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: No endpoint takes more in one request.
LARGEST = 25 * 1024 * 1024
_STDIN = "-"

#: How files begin that are no text, and what to do with them.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "a PDF", "turn it into text first, with pdftotext for example"),
    (b"PK\x03\x04", "a zip archive, as DOCX and XLSX files are", "save it as text first"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"\x89PNG", "a PNG picture", "only text can be asked about"),
    (b"\xff\xd8\xff", "a JPEG picture", "only text can be asked about"),
    (b"\xd0\xcf\x11\xe0", "an old Office file", "save it as text first"),
)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Document(NamedTuple):
    """A text and where it is from."""

    path: str
    text: str


def find(patterns: list[str]) -> Iterator[str]:
    """Yield the paths that the patterns mean, in their order; InputError for one that means none."""
    for pattern in patterns:
        if pattern == _STDIN or os.path.lexists(pattern) or not glob.has_magic(pattern):
            yield pattern
            continue
        found = sorted(glob.glob(pattern, recursive=True))
        if not found:
            raise InputError(f"no file matches {pattern!r}")
        yield from found


def load(path: str, encoding: str | None = None) -> Document:
    """Read a text file; UTF-8, or UTF-16 with its mark, unless another encoding is named."""
    return Document(path, decode(_read(path), path, encoding))


def _read(path: str) -> bytes:
    try:
        # A pipe without a writer would hold up a blocking open for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise InputError(f"{path!r} cannot be read: {error.strerror}") from error
    try:
        with open(descriptor, "rb") as file:
            return _whole(file.fileno(), path)
    except OSError as error:
        raise InputError(f"{path!r} cannot be read: {error.strerror}") from error


def _whole(descriptor: int, path: str) -> bytes:
    before = os.fstat(descriptor)
    if stat.S_ISDIR(before.st_mode):
        raise InputError(f"{path!r} is a directory", hint="name its files, for example with a pattern: 'notes/*.md'")
    if not stat.S_ISREG(before.st_mode):
        raise InputError(f"{path!r} is not a regular file", hint="a pipe can be read from stdin, as -")
    if before.st_size > LARGEST:
        raise InputError(f"{path!r} has {before.st_size:,} bytes; an endpoint takes {LARGEST:,} at most")
    data = b"".join(iter(lambda: os.read(descriptor, 1 << 20), b""))
    if len(data) != before.st_size or os.fstat(descriptor).st_mtime_ns != before.st_mtime_ns:
        raise InputError(f"{path!r} was written to while it was read")
    return data


def decode(data: bytes, name: str, encoding: str | None = None) -> str:
    """Turn bytes into text without losing or inventing any; line ends stay as they are."""
    for mark, codec in _MARKS:
        if data.startswith(mark) and encoding is None:
            return _text(data, name, codec)
    for beginning, kind, advice in _KINDS:
        if data.startswith(beginning):
            raise InputError(f"{name!r} is {kind}", hint=advice)
    if b"\0" in data and encoding is None:
        raise InputError(f"{name!r} looks binary: it has a NUL byte at offset {data.index(0):,}")
    return _text(data, name, encoding or "utf-8")


def _text(data: bytes, name: str, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise InputError(f"{encoding!r} is no encoding", hint="such as utf-8, latin-1 or cp1252") from error
    except UnicodeDecodeError as error:
        hint = "name its encoding with --encoding, such as latin-1 or cp1252"
        raise InputError(f"{name!r} is not {encoding}: byte {error.start:,} does not fit", hint=hint) from error
    if not text.strip():
        raise InputError(f"{name!r} is empty")
    return text
