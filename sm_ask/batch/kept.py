"""What an output holds already, and which of its rows stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sm_ask.batch import record
from sm_ask.batch.index import Index
from sm_ask.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sm_ask.batch.journal import Journal, Snapshot
    from sm_ask.batch.record import Written
    from sm_ask.batch.rows import Row
    from sm_ask.envelope import Asked

#: What became of a row, in the lowest bits of its number; its key stands above them.
_ANSWERED, _RETRYABLE, _FAILED, _CHARGED = 1, 2, 4, 8
#: It was asked under other settings than this run's; the input has it; it is to be asked again.
_OTHER_RUN, _IN_INPUT, _AGAIN = 16, 32, 64
_BITS = 8


class Retry(NamedTuple):
    """Which rows are asked again, besides those whose failures may pass and were not paid for.

    ``failed`` are all that were not paid for, ``charged`` those that may have been; ``force`` takes a row that was
    changed since it was answered for a new one, and lets answers under other settings stand.
    """

    failed: bool = False
    charged: bool = False
    force: bool = False


class Kept:
    """The rows of an output, in sixteen bytes each, and what this run makes of them."""

    def __init__(self, run: str, retry: Retry) -> None:
        """Begin with none; ``run`` is the fingerprint of this run's settings."""
        self.answered = self.failed = self.again = 0
        #: The line of the input whose answer is another question's, and a row that was asked under other settings.
        self.changed: int | None = None
        self.other: bytes | None = None
        self._run = run
        self._retry = retry
        self._index = Index()

    def load(self, journal: Journal | Snapshot, tell: Callable[[str], None]) -> None:
        """Read an output, and put its end right; UsageError for a file that is none, OutputError for a broken one."""
        size = 0
        for number, data in enumerate(journal.lines(), 1):
            written = record.read(data)
            if not data.endswith(b"\n"):
                _mend(journal, data, written, tell, at=(number, size))
            elif written is None:
                raise _not_ours(journal.path, number)
            if written is not None:
                self._add(written, data)
            size += len(data)
        self._index.seal()
        if next(self._index.twins(), None):
            raise OutputError(f"{journal.path!r} has two rows of one id", hint="something else has written to it")

    def _add(self, written: Written, data: bytes) -> None:
        state = _ANSWERED
        if written.failed:
            state = _CHARGED if written.charged else _RETRYABLE if written.retryable else _FAILED
        if written.run != self._run:
            state |= _OTHER_RUN
            if not written.failed and self.other is None:
                self.other = data
        self._index.add(written.id, int(written.key, 16) << _BITS | state)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._index)

    def judge(self, row: Row) -> bool:
        """Take a row of the input, and tell whether it is to be asked; what it is asked again for is noted."""
        number = self._index.find(row.id)
        if number is None:
            return True
        again = self._again(row, number)
        self.again += again
        self.answered += not again and bool(number & _ANSWERED)
        self.failed += not again and not number & _ANSWERED
        self._index.change(row.id, number | _IN_INPUT | (_AGAIN if again else 0))
        return again

    def _again(self, row: Row, number: int) -> bool:
        changed = number >> _BITS != int(row.key, 16)
        if number & _ANSWERED:
            if changed and self.changed is None:
                self.changed = row.number
            return changed and self._retry.force
        if number & _CHARGED:
            return changed or self._retry.charged
        return changed or bool(number & (_OTHER_RUN | _RETRYABLE)) or self._retry.failed

    @property
    def foreign(self) -> int:
        """Count the rows that the input does not have; all of the input has to be judged."""
        return len(self) - self.answered - self.failed - self.again

    def refuse_mixture(self, name: str, asked: Asked) -> None:
        """Raise InputError where an answer would stand under a question that is not its own, unless that is forced."""
        if self._retry.force:
            return
        if self.changed is not None:
            hint = "--force asks such rows again; or name another output"
            raise InputError(f"{name}:{self.changed}: the row was changed after it was answered", hint=hint)
        if self.other is not None:
            hint = "--force lets its answers stand and goes on; or name another output"
            raise InputError(f"the output was made with {record.difference(self.other, asked)}", hint=hint)

    def wants(self, row: Row) -> bool:
        """Tell whether a row is to be asked, once all are judged."""
        number = self._index.find(row.id)
        return number is None or bool(number & _AGAIN)

    def staying(self, journal: Journal) -> Iterator[bytes]:
        """Yield the rows of an output that are not asked again."""
        for data in journal.lines():
            if not (self._index.find(record.id_of(data)) or 0) & _AGAIN:
                yield data


def _mend(
    journal: Journal | Snapshot,
    data: bytes,
    written: Written | None,
    tell: Callable[[str], None],
    *,
    at: tuple[int, int],
) -> None:
    """Complete a last line that lacks its end, or take it away; ``at`` is its number and its place."""
    number, place = at
    if written is not None:
        journal.append([b"\n"])
    elif record.is_torn(data) or not data.strip(b"\0"):
        # After a loss of power, zeros may stand where a row was to be.
        journal.cut(place)
        tell("the output's last row was cut short and is taken away; its question is asked again")
    else:
        raise _not_ours(journal.path, number)


def _not_ours(path: str, number: int) -> OutputError | UsageError:
    if number == 1:
        return UsageError(f"{path!r} exists, and is no output of a batch", hint="name another one with --output")
    hint = "nothing was changed; repair or remove the line, or name another output"
    return OutputError(f"{path}:{number}: the line is no row of a batch", hint=hint)
