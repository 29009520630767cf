"""One question under work: passages → calls that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sm_ask.chat import Message, Request
from sm_ask.errors import InputError
from sm_ask.qa import prompts
from sm_ask.qa.passages import Passage
from sm_ask.qa.settings import Material

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sm_ask.qa.budget import Budget
    from sm_ask.qa.settings import Prompt, Settings, Step

_OURS: Mapping[Step, Prompt] = {
    "answer": prompts.answer,
    "map": prompts.map_,
    "reduce": prompts.reduce,
    "refine": prompts.refine,
    "rate": prompts.rate,
}
#: A note may have that part of a prompt, so that several fit into one, even where they are counted from above.
_NOTES = 6
#: Other names of the token limit, which are the container's own affair.
_FOREIGN_LIMITS = {"max_new_tokens", "max_completion_tokens", "max_tokens_to_sample"}
#: A name and a title for which there is room beside a passage.
_LONGEST_PLACE = 120
_LEAST_PASSAGE = 16


class Call(NamedTuple):
    """One request to the model: the step it is for, its messages and their tokens, and the passages in them."""

    step: Step
    messages: tuple[Message, ...]
    tokens: int
    passages: tuple[Passage, ...]
    #: The number of the first passage; the others follow it.
    first: int = 1
    #: The most tokens that its answer may have, where these are fewer than the settings say.
    limit: int | None = None
    #: Whether its answer is the whole one.
    final: bool = False

    @property
    def numbered(self) -> Mapping[int, Passage]:
        """The passages by their numbers."""
        return dict(enumerate(self.passages, start=self.first))


class Work(NamedTuple):
    """A question, how it is asked, and how much may stand in one prompt."""

    question: str
    settings: Settings
    budget: Budget

    def call(self, step: Step, passages: Sequence[Passage], first: int = 1, answer: str = "") -> Call:
        """Put passages into one prompt, whether it fits or not."""
        settings = self.settings
        prompt: Prompt = getattr(settings.prompts, step) or _OURS[step]
        material = Material(self.question, tuple(passages), answer, first, cite=settings.cite, strict=settings.strict)
        messages = prompt(material)
        if settings.system:
            messages = (Message("system", settings.system), *messages)
        return Call(step, messages, self.budget.tokens(messages), material.passages, first, self._limit(step))

    def _limit(self, step: Step) -> int | None:
        """Keep notes so short that several of them fit into the prompt that puts them together."""
        most = self.budget.prompt // _NOTES
        return most if step in ("map", "reduce") and self.budget.answer > most else None

    def request(self, call: Call) -> Request:
        """Give the request of a call."""
        params = self.settings.params
        if call.limit is not None and not params.keys() & _FOREIGN_LIMITS:
            params = {**params, "max_tokens": call.limit}
        return Request(call.messages, params, self.settings.stream)

    def room(self, step: Step) -> int:
        """Give the tokens that one passage may have, to stand in a prompt of that step."""
        answer = "word " * self.budget.answer if step == "refine" else ""
        empty = Passage("x" * _LONGEST_PLACE, "")
        return self.budget.prompt - self.call(step, (empty,), answer=answer).tokens

    def cut(self, step: Step, passages: Iterable[Passage]) -> list[Passage]:
        """Cut the passages that fit into no prompt of that step; InputError where that does not help."""
        room = self.room(step)
        if room < _LEAST_PASSAGE:
            raise too_large(self.budget, self.budget.prompt - room + _LEAST_PASSAGE)
        return [piece for passage in passages for piece in self._pieces(passage, room)]

    def _pieces(self, passage: Passage, room: int) -> Iterable[Passage]:
        if self.budget.count(passage.text) <= room:
            return (passage,)
        # The plain path cuts nothing.
        from sm_ask.qa.splitting import smaller

        return smaller(passage, room)

    def fits(self, call: Call) -> bool:
        """Tell whether a prompt leaves room for the answer."""
        return call.tokens <= self.budget.prompt

    def calls(self, step: Step, passages: Sequence[Passage]) -> list[Call]:
        """Put passages into as few prompts as can be, in their order."""
        calls: list[Call] = []
        left, first = list(passages), 1
        while left:
            calls.append(self.next_call(step, left, first))
            left = left[len(calls[-1].passages) :]
            first += len(calls[-1].passages)
        return calls

    def next_call(self, step: Step, passages: Sequence[Passage], first: int = 1, answer: str = "") -> Call:
        """Put as many of the passages into one prompt as fit; InputError where not even one does."""
        room = self.budget.prompt - self.call(step, (), first, answer).tokens
        number = self._fitting(passages, room)
        while number:
            # The whole is counted once more: a name of its own, a mark and an empty line go with each passage.
            call = self.call(step, passages[:number], first, answer)
            if self.fits(call):
                return call
            number -= 1
        raise too_large(self.budget, self.call(step, passages[:1], first, answer).tokens)

    def _fitting(self, passages: Sequence[Passage], room: int) -> int:
        number = 0
        for number, passage in enumerate(passages, start=1):
            room -= self.budget.count(passage.text)
            if room < 0:
                return max(number - 1, 1)
        return number


def too_large(budget: Budget, tokens: int) -> InputError:
    """Make the error for a prompt that cannot fit."""
    hint = "--chain retrieve reads the best passages, --chain map-reduce all of them in parts"
    return InputError(
        f"the prompt has about {tokens:,} tokens, and the context window of {budget.window or 0:,} has room for "
        f"{budget.prompt:,} beside the answer",
        hint=hint,
    )
