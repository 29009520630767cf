"""A whole run: outcomes are sifted, written and counted, until the rows or the time are over."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sm_ask.batch import record
from sm_ask.batch.breaker import Breaker
from sm_ask.batch.crew import Crew
from sm_ask.batch.pace import is_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sm_ask.batch.crew import Asking
    from sm_ask.batch.order import InOrder
    from sm_ask.batch.pace import Pace
    from sm_ask.batch.record import Outcome
    from sm_ask.batch.rows import Row
    from sm_ask.batch.tally import Tally
    from sm_ask.envelope import Asked
    from sm_ask.errors import SmAskError

#: Seconds between two looks of the watcher.
_TICK = 0.1
#: Seconds in which a row that is being written at the end has to be written.
_PATIENCE = 1.0


class Sink(Protocol):
    """Where rows are written."""

    def append(self, lines: Sequence[bytes]) -> None:
        """Write whole rows, which count from then on; raises OutputError."""


class Book(NamedTuple):
    """Where outcomes are written down, who was asked, the fingerprint of the run, and its numbers."""

    sink: Sink
    asked: Callable[[], Asked]
    run: str
    tally: Tally

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write outcomes, and count them once they are written."""
        if outcomes:
            asked = self.asked()
            self.sink.append([record.line(outcome, asked, self.run) for outcome in outcomes])
        for outcome in outcomes:
            self.tally.add(outcome)


def drive(
    rows: Iterable[Row],
    asking: Asking,
    pace: Pace,
    book: Book,
    watch: Callable[[], bool],
    *,
    order: InOrder | None = None,
) -> SmAskError | None:
    """Ask the rows and write what becomes of them; ``watch`` is called ten times in a second, and may end it.

    Gives the failure that every row would share, if one has ended the run; the rows that it met are not written.
    """
    breaker = Breaker(pace.ceiling)

    def take(group: list[Outcome]) -> None:
        own = breaker.sift(group)
        book.write(order.sorted(own) if order else own)
        pace.forgive(sum(is_refusal(outcome.result) for outcome in own))
        if breaker.error is not None:
            pace.stopped = True

    over = threading.Event()
    crew = Crew(order.ahead(rows, pace) if order else rows, asking, take, pace, over=over.set)
    try:
        crew.start(pace.ceiling)
        while not over.wait(_TICK):
            if not watch():
                break
    finally:
        waiting = crew.close(_PATIENCE)
    crew.raise_failure()
    if waiting is not None:
        take(waiting)
        rest = breaker.rest()
        book.write([*order.sorted(rest), *order.rest()] if order else rest)
    return breaker.error
