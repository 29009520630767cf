"""The runtime API on loopback: boto3 on one side, containers with a behaviour on the other."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError

from sm_ask.errors import ConfigError
from sm_ask.local.container import ContainerError, Invocation, RemoteContainer, Reply
from sm_ask.local.server import Limits
from sm_ask.local.service import Service

BODY = b'{"inputs": "hi"}'
JSON = "application/json"


class Answering:
    """A container that gives the same response to everybody, and remembers what it was asked."""

    def __init__(self, *parts: bytes, status: int = 200, content_type: str = JSON, breaks: bool = False) -> None:
        self.answer, self.status, self.content_type, self.breaks = parts, status, content_type, breaks
        self.calls: list[Invocation] = []
        self.ended = threading.Event()
        self.closed = False
        self.healthy = True

    def ping(self) -> bool:
        return self.healthy

    def invoke(self, call: Invocation) -> Reply:
        self.calls.append(call)
        return Reply(self.status, self.content_type, self.parts(), "trace=1")

    def parts(self) -> Iterator[bytes]:
        try:
            yield from self.answer
            if self.breaks:
                raise ContainerError("broke off")
        finally:
            self.ended.set()

    def close(self) -> None:
        self.closed = True


class Endless(Answering):
    """Never comes to its end."""

    def parts(self) -> Iterator[bytes]:
        try:
            while True:
                yield b"more "
                time.sleep(0.01)
        finally:
            self.ended.set()


class Thinking(Answering):
    """Never begins, until it is told to stop."""

    def invoke(self, call: Invocation) -> Reply:
        self.calls.append(call)
        call.stop.then(self.ended.set)
        self.ended.wait()
        raise ContainerError("stopped")


class Stalling(Answering):
    """Gives its parts, and then nothing more until it is told to stop."""

    def invoke(self, call: Invocation) -> Reply:
        call.stop.then(self.ended.set)
        return super().invoke(call)

    def parts(self) -> Iterator[bytes]:
        yield from self.answer
        self.ended.wait()
        raise ContainerError("stopped")


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    with contextlib.ExitStack() as stack:
        yield lambda container, **settings: stack.enter_context(Service(container, name="local", **settings))


def client(service: Service) -> Any:
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=service.url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=30, max_pool_connections=20),
    )


def invoke(service: Service, *, name: str = "local", **settings: Any) -> Any:
    return client(service).invoke_endpoint(EndpointName=name, ContentType=JSON, Body=BODY, **settings)


def stream(service: Service, *, name: str = "local", **settings: Any) -> Any:
    operation = client(service).invoke_endpoint_with_response_stream
    return operation(EndpointName=name, ContentType=JSON, Body=BODY, **settings)


def parts_of(response: Any) -> list[bytes]:
    return [event["PayloadPart"]["Bytes"] for event in response["Body"]]


def connected(service: Service) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=10)


def left(service: Service, operation: str) -> socket.socket:
    """Ask, and hand out the connection."""
    connection = connected(service)
    connection.request("POST", f"/endpoints/local/{operation}", BODY)
    return connection.sock


BOTH = pytest.mark.parametrize("operation", [invoke, stream])


def test_a_whole_answer(start):
    container = Answering(b"[1, ", b"2]")
    response = invoke(start(container))
    assert response["Body"].read() == b"[1, 2]"
    assert response["ContentType"] == JSON
    assert response["InvokedProductionVariant"] == "AllTraffic"
    assert response["CustomAttributes"] == "trace=1"
    assert len(response["ResponseMetadata"]["RequestId"]) == 36
    assert response["ResponseMetadata"]["HTTPHeaders"]["content-length"] == "6"
    assert container.ended.is_set()


def test_a_streamed_answer(start):
    """One frame for each part of the container's."""
    response = stream(start(Answering(b"caf\xc3", b"\xa9", b"\n", content_type="text/event-stream")))
    assert response["ContentType"] == "text/event-stream"
    assert response["InvokedProductionVariant"] == "AllTraffic"
    assert response["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/vnd.amazon.eventstream"
    assert parts_of(response) == [b"caf\xc3", b"\xa9", b"\n"]


def test_a_part_is_sent_before_the_next_one_is_there(start):
    with contextlib.closing(stream(start(Stalling(b"first")))["Body"]) as body:
        assert next(iter(body))["PayloadPart"]["Bytes"] == b"first"


def test_the_container_gets_what_was_sent(start):
    container = Answering(b"{}")
    invoke(start(container), Accept="text/plain", CustomAttributes="route=/v1/chat")
    call = container.calls[0]
    assert (call.body, call.content_type, call.accept) == (BODY, JSON, "text/plain")
    assert (call.custom_attributes, call.streaming) == ("route=/v1/chat", False)


def test_the_container_knows_that_it_streams(start):
    container = Answering(b"{}")
    parts_of(stream(start(container), Accept="text/event-stream"))
    assert (container.calls[0].accept, container.calls[0].streaming) == ("text/event-stream", True)


@BOTH
def test_an_unknown_endpoint(start, operation):
    with pytest.raises(ClientError) as caught:
        operation(start(Answering()), name="other")
    assert caught.value.response["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint other of account 000000000000 not found.",
    }
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@BOTH
@pytest.mark.parametrize(("status", "side"), [(422, "client"), (503, "server")])
def test_a_container_that_fails(start, operation, status, side):
    with pytest.raises(ClientError) as caught:
        operation(start(Answering(b'{"error":"', b'no"}', status=status)))
    response = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert f'Received {side} error ({status}) from primary with message "{{"error":"no"}}". See https://' in str(
        caught.value
    )
    assert (response["OriginalStatusCode"], response["OriginalMessage"]) == (status, '{"error":"no"}')
    assert response["LogStreamArn"].endswith("/aws/sagemaker/Endpoints/local")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424


@BOTH
def test_a_container_that_is_not_there(start, operation):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        container = RemoteContainer(f"http://127.0.0.1:{taken.getsockname()[1]}")
    with pytest.raises(ClientError, match="could not get a response from the local endpoint") as caught:
        operation(start(container))
    assert caught.value.response["OriginalStatusCode"] == 0


@BOTH
def test_a_container_that_takes_too_long(start, operation):
    container = Thinking()
    with pytest.raises(ClientError, match="invocation timed out") as caught:
        operation(start(container, limits=Limits(whole=0.1, stream=0.1)))
    assert caught.value.response["OriginalStatusCode"] == 0
    assert container.ended.is_set()


def test_a_container_that_breaks_off_within_a_whole_answer(start):
    with pytest.raises(ClientError, match="could not load the entire response body"):
        invoke(start(Answering(b"half", breaks=True)))


def test_a_stream_that_breaks_off(start):
    with contextlib.closing(stream(start(Answering(b"half", breaks=True)))["Body"]) as body:
        events = iter(body)
        assert next(events)["PayloadPart"]["Bytes"] == b"half"
        with pytest.raises(EventStreamError, match="ModelStreamError"):
            next(events)


@pytest.mark.parametrize(
    ("container", "limits", "code"),
    [
        (Answering(b"half", breaks=True), None, "StreamBroken"),
        (Stalling(b"half"), Limits(stream=0.1), "ModelInvocationTimeExceeded"),
    ],
)
def test_what_a_stream_that_breaks_off_says(start, container, limits, code):
    """boto3 drops the code, so the frames are read as they come."""
    connection = connected(start(container, limits=limits))
    connection.request("POST", "/endpoints/local/invocations-response-stream", BODY)
    buffer = EventStreamBuffer()
    buffer.add_data(connection.getresponse().read())
    half, fault = buffer
    assert half.payload == b"half"
    assert fault.headers[":exception-type"] == "ModelStreamError"
    assert json.loads(fault.payload)["ErrorCode"] == code
    connection.close()


def test_a_stream_that_nobody_reads_is_ended(start):
    container = Endless()
    response = stream(start(container))
    next(iter(response["Body"]))
    response["Body"].close()
    assert container.ended.wait(5)


@pytest.mark.parametrize("operation", ["invocations", "invocations-response-stream"])
@pytest.mark.parametrize("kind", [Thinking, Stalling])
def test_a_client_that_goes_away_ends_the_work(start, operation, kind):
    """Also while there is nothing to send yet."""
    container = kind()
    connection = left(start(container), operation)
    while not container.calls:
        time.sleep(0.01)
    connection.close()
    assert container.ended.wait(5)


def test_a_connection_that_is_reset_ends_the_work(start):
    container = Endless()
    connection = left(start(container), "invocations-response-stream")
    connection.recv(100)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    assert container.ended.wait(5)


def test_many_at_once(start):
    """None waits for another."""
    together = threading.Barrier(10, timeout=10)

    class Meeting(Answering):
        def invoke(self, call: Invocation) -> Reply:
            together.wait()
            return Reply(200, JSON, iter_of(call.body))

    runtime = client(start(Meeting()))

    def ask(number: int) -> bytes:
        return runtime.invoke_endpoint(EndpointName="local", Body=b"%d" % number)["Body"].read()

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        assert list(pool.map(ask, range(10))) == [b"%d" % number for number in range(10)]


def iter_of(body: bytes) -> Iterator[bytes]:
    yield body


def test_a_connection_is_kept_for_the_next_request(start):
    service = start(Answering(b"{}"))
    connection = connected(service)
    for path in ("/endpoints/local/invocations", "/endpoints/other/invocations", "/nowhere", "/endpoints/local/more"):
        connection.request("POST", path, BODY)
        kept = connection.sock
        response = connection.getresponse()
        response.read()
        assert response.headers["x-amzn-RequestId"]
        assert connection.sock is kept
    assert response.status == 404
    connection.close()


@pytest.mark.parametrize(("healthy", "status"), [(True, 200), (False, 503)])
def test_ping(start, healthy, status):
    container = Answering()
    container.healthy = healthy
    connection = connected(start(container))
    connection.request("GET", "/ping")
    assert connection.getresponse().status == status
    connection.close()


def test_another_get_is_not_found(start):
    connection = connected(start(Answering()))
    connection.request("GET", "/endpoints/local/invocations")
    assert connection.getresponse().status == 404
    connection.close()


def test_a_body_in_chunks(start):
    container = Answering(b"{}")
    connection = connected(start(container))
    connection.request("POST", "/endpoints/local/invocations", iter([b"one ", b"two"]), encode_chunked=True)
    assert connection.getresponse().status == 200
    assert container.calls[0].body == b"one two"
    connection.close()


def test_a_client_that_waits_for_100_continue(start):
    container = Answering(b"{}")
    service = start(container)
    head = b"POST /endpoints/local/invocations HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), timeout=10) as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hi")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert container.calls[0].body == b"hi"


