"""For processes that tests start: no connection leaves this machine, and every one is noted."""

import os
import sys

_LOG = os.environ.get("GUARD_LOG")


def _watch(event: str, arguments: tuple) -> None:
    if event not in {"socket.connect", "socket.getaddrinfo"}:
        return
    address = arguments[1] if event == "socket.connect" else arguments
    if not isinstance(address, tuple):
        return
    host = str(address[0])
    if _LOG:
        with open(_LOG, "a", encoding="utf-8") as log:
            log.write(f"{host}:{address[1]}\n")
    if host not in {"127.0.0.1", "::1", "localhost"}:
        raise PermissionError(f"the tests do not leave this machine: {host}")


sys.addaudithook(_watch)
