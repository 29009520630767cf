"""Texts to stop at, taken literally, wherever the pieces of an answer are cut."""

from __future__ import annotations

from collections.abc import Sequence


class Stop:
    """Lets text through up to the first stop; what may be the beginning of one is held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        """Take the texts to stop at."""
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.found = False

    def pass_on(self, text: str) -> str:
        """Give what stands before any stop for certain; nothing once one is found."""
        if self.found:
            return ""
        text = self._held + text
        begins = [(text.find(stop) + len(stop), text.find(stop)) for stop in self._stops if stop in text]
        if begins:
            # The one that is whole first, as a container that stops by itself would see it.
            self.found, self._held = True, ""
            return text[: min(begins)[1]]
        kept = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def rest(self) -> str:
        """Give what was held back, at the end of the answer."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Give how many characters at the end of a text begin a stop."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
