"""The command line: the commands, and the one place where a failure becomes an exit code."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from sm_ask import __version__, redaction
from sm_ask.errors import InputError, OutputError, SmAskError

if TYPE_CHECKING:
    from types import FrameType


class Signalled(BaseException):
    """A signal that ends the program; not an Exception, so that nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        """Keep the signal's number."""
        super().__init__(number)
        self.number = number


def run() -> NoReturn:
    """Run the command line of this process and exit."""
    # What is made while starting lives to the end; looking for garbage in it again and again takes 15 ms.
    gc.set_threshold(100_000)
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # nohup has one of them ignored, and that is to stay so.
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _raise)
    sys.exit(_flushed(main(sys.argv[1:])))


def _raise(number: int, _frame: FrameType | None) -> NoReturn:
    raise Signalled(number)


def main(arguments: list[str]) -> int:
    """Run a command line; give its exit code."""
    debug, as_json = "--debug" in arguments, "--json" in arguments
    redaction.keep_environment(os.environ)
    try:
        return _dispatch(arguments)
    except SmAskError as error:
        failure = error
    except KeyboardInterrupt:
        return _interrupted(signal.SIGINT)
    except Signalled as ended:
        return _interrupted(ended.number)
    except BrokenPipeError:
        return 128 + 13
    except RecursionError:
        failure = InputError("the input is nested too deeply")
    except Exception as error:  # noqa: BLE001 - the last resort, and the only one
        failure = _unexpected(error)
    # Imported late for the sake of --version.
    from sm_ask.render import output

    if debug:
        output.trace(failure)
    output.failure(failure, as_json=as_json)
    return failure.code


def _unexpected(error: Exception) -> SmAskError:
    failure = SmAskError(f"{type(error).__name__}: {error}", hint="this is a bug of sm-ask; --debug shows where")
    if isinstance(error, OSError) and error.errno in _FULL:
        # Typer writes its help by itself.
        failure = OutputError(f"cannot write: {error.strerror}")
    failure.__cause__ = error
    return failure


_FULL = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG")}


def _interrupted(number: int) -> int:
    from sm_ask.render import output

    # From here on there is nothing to save: a second one ends the process without a word.
    signal.signal(number, signal.SIG_DFL)
    if number == signal.SIGINT and output.is_watched():
        # Over the ^C that the terminal shows.
        output.countdown("")
    output.note("interrupted" if number == signal.SIGINT else "ended by a signal")
    return 128 + number


def _dispatch(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        # Typer takes longer to import than everything else that this needs.
        if sys.stdout is None:
            raise OutputError("cannot write: stdout is closed")
        sys.stdout.write(f"sm-ask {__version__}\n")
        return 0
    from sm_ask.cli import commands

    return commands.invoke(arguments, os.environ)


def _flushed(code: int) -> int:
    """Write what typer left in stdout's buffer, so that a full disk or a closed pipe is not found out too late."""
    try:
        sys.stdout.flush()
    except AttributeError:
        return code
    except OSError as error:
        # The interpreter would try once more, fail, and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        broken = isinstance(error, BrokenPipeError)
        return 128 + 13 if broken else OutputError.code
    return code
