"""`sm-ask qa`: an answer grounded in documents."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from sm_ask import documents, qa
from sm_ask.chat import Source
from sm_ask.cli.options import CallOptions, QuestionOptions, expanded
from sm_ask.cli.question import instruction, put
from sm_ask.cli.stdin import Stdin
from sm_ask.documents import Document
from sm_ask.errors import UsageError

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
    put(qa.grounded(text, sources, layout), call, options, [Source(source.path) for source in sources])


def gather(patterns: list[str], stdin: Stdin, encoding: str | None) -> list[Document]:
    """Read the documents, stdin first where it is piped and not named."""
    found = [stdin.document(path, encoding) for path in documents.find(patterns)]
    piped = stdin.offered(needed=False)
    if piped is not None:
        found.insert(0, Document("stdin", documents.decode(piped, "stdin", encoding)))
    if not found:
        raise UsageError("there is no document", hint="name one with --doc, or pipe it in")
    return found
