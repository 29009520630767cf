"""A container over HTTP: real sockets on loopback, well behaved and not."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from sm_ask.errors import ConfigError
from sm_ask.local.container import ContainerError, Invocation, RemoteContainer, Stop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class Peer:
    """A server that reads one request on each connection and answers with what a function sends."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.hung_up = threading.Event()
        self.closing = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            with connection:
                if self.closing:
                    return
                self.requests.append(connection.recv(65_536))
                self.answer(connection)

    def until_hung_up(self, connection: socket.socket) -> None:
        """Send no more, and note when the other side goes."""
        connection.settimeout(10)
        while connection.recv(65_536):
            pass
        self.hung_up.set()

    def close(self) -> None:
        self.closing = True
        # Closing the listener would not wake its thread; a connection does.
        socket.create_connection(self.listener.getsockname()).close()
        self.thread.join(10)
        self.listener.close()


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    peers: list[Peer] = []

    def start(answer: bytes | Callable[[socket.socket], None]) -> Peer:
        peers.append(Peer(answer if callable(answer) else lambda connection: connection.sendall(answer)))
        return peers[-1]

    yield start
    for started in peers:
        started.close()


def asked(url: str, **settings) -> tuple[int, str, bytes]:
    reply = RemoteContainer(url).invoke(Invocation(b"{}", **settings))
    with contextlib.closing(reply.parts):
        body = b"".join(reply.parts)
    return reply.status, reply.content_type, body


def test_requests_go_to_invocations(peer):
    server = peer(HEAD + b"Content-Length: 5\r\n\r\nhello")
    assert asked(server.url, custom_attributes="a=b", streaming=True) == (200, "text/plain", b"hello")
    request = server.requests[0].decode()
    assert request.startswith("POST /invocations HTTP/1.1\r\n")
    assert "X-Amzn-SageMaker-Custom-Attributes: a=b\r\n" in request
    assert "X-Amzn-SageMaker-Forwarded-Api: InvokeEndpointWithResponseStream\r\n" in request


def test_a_path_of_its_own_is_kept(peer):
    server = peer(HEAD + b"Content-Length: 0\r\n\r\n")
    asked(f"{server.url}/v1/chat/completions?x=1")
    assert server.requests[0].startswith(b"POST /v1/chat/completions?x=1 ")


def test_an_error_is_a_reply_too(peer):
    server = peer(b"HTTP/1.1 422 No\r\nContent-Length: 3\r\n\r\nbad")
    assert asked(server.url) == (422, "application/octet-stream", b"bad")


def test_parts_come_before_the_response_has_ended(peer):
    seen = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.sendall(CHUNKED + b"3\r\none\r\n")
        seen.wait(10)
        connection.sendall(b"3\r\ntwo\r\n0\r\n\r\n")

    reply = RemoteContainer(peer(answer).url).invoke(Invocation(b""))
    assert next(reply.parts) == b"one"
    seen.set()
    assert list(reply.parts) == [b"two"]
    reply.parts.close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(HEAD + b"Content-Length: 9\r\n\r\nhello", id="before its length"),
        pytest.param(CHUNKED + b"9\r\nhello", id="within a chunk"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n", id="without the last chunk"),
        pytest.param(CHUNKED + b"zz\r\n", id="with no chunk at all"),
    ],
)
def test_a_response_that_breaks_off_is_noticed(peer, answer):
    with pytest.raises(ContainerError, match="broke off"):
        asked(peer(answer).url)


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n"], ids=["nothing", "no HTTP"])
def test_no_response_is_noticed(peer, answer):
    with pytest.raises(ContainerError, match="no response"):
        asked(peer(answer).url)


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    container = RemoteContainer(f"http://127.0.0.1:{port}")
    assert not container.ping()
    with pytest.raises(ContainerError, match="refused"):
        container.invoke(Invocation(b""))


@pytest.mark.parametrize("read_first", [True, False])
def test_closing_the_parts_closes_the_connection(peer, read_first):
    server = peer(lambda connection: (connection.sendall(CHUNKED + b"3\r\none\r\n"), server.until_hung_up(connection)))
    reply = RemoteContainer(server.url).invoke(Invocation(b""))
    if read_first:
        next(reply.parts)
    reply.parts.close()
    assert server.hung_up.wait(5)


def test_a_stop_ends_the_wait_for_a_response(peer):
    server = peer(b"")
    server.answer = server.until_hung_up
    stop = Stop()
    threading.Timer(0.1, stop.set, ["gone"]).start()
    with pytest.raises(ContainerError):
        RemoteContainer(server.url).invoke(Invocation(b"", stop=stop))
    assert server.hung_up.wait(5)


def test_a_stop_ends_the_wait_for_a_part(peer):
    server = peer(lambda connection: (connection.sendall(CHUNKED), server.until_hung_up(connection)))
    stop = Stop()
    reply = RemoteContainer(server.url).invoke(Invocation(b"", stop=stop))
    threading.Timer(0.1, stop.set, ["slow"]).start()
    with pytest.raises(ContainerError):
        next(reply.parts)
    reply.parts.close()


def test_a_stop_runs_its_actions_once():
    stop = Stop()
    ran: list[str] = []
    stop.then(lambda: ran.append("early"))
    stop.set("gone")
    stop.set("closing")
    stop.then(lambda: ran.append("late"))
    assert (stop.reason, ran) == ("gone", ["early", "late"])


@pytest.mark.parametrize(
    ("path", "answer", "healthy"),
    [
        ("", b"HTTP/1.1 200 OK\r\n\r\n", True),
        ("", b"HTTP/1.1 404 No\r\n\r\n", False),
        ("/v1/chat/completions", b"HTTP/1.1 404 No\r\n\r\n", True),
        ("/v1/chat/completions", b"HTTP/1.1 503 Loading\r\n\r\n", False),
    ],
)
def test_ping(peer, path, answer, healthy):
    """A SageMaker container says 200; another server only has to be there, and ready."""
    assert RemoteContainer(peer(answer).url + path).ping() is healthy


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host", "http://", "http://host:port", ""])
def test_a_url_that_is_none(url):
    with pytest.raises(ConfigError, match="not a container's URL"):
        RemoteContainer(url)
