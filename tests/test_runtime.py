"""The request itself, how long its answer is waited for, and what is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from conftest import SM_ASK, at
from server import (
    STREAM_HEAD,
    Conversation,
    chat_event,
    chat_parts,
    chat_stream,
    chat_whole,
    chunk,
    drips,
    failing,
    runtime_at,
    says,
    says_and_listens,
    says_and_stalls,
)
from sm_ask import __version__
from sm_ask.ask import Pause, Policy, ask
from sm_ask.chat import Answer, Message, Request
from sm_ask.errors import TimedOutError
from sm_ask.handlers import named
from sm_ask.local import frames

ANSWERS = {"--stream": chat_stream("Hello"), "--no-stream": chat_whole("Hello")}
OPERATIONS = list(ANSWERS)
PATHS = {"--stream": "/endpoints/ep/invocations-response-stream", "--no-stream": "/endpoints/ep/invocations"}
HEADERS = {
    "--inference-component": "x-amzn-sagemaker-inference-component",
    "--target-variant": "x-amzn-sagemaker-target-variant",
    "--target-container": "x-amzn-sagemaker-target-container-hostname",
    "--custom-attributes": "x-amzn-sagemaker-custom-attributes",
    "--session-id": "x-amzn-sagemaker-session-id",
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_question_is_one_request_on_one_connection(cli, serve, operation):
    server = serve(says(ANSWERS[operation]))
    assert cli("prompt", "hi", operation, server=server).text == "Hello\n"
    [request] = server.requests
    assert (request.method, request.path, server.connections) == ("POST", PATHS[operation], 1)
    assert request.json["messages"] == [{"role": "user", "content": "hi"}]
    accept = {"--stream": "x-amzn-sagemaker-accept", "--no-stream": "accept"}[operation]
    assert request.headers[accept] == request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith(f"sm-ask/{__version__} ")
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIATESTTESTTESTTEST/")
    assert "/us-west-2/sagemaker/aws4_request" in request.headers["authorization"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("option", HEADERS)
def test_each_part_of_an_endpoint_has_its_header(cli, serve, operation, option):
    server = serve(says(ANSWERS[operation]))
    assert cli("prompt", "hi", operation, option, "some-value", server=server).code == 0
    [request] = server.requests
    sent = {name: value for name, value in request.headers.items() if name in HEADERS.values()}
    assert sent == {HEADERS[option]: "some-value"}


def test_attributes_arrive_as_they_are(cli, serve):
    server = serve(says(ANSWERS["--stream"]))
    attributes = 'accept_eula=true; a="b, c" ~!'
    assert cli("prompt", "hi", "--custom-attributes", attributes, server=server).code == 0
    assert server.requests[0].headers["x-amzn-sagemaker-custom-attributes"] == attributes


@pytest.mark.parametrize(
    ("option", "value", "header"),
    [
        ("--target-model", "m.tar.gz", "x-amzn-sagemaker-target-model"),
        ("--session-id", "NEW_SESSION", "x-amzn-sagemaker-session-id"),
    ],
)
def test_what_the_streaming_call_does_not_know_is_asked_for_a_whole_answer(cli, serve, option, value, header):
    server = serve(says(ANSWERS["--no-stream"]))
    assert cli("prompt", "hi", "--stream", option, value, server=server).text == "Hello\n"
    [request] = server.requests
    assert (request.path, request.headers[header]) == (PATHS["--no-stream"], value)
    assert "stream" not in request.json


def not_ready(milliseconds: int):
    return [
        failing(429, "ModelNotReadyException", "The model is loading", x_amz_retry_after=str(milliseconds)),
        failing(400, "ValidationError", "The endpoint has no capacity.", x_amz_retry_after=str(milliseconds)),
    ]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("wait", ["--wait", "--wait=1m", "--wait=60"])
def test_an_endpoint_that_is_not_ready_is_waited_for(cli, serve, operation, wait):
    server = serve(*not_ready(50), says(ANSWERS[operation]))
    done = cli("prompt", "hi", operation, "--retries", "0", wait, server=server)
    assert (done.code, done.text, len(server.requests)) == (0, "Hello\n", 3)
    assert "trying again in 1 s" in done.err


@pytest.mark.parametrize("which", [0, 1])
def test_without_wait_it_is_a_temporary_failure_with_a_hint(cli, serve, which):
    server = serve(not_ready(50)[which])
    done = cli("prompt", "hi", "--retries", "0", server=server)
    assert (done.code, done.out, len(server.requests)) == (6, b"", 1)
    assert "hint: use --wait" in done.err


def test_waiting_ends(cli, serve):
    server = serve(not_ready(300)[1])
    started = time.monotonic()
    done = cli("prompt", "hi", "--retries", "0", "--wait=1", server=server)
    assert done.code == 6
    assert 4 <= len(server.requests) <= 6
    assert time.monotonic() - started < 10


def test_after_a_wait_an_answer_has_its_whole_time(cli, serve):
    """The time for an answer does not run out while there is nobody to give one."""
    server = serve(
        failing(503, "ServiceUnavailable", "Try again"), *not_ready(700), drips(_pieces(ANSWERS["--stream"], 4), 0.1)
    )
    done = cli("prompt", "hi", "--timeout", "1.5", "--wait", server=server)
    assert (done.code, done.text, len(server.requests)) == (0, "Hello\n", 4)


def _pieces(data: bytes, number: int) -> list[bytes]:
    size = -(-len(data) // number)
    return [data[i : i + size] for i in range(0, len(data), size)]


def test_the_deadline_holds_across_tries(cli, serve):
    """No try begins that could not end in time."""
    server = serve(failing(429, "ThrottlingException", "Rate exceeded", x_amz_retry_after="1100"))
    started = time.monotonic()
    done = cli("prompt", "hi", "--timeout", "2.1", server=server)
    assert (done.code, len(server.requests)) == (6, 2)
    assert time.monotonic() - started < 10


def test_the_last_try_has_the_time_that_is_left(cli, serve):
    server = serve(failing(429, "ThrottlingException", "Rate exceeded", x_amz_retry_after="10"), says_and_stalls(b""))
    started = time.monotonic()
    done = cli("prompt", "hi", "--timeout", "1.5", server=server)
    assert (done.code, len(server.requests)) == (7, 2)
    assert 1.4 <= time.monotonic() - started < 10


def test_pauses_are_told_second_by_second(serve):
    """So that a countdown can be shown, and nothing sleeps where it could not be interrupted."""
    server = serve(failing(429, "ThrottlingException", "no", x_amz_retry_after="1200"), says(ANSWERS["--stream"]))
    events = list(ask(Request((Message("user", "hi"),)), named("openai-chat"), runtime_at(server), Policy()))
    pauses = [event.seconds for event in events if isinstance(event, Pause)]
    assert len(pauses) == 2
    assert pauses[0] > pauses[1]
    assert isinstance(events[-1], Answer)


def test_timeouts_of_threads_do_not_mix(serve):
    """A client is shared, and each request has its own patience."""
    server = serve(says_and_stalls(b""))
    runtime = runtime_at(server)
    took: dict[float, float] = {}

    def wait(seconds: float) -> None:
        started = time.monotonic()
        with suppress(TimedOutError):
            list(ask(Request((Message("user", "hi"),)), named("tgi"), runtime, Policy(tries=1, timeout=seconds)))
        took[seconds] = time.monotonic() - started

    threads = [threading.Thread(target=wait, args=[seconds]) for seconds in (0.3, 1.2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.3 <= took[0.3] < took[1.2]
    assert took[1.2] >= 1.2


def test_no_thread_and_no_connection_is_left(cli, serve):
    server = serve(says_and_listens(ANSWERS["--stream"]))
    assert cli("prompt", "hi", server=server).code == 0
    assert server.conversations[0].gone.wait(5)
    timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    for timer in timers:
        timer.join(1)
    assert not any(timer.is_alive() for timer in timers)


class Held:
    """A stream that goes on only when the test says so."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.conversation: Conversation | None = None

    def __call__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        first, second, *rest = [chunk(frames.payload_part(part)) for part in chat_parts("Hello", " world")]
        conversation.send(STREAM_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + first + second)
        self.go_on.wait(20)
        with suppress(OSError):
            conversation.send(b"".join([*rest, chunk(b"")]))
        conversation.wait_for_the_end()


