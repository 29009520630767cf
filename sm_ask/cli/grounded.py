"""Questions about documents, asked one after the other, and what is shown of their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sm_ask import qa
from sm_ask.envelope import envelope
from sm_ask.errors import (
    ConfigError,
    CredentialsError,
    NetworkError,
    OutputError,
    RefusedError,
    RowsFailedError,
    SmAskError,
    UsageError,
)
from sm_ask.qa import unmarked
from sm_ask.render import answer as render
from sm_ask.render import output, sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_ask.chat import Answer, Request
    from sm_ask.cli.question import Desk
    from sm_ask.envelope import Asked

#: What the next question would meet as well.
_SHARED = (UsageError, ConfigError, CredentialsError, RefusedError, NetworkError, OutputError)


class Session(NamedTuple):
    """An open endpoint, documents, and how they are asked about."""

    desk: Desk
    documents: qa.Library
    settings: qa.Settings

    def put(self, questions: Sequence[str], *, several: bool) -> None:
        """Ask the questions, or show what asking them would take; RowsFailedError where only some are answered."""
        failures: list[SmAskError] = []
        for number, question in enumerate(questions):
            if not several:
                self._one(question)
                return
            self._heading(question, first=number == 0)
            try:
                self._one(question, named=True)
            except SmAskError as error:
                if isinstance(error, _SHARED):
                    raise
                failures.append(error)
                output.note(f"{question!r}: {error.message}")
        if failures and len(failures) == len(questions) and len({error.code for error in failures}) == 1:
            raise failures[0]
        if failures:
            raise RowsFailedError(f"{len(failures)} of {len(questions)} questions have no answer")

    def _heading(self, question: str, *, first: bool) -> None:
        """Put the question above its answer, where answers are read one after the other."""
        if not self.desk.options.as_json and not self.desk.options.dry_run:
            self.desk.out.text(f"# {question}\n\n" if first else f"\n# {question}\n\n")

    def _one(self, question: str, *, named: bool = False) -> None:
        if self.desk.options.dry_run:
            self._plan(question)
            return
        shown: list[Answer] = []

        def asked() -> Asked:
            return self.desk.connection.asked()._replace(question=question if named else None)

        def show(request: Request) -> Answer:
            events = unmarked.events(self.desk.events(request), request)
            shown.append(render.follow(events, self.desk.out, self.desk.style, asked))
            return shown[0]

        # What is to be checked cannot be shown before.
        checked = self.settings.cite or self.settings.strict
        asker = qa.Asker(self.desk.connection.answer, None if checked else show, output.note, _progress)
        try:
            found = qa.answer(question, self.documents, self.settings, asker)
        except SmAskError as error:
            _progress("", 0, 0)
            if named and self.desk.options.as_json and not isinstance(error, _SHARED):
                self.desk.out.json(envelope(None, None, asked(), error))
            raise
        if not shown:
            render.whole(found.answer, self.desk.out, self.desk.style)
        self._conclude(found, asked()._replace(sources=found.sources))

    def _conclude(self, found: qa.Grounded, asked: Asked) -> None:
        for fault in found.faults:
            output.note(fault)
        if self.settings.cite or found.chain != "stuff":
            sources.show(found.sources)
        render.conclude(found.answer, self.desk.out, self.desk.style, asked)

    def _plan(self, question: str) -> None:
        found = qa.plan(question, self.documents, self.settings)
        calls = [
            {
                "step": call.step,
                "tokens": call.tokens,
                "passages": [sources.place(passage.source()) for passage in call.passages],
            }
            for call in found.calls
        ]
        self.desk.sketch(found.requests[0], {"chain": found.chain, "calls": calls})


def _progress(step: str, done: int, calls: int) -> None:
    if output.is_watched():
        output.countdown(f"{step}: {done} of {calls} parts" if done < calls else "")
