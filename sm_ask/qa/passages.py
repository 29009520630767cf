"""The vocabulary of passages: a piece of a document that knows where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sm_ask.chat import Source

if TYPE_CHECKING:
    from sm_ask.documents import Document


class Passage(NamedTuple):
    """A piece of a document: its text as it stands there, and between which lines or on which page that is.

    Without either it is a whole document. The title is what one has to know to read it: the headings above it, or the
    first row of a table.
    """

    path: str
    text: str
    lines: tuple[int, int] | None = None
    page: int | None = None
    title: str = ""

    @property
    def place(self) -> str:
        """Name the passage on one line; a file's name may hold bytes that are no text."""
        path = " ".join(self.path.split()).encode(errors="backslashreplace").decode()
        if self.page is not None:
            return f"{path} page {self.page}"
        if self.lines is None:
            return path
        first, last = self.lines
        return f"{path}:{first}" if first == last else f"{path}:{first}-{last}"

    def source(self, *, cited: bool | None = None, quote: str | None = None) -> Source:
        """Give the place as a source of an answer."""
        return Source(self.path, self.lines, self.page, cited, quote)


def whole(document: Document) -> Passage:
    """Take a document as one passage."""
    return Passage(document.path, document.text, page=document.page)
