"""Noticing, while a container works, that nobody waits for its answer any more."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_ask.local.container import Stop

_INTERVAL = 0.05


@contextlib.contextmanager
def watched(client: socket.socket, stop: Stop, seconds: float) -> Iterator[None]:
    """Set ``stop`` when the client hangs up, or when the time is over, whichever comes first."""
    done = threading.Event()
    deadline = time.monotonic() + seconds

    def watch() -> None:
        while not done.wait(_INTERVAL):
            if time.monotonic() > deadline:
                return stop.set("slow")
            if _hung_up(client):
                return stop.set("gone")
        return None

    thread = threading.Thread(target=watch, name="sm-ask-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _hung_up(client: socket.socket) -> bool:
    try:
        readable, _, _ = select.select([client], [], [], 0)
        # Bytes are the next request, ahead of time; no bytes are the end.
        return bool(readable) and not client.recv(1, socket.MSG_PEEK)
    except (OSError, ValueError):
        return True
