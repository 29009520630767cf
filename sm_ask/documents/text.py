"""Bytes → text: exactly what they hold, or an error that names the byte."""

from __future__ import annotations

import codecs

from sm_ask.errors import InputError

#: How files begin that are no text, and what to do with them.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "is a PDF", "`sm-ask qa --doc` reads it; else turn it into text first, with pdftotext for example"),
    (b"{\\rtf", "is an RTF document", "save it as text first"),
    (
        b"PK\x03\x04",
        "is a zip archive, as DOCX and XLSX files are",
        "`sm-ask qa --doc` reads these two; else save it as text first",
    ),
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


def decode(data: bytes, name: str, encoding: str | None = None, *, offset: int = 0) -> str:
    """Turn bytes into text without losing or inventing any but a byte order mark; line ends stay as they are.

    The offset is where in a file they begin, if that is not its beginning.
    """
    head = data[:_HEAD].removeprefix(codecs.BOM_UTF8).lstrip()
    for beginning, kind, advice in _KINDS:
        if head.startswith(beginning):
            raise InputError(f"{name!r} {kind}", hint=advice)
    marked = next((codec for mark, codec in _MARKS if data.startswith(mark)), None)
    if not (encoding or marked) and b"\0" in data:
        raise InputError(f"{name!r} looks binary: it has a NUL byte at offset {data.index(0) + offset:,}")
    text = _text(data, name, encoding or marked or "utf-8", offset).removeprefix("\ufeff")
    if "\0" in text:
        raise InputError(f"{name!r} looks binary: it has a NUL character")
    return text


def _text(data: bytes, name: str, encoding: str, offset: int) -> str:
    try:
        return data.decode(encoding)
    except LookupError as error:
        raise InputError(f"{encoding!r} is no encoding", hint="such as utf-8, latin-1 or cp1252") from error
    except UnicodeError as error:
        at = offset + (error.start if isinstance(error, UnicodeDecodeError) else 0)
        hint = "name its encoding with --encoding, such as latin-1 or cp1252"
        raise InputError(f"{name!r} is not {encoding}: byte {at:,} does not fit", hint=hint) from error


def filled(text: str, name: str) -> str:
    """Give the text; InputError if there is nothing in it."""
    if not text.strip():
        raise InputError(f"{name!r} is empty")
    return text
