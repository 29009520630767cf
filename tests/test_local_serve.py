"""`sm-ask local serve` and the profile `local`: the real command and model, asked by other people's clients, too."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import boto3
import pytest

from conftest import SM_ASK, run_process

pytestmark = pytest.mark.model

QUESTION = "How long was Elizabeth hospitalized?"
NOTEBOOK = ["--doc", "examples/hospital.txt", "--template", "examples/template.txt", QUESTION]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with subprocess.Popen([SM_ASK, "local", "serve", "--port", "0"], stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        yield re.search(r"http://\S+?(?=;)", line)[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def client(url: str):
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return boto3.client("sagemaker-runtime", region_name="us-east-1", endpoint_url=url, **keys)


@pytest.mark.parametrize("handler", ["openai-chat", "tgi"])
@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
def test_the_notebook_s_question_is_answered(handler, stream):
    """The profile `local` starts the endpoint inside the command."""
    done = run_process(
        "qa", "-p", "local", "--handler", handler, stream, "--temperature", "0", "--json", *NOTEBOOK, cwd=_root()
    )
    answer = json.loads(done.out)
    assert done.code == 0, done.err
    assert "3 days" in answer["answer"]
    assert (answer["endpoint"], answer["finish_reason"], answer["usage"]["estimated"]) == ("local", "stop", False) or (
        # TGI's whole answers do not say how many tokens went in.
        handler == "tgi" and stream == "--no-stream" and answer["finish_reason"] == "stop"
    )


def _root() -> str:
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def test_the_default_prompt_works_with_a_small_model():
    done = run_process(
        "qa", "-p", "local", "--temperature", "0", "--doc", "examples/hospital.txt", QUESTION, cwd=_root()
    )
    assert done.code == 0
    assert "3 days" in done.text


def test_plain_boto3_gets_a_whole_answer(url):
    body = {"inputs": "Say hi", "parameters": {"max_new_tokens": 8, "do_sample": False}}
    response = client(url).invoke_endpoint(EndpointName="local", ContentType="application/json", Body=json.dumps(body))
    assert json.loads(response["Body"].read())[0]["generated_text"]
    assert response["InvokedProductionVariant"] == "AllTraffic"


def test_plain_boto3_gets_a_stream(url):
    body = {"messages": [{"role": "user", "content": "Say hi"}], "max_tokens": 8, "stream": True}
    response = client(url).invoke_endpoint_with_response_stream(
        EndpointName="local", ContentType="application/json", Body=json.dumps(body)
    )
    text = b"".join(event["PayloadPart"]["Bytes"] for event in response["Body"])
    assert text.endswith(b"data: [DONE]\n\n")


def test_langchains_own_class_gets_an_answer(url):
    program = """
import json, sys
from langchain_aws.llms.sagemaker_endpoint import LLMContentHandler, SagemakerEndpoint
import boto3

class ContentHandler(LLMContentHandler):
    content_type = "application/json"
    accepts = "application/json"

    def transform_input(self, prompt, model_kwargs):
        return json.dumps({"inputs": prompt, "parameters": model_kwargs}).encode()

    def transform_output(self, output):
        return json.loads(output.read().decode())[0]["generated_text"]

client = boto3.client("sagemaker-runtime", region_name="us-east-1", endpoint_url=sys.argv[1])
llm = SagemakerEndpoint(endpoint_name="local", client=client, content_handler=ContentHandler(),
                        model_kwargs={"max_new_tokens": 40, "do_sample": False})
print(llm.invoke(sys.argv[2]))
"""
    with open(f"{_root()}/examples/template.txt") as template, open(f"{_root()}/examples/hospital.txt") as document:
        prompt = template.read().replace("{context}", document.read()).replace("{question}", QUESTION)
    done = subprocess.run([sys.executable, "-c", program, url, prompt], capture_output=True, text=True, check=False)
    assert "3 days" in done.stdout, done.stderr


def test_the_command_reaches_it_through_the_sdks_own_variable(url):
    environ = {**os.environ, "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url}
    done = run_process("prompt", "Say hi", "-e", "local", "--region", "us-east-1", "--max-tokens", "8", env=environ)
    assert done.code == 0
    assert done.out
    missing = run_process("prompt", "Say hi", "-e", "other", "--region", "us-east-1", env=environ)
    assert missing.code == 5
    assert "Endpoint other" in missing.err


def test_a_closed_pipe_ends_at_once_and_stops_the_generation(url):
    """`| head -c 20`: silent, 141, and the model is free for the next question."""
    at = ["-e", "local", "--region", "us-east-1", "--endpoint-url", url]
    environ = dict(os.environ)
    story = ["Tell me a very long story about a lighthouse", "--temperature", "0", "--max-tokens", "2000"]
    arguments = [SM_ASK, "prompt", *story, *at]
    command = ["bash", "-c", '"$@" 2>err | head -c 20; echo " ${PIPESTATUS[0]}"; cat err', "-", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False, cwd=environ["HOME"])
    assert done.stdout[20:] == " 141\n"
    started = time.monotonic()
    run_process("prompt", "Say hi", *at, "--max-tokens", "2")
    assert time.monotonic() - started < 10


def test_control_c_keeps_what_came(tmp_path):
    out = tmp_path / "out"
    with out.open("wb") as file:
        arguments = [SM_ASK, "prompt", "-p", "local", "--no-stdin", "--max-tokens", "3000", "Tell me a very long story"]
        process = subprocess.Popen(arguments, stdout=file, stderr=subprocess.PIPE)
        while not out.stat().st_size and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=10)[1]
    assert process.returncode == 130
    assert out.read_bytes().endswith(b"\n")
    assert b"Traceback" not in err
