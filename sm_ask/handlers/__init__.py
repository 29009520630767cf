"""Content handlers: how each container is asked, and how it answers; no I/O."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from sm_ask.errors import ConfigError
from sm_ask.handlers.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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

    @property
    def streams(self) -> bool:
        """Whether the container can send its answer in pieces; where not, a whole one has to be asked for."""

    @property
    def tools(self) -> bool:
        """Whether a request may offer tools, and a conversation hold their calls."""

    @property
    def custom_attributes(self) -> str | None:
        """What the container wants to hear beside each request, if anything."""

    def encode(self, request: Request) -> bytes:
        """Give the body that asks the request; UsageError for a parameter that the container does not know."""

    def decode(self, chunks: Iterable[bytes], request: Request | None = None) -> Iterator[Delta]:
        """Read a response, streamed or whole, cut anywhere: pieces of text, then one Finish.

        The request says what is expected: a stream or not, and which prompt the container may send back.
        Raises ModelError where the container reports an error, IncompleteError where its end mark is missing,
        UnusableError where the response is empty or of another shape.
        """


#: In the place of a name: whichever preset fits what runs behind the endpoint.
AUTO = "auto"
_PRESETS: dict[str, Handler] = {preset.name: preset for preset in PRESETS}
NAMES = tuple(_PRESETS)
#: Words of the command line that no handler of one's own may be called.
RESERVED = (AUTO, "test", *NAMES)


def named(name: str) -> Handler:
    """Give the preset of that name; ConfigError names the close ones."""
    return choose(name)


def choose(name: str, declared: Mapping[str, Any] = MappingProxyType({}), source: str = "") -> Handler:
    """Give a preset, a handler that a profiles file declares, or a Python class; everything about it is checked.

    ``declared`` is what stands under the file's key ``handlers``, ``source`` the file's name, for errors.
    """
    where = f"{source}: handlers" if source else "handlers"
    for own in declared:
        if own in RESERVED or ":" in own:
            raise ConfigError(
                f"{where}: {own!r} cannot be a handler's name", hint="presets' names and colons are taken"
            )
    if name in declared:
        from sm_ask.handlers.declared import Declared

        return Declared(name, declared[name], f"{where}.{name}")
    if name in _PRESETS:
        return _PRESETS[name]
    if ":" in name:
        from sm_ask.handlers import foreign

        return foreign.load(name)
    import difflib  # only a slip costs these milliseconds

    known = [*NAMES, *declared]
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"the handlers are {', '.join(known)}"
    raise ConfigError(f'there is no content handler "{name}"', hint=hint)
