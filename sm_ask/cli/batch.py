"""`sm-ask batch`: many questions, each answer kept."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import stat
import sys
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from sm_ask import qa
from sm_ask.batch.job import Job, Manner
from sm_ask.batch.journal import Journal, Snapshot
from sm_ask.batch.kept import Retry
from sm_ask.batch.pace import Pace
from sm_ask.batch.rows import Form
from sm_ask.batch.source import STDIN, Format, Source
from sm_ask.batch.stream import Stream
from sm_ask.cli.app import Signalled
from sm_ask.cli.connection import connect, settle
from sm_ask.cli.options import (
    CallOptions,
    ContextWindow,
    MaxTokens,
    Parameter,
    Stop,
    System,
    Temperature,
    Tokenizer,
    expanded,
    parameters,
)
from sm_ask.cli.question import argument, preview, said
from sm_ask.cli.stages import Stages
from sm_ask.errors import RowsFailedError, SmAskError, UsageError
from sm_ask.handlers.params import DEFAULT_MAX_TOKENS
from sm_ask.render import batch as shown
from sm_ask.render import output
from sm_ask.render.output import Output

if TYPE_CHECKING:
    from sm_ask.connection import Setup

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: Rows wait for each other rather than fail: what is throttled is tried longer than a single question.
_RETRIES = 9
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|m|h))?")
_PER = {None: 1, "s": 1, "m": 60, "h": 3600}


def _rate(text: str) -> float:
    found = _RATE.fullmatch(text.strip())
    if not found or float(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no rate; one looks like 5/s or 100/m")
    return float(found[1]) / _PER[found[2]]


class BatchOptions(NamedTuple):
    """Which rows to ask, how fast, and where the answers go."""

    output: Annotated[
        str | None, typer.Option("--output", "-O", help="The output, which is continued; - is stdout.")
    ] = None
    concurrency: Annotated[int, typer.Option(min=1, max=512, help="How many rows are asked at once.")] = 8
    rate: Annotated[
        float | None, typer.Option(parser=_rate, metavar="N/s", help="The most requests in a second, or 100/m.")
    ] = None
    limit: Annotated[int | None, typer.Option(min=1, help="Look at the first rows alone.")] = None
    input_format: Annotated[
        Format | None, typer.Option(help="What the input is.  [by its name, or its first line]")
    ] = None
    prompt_template: Annotated[
        str | None, typer.Option(help="The prompt, with a row's fields: 'Classify: {text}'.")
    ] = None
    docs_root: Annotated[str | None, typer.Option(metavar="DIR", help="The folder that rows' docs are below.")] = None
    chain: Annotated[qa.Chain, typer.Option(help="How rows' docs are read.")] = "auto"
    cite: Annotated[bool, typer.Option("--cite", help="Have answers name their passages, and check them.")] = False
    strict: Annotated[bool, typer.Option("--strict", help="A row fails whose docs do not hold the answer.")] = False
    context_window: ContextWindow = None
    tokenizer: Tokenizer = None
    ordered: Annotated[bool, typer.Option("--ordered", help="Rows in the order of the input.")] = False
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Write rows that cannot be asked as failed.")] = False
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask all failed rows again that were not paid for.")
    ] = False
    retry_timeouts: Annotated[
        bool, typer.Option("--retry-timeouts", help="Ask failed rows again that may have been paid for.")
    ] = False
    force: Annotated[
        bool, typer.Option("--force", help="Go on with other settings, and ask rows again that were changed.")
    ] = False
    follow: Annotated[bool, typer.Option("--follow", help="Let the output be a symbolic link.")] = False
    stream: Annotated[bool, typer.Option(help="Let answers come in pieces, as they are safer from time limits.")] = True
    system: System = None
    option: Parameter = []
    max_tokens: MaxTokens = None
    temperature: Temperature = None
    stop: Stop = []
    progress: Annotated[
        bool, typer.Option("--progress", help="Tell of the progress every 30 s where stderr is no terminal.")
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one line of JSON, on stdout.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what there is to ask, and ask nothing.")] = False

    @property
    def manner(self) -> Manner:
        """How the batch is done."""
        retry = Retry(failed=self.retry_failed, charged=self.retry_timeouts, force=self.force)
        grounding = qa.Settings(
            chain=self.chain,
            cite=self.cite,
            strict=self.strict,
            context_window=self.context_window,
            tokenizer=self.tokenizer,
            workers=self.concurrency,
        )
        return Manner(self.ordered, self.skip_bad, self.limit, retry, self.docs_root, grounding)

    def form(self, setup: Setup) -> Form:
        """Give what makes questions of rows."""
        given = parameters(self.option, self.max_tokens, self.temperature, self.stop)
        params, system = said(setup.settings, given, self.system)
        template = None if self.prompt_template is None else argument(self.prompt_template, "the template")
        return Form(template=template, system=system, params=params, stream=self.stream)


@app.command(name="batch")
@expanded
def batch(
    options: BatchOptions,
    call: CallOptions,
    rows: Annotated[str, typer.Argument(metavar="INPUT", help="JSON Lines, CSV or plain lines, or .gz; - is stdin.")],
) -> None:
    """Ask many questions, and keep each answer.

    A row is on the disk before it counts. The same command again goes on where it stopped; what was answered is not
    asked twice.
    """
    settled = settle(call)
    retries = _RETRIES if settled.settings.retries is None else settled.settings.retries
    # One after the other, too, they are many: the endpoint is opened for more than one question.
    connections = max(options.concurrency, 2)
    setup = settled._replace(settings=settled.settings._replace(retries=retries), connections=connections)
    form = options.form(setup)
    _check_output(rows, options)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(Source(rows, options.input_format)))
        if rows == STDIN and sys.stdin.isatty():
            output.note("reading from the terminal; end with Ctrl-D")
        sink = None if options.dry_run else stack.enter_context(contextlib.closing(_sink(options)))
        connection = stack.enter_context(connect(setup, debug=call.debug, dry_run=options.dry_run))
        job = Job(source, form, connection, options.manner, setup)
        if sink is None:
            _foretell(job, form, options)
        else:
            _work(job, sink, options)


def _check_output(rows: str, options: BatchOptions) -> None:
    if options.as_json or options.dry_run:
        # It raises OutputError where stdout is closed, before anything is paid for.
        Output()
    if options.output is None:
        if not options.dry_run:
            raise UsageError("there is no output", hint="name one with -O FILE, or -O - for stdout")
        return
    with contextlib.suppress(OSError):
        if STDIN not in (rows, options.output) and os.path.samefile(rows, options.output):
            raise UsageError("the output is the input", hint="name another output")
    if options.output == STDIN and options.as_json and not options.dry_run:
        raise UsageError("stdout takes the rows or the summary, not both", hint="name a file with --output")


def _sink(options: BatchOptions) -> Journal | Stream:
    """Open the output: a file, which is a journal, or something that rows just go into."""
    path = str(options.output)
    if path == STDIN:
        return Stream(None)
    return Stream(path) if _is_device(path) else Journal(path, follow=options.follow)


def _is_device(path: str) -> bool:
    try:
        kind = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def _work(job: Job, sink: Journal | Stream, options: BatchOptions) -> None:
    """Do the batch, show its progress and its end; raises what its exit code is made of."""
    job.prepare(sink if isinstance(sink, Journal) else None, output.note)
    pace = Pace(options.concurrency, options.rate)
    with Stages(pace) as stages:
        watch = _Watch(job, pace, stages, shown.Progress(wanted=options.progress))
        try:
            error = job.run(sink, pace, watch.look)
        finally:
            watch.over()
            _sum_up(job, options)
    _end(job, stages, error)


class _Watch:
    """Looks at the signals, and shows the progress."""

    def __init__(self, job: Job, pace: Pace, stages: Stages, progress: shown.Progress) -> None:
        self._job = job
        self._pace = pace
        self._stages = stages
        self._progress = progress
        self._told = False

    def look(self) -> bool:
        if self._stages.number is not None and not self._told:
            self._told = True
            self._progress.over()
            left = "" if self._stages.number == signal.SIGINT else ", for 10 s at most"
            output.note(f"ending: {self._pace.under_way:,} rows under way are waited for{left}; Ctrl-C ends it at once")
        self._progress.show(self._job.tally.facts, self._pace.under_way)
        return not self._stages.over

    def over(self) -> None:
        self._progress.over()


def _sum_up(job: Job, options: BatchOptions) -> None:
    facts = job.tally.facts()
    if options.as_json:
        Output().json(facts)
    else:
        shown.show_summary(facts)


def _end(job: Job, stages: Stages, error: SmAskError | None) -> None:
    """Raise what the run ended with, if it was not the end of the rows with an answer to each."""
    tally = job.tally
    if stages.number == signal.SIGINT:
        raise KeyboardInterrupt
    if stages.number is not None:
        raise Signalled(stages.number)
    if error is not None:
        error.message += f"; {tally.done:,} rows are done, {tally.rows - tally.done:,} are not asked yet"
        error.hint = f"{error.hint}; " if error.hint else ""
        error.hint += "then the same command goes on"
        raise error
    if failed := tally.failed + tally.failed_before:
        hint = (
            "each has its error; the same command tries again what may pass, --retry-failed all that was not paid for"
        )
        raise RowsFailedError(f"{failed:,} of {tally.rows:,} rows failed", hint=hint)


def _foretell(job: Job, form: Form, options: BatchOptions) -> None:
    """Say what there is to do."""
    path = options.output
    journal = Snapshot(path) if path and path != STDIN and not _is_device(path) else None
    job.prepare(journal, output.note)
    plan, first = job.plan, job.first()
    limit = form.params.get("max_tokens", DEFAULT_MAX_TOKENS)
    facts = {
        "rows": plan.rows,
        "calls": plan.pending - plan.faulty,
        "answered": job.tally.before,
        "failed": job.tally.failed_before,
        "faulty": plan.faulty,
        "input_tokens": -(-plan.characters // 4),
        "rows_with_docs": plan.grounded,
        "output_tokens_at_most": limit * (plan.pending - plan.faulty) if isinstance(limit, int) else None,
    }
    sketch = preview(job.connection.fitted(first), job.connection) if first else None
    shown.show_plan(facts, sketch, Output(), as_json=options.as_json)
