"""The OpenAI-compatible route of `sm-ask local serve`, asked by OpenAI's own package with what `sm-ask env` prints."""

from __future__ import annotations

import base64
import datetime as dt
import http.client
import http.server
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import openai
import pytest

from conftest import SM_ASK
from sm_ask.local import tokens
from sm_ask.local.container import CHAT, INVOCATIONS, Body, ContainerError, Invocation, RemoteContainer, Reply
from sm_ask.local.service import Service

PREFIX = "sagemaker-api-key-"
ASKED: dict[str, Any] = {"model": "", "messages": [{"role": "user", "content": "hi"}]}


class Container:
    """Answers OpenAI's chat, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[Invocation] = []
        self.refuses = self.breaks = False

    def ping(self) -> bool:
        return True

    def invoke(self, call: Invocation) -> Reply:
        self.calls.append(call)
        if self.refuses:
            return Reply(400, "application/json", Body(iter([b'{"error": {"message": "too long"}}']), lambda: None))
        streams = json.loads(call.body).get("stream")
        kind = "text/event-stream; charset=utf-8" if streams else "application/json"
        return Reply(200, kind, Body(self.events() if streams else iter([chat()]), lambda: None))

    def events(self) -> Iterator[bytes]:
        text = b"".join(b"data: %b\n\n" % chunk(word) for word in ("Hel", "lo ", "thére"))
        for start in range(0, len(text), 7):
            yield text[start : start + 7]
        yield b""
        if self.breaks:
            raise ContainerError("broke off")
        yield b"data: [DONE]\n\n"

    def close(self) -> None:
        pass


def chat() -> bytes:
    message = {"role": "assistant", "content": "Hello"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps(
        {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    ).encode()


def chunk(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    known = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps(known, ensure_ascii=False).encode()


def forged(**changes: str | None) -> str:
    """A token with a signature that nobody made, and some parameters changed or left out."""
    now = dt.datetime.now(dt.timezone.utc)
    known: dict[str, str | None] = {
        "Action": "CallWithBearerToken",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"AKIA/{now:%Y%m%d}/us-west-2/sagemaker/aws4_request",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        "X-Amz-Expires": "60",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "0" * 64,
        "Version": "1",
    }
    fields = known | {name.replace("_", "-"): value for name, value in changes.items()}
    given = {name: value for name, value in fields.items() if value is not None}
    return encoded(f"sagemaker.amazonaws.com/?{urlencode(given)}")


def encoded(text: str) -> str:
    return PREFIX + base64.b64encode(text.encode()).decode()


def ago(seconds: float) -> str:
    return f"{dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=seconds):%Y%m%dT%H%M%SZ}"


@pytest.fixture
def container() -> Container:
    return Container()


@pytest.fixture
def service(container) -> Iterator[Service]:
    with Service(container, name="local") as opened:
        yield opened


@pytest.fixture
def client(cli, service) -> Iterator[Callable[..., openai.OpenAI]]:
    """OpenAI's client, led to the endpoint by `sm-ask env`."""
    opened = []

    def connect(*arguments: str, **settings: Any) -> openai.OpenAI:
        done = cli("env", "-p", "local", "--endpoint-url", service.url, "--json", *arguments)
        assert done.code == 0, done.err
        known = json.loads(done.text)
        led = {"base_url": known["base_url"], "api_key": known["api_key"], "max_retries": 0}
        opened.append(openai.OpenAI(**led | settings))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


def test_a_whole_answer(client, container):
    """It comes back as the container gave it, from the container's own route."""
    response = client().chat.completions.with_raw_response.create(**ASKED)
    assert response.content == chat()
    assert response.parse().choices[0].message.content == "Hello"
    (call,) = container.calls
    assert (call.path, json.loads(call.body)) == ("/v1/chat/completions", ASKED)


def test_a_stream(client):
    """Server-sent events, however the container's pieces are cut, and no frames of the service's own."""
    with client().chat.completions.create(**ASKED, stream=True) as stream:
        assert "".join(each.choices[0].delta.content or "" for each in stream) == "Hello thére"
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_a_stream_that_breaks_off_is_no_whole_one(client, container):
    container.breaks = True
    with client().chat.completions.create(**ASKED, stream=True) as stream, pytest.raises(openai.APIConnectionError):
        list(stream)


def test_an_inference_component_in_the_path(client):
    connected = client("--inference-component", "llama-1")
    assert "/inference-components/llama-1/" in str(connected.base_url)
    assert connected.chat.completions.create(**ASKED).choices[0].message.content == "Hello"


def test_an_inference_component_in_a_header(client):
    """The route refuses the header."""
    header = {"X-Amzn-SageMaker-Inference-Component": "llama-1"}
    with pytest.raises(openai.BadRequestError, match="named in the path"):
        client().chat.completions.create(**ASKED, extra_headers=header)


def test_what_the_container_refuses(client, container):
    container.refuses = True
    with pytest.raises(openai.BadRequestError) as caught:
        client().chat.completions.create(**ASKED)
    assert 'Received client error (400) from primary with message "{"error"' in caught.value.body["message"]


def test_another_endpoint(client):
    with pytest.raises(openai.BadRequestError, match="Endpoint other of account"):
        client("-e", "other").chat.completions.create(**ASKED)


def test_there_is_no_list_of_models(client):
    """The service has chat alone."""
    with pytest.raises(openai.NotFoundError) as caught:
        client().models.list()
    assert caught.value.body == {
        "message": "There is no such operation.",
        "type": "invalid_request_error",
        "param": None,
        "code": "UnknownOperationException",
    }


