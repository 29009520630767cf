"""What `prompt` and `qa` have in common: one request, shown as the options say."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask import handlers
from sm_ask.chat import Message, Request
from sm_ask.cli.connection import connect, settle
from sm_ask.documents import STDIN, decode
from sm_ask.errors import InputError, UsageError
from sm_ask.render import answer, output, request
from sm_ask.render.output import Output

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from sm_ask.ask import Event
    from sm_ask.cli.options import CallOptions, QuestionOptions
    from sm_ask.cli.stdin import Stdin
    from sm_ask.connection import Connection, Setup
    from sm_ask.profiles import Profile


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


class Desk(NamedTuple):
    """An open endpoint, and how its answers are wanted."""

    connection: Connection
    options: QuestionOptions
    params: Mapping[str, Any]
    system: str | None
    out: Output

    @property
    def style(self) -> answer.Style:
        """How an answer is shown."""
        options = self.options
        return answer.Style(options.as_json, options.markdown, options.usage, options.require_complete)

    def events(self, asked: Request) -> Generator[Event, None, None]:
        """Ask a request."""
        return self.connection.ask(asked, raw=self.options.raw)

    def sketch(self, asked: Request, plan: Mapping[str, Any] | None = None) -> None:
        """Show a request that is not sent, and the plan that it is the first step of."""
        fitted = self.connection.fitted(asked)
        choice = self.connection.choice
        if self.connection.chooser.offline and choice.origin == "assumed":
            output.note(
                f"{choice.handler.name} is assumed; without --dry-run, AWS is asked what runs behind the endpoint"
            )
        request.show(preview(fitted, self.connection), self.out, as_json=self.options.as_json, plan=plan)


@contextlib.contextmanager
def opened(setup: Setup, call: CallOptions, options: QuestionOptions) -> Iterator[Desk]:
    """Open the endpoint that a setup leads to."""
    out = Output()
    if options.raw and options.as_json:
        raise UsageError("--raw gives the container's own bytes, which --json cannot hold; leave out one of them")
    params, told = said(setup.settings, options.parameters(), options.system)
    with connect(setup, debug=call.debug, dry_run=options.dry_run) as connection:
        yield Desk(connection, options, params, told, out)


def put(message: Message, call: CallOptions, options: QuestionOptions) -> None:
    """Ask one message and show its answer, or only the request."""
    with opened(settle(call), call, options) as desk:
        messages = (Message("system", desk.system), message) if desk.system else (message,)
        asked = Request(messages, desk.params, options.stream)
        if options.dry_run:
            desk.sketch(asked)
        else:
            answer.show(desk.events(asked), desk.out, desk.style, desk.connection.asked)


def said(settings: Profile, params: Mapping[str, Any], system: str | None) -> tuple[dict[str, Any], str | None]:
    """Give the parameters and the system prompt of a question: those of the command line before the profile's."""
    for name in params:
        if meant := handlers.meant(name):
            output.note(f'"{name}" is passed on to the container as it is; did you mean "{meant}"?')
    system = settings.system if system is None else system
    return _sendable({**settings.params, **params}), argument(system, "the system prompt") if system else None


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


def preview(asked: Request, connection: Connection) -> request.Sketch:
    """Say what a request would be; needs an endpoint that was opened for a dry run."""
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
