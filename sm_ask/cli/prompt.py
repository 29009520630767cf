"""`sm-ask prompt`: one question."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from sm_ask import documents
from sm_ask.chat import Message
from sm_ask.cli.options import CallOptions, QuestionOptions, expanded
from sm_ask.cli.question import instruction, put
from sm_ask.cli.stdin import Stdin
from sm_ask.errors import ContextError, UsageError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@expanded
def prompt(
    question: QuestionOptions,
    call: CallOptions,
    text: Annotated[str | None, typer.Argument(help="What to ask; - is stdin.", show_default=False)] = None,
    file: Annotated[
        list[str], typer.Option("--file", "-f", help="Material: a text file; - is stdin; repeatable.")
    ] = [],
    encoding: Annotated[str | None, typer.Option(help="The files' encoding, if not UTF-8.")] = None,
    no_stdin: Annotated[bool, typer.Option("--no-stdin", help="Do not look at stdin.")] = False,
) -> None:
    """Ask one question.

    The prompt is TEXT, or what is piped in, or both: first the piped material and the files, then a blank line, then
    TEXT.
    """
    stdin = Stdin(os.environ, allowed=not no_stdin)
    asked = Message("user", gather(text, file, stdin, encoding))
    try:
        put(asked, call, question)
    except ContextError as error:
        error.hint = f"{error.hint}; sm-ask qa --doc FILE reads of a long text what the question needs"
        raise


def gather(text: str | None, files: list[str], stdin: Stdin, encoding: str | None = None) -> str:
    """Join material and instruction, in this order, by blank lines; nothing else is changed."""
    stdin.claim(*(("--file", path) for path in files), ("the prompt", text))
    parts = [stdin.document(path, encoding).text for path in documents.find(files)]
    piped = stdin.offered(needed=text is None and not files)
    if piped is not None:
        parts.insert(0, documents.decode(piped, "stdin", encoding))
    if text is not None:
        parts.append(instruction(text, "the prompt", stdin, encoding))
    *material, last = parts or [""]
    whole = "".join(part + ("\n" if part.endswith("\n") else "\n\n") for part in material) + last
    if not whole.strip():
        raise UsageError("the prompt is empty", hint='sm-ask prompt "What is …?", or pipe it in')
    return whole
