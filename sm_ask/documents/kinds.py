"""The kinds of files: which reader gives a file's documents, decided by its bytes before its name."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, TypeAlias

from sm_ask.documents.document import Document
from sm_ask.documents.text import decode, filled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Reader: TypeAlias = Callable[[bytes, str, str | None], Iterable[Document]]

#: How much of a file tells its kind; readers of PDF look as far.
HEAD = 1024
#: A longer text is read in parts of this size.
PART = 8 * 1024 * 1024

_HTML = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_HTML_NAMES = (".html", ".htm", ".xhtml")


def parse(data: bytes, name: str, encoding: str | None = None) -> Iterator[Document]:
    """Yield the documents of a file's bytes; InputError where they are none, or hold no text."""
    reader = _reader(data[:HEAD], name)
    if reader is None:
        yield Document(name, filled(decode(data, name, encoding), name))
        return
    empty = True
    for document in reader(data, name, encoding):
        if document.text.strip():
            empty = False
            yield document
    if empty:
        filled("", name)


def in_parts(head: bytes, name: str) -> bool:
    """Tell whether a file that begins so can be read part by part: text in UTF-8, as far as one sees."""
    return _reader(head, name) is None and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def parts(pieces: Iterable[bytes], name: str) -> Iterator[Document]:
    """Yield the documents of a long text in UTF-8 that comes in pieces, each cut where a line ends, if one does."""
    rest, line, offset = b"", 1, 0
    for piece in pieces:
        data, rest = _cut(rest + piece)
        if data:
            document = Document(name, decode(data, name, offset=offset), first_line=line)
            line, offset = line + document.text.count("\n"), offset + len(data)
            yield document
    if rest:
        yield Document(name, decode(rest, name, offset=offset), first_line=line)


def _cut(data: bytes) -> tuple[bytes, bytes]:
    """Cut after the last line end, preferably where a line is empty; a line without an end, between characters."""
    paragraph = data.rfind(b"\n\n", len(data) // 2)
    end = paragraph + 2 if paragraph >= 0 else data.rfind(b"\n") + 1
    if not end:
        end = len(data)
        while end and data[end - 1] & 0xC0 == 0x80:  # noqa: PLR2004 - the bytes that continue a character
            end -= 1
        end = max(end - 1, 0)
    return data[:end], data[end:]


def _reader(head: bytes, name: str) -> Reader | None:
    """Give what reads a file that begins so; None for text, and for what only an error can be made of."""
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"%PDF-"):
        from sm_ask.documents import pdf

        return pdf.read
    if start.startswith(b"PK\x03\x04"):
        from sm_ask.documents import office

        return office.read
    if name.lower().endswith(_HTML_NAMES) or _HTML.match(start):
        from sm_ask.documents import html

        return html.read
    return None
