"""A real terminal: runs a command in a pty, types into it, and collects what it shows."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from typing import Any

from server import STREAM_HEAD, chunk
from sm_ask.local import frames

# A new session takes the terminal as its own only if it asks; then Ctrl-C reaches the command as a signal.
_TAKE = """\
import fcntl, os, sys, termios
fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0)
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class Shown:
    """How a command ended, what stood on its terminal, and what its other streams held."""

    code: int
    screen: bytes
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.screen.decode()


class Terminal:
    """A command on a terminal of its own; a stream that is given in ``streams`` does not go to the terminal.

    The terminal adds nothing: a line feed stays one, so that every carriage return in it is the command's.
    """

    def __init__(self, *command: str, columns: int = 80, env: dict[str, str] | None = None, **streams: Any) -> None:
        self.screen = b""
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        settings = termios.tcgetattr(slave)
        settings[1] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        self.process = subprocess.Popen(
            [sys.executable, "-ISc", _TAKE, str(slave), *command],
            **({"stdin": slave, "stdout": slave, "stderr": slave} | streams),
            pass_fds=[slave],
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", **(env or {})},
        )
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def press(self, keys: bytes) -> None:
        """Type, once what was shown last has given way to reading: ``\\x03`` is Ctrl-C, ``\\x04`` is Ctrl-D."""
        # Python notices no Ctrl-C that comes just before it begins to read, until something can be read.
        time.sleep(0.2)
        os.write(self._master, keys)

    def hang_up(self) -> None:
        """Close the terminal, as when its window goes away."""
        os.close(self._master)
        self._master = os.open(os.devnull, os.O_RDONLY)

    def wait_for(self, text: bytes, seconds: float = 20) -> None:
        """Read until the terminal shows the text."""
        until = time.monotonic() + seconds
        while text not in self.screen:
            if not self._read(until):
                raise AssertionError(f"{text!r} is not among {self.screen!r}")

    def end(self, seconds: float = 20) -> Shown:
        """Wait until the command ends."""
        until = time.monotonic() + seconds
        while self._read(until):
            pass
        out, err = self.process.communicate(timeout=max(until - time.monotonic(), 1))
        return Shown(self.process.returncode, self.screen, out or b"", err or b"")

    def _read(self, until: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(until - time.monotonic(), 0))
        try:
            data = os.read(self._master, 65536) if ready else b""
        except OSError:  # Linux's way to say that the last process has closed the terminal
            data = b""
        self.screen += data
        return bool(data)


def on_terminal(*command: str, **settings: Any) -> Shown:
    """Run a command on a terminal to its end."""
    with Terminal(*command, **settings) as terminal:
        return terminal.end()


def apart(*parts: bytes) -> list[bytes]:
    """The head of a streamed response, a piece for each part, and the end, for servers that pause in between."""
    head = STREAM_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    return [head, *(chunk(frames.payload_part(part)) for part in parts), b"0\r\n\r\n"]
