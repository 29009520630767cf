"""A row of the output: what became of a question, as a line; and what a line says of a question that was asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask.batch.rows import KEY_DIGITS, digest
from sm_ask.chat import Answer
from sm_ask.envelope import envelope, json_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_ask.batch.rows import Row
    from sm_ask.chat import Source
    from sm_ask.envelope import Asked
    from sm_ask.errors import SmAskError

#: How every row begins.
BEGINNING = b'{"id": '


class Outcome(NamedTuple):
    """A row, what became of it, and the places in documents that the answer rests on."""

    row: Row
    result: Answer | SmAskError
    sources: Sequence[Source] = ()


class Written(NamedTuple):
    """What counts of a row that was written; ``charged`` where a failed one may have been paid for."""

    id: str | int
    key: str
    run: str
    failed: bool = False
    retryable: bool = False
    charged: bool = False


def line(outcome: Outcome, asked: Asked, run: str) -> bytes:
    """Write an outcome as a row: the id, the one shape of JSON, what a later run needs, and what the row brought along.

    What has the name of a key of ours stands under ``input``.
    """
    row, result = outcome.row, outcome.result
    asked = asked._replace(sources=outcome.sources)
    if isinstance(result, Answer):
        known = envelope(result.text, result, asked, None)
    else:
        known = envelope(None, None, asked, result)
    ours = {"id": row.id, **known, "key": row.key, "run": run}
    return json_line({**ours, **_carried(row.extra, ours)}).encode() + b"\n"


def _carried(extra: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    hidden = {name: value for name, value in extra.items() if name in ours or name == "input"}
    rest = {name: value for name, value in extra.items() if name not in hidden}
    return {**rest, "input": hidden} if hidden else rest


def read(data: bytes) -> Written | None:
    """Read a line of an output; None for one that is no row of ours."""
    try:
        value = json.loads(data)
        error = value["error"]
        found = Written(value["id"], value["key"], value["run"])
        int(found.key, 16)
        if error is not None:
            charged = bool(error["maybe_charged"])
            found = found._replace(failed=True, retryable=bool(error["retryable"]), charged=charged)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    good = isinstance(found.id, (str, int)) and isinstance(found.run, str) and len(found.key) == KEY_DIGITS
    return found if good else None


def is_torn(data: bytes) -> bool:
    """Tell whether these bytes may be the beginning of a row of ours, which no whole JSON is."""
    try:
        json.loads(data)
    except RecursionError:
        return False
    except ValueError:
        return data.startswith(BEGINNING[: len(data)])
    return False


def id_of(data: bytes) -> str | int:
    """Give the id of a row that ``read`` has found good, without reading the rest of it."""
    value, _ = json.JSONDecoder().raw_decode(data[len(BEGINNING) :].decode(errors="replace"))
    return value if isinstance(value, int) else str(value)


def fingerprint(settings: object) -> str:
    """Give 12 hexadecimal digits for the settings that all rows of a run share."""
    return digest(settings)[:12]


def difference(data: bytes, asked: Asked) -> str:
    """Say in which setting a row was asked otherwise."""
    value = json.loads(data)
    for name in ("endpoint", "inference_component", "region", "handler"):
        was, now = value.get(name), getattr(asked, name)
        if was != now:
            return f"{name.replace('_', ' ')} {was}, not {now}"
    return "other parameters, another system prompt, template or address"
