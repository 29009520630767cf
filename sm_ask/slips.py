"""Slips of the pen: which word was meant by one that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def meant(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """Give the known word that is most like another one; None where none is like it at all."""
    import difflib  # only a slip costs this millisecond

    return next(iter(difflib.get_close_matches(word, known, 1, likeness)), None)
