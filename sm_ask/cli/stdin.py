"""What comes on stdin: read to its end, but not waited for where nobody asked for it and nothing comes."""

from __future__ import annotations

import os
import select
import stat
import sys
from typing import TYPE_CHECKING

from sm_ask.errors import ConfigError, InputError, UsageError
from sm_ask.render import output

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATIENCE = "5"


class Stdin:
    """stdin, for the one thing that may have it."""

    def __init__(self, environ: Mapping[str, str], *, allowed: bool = True) -> None:
        """Take the patience from SM_ASK_STDIN_TIMEOUT, in seconds; 0 waits for ever."""
        text = environ.get("SM_ASK_STDIN_TIMEOUT") or _PATIENCE
        try:
            self._patience = float(text)
        except ValueError:
            raise ConfigError(f"SM_ASK_STDIN_TIMEOUT is {text!r}, not a number of seconds") from None
        self._allowed = allowed
        self._owner: str | None = None

    def claim(self, owner: str) -> bytes:
        """Read all of stdin for what was named ``-``; UsageError if something else was, too."""
        if self._owner is not None:
            raise UsageError(f"stdin can be read once, not for {self._owner} and for {owner}")
        if not self._allowed:
            raise UsageError(f"{owner} is stdin, and --no-stdin forbids it")
        self._owner = owner
        if sys.stdin is None:
            raise InputError(f"{owner} is stdin, which is closed")
        if sys.stdin.isatty():
            output.note("reading from the terminal; end with Ctrl-D")
        return sys.stdin.buffer.read()

    def offered(self, *, needed: bool) -> bytes | None:
        """Read what is piped in, None where there is nothing; a terminal is read only where text is ``needed``."""
        if self._owner is not None or not self._allowed or sys.stdin is None:
            return None
        if sys.stdin.isatty():
            return self.claim("the prompt") if needed else None
        if not self._speaks():
            return None
        return self.claim("the prompt") or None

    def _speaks(self) -> bool:
        """Wait for the first byte, or the end, of a pipe; files are always ready."""
        kind = os.fstat(sys.stdin.fileno()).st_mode
        if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)) or os.name == "nt":
            return True
        ready, _, _ = select.select([sys.stdin], [], [], self._patience or None)
        if not ready:
            output.note(
                f"nothing came on stdin for {self._patience:g} s; going on without it "
                "(- waits for it, --no-stdin does not look, SM_ASK_STDIN_TIMEOUT sets the time)"
            )
        return bool(ready)
