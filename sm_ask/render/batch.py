"""A batch while it runs, and what came of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sm_ask.render import output, request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sm_ask.render.output import Output

_EVERY_ON_TERMINAL = 0.2
_EVERY_ON_PIPE = 30.0
_MINUTE, _HOUR = 60, 3600


class Progress:
    """One line that stays in its place on a terminal; on a pipe a new one now and then, where that is wanted."""

    def __init__(self, *, wanted: bool) -> None:
        """Find out what stderr is."""
        self._watched = output.is_watched()
        self._every = _EVERY_ON_TERMINAL if self._watched else _EVERY_ON_PIPE
        self._shown = self._watched or wanted
        self._next = time.monotonic() + (0 if self._watched else self._every)

    def show(self, facts: Callable[[], Mapping[str, Any]], under_way: int) -> None:
        """Show the numbers, if it is time."""
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + self._every
        (output.countdown if self._watched else output.note)(progress_line(facts(), under_way))

    def over(self) -> None:
        """Take the line away."""
        if self._watched:
            output.countdown("")


def progress_line(facts: Mapping[str, Any], under_way: int) -> str:
    """Give the numbers of a run under way; what matters most comes first, as a narrow terminal cuts the end."""
    done, rows = facts["answered"] + facts["failed"], facts["rows"]
    parts = [f"{done:,}/{rows:,} rows"]
    if facts["failed"]:
        parts.append(f"{facts['failed']:,} failed")
    parts.append(f"{under_way:,} under way")
    if facts["rows_per_s"]:
        parts.append(f"{facts['rows_per_s']:.1f} rows/s")
        parts.append(f"{_about(facts)}{facts['tokens_per_s']:,.0f} tok/s")
        parts.append(f"{span(round(facts['pending'] / facts['rows_per_s']))} left")
    return " · ".join(parts)


def show_summary(facts: Mapping[str, Any]) -> None:
    """Say at the end what came of a run, in up to three lines."""
    output.note(_rows(facts))
    if facts["answered_now"]:
        mark = _about(facts)
        output.note(
            f"tokens: {mark}{facts['input_tokens']:,} in, {mark}{facts['output_tokens']:,} out, "
            f"{mark}{facts['tokens_per_s']:,.0f}/s"
        )
        output.note(f"seconds: {_spread('answer', facts['latency_s'])}{_first_token(facts)}")


def _rows(facts: Mapping[str, Any]) -> str:
    now = facts["answered_now"] + sum(facts["failed_now"].values())
    parts = [f"{facts['answered']:,} of {facts['rows']:,} rows answered"]
    if facts["failed"]:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in facts["failed_now"].items())
        parts.append(f"{facts['failed']:,} failed" + (f" (now: {kinds})" if kinds else ""))
    if facts["pending"]:
        parts.append(f"{facts['pending']:,} not asked yet")
    pace = f"; {now:,} in {span(facts['seconds'])}, {facts['rows_per_s']:.1f}/s" if now else ""
    return ", ".join(parts) + pace


def _about(facts: Mapping[str, Any]) -> str:
    return "~" if facts["estimated"] else ""


def _spread(what: str, found: Mapping[str, float | None]) -> str:
    return f"{what} p50 {found['p50'] or 0:.3g}, p95 {found['p95'] or 0:.3g}"


def _first_token(facts: Mapping[str, Any]) -> str:
    found = facts["first_token_s"]
    return "" if found["p50"] is None else f"; {_spread('first token', found)}"


def span(seconds: float) -> str:
    """Give a time as people say it."""
    if seconds < _MINUTE:
        return f"{seconds:.3g} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 - two digits are enough
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)}m{int(seconds % _MINUTE):02}s"
    return f"{int(seconds // _HOUR)}h{int(seconds % _HOUR // _MINUTE):02}m"


def show_plan(facts: Mapping[str, Any], first: request.Sketch | None, out: Output, *, as_json: bool) -> None:
    """Say what a run would do, and show its first request."""
    if as_json:
        out.json({**facts, "first": request.described(first) if first else None})
        return
    out.text(f"{facts['rows']:,} rows: {facts['calls']:,} to ask, {facts['answered']:,} answered before\n")
    if facts["failed"] or facts["faulty"]:
        out.text(f"failed before: {facts['failed']:,}; cannot be asked: {facts['faulty']:,}\n")
    most = facts["output_tokens_at_most"]
    out.text(f"about {facts['input_tokens']:,} tokens in" + (f", {most:,} out at most\n" if most else "\n"))
    if read := facts["rows_with_docs"]:
        who = f"{read:,} rows read" if read > 1 else "1 row reads"
        out.text(f"besides what {who} of documents, in one call or more each\n")
    if first is not None:
        out.text("\nThe first request:\n\n")
        request.show(first, out, as_json=False)
