"""`sm-ask qa`: answers grounded in documents."""

from __future__ import annotations

import functools
import os
from typing import Annotated, Any, NamedTuple

import typer

from sm_ask import connection, qa
from sm_ask.cli.connection import settle
from sm_ask.cli.grounded import Session
from sm_ask.cli.options import CallOptions, ContextWindow, QuestionOptions, Tokenizer, expanded
from sm_ask.cli.question import Desk, instruction, opened
from sm_ask.cli.reading import Reader, ReadingOptions
from sm_ask.cli.stdin import Stdin
from sm_ask.errors import InputError, UsageError
from sm_ask.render import output

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class GroundingOptions(NamedTuple):
    """How the documents are read and put to the model."""

    chain: Annotated[qa.Chain, typer.Option(help="How the documents are read.")] = "auto"
    passages: Annotated[int, typer.Option(min=1, help="How many passages the chain `retrieve` reads.")] = 8
    workers: Annotated[int, typer.Option(min=1, max=256, help="How many calls are under way at once.")] = 8
    cite: Annotated[bool, typer.Option("--cite", help="Have the answer name its passages, and check them.")] = False
    strict: Annotated[bool, typer.Option("--strict", help="No answer but from the documents: else exit 16.")] = False
    template: Annotated[
        list[str],
        typer.Option(
            help="A file with {context} and {question} in the prompt's place; for one step: STEP=FILE; repeatable.",
            metavar="FILE",
        ),
    ] = []
    context_window: ContextWindow = None
    tokenizer: Tokenizer = None


@app.command(name="qa")
@expanded
def answer(
    options: QuestionOptions,
    call: CallOptions,
    reading: ReadingOptions,
    grounding: GroundingOptions,
    question: Annotated[str | None, typer.Argument(help="What to ask; - is stdin.", show_default=False)] = None,
    questions: Annotated[
        str | None, typer.Option(help="A file with a question on each line; - is stdin.", metavar="FILE")
    ] = None,
) -> None:
    """Ask a question about documents.

    The answer is to come from the documents alone; what is piped in is a document, too.
    """
    _refuse_mixtures(question, questions, options, grounding)
    stdin = Stdin(os.environ, allowed=not reading.no_stdin)
    named = [("the question", question), ("--questions", questions), *(("--doc", path) for path in reading.doc)]
    templates = [_for_step(template) for template in grounding.template]
    stdin.claim(*named, *(("--template", path) for _, path in templates))
    asked = [instruction(question, "the question", stdin).removesuffix("\n")] if question is not None else []
    setup = settle(call)
    reader = Reader(reading, stdin, functools.cache(lambda: connection.storage(setup, tell=output.note)))
    library = qa.Library(reader.documents())
    if questions is not None:
        asked = _lines(stdin.document(questions, None).text, questions)
    prompts = _prompts(templates, stdin)
    library.read()
    with opened(setup._replace(connections=grounding.workers), call, options) as desk:
        settings = _settings(desk, grounding, prompts)
        Session(desk, library, settings).put(asked, several=questions is not None)


def _refuse_mixtures(
    question: str | None, questions: str | None, options: QuestionOptions, grounding: GroundingOptions
) -> None:
    if question is None and questions is None:
        raise UsageError("there is no question", hint='sm-ask qa "What is …?", or a file of them with --questions')
    if question is not None and questions is not None:
        raise UsageError("there is a question beside --questions", hint="leave one of them out")
    if options.raw and (grounding.cite or grounding.strict or questions):
        raise UsageError("--raw gives the container's own bytes, which nothing can be checked in or added to")


def _settings(desk: Desk, grounding: GroundingOptions, prompts: qa.Prompts) -> qa.Settings:
    known = desk.connection
    return qa.Settings(
        chain=grounding.chain,
        prompts=prompts,
        system=desk.system,
        params=desk.params,
        stream=desk.options.stream,
        cite=grounding.cite,
        strict=grounding.strict,
        context_window=grounding.context_window or known.context_window,
        tokenizer=grounding.tokenizer or known.settings.tokenizer,
        workers=grounding.workers,
        passages=grounding.passages,
    )


def _lines(text: str, name: str) -> list[str]:
    """Give the questions of a file, one a line; empty lines are none."""
    found = [line.strip() for line in text.split("\n") if line.strip()]
    if not found:
        raise InputError(f"{name!r} holds no question")
    return found


def _for_step(named: str) -> tuple[tuple[str, ...], str]:
    """Take a template's option apart: one with a step's name is for that step, another for those that read passages."""
    step, equals, path = named.partition("=")
    return ((step,), path) if equals and step in qa.Prompts._fields else (("answer", "map", "rate"), named)


def _prompts(templates: list[tuple[tuple[str, ...], str]], stdin: Stdin) -> qa.Prompts:
    own: dict[str, Any] = {}
    for steps, path in templates:
        own |= dict.fromkeys(steps, qa.template(stdin.document(path, None).text))
    return qa.Prompts(**own)
