"""Citations and quotations in an answer, and whether an answer rests on what was read."""

from __future__ import annotations

import pytest

from sm_ask import qa
from sm_ask.chat import Answer, Source, Timing, Usage
from sm_ask.documents import Document
from sm_ask.errors import NotInDocumentsError
from sm_ask.qa import Passage, evidence
from sm_ask.qa.citations import check
from sm_ask.qa.refusals import is_nothing, is_refusal

STORY = "Elizabeth collapsed and was rushed to the hospital.\nPeter stayed with her for 3 days, “day and\nnight”."
PASSAGES = {1: Passage("a.txt", STORY, (1, 3)), 2: Passage("b.pdf", "The party was in Oslo.", page=7)}


def test_citations_become_sources():
    found = check("Three days [1], in Oslo [2].", PASSAGES)
    assert found.text == "Three days [1], in Oslo [2]."
    assert found.sources == (
        Source("a.txt", (1, 3), None, cited=True, quote=None),
        Source("b.pdf", None, 7, cited=True, quote=None),
    )
    assert found.faults == ()


@pytest.mark.parametrize(
    ("text", "cleaned", "cited"),
    [
        ("So [1][2].", "So [1][2].", {1, 2}),
        ("So [1, 2].", "So [1, 2].", {1, 2}),
        ("So [1-2].", "So [1-2].", {1, 2}),
        ("So [1; 9].", "So [1].", {1}),
        ("So [9].", "So.", set()),
        ("So [2][9].", "So [2].", {2}),
        ("So [9] it is.", "So it is.", set()),
        ("So [0], [1].", "So, [1].", {1}),
        ("a[1] = b[2]", "a[1] = b[2]", set()),
        ("[1]", "[1]", {1}),
        ("[see 1]", "[see 1]", set()),
        ("[1-999999]", "[1]", {1}),
        ("[99999999999999999999]", "[99999999999999999999]", set()),
    ],
)
def test_citations_of_what_does_not_exist_are_taken_out(text, cleaned, cited):
    found = check(text, PASSAGES)
    assert found.text == cleaned
    assert {number for number, source in enumerate(found.sources, start=1) if source.cited} == cited


def test_what_is_wrong_is_told():
    assert check("So [9].", PASSAGES).faults == (
        "[9] is no passage, and is taken out of the answer",
        "the answer cites no passage, so what it rests on is not known",
    )


@pytest.mark.parametrize(
    "quote",
    ['"rushed to the hospital"', "“Peter stayed with her”", '"rushed to the hospital."', '"3 days, "day and night""'],
)
def test_a_quotation_is_found_word_for_word(quote):
    """Line ends and kinds of quotation marks do not count."""
    found = check(f"It says {quote} [1].", PASSAGES)
    assert found.faults == ()


def test_a_quotation_gets_to_its_source():
    found = check('She was "rushed to the hospital" [1].', PASSAGES)
    assert [source.quote for source in found.sources] == ["rushed to the hospital", None]


@pytest.mark.parametrize("quote", ["rushed to a hospital", "Rushed to the Hospital", "rushed  to the hospitals"])
def test_a_quotation_that_is_not_word_for_word_is_flagged(quote):
    found = check(f'She was "{quote}" [1].', PASSAGES)
    assert found.faults == (f"the answer quotes {quote!r}, which stands in no passage",)
    assert found.sources[0].quote is None


def test_a_word_in_quotation_marks_is_no_quotation():
    assert check('The so-called "big party" [2].', PASSAGES).faults == ()


@pytest.mark.parametrize(
    "text",
    [
        "NOT FOUND",
        "Not found.",
        "**NOT_FOUND**",
        "The document does not contain the answer.",
        "The documents do not hold any information about this. However, she is 20.",
        "There is no information on her age in the text.",
        "It is not mentioned how old she is.",
        "I cannot find that in the documents.",
        "",
    ],
)
def test_a_refusal_is_known(text):
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text", ["3 days.", "No.", "She did not stay.", "Peter. Nothing else is said.", "Not 3, but 4"]
)
def test_an_answer_is_no_refusal(text):
    assert not is_refusal(text)
    assert not is_nothing(text)


QUESTION = "How long was Elizabeth hospitalized?"


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (QUESTION, "3 days"),
        (QUESTION, "Three days."),
        (QUESTION, "Elizabeth was hospitalized for three days."),
        (QUESTION, "According to the documents, Peter stayed with her for 3 days."),
        ("Was Elizabeth in hospital?", "Yes."),
        ("Where did Elizabeth go?", "She was rushed to the hospital."),
        # In other words than the text's, but with four in a row that are.
        ("What occurred afterwards, medically?", "She was rushed to the hospital."),
    ],
)
def test_an_answer_that_rests_on_the_passages(question, text):
    assert evidence.missing(question, text, PASSAGES.values()) is None


@pytest.mark.parametrize(
    ("question", "text", "why"),
    [
        (QUESTION, "4 days", "they do not say '4'"),
        (QUESTION, "Seven days", "they do not say 'seven'"),
        (QUESTION, "She was treated by Doctor Miller", "'miller'"),
        ("What is the capital of France?", "The capital of France is Paris.", "they do not say 'paris'"),
        ("Who won the football match?", "The football match was won by Peter.", "do not speak of 'won', 'football'"),
        (QUESTION, "A broken collarbone, mended overnight", "they do not say 'broken', 'collarbone', 'mended' …"),
        (QUESTION, "NOT FOUND", "the model finds no answer in them"),
    ],
)
def test_an_answer_that_does_not(question, text, why):
    assert why in evidence.missing(question, text, PASSAGES.values())


def answering(text):
    return lambda _: Answer(text, "", "stop", Usage(1, 1), Timing(None, 0.1), 1, "id", None)


def test_strict_refuses_and_says_why():
    library = qa.Library([Document("a.txt", STORY)])
    settings = qa.Settings(strict=True)
    assert qa.answer(QUESTION, library, settings, answering("3 days")).answer.text == "3 days"
    with pytest.raises(NotInDocumentsError, match="do not hold the answer: they do not say '4'") as caught:
        qa.answer(QUESTION, library, settings, answering("4 days"))
    assert (caught.value.code, caught.value.maybe_charged, caught.value.attempts) == (16, True, 1)


def test_a_citation_is_no_number_that_has_to_stand_in_the_documents():
    library = qa.Library([Document("a.txt", "No digits here, said Anna.")])
    settings = qa.Settings(strict=True, cite=True)
    found = qa.answer("Who said no digits?", library, settings, answering("Anna [1]"))
    assert (found.answer.text, found.sources[0].cited) == ("Anna [1]", True)


def test_passages_are_numbered_for_the_model():
    requests = []

    def ask(request):
        requests.append(request)
        return answering("Anna [2].")(request)

    documents = [Document("a.md", "# Bees\n\nTom has none."), Document("b.md", "# Mill\n\nAnna has bees.")]
    found = qa.answer("Who has bees?", qa.Library(documents), qa.Settings(cite=True), ask)
    prompt = requests[0].messages[0].content
    assert "put the number of the passage that it is from, such as [1]" in prompt
    assert " [1] a.md:1-3]\n# Bees\n\nTom has none.\n[end " in prompt
    assert " [2] b.md:1-3]\n# Mill\n\nAnna has bees.\n[end " in prompt
    assert [(source.path, source.lines, source.cited) for source in found.sources] == [
        ("a.md", (1, 3), False),
        ("b.md", (1, 3), True),
    ]
