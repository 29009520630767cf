"""An endpoint as LangChain's LLM, against a loopback endpoint."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import subprocess
import sys
import threading
import time

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.callbacks import BaseCallbackHandler

from server import (
    Server,
    chat_event,
    chat_stream,
    chat_whole,
    failing,
    says,
    says_and_closes,
    says_and_listens,
    streamed,
    tgi_parts,
    tgi_whole,
    whole,
)
from sm_ask.errors import ConfigError, IncompleteError, TemporaryError, UnavailableError, UnusableError, UsageError
from sm_ask.langchain import LLMContentHandler, SagemakerEndpoint
from sm_ask.langchain.stop import Stop

DOWN = failing(503, "ServiceUnavailable", "no")


class Tgi(LLMContentHandler):
    content_type = accepts = "application/json"

    def transform_input(self, prompt, model_kwargs):  # noqa: ARG002 - so is it called
        return prompt.encode()

    def transform_output(self, output):
        return output.read().decode()


def llm(server, **fields):
    fields = {"endpoint_name": "ep", "region_name": "us-west-2", "max_retries": 0, **fields}
    return SagemakerEndpoint(endpoint_url=server.url, **fields)


class Heard(BaseCallbackHandler):
    """Notes what it is told of."""

    def __init__(self):
        self.tokens: list[str] = []
        self.ends: list[object] = []
        self.errors: list[BaseException] = []

    def on_llm_new_token(self, token, **_):
        self.tokens.append(token)

    def on_llm_end(self, response, **_):
        self.ends.append(response)

    def on_llm_error(self, error, **_):
        self.errors.append(error)


class TestAnswers:
    def test_a_whole_answer_and_what_is_known_of_it(self, serve):
        server = serve(says(chat_whole("Hello", x_Amzn_Invoked_Production_Variant="Blue")))
        result = llm(server, model_kwargs={"temperature": 0}).generate(["Hi"])
        [[generation]] = result.generations
        info = generation.generation_info
        assert generation.text == "Hello"
        assert info["usage"] == {"input_tokens": 7, "output_tokens": 3, "estimated": False}
        assert (info["model_name"], info["finish_reason"], info["request_id"], info["attempts"]) == (
            *("ep", "stop", "req-1"),
            1,
        )
        [request] = server.requests
        assert request.path == "/endpoints/ep/invocations"
        assert request.json == {
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 512,
            "temperature": 0,
        }

    def test_a_stream(self, serve):
        server = serve(says(chat_stream("Hel", "lo")))
        heard = Heard()
        assert list(llm(server).stream("Hi", config={"callbacks": [heard]})) == ["Hel", "lo", ""]
        assert heard.tokens == ["Hel", "lo"]
        assert heard.ends[0].generations[0][0].generation_info["usage"]["output_tokens"] == 2
        assert server.requests[0].path == "/endpoints/ep/invocations-response-stream"

    def test_a_stream_where_the_whole_answer_is_wanted(self, serve):
        server = serve(says(chat_stream("Hel", "lo")))
        heard = Heard()
        assert llm(server, streaming=True).invoke("Hi", config={"callbacks": [heard]}) == "Hello"
        assert heard.tokens == ["Hel", "lo"]

    def test_reasoning_stands_apart(self, serve):
        server = serve(says(streamed([chat_event({"reasoning": "Hm"}), chat_event({"content": "Hi"}, "stop")])))
        [[generation]] = llm(server, streaming=True).generate(["Hi"]).generations
        assert (generation.text, generation.generation_info["reasoning"]) == ("Hi", "Hm")

    def test_a_content_handler_whose_container_streams(self, serve):
        for parts, text in [
            (tgi_parts("Der ", "Rhein"), "Der Rhein"),
            ([b'{"outputs": ["Der"]}\n', b'{"outputs": [" Rhein"]}'], "Der Rhein"),
        ]:
            server = serve(says(streamed(parts)))
            pieces = list(llm(server, content_handler=Tgi(), streaming=True).stream("Hi"))
            assert (len(pieces), "".join(pieces)) == (3, text)
            assert server.requests[0].body == b"Hi"

    def test_a_content_handler_gives_a_stream_of_one_piece(self, serve):
        server = serve(says(whole(b"Hello")))
        assert list(llm(server, content_handler=Tgi()).stream("Hi")) == ["Hello", ""]
        assert server.requests[0].path == "/endpoints/ep/invocations"

    def test_without_blocking_the_event_loop(self, serve):
        server = serve(says(chat_stream("Hel", "lo")))

        async def run():
            model = llm(server, streaming=True)
            return await model.ainvoke("Hi"), [piece async for piece in model.astream("Hi")], await model.abatch(["a"])

        assert asyncio.run(run()) == ("Hello", ["Hel", "lo", ""], ["Hello"])

    def test_what_a_handler_prints_is_the_program_s(self, serve, capsys):
        class Loud(Tgi):
            def transform_output(self, output):
                print("here")
                return super().transform_output(output)

        llm(serve(says(whole(b"Hello"))), content_handler=Loud()).invoke("Hi")
        assert capsys.readouterr().out == "here\n"

    def test_tokens_are_counted_without_a_tokenizer(self, serve):
        model = llm(serve(DOWN))
        assert 2 <= model.get_num_tokens("Hello world") <= 11
        assert "transformers" not in sys.modules


class TestErrors:
    def test_a_stream_cut_short(self, serve):
        server = serve(says_and_closes(chat_stream("Hel", "lo").partition(b'"lo"')[0]))
        heard = Heard()
        with pytest.raises(IncompleteError):
            list(llm(server).stream("Hi", config={"callbacks": [heard]}))
        assert len(server.requests) == 1
        assert isinstance(heard.errors[0], IncompleteError)

    def test_a_stream_without_its_end_mark(self, serve):
        pieces = llm(serve(says(streamed([chat_event({"content": "Hel"})])))).stream("Hi")
        assert next(pieces) == "Hel"
        with pytest.raises(IncompleteError):
            next(pieces)

    @pytest.mark.parametrize("cut", [1, 2])
    def test_a_last_line_without_its_end_does_not_hang(self, serve, cut):
        parts = tgi_parts("Der ", "Rhein")
        parts[-1] = parts[-1][:-cut]
        assert "".join(llm(serve(says(streamed(parts))), handler="tgi").stream("Hi")) == "Der Rhein"

    def test_a_last_line_that_is_cut_is_incomplete(self, serve):
        parts = tgi_parts("Der ", "Rhein")
        parts[-1] = parts[-1][:-9]
        with pytest.raises(IncompleteError):
            list(llm(serve(says(streamed(parts))), handler="tgi").stream("Hi"))

    def test_langchain_s_retries_tell_them_apart(self, serve):
        server = serve(DOWN, says(chat_whole("Hello")))
        retrying = llm(server).with_retry(retry_if_exception_type=(TemporaryError,), wait_exponential_jitter=False)
        assert retrying.invoke("Hi") == "Hello"
        server = serve(says(whole({"x": 1})))
        retrying = llm(server).with_retry(retry_if_exception_type=(TemporaryError,), wait_exponential_jitter=False)
        with pytest.raises(UnusableError):
            retrying.invoke("Hi")
        assert len(server.requests) == 1

    def test_langchain_s_fallbacks_tell_them_apart(self, serve):
        other = llm(serve(says(chat_whole("Hello"))))
        falling = llm(serve(DOWN)).with_fallbacks([other], exceptions_to_handle=(UnavailableError,))
        assert falling.invoke("Hi") == "Hello"

    def test_a_handler_that_fails_is_named(self, serve):
        class Failing(Tgi):
            def transform_output(self, output):
                return output["x"]

        with pytest.raises(UnusableError, match="Failing: transform_output failed: TypeError"):
            llm(serve(says(whole(b"{}"))), content_handler=Failing()).invoke("Hi")

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"endpoint_name": ""}, "endpoint"),
            ({"content_handler": Tgi(), "handler": "tgi"}, "content_handler"),
            ({"content_handler": object()}, "transform_input"),
            ({"handler": "tgu"}, "tgu"),
            ({"endpoint_kwargs": {"Body": b""}}, "Body"),
            ({"profile": "none"}, "none"),
            ({"client": 3}, "int"),
        ],
    )
    def test_a_wrong_setting_is_named(self, serve, fields, words):
        with pytest.raises(ConfigError) as caught:
            llm(serve(DOWN), **fields).invoke("Hi")
        assert words in caught.value.message


class TestBatch:
    def test_it_is_bounded(self, serve):
        running, most, lock = 0, 0, threading.Lock()

        def answer(conversation):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.05)
            with lock:
                running -= 1
            conversation.send(chat_whole("Hello"))

        model = llm(serve(answer), max_concurrency=3)
        assert model.batch(["Hi"] * 9) == ["Hello"] * 9
        assert most == 3
        assert model.batch(["Hi"] * 4, {"max_concurrency": 1}) == ["Hello"] * 4
        assert [generation.text for [generation] in model.generate(["Hi"] * 4).generations] == ["Hello"] * 4
        assert most == 3

    def test_one_failure_takes_no_other_answer_away(self, serve):
        server = serve(says(chat_whole("Hello")), DOWN, says(chat_whole("Hello")))
        first, second, third = llm(server, max_concurrency=1).batch(["a", "b", "c"], return_exceptions=True)
        assert (first, third) == ("Hello", "Hello")
        assert isinstance(second, UnavailableError)

    def test_the_first_failure_is_the_last_question(self, serve):
        server = serve(DOWN)
        with pytest.raises(UnavailableError):
            llm(server, max_concurrency=1).generate(["a", "b", "c", "d"])
        assert len(server.requests) <= 2

    def test_it_shares_one_client(self, serve):
        model = llm(serve(says(chat_whole("Hello"))))
        model.batch(["a", "b", "c"])
        assert model.connection is model.connection


class TestStop:
    def test_it_is_sent_where_the_container_can_stop(self, serve):
        for handler, path in [("openai-chat", ["stop"]), ("tgi", ["parameters", "stop"])]:
            server = serve(says(chat_whole("a") if handler == "openai-chat" else tgi_whole("a")))
            llm(server, handler=handler).invoke("Hi", stop=["#", "\n"])
            sent = server.requests[0].json
            for key in path:
                sent = sent[key]
            assert sent == ["#", "\n"]

    def test_it_is_kept_to_where_the_container_cannot(self, serve):
        server = serve(says(chat_whole("One. Two.")))
        assert llm(server, handler="nova").invoke("Hi", stop=["."]) == "One"
        assert "stop" not in server.requests[0].json

    def test_it_is_no_pattern(self, serve):
        server = serve(says(whole(b"a+b (c) x|y")))
        model = llm(server, content_handler=Tgi())
        assert model.invoke("Hi", stop=[".", "|"]) == "a+b (c) x"
        assert model.invoke("Hi", stop=["+", "("]) == "a"
        assert server.requests[0].body == b"Hi"

    def test_a_stream_ends_there(self, serve):
        server = serve(says_and_listens(streamed([chat_event({"content": text}) for text in ("a#", "#b", "c", "d")])))
        assert list(llm(server).stream("Hi", stop=["##"])) == ["a", ""]
        assert server.conversations[0].gone.wait(10)

    def test_what_comes_with_it_is_not_lost(self, serve):
        """TGI sends the text that it stopped at, and counts after it."""
        server = serve(says(streamed(tgi_parts("a", "##", finish="stop_sequence"))))
        [[generation]] = llm(server, handler="tgi", streaming=True).generate(["Hi"], stop=["##"]).generations
        assert generation.text == "a"
        assert generation.generation_info["finish_reason"] == "stop_sequence"
        assert generation.generation_info["usage"]["output_tokens"] == 2

    @settings(max_examples=50)
    @given(st.text("ab#", max_size=12), st.lists(st.text("ab#", max_size=4), max_size=3), st.data())
    def test_any_cut_stops_at_the_same_place(self, text, stops, data):
        whole_stop = Stop(stops)
        expected = whole_stop.pass_on(text) + whole_stop.rest()
        assert not any(stop in expected for stop in stops if stop)
        assert text.startswith(expected)
        pieces, stop = [], Stop(stops)
        while text:
            size = data.draw(st.integers(1, len(text)))
            pieces.append(stop.pass_on(text[:size]))
            text = text[size:]
        assert "".join(pieces) + stop.rest() == expected
        assert stop.found == whole_stop.found


class TestObject:
    def test_copies_open_connections_of_their_own(self, serve):
        model = llm(serve(says(chat_whole("Hello"))))
        assert model.invoke("Hi") == "Hello"
        for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert copied.invoke("Hi") == "Hello"
            assert copied.connection is not model.connection

    def test_a_profile(self, serve, tmp_path, monkeypatch):
        server = serve(says(tgi_whole("Hello")))
        path = tmp_path / "profiles.yaml"
        path.write_text(
            f"default: other\nprofiles:\n  other: {{endpoint: other}}\n  mine: {{endpoint: ep, region: eu-west-1,"
            f" handler: tgi, params: {{seed: 7, top_p: 0.5}}, system: Be brief., endpoint_url: '{server.url}'}}\n"
        )
        monkeypatch.setenv("SM_ASK_CONFIG", str(path))
        model = SagemakerEndpoint(profile="mine", model_kwargs={"top_p": 0.9})
        assert model.invoke("Hi", seed=8) == "Hello"
        sent = server.requests[0].json
        assert sent["inputs"] == "Be brief.\n\nHi"
        assert (sent["parameters"]["seed"], sent["parameters"]["top_p"]) == (8, 0.9)
        assert SagemakerEndpoint(endpoint_name="ep").endpoint_name == "ep"

    def test_an_unnamed_profile_changes_nothing(self, serve, tmp_path, monkeypatch):
        path = tmp_path / "profiles.yaml"
        path.write_text("default: mine\nprofiles: {mine: {endpoint: other, system: Be brief.}}\n")
        monkeypatch.setenv("SM_ASK_CONFIG", str(path))
        server = serve(says(chat_whole("Hello")))
        llm(server).invoke("Hi")
        assert server.requests[0].path == "/endpoints/ep/invocations"
        assert len(server.requests[0].json["messages"]) == 1

    def test_a_cache_tells_models_apart(self, serve):
        server = serve(DOWN)
        one, two = llm(server, handler="tgi"), llm(server, handler="lmi")
        assert one._identifying_params != two._identifying_params
        assert one._identifying_params == llm(server, handler="tgi")._identifying_params


def test_nothing_goes_to_langsmith_unless_the_program_says_so():
    program = (
        "import sys; from sm_ask.langchain import SagemakerEndpoint, ChatSagemakerEndpoint;"
        "from langchain_core.tracers.context import tracing_v2_enabled;"
        "from langchain_core.tracers.langchain import wait_for_all_tracers;"
        "more = dict(endpoint_name='ep', region_name='us-west-2', endpoint_url=sys.argv[1]);"
        "SagemakerEndpoint(**more).invoke('a secret question'); ChatSagemakerEndpoint(**more).invoke('another');"
        "wait_for_all_tracers(); print(flush=True); input();"
        "asked = tracing_v2_enabled(); asked.__enter__();"
        "SagemakerEndpoint(**more).invoke('an open question'); wait_for_all_tracers()"
    )
    with Server(says(chat_whole("Hello"))) as server, Server(says(whole({}))) as langsmith:
        environ = {**os.environ, "LANGSMITH_ENDPOINT": langsmith.url, "LANGSMITH_API_KEY": "key"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", program, server.url], env=environ, text=True, **pipes) as process:
            process.stdout.readline()
            assert (len(server.requests), langsmith.connections) == (2, 0)
            process.communicate("\n", timeout=60)
        assert (process.returncode, len(server.requests)) == (0, 3)
        traced = b"".join(request.body for request in langsmith.requests)
        assert b"an open question" in traced
        assert b"a secret question" not in traced


def test_what_is_set_anew_counts(serve):
    """In a shallow copy, and in the model itself."""
    server = serve(says(chat_whole("Hello")))
    one = SagemakerEndpoint(
        endpoint_name="one", region_name="us-west-2", endpoint_url=server.url, handler="openai-chat"
    )
    one.invoke("x")
    two = one.model_copy(update={"endpoint_name": "two"})
    two.invoke("x")
    one.endpoint_name = "three"
    one.invoke("x")
    two.invoke("x")
    assert [request.path.split("/")[2] for request in server.requests] == ["one", "two", "three", "two"]


def test_a_cache_tells_accounts_apart():
    plain = SagemakerEndpoint(endpoint_name="one", region_name="us-west-2")
    other = SagemakerEndpoint(endpoint_name="one", region_name="us-west-2", credentials_profile_name="b")
    keys = {"aws_access_key_id": "AKIAOTHEROTHEROTHER1", "aws_secret_access_key": "x"}
    clients = [
        SagemakerEndpoint(
            endpoint_name="one", client=boto3.client("sagemaker-runtime", region_name="us-west-2", **more)
        )
        for more in ({}, keys)
    ]
    known = [str(model._identifying_params) for model in (plain, other, *clients)]
    assert len(set(known)) == 4
    assert "AKIAOTHER" not in str(known)


@pytest.mark.parametrize("prompt", ["", " \n"])
def test_an_empty_prompt_is_not_sent(serve, prompt):
    server = serve(says(chat_whole("Hello")))
    with pytest.raises(UsageError):
        SagemakerEndpoint(endpoint_name="one", region_name="us-west-2", endpoint_url=server.url).invoke(prompt)
    assert server.requests == []
