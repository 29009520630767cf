"""An endpoint as LangChain's chat model, against a loopback endpoint."""

from __future__ import annotations

import json
from functools import reduce
from operator import add
from typing import Annotated, TypedDict

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from pydantic import BaseModel

from server import chat_event, chat_stream, chat_whole, says, streamed, tgi_whole, whole
from sm_ask.errors import IncompleteError, InputError, UsageError
from sm_ask.langchain import ChatSagemakerEndpoint

TURNS = [
    SystemMessage("Be brief."),
    HumanMessage("Hi"),
    AIMessage("Hello."),
    HumanMessage([{"type": "text", "text": "How are "}, "you?"]),
]


def chat(server, **fields):
    fields = {"endpoint_name": "ep", "region_name": "us-west-2", "max_retries": 0, **fields}
    return ChatSagemakerEndpoint(endpoint_url=server.url, **fields)


@tool
def weather(city: str) -> str:
    """Say what the weather is."""
    return f"Rain in {city}."


class Joke(BaseModel):
    """A joke."""

    setup: str
    punchline: str


class JokeFields(TypedDict):
    """A joke."""

    setup: Annotated[str, ..., "How it begins"]
    punchline: str


def called(*calls, **fields):
    """A whole answer with calls of tools: the id, the name, the arguments."""
    functions = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id_, name, arguments in calls
    ]
    message = {"role": "assistant", "content": None, "tool_calls": functions, **fields}
    return whole({"choices": [{"message": message, "finish_reason": "tool_calls"}]})


class TestMessages:
    def test_each_has_its_role(self, serve):
        server = serve(says(chat_whole("Fine.")))
        assert chat(server, temperature=0, max_tokens=5, stop=["#"]).invoke(TURNS).content == "Fine."
        assert server.requests[0].json == {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello."},
                {"role": "user", "content": "How are you?"},
            ],
            "max_tokens": 5,
            "temperature": 0,
            "stop": ["#"],
        }

    def test_any_container_gets_the_system_prompt(self, serve):
        server = serve(says(tgi_whole("Fine.")))
        chat(server, handler="tgi").invoke(TURNS)
        assert server.requests[0].json["inputs"] == "Be brief.\n\nHi\n\nHello.\n\nHow are you?"

    def test_roles_of_one_s_own(self, serve):
        server = serve(says(chat_whole("Fine.")))
        chat(server).invoke([ChatMessage("Be brief.", role="developer"), ChatMessage("Hi", role="user")])
        assert [turn["role"] for turn in server.requests[0].json["messages"]] == ["system", "user"]

    @pytest.mark.parametrize(
        ("message", "words"),
        [
            (HumanMessage([{"type": "image_url", "image_url": {"url": "data:,"}}]), "image_url"),
            (ChatMessage("Hi", role="critic"), "critic"),
            (FunctionMessage("Hi", name="f"), "function"),
        ],
    )
    def test_what_cannot_be_asked_is_refused(self, serve, message, words):
        server = serve(says(b""))
        with pytest.raises(InputError, match=words):
            chat(server).invoke([message])
        assert not server.requests


