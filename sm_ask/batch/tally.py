"""The numbers of a run: rows, tokens, and how long answers took, in little memory however many there are."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from sm_ask.chat import Answer

if TYPE_CHECKING:
    from sm_ask.batch.record import Outcome


class Spread:
    """Durations, in steps of two per cent."""

    def __init__(self) -> None:
        """Begin with none."""
        self._steps: Counter[int] = Counter()
        self._count = 0

    def add(self, seconds: float) -> None:
        """Take one."""
        self._steps[round(math.log(max(seconds, 1e-6), 1.02))] += 1
        self._count += 1

    def quantile(self, share: float) -> float | None:
        """Give the duration that this share of them does not exceed; None where there is none."""
        left = math.ceil(share * self._count)
        for step in sorted(self._steps):
            left -= self._steps[step]
            if left <= 0:
                return float(f"{1.02**step:.3g}")
        return None


class Tally:
    """What became of the rows of this run, as far as they are written.

    ``before`` are those that an earlier run has answered, ``failed_before`` those that had failed and stay so.
    """

    def __init__(self, rows: int, *, before: int = 0, failed_before: int = 0) -> None:
        """Begin to count the time."""
        self.rows = rows
        self.before = before
        self.failed_before = failed_before
        self.answered = 0
        self.kinds: Counter[str] = Counter()
        self.input_tokens = self.output_tokens = 0
        self.estimated = False
        self.latency, self.first_token = Spread(), Spread()
        self._started = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        """Take an outcome that is written."""
        result = outcome.result
        if not isinstance(result, Answer):
            self.kinds[result.kind] += 1
            return
        self.answered += 1
        self.input_tokens += result.usage.input_tokens or 0
        self.output_tokens += result.usage.output_tokens or 0
        self.estimated = self.estimated or result.usage.estimated
        self.latency.add(result.timing.total_s)
        if result.timing.first_token_s is not None:
            self.first_token.add(result.timing.first_token_s)

    @property
    def seconds(self) -> float:
        """Say how long the run has taken."""
        return time.monotonic() - self._started

    @property
    def failed(self) -> int:
        """Count the rows that failed in this run."""
        return sum(self.kinds.values())

    @property
    def done(self) -> int:
        """Count the rows that are in the output."""
        return self.before + self.failed_before + self.answered + self.failed

    def facts(self) -> dict[str, Any]:
        """Give all numbers under the names that JSON has for them."""
        seconds = max(self.seconds, 1e-6)
        return {
            "rows": self.rows,
            "answered": self.answered + self.before,
            "failed": self.failed + self.failed_before,
            "pending": self.rows - self.done,
            "answered_now": self.answered,
            "failed_now": dict(self.kinds.most_common()),
            "seconds": round(seconds, 3),
            "rows_per_s": round((self.answered + self.failed) / seconds, 2),
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "tokens_per_s": round(self.output_tokens / seconds, 1),
            "estimated": self.estimated,
            "latency_s": {"p50": self.latency.quantile(0.5), "p95": self.latency.quantile(0.95)},
            "first_token_s": {"p50": self.first_token.quantile(0.5), "p95": self.first_token.quantile(0.95)},
        }