def test_a_body_that_is_too_large(start):
    container = Answering(b"{}")
    with pytest.raises(ClientError) as caught:
        invoke(start(container, limits=Limits(body=len(BODY) - 1)))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert not container.calls


def test_the_limits_are_those_of_sagemaker():
    assert Limits() == Limits(whole=60, stream=480, body=26_214_400)


@pytest.mark.parametrize(
    "framing",
    [
        {"Content-Length": "-1"},
        {"Content-Length": "ten"},
        {"Transfer-Encoding": "gzip"},
        {"Transfer-Encoding": "chunked", "First": "zz"},
    ],
)
def test_a_body_without_an_end(start, framing):
    service = start(Answering(b"{}"))
    connection = connected(service)
    connection.putrequest("POST", "/endpoints/local/invocations", skip_accept_encoding=True)
    for name, value in framing.items():
        connection.putheader(name, value)
    connection.endheaders(b"zz\r\n")
    assert connection.getresponse().status == 400
    connection.close()


def test_a_client_that_goes_away_within_its_request(start):
    container = Answering(b"{}")
    service = start(container)
    connection = connected(service)
    connection.putrequest("POST", "/endpoints/local/invocations")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"only this")
    connection.close()
    assert invoke(service)["Body"].read() == b"{}"
    assert len(container.calls) == 1


