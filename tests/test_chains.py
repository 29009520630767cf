"""The chains: which calls each makes, with which words, and what becomes of the answers."""

from __future__ import annotations

import re
import threading
import time

import pytest

from sm_ask import qa
from sm_ask.chat import Answer, Message, Timing, Usage
from sm_ask.documents import Document
from sm_ask.errors import (
    ConfigError,
    ContextError,
    InputError,
    ModelError,
    NotInDocumentsError,
    ThrottledError,
)
from sm_ask.qa.chains import scored_text
from sm_ask.qa.tokens import estimate

PARTS = ["Anna keeps bees behind the mill.", "The mill burned down in 1903.", "Bees like clover and lime trees."]
DOCUMENTS = [
    Document(f"{number}.txt", text + " Nothing else is known of it." * 40) for number, text in enumerate(PARTS)
]
#: Room for one of the documents in each prompt, and not for two.
NARROW = qa.Settings(context_window=1000, params={"max_tokens": 100}, workers=1)


class Model:
    """Answers with a function of the prompt, and keeps what it was asked."""

    def __init__(self, reply):
        self.reply = reply
        self.requests = []
        self.lock = threading.Lock()

    def __call__(self, request):
        with self.lock:
            self.requests.append(request)
        text = self.reply(request.messages[-1].content)
        return Answer(text, "", "stop", Usage(10, 2), Timing(0.1, 0.2), 1, "id", None)

    @property
    def prompts(self):
        return [request.messages[-1].content for request in self.requests]


def noted(prompt):
    """Note of each part its first sentence, and put notes together in their order."""
    texts = re.findall(r"^\[[0-9a-f]{16} [^\n]*\]\n(.*?)\n\[end", prompt, re.DOTALL | re.MULTILINE)
    return " ".join(text.split(".")[0] + "." for text in texts)


def ask(chain, model, question="Who keeps bees at the mill?", documents=DOCUMENTS, **changes):
    settings = NARROW._replace(chain=chain, **changes)
    return qa.answer(question, qa.Library(documents), settings, model)


def shown(prompt):
    """Say of each section of a prompt its head and how it begins."""
    sections = re.findall(r"^\[([0-9a-f]{16}) ([^\n]*)\]\n(.{10})", prompt, re.MULTILINE)
    assert len({mark for mark, _, _ in sections}) <= 1
    return [(head, text) for _, head, text in sections]


def test_stuff_puts_everything_into_one_call():
    model = Model(lambda _: "Anna")
    found = ask("stuff", model, context_window=None)
    [prompt] = model.prompts
    assert prompt.startswith("Answer the question at the end from the documents below, and from nothing else.")
    assert shown(prompt) == [("0.txt", "Anna keeps"), ("1.txt", "The mill b"), ("2.txt", "Bees like ")]
    assert prompt.endswith("Question: Who keeps bees at the mill?\nAnswer:")
    assert (found.answer.text, found.calls, found.chain) == ("Anna", 1, "stuff")
    assert [source.path for source in found.sources] == ["0.txt", "1.txt", "2.txt"]


def test_stuff_that_does_not_fit_is_refused_before_any_call():
    """Row D9."""
    model = Model(lambda _: "Anna")
    with pytest.raises(InputError, match=r"the prompt has about [\d,]+ tokens, .* 1,000 has room for 900") as caught:
        ask("stuff", model)
    assert model.requests == []
    assert "map-reduce" in caught.value.hint


def test_map_reduce_notes_each_part_and_puts_the_notes_together():
    model = Model(noted)
    found = ask("map-reduce", model)
    *maps, reduced = model.prompts
    assert [shown(prompt) for prompt in maps] == [
        [("0.txt:1", "Anna keeps")],
        [("1.txt:1", "The mill b")],
        [("2.txt:1", "Bees like ")],
    ]
    assert all("Write down what it says that helps to answer" in prompt for prompt in maps)
    assert all(prompt.endswith("Question: Who keeps bees at the mill?\nNotes:") for prompt in maps)
    assert "Below are notes that were taken from the parts of some documents." in reduced
    assert [text for _, text in shown(reduced)] == ["Anna keeps", "The mill b", "Bees like "]
    assert found.answer.text == " ".join(PARTS)
    assert (found.calls, found.answer.usage, found.answer.attempts) == (4, Usage(40, 8), 4)


def test_map_reduce_forgets_parts_that_say_nothing():
    model = Model(lambda prompt: noted(prompt) if "Anna" in prompt else "NOT FOUND.")
    found = ask("map-reduce", model)
    assert [text for _, text in shown(model.prompts[-1])] == ["Anna keeps"]
    assert [source.path for source in found.sources] == ["0.txt"]


