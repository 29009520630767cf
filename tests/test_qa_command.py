"""`sm-ask qa` beyond one prompt: chains, citations, strictness, many questions, plans and progress."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import SM_ASK, at, run_process
from server import chat_event, chat_stream, chat_whole, drips, failing, says
from terminal import apart, on_terminal

HANDBOOK = Path(__file__).parent / "data" / "handbook"
HOSPITAL = Path(__file__).parent.parent / "examples" / "hospital.txt"
QUESTION = "How long was Elizabeth hospitalized?"


def said(text, **changes):
    return says(chat_stream(text, **changes))


@pytest.fixture
def docs(tmp_path):
    (tmp_path / "bees.md").write_text("# Bees\n\nAnna keeps bees.\n")
    (tmp_path / "mill.md").write_text("# Mill\n\nThe mill burned down in 1903.\n")
    return ["--doc", str(tmp_path / "bees.md"), "--doc", str(tmp_path / "mill.md")]


def test_too_much_for_the_window_is_searched_and_the_sources_are_told(cli, serve):
    server = serve(said("It takes eleven hours."))
    options = ["--doc", str(HANDBOOK), "--context-window", "2000"]
    done = cli("qa", "How long is a restore on the small instance?", *options, server=server)
    told, *sources = done.err.splitlines()
    assert (done.code, done.out) == (0, b"It takes eleven hours.\n")
    assert told.startswith("sm-ask: read ")
    assert " % of the text; --chain map-reduce reads all of it" in told
    assert sources[0] == f"sm-ask: source {HANDBOOK}/backups.md:8-14"


def test_what_fits_is_read_whole_and_nothing_is_told(cli, serve, docs):
    done = cli("qa", "Who?", *docs, server=serve(said("Anna")))
    assert (done.code, done.out, done.err) == (0, b"Anna\n", "")


def test_what_does_not_fit_is_not_cut_in_silence(cli, serve):
    """Row D9."""
    server = serve(said("x"))
    done = cli("qa", "Who?", "--doc", str(HANDBOOK), "--chain", "stuff", "--context-window", "2000", server=server)
    assert (done.code, done.out, server.requests) == (12, b"", [])
    assert "the context window of 2,000 has room for 1,488 beside the answer" in done.err
    assert "hint: --chain retrieve" in done.err


def test_citations_are_checked_and_told(cli, serve, docs):
    answer = 'Anna [1] and "the mill burned" [7], "it was in 1903" [2].'
    done = cli("qa", "Who?", *docs, "--cite", server=serve(said(answer)))
    folder = docs[1].removesuffix("/bees.md")
    assert done.text == 'Anna [1] and "the mill burned", "it was in 1903" [2].\n'
    assert done.err.splitlines() == [
        "sm-ask: [7] is no passage, and is taken out of the answer",
        "sm-ask: the answer quotes 'the mill burned', which stands in no passage",
        "sm-ask: the answer quotes 'it was in 1903', which stands in no passage",
        f"sm-ask: source [1] {folder}/bees.md:1-3",
        f"sm-ask: source [2] {folder}/mill.md:1-3",
    ]


def test_citations_are_in_the_json(cli, serve, docs):
    done = cli("qa", "Who?", *docs, "--cite", "--json", server=serve(said('"Anna keeps bees" [1]')))
    first, second = json.loads(done.out)["sources"]
    assert (first["lines"], first["cited"], first["quote"]) == ([1, 3], True, "Anna keeps bees")
    assert (second["lines"], second["cited"], second["quote"]) == ([1, 3], False, None)


@pytest.mark.parametrize("answer", ["NOT FOUND", "In Paris.", "The documents do not say."])
def test_strict_refuses_with_16(cli, serve, docs, answer):
    done = cli("qa", "Who keeps bees?", *docs, "--strict", server=serve(said(answer)))
    assert (done.code, done.out) == (16, b"")
    assert done.err.startswith("sm-ask: error: the documents do not hold the answer: ")


def test_strict_refuses_in_json(cli, serve, docs):
    done = cli("qa", "Who keeps bees?", *docs, "--strict", "--json", server=serve(said("In Paris.")))
    assert (done.code, done.out) == (16, b"")
    assert json.loads(done.err.splitlines()[-1])["kind"] == "not_in_documents"


def test_strict_answers_what_stands_there(cli, serve, docs):
    done = cli("qa", "Who keeps bees?", *docs, "--strict", server=serve(said("Anna keeps bees.")))
    assert (done.code, done.out) == (0, b"Anna keeps bees.\n")


@pytest.mark.parametrize("option", [["--cite"], ["--strict"], ["--questions", "q"]])
def test_raw_bytes_cannot_be_checked(cli, serve, docs, option):
    question = [] if "--questions" in option else ["Who?"]
    server = serve(said("x"))
    done = cli("qa", *question, *docs, "--raw", *option, server=server)
    assert (done.code, server.requests) == (2, [])


@pytest.mark.parametrize("question", [[], ["Who?", "--questions", "q"]])
def test_one_question_or_a_file_of_them(cli, serve, docs, question):
    done = cli("qa", *question, *docs, server=serve(said("x")))
    assert done.code == 2
    assert ("there is no question" if not question else "beside --questions") in done.err


@pytest.fixture
def questions(tmp_path):
    (tmp_path / "questions").write_text("Who keeps bees?\n\n  When did the mill burn?\r\n")
    return ["--questions", str(tmp_path / "questions")]


def test_many_questions_are_answered_one_after_the_other(cli, serve, docs, questions):
    server = serve(said("Anna"), said("In 1903"))
    done = cli("qa", *questions, *docs, server=server)
    assert (done.code, done.text) == (0, "# Who keeps bees?\n\nAnna\n\n# When did the mill burn?\n\nIn 1903\n")
    asked = [request.json["messages"][0]["content"].splitlines()[-2] for request in server.requests]
    assert asked == ["Question: Who keeps bees?", "Question: When did the mill burn?"]


def test_many_questions_in_json_are_a_line_each(cli, serve, docs, questions):
    server = serve(said("Anna"), failing(424, "ModelError", "broken", {"OriginalStatusCode": 500}))
    done = cli("qa", *questions, *docs, "--json", server=server)
    first, second = map(json.loads, done.out.splitlines())
    assert (first["question"], first["answer"], first["error"]) == ("Who keeps bees?", "Anna", None)
    assert (second["question"], second["answer"], second["error"]["code"]) == ("When did the mill burn?", None, 9)
    assert done.code == 15


def test_questions_that_all_fail_alike_end_with_their_code(cli, serve, docs, questions):
    done = cli("qa", *questions, *docs, "--strict", server=serve(said("NOT FOUND")))
    assert done.code == 16


def test_a_failure_that_all_questions_would_share_ends_them(cli, serve, docs, questions):
    server = serve(failing(403, "AccessDeniedException", "no"))
    done = cli("qa", *questions, *docs, server=server)
    assert (done.code, len(server.requests)) == (5, 1)


def test_questions_come_from_stdin_once(cli, serve, docs):
    server = serve(said("Anna"))
    done = cli("qa", "--questions", "-", *docs, server=server, stdin=b"Who?\nWho else?\n")
    assert (done.code, len(server.requests)) == (0, 2)
    done = cli("qa", "--questions", "-", "--doc", "-", server=server, stdin=b"Who?\n")
    assert (done.code, len(server.requests)) == (2, 2)


def test_no_question_in_the_file_is_an_error(cli, serve, docs, tmp_path):
    (tmp_path / "q").write_text("\n")
    assert cli("qa", "--questions", str(tmp_path / "q"), *docs, server=serve(said("x"))).code == 12


def test_a_plan_is_shown_and_nothing_is_asked(cli, serve):
    server = serve(said("x"))
    options = ["--doc", str(HANDBOOK), "--context-window", "2000", "--dry-run", "--no-stdin"]
    done = cli("qa", "Who trains microscope users?", *options, "--chain", "map-reduce", server=server)
    head, first = done.text.splitlines()[:2]
    assert (done.code, server.requests) == (0, [])
    assert head.startswith("# map-reduce: at most ")
    assert first.startswith("#   1. map, about ")
    assert "handbook/allotments.md:1-" in first
    assert "\nPOST http" in done.text


def test_a_plan_in_json(cli, serve, docs):
    done = cli("qa", "Who keeps bees?", *docs, "--chain", "retrieve", "--dry-run", "--json", server=serve(said("x")))
    plan = json.loads(done.out)["plan"]
    assert plan["chain"] == "retrieve"
    [call] = plan["calls"]
    assert (call["step"], [name.rpartition("/")[2] for name in call["passages"]]) == ("answer", ["bees.md:1-3"])
    assert 0 < call["tokens"] < 500


def test_templates_are_for_one_step_or_for_those_that_read_passages(cli, serve, docs, tmp_path):
    (tmp_path / "own.txt").write_text("READ {context} {question}")
    (tmp_path / "red.txt").write_text("SUM {context} {question}")
    server = serve(said("a note"))
    options = ["--template", str(tmp_path / "own.txt"), "--template", f"reduce={tmp_path / 'red.txt'}"]
    options += ["--chain", "map-reduce", "--context-window", "260", "--max-tokens", "100", "--workers", "1"]
    (tmp_path / "long.txt").write_text("A sentence of some length. " * 40)
    cli("qa", "Who?", *docs, "--doc", str(tmp_path / "long.txt"), *options, server=server)
    prompts = [request.json["messages"][0]["content"][:4] for request in server.requests]
    assert set(prompts[:-1]) == {"READ"}
    assert prompts[-1] == "SUM "


def test_a_template_for_one_step_can_come_from_stdin_once(cli, serve, docs):
    server = serve(said("x"))
    done = cli("qa", "Who?", *docs, "--template", "answer=-", server=server, stdin=b"{context}|{question}")
    assert server.requests[0].json["messages"][0]["content"].endswith("1903.\n|Who?")
    done = cli("qa", "-", *docs, "--template", "answer=-", server=server, stdin=b"{context}|{question}")
    assert (done.code, len(server.requests)) == (2, 1)


@pytest.mark.parametrize("form", [[], ["--no-stream"], ["--strict"], ["--json"]])
def test_a_mark_that_the_model_repeats_is_not_shown(cli, serve, docs, form):
    def marked(conversation):
        sent = conversation.request.json
        mark = re.search(r"\[end [0-9a-f]{16}\]", sent["messages"][-1]["content"])[0]
        pieces = ["Anna keeps bees.\n", mark[:3], mark[3:9], mark[9:]]
        conversation.send(chat_stream(*pieces) if sent.get("stream") else chat_whole("".join(pieces)))

    done = cli("qa", "Who keeps bees?", *docs, *form, server=serve(marked))
    shown = json.loads(done.text)["answer"] + "\n" if form == ["--json"] else done.text
    assert (done.code, shown) == (0, "Anna keeps bees.\n"), done.err


def test_a_strict_refusal_says_what_next(cli, serve, docs):
    done = cli("qa", "Who keeps bees?", *docs, "--strict", server=serve(said("Karl keeps lions, tigers and llamas.")))
    assert done.code == 16
    assert "hint: ask in the documents' own words, or without strict" in done.err


def test_progress_does_not_stand_before_an_error(serve):
    server = serve(failing(424, "ModelError", "CUDA error", {"OriginalStatusCode": 500}))
    options = ["--chain", "map-rerank", "--context-window", "2000", "--workers", "1", "--no-stdin", *at(server)]
    shown = on_terminal(SM_ASK, "qa", "Who keeps the restore card?", "--doc", str(HANDBOOK), *options)
    assert shown.code == 9
    assert b"rate: 0 of " in shown.screen
    assert b"\r\x1b[Ksm-ask: error: " in shown.screen


def test_progress_is_shown_on_a_terminal_alone(serve):
    slow = drips(apart(chat_event({"content": "x"}, "stop"), b"data: [DONE]\n\n"), 0.02)
    server = serve(slow)
    options = ["qa", "Who keeps the restore card?", "--doc", str(HANDBOOK), "--chain", "map-rerank"]
    options += ["--context-window", "2000", "--no-stdin", *at(server)]
    shown = on_terminal(SM_ASK, *options, stdout=subprocess.PIPE)
    assert shown.code == 0
    assert b"\r\x1b[Ksm-ask: rate: 1 of " in shown.screen
    assert shown.out == b"x\n"
    piped = run_process(*options)
    assert (piped.code, "rate:" in piped.err) == (0, False)


@pytest.mark.model
class TestBuiltInModel:
    """Temperature 0 gives the same answer each time, to the same prompt: the paths that stand in it are relative."""

    def ask(self, folder, question, *arguments):
        command = ["qa", "-p", "local", "--temperature", "0", question, *arguments]
        return run_process(*command, timeout=240, cwd=folder)

    def test_the_notebook_s_question_is_answered_from_its_text_alone(self):
        done = self.ask(HOSPITAL.parent, QUESTION, "--doc", HOSPITAL.name)
        assert done.code == 0, done.err
        assert "3 days" in done.text

    def test_the_text_is_found_among_two_hundred_others(self, tmp_path):
        folder = tmp_path / "notes"
        (folder / "deep" / "er").mkdir(parents=True)
        handbook = sorted(HANDBOOK.glob("*.md"))
        for number in range(200):
            paragraphs = handbook[number % len(handbook)].read_text().split("\n\n")
            turn = number // len(handbook)
            text = "\n\n".join([*paragraphs[turn:], *paragraphs[:turn]])
            (folder / ("deep" if number % 2 else "") / f"{number}.md").write_text(f"{text}\n\nNumber {number}.\n")
        shutil.copy(HOSPITAL, folder / "deep" / "er" / "party.txt")
        done = self.ask(tmp_path, QUESTION, "--doc", folder.name)
        assert done.code == 0, done.err
        assert "3 days" in done.text
        assert "sm-ask: source notes/deep/er/party.txt:1-3" in done.err.splitlines()[1]

    def test_strict_refuses_what_the_text_does_not_answer(self, tmp_path):
        unanswerable = ["What is the capital of France?", "Who won the football match?"]
        (tmp_path / "questions").write_text("\n".join([*unanswerable, QUESTION]))
        options = ["--doc", HOSPITAL.name, "--strict", "--json"]
        done = self.ask(HOSPITAL.parent, "--questions", str(tmp_path / "questions"), *options)
        rows = [json.loads(line) for line in done.out.splitlines()]
        assert [row["error"] and row["error"]["code"] for row in rows] == [16, 16, None]
        assert "3 days" in rows[-1]["answer"]
