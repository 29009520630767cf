"""What reading a response has in common for all containers: errors that come as data, and the end mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sm_ask import complaints, wire
from sm_ask.chat import Delta, Finish, Text, ToolCall, Usage
from sm_ask.errors import IncompleteError, ModelError, UnusableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    #: Gives what a record holds; None where it is of another shape.
    Shape: TypeAlias = "Callable[[Any], Piece | None]"

#: The containers' words for why they stopped, where they are not the usual ones.
_REASONS = {
    "eos_token": "stop",
    "endoftext": "stop",
    "COMPLETE": "stop",
    "MAX_TOKENS": "length",
    "STOP_SEQUENCE": "stop_sequence",
}
_FAILED = ("error", "ERROR", "ERROR_TOXIC")


class Piece(NamedTuple):
    """What one record of a response holds; ``ended`` where the record is, or holds, the container's end mark."""

    text: str = ""
    reasoning: str = ""
    ended: bool = False
    reason: str | None = None
    usage: Usage | None = None
    calls: tuple[ToolCall, ...] = ()


def deltas(
    records: Iterable[Any], read: Callable[[Any], Piece], failed: Callable[[Any], str | None] | None = None
) -> Iterator[Delta]:
    """Read a response record by record with ``read``, which raises UnusableError for a shape that it does not know.

    ``failed`` gives the message of a record that is an error, if the usual shapes of errors are not the container's.
    """
    failed = failed or complaints.message
    began = ended = False
    first = True
    reason: str | None = None
    usage: Usage | None = None
    for record in records:
        began = True
        if record is wire.DONE:
            ended = True
            break
        if (message := failed(record)) is not None:
            # What came before shows that the model ran.
            raise complaints.error("the model's container reports", message, refused=first)
        piece = read(record)
        first = first and not (piece.text or piece.reasoning or piece.calls)
        if piece.reasoning:
            yield Text(piece.reasoning, reasoning=True)
        if piece.text:
            yield Text(piece.text)
        yield from piece.calls
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
    if reason in _FAILED:
        raise ModelError("the model's container reports that the generation ended with an error")
    if reason == "abort":
        raise IncompleteError("the model's container gave the answer up")
    return Finish(_REASONS.get(reason or "", reason), usage)


def first_of(shapes: tuple[Shape, ...], expected: str) -> Callable[[Any], Piece]:
    """Make a reader of the shapes, the first that fits; ``expected`` is what is missing where none does."""

    def read(record: Any) -> Piece:  # noqa: ANN401 - JSON
        for shape in shapes:
            piece = shape(record)
            if piece is not None:
                return piece
        raise unknown_shape(record, expected)

    return read


def without_echo(found: Iterable[Delta], prompt: str) -> Iterator[Delta]:
    """Take the prompt off the beginning of the answer, if it is exactly the prompt; it may come in pieces."""
    held = ""
    looking = bool(prompt)
    for delta in found:
        if looking and isinstance(delta, Text) and not delta.reasoning:
            held += delta.text
            if len(held) < len(prompt) and prompt.startswith(held):
                continue
            looking = False
            if rest := held.removeprefix(prompt):
                yield Text(rest)
            continue
        if looking and held and isinstance(delta, Finish):
            yield Text(held)
        yield delta


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