def test_an_expired_token(client, container):
    with pytest.raises(openai.AuthenticationError, match="has expired"):
        client(api_key=forged(X_Amz_Date=ago(61))).chat.completions.create(**ASKED)
    assert container.calls == []


def test_a_key_of_another_kind(client, container):
    with pytest.raises(openai.AuthenticationError) as caught:
        client(api_key="sk-something").chat.completions.create(**ASKED)
    assert caught.value.body["code"] == "invalid_api_key"
    assert "sk-something" not in str(caught.value)
    assert container.calls == []


def test_no_token_at_all(service):
    address = urlsplit(service.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.request("POST", "/endpoints/local/openai/v1/chat/completions", json.dumps(ASKED))
    response = connection.getresponse()
    assert (response.status, json.load(response)["error"]["code"]) == (401, "invalid_api_key")
    connection.close()


def test_a_token_that_is_well_made():
    tokens.check(f"Bearer {forged()}")
    tokens.check(f"bearer {forged(X_Amz_Date=ago(59), X_Amz_Security_Token='t/+=')}")


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "must be"),
        ("sk-something", "must be"),
        (PREFIX, "not for sagemaker"),
        (f"{PREFIX}###", "no URL in base64"),
        (f"{PREFIX}é", "no URL in base64"),
        (encoded("sagemaker.amazonaws.com/"), "Action"),
        (encoded("sagemaker.amazonaws.com/?Action"), "no URL in base64"),
        (encoded("sagemaker.example.com/?Action=CallWithBearerToken"), "not for sagemaker"),
        (encoded("sagemaker.amazonaws.com/a?Action=CallWithBearerToken"), "not for sagemaker"),
        (encoded("me@sagemaker.amazonaws.com/?Action=CallWithBearerToken"), "not for sagemaker"),
        (encoded("sagemaker.amazonaws.com/?Action=CallWithBearerToken&Action=Other"), "stands twice"),
    ],
)
def test_what_is_no_token(token, reason):
    with pytest.raises(tokens.RejectedError, match=reason):
        tokens.check(f"Bearer {token}")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("Action", "InvokeEndpoint", "Action"),
        ("Version", None, "Version"),
        ("X_Amz_Algorithm", "none", "Algorithm"),
        ("X_Amz_Credential", "AKIA/20260101/us-west-2/bedrock/aws4_request", "Credential"),
        ("X_Amz_Date", "20261399T999999Z", "no time"),
        ("X_Amz_Date", -7200, "not valid yet"),
        ("X_Amz_Date", 60, "expired"),
        ("X_Amz_Expires", "43201", "1 to 43200"),
        ("X_Amz_Expires", "0", "1 to 43200"),
        ("X_Amz_Expires", "٣", "Expires"),
        ("X_Amz_SignedHeaders", "host;x", "SignedHeaders"),
        ("X_Amz_Signature", None, "Signature"),
    ],
)
def test_a_token_with_one_part_wrong(name, value, reason):
    """A number is how many seconds ago it was signed."""
    token = forged(**{name: ago(value) if isinstance(value, int) else value})
    with pytest.raises(tokens.RejectedError, match=reason) as caught:
        tokens.check(f"Bearer {token}")
    assert token not in str(caught.value)


def test_a_container_over_http():
    """One that serves SageMaker's contract has OpenAI's chat on a route of its own, which another server stands for."""
    paths = []

    class Recording(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            paths.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(chat())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Recording) as inner:
        url = f"http://127.0.0.1:{inner.server_port}"
        thread = threading.Thread(target=inner.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        for address in (url, f"{url}/chat"):
            for path in (INVOCATIONS, CHAT):
                RemoteContainer(address).invoke(Invocation(b"{}", path=path)).parts.close()
        inner.shutdown()
        thread.join()
    assert paths == ["/invocations", "/v1/chat/completions", "/chat", "/chat"]


QUESTION = (
    "Use the following pieces of context to answer the question at the end.\n\n"
    "Elizabeth collapsed and was rushed to the hospital. Peter stayed with her at the hospital for 3 days without "
    "leaving.\n\nQuestion: How long was Elizabeth hospitalized?\nAnswer:"
)
CLIENT = """
import openai, sys
with openai.OpenAI(max_retries=0) as client:
    asked = {"model": "", "messages": [{"role": "user", "content": sys.argv[1]}]}
    settings = {"max_tokens": 40, "temperature": 0}
    print(client.chat.completions.create(**asked, **settings).choices[0].message.content.replace("\\n", " "))
    with client.chat.completions.create(**asked, **settings, stream=True) as stream:
        print("".join(each.choices[0].delta.content or "" for each in stream if each.choices).replace("\\n", " "))
"""


@pytest.mark.model
def test_the_whole_way_with_a_real_model():
    """`local serve`, `eval "$(sm-ask env)"`, and a program that knows nothing of either."""
    with subprocess.Popen([SM_ASK, "local", "serve", "--port", "0"], stderr=subprocess.PIPE, text=True) as process:
        url = re.search(r"http://\S+?(?=;)", process.stderr.readline())[0]
        program = f'eval "$({SM_ASK} env -p local --endpoint-url {url})" && exec "$@"'
        arguments = ["bash", "-c", program, "bash", sys.executable, "-c", CLIENT, QUESTION]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
        process.send_signal(signal.SIGINT)
        process.wait(10)
    whole, streamed = done.stdout.splitlines()
    assert "3 days" in whole
    assert streamed == whole
