"""`sm-ask qa`: an answer grounded in documents."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from sm_ask import documents, qa
from sm_ask.chat import Request
from sm_ask.cli.options import CallOptions, QuestionOptions, expanded
from sm_ask.cli.question import Desk, instruction, opened
from sm_ask.cli.stdin import Stdin
from sm_ask.documents import Document
from sm_ask.errors import UsageError
from sm_ask.render import answer as render

if TYPE_CHECKING:
    from sm_ask.chat import Answer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(name="qa")
@expanded
def answer(
    options: QuestionOptions,
    call: CallOptions,
    question: Annotated[str, typer.Argument(help="What to ask; - is stdin.", show_default=False)],
    doc: Annotated[
        list[str], typer.Option("--doc", "-d", help="A text file or a pattern; - is stdin; repeatable.")
    ] = [],
    template: Annotated[str | None, typer.Option(help="A file with {context} and {question}.")] = None,
    encoding: Annotated[str | None, typer.Option(help="The documents' encoding, if not UTF-8.")] = None,
    no_stdin: Annotated[bool, typer.Option("--no-stdin", help="Do not look at stdin.")] = False,
) -> None:
    """Ask a question about documents.

    The answer is to come from the documents alone; what is piped in is a document, too.
    """
    stdin = Stdin(os.environ, allowed=not no_stdin)
    stdin.claim(("the question", question), *(("--doc", path) for path in doc), ("--template", template))
    text = instruction(question, "the question", stdin).removesuffix("\n")
    sources = gather(doc, stdin, encoding)
    layout = stdin.document(template, None).text if template else None
    own = qa.template(layout) if layout is not None else None
    with opened(call, options) as desk:
        settings = qa.Settings(
            prompts=qa.Prompts(answer=own), system=desk.system, params=desk.params, stream=options.stream
        )
        put(text, qa.Library(sources), settings, desk)


def put(question: str, library: qa.Library, settings: qa.Settings, desk: Desk) -> None:
    """Ask a question of the documents and show its answer, or only the request."""
    if desk.options.dry_run:
        first = qa.plan(question, library, settings).calls[0]
        desk.sketch(Request(first.messages, settings.params, settings.stream))
        return

    def show(asked: Request) -> Answer:
        return render.follow(desk.events(asked), desk.out, desk.style, desk.connection.asked)

    found = qa.answer(question, library, settings, desk.connection.answer, show=show)
    render.conclude(found.answer, desk.out, desk.style, desk.connection.asked()._replace(sources=found.sources))


def gather(patterns: list[str], stdin: Stdin, encoding: str | None) -> list[Document]:
    """Read the documents, stdin first where it is piped and not named."""
    found = [stdin.document(path, encoding) for path in documents.find(patterns)]
    piped = stdin.offered(needed=False)
    if piped is not None:
        found.insert(0, Document("stdin", documents.decode(piped, "stdin", encoding)))
    if not found:
        raise UsageError("there is no document", hint="name one with --doc, or pipe it in")
    return found
