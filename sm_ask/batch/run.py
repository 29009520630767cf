"""Rows → outcomes, as many at once as there are workers."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from sm_ask.ask import Pause
from sm_ask.batch.crew import Crew
from sm_ask.batch.pace import Gate, Pace, Place, StoppedError, is_refusal
from sm_ask.batch.record import Outcome
from sm_ask.chat import Answer
from sm_ask.errors import InputError, SmAskError, UnusableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sm_ask.batch.rows import Row
    from sm_ask.batch.shelf import Shelf
    from sm_ask.chat import Request
    from sm_ask.connection import Connection


def outcomes(
    rows: Iterable[Row],
    connection: Connection,
    *,
    workers: int = 8,
    rate: float | None = None,
    shelf: Shelf | None = None,
) -> Iterator[Outcome]:
    """Ask rows and yield their outcomes as they come; the caller's pace holds the workers back.

    The connection has room for so many ``workers`` (``Setup.connections``). Rows that name documents need a shelf that
    has them. Closing the iterator ends the asking.
    """
    pace = Pace(workers, rate)
    brought: SimpleQueue[list[Outcome]] = SimpleQueue()
    taken = threading.Semaphore(0)

    def hand_over(group: list[Outcome]) -> None:
        brought.put(group)
        taken.acquire()

    crew = Crew(rows, Asker(connection, pace, shelf).ask, hand_over, pace, over=lambda: brought.put([]))
    try:
        crew.start(workers)
        while group := brought.get():
            # Whoever takes the outcomes sees for himself whether all are refused.
            pace.forgive(sum(is_refusal(outcome.result) for outcome in group))
            yield from group
            taken.release()
    finally:
        crew.close()
        taken.release()
    crew.raise_failure()


class Asker:
    """Asks one row after the other over a connection, at a pace; shared by threads."""

    def __init__(self, connection: Connection, pace: Pace, shelf: Shelf | None = None) -> None:
        """Let everything that is sent over the connection keep to the pace; the shelf has the rows' documents."""
        self._pace = pace
        self._shelf = shelf
        self._connection = connection._replace(gate=lambda inner: Gate(inner, pace))

    def ask(self, row: Row) -> Outcome:
        """Give what became of a row; StoppedError where the end came first."""
        if row.fault is not None:
            return Outcome(row, row.fault)
        try:
            if row.docs:
                return self._grounded(row)
            return Outcome(row, self._answer(row.request, self._connection))
        except StoppedError:
            raise
        except SmAskError as error:
            return Outcome(row, error)

    def _grounded(self, row: Row) -> Outcome:
        if self._shelf is None:
            raise InputError("there is no folder that the documents could be in")
        place = Place()
        connection = self._connection._replace(gate=lambda inner: Gate(inner, self._pace, place))
        found = self._shelf.answer(row, lambda request: self._answer(request, connection))
        return Outcome(row, found.answer, found.sources)

    def _answer(self, request: Request, connection: Connection) -> Answer:
        for event in connection.ask(request):
            if isinstance(event, Answer):
                return event
            # A pause tells of itself each second.
            if isinstance(event, Pause) and self._pace.stopped:
                raise StoppedError("the batch is ending")
        raise UnusableError("the question ended without an answer")
