"""Paths → files, and their bytes: whole, or an error."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from sm_ask.documents import kinds
from sm_ask.documents.document import Document
from sm_ask.documents.text import decode, filled
from sm_ask.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: No endpoint takes more in one request, and no reader of PDF or Office files gets more.
LARGEST = 25 * 1024 * 1024
#: What is searched may be larger: it is read part by part.
LARGEST_TEXT = 1024 * 1024 * 1024
_STDIN = "-"


class Found(NamedTuple):
    """A file that is meant, and whether it was named itself, or found in a folder."""

    path: str
    named: bool = True


def find(patterns: Iterable[str]) -> Iterator[str]:
    """Yield the paths that the patterns mean, in their order; InputError for one that means no file."""
    for pattern in patterns:
        if pattern == _STDIN or os.path.lexists(pattern) or not glob.has_magic(pattern):
            yield pattern
            continue
        found = sorted(path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path))
        if not found:
            raise InputError(f"no file matches {pattern!r}")
        yield from found


def below(root: str, path: str) -> str:
    """Give the path, taken from the root, with every link resolved; InputError where it leads out of the root."""
    whole_root = os.path.realpath(root)
    try:
        whole = os.path.realpath(os.path.join(whole_root, path))
        inside = not os.path.isabs(path) and os.path.commonpath([whole_root, whole]) == whole_root
    except ValueError:
        # A NUL byte, or another drive.
        inside = False
    if not inside:
        raise InputError(f"{path!r} leads out of {root!r}", hint="a path counts from there, and stays below it")
    return whole


def load(path: str, encoding: str | None = None) -> Document:
    """Read a text file as it is; UTF-8, or UTF-16 with its mark, unless another encoding is named."""
    with _opened(path) as file:
        return Document(path, filled(decode(_whole(file, path), path, encoding), path))


def read(path: str, encoding: str | None = None) -> Iterator[Document]:
    """Yield the documents of a file of any kind that can be read; a long text comes in parts, in bounded memory."""
    with _opened(path) as file:
        if os.fstat(file).st_size > kinds.PART and encoding is None:
            yield from _parts(file, path)
        else:
            yield from kinds.parse(_whole(file, path), path, encoding)


def _parts(file: int, path: str) -> Iterator[Document]:
    """Read a long file, part by part if it is text."""
    before = _regular(file, path, LARGEST_TEXT)
    with open(file, "rb", closefd=False) as source:
        head = source.read(kinds.HEAD)
        source.seek(0)
        if not kinds.in_parts(head, path):
            yield from kinds.parse(_whole(file, path), path)
            return
        size = 0

        def pieces() -> Iterator[bytes]:
            nonlocal size
            while piece := source.read(kinds.PART):
                size += len(piece)
                yield piece
                if size > before.st_size:
                    return

        yield from kinds.parts(pieces(), path)
    _unchanged(file, path, before, size)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    try:
        # A pipe without a writer would hold up a blocking open for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    try:
        yield descriptor
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(descriptor)


def _unreadable(path: str, error: OSError | ValueError) -> InputError:
    if getattr(error, "errno", None) == errno.ENXIO:
        return _not_regular(path)
    return InputError(f"{path!r} cannot be read: {getattr(error, 'strerror', None) or error}")


def _whole(file: int, path: str) -> bytes:
    before = _regular(file, path, LARGEST)
    with open(file, "rb", closefd=False) as source:
        # A byte more than there should be, as a file that grows all the time has no end.
        data = source.read(before.st_size + 1)
    _unchanged(file, path, before, len(data))
    return data


def _regular(file: int, path: str, largest: int) -> os.stat_result:
    status = os.fstat(file)
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path!r} is a directory", hint="name its files, for example with a pattern: 'notes/*.md'")
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path)
    if status.st_size > largest:
        raise InputError(f"{path!r} has {status.st_size:,} bytes; {largest:,} are read at most")
    return status


def _unchanged(file: int, path: str, before: os.stat_result, size: int) -> None:
    if size != before.st_size or os.fstat(file).st_mtime_ns != before.st_mtime_ns:
        hint = "ask when it is whole; a file that never rests can be piped in"
        raise InputError(f"{path!r} was written to while it was read", hint=hint)


def _not_regular(path: str) -> InputError:
    return InputError(f"{path!r} is not a regular file", hint="a pipe can be read from stdin, as -")
