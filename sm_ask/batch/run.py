"""Rows → outcomes: several workers ask, and none goes on before its last outcome was taken care of."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sm_ask.ask import Pause
from sm_ask.batch.pace import Gate, Pace, StoppedError, is_refusal
from sm_ask.batch.record import Outcome
from sm_ask.chat import Answer
from sm_ask.errors import InputError, SmAskError, UnusableError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from sm_ask.batch.rows import Row
    from sm_ask.batch.shelf import Shelf
    from sm_ask.chat import Request
    from sm_ask.connection import Connection

    #: Gives what became of a row; StoppedError where the end came first.
    Asking: TypeAlias = "Callable[[Row], Outcome]"

#: Seconds after which a worker that waits looks whether there is anything to wait for.
_LOOK = 1.0


class _Done(NamedTuple):
    """An outcome, and what lets its worker go on."""

    outcome: Outcome
    worker: threading.Lock


class _Ended(NamedTuple):
    """A worker has ended, and by what, if it was not the end of the rows."""

    error: BaseException | None


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
    for group in groups(rows, Asker(connection, pace, shelf).ask, pace, workers):
        # Whoever takes the outcomes sees for himself whether all are refused.
        pace.forgive(sum(is_refusal(outcome.result) for outcome in group))
        yield from group


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
            return Outcome(row, self._answer(row.request))
        except StoppedError:
            raise
        except SmAskError as error:
            return Outcome(row, error)

    def _grounded(self, row: Row) -> Outcome:
        if self._shelf is None:
            raise InputError("there is no folder that the documents could be in")
        found = self._shelf.answer(row, self._answer)
        return Outcome(row, found.answer, found.sources)

    def _answer(self, request: Request) -> Answer:
        for event in self._connection.ask(request):
            if isinstance(event, Answer):
                return event
            # A pause tells of itself each second.
            if isinstance(event, Pause) and self._pace.stopped:
                raise StoppedError("the batch is ending")
        raise UnusableError("the question ended without an answer")


def groups(
    rows: Iterable[Row], ask: Asking, pace: Pace, workers: int, tick: float | None = None
) -> Generator[list[Outcome], None, None]:
    """Yield the outcomes that are there, all at once; an empty group after ``tick`` seconds without one.

    A worker goes on when the next group is asked for: until then its outcome may be written. So no more answers than
    there are workers are ever unwritten. Nothing is asked after the iterator is closed, nor after a worker, or the
    reading of the rows, has failed; that is raised when all that was under way has come in.
    """
    done: SimpleQueue[_Done | _Ended] = SimpleQueue()
    supply = _Supply(rows)
    for _ in range(workers):
        # A daemon, so that what is under way does not hold up the end.
        threading.Thread(target=_work, args=(supply, ask, pace, done), daemon=True).start()
    left = workers
    failure: BaseException | None = None
    try:
        while left:
            found = _taken(done, tick)
            yield [one.outcome for one in found if isinstance(one, _Done)]
            for one in found:
                if isinstance(one, _Done):
                    one.worker.release()
                else:
                    left -= 1
                    failure = failure or one.error
                    pace.stopped = pace.stopped or failure is not None
    finally:
        pace.stopped = supply.closed = True
    if failure is not None:
        raise failure


def _taken(done: SimpleQueue[_Done | _Ended], tick: float | None) -> list[_Done | _Ended]:
    """Wait for the first, and take all that are there."""
    found: list[_Done | _Ended] = []
    try:
        found.append(done.get(timeout=tick))
        while True:
            found.append(done.get_nowait())
    except Empty:
        return found


class _Supply:
    """Gives each worker the next row, until nobody takes outcomes any more."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.closed = False
        self._rows = iter(rows)
        self._lock = threading.Lock()

    def next(self) -> Row | None:
        with self._lock:
            return next(self._rows, None)


def _work(supply: _Supply, ask: Asking, pace: Pace, done: SimpleQueue[_Done | _Ended]) -> None:
    worker = threading.Lock()
    worker.acquire()
    failure: BaseException | None = None
    try:
        while not pace.stopped and (row := supply.next()) is not None:
            done.put(_Done(ask(row), worker))
            while not worker.acquire(timeout=_LOOK) and not supply.closed:
                pass
    except StoppedError:
        pass
    except BaseException as error:  # noqa: BLE001 - it is raised where the outcomes are taken
        failure = error
    done.put(_Ended(failure))
