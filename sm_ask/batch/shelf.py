"""The documents that rows name: all below one folder, and each set read once for rows that follow each other."""

from __future__ import annotations

import functools
import os
from hashlib import blake2b
from typing import TYPE_CHECKING

from sm_ask import documents, qa
from sm_ask.batch.rows import digest
from sm_ask.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_ask.batch.rows import Row
    from sm_ask.chat import Answer, Request

#: How many sets of documents are kept, and of how many files is known what they hold.
_SETS = 16
_FILES = 4096


class Shelf:
    """Documents below a folder, asked as ``settings`` say; shared by threads."""

    def __init__(self, root: str | None, settings: qa.Settings | None = None) -> None:
        """Take the folder; without one, no row may name documents."""
        self._root = root
        self._settings = settings or qa.Settings()
        self._library = functools.lru_cache(_SETS)(self._read)
        self._digest = functools.lru_cache(_FILES)(_content)

    def keyed(self, row: Row) -> Row:
        """Give a row whose key hangs on what its documents hold; InputError where they cannot be read."""
        if not row.docs:
            return row
        held = [self._digest(path, *_state(path)) for path in map(self._below, row.docs)]
        return row._replace(key=digest([row.key, held]))

    def answer(self, row: Row, ask: Callable[[Request], Answer]) -> qa.Grounded:
        """Answer a row's question from its documents."""
        return qa.answer(row.messages[-1].content, self._library(row.docs), self._as_asked(row), ask)

    def first(self, row: Row) -> Request:
        """Give the first request that a row takes."""
        if not row.docs:
            return row.request
        plan = qa.plan(row.messages[-1].content, self._library(row.docs), self._as_asked(row))
        return row.request._replace(messages=plan.calls[0].messages)

    def _as_asked(self, row: Row) -> qa.Settings:
        system = "\n\n".join(message.content for message in row.messages[:-1]) or None
        return self._settings._replace(system=system, params=row.params, stream=row.stream)

    def _below(self, path: str) -> str:
        if self._root is None:
            raise InputError("it names documents", hint="--docs-root names the folder that they are to be below")
        return documents.below(self._root, path)

    def _read(self, paths: tuple[str, ...]) -> qa.Library:
        found = [(path, documents.read(self._below(path))) for path in paths]
        return qa.Library([document._replace(path=path) for path, parts in found for document in parts])


def _state(path: str) -> tuple[int, int]:
    try:
        known = os.stat(path)
    except OSError as error:
        raise InputError(f"{path!r} cannot be read: {error.strerror}") from error
    return known.st_size, known.st_mtime_ns


def _content(path: str, size: int, changed: int) -> str:
    """Give a digest of what a file holds; its size and time are there so that one that changes is read again."""
    del size, changed
    found = blake2b(digest_size=16)
    for document in documents.read(path):
        found.update(document.text.encode(errors="surrogatepass"))
    return found.hexdigest()
