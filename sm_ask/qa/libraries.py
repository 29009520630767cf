"""Documents, read once for any number of questions."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sm_ask.errors import InputError
from sm_ask.qa.passages import Passage, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sm_ask.documents import Document
    from sm_ask.qa.index import Index
    from sm_ask.qa.tokens import Counter

#: Characters that are kept as they came; what is more goes into the index at once, and into no single prompt.
_KEPT = 16 * 1024 * 1024


class Library:
    """Documents, split into passages and indexed when that is first needed, and only once; safe to share by threads."""

    def __init__(self, documents: Iterable[Document]) -> None:
        """Take the documents; they are read when the first question is asked."""
        self._coming: Iterable[Document] | None = documents
        self._kept: list[Document] | None = []
        self._index: Index | None = None
        self._lock = threading.RLock()
        self.characters = 0
        self.count = 0

    def whole(self) -> tuple[Passage, ...] | None:
        """Give the documents as they are, each one passage; None where they are too large for any prompt."""
        self.read()
        return None if self._kept is None else tuple(map(whole, self._kept))

    def passages(self, size: int | None = None) -> Iterator[Passage]:
        """Yield the passages of all documents, in their order; of another size than usual, if they were kept whole."""
        self.read()
        if self._kept is None:
            return iter(self._indexed())
        return _split(self._kept, size)

    def tokens(self, count: Counter) -> int:
        """Count the tokens of all documents."""
        self.read()
        return sum(count(passage.text) for passage in self.whole() or self.passages())

    def search(self, question: str, limit: int, share: float = 0.0) -> list[Passage]:
        """Give the passages that say most about the question, the best one first, by the words that they share.

        Those that do not reach a share of its score are left out.
        """
        from sm_ask.qa.words import terms

        return self._indexed().search(terms(question), limit, share)

    def read(self) -> None:
        """Read the documents, if they have not been; InputError where there is none."""
        with self._lock:
            if self._coming is not None:
                self._take_all(self._coming)
            if not self.count:
                raise InputError("there is no document to ask about")

    def _take_all(self, coming: Iterable[Document]) -> None:
        self._coming = None
        try:
            for document in coming:
                self._take(document)
        except BaseException:
            # Nobody is to be answered from half of the documents later.
            self.count, self._kept, self._index = 0, [], None
            raise

    def _take(self, document: Document) -> None:
        self.count += 1
        self.characters += len(document.text)
        if self._kept is not None and self.characters > _KEPT:
            kept, self._kept = self._kept, None
            self._opened().add(_split(kept))
        if self._kept is None:
            self._opened().add(_split([document]))
        else:
            self._kept.append(document)

    def _indexed(self) -> Index:
        with self._lock:
            self.read()
            if self._index is None:
                self._opened().add(_split(self._kept or ()))
            return self._opened()

    def _opened(self) -> Index:
        if self._index is None:
            # SQLite takes 10 ms to import.
            from sm_ask.qa.index import Index

            self._index = Index()
        return self._index


def _split(documents: Iterable[Document], size: int | None = None) -> Iterator[Passage]:
    # A document that fits is not split.
    from sm_ask.qa.splitting import SIZE, split

    return (passage for document in documents for passage in split(document, size or SIZE))
