"""Content handlers without code: what stands under ``handlers:`` in a profiles file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sm_ask import wire
from sm_ask.chat import Finish
from sm_ask.errors import ConfigError, UsageError
from sm_ask.handlers.decoding import Piece, deltas, text_or_none, tokens, unknown_shape, without_echo
from sm_ask.handlers.fields import Fields
from sm_ask.handlers.params import Params, body_of, text_of
from sm_ask.handlers.placing import joined
from sm_ask.handlers.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sm_ask.chat import Delta, Request, Usage

_KEYS = (
    *("content_type", "accept", "custom_attributes", "request", "params", "response", "finish", "usage", "error"),
    *("echoes", "stream"),
)
_FRAMINGS: Mapping[str, Callable[[Iterable[bytes]], Iterator[Any]]] = {
    "sse": wire.records,
    "jsonl": wire.records,
    "json": wire.values,
    "text": wire.text,
}
_DONE = "[DONE]"


class Declared:
    """A handler from a mapping, as a profiles file holds it."""

    tools = False

    def __init__(self, name: str, settings: Any, where: str) -> None:  # noqa: ANN401 - as the file has it
        """Check everything at once; ConfigError names the key that is wrong, after ``where`` the handler stands."""
        fields = Fields(settings, where, _KEYS)
        self.name = name
        self.content_type = fields.line("content_type") or "application/json"
        self.accept = fields.line("accept") or self.content_type
        self.custom_attributes = fields.line("custom_attributes")
        if "request" not in fields.values:
            raise ConfigError(f"{fields.where}: the key request is missing", hint='such as {inputs: "{prompt}"}')
        self.request = fields.values["request"]
        self._template = Template(self.request, f"{fields.where}.request")
        self.params = Params(names=fields.renames("params"))
        self._response = fields.path("response")
        self._finish = fields.path("finish")
        self._error = fields.path("error")
        self._echoes = fields.flag("echoes")
        counts = fields.inner("usage", ("input_tokens", "output_tokens")) if "usage" in fields.values else None
        self._counts = [counts.path("input_tokens"), counts.path("output_tokens")] if counts else []
        self._stream = _Stream(fields) if "stream" in fields.values else None
        if self._response is None and self._stream and self._stream.text:
            raise ConfigError(f"{fields.where}: the key response is missing: where the text of a whole answer stands")

    @property
    def streams(self) -> bool:
        """Tell whether a stream is declared."""
        return self._stream is not None

    @property
    def answer(self) -> str:
        """Say where the answer stands, for people."""
        return self._response.text if self._response else "the body"

    def encode(self, request: Request) -> bytes:
        """Fill in the template; UsageError for a parameter that has no place in it."""
        names = self._template.names
        given = self.params.given(request.params)
        rest = {name: value for name, value in given.items() if name not in names}
        if "params" not in names:
            if homeless := [name for name in rest if name in request.params]:
                hint = f'its request has neither "{{params}}" nor "{{{homeless[0]}}}"'
                raise UsageError(f"the handler {self.name} has no place for the parameter {homeless[0]}", hint=hint)
            rest = {}
        body = self._template.fill(request, given, self.params.renamed(rest, self.name))
        return text_of(body) if isinstance(body, str) and "json" not in self.content_type else body_of(body)

    def decode(self, chunks: Iterable[bytes], request: Request | None = None) -> Iterator[Delta]:
        """Read a response by its paths, and by those of the stream if the request asked for one."""
        found = self._streamed(chunks, self._stream) if self._stream and request and request.stream else None
        if found is None:
            cut = wire.records if self._response else wire.text
            found = deltas(cut(chunks), self._whole, self._failed if self._error else None)
        return without_echo(found, joined(request.messages)) if self._echoes and request else found

    def _failed(self, record: Any) -> str | None:  # noqa: ANN401 - JSON
        found = self._error.of(record) if self._error else None
        return str(found) if found else None

    def _whole(self, record: Any) -> Piece:  # noqa: ANN401 - JSON
        text = self._response.of(record) if self._response else record
        if not isinstance(text, str):
            raise unknown_shape(record, self.answer)
        reason = text_or_none(self._finish.of(record)) if self._finish else None
        return Piece(text, ended=True, reason=reason, usage=self._usage(record))

    def _usage(self, record: Any) -> Usage | None:  # noqa: ANN401 - JSON
        usage = tokens(*(path.of(record) if path else None for path in self._counts)) if self._counts else None
        return None if usage == (None, None, False) else usage

    def _streamed(self, chunks: Iterable[bytes], stream: _Stream) -> Iterator[Delta]:
        """Read a stream; one that holds its text nowhere is of another shape, or a whole answer after all."""
        first: Any = None
        found = False

        def read(record: Any) -> Piece:  # noqa: ANN401 - JSON
            nonlocal first, found
            piece = stream.piece(record)._replace(usage=self._usage(record))
            if not (piece.text or found) and self._response and isinstance(self._response.of(record), str):
                piece = self._whole(record)
            found = found or bool(piece.text or piece.reasoning)
            first = first or record
            return piece

        for delta in deltas(_FRAMINGS[stream.framing](chunks), read, self._failed if self._error else None):
            if isinstance(delta, Finish) and not found and stream.text:
                raise unknown_shape(first, stream.text.text)
            yield delta


class _Stream:
    """How a stream is read; without a path to an end mark, its end is the end."""

    def __init__(self, handler: Fields) -> None:
        fields = handler.inner("stream", ("framing", "text", "reasoning", "finish", "done"))
        self.framing = fields.choice("framing", tuple(_FRAMINGS))
        self.text = fields.path("text")
        self._reasoning = fields.path("reasoning")
        self._finish = fields.path("finish")
        done = fields.values.get("done")
        self._done = None if done == _DONE else fields.path("done")
        self._marked = bool(done or self._finish)
        if (self.framing == "text") == bool(self.text):
            raise ConfigError(f"{fields.where}: text is a path to a piece of text, needed for all framings but text")

    def piece(self, record: Any) -> Piece:  # noqa: ANN401 - JSON
        """Read one record; one without text is no error, as there are many that only begin or end a stream."""
        if isinstance(record, str) and not self.text:
            return Piece(record, ended=True)
        text = (self.text and text_or_none(self.text.of(record))) or ""
        reasoning = (self._reasoning and text_or_none(self._reasoning.of(record))) or ""
        finish = self._finish.of(record) if self._finish else None
        ended = not self._marked or finish is not None or bool(self._done and self._done.of(record))
        return Piece(text, reasoning, ended=ended, reason=text_or_none(finish))
