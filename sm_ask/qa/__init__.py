"""Questions about documents → grounded answers.

A ``Library`` holds documents; ``answer`` asks it a question as ``Settings`` say, through any callable that takes a
``Request`` and gives an ``Answer``, or an ``Asker`` who shows and tells as well; ``plan`` says what that would take.
Nothing here knows of endpoints or terminals.
"""

from __future__ import annotations

from sm_ask.qa.engine import Asker, Grounded, Plan, answer, plan
from sm_ask.qa.libraries import Library
from sm_ask.qa.passages import Passage
from sm_ask.qa.prompts import template
from sm_ask.qa.settings import Chain, Material, Prompt, Prompts, Settings
from sm_ask.qa.work import Call

__all__ = [
    "Asker",
    "Call",
    "Chain",
    "Grounded",
    "Library",
    "Material",
    "Passage",
    "Plan",
    "Prompt",
    "Prompts",
    "Settings",
    "answer",
    "plan",
    "template",
]
