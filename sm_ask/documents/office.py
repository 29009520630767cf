"""Zip archives: DOCX by the standard library, XLSX by openpyxl; others are refused."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from sm_ask.documents.document import Document
from sm_ask.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DOCX = ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml")
_XLSX = "xl/workbook.xml"
#: What a few bytes may unpack to.
_LARGEST = 100 * 1024 * 1024


def read(data: bytes, name: str, encoding: str | None = None) -> Iterator[Document]:
    """Yield the text of a DOCX file, its paragraphs for lines, or the sheets of an XLSX file, as its pages."""
    del encoding
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            if sum(member.file_size for member in archive.infolist()) > _LARGEST:
                raise InputError(f"{name!r} unpacks to more than {_LARGEST:,} bytes")
            if _DOCX[0] in names:
                yield Document(name, _docx([archive.read(part) for part in _DOCX if part in names]))
                return
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, expat.ExpatError) as error:
        raise InputError(f"{name!r} cannot be read: {error}") from error
    if _XLSX not in names:
        raise InputError(f"{name!r} is a zip archive, and neither DOCX nor XLSX", hint="save it as text first")
    yield from _sheets(data, name)


def _docx(parts: list[bytes]) -> str:
    text = _Paragraphs()
    for part in parts:
        text.feed(part)
    return "\n".join(text.lines)


class _Paragraphs:
    """Collects the paragraphs of WordprocessingML, and the rows of its tables, as lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._pieces: list[str] = []
        self._row: list[str] = []
        self._tables = 0
        self._is_text = False

    def feed(self, data: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = _no_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(data, True)  # noqa: FBT003 - it takes no names

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = _local(tag)
        self._is_text = name == "t"
        if name == "tbl":
            self._tables += 1
        elif name in ("tab", "br", "cr"):
            self._pieces.append("\t" if name == "tab" else " ")
        elif name == "pStyle":
            style = next((value for key, value in attributes.items() if _local(key) == "val"), "").lower()
            level = style.removeprefix("heading")
            if style.startswith("heading") and level.isdecimal():
                self._pieces.insert(0, "#" * min(int(level), 6) + " ")

    def _end(self, tag: str) -> None:
        name = _local(tag)
        self._is_text = False
        if name == "p" and self._tables:
            self._pieces.append(" ")
        elif name == "p":
            self._line("".join(self._pieces))
        elif name == "tc":
            self._row.append(" ".join("".join(self._pieces).split()))
            self._pieces = []
        elif name == "tr":
            self._line(" | ".join(self._row))
        elif name == "tbl":
            self._tables -= 1

    def _line(self, text: str) -> None:
        self._pieces, self._row = [], []
        self.lines.append(text.rstrip())

    def _characters(self, text: str) -> None:
        if self._is_text:
            self._pieces.append(text)


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _no_doctype(*_: Any) -> None:  # noqa: ANN401 - whatever it declares
    # No office program writes one; they are where entities that blow up are declared.
    raise InputError("the document has a DOCTYPE, as no office program writes", hint="save it as text first")


def _sheets(data: bytes, name: str) -> Iterator[Document]:
    try:
        import openpyxl
    except ImportError as error:
        hint = "pip install 'sm-ask[documents]', or save it as CSV"
        raise ConfigError(f"{name!r} is an XLSX file, which needs the extra `documents`", hint=hint) from error
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheets = [(sheet.title, [_row(row) for row in sheet.iter_rows(values_only=True)]) for sheet in book.worksheets]
    except Exception as error:
        raise InputError(f"{name!r} cannot be read as XLSX: {error}") from error
    for number, (title, rows) in enumerate(sheets, start=1):
        if any(rows):
            yield Document(name, "\n".join([f"# {title}", "", *filter(None, rows)]), page=number)


def _row(cells: tuple[Any, ...]) -> str:
    return " | ".join("" if cell is None else " ".join(str(cell).split()) for cell in cells).strip(" |")
