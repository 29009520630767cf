"""Answers that say that there is no answer."""

from __future__ import annotations

import re

from sm_ask.qa.prompts import NOTHING

_AGREED = re.compile(rf"\W*{NOTHING.replace(' ', '[ _]?')}\b", re.IGNORECASE)
_PHRASES = re.compile(
    r"\b(?:do(?:es)? not|don't|doesn't|did not|didn't|cannot|can't|could not|couldn't|is not|isn't|are not|aren't|not"
    r"|no|nothing)\b[^.!?\n]{0,60}?\b(?:contain|hold|mention|provide|say|state|specif|found|find|include|answer"
    r"|information|given|available|indicate|tell)\w*",
    re.IGNORECASE,
)


def is_nothing(text: str) -> bool:
    """Tell whether a note says that a part of the documents is silent about the question."""
    return not text.strip() or bool(_AGREED.match(text))


def is_refusal(text: str) -> bool:
    """Tell whether an answer says, at its beginning, that the documents do not hold it."""
    beginning = re.split(r"(?<=[.!?])\s|\n", text.strip(), maxsplit=1)[0]
    return is_nothing(text) or bool(_PHRASES.search(beginning))
