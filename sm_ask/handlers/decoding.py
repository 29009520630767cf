"""What reading a response has in common for all containers: errors that come as data, and the end mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask import wire
from sm_ask.chat import Delta, Finish, Text, Usage
from sm_ask.errors import IncompleteError, ModelError, UnusableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: The containers' words for why they stopped, where they are not the usual ones.
_REASONS = {"eos_token": "stop", "endoftext": "stop"}


class Piece(NamedTuple):
    """What one record of a response holds; ``ended`` where the record is, or holds, the container's end mark."""

    text: str = ""
    reasoning: str = ""
    ended: bool = False
    reason: str | None = None
    usage: Usage | None = None


def deltas(chunks: Iterable[bytes], read: Callable[[Any], Piece]) -> Iterator[Delta]:
    """Read a response record by record with ``read``, which raises UnusableError for a shape that it does not know."""
    began = ended = False
    reason: str | None = None
    usage: Usage | None = None
    for record in wire.records(chunks):
        began = True
        if record is wire.DONE:
            ended = True
            break
        _refuse_error(record)
        piece = read(record)
        if piece.reasoning:
            yield Text(piece.reasoning, reasoning=True)
        if piece.text:
            yield Text(piece.text)
        ended = ended or piece.ended
        reason = piece.reason or reason
        usage = piece.usage or usage
    if not began:
        raise UnusableError("the endpoint sent an empty answer")
    if not ended:
        raise IncompleteError("the stream ended without the container's end mark")
    yield _finish(reason, usage)


def _finish(reason: str | None, usage: Usage | None) -> Finish:
    """Take the container's word for why it stopped, unless it stopped too early."""
    if reason == "error":
        raise ModelError("the model's container reports that the generation ended with an error")
    if reason == "abort":
        raise IncompleteError("the model's container gave the answer up")
    return Finish(_REASONS.get(reason or "", reason), usage)


def _refuse_error(record: Any) -> None:  # noqa: ANN401 - JSON
    """Raise what a container reports in the middle of an HTTP 200."""
    if isinstance(record, dict) and (message := error_message(record)) is not None:
        raise ModelError(f"the model's container reports: {message}")


def error_message(body: dict[str, Any]) -> str | None:
    """Dig out the message of an error object; None where the body is none (wire formats of vLLM, SGLang, TGI, LMI)."""
    token = body.get("token")
    # LMI hides an error in the last token of a stream, which else looks like a proper end.
    error = body.get("error") or (token.get("error_msg") if isinstance(token, dict) else None)
    if isinstance(error, dict):
        return str(error.get("message") or error)
    if error:
        return str(error)
    if body.get("object") == "error":
        return str(body.get("message") or body)
    return None


def text_or_none(value: Any) -> str | None:  # noqa: ANN401 - JSON
    """Give a text as it is; None for anything else, as not all containers keep to their own format."""
    return value if isinstance(value, str) else None


def tokens(inputs: Any, outputs: Any) -> Usage:  # noqa: ANN401 - JSON
    """Give a container's counts; None for what is no count."""
    return Usage(inputs if type(inputs) is int else None, outputs if type(outputs) is int else None)


def unknown_shape(record: Any, expected: str) -> UnusableError:  # noqa: ANN401 - JSON
    """Say which part of a response is missing, with the response's beginning."""
    body = wire.excerpt(str(record).encode(errors="replace"))
    return UnusableError(
        f"the response has no {expected}: {body}",
        hint="another content handler may fit this container: see --handler; --raw prints what it sent",
    )
