"""A document → passages: cut where its structure allows it, none larger than wished for."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from sm_ask.qa.passages import Passage
from sm_ask.qa.tokens import estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sm_ask.documents import Document

#: In tokens, as they are estimated: a few paragraphs, which is what a question is about.
SIZE = 300

#: Where a hash sign begins a heading, and a full stop ends a sentence.
_PROSE = {"", ".md", ".markdown", ".mdx", ".txt", ".text", ".rst", ".adoc", ".html", ".htm", ".xhtml", ".docx", ".pdf"}
_TABLES = {".csv", ".tsv"}
_HEADING = re.compile(r"(#{1,6})\s+(.*?)[\s#]*$")
_UNDERLINE = re.compile(r"([=\-~^\"'*+#.])\1{2,}\s*$")
_LEVELS = {"=": 1, "-": 2, "~": 3}
_FENCES = ("```", "~~~")
_SENTENCE = re.compile("(?<=[.!?\u2026])[\"'\u201d\u2019)\\]]*\\s+|(?<=[\u3002\uff01\uff1f])")
_ENDS = (".", "!", "?", "\u2026", "\u3002", "\uff01", "\uff1f")
_LINE = re.compile(r"(?<=\n)")
_WORD = re.compile(r"\s+")
_LONGEST_HEADING = 120


class _Block(NamedTuple):
    """Lines that belong together, the first and the last of them, counted from 0."""

    first: int
    last: int
    #: The level and the text of the heading that these lines are, if they are one.
    level: int = 0
    heading: str = ""


def split(document: Document, size: int = SIZE) -> Iterator[Passage]:
    """Yield the passages of a document in their order; together they hold all of it but empty lines."""
    lines = document.text.split("\n")
    if _suffix(document.path) in _TABLES:
        yield from _rows(document, lines, size)
        return
    prose = is_prose(document.path)
    cutter = _Cutter(document, lines, size, prose=prose)
    for block in _blocks(lines, prose=prose):
        yield from cutter.add(block)
    yield from cutter.flush()


def is_prose(path: str) -> bool:
    """Tell whether a file of that name is to be read sentence by sentence, unlike code and tables."""
    return _suffix(path) in _PROSE


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def smaller(passage: Passage, size: int) -> Iterator[Passage]:
    """Cut a passage that is too large into pieces that are not."""
    for above, start, end in _placed(passage.text, size, overlap=True):
        lines = passage.lines
        if lines is not None:
            first = lines[0] + above
            lines = (min(first, lines[1]), min(first + passage.text.count("\n", start, end), lines[1]))
        yield passage._replace(text=passage.text[start:end].strip("\r\n"), lines=lines)


def _blocks(lines: Sequence[str], *, prose: bool) -> Iterator[_Block]:
    """Yield paragraphs, headings and code blocks."""
    first, fence = -1, ""
    for number, line in enumerate(lines):
        text, heading = line.strip(), None
        if fence or (prose and text.startswith(_FENCES)):
            fence = _fence(text, fence)
        elif not text or (prose and (heading := _heading(lines, number, first))):
            end = heading.first if heading else number
            if 0 <= first < end:
                yield _Block(first, end - 1)
            if heading:
                yield heading
            first = -1
            continue
        first = number if first < 0 else first
    if first >= 0:
        yield _Block(first, len(lines) - 1)


def _fence(text: str, fence: str) -> str:
    """Give the fence that is open after a line."""
    if fence:
        return "" if text.startswith(fence) else fence
    return text[:3]


def _heading(lines: Sequence[str], number: int, first: int) -> _Block | None:
    """Give the heading that ends in a line: one after hash signs, or the line above an underline."""
    line = lines[number]
    if line.startswith("#") and (found := _HEADING.match(line)):
        return _Block(number, number, len(found[1]), found[2])
    # The characters come first, as most lines end here.
    if line[0] in "=-~^\"'*+#." and first == number - 1 and (found := _UNDERLINE.match(line)):
        text = lines[first].strip()
        if first >= 0 and len(text) <= _LONGEST_HEADING:
            return _Block(first, number, _LEVELS.get(found[1], 4), text)
    return None


class _Cutter:
    """Gathers blocks until they are a passage."""

    def __init__(self, document: Document, lines: Sequence[str], size: int, *, prose: bool) -> None:
        self._document = document
        self._lines = lines
        self._size = size
        self._prose = prose
        self._first = self._last = -1
        self._tokens = 0
        self._title = ""
        #: Whether nothing but headings is gathered, which are not to stand alone.
        self._headings = False
        self._trail: list[tuple[int, str]] = []

    def add(self, block: _Block) -> Iterator[Passage]:
        """Take a block; yield the passages that are full."""
        tokens = estimate("\n".join(self._lines[block.first : block.last + 1]))
        starts = block.level or (not self._prose and not self._lines[block.first][0].isspace())
        enough = self._size // (4 if block.level else 2)
        full = self._tokens + tokens > self._size and not self._headings
        if full or (starts and self._tokens >= enough):
            yield from self.flush()
        self._headings = bool(block.level) and (self._headings or self._first < 0)
        if block.level:
            self._trail = [above for above in self._trail if above[0] < block.level]
        if self._first < 0:
            self._first, self._title = block.first, self._above()
        if block.level:
            self._trail.append((block.level, block.heading))
        self._last, self._tokens = block.last, self._tokens + tokens
        if self._tokens > self._size:
            yield from self.flush()

    def flush(self) -> Iterator[Passage]:
        """Yield what is gathered, in pieces if it is one block that is too large."""
        if self._first < 0:
            return
        text = "\n".join(self._lines[self._first : self._last + 1]).removesuffix("\r")
        if self._tokens <= self._size:
            yield self._passage(text, self._first, self._last)
        else:
            for above, start, end in _placed(text, self._size, overlap=self._prose and _FENCES[0] not in text):
                first = self._first + above
                piece = text[start:end].rstrip()
                yield self._passage(piece, first, first + piece.count("\n"))
                # The headings that stand in the first piece are above the others.
                self._title = self._above()
        self._first, self._tokens = -1, 0

    def _above(self) -> str:
        return " > ".join(text for _, text in self._trail)

    def _passage(self, text: str, first: int, last: int) -> Passage:
        document = self._document
        return Passage(document.path, text, document.lines(first, last), document.page, self._title)


def _rows(document: Document, lines: Sequence[str], size: int) -> Iterator[Passage]:
    """Yield groups of a table's rows; the first row, which names the columns, is the title of all but the first."""
    title, start, tokens = "", 0, 0

    def passage(end: int) -> Iterator[Passage]:
        text = "\n".join(lines[start:end]).strip("\r\n")
        found = Passage(document.path, text, document.lines(start, end - 1), document.page, title)
        if text.strip():
            yield from [found] if tokens <= size else smaller(found, size)

    for first, end in _records(lines):
        more = estimate("\n".join(lines[first:end])) + 1
        if tokens and tokens + more > size:
            yield from passage(first)
            title, start, tokens = title or lines[0].strip(), first, 0
        tokens += more
    yield from passage(len(lines))