def test_map_reduce_of_silent_parts_says_so():
    found = ask("map-reduce", Model(lambda _: "not found"))
    assert (found.answer.text, found.sources, found.calls) == ("The documents do not hold the answer.", (), 3)
    with pytest.raises(NotInDocumentsError):
        ask("map-reduce", Model(lambda _: "not found"), strict=True)


def test_map_reduce_reduces_in_rounds_until_the_notes_fit():
    documents = [Document(f"{number}.txt", f"Fact {number}. " + "More of it. " * 90) for number in range(9)]
    model = Model(lambda prompt: "note " * 90 if "Write down" in prompt else "less")
    found = ask("map-reduce", model, documents=documents)
    steps = ["map" if "Write down" in prompt else "reduce" for prompt in model.prompts]
    assert steps[:9] == ["map"] * 9
    assert len(steps) >= 9 + 2 + 1
    assert all(estimate(prompt) < 900 for prompt in model.prompts)
    assert found.answer.text == "less"


def test_map_reduce_of_what_fits_into_one_call_makes_one():
    model = Model(lambda _: "Anna")
    assert ask("map-reduce", model, documents=DOCUMENTS[:1], context_window=4000).calls == 1


def test_refine_hands_the_answer_on():
    model = Model(
        lambda prompt: {"Anna": "one", "burned": "two"}.get(re.search("Anna|burned|clover", prompt)[0], "three")
    )
    found = ask("refine", model)
    first, second, third = model.prompts
    assert first.endswith("\nAnswer:")
    assert shown(second) == [("the answer so far", "one\n[end "), ("1.txt:1", "The mill b")] or "one" in second
    assert "the answer so far]\none\n[end" in second
    assert "the answer so far]\ntwo\n[end" in third
    assert third.endswith("\nBetter answer:")
    assert (found.answer.text, found.calls) == ("three", 3)
    assert [source.path for source in found.sources] == ["0.txt", "1.txt", "2.txt"]


def test_map_rerank_takes_the_answer_with_the_best_score():
    scores = {"Anna": "Anna.\nScore: 90", "burned": "In 1903.\n\n**Score:** 20/100", "clover": "NOT FOUND\nScore: 95"}
    model = Model(lambda prompt: scores[re.search("Anna|burned|clover", prompt)[0]])
    found = ask("map-rerank", model)
    assert all("Score: 80, which says from 0 to 100" in prompt for prompt in model.prompts)
    assert (found.answer.text, found.calls) == ("Anna.", 3)
    assert [source.path for source in found.sources] == ["0.txt"]


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Anna.\nScore: 80", (80, "Anna.")),
        ("Anna. score: 7/100.", (7, "Anna.")),
        ("Anna\n(Score - 100%)", (100, "Anna")),
        ("Anna\nScore: 999", (100, "Anna")),
        ("Anna scored 3 goals", (50, "Anna scored 3 goals")),
        ("NOT FOUND", (0, "NOT FOUND")),
        ("NOT_FOUND\nScore: 50", (0, "NOT_FOUND")),
        ("Score: 50", (0, "")),
        ("", (0, "")),
    ],
)
def test_a_score_is_read_as_open_models_write_it(text, score):
    assert scored_text(text) == score


def test_retrieve_reads_the_best_passages():
    model = Model(lambda _: "In 1903.")
    found = ask("retrieve", model, question="When did the mill burn down?")
    assert shown(model.prompts[0])[0] == ("1.txt:1", "The mill b")
    assert found.sources[0].path == "1.txt"
    assert found.sources[0].lines == (1, 1)


def test_retrieve_without_a_word_in_common_asks_nothing():
    model = Model(lambda _: "Paris")
    with pytest.raises(InputError, match="none of the question's words"):
        ask("retrieve", model, question="Capital of France?")
    with pytest.raises(NotInDocumentsError) as caught:
        ask("retrieve", model, question="Capital of France?", strict=True)
    assert (model.requests, caught.value.maybe_charged, caught.value.code) == ([], False, 16)


def test_auto_reads_all_where_it_fits_and_tells_where_it_does_not():
    told = []
    model = Model(lambda _: "Anna")
    asker = qa.Asker(model, tell=told.append)
    question = "Who keeps bees?"
    assert qa.answer(question, qa.Library(DOCUMENTS), NARROW._replace(context_window=8000), asker).chain == "stuff"
    assert told == []
    assert qa.answer(question, qa.Library(DOCUMENTS), NARROW, asker).chain == "retrieve"
    assert re.fullmatch(r"read \d+ passages?, \d+ % of the text; --chain map-reduce reads all of it", told[0])
    large = [Document("a.txt", DOCUMENTS[0].text * 40)]
    qa.answer(question, qa.Library(large), NARROW._replace(context_window=None), asker)
    assert told[1].endswith("no context window is known, so it is taken for 8,192 tokens (--context-window)")


