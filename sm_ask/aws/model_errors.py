"""A ModelError of the runtime's → what the container said, and what it means."""

from __future__ import annotations

import re
from typing import Any

from sm_ask import complaints, errors

_QUOTED = r'Received (?:client|server) error \((\d+)\) from .*? with message "(.*)"\. See (\S*)'
_LOG_GROUP = r"group=([\w./-]+)"


def read(response: dict[str, Any], message: str, known: dict[str, Any], *, streamed: bool) -> errors.SmAskError:
    """Read the error: its own members, or the sentence that quotes the container where it has none."""
    status = int(response.get("OriginalStatusCode") or 0)
    body = str(response.get("OriginalMessage") or "")
    quoted = re.search(_QUOTED, str(response.get("Error", {}).get("Message", "")), re.DOTALL)
    if not body and quoted:
        status, body = status or int(quoted[1]), quoted[2]
    said = complaints.said(body or message)
    short = said[: complaints.LONGEST]
    if status == 0 and "timed out" in f"{message} {said}".lower():
        hint = "a whole answer has 60 s, one with --stream 8 minutes, an asynchronous endpoint an hour"
        return errors.TimedOutError(f"the model did not answer within 60 s: {short}", hint=hint, **known)
    if status == 413:  # noqa: PLR2004 - HTTP statuses are best read as they are
        return too_large(short, known)
    if status == 429:  # noqa: PLR2004
        return errors.ThrottledError(f"the model's container is overloaded (429): {short}", **known)
    if status == 503:  # noqa: PLR2004
        return errors.UnavailableError(f"the model's container takes no requests (503): {short}", **known)
    group = re.search(_LOG_GROUP, quoted[3]) if quoted else None
    log = response.get("LogStreamArn") or (group and group[1])
    hints = [f"its log is {log}"] if log else []
    if streamed and "stream" in said.lower():
        # It is not asked again for a whole answer: nothing proves that the model did not run.
        hints.insert(0, "--no-stream asks for a whole answer")
    refused = 400 <= status < 500  # noqa: PLR2004
    about = f"the model's container failed ({status})" if status else "the model's container failed"
    return complaints.error(about, said, refused=refused, hints=hints, **known)


def too_large(said: str, known: dict[str, Any]) -> errors.InputError:
    """Say that a request is too large, and what the limits are."""
    hint = "a real-time endpoint takes 25 MB, a serverless one 4 MB"
    return errors.InputError(f"the request is too large: {said}", hint=hint, **known)
