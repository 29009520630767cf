"""Workers that ask one row after the other; none goes on before its last outcome was taken."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeAlias

from sm_ask.batch.pace import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sm_ask.batch.pace import Pace
    from sm_ask.batch.record import Outcome
    from sm_ask.batch.rows import Row

    #: Gives what became of a row; StoppedError where the end came first.
    Asking: TypeAlias = Callable[[Row], Outcome]


class Crew:
    """The workers of a run, each a thread.

    They bring outcomes to ``take`` themselves: one of them at a time, with those of all that wait for it, so that many
    share a write, and none waits for a thread that asks nothing. At most as many outcomes as there are workers are
    ever not taken. ``over`` is called when the last worker has ended, or ``take`` has failed.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        ask: Asking,
        take: Callable[[list[Outcome]], None],
        pace: Pace,
        over: Callable[[], None],
    ) -> None:
        """Share the rows."""
        self._rows = iter(rows)
        self._reading = threading.Lock()
        self._ask = ask
        self._take = take
        self._pace = pace
        self._over = over
        self._left = 0
        self._closed = False
        self._failure: BaseException | None = None
        #: Guards what follows; held for moments alone.
        self._changed = threading.Condition()
        self._waiting: list[Outcome] = []
        self._taking = False
        #: How many outcomes were brought so far, and how many of them are taken.
        self._brought = self._taken = 0

    def start(self, workers: int) -> None:
        """Let so many begin; they are daemons, so that what is under way does not hold up the end."""
        self._left = workers
        for _ in range(workers):
            threading.Thread(target=self._work, daemon=True).start()

    def close(self, patience: float = 0.0) -> list[Outcome] | None:
        """Have nothing asked and nothing taken any more; give the outcomes that wait.

        Waits so many seconds for what is being taken, and gives None where that was too short.
        """
        self._pace.stopped = True
        with self._changed:
            self._closed = True
            if not self._changed.wait_for(lambda: not self._taking, patience):
                return None
            waiting, self._waiting = self._waiting, []
            return waiting

    def raise_failure(self) -> None:
        """Raise what the reading of the rows, the asking or the taking has failed with, if any has."""
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while not self._pace.stopped and (row := self._next()) is not None:
                self._bring(self._ask(row))
        except StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raise_failure has it in the caller's thread
            self._failure = self._failure or error
            self._pace.stopped = True
        with self._changed:
            self._left -= 1
            over = self._closed or self._left == 0
        if over:
            self._over()

    def _next(self) -> Row | None:
        with self._reading:
            return next(self._rows, None)

    def _bring(self, outcome: Outcome) -> None:
        """Have an outcome taken: by another worker, or with all that wait."""
        with self._changed:
            self._waiting.append(outcome)
            self._brought = number = self._brought + 1
            self._changed.wait_for(lambda: self._taken >= number or not self._taking)
            if self._closed or self._taken >= number:
                return
            self._taking = True
            group, self._waiting = self._waiting, []
            last = self._brought
        failed = True
        try:
            self._take(group)
            failed = False
        finally:
            with self._changed:
                if failed:
                    # Nothing could be taken after this, so nothing is asked, either.
                    self._closed = self._pace.stopped = True
                self._taking = False
                self._taken = last
                self._changed.notify_all()