def test_a_name_that_was_made_to_lead_here_is_refused(start):
    """A web page must not ask the model through a name of its own that resolves to this machine."""
    container = Answering(b"{}")
    connection = connected(start(container))
    connection.request("POST", "/endpoints/local/invocations", BODY, {"Host": "attacker.example"})
    assert connection.getresponse().status == 403
    assert not container.calls
    connection.close()


def test_nothing_is_printed(start, capfd):
    service = start(Endless())
    left(service, "invocations-response-stream").close()
    connection = connected(service)
    connection.request("GET", "/ping")
    connection.getresponse()
    connection.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere loopback has one address")
def test_it_listens_on_one_address_alone(start):
    """Its port is free at any other address of this machine."""
    service = start(Answering())
    socket.create_server(("127.0.0.2", int(service.url.rpartition(":")[2]))).close()


def test_a_port_that_is_taken():
    container = Answering()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on port {port}"), Service(container, name="x", port=port):
            pass
    assert container.closed


@pytest.mark.parametrize("kind", [Endless, Thinking, Stalling])
def test_leaving_ends_what_runs(kind):
    container = kind()
    before = threading.active_count()
    with Service(container, name="local") as service:
        running = left(service, "invocations-response-stream")
        idle = connected(service)
        idle.connect()
        while not container.calls:
            time.sleep(0.01)
        started = time.monotonic()
    assert time.monotonic() - started < 10
    assert container.ended.is_set()
    assert container.closed
    assert threading.active_count() == before
    running.close()
    idle.close()
