"""Workers that ask one row after the other, and go on when what became of the last one was taken care of."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from sm_ask.batch.pace import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sm_ask.batch.pace import Pace
    from sm_ask.batch.record import Outcome
    from sm_ask.batch.rows import Row

    #: Gives what became of a row; StoppedError where the end came first.
    Asking: TypeAlias = Callable[[Row], Outcome]
    #: Takes care of outcomes: all that there are at the moment.
    Taking: TypeAlias = Callable[[list[Outcome]], None]


class Crew:
    """The workers of a run, each a thread.

    One of them takes care of the outcomes of all that wait for it, so that many share a write, and none waits for a
    thread that asks nothing. No more answers than there are workers are ever not taken care of.
    """

    def __init__(self, rows: Iterable[Row], ask: Asking, take: Taking, pace: Pace) -> None:
        """Share the rows; ``take`` is called by one worker at a time, and at the end of each with no outcomes."""
        self.left = 0
        #: Held while outcomes are taken care of.
        self.turn = threading.Lock()
        self._rows = iter(rows)
        self._reading = threading.Lock()
        self._ask = ask
        self._take = take
        self._pace = pace
        self._brought: deque[Outcome] = deque()
        self._closed = False
        self._failure: BaseException | None = None
        self._over = threading.Event()

    def start(self, workers: int) -> None:
        """Let them begin; they are daemons, so that what is under way does not hold up the end."""
        self.left = workers
        for _ in range(workers):
            threading.Thread(target=self._work, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait for the last of them, or for a failure to take care of outcomes; tells whether it came."""
        return self._over.wait(seconds)

    def close(self) -> None:
        """Have nothing asked, and, once ``turn`` was free, nothing taken care of any more."""
        self._closed = self._pace.stopped = True

    def check(self) -> None:
        """Raise what a worker, or the reading of the rows, has failed with."""
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while not self._pace.stopped and (row := self._next()) is not None:
                self._brought.append(self._ask(row))
                self._settle()
        except StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised where the run was begun
            self._failure = self._failure or error
            self._pace.stopped = True
        with self.turn:
            self.left -= 1
        self._settle(ends=True)
        if not self.left:
            self._over.set()

    def _next(self) -> Row | None:
        with self._reading:
            return next(self._rows, None)

    def _settle(self, *, ends: bool = False) -> None:
        """Take care of what was brought, unless another worker has done so meanwhile."""
        with self.turn:
            group = [self._brought.popleft() for _ in range(len(self._brought))]
            if self._closed or not (group or ends):
                return
            try:
                self._take(group)
            except BaseException as error:  # noqa: BLE001 - likewise
                self._failure = self._failure or error
                self.close()
                self._over.set()
