"""Input order: of outcomes on their way into a pipe, and of the rows in an output that is whole."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

from sm_ask.batch.index import Index
from sm_ask.batch.record import id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sm_ask.batch.journal import Journal
    from sm_ask.batch.pace import Pace
    from sm_ask.batch.record import Outcome
    from sm_ask.batch.rows import Row

#: How many rows may be under way or wait for an earlier one, for each worker.
_AHEAD = 8
_LOOK = 0.1
_USED = 1 << 63


class InOrder:
    """Gives outcomes in the order of their rows, and lets no worker run too far ahead of the slowest one."""

    def __init__(self) -> None:
        """Begin with the first row."""
        self._waiting: dict[int, Outcome] = {}
        self._taken: list[int] = []
        self._changed = threading.Condition()

    def ahead(self, rows: Iterable[Row], pace: Pace) -> Iterator[Row]:
        """Yield the rows, each when it is its turn to be asked."""
        for row in rows:
            with self._changed:
                while len(self._taken) >= _AHEAD * pace.ceiling and not pace.stopped:
                    self._changed.wait(_LOOK)
                self._taken.append(row.number)
            yield row

    def sorted(self, outcomes: Iterable[Outcome]) -> list[Outcome]:
        """Give those whose turn has come."""
        self._waiting.update((outcome.row.number, outcome) for outcome in outcomes)
        with self._changed:
            ready = list(itertools.takewhile(self._waiting.__contains__, self._taken))
            del self._taken[: len(ready)]
            self._changed.notify_all()
        return [self._waiting.pop(number) for number in ready]

    def rest(self) -> list[Outcome]:
        """Give those that wait for a row of which nothing has become."""
        return [self._waiting.pop(number) for number in self._taken if number in self._waiting]


def arrange(journal: Journal, rows: Iterable[Row]) -> None:
    """Put the rows of an output in the order of the input; those that it does not have come last."""
    places = Index()
    place = 0
    for data in journal.lines():
        places.add(id_of(data), place)
        place += len(data)
    places.seal()
    if not _is_arranged(places, rows):
        journal.replace(itertools.chain(journal.at(_used(places, rows)), _rest(journal, places)))


def _is_arranged(places: Index, rows: Iterable[Row]) -> bool:
    last = -1
    for row in rows:
        place = places.find(row.id)
        if place is not None and place < last:
            return False
        last = last if place is None else place
    return True


def _used(places: Index, rows: Iterable[Row]) -> Iterator[int]:
    for row in rows:
        place = places.find(row.id)
        if place is not None:
            places.change(row.id, place | _USED)
            yield place


def _rest(journal: Journal, places: Index) -> Iterator[bytes]:
    for data in journal.lines():
        if not (places.find(id_of(data)) or 0) & _USED:
            yield data
