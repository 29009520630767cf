"""The kinds of files: which reader gives a file's documents, decided by its bytes before its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_ask.documents.document import Document
from sm_ask.documents.text import decode, filled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: How much of a file tells its kind; readers of PDF look as far.
HEAD = 1024
#: A longer text is read in parts of this size.
PART = 8 * 1024 * 1024


def parse(data: bytes, name: str, encoding: str | None = None) -> Iterator[Document]:
    """Yield the documents of a file's bytes; InputError where they are none, or hold no text."""
    reader = _reader(data[:HEAD], name)
    if reader is None:
        yield Document(name, filled(decode(data, name, encoding), name))
    else:
        yield from reader(data, name, encoding)


def in_parts(head: bytes, name: str) -> bool:
    """Tell whether a file that begins so can be read part by part: text in UTF-8, as far as one sees."""
    return _reader(head, name) is None and b"\0" not in head


def parts(pieces: Iterable[bytes], name: str) -> Iterator[Document]:
    """Yield the parts of a text in UTF-8, cut where a line ends."""
    raise NotImplementedError


def _reader(head: bytes, name: str) -> Callable[[bytes, str, str | None], Iterator[Document]] | None:
    del head, name
    return None
