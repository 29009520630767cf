"""Passages: where a document is cut, and that its places are right."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_ask import documents, qa
from sm_ask.documents import Document
from sm_ask.qa.splitting import smaller, split
from sm_ask.qa.tokens import estimate

DATA = Path(__file__).parent / "data"


def places(name, text, size=20):
    return [(passage.lines, passage.title, passage.text) for passage in split(Document(name, text), size)]


def test_headings_begin_passages_and_stand_above_them():
    text = (
        "# Keys\n\nThere are two keys.\n\n## Rotation\n\nOnce a year, in the spring.\n\nBy two people.\n\n"
        "## Loss\n\nAsk Ana."
    )
    assert places("a.md", text) == [
        ((1, 3), "", "# Keys\n\nThere are two keys."),
        ((5, 7), "Keys", "## Rotation\n\nOnce a year, in the spring."),
        ((9, 9), "Keys > Rotation", "By two people."),
        ((11, 13), "Keys", "## Loss\n\nAsk Ana."),
    ]


def test_underlined_headings_are_headings():
    text = "Keys\n====\n\nThere are two of them.\n\nLoss of a key\n-------------\n\nAsk Ana, and wait for her."
    assert [(lines, title) for lines, title, _ in places("a.rst", text, 34)] == [((1, 4), ""), ((6, 9), "Keys")]


def test_a_fenced_block_is_no_place_for_headings():
    text = "Do this:\n\n```sh\n# not a heading\n\nmake all the things at once\n```\n\nAnd that is all there is."
    assert [lines for lines, _, _ in places("a.md", text, 30)] == [(1, 7), (9, 9)]


def test_code_is_cut_between_its_blocks():
    text = "def first():\n    # one\n\n    return 1\n\n\ndef second():\n    return 2\n"
    assert [lines for lines, _, _ in places("a.py", text, 14)] == [(1, 4), (7, 8)]


def test_a_table_keeps_its_first_row():
    text = "name,town\n" + "".join(f"Anna {number},Oslo\n" for number in range(12))
    found = places("a.csv", text)
    assert [title for _, title, _ in found] == ["", *["name,town"] * (len(found) - 1)]
    assert found[1][2].startswith("Anna")
    assert len(found) > 3


def test_a_cell_with_line_ends_is_not_cut():
    text = 'name,note\nTom,none\n"Anna","first line\nsecond line\nthe last one"\nOle,none\n'
    assert '"Anna","first line\nsecond line\nthe last one"' in [piece for _, _, piece in places("a.csv", text, 22)]


def test_a_long_paragraph_is_cut_between_sentences_with_one_of_them_in_both():
    text = " ".join(f"Sentence {number} is here." for number in range(12))
    found = [piece for _, _, piece in places("a.txt", text, 40)]
    assert all(piece.startswith("Sentence") and piece.endswith("here.") for piece in found)
    for before, after in itertools.pairwise(found):
        assert before.split(". ")[-1].rstrip(".") == after.split(". ")[0].rstrip(".")


def test_paragraphs_do_not_overlap():
    text = "\n\n".join(f"Paragraph {number} is a short one." for number in range(9))
    found = [piece for _, _, piece in places("a.txt", text)]
    assert "\n\n".join(found) == text


@pytest.mark.parametrize("text", ["x" * 500, "日" * 200, "a\n" * 300, "\n" * 50 + "end", "word " * 300, "🎉" * 80])
def test_whatever_has_no_structure_is_cut_all_the_same(text):
    found = places("a.txt", text, 30)
    assert all(estimate(piece) <= 32 for _, _, piece in found)
    assert "".join("".join(piece.split()) for _, _, piece in found) == "".join(text.split())


texts = st.text('ab.!? #\n\n-=`~é日"\r', max_size=400)


@settings(deadline=None)
@given(texts, st.sampled_from(["a.md", "a.txt", "a.py", "a.csv", "a"]), st.integers(4, 40))
def test_each_passage_stands_where_it_says(text, name, size):
    """Every passage is a piece of its lines, and every word of the document is in some passage."""
    lines = text.split("\n")
    covered = set()
    for passage in split(Document(name, text), size):
        first, last = passage.lines
        assert passage.text in "\n".join(lines[first - 1 : last])
        covered.update(range(first, last + 1))
    assert {number for number, line in enumerate(lines, start=1) if line.strip()} <= covered


@settings(deadline=None)
@given(texts.filter(str.strip), st.integers(2, 20))
def test_a_passage_cut_smaller_holds_the_same(text, size):
    passage = qa.Passage("a.txt", text, (5, 5 + text.count("\n")))
    pieces = list(smaller(passage, size))
    assert pieces[0].lines[0] == 5
    assert pieces[-1].lines[1] <= passage.lines[1]
    assert set("".join("".join(piece.text.split()) for piece in pieces)) == set("".join(text.split()))


def test_a_part_of_a_long_file_counts_from_its_first_line():
    assert [passage.lines for passage in split(Document("a.txt", "x\n\ny", first_line=101), 1)] == [
        (101, 101),
        (103, 103),
    ]


def test_a_page_has_no_lines():
    [passage] = split(Document("a.pdf", "x", page=3))
    assert (passage.lines, passage.page, passage.place) == (None, 3, "a.pdf page 3")


def questions():
    return [line.split("\t") for line in (DATA / "questions.tsv").read_text().splitlines()]


def test_the_passage_with_the_answer_is_among_the_first_five():
    """Eighty questions in other words than the text's; `make bench` has more, and another search beside it."""
    paths = sorted((DATA / "handbook").glob("*.md"))
    library = qa.Library(document for path in paths for document in documents.read(str(path)))
    asked = questions()
    found = [
        any(passage.path.endswith(f"/{name}") and needle in passage.text for passage in library.search(question, 5))
        for question, name, needle in asked
    ]
    assert len(asked) >= 60
    assert sum(found) / len(found) >= 0.9


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("伊丽莎白住院多久", "彼得在医院陪伊丽莎白住了三天。"),
        ("Wie lange war Elisabeth krank?", "Elisabeth lag drei Tage krank im Spital."),
        ("what does rotate_keys do", "def rotate_keys(): ..."),
        ("how are keys rotated", "def rotateKeys(): ..."),
        ('the "quoted" (words) OR -minus * : ^', "quoted words and a minus"),
    ],
)
def test_questions_of_any_kind_find_their_words(question, text):
    others = [Document(f"{number}.py", f"nothing of the kind, {number}") for number in range(9)]
    library = qa.Library([*others, Document("it.py", text)])
    assert library.search(question, 1)[0].path == "it.py"


@settings(deadline=None)
@given(st.text(), st.text(min_size=1))
def test_no_question_and_no_text_upset_the_search(question, text):
    library = qa.Library([Document("caf\udce9 \0.txt", text)])
    assert len(library.search(question, 3)) <= max(len(list(library.passages())), 1)


def test_many_documents_are_held_by_the_index_alone(monkeypatch):
    """Beyond a size that no prompt holds, passages come back from the index as they were."""
    monkeypatch.setattr("sm_ask.qa.libraries._KEPT", 2000)
    texts_ = [f"Paragraph {number}: caf\u00e9 {'x ' * 50}" for number in range(100)]
    library = qa.Library(Document(f"{number}\udcff.txt", text) for number, text in enumerate(texts_))
    assert library.whole() is None
    assert [passage.text.strip() for passage in library.passages()] == [text.strip() for text in texts_]
    assert library.search("paragraph 42", 1)[0].lines == (1, 1)
    assert library.search("paragraph 42", 1)[0].path == "42\udcff.txt"
