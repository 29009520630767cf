"""Content handlers: how each container is asked, and how it answers; no I/O."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from sm_ask import slips
from sm_ask.chat import Message, Request
from sm_ask.errors import ConfigError, UsageError
from sm_ask.handlers.params import meant
from sm_ask.handlers.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sm_ask.chat import Delta

__all__ = ["AUTO", "NAMES", "RESERVED", "Handler", "choose", "meant", "named", "refusal", "unknown"]


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
    if error := unknown(name, declared):
        raise error
    if name in declared:
        from sm_ask.handlers.declared import Declared

        return Declared(name, declared[name], f"{where}.{name}")
    if name in _PRESETS:
        return _PRESETS[name]
    from sm_ask.handlers import foreign

    return foreign.load(name)


def unknown(name: str, declared: Iterable[str]) -> ConfigError | None:
    """Give the error for a name that neither a preset nor a declared handler has, and that is no class's."""
    if name in declared or name in _PRESETS or ":" in name:
        return None
    known = [*NAMES, *declared]
    near = slips.meant(name, known)
    hint = f"did you mean {near}?" if near else f"the handlers are {', '.join(known)}"
    return ConfigError(f'there is no content handler "{name}"', hint=hint)


def refusal(name: str, parameter: str, value: Any) -> UsageError | None:  # noqa: ANN401 - JSON
    """Give the error that the preset of that name has for a parameter; other handlers are not asked."""
    try:
        if name in _PRESETS:
            _PRESETS[name].encode(Request((Message("user", name),), {parameter: value}))
    except UsageError as error:
        return error
    return None
