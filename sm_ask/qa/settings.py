"""How questions are asked about documents."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sm_ask.chat import Message
    from sm_ask.qa.passages import Passage

#: ``auto`` is ``stuff`` where the documents fit into one prompt, else ``retrieve``.
Chain: TypeAlias = Literal["auto", "stuff", "retrieve", "map-reduce", "refine", "map-rerank"]
Step: TypeAlias = Literal["answer", "map", "reduce", "refine", "rate"]


class Material(NamedTuple):
    """What one prompt is made of."""

    question: str
    #: In the step ``reduce``, these are answers to parts of the documents.
    passages: tuple[Passage, ...] = ()
    #: In the step ``refine``, what the passages before these gave.
    answer: str = ""
    #: The number of the first passage, where passages are to be cited; the others follow it.
    first: int = 1
    cite: bool = False
    strict: bool = False


#: Puts material into messages.
Prompt: TypeAlias = "Callable[[Material], tuple[Message, ...]]"


class Prompts(NamedTuple):
    """Prompts in the place of sm-ask's own: one for each step that a chain may take."""

    #: Passages and the question, for an answer: ``stuff``, ``retrieve``, and the first call of ``refine``.
    answer: Prompt | None = None
    #: Some of the passages and the question, for what they say about it: ``map-reduce``.
    map: Prompt | None = None
    #: The answers of ``map`` and the question, for one answer.
    reduce: Prompt | None = None
    #: An answer, further passages and the question, for a better answer: ``refine``.
    refine: Prompt | None = None
    #: Some of the passages and the question, for an answer and a score: ``map-rerank``.
    rate: Prompt | None = None


class Settings(NamedTuple):
    """How to ask: which chain, in what words, within what limits."""

    chain: Chain = "auto"
    prompts: Prompts = Prompts()
    #: Stands before each prompt.
    system: str | None = None
    #: The model's parameters; ``max_tokens`` among them is kept free in the context window.
    params: Mapping[str, Any] = MappingProxyType({})
    stream: bool = True
    #: Whether the answer is to name its passages, and is checked for it.
    cite: bool = False
    #: Whether NotInDocumentsError is raised where the documents do not hold the answer.
    strict: bool = False
    #: In tokens, for prompt and answer together; None where nobody knows.
    context_window: int | None = None
    #: A tokenizer.json to count with; without one the count is an estimate from above.
    tokenizer: str | None = None
    #: How many calls are under way at once.
    workers: int = 8
    #: How many passages ``retrieve`` reads at most.
    passages: int = 8
