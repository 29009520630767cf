"""A clock that is wrong: AWS takes no signature that is more than a few minutes old, or not yet made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

_TOLERATED = 4 * 60


def difference(headers: Mapping[str, str]) -> str | None:
    """Say what the two clocks show, if the date of AWS's answer is far from this machine's."""
    moments = _moments(headers)
    return _told(*moments) if moments and abs(_seconds(*moments)) > _TOLERATED else None


class Watch:
    """Compares this machine's clock with the date of each answer of AWS, the last one's of those that had one."""

    def __init__(self) -> None:
        """Begin without any answer."""
        self._moments: tuple[dt.datetime, dt.datetime] | None = None

    def note(self, response_dict: Mapping[str, Any] | None = None, **_: object) -> None:
        """Take an answer; a handler of botocore's event response-received."""
        self._moments = _moments(response_dict["headers"] if response_dict else {}) or self._moments

    @property
    def off(self) -> float | None:
        """How many seconds this machine's clock is ahead; None where no answer has come."""
        return _seconds(*self._moments) if self._moments else None

    @property
    def wrong(self) -> str | None:
        """What the two clocks show, where they are too far apart."""
        return _told(*self._moments) if self._moments and abs(_seconds(*self._moments)) > _TOLERATED else None


def _moments(headers: Mapping[str, str]) -> tuple[dt.datetime, dt.datetime] | None:
    import datetime as dt  # for a refusal alone
    from email.utils import parsedate_to_datetime

    try:
        theirs = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError):
        return None
    return None if theirs.tzinfo is None else (dt.datetime.now(dt.timezone.utc), theirs)


def _seconds(ours: dt.datetime, theirs: dt.datetime) -> float:
    return (ours - theirs).total_seconds()


def _told(ours: dt.datetime, theirs: dt.datetime) -> str:
    return f"the clock of this machine says {ours:%Y-%m-%d %H:%M:%S} UTC, and AWS's says {theirs:%Y-%m-%d %H:%M:%S}"
