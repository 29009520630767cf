"""Bytes as they arrive → lines → records, the same for every possible cut of the bytes; no I/O.

Containers frame their records as server-sent events, as JSON lines, or send one JSON document (pretty-printed or not);
which of them it is shows in the first line, so no caller has to know.
"""

from __future__ import annotations

import codecs
import itertools
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

_DATA = b"data:"
_IGNORED_FIELDS = (b":", b"event:", b"id:", b"retry:")
_CUT = "the stream ends within a record"
_EXCERPT = 200
_SPACE = re.compile(r"\s+")
_OPENING = (b"{", b"[")
_BLANKS = re.compile(rb"[ \t\r\n]*")
_MARKS = re.compile(rb'["{}\[\]]')
_IN_QUOTES = re.compile(rb'["\\]')


def lines(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each line without its end, and whether it had one; only LF ends a line, as U+2028 may stand in JSON."""
    held: list[bytes] = []
    for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        if whole and held:
            whole[0] = b"".join([*held, whole[0]])
            held = []
        for line in whole:
            yield line.removesuffix(b"\r"), True
        if last:
            held.append(last)
    if tail := b"".join(held):
        yield tail.removesuffix(b"\r"), False


def records(chunks: Iterable[bytes]) -> Iterator[Any]:
    """Yield the JSON values of a response, and ``DONE`` for its end mark.

    Raises IncompleteError where the bytes end within a record, UnusableError where they are no JSON.
    """
    source = lines(chunks)
    for line, ended in source:
        if not line:
            continue
        if line.startswith(_DATA):
            if ended and line == _DATA:
                continue
            yield _event(line[len(_DATA) :].strip(), ended=ended)
            continue
        if not line.startswith(_OPENING) and (not line.strip() or line.startswith(_IGNORED_FIELDS)):
            continue
        if not ended and any(field.startswith(line) for field in (_DATA, *_IGNORED_FIELDS)):
            raise IncompleteError(_CUT)
        value = _whole_line(line)
        if value is None:
            yield from values(_with_ends(itertools.chain([(line, ended)], source)))
            return
        yield value[0]


def values(chunks: Iterable[bytes]) -> Iterator[Any]:
    """Yield JSON values that stand one after the other, with space between them or none, each once it is whole.

    Raises what ``records`` raises.
    """
    value = _Value()
    source = iter(chunks)
    for chunk in source:
        at = 0
        tried = False
        while at < len(chunk):
            if not value.pieces:
                at += len(_BLANKS.match(chunk, at)[0])  # type: ignore[index]  # it matches nothing, too
                found, at = ([], at) if tried else _at_once(chunk, at)
                tried = True
                yield from found
                if not chunk.startswith(_OPENING, at):
                    # A number, a word or a text; or no JSON at all.
                    yield from _document(b"".join([chunk[at:], *source]) if at < len(chunk) else b"")
                    break
            at = value.feed(chunk, at)
            if value.whole:
                yield _parsed(value.take())
    if value.pieces:
        yield from _document(value.take())


def _at_once(chunk: bytes, begin: int) -> tuple[list[Any], int]:
    """Give the values that a chunk holds whole, and the place behind them: much faster than to look for their ends."""
    found: list[Any] = []
    at = 0
    try:
        text = chunk[begin : max(chunk.rfind(b"}"), chunk.rfind(b"]")) + 1].decode()
        while text.startswith(("{", "["), at):
            value, at = _scan(text, at)
            found.append(value)
            at = _skip_space(text, at)
    except (ValueError, StopIteration, RecursionError):
        # The last value goes on in the next chunk, or is wrong; that shows when its end has come.
        pass
    return found, begin + len(text[:at].encode()) if found else begin


class _Value:
    """An object or a list on its way in; each byte is looked at once."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._depth = 0
        self._quoted = False
        self._escaped = False

    @property
    def whole(self) -> bool:
        """Tell whether the last bracket has come."""
        return self._depth == 0

    def feed(self, chunk: bytes, begin: int) -> int:
        """Take what belongs to the value, and give the place behind it."""
        at = begin + self._escaped
        self._escaped = False
        while mark := (_IN_QUOTES if self._quoted else _MARKS).search(chunk, at):
            at = mark.end()
            if mark[0] == b"\\":
                self._escaped = at == len(chunk)
                at += 1
            elif mark[0] == b'"':
                self._quoted = not self._quoted
            else:
                self._depth += 1 if mark[0] in b"{[" else -1
                if self.whole:
                    self.pieces.append(chunk[begin:at])
                    return at
        self.pieces.append(chunk[begin:])
        return len(chunk)

    def take(self) -> bytes:
        """Give the bytes, and begin anew."""
        body = b"".join(self.pieces)
        self.pieces = []
        return body


def text(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the text of a body that is nothing else; raises IncompleteError and UnusableError where it is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    failure = None
    try:
        for chunk in chunks:
            if piece := decoder.decode(chunk):
                yield piece
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        failure = error
    if failure is None:
        return
    if failure.reason == "unexpected end of data":
        raise IncompleteError("the response ends within a character") from failure
    if before := failure.object[: failure.start]:
        yield before.decode()
    hint = "--raw gives the bytes as they come"
    raise UnusableError(
        f"the response is not UTF-8: {excerpt(failure.object[failure.start :])}", hint=hint
    ) from failure


def _with_ends(found: Iterable[tuple[bytes, bool]]) -> Iterator[bytes]:
    for line, ended in found:
        yield line + b"\n" if ended else line


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return _parse(body)
    except UnicodeDecodeError as error:
        raise UnusableError(f"the response is not UTF-8: {excerpt(body)}") from error
    except ValueError as error:
        raise UnusableError(f"the response is not JSON: {excerpt(body)}") from error


def _event(data: bytes, *, ended: bool) -> Any:  # noqa: ANN401 - JSON
    if data == b"[DONE]":
        return DONE
    try:
        return _parse(data)
    except ValueError as error:
        if not ended:
            raise IncompleteError(_CUT) from error
        raise UnusableError(f"the stream holds a record that is not JSON: {excerpt(data)}") from error


def _whole_line(line: bytes) -> tuple[Any] | None:
    """Parse a line that is a record of its own; None where a JSON document only begins with it."""
    try:
        return (_parse(line),)
    except ValueError:
        return None


def _document(body: bytes) -> Iterator[Any]:
    """Yield the JSON values that stand one after the other up to the end of a body."""
    try:
        text = body.decode("utf-8-sig")
        at = _skip_space(text, 0)
        while at < len(text):
            value, at = _DECODER.raw_decode(text, at)
            yield value
            at = _skip_space(text, at)
    except json.JSONDecodeError as error:
        if body.lstrip().startswith((b"{", b"[")) and _ends_early(error):
            raise IncompleteError("the response ends within its JSON") from error
        raise UnusableError(f"the response is not JSON: {excerpt(body)}") from error
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            raise IncompleteError("the response ends within a character") from error
        raise UnusableError(f"the response is not UTF-8: {excerpt(body)}") from error
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
    text = data.decode()
    try:
        # Half of the time, as it looks for no space around the value, where there rarely is any.
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value if end == len(text) else _DECODER.decode(text)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# json.loads builds a new decoder at each call that names an option; it also lets NaN through.
_DECODER = json.JSONDecoder(parse_constant=_refuse)
_scan = _DECODER.scan_once  # type: ignore[attr-defined]
