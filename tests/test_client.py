"""The plain Python face: sm_ask.connect and what it gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from langchain_core.documents import Document as LangChainDocument

import sm_ask
from server import (
    Server,
    chat_event,
    chat_parts,
    chat_stream,
    chat_whole,
    failing,
    says,
    says_and_listens,
    streamed,
    tgi_parts,
)
from sm_ask import Message
from sm_ask.chat import Finish, Text
from sm_ask.documents import Document
from sm_ask.errors import ConfigError, IncompleteError, InputError, UnavailableError, UnusableError, UsageError
from sm_ask.langchain import SagemakerEndpoint
from sm_ask.qa import Library, Prompts, Settings, template


def connect(server: Server, **more):
    return sm_ask.connect(**{"endpoint": "ep", "region": "us-west-2", "endpoint_url": server.url, "retries": 0, **more})


class TestAsk:
    def test_a_prompt(self, serve):
        server = serve(says(chat_stream("Hel", "lo")))
        with connect(server, params={"seed": 7}, system="Be brief.") as client:
            answer = client.ask("Hi", max_tokens=5)
        assert (answer.text, answer.finish_reason, answer.usage.output_tokens) == ("Hello", "stop", 2)
        sent = server.requests[0].json
        assert (sent["seed"], sent["max_tokens"]) == (7, 5)
        assert sent["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]

    def test_a_conversation(self, serve):
        server = serve(says(chat_stream("Hello")))
        turns = [Message("user", "Hi"), Message("assistant", "Hello."), Message("user", "And?")]
        with connect(server) as client:
            client.ask(turns, system="Be kind.")
        assert [turn["role"] for turn in server.requests[0].json["messages"]] == [
            *("system", "user", "assistant", "user")
        ]

    def test_nothing_is_asked_of_nothing(self, serve):
        server = serve(says(b""))
        with connect(server) as client, pytest.raises(UsageError):
            client.ask(" ")
        assert not server.requests

    def test_an_error_is_ours(self, serve):
        with connect(serve(failing(503, "ServiceUnavailable", "no"))) as client, pytest.raises(UnavailableError):
            client.ask("Hi")


class TestStream:
    def test_the_text_comes_in_pieces(self, serve):
        parts = [chat_event({"reasoning": "Hm"}), *chat_parts("Hel", "lo")]
        with connect(serve(says(streamed(parts)))) as client, client.stream("Hi") as stream:
            assert list(stream) == ["Hel", "lo"]
            assert (stream.answer.text, stream.answer.reasoning) == ("Hello", "Hm")

    def test_leaving_it_ends_the_generation(self, serve):
        server = serve(says_and_listens(streamed(chat_parts("Hel", "lo")).partition(b'"lo"')[0]))
        with connect(server) as client, client.stream("Hi") as stream:
            assert next(iter(stream)) == "Hel"
        assert server.conversations[0].gone.wait(10)

    def test_a_cut_is_an_error_after_the_text(self, serve):
        with connect(serve(says(streamed([chat_event({"content": "Hel"})])))) as client:
            stream = client.stream("Hi")
            texts = iter(stream)
            assert next(texts) == "Hel"
            with pytest.raises(IncompleteError):
                next(texts)
            with pytest.raises(UnusableError):
                _ = stream.answer


class TestConnect:
    def profiles(self, tmp_path: Path, text: str) -> str:
        path = tmp_path / "profiles.yaml"
        path.write_text(text)
        return str(path)

    def test_keywords_stand_before_the_profile(self, serve, tmp_path):
        server = serve(says(streamed(tgi_parts("Hello"))))
        path = self.profiles(
            tmp_path,
            f"profiles: {{mine: {{endpoint: ep, region: eu-west-1, handler: tgi, endpoint_url: '{server.url}'}}}}",
        )
        with sm_ask.connect("mine", config=path, endpoint="other") as client:
            assert client.ask("Hi").text == "Hello"
            assert client.connection.region == "eu-west-1"
        assert server.requests[0].path == "/endpoints/other/invocations-response-stream"

    @pytest.mark.parametrize("named", [True, False])
    def test_the_profile_of_the_environment_and_the_file_s_default(self, tmp_path, monkeypatch, named):
        text = "default: one\nprofiles: {one: {endpoint: first}, two: {endpoint: second}}"
        monkeypatch.setenv("SM_ASK_CONFIG", self.profiles(tmp_path, text))
        if named:
            monkeypatch.setenv("SM_ASK_PROFILE", "two")
        with sm_ask.connect(region="us-west-2") as client:
            assert client.connection.runtime.target.endpoint == ("second" if named else "first")

    def test_a_client_of_boto3(self, serve):
        server = serve(says(chat_stream("Hello")))
        lent = boto3.client("sagemaker-runtime", region_name="eu-west-1", endpoint_url=server.url)
        with sm_ask.connect(endpoint="ep", client=lent) as client:
            assert (client.ask("Hi").text, client.connection.region) == ("Hello", "eu-west-1")

    def test_a_handler_of_the_caller_s_own(self, serve):
        class Shout:
            name, content_type, accept = "shout", "text/plain", "text/plain"
            streams = tools = False
            custom_attributes = None

            def encode(self, request):
                return request.messages[-1].content.upper().encode()

            def decode(self, chunks, request=None):  # noqa: ARG002 - so is it called
                yield Text(b"".join(chunks).decode())
                yield Finish("stop", None)

        class Notebook:
            def transform_input(self, prompt, model_kwargs):
                return f"{prompt} {model_kwargs}".encode()

            def transform_output(self, output):
                return output.read().decode()

        for handler, sent in [(Shout(), b"HI"), (Notebook, b"Hi {}"), (Notebook(), b"Hi {}")]:
            server = serve(says(chat_whole("Hello")))
            with connect(server, handler=handler) as client:
                assert "Hello" in client.ask("Hi").text
            assert server.requests[0].body == sent

    @pytest.mark.parametrize(
        ("more", "error", "words"),
        [
            ({"endpiont": "x"}, TypeError, "did you mean endpoint"),
            ({"handler": "tgu"}, ConfigError, "tgu"),
            ({"handler": 3}, ConfigError, "transform_input"),
            ({"config": "/no/such/file"}, ConfigError, "/no/such/file"),
            ({"profile": "none"}, ConfigError, "none"),
            ({"endpoint": None}, ConfigError, "endpoint"),
            ({"endpoint": "a/b"}, UsageError, "a/b"),
        ],
    )
    def test_a_mistake_is_named(self, serve, more, error, words):
        with pytest.raises(error, match=words):
            connect(serve(says(b"")), **more)

    def test_what_looks_like_a_slip_in_the_profile_is_logged(self, tmp_path, caplog):
        path = tmp_path / "profiles.yaml"
        path.write_text("profiles:\n  a: {endpoint: ep, region: us-west-2, params: {max_token: 5}}\n")
        with sm_ask.connect("a", config=str(path)):
            [warning] = caplog.messages
        assert 'did you mean "max_tokens"?' in warning

    def test_warnings_are_logged(self, serve, monkeypatch, caplog):
        server = serve(says(b""))
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        sm_ask.connect(endpoint="ep", region="us-west-2").close()
        [record] = caplog.records
        assert (record.name, record.levelname) == ("sm_ask", "WARNING")
        assert "AWS_ENDPOINT_URL" in record.message


class TestAnswer:
    def test_documents_of_any_kind(self, serve, tmp_path):
        server = serve(says(chat_stream("Three days.")))
        file = tmp_path / "note.txt"
        file.write_text("from a file")
        documents = [
            "a text",
            file,
            Document("mine.md", "of ours"),
            LangChainDocument(page_content="of LangChain's", metadata={"source": "theirs.md"}),
        ]
        with connect(server, system="Be brief.") as client:
            found = client.answer("How long?", documents, max_tokens=7)
        assert found.answer.text == "Three days."
        assert [source.path for source in found.sources] == ["document 1", str(file), "mine.md", "theirs.md"]
        system, asked = server.requests[0].json["messages"]
        assert system["content"] == "Be brief."
        assert all(text in asked["content"] for text in ("a text", "from a file", "of ours", "of LangChain's"))
        assert server.requests[0].json["max_tokens"] == 7

    @pytest.mark.parametrize("given", [lambda path: path, lambda path: path.read_text()], ids=["path", "text"])
    def test_one_document_by_itself(self, serve, tmp_path, given):
        path = tmp_path / "note.txt"
        path.write_text("one text")
        with connect(serve(says(chat_stream("Three days.")))) as client:
            assert len(client.answer("How long?", given(path)).sources) == 1

    def test_a_library_and_a_prompt_of_one_s_own(self, serve):
        server = serve(says(chat_stream("Three days.")))
        library = Library([Document("a", "A text.")])
        settings = Settings(chain="stuff", prompts=Prompts(answer=template("{context} {question}")))
        with connect(server) as client:
            client.answer("How long?", library, settings=settings)
        assert server.requests[0].json["messages"][-1]["content"] == "A text. How long?"


class TestBatch:
    def test_each_row_has_its_outcome(self, serve):
        server = serve(says(chat_stream("Hello")))
        rows = ["Hi", {"id": "b", "question": "Why?", "options": {"seed": 1}}, {"id": "c"}]
        with connect(server, system="Be brief.") as client:
            found = {outcome.row.id: outcome.result for outcome in client.batch(rows, workers=2, max_tokens=5)}
        assert (found[1].text, found["b"].text) == ("Hello", "Hello")
        assert isinstance(found["c"], InputError)
        assert len(server.requests) == 2
        assert all(request.json["max_tokens"] == 5 for request in server.requests)
        assert all(request.json["messages"][0]["content"] == "Be brief." for request in server.requests)

    def test_rows_with_documents_need_their_folder(self, serve, tmp_path):
        server = serve(says(chat_stream("Three days.")))
        (tmp_path / "a.txt").write_text("from a file")
        row = {"question": "How long?", "docs": ["a.txt"]}
        with connect(server) as client:
            [refused] = client.batch([row])
            [answered] = client.batch([row], docs_root=str(tmp_path))
        assert isinstance(refused.result, InputError)
        assert (answered.result.text, answered.sources[0].path) == ("Three days.", "a.txt")
        assert "from a file" in server.requests[0].json["messages"][-1]["content"]

    def test_leaving_it_ends_it(self, serve):
        server = serve(says(chat_stream("Hello")))
        with connect(server) as client:
            outcomes = client.batch(str(number + 1) for number in range(1000))
            next(outcomes)
            outcomes.close()
        assert len(server.requests) < 100


@pytest.mark.model
def test_the_model_on_this_machine():
    with sm_ask.connect("local") as client:
        answer = client.ask("Say hi", max_tokens=4)
        assert (answer.finish_reason, answer.usage.output_tokens) == ("length", 4)
        url = client.connection.settings.endpoint_url
    llm = SagemakerEndpoint(profile="local", model_kwargs={"max_tokens": 4})
    assert llm.invoke("Say hi")
    assert llm.connection.settings.endpoint_url != url


@pytest.mark.model
def test_a_program_ends_that_never_closes_it():
    program = "import sm_ask; client = sm_ask.connect('local'); print(client.ask('Say hi', max_tokens=4).finish_reason)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("length\n", "")


def test_importing_it_costs_nothing():
    program = (
        "import sys, sm_ask; print(sm_ask.__version__, [name for name in sys.modules if name.startswith('sm_ask.')]);"
        "sm_ask.connect; print({'boto3', 'langchain_core', 'rich', 'sm_ask.qa', 'sm_ask.batch'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines() == [f"{sm_ask.__version__} []", "set()"]


def test_what_is_there():
    assert sorted(sm_ask.__all__) == sm_ask.__all__
    assert all(hasattr(sm_ask, name) for name in sm_ask.__all__)
    with pytest.raises(AttributeError, match="conect"):
        _ = sm_ask.conect
