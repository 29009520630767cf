"""The vocabulary of documents: a text, and where each of its lines is from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Document(NamedTuple):
    """A text and where it is from: a whole file, one of its pages or sheets, or a part of a long one.

    It has the attributes of LangChain's documents, ``page_content`` and ``metadata``, too.
    """

    path: str
    text: str
    #: The page, counted from 1, where the file has pages.
    page: int | None = None
    #: The file's number of the text's first line.
    first_line: int = 1
    #: The file's number of each line of the text, where a reader left lines out or joined them.
    numbers: Sequence[int] | None = None

    @property
    def page_content(self) -> str:
        """The text."""
        return self.text

    @property
    def metadata(self) -> dict[str, Any]:
        """Where the text is from: ``source``, and ``page`` where there is one."""
        return {"source": self.path} if self.page is None else {"source": self.path, "page": self.page}

    def lines(self, first: int, last: int) -> tuple[int, int] | None:
        """Give the file's numbers of two lines of the text, themselves counted from 0; None in a file with pages."""
        if self.page is not None:
            return None
        if self.numbers is not None:
            return self.numbers[first], self.numbers[last]
        return self.first_line + first, self.first_line + last
