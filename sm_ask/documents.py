"""Paths and bytes → documents: text that is certain to be what the file holds, or an error that names the byte."""

from __future__ import annotations

import codecs
import errno
import glob
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from sm_ask.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: No endpoint takes more in one request.
LARGEST = 25 * 1024 * 1024
#: What names stdin where a path may stand.
STDIN = "-"

#: How files begin that are no text, and what to do with them.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "is a PDF", "turn it into text first, with pdftotext for example"),
    (b"{\\rtf", "is an RTF document", "save it as text first"),
    (b"PK\x03\x04", "is a zip archive, as DOCX and XLSX files are", "save it as text first"),
    (b"\xd0\xcf\x11\xe0", "is an old Office file", "save it as text first"),
    (b"\x1f\x8b", "looks binary: it is compressed with gzip", "unpack it first"),
    (b"\x89PNG", "looks binary: it is a PNG picture", "only text can be asked about"),
    (b"\xff\xd8\xff", "looks binary: it is a JPEG picture", "only text can be asked about"),
)
#: The longer marks first, as UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Where a file's own mark may still come, after white space; readers of PDF look as far.
_HEAD = 1024


class Document(NamedTuple):
    """A text and where it is from."""

    path: str
    text: str


def find(patterns: list[str]) -> Iterator[str]:
    """Yield the paths that the patterns mean, in their order; InputError for one that means no file."""
    for pattern in patterns:
        if pattern == STDIN or os.path.lexists(pattern) or not glob.has_magic(pattern):
            yield pattern
            continue
        found = sorted(path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path))
        if not found:
            raise InputError(f"no file matches {pattern!r}")
        yield from found


def load(path: str, encoding: str | None = None) -> Document:
    """Read a text file; UTF-8, or UTF-16 with its mark, unless another encoding is named."""
    return Document(path, filled(decode(_read(path), path, encoding), path))


def filled(text: str, name: str) -> str:
    """Give the text; InputError if there is nothing in it."""
    if not text.strip():
        raise InputError(f"{name!r} is empty")
    return text


def _read(path: str) -> bytes:
    try:
        # A pipe without a writer would hold up a blocking open for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            return _whole(descriptor, path)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _not_regular(path) from error
        raise InputError(f"{path!r} cannot be read: {error.strerror}") from error


def _whole(descriptor: int, path: str) -> bytes:
    before = os.fstat(descriptor)
    if stat.S_ISDIR(before.st_mode):
        raise InputError(f"{path!r} is a directory", hint="name its files, for example with a pattern: 'notes/*.md'")
    if not stat.S_ISREG(before.st_mode):
        raise _not_regular(path)
    if before.st_size > LARGEST:
        raise InputError(f"{path!r} has {before.st_size:,} bytes; an endpoint takes {LARGEST:,} at most")
    with open(descriptor, "rb", closefd=False) as file:
        # A byte more than there should be, as a file that grows all the time has no end.
        data = file.read(before.st_size + 1)
    if len(data) != before.st_size or os.fstat(descriptor).st_mtime_ns != before.st_mtime_ns:
        hint = "ask when it is whole; a file that never rests can be piped in"
        raise InputError(f"{path!r} was written to while it was read", hint=hint)
    return data


def _not_regular(path: str) -> InputError:
    return InputError(f"{path!r} is not a regular file", hint="a pipe can be read from stdin, as -")


def decode(data: bytes, name: str, encoding: str | None = None) -> str:
    """Turn bytes into text without losing or inventing any but a byte order mark; line ends stay as they are."""
    head = data[:_HEAD].removeprefix(codecs.BOM_UTF8).lstrip()
    for beginning, kind, advice in _KINDS:
        if head.startswith(beginning):
            raise InputError(f"{name!r} {kind}", hint=advice)
    marked = next((codec for mark, codec in _MARKS if data.startswith(mark)), None)
    if not (encoding or marked) and b"\0" in data:
        raise InputError(f"{name!r} looks binary: it has a NUL byte at offset {data.index(0):,}")
    text = _text(data, name, encoding or marked or "utf-8").removeprefix("\ufeff")
    if "\0" in text:
        raise InputError(f"{name!r} looks binary: it has a NUL character")
    return text


def _text(data: bytes, name: str, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except LookupError as error:
        raise InputError(f"{encoding!r} is no encoding", hint="such as utf-8, latin-1 or cp1252") from error
    except UnicodeError as error:
        at = error.start if isinstance(error, UnicodeDecodeError) else 0
        hint = "name its encoding with --encoding, such as latin-1 or cp1252"
        raise InputError(f"{name!r} is not {encoding}: byte {at:,} does not fit", hint=hint) from error