def test_a_piece_is_shown_when_it_comes(serve):
    """A part does not wait for the next one, nor for a buffer to fill."""
    held = Held()
    command = [SM_ASK, "prompt", "hi", "--no-stdin", *at(serve(held))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.read(5) == b"Hello"
        held.go_on.set()
        assert process.stdout.read() == b" world\n"
    assert process.returncode == 0


def test_a_reader_that_goes_takes_the_request_along(serve):
    """After `| head`, nothing more is generated."""
    held = Held()
    command = [SM_ASK, "prompt", "hi", "--no-stdin", *at(serve(held))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.read(5) == b"Hello"
        process.stdout.close()
        held.go_on.set()
        assert process.wait(20) == 141
        assert process.stderr.read() == b""
    assert held.conversation.gone.wait(5)


def test_an_interrupt_takes_the_request_along(serve):
    """Ctrl-C in the middle of an answer: what came is kept, and the connection is closed at once."""
    held = Held()
    command = [SM_ASK, "prompt", "hi", "--no-stdin", *at(serve(held))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.read(5) == b"Hello"
        # Python notices no signal that comes just before it begins to read, until something can be read.
        time.sleep(0.2)
        started = time.monotonic()
        process.send_signal(2)
        assert process.stdout.read() == b"\n"
        assert process.wait(20) == 130
        assert time.monotonic() - started < 10
        assert b"Traceback" not in process.stderr.read()
    held.go_on.set()
    assert held.conversation.gone.wait(5)


def test_the_request_is_written_as_utf8(cli, serve):
    server = serve(says(ANSWERS["--stream"]))
    assert cli("prompt", 'né 🎉 \\ " {x} %s', server=server).code == 0
    assert "né 🎉".encode() in server.requests[0].body
    assert json.loads(server.requests[0].body)["messages"][0]["content"] == 'né 🎉 \\ " {x} %s'


FORKING = """
import os, sys, time
from sm_ask.ask import Policy, ask
from sm_ask.aws.runtime import Runtime, Target
from sm_ask.aws.session import Access, open_client
from sm_ask.chat import Message, Request
from sm_ask.errors import SmAskError
from sm_ask.handlers import named

access = Access(region="us-west-2", endpoint_url=sys.argv[1], keys=("AKIATESTTESTTESTTEST", "a-secret-of-the-tests"))
runtime = Runtime(open_client(access, timeout=5), Target("ep"))

def late():
    started = time.monotonic()
    try:
        list(ask(Request((Message("user", "hi"),)), named("openai-chat"), runtime, Policy(tries=1, timeout=0.5)))
    except SmAskError as error:
        return "not whole after 0.5 s" in error.message and time.monotonic() - started < 10

assert late()
child = os.fork()
if child == 0:
    os._exit(0 if late() else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_deadline_holds_in_a_process_that_was_forked_off(serve):
    """It inherits no thread, so it begins one of its own."""
    piece = chunk(frames.payload_part(chat_event({"content": "x"})))
    server = serve(drips([STREAM_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[piece] * 300], 0.1))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKING, server.url], check=False, timeout=60)
    assert done.returncode == 0
