"""What is sent and what comes back: rows P of the fault matrix, with the requests counted."""

from __future__ import annotations

import json

import pytest

from conftest import at
from server import chat_event, chat_stream, chat_whole, runtime_at, says, streamed, tgi_parts, tgi_whole, whole
from sm_ask.ask import Policy, ask
from sm_ask.aws.runtime import LARGEST_BODY
from sm_ask.chat import Message, Request
from sm_ask.errors import InputError
from sm_ask.handlers import named

OPERATIONS = ["--stream", "--no-stream"]


@pytest.fixture
def server(serve):
    """An endpoint that would answer."""
    return serve(says(chat_stream("Hello")))


@pytest.mark.parametrize("stream", [True, False])
def test_a_body_that_no_endpoint_takes_is_not_sent(server, stream):
    """Row P1: the size is the whole body's."""
    request = Request((Message("user", "x" * LARGEST_BODY),), {}, stream)
    with pytest.raises(InputError) as caught:
        list(ask(request, named("tgi"), runtime_at(server), Policy()))
    assert f"the limit is {LARGEST_BODY:,}" in caught.value.message
    assert str(caught.value.message).split("has ")[1] > "26,214,4"
    assert all(word in caught.value.hint for word in ("25 MB", "4 MB", "asynchronous"))
    assert server.connections == 0


def test_the_largest_body_is_sent(serve):
    """Row P1: the service decides about everything that it may take."""
    server = serve(says(tgi_whole("Hello")))
    around = len(named("tgi").encode(Request((Message("user", ""),), {}, stream=False)))
    request = Request((Message("user", "x" * (LARGEST_BODY - around)),), {}, stream=False)
    *_, answer = ask(request, named("tgi"), runtime_at(server), Policy())
    assert (answer.text, len(server.requests[0].body)) == ("Hello", LARGEST_BODY)


def test_a_large_file_is_refused_by_the_command_line(cli, server, tmp_path):
    """Row P1."""
    (tmp_path / "large.txt").write_bytes(b"x" * (LARGEST_BODY + 1))
    done = cli("prompt", "hi", "-f", str(tmp_path / "large.txt"), server=server)
    assert (done.code, done.out, server.connections) == (12, b"", 0)


@pytest.mark.parametrize("name", ["a/b", "a" * 64, "a\r\nb", "a\n", "é", "-a", "a-", "a_b", "..", "a b", "a%2fb"])
def test_an_endpoint_name_that_cannot_be_is_wrong_usage(cli, server, name):
    """Row P2."""
    done = cli("prompt", "hi", *at(server)[2:], "-e", name)
    assert (done.code, done.out, server.connections) == (2, b"", 0)
    assert "1 to 63 letters, digits and hyphens" in done.err


def test_an_endpoint_name_may_have_63_characters(cli, server):
    """Row P2."""
    assert cli("prompt", "hi", *at(server)[2:], "-e", "a-1" * 21).code == 0


@pytest.mark.parametrize(
    "option",
    [
        "--custom-attributes",
        "--inference-component",
        "--target-variant",
        "--target-model",
        "--target-container",
        "--session-id",
    ],
)
@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "é", "\x00", "x" * 1025, "\x7f"])
def test_a_header_that_cannot_be_is_wrong_usage(cli, server, option, value):
    """Row P3."""
    done = cli("prompt", "hi", option, value, server=server)
    assert (done.code, done.out, server.connections) == (2, b"", 0)
    assert option in done.err


@pytest.mark.parametrize("text", ["", " ", "\n\t \n", "\u2003"])
def test_an_empty_prompt_is_wrong_usage(cli, server, text):
    """Row P4."""
    done = cli("prompt", text, server=server)
    assert (done.code, done.out, server.connections) == (2, b"", 0)


@pytest.mark.parametrize(("option", "code"), [("x=NaN", 2), ("x=-Infinity", 2), ("stop=caf\udce9", 12)])
def test_a_parameter_that_json_cannot_hold_is_not_sent(cli, server, option, code):
    """Row P5, for parameters: no lone surrogate and no NaN on the wire."""
    done = cli("prompt", "hi", "-o", option, server=server)
    assert (done.code, done.out, server.connections) == (code, b"", 0)
    assert option.partition("=")[0] in done.err


STRANGE = {
    "another object": {"predictions": ["Hello"]},
    "empty list": [],
    "text": "Hello",
    "null": None,
    "null message": {"choices": [{"message": None}]},
    "odd content": {"choices": [{"message": {"content": 5}}]},
    "odd token": {"token": {"text": 5}},
}


