"""The HTTP server behind the endpoint: it knows its connections and the calls in flight, so that it can end them."""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from sm_ask.local.container import Stop
from sm_ask.local.waiting import watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_ask.local.container import Container

HOST = "127.0.0.1"
_CLOSING_GRACE = 5.0


@dataclass(frozen=True)
class Limits:
    """What SageMaker allows: seconds for a whole answer and for a stream, and bytes of a request's body."""

    whole: float = 60.0
    stream: float = 480.0
    body: int = 25 * 1024 * 1024


class Server(ThreadingHTTPServer):
    """One thread for each connection, and a Stop for each call."""

    daemon_threads = True
    request_queue_size = 128
    # On Windows this would let two servers share a port.
    allow_reuse_address = os.name != "nt"

    def __init__(
        self, port: int, handler: type[BaseHTTPRequestHandler], container: Container, name: str, limits: Limits
    ) -> None:
        """Listen on loopback for one endpoint."""
        self.container = container
        self.name = name
        self.limits = limits
        self._calls: set[Stop] = set()
        self._open: set[socket.socket] = set()
        self._closing = False
        self._changed = threading.Condition()
        super().__init__((HOST, port), handler)

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which takes seconds on some machines."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as inherited
        """Remember a connection."""
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as inherited
        """Forget a connection."""
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as inherited
        """Keep quiet about clients that went away."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    @contextlib.contextmanager
    def call(self, client: socket.socket, seconds: float) -> Iterator[Stop]:
        """Give a call its Stop, set when the client hangs up, the time is over, or the service closes."""
        stop = Stop()
        with self._changed:
            self._calls.add(stop)
            closing = self._closing
        if closing:
            stop.set("closing")
        try:
            with watched(client, stop, seconds):
                yield stop
        finally:
            # Whatever ended the call, the container hears of it.
            stop.set("gone")
            with self._changed:
                self._calls.discard(stop)

    def hang_up(self) -> None:
        """End every call and every connection, and wait for their threads, though not for ever."""
        with self._changed:
            self._closing = True
            calls, connections = list(self._calls), list(self._open)
        for stop in calls:
            stop.set("closing")
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        with self._changed:
            self._changed.wait_for(lambda: not self._open, _CLOSING_GRACE)