class TestAnswers:
    def test_a_whole_answer(self, serve):
        answer = chat(serve(says(chat_whole("Hello")))).invoke("Hi")
        assert type(answer) is AIMessage
        assert answer.usage_metadata == {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
        assert answer.response_metadata["finish_reason"] == "stop"
        assert answer.response_metadata["model_name"] == "ep"
        assert answer.response_metadata["request_id"] == "req-1"

    def test_a_stream_adds_up(self, serve):
        chunks = list(chat(serve(says(chat_stream("Hel", "lo")))).stream("Hi"))
        assert [chunk.content for chunk in chunks] == ["Hel", "lo", ""]
        answer = reduce(add, chunks)
        assert isinstance(answer, AIMessageChunk)
        assert answer.usage_metadata["total_tokens"] == 9
        assert answer.response_metadata["finish_reason"] == "stop"

    def test_an_estimate_is_no_count(self, serve):
        answer = chat(serve(says(tgi_whole("Hello"))), handler="tgi").invoke("Hi")
        assert answer.usage_metadata is None
        assert answer.response_metadata["usage"]["estimated"]

    def test_reasoning_stands_apart(self, serve):
        parts = [chat_event({"reasoning": "H"}), chat_event({"reasoning": "m"}), chat_event({"content": "Hi"}, "stop")]
        answer = chat(serve(says(streamed(parts))), streaming=True).invoke("Hi")
        assert (answer.content, answer.additional_kwargs["reasoning_content"]) == ("Hi", "Hm")

    def test_a_stream_cut_short(self, serve):
        chunks = chat(serve(says(streamed([chat_event({"content": "Hel"})])))).stream("Hi")
        assert next(chunks).content == "Hel"
        with pytest.raises(IncompleteError):
            list(chunks)

    def test_a_stop_ends_it(self, serve):
        server = serve(says(chat_stream("a#", "#b", "c")))
        assert reduce(add, chat(server, handler="nova", stop=["##"]).stream("Hi")).content == "a"

    def test_a_batch(self, serve):
        server = serve(says(chat_whole("Hello")))
        assert [answer.content for answer in chat(server).batch(["a", "b"])] == ["Hello", "Hello"]


class TestTools:
    def test_they_are_offered_and_called(self, serve):
        server = serve(says(called(("1", "weather", '{"city": "Köln"}'))))
        answer = chat(server).bind_tools([weather]).invoke("Is it raining?")
        assert answer.tool_calls == [{"name": "weather", "args": {"city": "Köln"}, "id": "1", "type": "tool_call"}]
        [offered] = server.requests[0].json["tools"]
        assert offered["function"]["name"] == "weather"
        assert "tool_choice" not in server.requests[0].json

    @pytest.mark.parametrize(
        ("choice", "sent"),
        [
            ("any", "required"),
            (True, "required"),
            ("auto", "auto"),
            ("none", "none"),
            ("weather", {"type": "function", "function": {"name": "weather"}}),
            ({"type": "function", "function": {"name": "x"}}, {"type": "function", "function": {"name": "x"}}),
        ],
    )
    def test_one_of_them_may_have_to_be_called(self, serve, choice, sent):
        server = serve(says(called(("1", "weather", "{}"))))
        chat(server).bind_tools([weather], tool_choice=choice).invoke("Hi")
        assert server.requests[0].json["tool_choice"] == sent

    def test_calls_come_in_pieces(self, serve):
        def piece(place, id_=None, name=None, arguments=""):
            function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
            return chat_event({"tool_calls": [{"index": place, "id": id_, "function": function}]})

        parts = [
            piece(0, "1", "weather"),
            piece(0, arguments='{"city": '),
            piece(1, "2", "weather", '{"city": "Bonn"}'),
            piece(0, arguments='"Köln"}'),
            chat_event({}, "tool_calls"),
        ]
        answer = reduce(add, chat(serve(says(streamed(parts)))).bind_tools([weather]).stream("Hi"))
        assert [(call["id"], call["args"]["city"]) for call in answer.tool_calls] == [("1", "Köln"), ("2", "Bonn")]

    def test_a_call_without_a_name_of_its_own_gets_one(self, serve):
        answer = chat(serve(says(called((None, "weather", "{}"))))).bind_tools([weather]).invoke("Hi")
        assert answer.tool_calls[0]["id"].startswith("call_")

    def test_arguments_that_are_no_json_are_kept(self, serve):
        answer = chat(serve(says(called(("1", "weather", "{city"))))).bind_tools([weather]).invoke("Hi")
        assert (answer.tool_calls, answer.invalid_tool_calls[0]["args"]) == ([], "{city")

    def test_what_a_tool_answered_goes_back(self, serve):
        server = serve(says(chat_whole("Yes.")))
        asking = AIMessage(
            "", tool_calls=[{"name": "weather", "args": {"city": "Köln"}, "id": "1", "type": "tool_call"}]
        )
        chat(server).bind_tools([weather]).invoke([HumanMessage("Hi"), asking, ToolMessage("Rain.", tool_call_id="1")])
        _, asked, told = server.requests[0].json["messages"]
        assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == {"city": "Köln"}
        assert told == {"role": "tool", "content": "Rain.", "tool_call_id": "1"}

    @pytest.mark.parametrize(
        "make",
        [lambda model: model.bind_tools([weather]), lambda model: model.with_structured_output(Joke)],
        ids=["tools", "schema"],
    )
    def test_containers_without_them_refuse(self, serve, make):
        server = serve(says(b""))
        with pytest.raises(UsageError, match="tgi"):
            make(chat(server, handler="tgi")).invoke("Hi")
        assert not server.requests


class TestStructured:
    TEXT = '{"setup": "a", "punchline": "b"}'

    @pytest.mark.parametrize("schema", [Joke, JokeFields, Joke.model_json_schema()], ids=["model", "fields", "schema"])
    @pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
    def test_it_is_held_to_a_schema_and_read(self, serve, schema, method):
        name = "JokeFields" if schema is JokeFields else "Joke"
        tools = method == "function_calling"
        server = serve(says(called(("1", name, self.TEXT)) if tools else chat_whole(self.TEXT)))
        found = chat(server).with_structured_output(schema, method=method).invoke("A joke")
        assert found == (Joke(setup="a", punchline="b") if schema is Joke else {"setup": "a", "punchline": "b"})
        sent = server.requests[0].json
        if method == "json_schema":
            assert sent["response_format"]["json_schema"]["name"] == name
            assert sent["response_format"]["json_schema"]["schema"]["properties"].keys() == {"setup", "punchline"}
        elif tools:
            assert sent["tool_choice"]["function"]["name"] == name
        else:
            assert sent["response_format"] == {"type": "json_object"}

    @pytest.mark.parametrize("text", [TEXT, "no JSON"])
    def test_the_answer_beside_it(self, serve, text):
        server = serve(says(chat_whole(text)))
        found = chat(server).with_structured_output(Joke, include_raw=True).invoke("A joke")
        assert found["raw"].content == text
        assert (found["parsed"] is None) == (found["parsing_error"] is not None) == (text == "no JSON")

    @pytest.mark.parametrize("method", ["json_schema", "function_calling"])
    def test_half_of_it_is_none(self, serve, method):
        tools = method == "function_calling"
        call = {"function": {"name": "Joke", "arguments": self.TEXT[:-5]}}
        parts = [chat_event({"tool_calls": [call]} if tools else {"content": self.TEXT[:-5]}), chat_event({}, "length")]
        model = chat(serve(says(streamed(parts)))).with_structured_output(Joke.model_json_schema(), method=method)
        with pytest.raises(IncompleteError, match="token limit"):
            list(model.stream("A joke"))

    def test_strictly(self, serve):
        server = serve(says(chat_whole(self.TEXT)))
        chat(server).with_structured_output(Joke, strict=True).invoke("A joke")
        assert server.requests[0].json["response_format"]["json_schema"]["strict"] is True


def test_a_profile_of_ours_and_one_of_langchain_s():
    assert ChatSagemakerEndpoint(profile="mine").profile_name == "mine"
    model = ChatSagemakerEndpoint(profile_name="mine", profile={"max_input_tokens": 4096})
    assert (model.profile_name, model.profile["max_input_tokens"]) == ("mine", 4096)
