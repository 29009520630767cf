"""A clock that is wrong: AWS takes no signature that is more than a few minutes old, or not yet made."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOLERATED = 4 * 60


def difference(headers: Mapping[str, str]) -> str | None:
    """Say what the two clocks show, if the date of AWS's answer is far from this machine's."""
    import datetime as dt  # for a refusal alone
    from email.utils import parsedate_to_datetime

    now = dt.datetime.now(dt.timezone.utc)
    try:
        theirs = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError):
        return None
    if theirs.tzinfo is None or abs((theirs - now).total_seconds()) <= _TOLERATED:
        return None
    return f"the clock of this machine says {now:%Y-%m-%d %H:%M:%S} UTC, and AWS's says {theirs:%Y-%m-%d %H:%M:%S}"
