"""The steps of a diagnosis, each shown as soon as it is taken."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from sm_ask.redaction import redacted
from sm_ask.render.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_ask.doctor import Step
    from sm_ask.render.output import Output

_COLOURS = {"ok": 32, "failed": 31, "skipped": 2}
_NAME, _STATUS = 14, 9


def show(found: Iterable[Step], out: Output, *, as_json: bool) -> None:
    """Show the steps, then raise the error of the first that failed."""
    kept = []
    for step in found:
        kept.append(step)
        if not as_json:
            out.write(_text(step, coloured=out.is_terminal and not os.environ.get("NO_COLOR")).encode())
    failed = [(step.name, step.error) for step in kept if step.error is not None]
    if as_json:
        out.json({"ok": not failed, "steps": [_object(step) for step in kept]})
    if not failed:
        return
    error = failed[0][1]
    if not as_json:
        # What failed, and what to do, stands there already.
        error.message, error.hint = f"the diagnosis failed at: {', '.join(name for name, _ in failed)}", None
    raise error


def _text(step: Step, *, coloured: bool) -> str:
    status = f"{step.status:{_STATUS}}"
    if coloured and os.environ.get("TERM") != "dumb":
        status = f"\x1b[{_COLOURS[step.status]}m{status}\x1b[0m"
    lines = [f"{status}{step.name:{_NAME}} {_line(step.found)}"]
    lines += [f"{'':{_STATUS}}{'':{_NAME}} {_line(note)}" for note in step.notes]
    if step.fix:
        lines.append(f"{'':{_STATUS}}fix: {_line(step.fix)}")
    if step.statement:
        lines.append(f"{'':{_STATUS}}IAM: {json.dumps(step.statement)}")
    return "".join(f"{line}\n" for line in lines)


def _line(text: str) -> str:
    return one_line(redacted(text))


def _object(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "status": step.status,
        "found": redacted(step.found),
        "notes": [redacted(note) for note in step.notes],
        "fix": step.fix and redacted(step.fix),
        "statement": step.statement,
        "code": step.error.code if step.error else None,
    }
