"""Content handlers that are Python classes, in the shape of LangChain's ``LLMContentHandler``.

From an installed package, or from a file named with its full path: never from the working directory, and never from a
file that somebody else can change.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

from sm_ask import slips
from sm_ask.chat import Finish, Text
from sm_ask.errors import ConfigError, SmAskError, UnusableError
from sm_ask.handlers.params import text_of
from sm_ask.handlers.placing import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sm_ask.chat import Delta, Request

_DOTTED = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_LARGEST = 10_000_000
_LONGEST_CAUSE = 300
_METHODS = ("transform_input", "transform_output")
#: Where stdout leads is the whole process's, so one handler at a time may have it led away.
_ASIDE = threading.RLock()


class Body(bytes):
    """A response's body, for handlers that take bytes and for those that call ``read`` as on boto3's."""

    _file: io.BytesIO

    def __new__(cls, data: bytes) -> Body:  # noqa: PYI034 - Self came with Python 3.11
        """Take the bytes."""
        body = super().__new__(cls, data)
        body._file = io.BytesIO(data)
        return body

    def read(self, amt: int | None = None) -> bytes:
        """Give as many of the bytes, or all that are left."""
        return self._file.read(-1 if amt is None else amt)

    def iter_lines(self) -> Iterator[bytes]:
        """Yield the lines, without their ends."""
        return iter(self.read().splitlines())

    def close(self) -> None:
        """Do nothing: there is no connection behind it."""


class Foreign:
    """A handler whose two halves somebody else has written; it sees whole answers only.

    What it prints goes to stderr, unless it belongs to the program that asks.
    """

    streams = False
    tools = False
    custom_attributes = None

    def __init__(self, name: str, found: Any, *, own: bool = False) -> None:  # noqa: ANN401 - somebody else's class
        """Make an object of the class, and look at what it has; ConfigError says what is missing."""
        self.name = name
        self._own = own
        handler = _called(name, found) if isinstance(found, type) else found
        for method in _METHODS:
            if not callable(getattr(handler, method, None)):
                hint = "transform_input(prompt, model_kwargs) gives bytes, transform_output(output) gives text"
                raise ConfigError(f"the handler {name} has no method {method}", hint=hint)
        self._handler = handler
        self.content_type = self._media_type("content_type")
        self.accept = self._media_type("accepts")

    def encode(self, request: Request) -> bytes:
        """Let the handler make the body; the parameters are those that were asked for, under their own names."""
        made = self._transform(_METHODS[0], joined(request.messages), dict(request.params))
        # Whatever boto3 takes for a body.
        if callable(read := getattr(made, "read", None)):
            made = read()
        if isinstance(made, str):
            return text_of(made)
        if not isinstance(made, (bytes, bytearray)):
            raise self._unusable(f"{_METHODS[0]} gave {type(made).__name__} instead of bytes", sent=False)
        return bytes(made)

    def decode(self, chunks: Iterable[bytes], request: Request | None = None) -> Iterator[Delta]:  # noqa: ARG002
        """Let the handler read the whole body."""
        data = b"".join(chunks)
        if not data:
            raise UnusableError("the endpoint sent an empty answer")
        text = self._transform(_METHODS[1], Body(data))
        if not isinstance(text, str):
            raise self._unusable(f"{_METHODS[1]} gave {type(text).__name__} instead of text", sent=True)
        if text:
            yield Text(str(text))
        yield Finish(None, None)

    def _media_type(self, attribute: str) -> str:
        # LangChain's own default.
        value = getattr(self._handler, attribute, None) or "text/plain"
        if not isinstance(value, str):
            raise ConfigError(f"the handler {self.name}: {attribute} is {type(value).__name__} instead of text")
        return value

    def _transform(self, method: str, *arguments: Any) -> Any:  # noqa: ANN401 - what the method takes and gives
        try:
            return _guarded(getattr(self._handler, method), *arguments, own=self._own)
        except _FailedError as error:
            raise self._unusable(f"{method} failed: {error}", sent=method == _METHODS[1]) from error.__cause__

    def _unusable(self, message: str, *, sent: bool) -> UnusableError:
        hint = "--raw prints what the container sent" if sent else None
        return UnusableError(f"the handler {self.name}: {message}", hint=hint, maybe_charged=sent)


def load(name: str) -> Foreign:
    """Give the handler of ``package.module:Class`` or ``/full/path/file.py:Class``; raises ConfigError."""
    place, _, attribute = name.rpartition(":")
    if not (place and re.fullmatch(_DOTTED, attribute)):
        raise ConfigError(f"{name!r} names no class", hint="write package.module:Class or /full/path/file.py:Class")
    if place.endswith(".py") or os.path.isabs(place):
        module = _from_file(place, name)
    elif re.fullmatch(_DOTTED, place):
        module = _installed(place, name)
    else:
        raise ConfigError(f"{place!r} is neither a module nor a full path", hint="a file's name begins at the root: /…")
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            near = slips.meant(part, dir(found))
            hint = f"did you mean {near}?" if near else None
            raise ConfigError(f"the handler {name}: {place} has no {part}", hint=hint)
        found = getattr(found, part)
    return Foreign(name, found)


def _installed(module: str, name: str) -> types.ModuleType:
    import importlib

    with _no_working_directory():
        try:
            return _guarded(importlib.import_module, module)  # type: ignore[no-any-return]
        except _FailedError as error:
            raise _not_imported(name, error) from error.__cause__


@contextlib.contextmanager
def _no_working_directory() -> Iterator[None]:
    """Take away what stands for the working directory, which anyone may have filled, on the import path."""
    before = list(sys.path)
    sys.path[:] = [entry for entry in before if os.path.isabs(entry)]
    try:
        yield
    finally:
        sys.path[:] = before


def _from_file(path: str, name: str) -> types.ModuleType:
    if not os.path.isabs(path):
        raise ConfigError(f"the handler {name}: a file is named with its full path", hint=os.path.abspath(path))
    source = _source(path)
    # By its own name, so that what it defines can be looked up; nothing is cached beside it.
    module = types.ModuleType("sm_ask_handler_" + re.sub(r"\W", "_", os.path.basename(path).removesuffix(".py")))
    module.__file__ = path
    sys.modules[module.__name__] = module
    try:
        with _no_working_directory():
            _guarded(lambda: exec(compile(source, path, "exec", dont_inherit=True), module.__dict__))  # noqa: S102 - asked for
    except _FailedError as error:
        del sys.modules[module.__name__]
        raise _not_imported(name, error) from error.__cause__
    return module


def _source(path: str) -> bytes:
    """Read a file that nobody else can change; what is checked is what is read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            _refuse_shared(path, os.fstat(descriptor))
            folder = os.path.dirname(os.path.realpath(path))
            _refuse_shared(folder, os.stat(folder))
            return file.read(_LARGEST)
    except OSError as error:
        raise ConfigError(f"{path}: the handler's file cannot be read: {error.strerror}") from error


