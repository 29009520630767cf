"""What is kept on the disk, as the aws CLI keeps sessions: for its owner alone, each file whole or not there."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

SESSION = frozenset({"access_key", "secret_key", "token", "expiry_time", "arn"})
_FOLDERS = {"win32": "AppData/Local", "darwin": "Library/Caches"}


class Cache(NamedTuple):
    """A folder with a file for each thing, named by a hash of all that it depends on; each has these fields, all texts.

    One of the fields is ``expiry_time``.
    """

    folder: Path
    fields: frozenset[str] = SESSION

    def get(self, identity: list[Any]) -> dict[str, Any] | None:
        """Give a thing, ended or not; nothing where there is none, or none that can be read."""
        path = self._path(identity)
        try:
            self._repair(path)
            found = json.loads(path.read_bytes())
            usable = (
                isinstance(found, dict)
                and set(found) == self.fields
                and all(isinstance(value, str) for value in found.values())
            )
            moment = dt.datetime.fromisoformat(found["expiry_time"]) if usable else None
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        return found if moment and moment.tzinfo else None

    def put(self, identity: list[Any], thing: Mapping[str, str]) -> None:
        """Keep a thing; where the disk does not take it, it is fetched again next time."""
        path = self._path(identity)
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            # For its owner alone from the beginning, and of a name that no other thread has.
            descriptor, fresh = tempfile.mkstemp(dir=self.folder, suffix=".tmp")
            try:
                with open(descriptor, "wb") as file:
                    file.write(json.dumps(dict(thing)).encode())
                    file.flush()
                    os.fsync(descriptor)
                os.replace(fresh, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(fresh)

    def drop(self, identity: list[Any]) -> None:
        """Forget a thing."""
        with contextlib.suppress(OSError):
            self._path(identity).unlink()

    def _path(self, identity: list[Any]) -> Path:
        text = json.dumps(identity, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()}.json"

    def _repair(self, path: Path) -> None:
        for place, mode in ((self.folder, 0o700), (path, 0o600)):
            if os.name == "posix" and place.stat().st_mode & 0o777 != mode:
                place.chmod(mode)


def location(environ: Mapping[str, str], platform: str = sys.platform, name: str = "sessions") -> Path | None:
    """Say where things of a kind are kept; nowhere without a home."""
    chosen = Path(environ.get("LOCALAPPDATA" if platform == "win32" else "XDG_CACHE_HOME", ""))
    home = Path(environ.get("USERPROFILE" if platform == "win32" else "HOME", ""))
    if not chosen.is_absolute() and not home.is_absolute():
        return None
    folder = chosen if chosen.is_absolute() else home / _FOLDERS.get(platform, ".cache")
    return folder / "sm-ask" / name
