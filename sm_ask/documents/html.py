"""HTML → the text that a reader sees, with headings, lists and tables as Markdown has them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from sm_ask.documents.document import Document
from sm_ask.documents.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_UNSEEN = {"script", "style", "template", "noscript", "svg", "head"}
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_APART = {"p", "div", "section", "article", "table", "ul", "ol", "dl", "pre", "blockquote", "header", "footer", "main"}
_LINES = {*_HEADINGS, *_APART, "li", "tr", "dt", "dd", "br", "hr", "option", "caption", "figcaption", "body", "html"}
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([-\w]+)", re.IGNORECASE)
_HEAD = 1024


def read(data: bytes, name: str, encoding: str | None = None) -> Iterator[Document]:
    """Yield one document; its lines keep the numbers that they have in the file."""
    named = _CHARSET.search(data[:_HEAD])
    text = decode(data, name, encoding or (named[1].decode() if named else None))
    page = _Page()
    page.feed(text)
    page.close()
    page.end_line()
    yield Document(name, "\n".join(page.lines), numbers=page.numbers)


class _Page(HTMLParser):
    """Collects lines, each with its number in the file."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self.numbers: list[int] = []
        self._pieces: list[str] = []
        self._number = 1
        self._unseen: list[str] = []
        self._as_is = 0

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "body":
            # The end of a head may be left out.
            self._unseen.clear()
        if tag in _UNSEEN:
            self._unseen.append(tag)
        if tag in _LINES:
            self.end_line(apart=tag in _APART or tag in _HEADINGS)
        if tag in ("td", "th") and self._pieces:
            self._pieces.append(" | ")
        self._as_is += tag == "pre"
        self._add({**_HEADINGS, "li": "- "}.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        if tag in _LINES:
            self.end_line(apart=tag in _APART or tag in _HEADINGS)
        self._as_is = max(self._as_is - (tag == "pre"), 0)

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        number = self.getpos()[0]
        if self._as_is:
            for offset, line in enumerate(data.split("\n")):
                if offset:
                    self.end_line(empty=True)
                self._add(line, number + offset)
            return
        words = " ".join(data.split())
        before, after = (" " * edge.isspace() for edge in (data[:1], data[-1:]))
        lead = data[: len(data) - len(data.lstrip())]
        self._add(f"{before}{words}{after}" if words else " ", number + lead.count("\n"))

    def end_line(self, *, apart: bool = False, empty: bool = False) -> None:
        """End the line that is open, with an empty one after it where what follows stands apart."""
        line = "".join(self._pieces) if self._as_is else " ".join("".join(self._pieces).split())
        self._pieces = []
        if line.strip() or empty:
            self.lines.append(line.rstrip())
            self.numbers.append(self._number)
        if apart and self.lines and self.lines[-1]:
            self.lines.append("")
            self.numbers.append(self._number)

    def _add(self, text: str, number: int | None = None) -> None:
        if not text or self._unseen:
            return
        if not "".join(self._pieces).strip():
            self._number = number or self.getpos()[0]
        self._pieces.append(text)
