"""Passages, searchable by their words: SQLite's FTS5, which ranks by BM25."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from typing import TYPE_CHECKING

from sm_ask.errors import ConfigError
from sm_ask.qa.passages import Passage
from sm_ask.qa.splitting import is_prose
from sm_ask.qa.words import apart, spoken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CACHE_KB = 64 * 1024
#: Where a passage is from says a little of what it is about.
_WEIGHTS = "0.5, 1.0"
_AT_ONCE = 200

_TABLE = """
CREATE TABLE passages (id INTEGER PRIMARY KEY, path BLOB, text BLOB, first INTEGER, last INTEGER, page INTEGER,
                       title BLOB)"""
_WORDS = "CREATE VIRTUAL TABLE words USING fts5(head, body, content='', tokenize='porter unicode61')"
_ADD = "INSERT INTO passages (path, text, first, last, page, title) VALUES (?, ?, ?, ?, ?, ?)"
_ADD_WORDS = "INSERT INTO words (rowid, head, body) VALUES (?, ?, ?)"
# Where a passage is from says a little of what it is about.
_SEARCH = """
SELECT id, path, text, first, last, page, title, bm25(words, 0.5, 1.0) AS score
FROM words JOIN passages ON passages.id = words.rowid WHERE words MATCH ? ORDER BY score, words.rowid LIMIT ?"""
_HOLDS = "SELECT 1 FROM words WHERE words MATCH ? LIMIT 1"
_AFTER = "SELECT id, path, text, first, last, page, title FROM passages WHERE id > ? ORDER BY id LIMIT ?"


class Index:
    """Passages in a database of their own, which ends with this object.

    It lies in memory; what is beyond 64 MB SQLite puts into a temporary file that has no name. Safe to share between
    threads.
    """

    def __init__(self) -> None:
        """Begin with no passage; ConfigError where this Python's SQLite cannot search texts."""
        self._lock = threading.Lock()
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        # Python complains of connections that are left to the garbage collection.
        weakref.finalize(self, self._database.close)
        for setting in (f"cache_size = -{_CACHE_KB}", "journal_mode = OFF", "synchronous = OFF"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute(_TABLE)
        try:
            self._database.execute(_WORDS)
        except sqlite3.OperationalError as error:
            hint = "--chain map-reduce reads documents without searching them"
            raise ConfigError(f"the SQLite of this Python cannot search texts: {error}", hint=hint) from error

    def add(self, passages: Iterable[Passage]) -> None:
        """Take passages, which keep their order."""
        with self._lock:
            self._database.execute("BEGIN")
            for passage in passages:
                first, last = passage.lines or (None, None)
                row = (_bytes(passage.path), _bytes(passage.text), first, last, passage.page, _bytes(passage.title))
                number = self._database.execute(_ADD, row).lastrowid
                self._database.execute(_ADD_WORDS, (number, *_words(passage)))
            self._database.execute("COMMIT")

    def search(self, terms: Iterable[str], limit: int, share: float = 0.0) -> list[Passage]:
        """Give the passages that hold any of the terms, the best one first, and those with a share of its score."""
        query = " OR ".join(f'"{term}"' for term in terms)
        if not query:
            return []
        with self._lock:
            rows = self._database.execute(_SEARCH, (query, limit)).fetchall()
        # SQLite's scores are below zero, the best one the lowest.
        return [_passage(row[:-1]) for row in rows if row[-1] <= rows[0][-1] * share]

    def holds(self, term: str) -> bool:
        """Tell whether a word stands in any passage, in whatever form."""
        with self._lock:
            return self._database.execute(_HOLDS, (f'body : "{term}"',)).fetchone() is not None

    def __iter__(self) -> Iterator[Passage]:
        """Yield all passages in their order."""
        last = 0
        while True:
            with self._lock:
                rows = self._database.execute(_AFTER, (last, _AT_ONCE)).fetchall()
            if not rows:
                return
            yield from map(_passage, rows)
            last = rows[-1][0]


def _words(passage: Passage) -> tuple[str, str]:
    """Give what is searched of a passage: where it is from, and its text."""
    head, body = _searchable(f"{passage.path} {passage.title}"), _searchable(passage.text)
    names = body if is_prose(passage.path) else spoken(body)
    return head, body if names == body else f"{body} {names}"


def _searchable(text: str) -> str:
    return text if text.isascii() else apart(text.encode(errors="replace").decode())


# Bytes, as a file's name may hold what is no text.
def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _passage(row: tuple[int, bytes, bytes, int | None, int | None, int | None, bytes]) -> Passage:
    _, path, text, first, last, page, title = row
    lines = None if first is None or last is None else (first, last)
    return Passage(_text(path), _text(text), lines, page, _text(title))


def _text(data: bytes) -> str:
    return data.decode(errors="surrogatepass")
