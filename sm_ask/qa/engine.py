"""A question, documents and settings → one grounded answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sm_ask.chat import Answer, Message, Request, Source
from sm_ask.qa import prompts
from sm_ask.qa.settings import Material

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_ask.qa.library import Library
    from sm_ask.qa.passages import Passage
    from sm_ask.qa.settings import Chain, Settings, Step


class Grounded(NamedTuple):
    """An answer, the places that it rests on, and what it took."""

    answer: Answer
    sources: tuple[Source, ...]
    calls: int


class Call(NamedTuple):
    """One request to the model: the step it is for, its messages, and the passages in them."""

    step: Step
    messages: tuple[Message, ...]
    passages: tuple[Passage, ...]


class Plan(NamedTuple):
    """What a question takes: the chain, and its calls as far as they are known before the first answer."""

    chain: Chain
    calls: tuple[Call, ...]


def answer(
    question: str,
    library: Library,
    settings: Settings,
    ask: Callable[[Request], Answer],
    *,
    show: Callable[[Request], Answer] | None = None,
) -> Grounded:
    """Answer a question from the library; raises SmAskError.

    ``ask`` answers one request, and is called by several threads at once. ``show`` is called in its place for the last
    request, whose answer is the whole one, so that it can be shown while it comes.
    """
    [call] = plan(question, library, settings).calls
    found = (show or ask)(Request(call.messages, settings.params, settings.stream))
    return Grounded(found, tuple(passage.source() for passage in call.passages), 1)


def plan(question: str, library: Library, settings: Settings) -> Plan:
    """Say what it takes to answer the question."""
    passages = library.whole()
    messages = (settings.prompts.answer or prompts.answer)(Material(question, passages))
    if settings.system:
        messages = (Message("system", settings.system), *messages)
    return Plan("stuff", (Call("answer", messages, passages),))
