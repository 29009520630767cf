"""Signals in two stages: the first ends what begins, the second ends what is under way."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from sm_ask.batch.pace import Pace

#: Seconds that whoever ends the process with SIGTERM or SIGHUP is ready to wait.
_GRACE = 10.0


class Stages:
    """While the context lasts, a first signal stops the pace; what is under way goes on to its end.

    A second SIGINT raises KeyboardInterrupt. After SIGTERM and SIGHUP there are ten seconds; another one changes
    nothing, as a terminal that closes may send several.
    """

    def __init__(self, pace: Pace) -> None:
        """Stop that pace."""
        self.number: int | None = None
        self._pace = pace
        self._deadline: float | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stages:  # noqa: PYI034 - Self is newer than Python 3.10
        """Take the signals that are not ignored, as nohup has them."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = self.number or number
        self._pace.stopped = True
        if number != signal.SIGINT:
            self._deadline = self._deadline or time.monotonic() + _GRACE

    @property
    def over(self) -> bool:
        """Tell whether the time for what is under way is over."""
        return self._deadline is not None and time.monotonic() >= self._deadline
