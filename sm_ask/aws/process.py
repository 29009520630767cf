"""The program that a profile's credential_process names, run to its end."""

from __future__ import annotations

import json
import subprocess
from typing import NamedTuple

from sm_ask.errors import CredentialsError

_PATIENCE = 60.0


class Finished(NamedTuple):
    """A program that ended well, for the one who reads its output."""

    output: bytes
    returncode: int = 0

    def communicate(self) -> tuple[bytes, bytes]:
        """Give what it wrote to stdout, and nothing of its stderr."""
        return self.output, b""


def finished(command: list[str], profile: str) -> Finished:
    """Run it without our stdin, which holds the question; CredentialsError names the profile, never the output."""
    about = f"credential_process of profile {profile}"
    hint = f"run it by hand to see what it says: {command[0] if command else 'it'} …"
    try:
        # What AWS's own tools run for a profile, too; no shell is involved.
        done = subprocess.run(  # noqa: S603
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CredentialsError(f"{about} did not end within {_PATIENCE:g} s", hint=hint) from error
    except (OSError, ValueError, IndexError) as error:
        raise CredentialsError(f"{about} cannot be run: {getattr(error, 'strerror', None) or error}") from error
    if done.returncode != 0:
        raise CredentialsError(f"{about} ended with exit status {done.returncode}", hint=hint)
    try:
        if not isinstance(json.loads(done.stdout), dict):
            raise CredentialsError(f"{about} did not print an object of JSON", hint=hint)
    except (ValueError, RecursionError):
        # Not chained: the text, which may hold a secret, is part of the error.
        raise CredentialsError(f"{about} did not print JSON", hint=hint) from None
    return Finished(done.stdout)
