"""What a SageMaker container is to the runtime API in front of it, and a container reached over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Protocol
from urllib.parse import urlsplit

from sm_ask.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_CONNECT_TIMEOUT = 5.0
_PING_TIMEOUT = 2.0
_READ_SIZE = 65_536

#: The routes of a container.
INVOCATIONS: Final = "/invocations"
CHAT: Final = "/v1/chat/completions"

StopReason = Literal["gone", "slow", "closing"]


class ContainerError(Exception):
    """The container cannot be reached, or broke off before the end of its response."""


class Stop:
    """Tells a container, from another thread, that nobody waits for its response any more, and why."""

    def __init__(self) -> None:
        """Begin without a reason to stop."""
        self.reason: StopReason | None = None
        self._actions: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def set(self, reason: StopReason) -> None:
        """Run what was registered, once; the first reason stays."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
            actions = list(self._actions)
        for action in actions:
            action()

    def then(self, action: Callable[[], None]) -> None:
        """Register what ends the work; it runs at once where the reason is already there."""
        with self._lock:
            self._actions.append(action)
            late = self.reason is not None
        if late:
            action()


@dataclass(frozen=True)
class Invocation:
    """One request as a container gets it."""

    body: bytes
    content_type: str = "application/json"
    accept: str = "*/*"
    custom_attributes: str | None = None
    streaming: bool = False
    #: The container's route: its one for SageMaker, or that of OpenAI's chat.
    path: str = INVOCATIONS
    stop: Stop = field(default_factory=Stop)


class Parts(Protocol):
    """The pieces of a response body, as they come; closing it, read or not, ends the container's work."""

    def __iter__(self) -> Iterator[bytes]:
        """Give itself, as iterators do."""

    def __next__(self) -> bytes:
        """Give the next piece, or raise ContainerError."""

    def close(self) -> None:
        """End the work behind it; to be called once, and not while a piece is being made."""


@dataclass(frozen=True)
class Reply:
    """A container's response: its status and type at once, its body piece by piece."""

    status: int
    content_type: str
    parts: Parts
    custom_attributes: str | None = None


class Container(Protocol):
    """A container: a health check and one operation, both called from many threads."""

    def ping(self) -> bool:
        """Tell whether it takes requests."""

    def invoke(self, call: Invocation) -> Reply:
        """Begin a response or raise ContainerError, as its parts may; both end soon after ``call.stop`` is set."""

    def close(self) -> None:
        """Give back what it holds."""


class Body:
    """Parts from any iterator, with what must happen at the end of it."""

    def __init__(self, pieces: Iterator[bytes], end: Callable[[], None]) -> None:
        """Take the pieces, and what to call when nobody wants more of them."""
        self._pieces = pieces
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        """Give itself, as iterators do."""
        return self

    def __next__(self) -> bytes:
        """Give the next piece."""
        return next(self._pieces)

    def close(self) -> None:
        """End the work behind it."""
        self._end()


class RemoteContainer:
    """A container that serves ``POST /invocations`` and ``GET /ping``, or a server whose one route is in its URL.

    With a path of its own, such as ``http://127.0.0.1:8080/v1/chat/completions``, requests go there instead, as they do
    in images that put a proxy before the model server.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        """Take the container's URL, and headers that it wants with every request."""
        self._https, self._host, self._port, path = _parsed(url)
        self._own_route = path not in {"", "/"}
        self._path = path
        self._headers = dict(headers or {})

    def ping(self) -> bool:
        """Ask ``/ping`` for a 200; of a server with a route of its own, any answer that is not a failure will do."""
        if not self._own_route:
            return self._status("/ping") == http.client.OK
        return any(0 < self._status(path) < http.client.INTERNAL_SERVER_ERROR for path in ("/health", "/ping"))

    def invoke(self, call: Invocation) -> Reply:
        """Send the request and give the response once its headers are there."""
        connection = self._connection(_CONNECT_TIMEOUT)
        try:
            connection.connect()
            connection.sock.settimeout(None)
            # http.client lets go of the socket while its response still reads from it.
            cut = partial(_cut, connection.sock)
            call.stop.then(cut)
            path = self._path if self._own_route else call.path
            connection.request("POST", path, call.body, {**_headers(call), **self._headers})
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ContainerError(f"no response from http://{self._host}:{self._port}: {error}") from error

        def end() -> None:
            cut()
            response.close()
            connection.close()

        return Reply(
            status=response.status,
            content_type=response.headers.get("Content-Type", "application/octet-stream"),
            parts=Body(_pieces(response), end),
            custom_attributes=response.headers.get("X-Amzn-SageMaker-Custom-Attributes"),
        )

    def close(self) -> None:
        """Do nothing: the container is not ours."""

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=timeout)

    def _status(self, path: str) -> int:
        connection = self._connection(_PING_TIMEOUT)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def _parsed(url: str) -> tuple[bool, str, int | None, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"not a container's URL: {url} ({error})") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"not a container's URL: {url}", hint="give one such as http://127.0.0.1:8080")
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return parts.scheme == "https", parts.hostname, port, path


def _headers(call: Invocation) -> dict[str, str]:
    headers = {"Content-Type": call.content_type, "Accept": call.accept, "Connection": "close"}
    if call.custom_attributes is not None:
        headers["X-Amzn-SageMaker-Custom-Attributes"] = call.custom_attributes
    if call.streaming:
        headers["X-Amzn-SageMaker-Forwarded-Api"] = "InvokeEndpointWithResponseStream"
    return headers


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    missing = response.length
    try:
        while data := response.read1(_READ_SIZE):
            if missing is not None:
                missing -= len(data)
            yield data
    except (OSError, http.client.HTTPException) as error:
        raise ContainerError(f"the response broke off: {error!r}") from error
    # With a Content-Length, read1 takes an early end for the end.
    if missing:
        raise ContainerError(f"the response broke off {missing} bytes before its end")


def _cut(connection: socket.socket) -> None:
    # Closing alone would not wake a thread that waits for bytes from this socket.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
