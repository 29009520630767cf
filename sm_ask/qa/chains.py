"""The chains: which passages are put to the model, in how many calls, and what becomes of its answers.

A chain does no I/O. It yields the calls that may be made at once, is sent their answers, and returns what came of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sm_ask.qa import refusals
from sm_ask.qa.passages import Passage
from sm_ask.qa.work import Call, Work, too_large

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from sm_ask.chat import Answer
    from sm_ask.qa.settings import Chain

#: A passage is put to the model under its number.
Numbered: TypeAlias = "Mapping[int, Passage]"


class Result(NamedTuple):
    """What came of a chain: the answer, and the passages that it is to rest on, by their numbers.

    The answer is None where no passage says anything about the question.
    """

    answer: Answer | None
    passages: Numbered


Calls: TypeAlias = "Generator[list[Call], list[Answer], Result]"


def stuff(work: Work, passages: Sequence[Passage]) -> Calls:
    """Put all of it into one prompt."""
    call = work.call("answer", passages)._replace(final=True)
    [answer] = yield [call]
    return Result(answer, call.numbered)


def map_reduce(work: Work, passages: Sequence[Passage]) -> Calls:
    """Ask each part what it says about the question, and put these notes together, in several rounds if need be."""
    calls = work.calls("map", passages)
    if len(calls) == 1:
        return (yield from stuff(work, calls[0].passages))
    answers = yield calls
    told = [(call, found) for call, found in zip(calls, answers, strict=True) if not refusals.is_nothing(found.text)]
    if not told:
        return Result(None, {})
    notes = [Passage("notes", found.text.strip()) for _, found in told]
    while len(rounds := work.calls("reduce", notes)) > 1:
        if len(rounds) == len(notes):
            raise too_large(work.budget, work.call("reduce", notes[:2]).tokens)
        answers = yield rounds
        notes = [Passage("notes", found.text.strip()) for found in answers]
    [answer] = yield [rounds[0]._replace(final=True, limit=None)]
    return Result(answer, {number: passage for call, _ in told for number, passage in call.numbered.items()})


def refine(work: Work, passages: Sequence[Passage]) -> Calls:
    """Ask the first part, and then each further one for a better answer."""
    call = work.next_call("answer", passages)
    numbered: dict[int, Passage] = {}
    while True:
        numbered |= call.numbered
        left = passages[len(numbered) :]
        [answer] = yield [call._replace(final=not left)]
        if not left:
            return Result(answer, numbered)
        call = work.next_call("refine", left, first=len(numbered) + 1, answer=answer.text.strip())


def map_rerank(work: Work, passages: Sequence[Passage]) -> Calls:
    """Ask each part for an answer and a score, and take the answer with the best one."""
    calls = work.calls("rate", passages)
    answers = yield calls
    scored = [scored_text(found.text) for found in answers]
    best = max(range(len(calls)), key=lambda number: scored[number][0])
    score, text = scored[best]
    return Result(answers[best]._replace(text=text), calls[best].numbered) if score else Result(None, {})


_SCORE = re.compile(
    r"[\s*_(\[-]*\b(?:score|rating|confidence)\b\W*(\d{1,3})(?:\s*(?:/\s*100|%|out of 100|points?))?\W*\Z",
    re.IGNORECASE,
)
_UNSCORED = 50


def scored_text(text: str) -> tuple[int, str]:
    """Take the score from an answer's end: 50 where a model gave none, 0 where it found nothing."""
    found = _SCORE.search(text)
    answer = text[: found.start()].strip() if found else text.strip()
    if not answer or refusals.is_nothing(answer):
        return 0, answer
    return (min(int(found[1]), 100) if found else _UNSCORED), answer


CHAINS: dict[Chain, Callable[[Work, Sequence[Passage]], Calls]] = {
    "stuff": stuff,
    "retrieve": stuff,
    "map-reduce": map_reduce,
    "refine": refine,
    "map-rerank": map_rerank,
}
