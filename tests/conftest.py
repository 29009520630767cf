"""Guards and the ways to run the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pytest

from server import Script, Server
from sm_ask import redaction
from sm_ask.cli.app import main

GUARD = Path(__file__).parent / "guard"
sys.path.insert(0, str(GUARD))
import sitecustomize as _guard  # noqa: E402, F401 - watches this process from here on

SM_ASK = str(Path(sys.executable).with_name("sm-ask"))

# Every process that a test starts would compile sm-ask anew, and every worker the tests.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    # In the background of a script, or under nohup, one is ignored, and every process that a test starts inherits that.
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two for each core, as half of a test is waiting: for a clock, a process, a terminal."""
    return min(2 * (os.cpu_count() or 1), 16)


@dataclass(frozen=True)
class Result:
    """What a run of the command line left behind."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting, key or file of whoever runs the tests reaches them, and none of theirs is touched."""
    # A secret of one test, such as an MFA code, is a part of an account's number in another one.
    monkeypatch.setattr(redaction, "_known", set())
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("AWS_", "SM_ASK_", "XDG_", "LANGSMITH_", "LANGCHAIN_", "BOTO")) or "PROXY" in name.upper():
            monkeypatch.delenv(name)
    values = {
        "HOME": str(home),
        "AWS_CONFIG_FILE": str(home / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-tests",
        "PYTHONPATH": str(GUARD),
        "TERM": "dumb",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start loopback endpoints that end with the test."""
    servers: list[Server] = []

    def start(*scripts: Script) -> Server:
        servers.append(Server(*scripts))
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


def at(server: Server) -> list[str]:
    """The options that lead to a server."""
    return ["-e", "ep", "--region", "us-west-2", "--endpoint-url", server.url]


@pytest.fixture
def cli(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command line in this process; stdin is closed unless it is given: what is piped in, or a descriptor."""

    def run(*arguments: str, server: Server | None = None, stdin: bytes | int | None = None) -> Result:
        command = [*arguments, *(at(server) if server else [])]
        if stdin is None:
            monkeypatch.setattr(sys, "stdin", None)
            code = main(command)
        else:
            with closing(opened(stdin)) as source:
                monkeypatch.setattr(sys, "stdin", source)
                code = main(command)
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Result(code, out, err.decode())

    return run


def opened(stdin: bytes | int) -> TextIO:
    """Open a pipe in which those bytes wait, or what a descriptor leads to, as stdin is opened."""
    if isinstance(stdin, int):
        return open(stdin, closefd=False, encoding="utf-8")
    source, sink = os.pipe()
    with open(sink, "wb") as pipe:
        pipe.write(stdin)
    return open(source, encoding="utf-8")


def run_process(*arguments: str, server: Server | None = None, **settings: Any) -> Result:
    """Run the command line in a process of its own; stdin is empty unless ``input`` is given."""
    settings.setdefault("timeout", 60)
    if "input" not in settings:
        settings.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(
        [SM_ASK, *arguments, *(at(server) if server else [])], capture_output=True, check=False, **settings
    )
    return Result(done.returncode, done.stdout, done.stderr.decode())
