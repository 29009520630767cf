"""How fast a batch asks: at most so many requests at once, fewer where the endpoint throttles, none after the end."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from sm_ask.errors import ModelError, NetworkError, RefusedError, SmAskError, TemporaryError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_ask.ask import Reply, Transport

#: Seconds after which whoever waits looks whether the end has come; a signal's handler may wake nobody.
_LOOK = 0.1
_LONGEST_HOLD = 60.0
#: Failures that may be every row's.
SUSPECT = (RefusedError, NetworkError)


def is_refusal(error: object) -> bool:
    """Tell a failure that may be every row's, and that no other try will mend."""
    return isinstance(error, SUSPECT) and not error.retryable


class StoppedError(SmAskError):
    """The batch is ending, and the request was not sent; nobody is told of it."""


class Place:
    """What a row's requests keep of the ceiling while an endpoint refuses: one place, however many they are."""

    kept = False


class Pace:
    """How many requests may be under way, and when the next one may begin; shared by threads.

    The limit is halved by a throttled request, once for all that were under way with it, and grows by one for each
    round of good ones, up to the ceiling. ``rate`` is the most requests in a second.

    Until an endpoint has answered for the first time, a row whose request is refused keeps its place, so that no more
    of them than the ceiling come to a refusal that all would share.
    """

    def __init__(self, ceiling: int, rate: float | None = None) -> None:
        """Begin at the ceiling."""
        self.ceiling = ceiling
        self.limit = float(ceiling)
        self.under_way = 0
        #: Set by anyone, also by a signal's handler: nothing is sent from then on.
        self.stopped = False
        self._reached = False
        self._refused = 0
        self._interval = 1 / rate if rate else 0.0
        self._next = 0.0
        self._closed_until = 0.0
        self._halved = 0.0
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting = 0

    def enter(self, deadline: float) -> float:
        """Wait for one's turn, and give the time it came; StoppedError after the end.

        ThrottledError where the turn does not come before the deadline, as then the request was not sent either.
        """
        with self._lock:
            while not self.stopped:
                now = time.monotonic()
                if now >= deadline:
                    raise ThrottledError("its time was over before its turn came", hint="--timeout sets the time")
                wait = self._wait(now)
                if wait <= 0:
                    self.under_way += 1
                    self._next = max(self._next, now) + self._interval
                    return now
                self._waiting += 1
                self._changed.wait(min(wait, _LOOK, deadline - now))
                self._waiting -= 1
        raise StoppedError("the batch is ending")

    def _wait(self, now: float) -> float:
        if self.under_way >= max(1, int(self.limit)) or self.under_way + self._refused >= self.ceiling:
            return _LOOK
        return max(self._next, self._closed_until) - now

    def leave(self, began: float, error: SmAskError | None, place: Place) -> None:
        """Say that a request that began then, of the row with that place, has come to its end."""
        with self._lock:
            self.under_way -= 1
            if isinstance(error, TemporaryError) and not error.maybe_charged:
                self._slow_down(began, error)
            elif error is None or isinstance(error, ModelError):
                self._reached, self._refused = True, 0
                self.limit = min(self.ceiling, self.limit + 1 / self.limit)
            elif is_refusal(error) and not (self._reached or place.kept):
                place.kept = True
                self._refused += 1
            if self._waiting:
                self._changed.notify()

    def forgive(self, rows: int) -> None:
        """Give back the places of so many refused rows, whose refusal was their own."""
        with self._lock:
            self._refused = max(0, self._refused - rows)
            self._changed.notify_all()

    def _slow_down(self, began: float, error: TemporaryError) -> None:
        now = time.monotonic()
        if began >= self._halved:
            self.limit, self._halved = max(1.0, self.limit / 2), now
        if error.retry_after:
            self._closed_until = max(self._closed_until, now + min(error.retry_after, _LONGEST_HOLD))


class Gate:
    """A transport that sends when its pace lets it."""

    def __init__(self, inner: Transport, pace: Pace, place: Place | None = None) -> None:
        """Stand before a transport; the requests of a row that has several share its place."""
        self._inner = inner
        self._pace = pace
        self._place = place or Place()

    def send(self, body: bytes, *, content_type: str, accept: str, stream: bool, deadline: float) -> Reply:
        """Wait, and send it once."""
        began = self._pace.enter(deadline)
        try:
            reply = self._inner.send(body, content_type=content_type, accept=accept, stream=stream, deadline=deadline)
        except SmAskError as error:
            self._pace.leave(began, error, self._place)
            raise
        return _Held(reply, self._pace, began, self._place)


class _Held:
    """A response whose request counts as under way until it is closed."""

    def __init__(self, reply: Reply, pace: Pace, began: float, place: Place) -> None:
        self._reply = reply
        self._pace = pace
        self._began = began
        self._place = place

    @property
    def chunks(self) -> Iterator[bytes]:
        return self._reply.chunks

    @property
    def request_id(self) -> str | None:
        return self._reply.request_id

    @property
    def variant(self) -> str | None:
        return self._reply.variant

    def finish(self) -> None:
        self._reply.finish()

    def close(self) -> None:
        self._reply.close()
        self._pace.leave(self._began, None, self._place)
