"""Tells a failure that is a row's own from one that every row would share, and that ends a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_ask.batch.pace import SUSPECT
from sm_ask.chat import Answer
from sm_ask.errors import ConfigError, CredentialsError, ModelError, NetworkError, SmAskError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_ask.batch.record import Outcome

_AT_ONCE = (ConfigError, CredentialsError)
#: A few rows that are refused alike among good ones may still be their own fault.
_FEWEST = 3


class Breaker:
    """Holds suspicious failures back until it is clear whose they are; nothing was paid for any of them.

    Credentials and configuration are the same for all rows. A refusal or a network that fails is taken for a shared
    one where as many rows as are asked at once fail alike, with no answer in between.
    """

    def __init__(self, workers: int) -> None:
        """Begin with nothing known."""
        self.error: SmAskError | None = None
        self._workers = workers
        self._reached = False
        self._held: list[Outcome] = []

    def sift(self, outcomes: Iterable[Outcome]) -> list[Outcome]:
        """Give the outcomes that are the rows' own; sets ``error`` where the batch has to end."""
        return [own for outcome in outcomes for own in self._judge(outcome)]

    def _judge(self, outcome: Outcome) -> list[Outcome]:
        result = outcome.result
        if isinstance(result, _AT_ONCE):
            return self._open(result)
        if isinstance(result, SUSPECT):
            return self._suspect(outcome, result)
        if isinstance(result, (Answer, ModelError)):
            self._reached = True
            return [*self._released(), outcome]
        return [outcome]

    def _suspect(self, outcome: Outcome, error: SmAskError) -> list[Outcome]:
        if self.error is not None:
            return []
        others = self._released() if self._held and not _alike(self._held[0].result, error) else []
        self._held.append(outcome)
        enough = max(self._workers, _FEWEST) if self._reached else self._workers
        return others + (self._open(error) if len(self._held) >= enough else [])

    def _open(self, error: SmAskError) -> list[Outcome]:
        self.error = self.error or error
        self._held.clear()
        return []

    def _released(self) -> list[Outcome]:
        held, self._held = self._held, []
        return held

    def rest(self) -> list[Outcome]:
        """Give what is held back at the end: the rows' own where the endpoint has answered any, else the batch's."""
        if self._held and not self._reached and isinstance(self._held[-1].result, SmAskError):
            return self._open(self._held[-1].result)
        return self._released()


def _alike(first: object, second: SmAskError) -> bool:
    """Tell whether two rows failed for one reason; what was tried several times says so in its message."""
    if type(first) is not type(second):
        return False
    return isinstance(second, NetworkError) or str(first) == str(second)
