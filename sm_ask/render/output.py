"""The two streams: stdout for the answer and nothing else, stderr for everything else."""

from __future__ import annotations

import codecs
import errno
import json
import os
import select
import sys
import traceback
from typing import TYPE_CHECKING

from sm_ask.envelope import json_line
from sm_ask.errors import OutputError
from sm_ask.redaction import redacted
from sm_ask.render.terminal import HarmlessStream, fitted, one_line

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
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._open_line = False

    @property
    def columns(self) -> int:
        """The terminal's width."""
        return _columns(self._descriptor)

    def text(self, text: str) -> None:
        """Write a piece of text at once."""
        self.write((self._stream.feed(text) if self.is_terminal else text).encode(errors="replace"))

    def raw(self, data: bytes) -> None:
        """Write a container's own bytes: on a pipe these and nothing else."""
        if self.is_terminal:
            self.text(self._decoder.decode(data))
        else:
            self._send(data)

    def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        if data:
            self._open_line = not data.endswith(b"\n")
        self._send(data)

    def end_line(self) -> None:
        """Add the final newline where the text has none."""
        if self.is_terminal:
            self.text(self._decoder.decode(b"", final=True))
            self.write(self._stream.flush().encode(errors="replace"))
        if self._open_line:
            self.write(b"\n")

    def json(self, value: object) -> None:
        """Write one JSON object as one line."""
        self.write(json_line(value).encode() + b"\n")

    def _send(self, data: bytes) -> None:
        try:
            _write(self._descriptor, data)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            raise OutputError(f"cannot write the answer: {error.strerror}") from error


class Aside:
    """Text that is not the answer, such as reasoning: on stderr, dim, and only where a person looks."""

    def __init__(self) -> None:
        """Begin with nothing shown."""
        self._stream = HarmlessStream()
        self._open_line = False

    def text(self, text: str) -> None:
        """Show a piece."""
        if not (shown := self._stream.feed(text)) or not _is_terminal():
            return
        self._open_line = not shown.endswith("\n")
        _err(f"\x1b[2m{shown}\x1b[22m" if is_watched() and not os.environ.get("NO_COLOR") else shown)

    def end_line(self) -> None:
        """End the line, if it is open."""
        if self._open_line:
            self._open_line = False
            _err("\n")


def note(text: str) -> None:
    """Tell the person at stderr one thing in one line."""
    _err(f"sm-ask: {one_line(redacted(text))}\n")


def countdown(text: str) -> None:
    """Show a line that the next one replaces; nothing takes it away."""
    _err("\r\x1b[K" + (fitted(f"sm-ask: {one_line(redacted(text))}", _columns(sys.stderr.fileno())) if text else ""))


def is_watched() -> bool:
    """Tell whether stderr is a terminal that understands a replaced line."""
    return _is_terminal() and os.environ.get("TERM") != "dumb"


def failure(error: SmAskError, *, as_json: bool) -> None:
    """Say what went wrong: a line, a hint, or with ``--json`` an object as the last line."""
    if as_json:
        known = {
            "code": error.code,
            "kind": error.kind,
            "message": redacted(error.message),
            "hint": error.hint and redacted(error.hint),
            "request_id": error.request_id,
            "retryable": error.retryable,
            "maybe_charged": error.maybe_charged,
        }
        _err(json.dumps(known) + "\n")
        return
    about = f" (request {error.request_id})" if error.request_id else ""
    _err(f"sm-ask: error: {one_line(redacted(error.message + about))}\n")
    if error.hint:
        _err(f"hint: {one_line(redacted(error.hint))}\n")


def trace(error: BaseException | None) -> None:
    """Show where an error came from: places and types, but no messages and no values, which may hold secrets."""
    shown = []
    while error is not None and error not in shown:
        shown.append(error)
        _err(redacted("".join(traceback.format_tb(error.__traceback__))) + f"{type(error).__qualname__}\n")
        error = error.__cause__ or error.__context__


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _columns(descriptor: int) -> int:
    try:
        return os.get_terminal_size(descriptor).columns or 80
    except OSError:
        return 80


def _err(text: str) -> None:
    """Write to stderr in UTF-8, past Python's buffer: what stays in that fails again at exit, with another code."""
    if sys.stderr is None:
        return
    try:
        _write(sys.stderr.fileno(), text.encode(errors="backslashreplace"))
    except OSError:
        # Nobody can be told any more; the exit code still says it.
        return


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # noqa: PERF203 - a loop over system calls
            # Whoever shares the pipe may have made it one that does not wait.
            select.select([], [descriptor], [])
