"""The reading of a response: its bytes as they come, whole and in time, or an error that says why not."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from sm_ask.aws.deadlines import Deadlines
from sm_ask.aws.failures import translated
from sm_ask.errors import ConnectionLostError, IncompleteError, NetworkError, TimedOutError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from urllib3.response import HTTPResponse

_CHUNK = 65536
_DEADLINES = Deadlines()
#: The length of a body that says nothing of it.
UNKNOWN = -1


class Clock(NamedTuple):
    """When an answer is late: at its deadline, or when nothing came for too long."""

    deadline: float
    patience: float
    started: float

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Say of an error inside the block which time ran out, as neither a closed socket nor a timeout can tell."""
        try:
            yield
        except (TimedOutError, IncompleteError, ConnectionLostError) as error:
            if isinstance(error.__cause__, ClientError):
                raise
            if time.monotonic() >= self.deadline:
                seconds = self.deadline - self.started
                hint = "--timeout sets it; the model may have run and been charged"
                raise TimedOutError(f"the answer was not whole after {round(seconds, 1):g} s", hint=hint) from error
            if isinstance(error, TimedOutError):
                hint = "it may have run and been charged; --idle-timeout sets how long to wait for a byte"
                raise TimedOutError(f"nothing came for {self.patience:.3g} s", hint=hint) from error
            raise


def length(headers: Mapping[str, str]) -> int | None:
    """Give the body's length, None if it is chunked, and UNKNOWN without either, as after a cut in the headers."""
    found = headers.get("content-length", "")
    if found.isdecimal():
        return int(found)
    return None if headers.get("transfer-encoding", "").lower() == "chunked" else UNKNOWN


def chunks(raw: HTTPResponse, expected: int | None, clock: Clock) -> Iterator[bytes]:
    """Yield the body as it arrives; ends the read at the deadline, and checks the length."""
    read = 0
    with _DEADLINES.held(raw, clock.deadline):
        for chunk in _translated_reads(raw, clock):
            read += len(chunk)
            yield chunk
        with clock.explained():
            if expected == UNKNOWN:
                raise IncompleteError("the response says neither its length nor that it is chunked; it may be cut")
            if expected is not None and read != expected:
                raise IncompleteError(f"the response has {read:,} of {expected:,} bytes")


def _translated_reads(raw: HTTPResponse, clock: Clock) -> Iterator[bytes]:
    with clock.explained(), _begun(), translated(bad_value=IncompleteError):
        while chunk := raw.read1(_CHUNK):
            yield chunk


@contextlib.contextmanager
def _begun() -> Iterator[None]:
    """Take a connection that breaks inside the block for a cut: the answer has begun."""
    try:
        yield
    except (ConnectionLostError, NetworkError) as error:
        raise IncompleteError(f"the connection broke in mid-answer: {error.message}") from error