@pytest.mark.parametrize("chain", ["stuff", "retrieve", "map-reduce", "refine", "map-rerank"])
def test_own_prompts_take_the_place_of_ours(chain):
    """Each step has its own; a system prompt stands before all of them."""

    def marked(name):
        return lambda material: (Message("user", f"{name}|" + "".join(passage.text for passage in material.passages)),)

    own = qa.Prompts(*(marked(name) for name in qa.Prompts._fields))
    model = Model(lambda prompt: f"said {prompt.split('|')[0]}")
    ask(chain, model, prompts=own, system="Be brief.", context_window=None if chain == "stuff" else 700)
    steps = [prompt.split("|")[0] for prompt in model.prompts]
    expected = {"stuff": ["answer"], "retrieve": ["answer"], "map-rerank": ["rate"] * 3}
    expected |= {"map-reduce": ["map"] * 3 + ["reduce"], "refine": ["answer", "refine", "refine"]}
    assert steps == expected[chain]
    assert {request.messages[0] for request in model.requests} == {Message("system", "Be brief.")}


def test_a_template_has_the_answer_so_far():
    own = qa.Prompts(refine=qa.template("{answer} + {context} ? {question}"))
    model = Model(lambda _: "{context}")
    ask("refine", model, prompts=own)
    assert model.prompts[1].startswith("{context} + The mill burned")


@pytest.mark.parametrize("chain", ["stuff", "retrieve", "map-reduce", "refine", "map-rerank", "auto"])
def test_a_plan_is_what_is_asked_at_most(chain):
    settings = NARROW._replace(chain=chain, context_window=4000 if chain == "stuff" else 1000)
    library = qa.Library(DOCUMENTS)
    planned = qa.plan("Who keeps bees at the mill?", library, settings)
    model = Model(lambda _: "Anna keeps bees.\nScore: 80")
    found = qa.answer("Who keeps bees at the mill?", library, settings, model)
    assert len(planned.calls) >= found.calls
    assert (planned.chain, planned.requests[0]) == (found.chain, model.requests[0])
    assert all(call.tokens + 100 <= settings.context_window for call in planned.calls)


class Short(Model):
    """A container that takes fewer tokens than it was thought to."""

    def __init__(self, limit, says_so=True):
        super().__init__(lambda _: "Anna keeps bees.")
        self.limit = limit
        self.says_so = says_so

    def __call__(self, request):
        answer = super().__call__(request)
        tokens = sum(estimate(message.content) for message in request.messages) + request.params["max_tokens"]
        if tokens > self.limit:
            raise ContextError("too long", limit=self.limit if self.says_so else None)
        return answer


@pytest.mark.parametrize(("limit", "says_so", "window"), [(1000, True, "1,000"), (1400, False, "1,333")])
def test_a_prompt_that_is_too_long_shrinks_the_budget_once_and_says_so(limit, says_so, window):
    told = []
    model = Short(limit, says_so)
    settings = NARROW._replace(context_window=2000)
    found = qa.answer("Who keeps bees?", qa.Library(DOCUMENTS), settings, qa.Asker(model, tell=told.append))
    assert told[0] == f"the prompt was too long for the model; asking once more within {window} tokens"
    assert (found.chain, found.answer.text) == ("retrieve", "Anna keeps bees.")


def test_a_prompt_that_is_too_long_twice_is_an_error():
    model = Short(500, says_so=False)
    with pytest.raises(ContextError):
        ask("auto", model, context_window=2000)
    assert len(model.requests) == 2


def test_a_window_without_room_is_refused():
    with pytest.raises(ConfigError, match="a context window of 200 tokens has no room"):
        ask("auto", Model(noted), context_window=200)


def test_a_passage_larger_than_the_window_is_cut():
    wide = [Document("wide.txt", "word " * 3000)]
    model = Model(lambda _: "note")
    ask("map-reduce", model, documents=wide, question="word?", context_window=512, params={"max_tokens": 64})
    assert len(model.requests) > 8
    assert all(estimate(prompt) <= 448 for prompt in model.prompts)


def test_maps_run_at_once_and_answers_keep_their_order():
    running, most, lock = 0, 0, threading.Lock()

    def slow(prompt):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        # Later parts are done sooner.
        time.sleep(0.06 - 0.02 * int(re.search(r"(\d)\.txt|notes", prompt)[1] or 0))
        with lock:
            running -= 1
        return noted(prompt)

    heard = []
    settings = NARROW._replace(chain="map-reduce", workers=3)
    asker = qa.Asker(Model(slow), progress=lambda *how: heard.append(how))
    found = qa.answer("Who keeps bees at the mill?", qa.Library(DOCUMENTS), settings, asker)
    assert found.answer.text == " ".join(PARTS)
    assert most == 3
    assert heard == [("map", number, 3) for number in range(4)]


