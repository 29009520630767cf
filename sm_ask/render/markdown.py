"""Markdown on a terminal: each block is rendered once it is finished, so that nothing shown is ever repainted."""

from __future__ import annotations

import html
import io
import re
from collections import Counter
from typing import TYPE_CHECKING

import rich.console
import rich.markdown

from sm_ask.render.terminal import HarmlessStream, harmless

if TYPE_CHECKING:
    from sm_ask.render.output import Output

_FENCE = re.compile(r"\s*(`{3,})[^`]*$|\s*(~{3,})")
_ITEM = re.compile(r" {0,3}([-*+]|\d{1,9}[.)])(\s|$)")
_INDENTED = re.compile(r"\s{2,}\S")
#: What rendering takes away: the numbers of lists, which it counts itself, and the language of a code block.
_UNSHOWN = re.compile(r"^[\s>]*(\d{1,9}[.)]|(```+|~~~+).*)", re.MULTILINE)
_PADDING = re.compile(r" +$", re.MULTILINE)
_STYLE = re.compile(r"(\x1b\[[\d;]*m)")


class Markdown:
    """Takes text as it comes and writes finished blocks."""

    def __init__(self, out: Output) -> None:
        """Write to that output."""
        self._out = out
        self._harmless = HarmlessStream()
        self._line = ""
        self._block: list[str] = []
        self._fence = ""
        self._first = True

    def text(self, text: str) -> None:
        """Take a piece of text; write the blocks that it finishes."""
        *whole, self._line = (self._line + self._harmless.feed(text)).split("\n")
        for line in whole:
            self._take(line)

    def end_line(self) -> None:
        """Write what is left."""
        self._take(self._line + self._harmless.flush())
        self._line = ""
        self._write()

    def _take(self, line: str) -> None:
        if self._fence:
            self._block.append(line)
            if set(line.strip()) == {self._fence[0]} and len(line.strip()) >= len(self._fence):
                self._fence = ""
            return
        if not line.strip():
            # A list goes on after a blank line; what else stands before one is finished.
            if self._is_list():
                self._block.append("")
            else:
                self._write()
            return
        if self._block and not self._block[-1] and not (_ITEM.match(line) or _INDENTED.match(line)):
            self._write()
        self._block.append(line)
        fence = _FENCE.match(line)
        if fence and (self._is_list() or not line.startswith("    ")):
            self._fence = fence[1] or fence[2]

    def _is_list(self) -> bool:
        return bool(self._block and _ITEM.match(self._block[0]))

    def _write(self) -> None:
        block, self._block = "\n".join(self._block).strip("\n"), []
        if not block:
            return
        page = _rendered(block, self._out.columns).strip("\n")
        self._out.write(("" if self._first else "\n").encode() + page.encode(errors="replace") + b"\n")
        self._first = False


def _rendered(block: str, columns: int) -> str:
    """Render a block; one that would lose a letter, as HTML, pictures and narrow tables do, stays as it came."""
    page = io.StringIO()
    console = rich.console.Console(
        file=page, width=columns, force_terminal=True, emoji=False, markup=False, highlight=False
    )
    # Links are left as text: a terminal's link shows one address and opens another.
    console.print(rich.markdown.Markdown(block, hyperlinks=False))
    styled = _STYLE.split(_PADDING.sub("", page.getvalue()))
    # What is left of an active character, written as an HTML entity, has become one only now.
    styled[::2] = [harmless(text) for text in styled[::2]]
    return block if _letters(_UNSHOWN.sub("", block)) - _letters("".join(styled[::2])) else "".join(styled)


def _letters(text: str) -> Counter[str]:
    return Counter(filter(str.isalnum, html.unescape(text)))
