"""A question, documents and settings → one grounded answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from sm_ask.chat import Answer, Request, Source, Timing, Usage
from sm_ask.errors import ContextError, NotInDocumentsError
from sm_ask.qa import choosing, unmarked
from sm_ask.qa.budget import LEAST, budget
from sm_ask.qa.chains import CHAINS
from sm_ask.qa.work import Call, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sm_ask.qa.chains import Calls, Result
    from sm_ask.qa.libraries import Library
    from sm_ask.qa.passages import Passage
    from sm_ask.qa.settings import Chain, Settings


class Grounded(NamedTuple):
    """An answer, the places that it rests on, and what it took.

    Where ``cite`` was asked for, ``faults`` says what is wrong with its citations and quotations.
    """

    answer: Answer
    sources: tuple[Source, ...]
    calls: int
    chain: Chain
    faults: tuple[str, ...] = ()


class Plan(NamedTuple):
    """What a question takes at most: the chain, its calls, and the request of each."""

    chain: Chain
    calls: tuple[Call, ...]
    requests: tuple[Request, ...]


class Asker(NamedTuple):
    """Who answers requests, and who hears how it goes."""

    #: Answers one request; called by several threads at once.
    ask: Callable[[Request], Answer]
    #: Called in its place for the request whose answer is the whole one, so that it can be shown while it comes.
    show: Callable[[Request], Answer] | None = None
    #: Takes what a person should know, in one line.
    tell: Callable[[str], None] = lambda _: None
    #: Hears of a step, how many of its calls are done, and how many there are.
    progress: Callable[[str, int, int], None] = lambda *_: None


def answer(
    question: str,
    library: Library,
    settings: Settings,
    ask: Callable[[Request], Answer] | Asker,
) -> Grounded:
    """Answer a question from the library; raises SmAskError, NotInDocumentsError among them where that is asked for.

    A container that finds a prompt too long is asked once more, within what it takes.
    """
    asker = ask if isinstance(ask, Asker) else Asker(ask)
    limits = budget(settings)
    try:
        return _answered(Work(question, settings, limits), library, asker)
    except ContextError as error:
        shrunk = limits.shrunk(error.limit)
        if shrunk.prompt < LEAST:
            raise
        asker.tell(f"the prompt was too long for the model; asking once more within {shrunk.window:,} tokens")
        return _answered(Work(question, settings, shrunk), library, asker)


def plan(question: str, library: Library, settings: Settings) -> Plan:
    """Say what it takes to answer the question, if every answer on the way is as long as it may be."""
    work = Work(question, settings, budget(settings))
    chain, passages = choosing.choose(work, library, lambda _: None)
    made: list[Call] = []

    def pretend(calls: list[Call]) -> list[Answer]:
        made.extend(calls)
        return [_longest(work, call) for call in calls]

    _drive(CHAINS[chain](work, passages), pretend)
    return Plan(chain, tuple(made), tuple(map(work.request, made)))


def _answered(work: Work, library: Library, asker: Asker) -> Grounded:
    started = time.monotonic()
    chain, passages = choosing.choose(work, library, asker.tell)
    answers: list[Answer] = []

    def ask(calls: list[Call]) -> list[Answer]:
        if chain == "refine" and answers:
            # It is not known how many calls there will be, but how much is read.
            done = len(passages) if calls[0].final else calls[0].first - 1
            asker.progress(chain, done, len(passages))
        answers.extend(found := _asked(calls, work, asker))
        return found

    result = _drive(CHAINS[chain](work, passages), ask)
    total = _total(result.answer or answers[-1], answers, time.monotonic() - started)
    if work.settings.strict:
        _insist(work, chain, result, total)
    if result.answer is None:
        return Grounded(total._replace(text=_SILENT), (), len(answers), chain)
    if not work.settings.cite:
        return Grounded(total, _sources(work, chain, total.text, result), len(answers), chain)
    # The plain path cites nothing.
    from sm_ask.qa import citations

    checked = citations.check(total.text, result.passages)
    return Grounded(total._replace(text=checked.text), checked.sources, len(answers), chain, checked.faults)


def _sources(work: Work, chain: Chain, text: str, result: Result) -> tuple[Source, ...]:
    passages: Iterable[Passage] = result.passages.values()
    if chain == "retrieve":
        # A document that was read whole has no better place in it.
        from sm_ask.qa import evidence

        passages = evidence.by_support(work.question, text, passages)
    return tuple(passage.source() for passage in passages)


_SILENT = "The documents do not hold the answer."


def _drive(chain: Calls, ask: Callable[[list[Call]], list[Answer]]) -> Result:
    try:
        calls = next(chain)
        while True:
            calls = chain.send(ask(calls))
    except StopIteration as ended:
        result: Result = ended.value
        return result


def _asked(calls: list[Call], work: Work, asker: Asker) -> list[Answer]:
    def put(call: Call) -> Answer:
        request = work.request(call)
        ask = asker.show if call.final and asker.show else asker.ask
        return unmarked.whole(ask(request), request)

    if len(calls) == 1:
        return [put(calls[0])]
    # One call needs no threads.
    from sm_ask.qa import pool

    def done(number: int) -> None:
        asker.progress(calls[0].step, number, len(calls))

    done(0)
    return pool.each(put, calls, work.settings.workers, done)


def _longest(work: Work, call: Call) -> Answer:
    text = "word " * (call.limit or work.budget.answer)
    return Answer(text, "", None, Usage(None, None), Timing(None, 0.0), 1, None, None)


def _total(last: Answer, answers: list[Answer], seconds: float) -> Answer:
    """Give the answer with what all calls took."""
    if len(answers) == 1:
        return last
    usage = Usage(
        _sum(each.usage.input_tokens for each in answers),
        _sum(each.usage.output_tokens for each in answers),
        estimated=any(each.usage.estimated for each in answers),
    )
    attempts = sum(each.attempts for each in answers)
    return last._replace(usage=usage, timing=Timing(None, seconds), attempts=attempts)


def _sum(counts: Iterable[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _insist(work: Work, chain: Chain, result: Result, total: Answer) -> None:
    """Raise NotInDocumentsError where an answer does not rest on the passages."""
    # The plain path insists on nothing.
    from sm_ask.qa import citations, evidence

    why: str | None = "no passage says anything about it"
    if result.answer is not None:
        text = citations.bare(total.text) if work.settings.cite else total.text
        why = evidence.missing(work.question, text, result.passages.values())
    if why:
        hint = "ask in the documents' own words, or without strict, to see the answer"
        if chain == "retrieve":
            hint += "; the chain map-reduce reads all of them"
        error = NotInDocumentsError(f"the documents do not hold the answer: {why}", hint=hint)
        error.attempts = total.attempts
        raise error