def _refuse_shared(path: str, status: os.stat_result) -> None:
    mode = status.st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ConfigError(f"{path}: the handler's file is not a regular file")
    if os.name != "posix":
        return
    # In a sticky folder such as /tmp, nobody can replace another user's file.
    is_folder = stat.S_ISDIR(mode)
    shared = (stat.S_IWOTH if is_folder else stat.S_IWGRP | stat.S_IWOTH) & mode
    if shared and not (is_folder and mode & stat.S_ISVTX):
        message = f"{path}: other users can change it (mode {stat.S_IMODE(mode):04o}), so the handler is not run"
        raise ConfigError(message, hint=f"chmod go-w {path}")
    if status.st_uid not in (0, os.geteuid()) and os.geteuid() != 0:
        raise ConfigError(f"{path}: it belongs to another user (id {status.st_uid}), so the handler is not run")


def _not_imported(name: str, error: _FailedError) -> ConfigError:
    missing = isinstance(error.__cause__, ModuleNotFoundError)
    hint = "is it installed where sm-ask is? the working directory is not searched" if missing else None
    return ConfigError(f"the handler {name} cannot be imported: {error}", hint=hint)


def _called(name: str, found: Callable[[], Any]) -> Any:  # noqa: ANN401 - an object of somebody else's class
    try:
        return _guarded(found)
    except _FailedError as error:
        raise ConfigError(f"the handler {name} cannot be made: {error}") from error.__cause__


@contextlib.contextmanager
def _aside() -> Iterator[None]:
    with _ASIDE, contextlib.redirect_stdout(sys.stderr):
        yield


class _FailedError(Exception):
    """Foreign code failed; the text says with which exception."""


def _guarded(function: Callable[..., Any], *arguments: Any, own: bool = False) -> Any:  # noqa: ANN401 - whatever it gives
    """Call foreign code: what it prints goes to stderr, and whatever it raises becomes one error."""
    with contextlib.nullcontext() if own else _aside():
        try:
            return function(*arguments)
        except SmAskError:
            raise
        except (Exception, SystemExit) as error:  # nothing is known of this code
            said = " ".join(str(error).split())[:_LONGEST_CAUSE]
            raise _FailedError(f"{type(error).__name__}: {said}" if said else type(error).__name__) from error