WANTED = {"openai-chat": "choices", "tgi": "generated_text"}


@pytest.mark.parametrize("handler", WANTED)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("body", STRANGE)
def test_an_answer_of_another_shape(cli, serve, handler, operation, body):
    """Row P7: what was looked for, and the beginning of what there is."""
    data = json.dumps(STRANGE[body]).encode()
    server = serve(says(streamed([data]) if operation == "--stream" else whole(data)))
    done = cli("prompt", "hi", operation, "--handler", handler, server=server)
    assert (done.code, done.out, len(server.requests)) == (11, b"", 1)
    assert all(word in done.err for word in ("the response has no", WANTED[handler], "--raw"))


BROKEN = {
    "NaN": b'{"choices": NaN}',
    "no JSON": b"Hello, \x1b[31mworld",
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "digits": b"1" * 5000,
    "not UTF-8": b'{"choices": "\xff"}',
    "two roots": b"{} }",
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("body", BROKEN)
def test_an_answer_that_is_no_json(cli, serve, operation, body):
    """Row P7: the excerpt is short and harmless."""
    server = serve(says(streamed([BROKEN[body]]) if operation == "--stream" else whole(BROKEN[body])))
    done = cli("prompt", "hi", operation, server=server)
    assert (done.code, done.out, len(server.requests)) == (11, b"", 1)
    assert "\x1b" not in done.err
    assert len(done.err) < 600


@pytest.mark.parametrize("body", [b"[" * 100_000, b"NaN", b"\xff", b"1" * 5000])
def test_a_record_that_is_no_json(cli, serve, body):
    """Row P7: what came before it is kept."""
    server = serve(says(streamed([chat_event({"content": "Hello"}), b"data: " + body + b"\n\n"])))
    done = cli("prompt", "hi", server=server)
    assert (done.code, done.text, len(server.requests)) == (11, "Hello\n", 1)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("body", ["another object", "text", "null"])
def test_raw_shows_an_answer_of_any_shape(cli, serve, operation, body):
    """Row P7: the way to look at it."""
    data = json.dumps(STRANGE[body]).encode()
    server = serve(says(streamed([data]) if operation == "--stream" else whole(data)))
    done = cli("prompt", "hi", operation, "--raw", server=server)
    assert (done.code, done.out, len(server.requests)) == (0, data, 1)


LIMITED = {
    ("openai-chat", "--stream"): chat_stream("Hello", finish="length"),
    ("openai-chat", "--no-stream"): chat_whole("Hello", finish="length"),
    ("tgi", "--stream"): streamed(tgi_parts("Hello", finish="length")),
    ("tgi", "--no-stream"): tgi_whole("Hello", finish="length"),
}


@pytest.mark.parametrize(("handler", "operation"), LIMITED)
@pytest.mark.parametrize(("option", "code"), [([], 0), (["--require-complete"], 10)])
def test_an_answer_that_its_token_limit_cut(cli, serve, handler, operation, option, code):
    """Row P9."""
    server = serve(says(LIMITED[handler, operation]))
    done = cli("prompt", "hi", operation, "--handler", handler, *option, server=server)
    assert (done.code, done.text, len(server.requests)) == (code, "Hello\n", 1)
    assert "token" in done.err
    assert "--max-tokens" in done.err


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        ({"completion_tokens": "many"}, "length"),
        ({"completion_tokens": 1e400}, "length"),
        (None, ["length"]),
        ([1], {"type": "length"}),
        ({}, 5),
    ],
)
def test_odd_counts_and_reasons_harm_nothing(cli, serve, usage, reason):
    """Row P7: only the text is needed."""
    choice = {"message": {"content": "Hello"}, "finish_reason": reason}
    server = serve(says(whole(json.dumps({"choices": [choice], "usage": usage}).replace("Infinity", "1e400"))))
    done = cli("prompt", "hi", "--no-stream", "--usage", server=server)
    assert (done.code, done.text) == (0, "Hello\n")


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_an_answer_without_text(cli, serve, reason):
    """A model that spent its tokens on reasoning has not answered."""
    server = serve(says(streamed([chat_event({"reasoning": "Hm"}), chat_event({}, reason), b"data: [DONE]\n\n"])))
    done = cli("prompt", "hi", server=server)
    assert (done.code, done.out, len(server.requests)) == (11, b"", 1)
    assert f"finish reason: {reason}" in done.err
