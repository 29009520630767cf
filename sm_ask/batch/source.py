"""A batch's input: JSON Lines, CSV or plain lines; a file, a pipe, or either of them packed with gzip."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import os
import stat
import sys
import tempfile
import zlib
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

from sm_ask.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

Format = Literal["jsonl", "csv", "lines"]

#: No request holds more, so that no line can.
_LONGEST = 25 * 1024 * 1024
_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".txt": "lines",
}
_GZIP = b"\x1f\x8b"
STDIN = "-"


class Record(NamedTuple):
    """One record and its line; the fields are None where they cannot be read, which ``fault`` explains."""

    number: int
    fields: dict[str, Any] | None
    fault: InputError | None = None


class Source:
    """An input that can be read twice: what is no file is kept in one that has no name, and that nobody else sees."""

    def __init__(self, path: str, form: Format | None = None) -> None:
        """Open it; InputError where that cannot be done."""
        self.path = path
        self.name = "stdin" if path == STDIN else path
        self._file = self._open()
        self._packed = self._file.peek(2)[:2] == _GZIP
        self._state = os.fstat(self._file.fileno())
        self._start = self._file.tell() if self._is_file else 0
        self._spool: IO[bytes] | None = None
        self._form = form
        self._again = False

    def _open(self) -> io.BufferedReader:
        try:
            if self.path != STDIN:
                return open(self.path, "rb")
            if sys.stdin is None:
                raise InputError("stdin is closed")
            return io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False))
        except OSError as error:
            raise InputError(f"{self.path!r} cannot be read: {error.strerror}") from error

    @property
    def _is_file(self) -> bool:
        return stat.S_ISREG(self._state.st_mode)

    def records(self) -> Iterator[Record]:
        """Yield the records; the first time from what was opened, then from what is known of it."""
        lines = self._lines()
        first = next(lines, None)
        if first is None:
            return
        kind = self._form or self._guess(first[1])
        whole = _chained(first, lines)
        yield from _READERS[kind](whole)

    def _guess(self, line: bytes) -> Format:
        ending = os.path.splitext(self.path.removesuffix(".gz"))[1].lower()
        if line.lstrip().startswith(b"[") and ending != ".txt":
            hint = f"jq -c '.[]' {self.path} makes JSON Lines of a list"
            raise InputError(f"{self.name} holds a list, not a JSON object on each line", hint=hint)
        return _ENDINGS.get(ending) or ("jsonl" if line.lstrip().startswith(b"{") else "lines")

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that are not blank, with their numbers; all of them to CSV, where they may be a value's."""
        again, self._again = self._again, True
        if again and self._spool is None:
            self._file.seek(self._start)
        if not again and not self._is_file:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - it is read again
        source: Any = self._file
        if again and self._spool is not None:
            source = self._spool
            source.seek(0)
        elif self._packed:
            source = io.BufferedReader(gzip.GzipFile(fileobj=self._file))
        yield from self._numbered(source, None if again else self._spool)

    def _numbered(self, source: io.BufferedReader, spool: IO[bytes] | None) -> Iterator[tuple[int, bytes]]:
        number = 0
        while line := self._line(source, number + 1):
            if spool is not None:
                self._keep(spool, line)
            number += 1
            if number == 1:
                line = _unmarked(line, self.name)
            yield number, line

    def _line(self, source: io.BufferedReader, number: int) -> bytes:
        try:
            line = source.readline(_LONGEST + 1)
        except (OSError, EOFError, zlib.error) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            raise InputError(f"{self.name} cannot be read after line {number - 1:,}: {reason}") from error
        if len(line) > _LONGEST:
            raise InputError(f"{self.name}:{number}: the line has more than {_LONGEST:,} bytes")
        if self._is_file:
            now = os.fstat(self._file.fileno())
            if (now.st_size, now.st_mtime_ns) != (self._state.st_size, self._state.st_mtime_ns):
                hint = "the rows that are done are kept; the same command goes on with the file as it is then"
                raise InputError(f"{self.name} was written to while it was read", hint=hint)
        return line

    def _keep(self, spool: IO[bytes], line: bytes) -> None:
        try:
            spool.write(line)
        except OSError as error:
            raise InputError(f"{self.name} cannot be kept in {tempfile.gettempdir()}: {error.strerror}") from error

    def close(self) -> None:
        """Close it, and forget what was kept."""
        self._file.close()
        if self._spool is not None:
            self._spool.close()


def _unmarked(line: bytes, name: str) -> bytes:
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{name} is UTF-16", hint="iconv -f utf-16 -t utf-8 makes UTF-8 of it")
    return line.removeprefix(codecs.BOM_UTF8)


def _chained(first: tuple[int, bytes], rest: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield first
    yield from rest


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"it is not UTF-8: byte {error.start:,} does not fit") from error


def _json_lines(lines: Iterator[tuple[int, bytes]]) -> Iterator[Record]:
    for number, line in lines:
        if line.strip():
            try:
                yield Record(number, _object(_decoded(line)))
            except InputError as fault:
                yield Record(number, None, fault)


def _object(text: str) -> dict[str, Any]:
    try:
        value = _STRICT.decode(text)
    except RecursionError as error:
        raise InputError("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise InputError(f"it is no JSON: {error.msg} at character {error.pos + 1:,}") from error
    except ValueError as error:
        raise InputError(f"it is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError("it is JSON, but no object")
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_STRICT = json.JSONDecoder(parse_constant=_no_number)


def _plain_lines(lines: Iterator[tuple[int, bytes]]) -> Iterator[Record]:
    for number, line in lines:
        if line.strip():
            try:
                yield Record(number, {"prompt": _decoded(line).rstrip("\r\n")})
            except InputError as fault:
                yield Record(number, None, fault)


def _csv(lines: Iterator[tuple[int, bytes]]) -> Iterator[Record]:
    csv.field_size_limit(_LONGEST)
    table = csv.reader(_text_lines(lines), strict=True)
    header: list[str] | None = None
    while True:
        number = table.line_num + 1
        try:
            cells = next(table, None)
        except csv.Error as error:
            raise InputError(f"line {number:,} is no CSV: {error}") from error
        if cells is None:
            return
        if header is None:
            header = _header(cells)
        elif cells:
            yield _named(header, cells, number)


def _text_lines(lines: Iterator[tuple[int, bytes]]) -> Iterator[str]:
    for number, line in lines:
        yield _decoded_at(number, line)


def _decoded_at(number: int, line: bytes) -> str:
    try:
        return _decoded(line)
    except InputError as error:
        raise InputError(f"line {number:,}: {error.message}") from error


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if not all(names) or len(set(names)) < len(names):
        raise InputError("the first line of a CSV file names each column, and each differently")
    return names


def _named(header: list[str], cells: list[str], number: int) -> Record:
    if len(cells) != len(header):
        return Record(number, None, InputError(f"it has {len(cells)} cells, and the header {len(header)}"))
    fields: dict[str, Any] = dict(zip(header, cells, strict=True))
    if fields.get("options"):
        try:
            fields["options"] = _object(fields["options"])
        except InputError as fault:
            return Record(number, fields, InputError(f"options: {fault.message}"))
    return Record(number, fields)


_READERS = {"jsonl": _json_lines, "csv": _csv, "lines": _plain_lines}
