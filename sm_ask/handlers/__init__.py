"""Content handlers: how each container is asked, and how it answers; no I/O."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Protocol

from sm_ask.errors import ConfigError
from sm_ask.handlers.openai_chat import OpenAIChat
from sm_ask.handlers.tgi import Tgi

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sm_ask.chat import Delta, Request


class Handler(Protocol):
    """What is known of one family of containers."""

    @property
    def name(self) -> str:
        """The preset's name."""

    @property
    def content_type(self) -> str:
        """The media type of a request's body."""

    @property
    def accept(self) -> str:
        """The media type wished for in return."""

    def encode(self, request: Request) -> bytes:
        """Give the body that asks the request."""

    def decode(self, chunks: Iterable[bytes]) -> Iterator[Delta]:
        """Read a response, streamed or whole, cut anywhere: pieces of text, then one Finish.

        Raises ModelError where the container reports an error, IncompleteError where its end mark is missing,
        UnusableError where the response is empty or of another shape.
        """


DEFAULT = "openai-chat"
_PRESETS: dict[str, Handler] = {preset.name: preset for preset in (OpenAIChat(), Tgi())}
NAMES = tuple(_PRESETS)


def named(name: str) -> Handler:
    """Give the preset of that name; ConfigError names the close ones."""
    try:
        return _PRESETS[name]
    except KeyError:
        close = difflib.get_close_matches(name, NAMES, 1)
        known = f"did you mean {close[0]}?" if close else f"the presets are {', '.join(NAMES)}"
        raise ConfigError(f'there is no content handler "{name}"', hint=known) from None
