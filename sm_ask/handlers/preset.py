"""What a preset declares, and the handler that follows from it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask import wire
from sm_ask.errors import UsageError
from sm_ask.handlers import placing
from sm_ask.handlers.decoding import deltas, first_of, without_echo
from sm_ask.handlers.params import body_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sm_ask.chat import Delta, Message, Request
    from sm_ask.handlers.decoding import Shape
    from sm_ask.handlers.params import Params

NOTHING: Mapping[str, Any] = MappingProxyType({})
_JSON = "application/json"


class Preset(NamedTuple):
    """A content handler that is told apart from the others by what is declared here.

    ``fixed`` is part of every request, ``streamed`` of one for a stream; it is None where the container cannot stream.
    ``whole`` and ``pieces`` cut a response and a stream into records; the first of the ``shapes`` that fits reads them.
    ``answer`` is where the answer stands, for people. ``tools`` says whether a conversation may hold calls of tools.
    """

    name: str
    about: str
    place: Callable[[Sequence[Message]], Mapping[str, Any] | str]
    params: Params | None
    shapes: tuple[Shape, ...]
    answer: str
    fixed: Mapping[str, Any] = NOTHING
    streamed: Mapping[str, Any] | None = None
    whole: Callable[[Iterable[bytes]], Iterator[Any]] = wire.records
    pieces: Callable[[Iterable[bytes]], Iterator[Any]] = wire.records
    content_type: str = _JSON
    accept: str = _JSON
    custom_attributes: str | None = None
    echoes: bool = False
    tools: bool = False

    @property
    def streams(self) -> bool:
        """Tell whether the container can send its answer in pieces."""
        return self.streamed is not None

    def encode(self, request: Request) -> bytes:
        """Give the body that asks the request; UsageError for a parameter that the container does not know."""
        placed = self.place(request.messages)
        if isinstance(placed, str) or self.params is None:
            self._refuse(request.params)
            return text_of(str(placed))
        params = self.params.translate(request.params, self.name)
        within = self.params.within
        body = _merged(placed, self.fixed)
        body = {**body, within: {**body.get(within, {}), **params}} if within else {**body, **params}
        if request.tools:
            body["tools"] = request.tools
        return body_of(_merged(body, self.streamed or {}) if request.stream else body)

    def decode(self, chunks: Iterable[bytes], request: Request | None = None) -> Iterator[Delta]:
        """Read a response, whole or streamed; the prompt is taken off only where ``request`` says what it was."""
        cut = self.pieces if request and request.stream else self.whole
        found = deltas(cut(chunks), first_of(self.shapes, self.answer))
        if not self.echoes or request is None or request.params.get("return_full_text"):
            return found
        return without_echo(found, placing.joined(request.messages))

    def _refuse(self, params: Mapping[str, Any]) -> None:
        if unknown := [name for name, value in params.items() if value is not None]:
            hint = "leave it out, or name another content handler with --handler"
            raise UsageError(
                f"the handler {self.name} sends the text alone; {unknown[0]} has no place in it", hint=hint
            )


def _merged(body: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Add fields; a mapping under a key that is there already is added to it."""
    merged = dict(body)
    for key, value in more.items():
        merged[key] = {**merged[key], **value} if isinstance(merged.get(key), dict) else value
    return merged
