"""A pipe or a device that rows go into: nothing in it can be read again, so that there is nothing to continue."""

from __future__ import annotations

import errno
import os
import select
import sys
from typing import TYPE_CHECKING

from sm_ask.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Stream:
    """stdout, or what else has a name and is no file."""

    def __init__(self, path: str | None) -> None:
        """Open it; without a path it is stdout."""
        self._name = "stdout" if path is None else repr(path)
        self._own = path is not None
        try:
            if path is not None:
                self._descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
            elif sys.stdout is None:
                raise OutputError("stdout is closed")
            else:
                self._descriptor = sys.stdout.fileno()
        except OSError as error:
            raise OutputError(f"{self._name} cannot be written: {error.strerror}") from error

    def append(self, lines: Sequence[bytes]) -> None:
        """Write rows; BrokenPipeError where nobody reads them any more."""
        view = memoryview(b"".join(lines))
        try:
            while view:
                view = view[self._write(view) :]
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            raise OutputError(f"{self._name} cannot be written: {error.strerror}") from error

    def _write(self, view: memoryview) -> int:
        try:
            return os.write(self._descriptor, view)
        except BlockingIOError:
            # Whoever shares the pipe may have made it one that does not wait.
            select.select([], [self._descriptor], [])
            return 0

    def close(self) -> None:
        """Close what was opened."""
        if self._own:
            os.close(self._descriptor)
