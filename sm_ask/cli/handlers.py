"""`sm-ask handlers`: which there are, what one sends and reads, and what it makes of a saved response."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sm_ask import documents, handlers, profiles
from sm_ask.chat import Finish, Message, Request, Text
from sm_ask.errors import InputError, UnusableError, UsageError
from sm_ask.render import output, table

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_COLUMNS = ("name", "for", "answer", "streams")
_EXAMPLE = (Message("system", "SYSTEM"), Message("user", "PROMPT"))
_TEST = "test"
_AUTO = "whichever of the others fits what runs behind the endpoint"


@app.command(name="handlers")
def show(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="A handler to show, or after test to try.", metavar="[NAME | test NAME]"),
    ] = None,
    response: Annotated[str | None, typer.Option(help="With test: a file with the container's response.")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="With test: the response is a stream.")] = False,
    config: Annotated[str | None, typer.Option(envvar="SM_ASK_CONFIG", help="The profiles file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """List the content handlers, show one, or try one on a saved response with test."""
    name, tested = _named(words or [])
    if name != _TEST and (response or stream):
        raise UsageError("only test takes a response", hint="sm-ask handlers test NAME --response FILE [--stream]")
    declared, source = _declared(config)
    out = output.Output()
    if name is None:
        table.show(out, _COLUMNS, _rows(declared, source), as_json=as_json)
    elif name == handlers.AUTO:
        table.facts(out, _auto(), as_json=as_json)
    elif name != _TEST:
        table.facts(out, _facts(handlers.choose(name, declared, source), declared), as_json=as_json)
    elif tested and response:
        handler = handlers.choose(tested, declared, source)
        table.facts(out, _decoded(handler, response, stream=stream), as_json=as_json)
    else:
        raise UsageError("test needs a handler and a response", hint="sm-ask handlers test NAME --response FILE")


def _named(words: list[str]) -> tuple[str | None, str | None]:
    """Take the handler to show, or test and the handler to try."""
    name, tested, *more = [*words, None, None]
    if any(more) or (tested and name != _TEST):
        raise UsageError(f"one handler at a time, not {' '.join(words)}", hint="sm-ask handlers NAME")
    return name, tested


def _declared(config: str | None) -> tuple[Mapping[str, Any], str]:
    found = profiles.load(profiles.location(config, os.environ), required=bool(config))
    for warning in found.warnings:
        output.note(warning)
    return found.handlers, str(found.path or "")


def _rows(declared: Mapping[str, Any], source: str) -> list[dict[str, Any]]:
    found = [handlers.choose(name, declared, source) for name in (*handlers.NAMES, *declared)]
    return [_auto(), *(_facts(handler, declared) for handler in found)]


def _auto() -> dict[str, Any]:
    known = ("content_type", "accept", "request", "stream_request", "answer", "streams", "custom_attributes")
    return {"name": handlers.AUTO, "for": _AUTO, **dict.fromkeys((*known, "parameters")), "default": True}


def _facts(handler: handlers.Handler, declared: Mapping[str, Any]) -> dict[str, Any]:
    params = getattr(handler, "params", None)
    return {
        "name": handler.name,
        "for": "your own, in the profiles file" if handler.name in declared else getattr(handler, "about", None),
        "content_type": handler.content_type,
        "accept": handler.accept,
        "request": _request(handler, stream=False),
        "stream_request": _request(handler, stream=True) if handler.streams else None,
        "answer": getattr(handler, "answer", None),
        "streams": handler.streams,
        "custom_attributes": handler.custom_attributes,
        "parameters": params.listed() if params else None,
        "default": False,
    }


def _request(handler: handlers.Handler, *, stream: bool) -> Any:  # noqa: ANN401 - JSON, or text
    body = handler.encode(Request(_EXAMPLE, {}, stream)).decode(errors="replace")
    try:
        return json.loads(body)
    except ValueError:
        return body


def _decoded(handler: handlers.Handler, path: str, *, stream: bool) -> dict[str, Any]:
    """Read a saved response as if the container had sent it."""
    try:
        with open(path, "rb") as file:
            data = file.read(documents.LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path!r} cannot be read: {error.strerror}") from error
    if len(data) > documents.LARGEST:
        raise InputError(f"{path!r} has more than {documents.LARGEST:,} bytes")
    if stream and not handler.streams:
        raise UsageError(f"the handler {handler.name} reads no streams", hint="leave out --stream")
    texts: dict[bool, list[str]] = {False: [], True: []}
    finish = Finish(None, None)
    for delta in handler.decode([data], Request((), {}, stream)):
        if isinstance(delta, Finish):
            finish = delta
        elif isinstance(delta, Text):
            texts[delta.reasoning].append(delta.text)
    if not any(texts[False]):
        raise UnusableError("the response holds no text")
    return {
        "answer": "".join(texts[False]),
        "reasoning": "".join(texts[True]),
        "finish_reason": finish.reason,
        "usage": finish.usage
        and {"input_tokens": finish.usage.input_tokens, "output_tokens": finish.usage.output_tokens},
    }
