"""Ends the reading of responses at their deadlines: one thread looks after all of them."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3.response import HTTPResponse


class Deadlines:
    """The responses that are being read, and when each has to be whole; shared by threads.

    A timer for each would start a thread for each, which costs a tenth of a whole call.
    """

    def __init__(self) -> None:
        """Begin with nothing to look after; so does a process that is forked off, which inherits no thread."""
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._open: dict[HTTPResponse, float] = {}
        #: When the thread looks next; it is there once there has been a deadline to look after.
        self._looks = math.inf
        self._started = False

    @contextlib.contextmanager
    def held(self, raw: HTTPResponse, deadline: float) -> Iterator[None]:
        """Shut the response where it is still read at its deadline, a time.monotonic()."""
        with self._changed:
            self._open[raw] = deadline
            if not self._started:
                self._started = True
                threading.Thread(target=self._look, daemon=True).start()
            if deadline < self._looks:
                self._changed.notify()
        try:
            yield
        finally:
            # Without the lock: where a process ends, the thread may have been stopped with it in its hand.
            self._open.pop(raw, None)

    def _look(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for raw, deadline in list(self._open.items()):
                    if deadline <= now:
                        _shut(raw)
                self._looks = min((end for end in list(self._open.values()) if end > now), default=math.inf)
                self._changed.wait(None if self._looks == math.inf else self._looks - now)


def _shut(raw: HTTPResponse) -> None:
    try:
        raw.shutdown()
    except (ValueError, RuntimeError, OSError):
        # It has just ended by itself.
        return
