"""What a model repeats of the marks around its documents is no part of its answer, and nothing else is touched."""

from __future__ import annotations

import pytest

from sm_ask import qa
from sm_ask.chat import Answer, Message, Request, Text, Timing, Usage
from sm_ask.errors import IncompleteError, NoTextError
from sm_ask.qa import prompts, unmarked

MATERIAL = qa.Material("Who?", (qa.Passage("a [b].md", "Anna keeps bees."),))
REQUEST = Request(prompts.answer(MATERIAL))
MARK = prompts.mark_of(REQUEST.messages)
END, BEGIN, CITED = f"[end {MARK}]", f"[{MARK} notes.md]", f"[{MARK} [2] notes.md]"

TEXTS = {
    f"Anna.\n{END}": "Anna.\n",
    f"Anna.\n{END}\n": "Anna.\n",
    f"{BEGIN}\nAnna.\n{END}\n\nBees.": "Anna.\n\nBees.",
    f"{CITED}\nAnna {END}keeps.": "Anna keeps.",
    f"[{END}{END}\n": "[",
    "Anna [1] and [2], [end] of [en, [.": "Anna [1] and [2], [end] of [en, [.",
    f"[end {'0' * 16}] [{'f' * 16} x]": f"[end {'0' * 16}] [{'f' * 16} x]",
    f"{MARK} [end {MARK}\n]": f"{MARK} [end {MARK}\n]",
    f"Anna [{MARK} no": f"Anna [{MARK} no",
    "": "",
}


def answered(text: str) -> Answer:
    return Answer(text, "", "stop", Usage(1, 1), Timing(None, 0.1), 1, "req-1", None)


def coming(*events):
    yield from events


def streamed(*pieces: str) -> list[str]:
    """The text that is shown as each piece comes, up to the end."""
    found = unmarked.events(coming(*map(Text, pieces), answered("".join(pieces) or "x")), REQUEST)
    return [event.text for event in found if isinstance(event, Text)]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_every_way_to_cut_a_text_gives_the_same(text):
    for first in range(len(text) + 1):
        assert "".join(streamed(text[:first], text[first:])) == TEXTS[text]
    assert "".join(streamed(*text)) == TEXTS[text]


def test_ordinary_text_waits_for_nothing():
    pieces = ["Anna", " [1", "] keeps", " bees [", "2]", ".\n"]
    assert streamed(*pieces) == ["Anna", " [1", "] keeps", " bees ", "[2]", ".\n"]


def test_a_whole_answer_is_trimmed_where_a_mark_stood():
    assert unmarked.whole(answered(f"{BEGIN}\nAnna.\n{END}"), REQUEST).text == "Anna."
    assert unmarked.whole(answered(" Anna.\n"), REQUEST).text == " Anna.\n"


@pytest.mark.parametrize("text", [END, f"\n{END}\n"])
def test_marks_alone_are_no_answer(text):
    with pytest.raises(NoTextError):
        unmarked.whole(answered(text), REQUEST)
    with pytest.raises(NoTextError):
        list(unmarked.events(coming(Text(text), answered(text)), REQUEST))


def test_what_came_before_an_error_is_shown():
    def broken():
        yield Text("Anna [end")
        raise IncompleteError("x")

    found = unmarked.events(broken(), REQUEST)
    assert (next(found), next(found)) == (Text("Anna "), Text("[end"))
    with pytest.raises(IncompleteError):
        next(found)


def test_what_is_read_no_further_is_closed():
    closed = []

    def endless():
        try:
            while True:
                yield Text("x")
        finally:
            closed.append(True)

    found = unmarked.events(endless(), REQUEST)
    assert next(found) == Text("x")
    found.close()
    assert closed == [True]


def test_reasoning_and_somebody_else_s_prompt_are_left_alone():
    own = Request(qa.template("{context} {question}")(MATERIAL))
    assert prompts.mark_of(own.messages) is None
    for request, event in ((REQUEST, Text(END, reasoning=True)), (own, Text(END))):
        assert next(unmarked.events(coming(event), request)) == event
    asked = Request((Message("system", "x"), *REQUEST.messages))
    assert prompts.mark_of(asked.messages) == MARK
