"""A batch from its input to its output: looked through, continued where it stopped, asked, and put in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sm_ask import profiles, qa
from sm_ask.batch.drive import Book, drive
from sm_ask.batch.journal import Journal
from sm_ask.batch.kept import Kept, Retry
from sm_ask.batch.order import InOrder, arrange
from sm_ask.batch.plan import Plan, Rows, survey
from sm_ask.batch.record import fingerprint
from sm_ask.batch.run import Asker
from sm_ask.batch.shelf import Shelf
from sm_ask.batch.tally import Tally
from sm_ask.chat import Message, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_ask.batch.drive import Sink
    from sm_ask.batch.journal import Snapshot
    from sm_ask.batch.pace import Pace
    from sm_ask.batch.rows import Form
    from sm_ask.batch.source import Source
    from sm_ask.connection import Connection, Setup
    from sm_ask.errors import SmAskError


class Manner(NamedTuple):
    """How a batch is done."""

    ordered: bool = False
    skip_bad: bool = False
    limit: int | None = None
    retry: Retry = Retry()
    #: The folder that the documents of rows are below.
    docs_root: str | None = None
    #: How they are read and put to the model.
    grounding: qa.Settings = qa.Settings()


class Job:
    """One batch; ``prepare`` it, then ``run`` it."""

    def __init__(self, source: Source, form: Form, connection: Connection, manner: Manner, setup: Setup) -> None:
        """Take the input, what makes questions of it, and the endpoint, opened as ``setup`` says."""
        self.name = source.name
        self.connection = connection
        self.plan = Plan()
        self._form = form
        self._manner = manner
        grounding = manner.grounding
        if manner.docs_root is not None:
            grounding = grounding._replace(
                context_window=grounding.context_window or connection.context_window,
                tokenizer=grounding.tokenizer or connection.settings.tokenizer,
            )
        self._run = fingerprint([*_settings(setup, connection, form), *_how(manner)])
        self._shelf = Shelf(manner.docs_root, grounding)
        self._rows = Rows(source, form, self._shelf, connection.check, skip_bad=manner.skip_bad, limit=manner.limit)
        self._kept = Kept(self._run, manner.retry)
        self.tally = Tally(0)

    def prepare(self, journal: Journal | Snapshot | None, tell: Callable[[str], None]) -> None:
        """Look through the output, if there is one, and the input; raises SmAskError before anything is asked."""
        kept = self._kept
        # What no row could have is no row's fault.
        self.connection.check(Request((Message("user", "?"),), self._form.params, self._form.stream))
        if journal is not None:
            kept.load(journal, tell)
        self.plan = survey(self._rows, kept, self.name)
        kept.refuse_mixture(self.name, self.connection.asked())
        if kept.foreign:
            tell(f"the output has {kept.foreign:,} rows that {self.name} does not have; they stay as they are")
        self.tally = Tally(self.plan.rows, before=kept.answered, failed_before=kept.failed)

    def first(self) -> Request | None:
        """Give the first request that would be sent."""
        return self._shelf.first(self.plan.first) if self.plan.first else None

    def run(self, sink: Sink, pace: Pace, watch: Callable[[], bool]) -> SmAskError | None:
        """Ask what is to be asked, and write what becomes of it.

        Gives the failure that every row would share, if one has ended the run.
        """
        journal = sink if isinstance(sink, Journal) else None
        if journal is not None and self._kept.again:
            journal.replace(self._kept.staying(journal))
        pending = filter(self._kept.wants, self._rows) if len(self._kept) else self._rows
        book = Book(sink, self.connection.asked, self._run, self.tally)
        order = InOrder() if self._manner.ordered and journal is None else None
        error = drive(pending, Asker(self.connection, pace, self._shelf).ask, pace, book, watch, order=order)
        if self._manner.ordered and journal is not None and self.tally.done == self.plan.rows:
            arrange(journal, self._rows)
        return error


def _how(manner: Manner) -> list[object]:
    """Give what answers from documents hang on."""
    asked = manner.grounding
    given: list[object] = [asked.chain, asked.cite, asked.strict, asked.context_window, asked.tokenizer, asked.passages]
    return given if manner.docs_root is not None else []


def _settings(setup: Setup, connection: Connection, form: Form) -> list[object]:
    """Give what the answers of a run hang on, besides the rows."""
    own = setup.settings
    on_this_machine = own.name == profiles.LOCAL and own.endpoint_url is None
    return [
        connection.settings.endpoint,
        connection.region,
        None if on_this_machine else connection.runtime.client.meta.endpoint_url,
        [own.inference_component, own.target_variant, own.target_model, own.target_container],
        [own.custom_attributes, own.session_id],
        own.handler,
        setup.declared.get(own.handler or ""),
        [form.template, form.system, dict(form.params)],
    ]
