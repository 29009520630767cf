"""Ids and a number for each, in sixteen bytes a row: a million rows are to fit into any machine."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUCKETS = 256


def mark(name: str | int) -> int:
    """Give the 64 bits that stand for an id; the text "1" is another id than the number 1."""
    kind = b"#" if isinstance(name, int) else b'"'
    text = str(name).encode(errors="surrogatepass")
    return int.from_bytes(blake2b(kind + text, digest_size=8).digest(), "big")


class Index:
    """Numbers of 64 bits under ids: added in any order, sealed, then looked up."""

    def __init__(self) -> None:
        """Begin empty."""
        self._marks = [array("Q") for _ in range(_BUCKETS)]
        self._numbers = [array("Q") for _ in range(_BUCKETS)]

    def add(self, name: str | int, number: int) -> None:
        """Add an id."""
        key = mark(name)
        self._marks[key >> 56].append(key)
        self._numbers[key >> 56].append(number)

    def seal(self) -> None:
        """Sort them, bucket by bucket, so that the sorting needs little memory."""
        for bucket, keys in enumerate(self._marks):
            numbers = self._numbers[bucket]
            # Of equal ids the first added stays the first.
            order = sorted(range(len(keys)), key=keys.__getitem__)
            self._marks[bucket] = array("Q", map(keys.__getitem__, order))
            self._numbers[bucket] = array("Q", map(numbers.__getitem__, order))

    def __len__(self) -> int:
        """Count the ids."""
        return sum(map(len, self._marks))

    def twins(self) -> Iterator[tuple[int, int]]:
        """Yield the numbers of ids that were added twice, in pairs."""
        for keys, numbers in zip(self._marks, self._numbers, strict=True):
            for at in range(1, len(keys)):
                if keys[at] == keys[at - 1]:
                    yield numbers[at - 1], numbers[at]

    def find(self, name: str | int) -> int | None:
        """Give an id's number; None where it was not added."""
        key = mark(name)
        at = self._place(key)
        return None if at is None else self._numbers[key >> 56][at]

    def change(self, name: str | int, number: int) -> None:
        """Put another number under an id."""
        key = mark(name)
        at = self._place(key)
        if at is None:
            raise KeyError(name)
        self._numbers[key >> 56][at] = number

    def _place(self, key: int) -> int | None:
        keys = self._marks[key >> 56]
        at = bisect_left(keys, key)
        return at if at < len(keys) and keys[at] == key else None
