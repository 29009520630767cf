"""The vocabulary of a question and its answer.

Named tuples, here and elsewhere: a frozen dataclass takes six times as long to define, and start-up time is counted.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class ToolCall(NamedTuple):
    """A tool that the model calls, or a piece of the call: pieces with the same place belong together.

    ``arguments`` is JSON as the model writes it, which need not be right.
    """

    place: int
    id: str | None
    name: str | None
    arguments: str


class Message(NamedTuple):
    """One turn of a conversation: an assistant's may call tools, a tool's says which call it answers."""

    role: Role
    content: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


class Request(NamedTuple):
    """What to ask: messages, oldest first, and parameters under sm-ask's canonical names or a container's own.

    ``tools`` describes what the model may call, in OpenAI's format.
    """

    messages: tuple[Message, ...]
    params: Mapping[str, Any] = MappingProxyType({})
    stream: bool = True
    tools: tuple[Mapping[str, Any], ...] = ()


class Usage(NamedTuple):
    """Tokens in and out; None where the container does not say."""

    input_tokens: int | None
    output_tokens: int | None
    estimated: bool = False


class Text(NamedTuple):
    """A piece of the answer, or of the reasoning before it."""

    text: str
    reasoning: bool = False


class Finish(NamedTuple):
    """The container's own word that the answer is whole: why it stopped ("stop", "length", …) and what it used."""

    reason: str | None
    usage: Usage | None


Delta: TypeAlias = Text | ToolCall | Finish


class Timing(NamedTuple):
    """Seconds from the first byte sent: to the first text, and to the end."""

    first_token_s: float | None
    total_s: float


class Answer(NamedTuple):
    """A whole answer and how it came about."""

    text: str
    reasoning: str
    finish_reason: str | None
    usage: Usage
    timing: Timing
    attempts: int
    request_id: str | None
    variant: str | None
    calls: tuple[ToolCall, ...] = ()


class Source(NamedTuple):
    """A place in a document that an answer is to rest on: its first and last line, or its page, where one is known.

    ``cited`` says whether the answer names it, ``quote`` what the answer quotes from it; None where nobody looked.
    """

    path: str
    lines: tuple[int, int] | None = None
    page: int | None = None
    cited: bool | None = None
    quote: str | None = None