def _records(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield where each row of a table begins and ends; a cell in quotation marks may hold line ends."""
    first, quotes = 0, 0
    for number, line in enumerate(lines, start=1):
        quotes += line.count('"')
        if not quotes % 2 or number == len(lines):
            yield first, number
            first, quotes = number, 0


def _placed(text: str, size: int, *, overlap: bool) -> Iterator[tuple[int, int, int]]:
    """Yield how many line ends stand above each piece of a text, and where it begins and ends."""
    above = counted = 0
    for start, end in _spans(text, size, overlap=overlap):
        # From the last piece on: a file that is one line has as many pieces as characters, nearly.
        above += text.count("\n", counted, start)
        counted = start
        yield above, start, end


def _spans(text: str, size: int, *, overlap: bool) -> Iterator[tuple[int, int]]:
    """Yield where the pieces of a text begin and end: whole sentences where they fit, else lines, words, anything."""
    pieces = list(_pieces(text, 0, size, (_SENTENCE, _LINE, _WORD) if overlap else (_LINE, _WORD)))
    start = 0
    for number, (begin, end) in enumerate(pieces):
        if begin > start and estimate(text[start:end]) > size:
            yield start, begin
            before = pieces[number - 1][0]
            sentence = text[before:begin]
            # A sentence before the cut belongs to both pieces, where it leaves room for more than itself.
            kept = overlap and start < before and sentence.rstrip().endswith(_ENDS) and estimate(sentence) <= size // 4
            start = before if kept and estimate(text[before:end]) <= size else begin
    yield start, len(text)


def _pieces(text: str, offset: int, size: int, separators: Sequence[re.Pattern[str]]) -> Iterator[tuple[int, int]]:
    """Yield spans that are no larger than the size, cut at the first kind of separator that suffices."""
    if estimate(text) <= size:
        yield offset, offset + len(text)
        return
    if not separators:
        # No character has more than four bytes.
        step = max(size // 4, 1)
        yield from ((offset + at, offset + min(at + step, len(text))) for at in range(0, len(text), step))
        return
    start = 0
    for end in [found.end() for found in separators[0].finditer(text)] + [len(text)]:
        if end > start:
            yield from _pieces(text[start:end], offset + start, size, separators[1:])
            start = end
