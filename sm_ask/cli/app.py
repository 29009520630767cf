"""The command line: the commands, and the one place where a failure becomes an exit code."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from sm_ask import __version__
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
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _raise)
    sys.exit(_flushed(main(sys.argv[1:])))


def _raise(number: int, _frame: FrameType | None) -> NoReturn:
    raise Signalled(number)


def main(arguments: list[str]) -> int:
    """Run a command line; give its exit code."""
    debug, as_json = "--debug" in arguments, "--json" in arguments
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
        failure = SmAskError(f"{type(error).__name__}: {error}", hint="this is a bug of sm-ask; --debug shows where")
        failure.__cause__ = error
    # Imported late for the sake of --version.
    from sm_ask.render import output

    if debug:
        output.trace(failure)
    output.failure(failure, as_json=as_json)
    return failure.code


def _interrupted(number: int) -> int:
    from sm_ask.render import output

    output.note("interrupted" if number == signal.SIGINT else "ended by a signal")
    return 128 + number


def _dispatch(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        # Typer takes longer to import than everything else that this needs.
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
