"""Markdown on a terminal: each block is rendered once it is finished, so that nothing shown is ever repainted."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import rich.console
import rich.markdown

from sm_ask.render.terminal import HarmlessStream

if TYPE_CHECKING:
    from sm_ask.render.output import Output

_FENCE = re.compile(r" {0,3}(```+|~~~+)")


class Markdown:
    """Takes text as it comes and writes finished blocks."""

    def __init__(self, out: Output) -> None:
        """Write to that output."""
        self._out = out
        self._harmless = HarmlessStream()
        self._line = ""
        self._block: list[str] = []
        self._fence = ""

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
        fence = _FENCE.match(line)
        if fence and not self._fence:
            self._fence = fence[1]
        elif fence and line.strip().startswith(self._fence):
            self._fence = ""
        if line.strip() or self._fence:
            self._block.append(line)
        else:
            self._write()

    def _write(self) -> None:
        if not self._block:
            return
        block, self._block = "\n".join(self._block), []
        page = io.StringIO()
        # Links are left as text: a terminal's link shows one address and opens another.
        console = rich.console.Console(file=page, force_terminal=True, emoji=False, markup=False, highlight=False)
        console.print(rich.markdown.Markdown(block, hyperlinks=False))
        self._out.bytes(page.getvalue().encode(errors="replace"))
