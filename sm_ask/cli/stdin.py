"""What comes on stdin: read to its end, but not waited for where nobody asked for it and nothing comes."""

from __future__ import annotations

import os
import select
import stat
import sys
from typing import TYPE_CHECKING

from sm_ask.documents import LARGEST, STDIN, Document, decode, filled, load
from sm_ask.errors import ConfigError, InputError, UsageError
from sm_ask.render import output

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATIENCE = "5"
_LONGEST_PATIENCE = 1e9


class Stdin:
    """stdin, for the one thing that may have it."""

    def __init__(self, environ: Mapping[str, str], *, allowed: bool = True) -> None:
        """Take the patience from SM_ASK_STDIN_TIMEOUT, in seconds; 0 waits for ever."""
        text = environ.get("SM_ASK_STDIN_TIMEOUT") or _PATIENCE
        try:
            self._patience = float(text)
        except ValueError:
            self._patience = -1
        if not 0 <= self._patience < _LONGEST_PATIENCE:
            raise ConfigError(f"SM_ASK_STDIN_TIMEOUT is {text!r}, not a number of seconds")
        self._allowed = allowed
        self._claimed = False

    def claim(self, *named: tuple[str, str | None]) -> None:
        """Keep stdin for what was named ``-`` among owners and values; UsageError if it is two, before any is read."""
        owners = [owner for owner, value in named if value == STDIN]
        if len(owners) > 1:
            raise UsageError(f"stdin can be read once, not for {owners[0]} and for {owners[1]}")
        if owners and not self._allowed:
            raise UsageError(f"{owners[0]} is stdin, and --no-stdin forbids it")
        self._claimed = bool(owners)

    def read(self) -> bytes:
        """Read all of it."""
        if sys.stdin is None:
            raise InputError("stdin is closed")
        try:
            data = _whole()
        except OSError as error:
            raise InputError(f"stdin cannot be read: {error.strerror}") from error
        if len(data) > LARGEST:
            raise InputError(f"stdin has more than {LARGEST:,} bytes; an endpoint takes no more")
        return data

    def document(self, path: str, encoding: str | None) -> Document:
        """Read a file, or stdin where ``-`` names it."""
        if path == STDIN:
            return Document("stdin", filled(decode(self.read(), "stdin", encoding), "stdin"))
        return load(path, encoding)

    def offered(self, *, needed: bool) -> bytes | None:
        """Read what is piped in, None where there is nothing; a terminal is read only where text is ``needed``."""
        if self._claimed or not self._allowed or sys.stdin is None:
            return None
        if not (needed if sys.stdin.isatty() else self._speaks()):
            return None
        data = self.read()
        return data if data.strip() else None

    def _speaks(self) -> bool:
        """Wait for the first byte, or the end, of a pipe; files are always ready."""
        kind = os.fstat(sys.stdin.fileno()).st_mode
        if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)) or os.name == "nt":
            return True
        ready, _, _ = select.select([sys.stdin], [], [], self._patience or None)
        if not ready:
            output.note(
                f"nothing came on stdin for {self._patience:g} s, so it is left out "
                "(- waits for it, --no-stdin does not look, SM_ASK_STDIN_TIMEOUT sets the time)"
            )
        return bool(ready)


def _whole() -> bytes:
    if sys.stdin.isatty():
        output.note("reading from the terminal; end with Ctrl-D")
        return sys.stdin.buffer.read()
    data = bytearray()
    # Python's own reader takes a pipe that does not wait, as some programs leave it, for one that has ended.
    while len(data) <= LARGEST:
        try:
            piece = os.read(sys.stdin.fileno(), 1 << 20)
        except BlockingIOError:
            select.select([sys.stdin], [], [])
            continue
        if not piece:
            break
        data += piece
    return bytes(data)
