"""Tools that a model may call: how they are offered, and how its calls are read."""

from __future__ import annotations

import json

import pytest

from server import chat_event, runtime_at, says, streamed, whole
from sm_ask.ask import Policy, ask
from sm_ask.chat import Answer, Message, Request, Text, ToolCall
from sm_ask.errors import IncompleteError, UnusableError, UsageError
from sm_ask.handlers import NAMES, named

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = ToolCall(0, "call-1", "weather", '{"city": "Köln"}')
ASKED = Request((Message("user", "Is it raining?"),), tools=(TOOL,))


def function(name=None, arguments=""):
    return {"name": name, "arguments": arguments} if name else {"arguments": arguments}


def delta(*calls, **more):
    return chat_event({"tool_calls": list(calls)}, **more)


STREAM = [
    delta({"index": 0, "id": "call-1", "type": "function", "function": function("weather")}),
    delta({"index": 0, "function": function(arguments='{"city": ')}),
    delta({"index": 1, "id": "call-2", "type": "function", "function": function("clock", "{}")}),
    delta({"index": 0, "function": function(arguments='"Köln"}')}),
    chat_event({}, "tool_calls"),
    b"data: [DONE]\n\n",
]


def answered(serve, response, request=ASKED):
    events = list(ask(request, named("openai-chat"), runtime_at(serve(says(response))), Policy(tries=1)))
    assert isinstance(events[-1], Answer)
    return events


def message(**fields):
    return whole({"choices": [{"message": {"role": "assistant", "content": None, **fields}, "finish_reason": "stop"}]})


def test_tools_and_what_they_answered_are_part_of_the_request():
    turns = (*ASKED.messages, Message("assistant", "", (CALL,)), Message("tool", "Yes.", call_id="call-1"))
    sent = json.loads(named("openai-chat").encode(ASKED._replace(messages=turns)))
    call = {"id": "call-1", "type": "function", "function": function("weather", CALL.arguments)}
    assert sent["tools"] == [TOOL]
    assert sent["messages"][1:] == [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "Yes.", "tool_call_id": "call-1"},
    ]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "openai-chat"])
@pytest.mark.parametrize(
    "request_", [ASKED, Request((*ASKED.messages, Message("tool", "Yes.", call_id="1")))], ids=["offered", "answered"]
)
def test_other_families_refuse_tools_instead_of_leaving_them_out(name, request_, serve):
    server = serve(says(b""))
    with pytest.raises(UsageError, match=name):
        list(ask(request_, named(name), runtime_at(server), Policy()))
    assert not server.requests


def test_calls_in_a_stream_come_in_pieces(serve):
    *pieces, answer = answered(serve, streamed(STREAM))
    assert [piece.place for piece in pieces] == [0, 0, 1, 0]
    assert answer.calls == (CALL, ToolCall(1, "call-2", "clock", "{}"))
    assert (answer.text, answer.finish_reason) == ("", "tool_calls")


@pytest.mark.parametrize("arguments", [CALL.arguments, {"city": "Köln"}], ids=["text", "object"])
def test_calls_in_a_whole_answer(serve, arguments):
    called = [{"id": "call-1", "type": "function", "function": function("weather", arguments)}]
    *_, answer = answered(serve, message(tool_calls=called), ASKED._replace(stream=False))
    assert answer.calls == (CALL,)


def test_text_and_calls(serve):
    text, call, answer = answered(
        serve, message(content="One moment.", tool_calls=[{"function": function("f")}]), ASKED._replace(stream=False)
    )
    assert (text, call) == (Text("One moment."), ToolCall(0, None, "f", ""))
    assert answer.text == "One moment."


@pytest.mark.parametrize("calls", [None, 3, "x", {}, [], [3, None]])
def test_what_is_no_call_is_none(serve, calls):
    *_, answer = answered(serve, message(content="Hi", tool_calls=calls), ASKED._replace(stream=False))
    assert answer.calls == ()


def test_a_stream_cut_within_a_call_is_incomplete(serve):
    with pytest.raises(IncompleteError):
        answered(serve, streamed(STREAM[:3]))


def test_calls_that_nobody_asked_for_are_no_answer(serve):
    with pytest.raises(UnusableError, match="tool_calls"):
        answered(serve, streamed(STREAM), ASKED._replace(tools=()))


def test_the_command_line_takes_calls_for_no_answer(cli, serve):
    done = cli("prompt", "hi", "-o", f"tools={json.dumps([TOOL])}", server=serve(says(streamed(STREAM))))
    assert (done.code, done.out) == (11, b"")
