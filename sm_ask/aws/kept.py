"""What was found out about an endpoint, kept for a day, so that a known endpoint costs no call that describes it."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask import __version__
from sm_ask.aws import owner, settings
from sm_ask.aws.cache import Cache, location
from sm_ask.aws.loader import CONTROL

if TYPE_CHECKING:
    from sm_ask.aws.runtime import Target
    from sm_ask.aws.session import Entry

_DAY = dt.timedelta(days=1)
_FIELDS = frozenset({"preset", "reason", "context_window", "expiry_time"})


class Kept(NamedTuple):
    """The preset that speaks to an endpoint, why, and how many tokens its model takes."""

    preset: str
    reason: str
    context_window: int | None


class Shelf(NamedTuple):
    """The place of one endpoint's entry."""

    cache: Cache
    key: list[Any]

    def get(self) -> Kept | None:
        """Give the entry; nothing where there is none, or where it is damaged or older than a day."""
        found = self.cache.get(self.key)
        if found is None:
            return None
        left = dt.datetime.fromisoformat(found["expiry_time"]) - _now()
        window = found["context_window"]
        if not dt.timedelta() < left <= _DAY or not (window == "" or window.isdecimal()):
            return None
        return Kept(found["preset"], found["reason"], int(window) if window else None)

    def put(self, kept: Kept) -> None:
        """Keep the entry for a day."""
        window = "" if kept.context_window is None else str(kept.context_window)
        thing = {"preset": kept.preset, "reason": kept.reason, "context_window": window}
        self.cache.put(self.key, {**thing, "expiry_time": (_now() + _DAY).isoformat()})

    def drop(self) -> None:
        """Forget the entry."""
        self.cache.drop(self.key)


def shelf(entry: Entry, target: Target) -> Shelf | None:
    """Find the endpoint's place; none where nothing is to be kept, or nothing tells whose endpoint it is."""
    folder = location(os.environ, name="endpoints") if entry.access.cache else None
    whose = owner.of(entry) if folder else None
    if folder is None or whose is None:
        return None
    address = settings.endpoint(entry.session, CONTROL)
    where = [__version__, whose, entry.region.value, address.value if address else None]
    which = [target.endpoint, target.inference_component, target.variant, target.model, target.container]
    return Shelf(Cache(folder, _FIELDS), [*where, *which])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)
