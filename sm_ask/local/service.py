"""An endpoint on this machine: the SageMaker runtime API on loopback, in front of one container.

It stands in for AWS on one machine, so it takes any signature and none, and listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sm_ask.errors import ConfigError
from sm_ask.local.api import Handler
from sm_ask.local.server import HOST, Limits, Server

if TYPE_CHECKING:
    from types import TracebackType

    from sm_ask.local.container import Container

#: Where `sm-ask local serve` listens if nobody says otherwise.
USUAL_PORT = 8080
USUAL_URL = f"http://{HOST}:{USUAL_PORT}"
_ACCEPT_INTERVAL = 0.05


class Service:
    """An endpoint of that name while the context lasts; leaving it ends what runs, and closes the container.

    A container that is not reachable, that breaks off, or that needs longer than the limits allow is a ModelError with
    OriginalStatusCode 0 or the container's own, and once a stream has begun a ModelStreamError within it.
    """

    def __init__(self, container: Container, *, name: str, port: int = 0, limits: Limits | None = None) -> None:
        """Take the container, the endpoint's name, and the port, 0 for any that is free."""
        self._container = container
        self._name = name
        self._port = port
        self._limits = limits or Limits()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """The endpoint URL to give to an SDK."""
        return f"http://{HOST}:{self._port}"

    def __enter__(self) -> Service:  # noqa: PYI034 - Self is newer than Python 3.10
        """Begin to listen; ConfigError where the port is taken."""
        try:
            self._server = Server(self._port, Handler, self._container, self._name, self._limits)
        except OSError as error:
            self._container.close()
            reason = error.strerror or str(error)
            raise ConfigError(
                f"cannot listen on port {self._port}: {reason}", hint="--port 0 takes a free one"
            ) from error
        self._port = self._server.server_address[1]
        serve = threading.Thread(target=self._server.serve_forever, args=(_ACCEPT_INTERVAL,), daemon=True)
        serve.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the running answers, the connections and the container."""
        if self._server is not None:
            self._server.shutdown()
            self._server.hang_up()
            self._server.server_close()
        self._container.close()
