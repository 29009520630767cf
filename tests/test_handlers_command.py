"""`sm-ask handlers`: the list, one of them, and a handler tried on a saved response."""

from __future__ import annotations

import json

import pytest

from conftest import SM_ASK
from sm_ask.handlers import NAMES
from terminal import on_terminal

STREAM = (
    b'data: {"choices": [{"delta": {"reasoning": "Hm."}}]}\n\n'
    b'data: {"choices": [{"delta": {"content": "Der Rhein"}, "finish_reason": "stop"}]}\n\n'
    b'data: {"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}\n\n'
    b"data: [DONE]\n\n"
)
CLASS = """
class Mine:
    content_type = accepts = "text/x-mine"
    def transform_input(self, prompt, model_kwargs):
        return prompt.encode()
    def transform_output(self, output):
        return output.read().decode().upper()
"""


@pytest.fixture
def saved(tmp_path):
    """Save a response, or anything else, and give its path."""

    def save(data: bytes, name: str = "response"):
        path = tmp_path / name
        path.write_bytes(data)
        path.chmod(0o644)
        return str(path)

    return save


def test_the_list_has_every_preset(cli):
    done = cli("handlers")
    rows = [line.split("\t") for line in done.text.splitlines()]
    assert done.code == 0
    assert [row[0].removesuffix(" *") for row in rows] == ["auto", *NAMES]
    assert rows[0][0] == "auto *"


def test_the_list_as_json(cli):
    rows = json.loads(cli("handlers", "--json").text)
    assert [row["name"] for row in rows] == ["auto", *NAMES]
    assert [row["name"] for row in rows if row["default"]] == ["auto"]


def test_the_choice_by_itself_is_shown_like_a_handler(cli):
    known = json.loads(cli("handlers", "auto", "--json").text)
    assert known.keys() == json.loads(cli("handlers", "tgi", "--json").text).keys()
    assert (known["name"], known["request"], known["default"]) == ("auto", None, True)


def test_one_handler(cli):
    known = json.loads(cli("handlers", "cohere", "--json").text)
    assert known["request"] == {"message": "PROMPT", "preamble": "SYSTEM", "max_tokens": 512, "stream": False}
    assert known["stream_request"]["stream"] is True
    assert known["parameters"]["top_p"] == "p"
    assert known["parameters"]["seed"] is None
    text = cli("handlers", "jumpstart-llama2").text
    assert "custom_attributes: accept_eula=true\n" in text
    assert "answer: [0].generation.content\n" in text


def test_a_python_class_is_shown_too(cli, saved):
    path = saved(CLASS.encode(), "mine.py")
    known = json.loads(cli("handlers", f"{path}:Mine", "--json").text)
    assert (known["content_type"], known["request"], known["streams"]) == ("text/x-mine", "SYSTEM\n\nPROMPT", False)
    assert cli("handlers", "test", f"{path}:Mine", "--response", saved(b"rhein")).text == "answer: RHEIN\n"


def test_a_saved_stream(cli, saved):
    done = cli("handlers", "test", "openai-chat", "--response", saved(STREAM), "--stream", "--json")
    assert json.loads(done.text) == {
        "answer": "Der Rhein",
        "reasoning": "Hm.",
        "finish_reason": "stop",
        "usage": {"input_tokens": 4, "output_tokens": 2},
    }


def test_a_saved_answer(cli, saved):
    done = cli("handlers", "test", "huggingface", "--response", saved(b'[{"summary_text": "Kurz."}]'))
    assert (done.code, done.text) == (0, "answer: Kurz.\n")


@pytest.mark.parametrize(
    ("name", "data", "code", "words"),
    [
        ("tgi", b'{"error": "it broke", "error_type": "validation"}', 9, "it broke"),
        ("tgi", b'data: {"token": {"text": "a"}}\n\n', 10, "end mark"),
        ("tgi", b'{"choices": []}', 11, "generated_text"),
        ("tgi", b'[{"generated_text": ""}]', 11, "no text"),
        ("tgi", b"", 11, "empty"),
        ("tgi", b"<html>", 11, "not JSON"),
        ("tig", b"", 3, "tig"),
    ],
)
def test_a_response_that_is_no_answer(cli, saved, name, data, code, words):
    done = cli("handlers", "test", name, "--response", saved(data))
    assert (done.code, done.text) == (code, "")
    assert words in done.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["test"], 2),
        (["test", "tgi"], 2),
        (["tgi", "lmi"], 2),
        (["tgi", "--stream"], 2),
        (["test", "ai21", "--response", "/dev/null", "--stream"], 2),
        (["test", "tgi", "--response", "/no/such/file"], 12),
        (["no-such"], 3),
        (["mine.py:Mine"], 3),
        (["tgi", "--config", "/no/such/file"], 3),
    ],
)
def test_what_cannot_be_done(cli, arguments, code):
    done = cli("handlers", *arguments)
    assert (done.code, done.text) == (code, "")
    assert done.err.startswith("sm-ask: error: ")


def test_control_characters_do_not_reach_the_list(cli, saved):
    done = cli("handlers", "test", "text", "--response", saved(b"a\x1b[31m\rb"))
    assert "\x1b" not in done.text


def test_the_list_breaks_no_word_on_a_terminal():
    """80 columns are just enough; what is too long for its column goes on below."""
    shown = on_terminal(SM_ASK, "handlers", columns=80)
    lines = [line.rstrip() for line in shown.text.splitlines()]
    assert shown.code == 0
    assert {line.split()[0] for line in lines} >= set(NAMES)
    flat = " ".join(shown.text.split())
    for whole in ("choices[0].message.content", "completions[0].data.text", "text-generation-"):
        assert whole in flat
    assert max(map(len, lines[1:])) <= 80


def test_a_list_on_a_pipe_says_yes_and_no(cli):
    rows = dict(line.split("\t", 1) for line in cli("handlers").text.splitlines())
    assert rows["tgi"].endswith("\tyes")
    assert rows["ai21"].endswith("\tno")
    assert "\nstreams: yes\n" in cli("handlers", "tgi").text
    assert json.loads(cli("handlers", "tgi", "--json").text)["streams"] is True
