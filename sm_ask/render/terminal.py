"""Text that we did not write, made harmless for a terminal: nothing in it can move, colour, hide or type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_ask.envelope import ACTIVE

if TYPE_CHECKING:
    import re


def harmless(text: str) -> str:
    r"""Show each active character as an escape such as \x1b; CRLF becomes LF."""
    return ACTIVE.sub(_visible, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Do the same, with line ends and tabs escaped as well."""
    return harmless(text).replace("\n", "\\n").replace("\t", " ")


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"<U+{code:04X}>"  # noqa: PLR2004 - the end of Latin-1


def fitted(text: str, columns: int) -> str:
    """Cut a line so that it and the cursor after it fit into that many columns."""
    from unicodedata import east_asian_width  # for a line that is replaced, which few runs show

    widths = [2 if east_asian_width(character) in "WF" else 1 for character in text]
    if sum(widths) < columns:
        return text
    while widths and sum(widths) > columns - 2:
        widths.pop()
    return text[: len(widths)] + "…"


class HarmlessStream:
    """Makes a stream of pieces harmless as if it were one text: a CRLF or a joined emoji may stand across pieces."""

    def __init__(self) -> None:
        """Begin with nothing held back."""
        self._held = ""
        self._last = ""

    def feed(self, text: str) -> str:
        """Give what can be shown by now."""
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        return self._show(text.removesuffix("\r"))

    def flush(self) -> str:
        """Give what was held back."""
        held, self._held = self._held, ""
        return self._show(held)

    def _show(self, text: str) -> str:
        if not text:
            return ""
        shown = harmless(self._last + text)[len(harmless(self._last)) :]
        self._last = text[-1]
        return shown
