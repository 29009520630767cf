"""Documents, read once for any number of questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_ask.qa.passages import Passage, whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_ask.documents import Document


class Library:
    """Documents, split into passages and indexed when that is first needed, and only once."""

    def __init__(self, documents: Iterable[Document]) -> None:
        """Take the documents; they are read when the first question is asked."""
        self._documents = documents
        self._whole: tuple[Passage, ...] | None = None

    def whole(self) -> tuple[Passage, ...]:
        """Give the documents as they are, each one passage."""
        if self._whole is None:
            self._whole = tuple(map(whole, self._documents))
        return self._whole
