"""The code of an MFA device: from SM_ASK_MFA_CODE, from a file, or typed at the terminal; never from stdin."""

from __future__ import annotations

import os
import re
import sys

from sm_ask import redaction
from sm_ask.errors import ConfigError, CredentialsError

_CODE = re.compile(r"\d{6}", re.ASCII)


def code(device: str) -> str:
    """Give the code; CredentialsError where none is given and nobody can be asked."""
    given = os.environ.get("SM_ASK_MFA_CODE") or _from_file(os.environ.get("SM_ASK_MFA_CODE_FILE"))
    given = (given or _typed(f"MFA code of {device}: ")).strip()
    if not _CODE.fullmatch(given):
        raise CredentialsError("an MFA code has six digits", hint=f"look at the device {device}")
    redaction.keep(given, shortest=len(given))
    return given


def _from_file(path: str | None) -> str | None:
    if not path:
        return None
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline(100)
    except OSError as error:
        raise ConfigError(f"SM_ASK_MFA_CODE_FILE: {path}: cannot be read: {error.strerror}") from error


def _typed(prompt: str) -> str:
    nobody = CredentialsError(
        "an MFA code is needed, and there is no terminal to ask at",
        hint="set SM_ASK_MFA_CODE, or SM_ASK_MFA_CODE_FILE to a file that holds it",
    )
    if sys.platform == "win32":
        if sys.stdin is None or not sys.stdin.isatty():
            raise nobody
        import getpass

        return getpass.getpass(prompt)
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError as error:
        raise nobody from error
    try:
        return _unseen(terminal, prompt)
    finally:
        os.close(terminal)


def _unseen(terminal: int, prompt: str) -> str:
    """Read a line that is not shown while it is typed."""
    import termios

    before = termios.tcgetattr(terminal)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
        os.write(terminal, prompt.encode())
        line = os.read(terminal, 1024)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        os.write(terminal, b"\n")
    return line.decode("ascii", "replace")
