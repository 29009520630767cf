"""A folder → the files in it that are worth reading."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sm_ask.documents import ignore
from sm_ask.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sm_ask.documents.ignore import Rule

    #: The rules of one .gitignore, and how many characters of a path its folder takes.
    Sheet = tuple[int, list[Rule]]


class Globs:
    """Patterns that files of a folder must match, as in a .gitignore: the last one that matches decides."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Take the patterns; one that begins with ``!`` leaves files out."""
        self._rules = ignore.rules(patterns)
        self._default = all(rule.negated for rule in self._rules)

    def take(self, path: str) -> bool:
        """Tell whether a file is wanted; its path counts from the folder."""
        said = ignore.verdict(self._rules, path, folder=False)
        return self._default if said is None else said


def walk(folder: str, globs: Globs, tell: Callable[[str], None]) -> Iterator[str]:
    """Yield the folder's files and those of the folders in it, sorted, but for links, hidden ones and ignored ones.

    Ignored is what the .gitignore files say, those above the folder in the same repository among them.
    """
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise InputError(f"{folder!r} cannot be read: {error.strerror}") from error
    start = os.path.join(folder, "")
    for path in _files(folder, os.path.abspath(folder), _above(os.path.abspath(folder)), tell):
        if globs.take(path.removeprefix(start).replace(os.sep, "/")):
            yield path


def _files(folder: str, absolute: str, sheets: list[Sheet], tell: Callable[[str], None]) -> Iterator[str]:
    sheets = [*sheets, *_sheet(absolute)]
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        tell(f"{folder!r} is left out: {error.strerror}")
        return
    for entry in found:
        is_folder = entry.is_dir(follow_symlinks=False)
        path = os.path.join(absolute, entry.name)
        if entry.name.startswith(".") or _ignored(path, sheets, folder=is_folder):
            continue
        if is_folder:
            yield from _files(entry.path, path, sheets, tell)
        elif entry.is_file(follow_symlinks=False):
            yield entry.path


def _above(folder: str) -> list[Sheet]:
    """Give the rules of the folders above, the topmost first, if one of them holds a repository."""
    folders = []
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return []
        folder = above
        folders.append(folder)
    return [sheet for each in reversed(folders) for sheet in _sheet(each)]


def _sheet(folder: str) -> list[Sheet]:
    """Read a folder's own rules."""
    try:
        with open(os.path.join(folder, ".gitignore"), encoding="utf-8", errors="surrogateescape") as file:
            return [(len(os.path.join(folder, "")), ignore.rules(file))]
    except OSError:
        return []


def _ignored(path: str, sheets: list[Sheet], *, folder: bool) -> bool:
    said = None
    for length, rules in sheets:
        verdict = ignore.verdict(rules, path[length:].replace(os.sep, "/"), folder=folder)
        said = said if verdict is None else verdict
    return bool(said)