def test_marks_that_a_model_repeats_reach_no_further_prompt():
    def marked(prompt):
        return f"{noted(prompt)}\n{re.search(r'^.end [0-9a-f]{16}.$', prompt, re.MULTILINE)[0]}"

    model = Model(marked)
    found = qa.answer("Who keeps bees at the mill?", qa.Library(DOCUMENTS), NARROW._replace(chain="map-reduce"), model)
    assert found.answer.text == " ".join(PARTS)
    assert [len(re.findall(r"^\[end ", prompt, re.MULTILINE)) for prompt in model.prompts] == [1, 1, 1, 3]


def test_a_score_before_a_mark_counts():
    def rated(prompt):
        score = 90 if "bees" in prompt else 10
        return f"{noted(prompt)}\nScore: {score}\n{re.search(r'^.end [0-9a-f]{16}.$', prompt, re.MULTILINE)[0]}"

    settings = NARROW._replace(chain="map-rerank")
    found = qa.answer("Who keeps bees at the mill?", qa.Library(DOCUMENTS), settings, Model(rated))
    assert "Score" not in found.answer.text
    assert found.answer.text


def test_refine_tells_how_much_is_read():
    heard = []
    asker = qa.Asker(Model(noted), progress=lambda *how: heard.append(how))
    qa.answer("Who keeps bees at the mill?", qa.Library(DOCUMENTS), NARROW._replace(chain="refine"), asker)
    assert heard == [("refine", 1, 3), ("refine", 3, 3)]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_error_ends_a_chain(workers):
    documents = [Document(f"{number}.txt", "Bees. " * 150) for number in range(20)]

    def failing(_):
        raise ThrottledError("slow down")

    model = Model(failing)
    with pytest.raises(ThrottledError):
        ask("map-reduce", model, documents=documents, workers=workers)
    assert len(model.requests) <= 2 * workers


def test_only_the_last_call_is_shown():
    asked, shown_ = Model(noted), Model(noted)
    settings = NARROW._replace(chain="map-reduce")
    qa.answer("Who keeps bees?", qa.Library(DOCUMENTS), settings, qa.Asker(asked, show=shown_))
    assert (len(asked.requests), len(shown_.requests)) == (3, 1)


def test_notes_are_kept_short_enough_to_be_put_together():
    model = Model(noted)
    ask("map-reduce", model, context_window=2000, params={"max_tokens": 900}, documents=DOCUMENTS * 2)
    limits = [request.params["max_tokens"] for request in model.requests]
    assert limits == [183] * (len(limits) - 1) + [900]


def test_documents_are_read_once_for_all_questions():
    taken = []

    def coming():
        for document in DOCUMENTS:
            taken.append(document.path)
            yield document

    library = qa.Library(coming())
    for question in ("Who keeps bees?", "When did the mill burn?"):
        qa.answer(question, library, NARROW, Model(lambda _: "Anna"))
    assert taken == ["0.txt", "1.txt", "2.txt"]


def test_no_document_is_an_error_each_time():
    library = qa.Library([])
    for _ in range(2):
        with pytest.raises(InputError, match="no document"):
            qa.answer("Who?", library, NARROW, Model(noted))


def test_nothing_is_answered_from_half_of_the_documents():
    """Row D14: neither then nor later."""

    def breaking():
        yield DOCUMENTS[0]
        raise InputError("it was written to while it was read")

    library, model = qa.Library(breaking()), Model(noted)
    for match in ("written to", "no document"):
        with pytest.raises(InputError, match=match):
            qa.answer("Who?", library, NARROW, model)
    assert model.requests == []


def test_what_stands_above_a_passage_stands_between_the_marks_as_well():
    """Row D12: headings and the first row of a table are text of the document."""
    rows = "".join(f"Tom {number},Oslo\n" for number in range(200))
    model = Model(lambda _: "Oslo")
    ask("retrieve", model, question="Where is Tom 150?", documents=[Document("a.csv", f"name,town\n{rows}")])
    assert re.search(r"^\[[0-9a-f]{16} a\.csv:\d+-\d+\]\nname,town\nTom ", model.prompts[0], re.MULTILINE)


def test_an_error_of_the_model_is_passed_on():
    def failing(_):
        raise ModelError("broken")

    with pytest.raises(ModelError, match="broken"):
        ask("refine", Model(failing))
