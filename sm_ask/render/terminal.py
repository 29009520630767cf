"""Text that we did not write, made harmless for a terminal: nothing in it can move, colour, hide or type."""

from __future__ import annotations

import json
import re

# C0 but tab and LF, DEL, C1; marks that reorder text; characters without width, tags among them; lone surrogates.
_ACTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
    # Joiners are part of emoji and of several scripts; after ASCII they only hide.
    "|(?<![^\x00-\x7f])[\u200c\u200d]"
)


def harmless(text: str) -> str:
    r"""Show each active character as an escape such as \x1b; CRLF becomes LF."""
    return _ACTIVE.sub(_visible, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Do the same, with line ends and tabs escaped as well."""
    return harmless(text).replace("\n", "\\n").replace("\t", " ")


def json_line(value: object) -> str:
    """Give JSON in which each active character is JSON's own escape: the same value, on one line for every reader."""
    return _ACTIVE.sub(lambda found: json.dumps(found[0])[1:-1], json.dumps(value, ensure_ascii=False))


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
