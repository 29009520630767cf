"""What `prompt` and `qa` have in common: one request, shown as the options say."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from sm_ask.chat import Message, Request
from sm_ask.cli.connection import connect, settle
from sm_ask.documents import STDIN, decode
from sm_ask.errors import InputError, UsageError
from sm_ask.render import answer, request
from sm_ask.render.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_ask.chat import Source
    from sm_ask.cli.options import CallOptions, QuestionOptions
    from sm_ask.cli.stdin import Stdin
    from sm_ask.connection import Connection


def instruction(text: str, name: str, stdin: Stdin, encoding: str | None = None) -> str:
    """Give what is asked, from the command line or, for ``-``, from stdin; UsageError if it is blank."""
    asked = decode(stdin.read(), "stdin", encoding) if text == STDIN else argument(text, name)
    if not asked.strip():
        raise UsageError(f"{name} is empty")
    return asked


def argument(text: str, name: str) -> str:
    """Give a command-line text; InputError where the shell passed bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            return os.fsencode(text).decode()
        except (UnicodeDecodeError, UnicodeEncodeError) as error:
            raise InputError(f"{name} is not UTF-8: byte {error.start:,} does not fit") from error
    return text


def put(message: Message, call: CallOptions, question: QuestionOptions, sources: Sequence[Source] = ()) -> None:
    """Ask one message and show its answer, or only the request."""
    out = Output()
    if question.raw and question.as_json:
        raise UsageError("--raw gives the container's own bytes, which --json cannot hold; leave out one of them")
    setup = settle(call)
    params = _sendable({**setup.settings.params, **question.parameters()})
    system = question.system if question.system is not None else setup.settings.system
    messages = (Message("system", argument(system, "the system prompt")), message) if system else (message,)
    with connect(setup, debug=call.debug, dry_run=question.dry_run) as connection:
        asked = connection.fitted(Request(messages, params, question.stream))
        if question.dry_run:
            request.show(_sketch(asked, connection), out, as_json=question.as_json)
            return
        _show(asked, connection, question, out, sources)


def _sendable(params: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters; refuse what JSON in UTF-8 does not hold, and answers that nobody would see."""
    if params.get("n", 1) != 1:
        raise UsageError("one question gets one answer: n is 1", hint="ask again for another one")
    for name, value in params.items():
        _encode(name, value)
    return params


def _encode(name: str, value: Any) -> None:  # noqa: ANN401 - JSON
    try:
        json.dumps({name: value}, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the parameter {name!r} is not UTF-8") from error
    except ValueError as error:
        raise UsageError(f"the parameter {name!r} is no number that JSON knows") from error


def _show(
    asked: Request, connection: Connection, question: QuestionOptions, out: Output, sources: Sequence[Source]
) -> None:
    style = answer.Style(question.as_json, question.markdown, question.usage, question.require_complete)
    answer.show(connection.ask(asked, raw=question.raw), out, style, connection.asked()._replace(sources=sources))


def _sketch(asked: Request, connection: Connection) -> request.Sketch:
    handler, runtime = connection.handler, connection.runtime
    media = {"content_type": handler.content_type, "accept": handler.accept}
    whole_body = handler.encode(Request(asked.messages, asked.params, stream=False))
    sent = runtime.preview(handler.encode(asked), **media, stream=asked.stream)
    whole = runtime.preview(whole_body, **media, stream=False)
    return request.Sketch(
        method=sent.method,
        url=sent.url,
        headers=sent.headers,
        body=sent.body,
        whole_url=whole.url,
        whole_headers=whole.headers,
        whole_body=whole.body,
        region=connection.region,
        endpoint=runtime.target.endpoint,
        endpoint_url=connection.settings.endpoint_url,
        aws_profile=connection.settings.aws_profile,
        parameters=runtime.target.headers(),
        roles=[role["role_arn"] for role in connection.settings.assume_role or ()],
    )
