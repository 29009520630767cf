"""The input, looked through before anything is asked: is all of it good, and how much of it is to be asked?"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from sm_ask.batch.index import Index
from sm_ask.batch.rows import faulty
from sm_ask.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sm_ask.batch.kept import Kept
    from sm_ask.batch.rows import Form, Row
    from sm_ask.batch.shelf import Shelf
    from sm_ask.batch.source import Record, Source
    from sm_ask.chat import Request


class Plan(NamedTuple):
    """What there is to do; rows that cannot be asked are among the pending ones, as they are written as failed."""

    rows: int = 0
    pending: int = 0
    faulty: int = 0
    #: Of the questions that are to be asked.
    characters: int = 0
    #: Those among them with documents, of which more is read than these.
    grounded: int = 0
    first: Row | None = None


class Rows:
    """The rows of an input, the same ones each time they are looked through.

    ``check`` raises InputError or UsageError for a question that no endpoint would take; the shelf has the documents.
    ``skip_bad`` makes of what cannot be asked a row that says why; without it InputError is raised, when all are seen.
    """

    def __init__(
        self,
        source: Source,
        form: Form,
        shelf: Shelf,
        check: Callable[[Request], None],
        *,
        skip_bad: bool = False,
        limit: int | None = None,
    ) -> None:
        """Take the input, what makes questions of it, and how many rows of it count."""
        self._source = source
        self._form = form
        self._shelf = shelf
        self._check = check
        self._skip_bad = skip_bad
        self._limit = limit
        self._checked = False

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows."""
        first: InputError | None = None
        others = 0
        for record in itertools.islice(self._source.records(), self._limit):
            row = self._row(record)
            if row.fault is None or self._skip_bad:
                yield row
            elif first is None:
                first = InputError(f"{self._source.name}:{row.number}: {row.fault.message}", hint=row.fault.hint)
            else:
                others += 1
        if first is not None:
            first.message += f" (and {others:,} more cannot be asked)" if others else ""
            first.hint = f"{first.hint}; " if first.hint else ""
            first.hint += "--skip-bad asks the others, and writes such rows as failed"
            raise first
        # What was good once needs no second look, but for those that are skipped.
        self._checked = True

    def _row(self, record: Record) -> Row:
        try:
            if record.fault is not None:
                raise record.fault
            row = self._shelf.keyed(self._form.row(record.fields or {}, record.number))
            if not self._checked or self._skip_bad:
                self._check(row.request)
        except (InputError, UsageError) as error:
            fault = error if isinstance(error, InputError) else InputError(error.message, hint=error.hint)
            return faulty(record.fields, record.number, fault)
        return row


def survey(rows: Rows, kept: Kept, name: str) -> Plan:
    """Look through the input; InputError where it cannot be asked. Sixteen bytes of each row are kept meanwhile."""
    seen = Index()
    count = pending = bad = characters = grounded = 0
    first = None
    for row in rows:
        count += 1
        seen.add(row.id, row.number)
        bad += row.fault is not None
        if kept.judge(row):
            pending += 1
            characters += sum(len(message.content) for message in row.messages)
            grounded += bool(row.docs)
            first = first or (row if row.fault is None else None)
    seen.seal()
    if twins := min(seen.twins(), default=None):
        hint = "each row needs an id of its own; a row without one has its line's number"
        raise InputError(f"{name}: lines {twins[0]} and {twins[1]} have the same id", hint=hint)
    if not count:
        raise InputError(f"{name} has no rows")
    return Plan(count, pending, bad, characters, grounded, first)
