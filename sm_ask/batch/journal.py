"""The output of a batch, which is its own journal: whole rows, on the disk before they count, held by one run."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from typing import IO, TYPE_CHECKING

from sm_ask.errors import LockedError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

_PRIVATE = 0o600
_sync = getattr(os, "fdatasync", os.fsync)


class Journal:
    """An output file that this process alone writes to; what is in it was written by this command, or is refused.

    ``follow`` lets its name be a symbolic link.
    """

    def __init__(self, path: str, *, follow: bool = False) -> None:
        """Open it and hold it; LockedError where another run does."""
        self.path = path
        self._follow = follow
        self._held: list[int] = []
        self._new = not os.path.lexists(path)
        self.descriptor = self._open()
        self.size = os.fstat(self.descriptor).st_size

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        flags |= 0 if self._follow else getattr(os, "O_NOFOLLOW", 0)
        while True:
            try:
                descriptor = os.open(self.path, flags, _PRIVATE)
            except OSError as error:
                raise self._refused(error) from error
            self._held.append(descriptor)
            self._lock(descriptor)
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(descriptor), os.stat(self.path)):
                    return self._private(descriptor)
            # Another run has put a new file in its place since.
            os.close(self._held.pop())

    def _refused(self, error: OSError) -> OutputError | UsageError:
        if error.errno == errno.ELOOP and os.path.islink(self.path):
            hint = "name the file itself, or --follow the link"
            return UsageError(f"{self.path!r} is a symbolic link", hint=hint)
        return OutputError(f"{self.path!r} cannot be written: {error.strerror}")

    def _lock(self, descriptor: int) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            hint = "wait for it, or name another output"
            raise LockedError(f"another run is writing to {self.path!r}", hint=hint) from error
        except OSError as error:
            raise OutputError(f"{self.path!r} cannot be held: {error.strerror}") from error

    def _private(self, descriptor: int) -> int:
        known = os.fstat(descriptor)
        if known.st_size == 0 and stat.S_IMODE(known.st_mode) != _PRIVATE and hasattr(os, "fchmod"):
            os.fchmod(descriptor, _PRIVATE)
        self._sync_folder()
        return descriptor

    def _sync_folder(self) -> None:
        """Have the file's name on the disk as well."""
        with contextlib.suppress(OSError):
            folder = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def lines(self) -> Iterator[bytes]:
        """Yield what is in it, line by line; the last one may lack its end."""
        with open(os.dup(self.descriptor), "rb") as file:
            file.seek(0)
            yield from file

    def at(self, places: Iterable[int]) -> Iterator[bytes]:
        """Yield the lines that begin at those places."""
        with open(os.dup(self.descriptor), "rb") as file:
            for place in places:
                file.seek(place)
                yield file.readline()

    def cut(self, size: int) -> None:
        """Take away what stands after that many bytes."""
        with self._written():
            os.ftruncate(self.descriptor, size)
            _sync(self.descriptor)
        self.size = size

    def append(self, lines: Sequence[bytes]) -> None:
        """Write whole rows in one piece, and have them on the disk; an OutputError leaves those that found room."""
        data = b"".join(lines)
        done = 0
        with self._written():
            try:
                while done < len(data):
                    done += os.write(self.descriptor, data[done:] if done else data)
                _sync(self.descriptor)
            except OSError:
                self._roll_back(data.rfind(b"\n", 0, done) + 1)
                raise
        self.size += len(data)

    def _roll_back(self, kept: int) -> None:
        self.size += kept
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, self.size)
            _sync(self.descriptor)

    def replace(self, lines: Iterable[bytes]) -> None:
        """Put other lines in the place of all, at once: whoever reads it has the old ones or the new ones."""
        path = os.path.realpath(self.path)
        with self._written():
            # It is as private as the file that it becomes.
            draft = tempfile.NamedTemporaryFile(  # noqa: SIM115 - it outlives this function
                dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}.", delete=False
            )
            try:
                self._draft(draft, lines)
                os.replace(draft.name, path)
            except BaseException:
                draft.close()
                os.unlink(draft.name)
                raise
        draft.close()
        self._sync_folder()
        # The old file stays open, and with it the lock of whoever had opened it by its name.
        self.descriptor = self._held[-1]
        self.size = os.fstat(self.descriptor).st_size

    def _draft(self, draft: IO[bytes], lines: Iterable[bytes]) -> None:
        """Fill the new file, and hold it before it has the name."""
        if hasattr(os, "fchmod"):
            os.fchmod(draft.fileno(), stat.S_IMODE(os.fstat(self.descriptor).st_mode))
        draft.writelines(lines)
        draft.flush()
        os.fsync(draft.fileno())
        descriptor = os.open(draft.name, os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0))
        self._held.append(descriptor)
        self._lock(descriptor)

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"{self.path!r} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Let go of it; a new one that nothing was written to is taken away."""
        if self._new and os.fstat(self.descriptor).st_size == 0:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        for descriptor in self._held:
            os.close(descriptor)
        self._held.clear()


class Snapshot:
    """An output that is looked at, and not touched."""

    def __init__(self, path: str) -> None:
        """Name it."""
        self.path = path

    def lines(self) -> Iterator[bytes]:
        """Yield what is in it, line by line."""
        try:
            with open(self.path, "rb") as file:
                yield from file
        except FileNotFoundError:
            return
        except OSError as error:
            raise OutputError(f"{self.path!r} cannot be read: {error.strerror}") from error

    def cut(self, size: int) -> None:
        """Leave it as it is."""

    def append(self, lines: Sequence[bytes]) -> None:
        """Leave it as it is."""
