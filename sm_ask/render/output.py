"""The two streams: stdout for the answer and nothing else, stderr for everything else."""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from typing import TYPE_CHECKING, TextIO

from sm_ask.errors import OutputError
from sm_ask.render.terminal import HarmlessStream, harmless, one_line

if TYPE_CHECKING:
    from sm_ask.errors import SmAskError


class Output:
    """stdout, byte for byte on a pipe, harmless on a terminal; OutputError where it cannot be written.

    A pipe whose reader has gone raises BrokenPipeError.
    """

    def __init__(self) -> None:
        """Find out what stdout is; raises OutputError if it is closed, before anything is paid for."""
        # With stdout closed, its number may belong to a socket by now.
        if sys.stdout is None:
            raise OutputError("cannot write the answer: stdout is closed")
        try:
            self._descriptor = sys.stdout.fileno()
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot write the answer: {error}") from error
        self.is_terminal = os.isatty(self._descriptor)
        self._stream = HarmlessStream()
        self._open_line = False

    def text(self, text: str) -> None:
        """Write a piece of text at once."""
        self.bytes((self._stream.feed(text) if self.is_terminal else text).encode(errors="replace"))

    def bytes(self, data: bytes) -> None:
        """Write bytes as they are."""
        if data:
            self._open_line = not data.endswith(b"\n")
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except OSError as error:
                if error.errno == errno.EPIPE:
                    raise
                raise OutputError(f"cannot write the answer: {error.strerror}") from error

    def end_line(self) -> None:
        """Add the final newline where the text has none."""
        if self.is_terminal:
            self.bytes(self._stream.flush().encode(errors="replace"))
        if self._open_line:
            self.bytes(b"\n")

    def json(self, value: object) -> None:
        """Write one JSON object as one line; a lone surrogate becomes its JSON escape."""
        self.bytes(json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace") + b"\n")


def note(text: str) -> None:
    """Tell the person at stderr one thing in one line."""
    _err(f"sm-ask: {one_line(text)}\n")


def aside(text: str) -> None:
    """Show text that is not the answer, such as reasoning, where a person looks at stderr."""
    if is_watched():
        _err(harmless(text))


def countdown(text: str) -> None:
    """Show a line that the next one replaces, where a person looks at stderr."""
    _err(f"\r\x1b[K{one_line(text)}")


def is_watched() -> bool:
    """Tell whether stderr is a terminal that understands a replaced line."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def failure(error: SmAskError, *, as_json: bool) -> None:
    """Say what went wrong: a line, a hint, or with ``--json`` an object as the last line."""
    if as_json:
        known = {
            "code": error.code,
            "kind": error.kind,
            "message": error.message,
            "hint": error.hint,
            "request_id": error.request_id,
            "retryable": error.retryable,
            "maybe_charged": error.maybe_charged,
        }
        _err(json.dumps(known) + "\n")
        return
    about = f" (request {error.request_id})" if error.request_id else ""
    _err(f"sm-ask: error: {one_line(error.message + about)}\n")
    if error.hint:
        _err(f"hint: {one_line(error.hint)}\n")


def trace(error: BaseException | None) -> None:
    """Show where an error came from: places and types, but no messages and no values, which may hold secrets."""
    while error is not None:
        _err("".join(traceback.format_tb(error.__traceback__)) + f"{type(error).__qualname__}\n")
        error = error.__cause__ or error.__context__


def _err(text: str) -> None:
    stream: TextIO | None = sys.stderr
    if stream is None:
        return
    try:
        stream.write(text.encode(stream.encoding or "utf-8", "backslashreplace").decode(stream.encoding or "utf-8"))
        stream.flush()
    except OSError:
        # Nobody can be told any more; the exit code still says it.
        return
