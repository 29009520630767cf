"""What `--doc` names → documents: files, folders, stdin, and objects in S3."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from sm_ask import documents
from sm_ask.documents import STDIN, Document
from sm_ask.errors import ConfigError, InputError, SmAskError, UsageError
from sm_ask.render import output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sm_ask.aws.s3 import Objects
    from sm_ask.cli.stdin import Stdin

_S3 = "s3://"
_EVERY = 50


class ReadingOptions(NamedTuple):
    """Which documents to read."""

    doc: Annotated[
        list[str],
        typer.Option(
            "--doc",
            "-d",
            help="A file, pattern, folder or s3://bucket/key; - is stdin; repeatable.",
            metavar="PATH",
        ),
    ] = []
    glob: Annotated[
        list[str],
        typer.Option(help="Of folders, only such files: '*.md', '!drafts/**'; repeatable.", metavar="PATTERN"),
    ] = []
    encoding: Annotated[str | None, typer.Option(help="The documents' encoding, if not UTF-8.")] = None
    no_stdin: Annotated[bool, typer.Option("--no-stdin", help="Do not look at stdin.")] = False


class Reader:
    """Reads what is named, and in folders leaves out what is no document."""

    def __init__(self, options: ReadingOptions, stdin: Stdin, storage: Callable[[], Objects]) -> None:
        """Take the options, stdin, and what opens S3 where that is named."""
        self._options = options
        self._stdin = stdin
        self._storage = storage
        self._read = 0
        self._left_out: list[SmAskError] = []

    def documents(self) -> Iterable[Document]:
        """Give the documents, stdin first where it is piped and not named; UsageError where nothing is named."""
        piped = self._stdin.offered(needed=False)
        if piped is None and not self._options.doc:
            raise UsageError("there is no document", hint="name one with --doc, or pipe it in")
        return self._documents(piped)

    def _documents(self, piped: bytes | None) -> Iterator[Document]:
        if piped is not None:
            yield from documents.parse(piped, "stdin", self._options.encoding)
        for pattern in self._options.doc:
            yield from self._named(pattern)
        if output.is_watched() and self._read >= _EVERY:
            output.countdown("")
        if self._left_out:
            first = self._left_out[0].message
            output.note(f"{len(self._left_out)} of {self._read} files in folders are left out, such as: {first}")

    def _named(self, pattern: str) -> Iterator[Document]:
        if pattern == STDIN:
            yield from documents.parse(self._stdin.read(), "stdin", self._options.encoding)
        elif pattern.startswith(_S3):
            yield from self._stored(pattern)
        elif os.path.isdir(pattern):
            yield from self._folder(pattern)
        else:
            for path in documents.find([pattern]):
                yield from documents.read(path, self._options.encoding)

    def _folder(self, folder: str) -> Iterator[Document]:
        # A file that is named needs no rules.
        from sm_ask.documents.folders import Globs, walk

        paths = list(walk(folder, Globs(self._options.glob), output.note))
        if not paths:
            hint = "what is hidden, and what .gitignore and --glob leave out, is not read"
            raise InputError(f"there is no file to read in {folder!r}", hint=hint)
        for path in paths:
            yield from self._tolerated(functools.partial(documents.read, path, self._options.encoding))

    def _stored(self, url: str) -> Iterator[Document]:
        # What lies on this machine needs no S3.
        from sm_ask.aws import s3
        from sm_ask.documents.folders import Globs

        objects, globs, where = self._storage(), Globs(self._options.glob), s3.place(url)
        found = objects.find(where)

        def fetched(place: s3.Place) -> Iterator[Document]:
            return documents.parse(objects.read(place, documents.LARGEST), place.url, self._options.encoding)

        if found == [where]:
            yield from fetched(where)
            return
        for place in found:
            if globs.take(place.key.removeprefix(where.key).lstrip("/")):
                yield from self._tolerated(functools.partial(fetched, place))

    def _tolerated(self, read: Callable[[], Iterator[Document]]) -> Iterator[Document]:
        """Read one of many files that nobody named; what is no document is counted, and told of at the end."""
        self._read += 1
        if output.is_watched() and self._read % _EVERY == 0:
            output.countdown(f"reading: {self._read:,} files")
        try:
            yield from read()
        except (InputError, ConfigError) as error:
            self._left_out.append(error)
