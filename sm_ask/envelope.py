"""The one shape of JSON that every command writes of an answer, or of what came in its place."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_ask.chat import Answer, Source, Timing
    from sm_ask.errors import SmAskError

#: What acts on a terminal, or ends a line for some readers: C0 but tab and LF, DEL, C1; marks that reorder text;
#: characters without width, tags among them; lone surrogates.
ACTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
    # Joiners are part of emoji and of several scripts; after ASCII they only hide.
    "|(?<![^\x00-\x7f])[\u200c\u200d]"
)

_PLAIN = json.JSONEncoder(ensure_ascii=False)


class Asked(NamedTuple):
    """Who was asked, and about what."""

    endpoint: str
    inference_component: str | None
    region: str
    handler: str
    sources: Sequence[Source] = ()
    #: What was asked, where it is one of several questions.
    question: str | None = None


def envelope(text: str | None, answer: Answer | None, asked: Asked, error: SmAskError | None) -> dict[str, Any]:
    """Give the object; the text is None where no answer came, and the answer where it is not whole."""
    return {
        **({} if asked.question is None else {"question": asked.question}),
        "answer": text,
        "reasoning": (answer.reasoning or None) if answer else None,
        "finish_reason": answer.finish_reason if answer else None,
        "usage": answer.usage._asdict() if answer else None,
        "timing": _rounded(answer.timing) if answer else None,
        "endpoint": asked.endpoint,
        "variant": answer.variant if answer else None,
        "inference_component": asked.inference_component,
        "region": asked.region,
        "handler": asked.handler,
        "attempts": answer.attempts if answer else error.attempts if error else 0,
        "request_id": answer.request_id if answer else error.request_id if error else None,
        "sources": [source._asdict() for source in asked.sources],
        "error": fault(error) if error else None,
    }


def _rounded(timing: Timing) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 4) for name, value in timing._asdict().items()}


def fault(error: SmAskError) -> dict[str, Any]:
    """Give what a script may want to know of an error."""
    return {
        "kind": error.kind,
        "code": error.code,
        "message": redacted(error.message),
        "hint": error.hint and redacted(error.hint),
        "retryable": error.retryable,
        "maybe_charged": error.maybe_charged,
    }


def json_line(value: object) -> str:
    """Give JSON in which each active character is JSON's own escape: the same value, on one line for every reader."""
    text = _PLAIN.encode(value)
    if text.isascii() and "\x7f" not in text:
        # JSON has escaped all others by itself.
        return text
    return ACTIVE.sub(lambda found: json.dumps(found[0])[1:-1], text)
