"""YAML without its surprises: a file's bytes become plain values, each with its place, or a ConfigError.

Errors name the place and never repeat what stands there, which may be a secret; only keys are named.
PyYAML is imported and patterns are compiled where they are used: most runs read no file, and it takes 30 ms.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sm_ask.errors import ConfigError

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_DIGITS = 300

Value: TypeAlias = "bool | int | float | str | tuple[Node, ...] | Mapping[str, Node] | None"
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_UNPRINTABLE = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
_SURROGATE = "[\ud800-\udfff]"

_WORDS: Mapping[str, bool | None] = {"": None, "~": None} | {
    spelling: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for spelling in (word, word.title(), word.upper())
}
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_ACCOUNT_ID = "[0-9]{12}"

_NO_ALIASES = "anchors and aliases are not allowed"
_NO_TAGS = "tags are not allowed"
_ONE_DOCUMENT = "only one document is allowed"
_QUOTE = 'put a text that begins with one of & * ! @ % ` or holds ": " in quotes'

#: What libyaml's or PyYAML's wording is known by, and what to say in its place.
_TOO_DEEP = f"nested too deeply: more than {MAX_DEPTH} levels"
_REASONS = (
    ("end of stream", "a quote is opened here and never closed"),
    ("mapping values are not allowed", "a colon is not expected here: look at the indentation, or quote the value"),
    ("cannot start any token", "a value cannot begin with this character: put it in quotes"),
    ("could not find expected ':'", "a colon is missing after this key"),
    ("',' or", "a comma or a closing bracket is missing"),
    ("document start", _ONE_DOCUMENT),
    ("node content", "a value is missing here"),
    ("while parsing a block", "this does not fit what stands above it: look at the indentation"),
    ("escape", "after this backslash comes no escape that YAML knows: use single quotes, or write two backslashes"),
    ("scanning an a", _NO_ALIASES),
    ("directive", "a line cannot begin with %"),
    # libyaml looks ahead of the parser, and from 0.2.6 on it counts to a thousand by itself.
    ("nesting depth", _TOO_DEEP),
    ("tag", _NO_TAGS),
)


class Place(NamedTuple):
    """A line and a column of a file, both counted from 1."""

    source: str
    line: int
    column: int

    def error(self, message: str, hint: str | None = None) -> ConfigError:
        """Make the error that begins with this place."""
        return ConfigError(f"{self.source}:{self.line}:{self.column}: {message}", hint=hint)


class Node(NamedTuple):
    """A value and where it stands; what stands under a key has the place of the key."""

    value: Value
    place: Place

    @property
    def kind(self) -> str:
        """Say in an error's words what the value is."""
        kinds = {bool: "true or false", int: "a number", float: "a number", tuple: "a list", dict: "keys and values"}
        return kinds.get(type(self.value), "text" if self.value else "nothing")

    def fields(self, what: str) -> Mapping[str, Node]:
        """Give what stands under each key, nothing for an empty place; `what` is how an error calls the whole."""
        if self.value is None:
            return {}
        if not isinstance(self.value, Mapping):
            raise self.place.error(f"{what} must hold keys and values, not {self.kind}")
        return self.value

    def plain(self) -> Json:
        """Give the value as JSON has it, without places."""
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        return self.value


def read(data: bytes, source: str) -> Node:
    """Read a file's bytes as one YAML document; `source` is what errors call the file."""
    import yaml

    if len(data) > MAX_BYTES:
        raise Place(source, 1, 1).error(f"the file has more than {MAX_BYTES:,} bytes")
    text = _decode(data, source)
    # libyaml where PyYAML was built with it: several times as fast, with the same events.
    events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return _Document(events, text, source).read()


def shown(text: str, longest: int = 60) -> str:
    """Quote a key or a name for an error, shortened if it is long."""
    return quoted(text if len(text) <= longest else text[:longest] + "…")


def quoted(text: str) -> str:
    """Write a text as a YAML value that stands in one line."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text) + '"'


def _decode(data: bytes, source: str) -> str:
    bom, encoding = next((pair for pair in _BOMS if data.startswith(pair[0])), (b"", "utf-8"))
    body = data[len(bom) :]
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        before, offset = body[: error.start].decode(encoding), len(bom) + error.start
    else:
        if bad := re.search(_UNPRINTABLE, text):
            raise _place(text[: bad.start()], source).error(f"the control character U+{ord(bad[0]):04X} is not allowed")
        return text
    # Raised out here because a chained UnicodeDecodeError would carry the whole file along.
    raise _place(before, source).error(
        f"not {encoding.upper()}: the byte at offset {offset}", hint="save the file as UTF-8"
    )


def _place(before: str, source: str) -> Place:
    return Place(source, before.count("\n") + 1, len(before) - before.rfind("\n"))


class _Document:
    """The events of a document on their way to nodes."""

    def __init__(self, events: Iterator[yaml.Event], text: str, source: str) -> None:
        self._events = events
        self._text = text
        self._source = source

    def read(self) -> Node:
        import yaml

        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            return Node(None, Place(self._source, 1, 1))
        node = self._node(self._next(), 0)
        self._next()
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._place(event.start_mark).error(_ONE_DOCUMENT)
        return node

    def _node(self, event: yaml.Event, depth: int) -> Node:
        import yaml

        place = self._place(event.start_mark)
        for attribute, message in (("anchor", _NO_ALIASES), ("tag", _NO_TAGS)):
            if getattr(event, attribute, None) is not None:
                raise place.error(message, hint=_QUOTE)
        if isinstance(event, yaml.ScalarEvent):
            return Node(_scalar(event, place), place)
        if depth == MAX_DEPTH:
            raise place.error(_TOO_DEEP)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(tuple(node for node, _ in self._nodes(depth + 1)), place)
        return Node(self._fields(self._nodes(depth + 1)), place)

    def _nodes(self, depth: int) -> Iterator[tuple[Node, yaml.Event]]:
        """Read up to the end of the list or the mapping just begun."""
        import yaml

        while not isinstance(event := self._next(), yaml.CollectionEndEvent):
            yield self._node(event, depth), event

    def _fields(self, nodes: Iterator[tuple[Node, yaml.Event]]) -> Mapping[str, Node]:
        fields: dict[str, Node] = {}
        for node, event in nodes:
            key = _key(event, node.place)
            if key in fields:
                raise node.place.error(f"the key {shown(key)} stands here and in line {fields[key].place.line}")
            fields[key] = Node(next(nodes)[0].value, node.place)
        return fields

    def _next(self) -> yaml.Event:
        import yaml

        try:
            return next(self._events)
        except yaml.YAMLError as error:
            failure = self._syntax_error(error)
        except (ValueError, OverflowError):
            # PyYAML's own parser, there when libyaml is not, hands an escape beyond Unicode to chr().
            failure = ConfigError(f"{self._source}: an escape in quotes names no character")
        # Raised out here because a chained YAMLError would carry the file's text along.
        raise failure

    def _syntax_error(self, error: yaml.YAMLError) -> ConfigError:
        wording = f"{getattr(error, 'context', '')} {getattr(error, 'problem', '')}"
        mark = getattr(error, "problem_mark", None)
        if "end of stream" in wording:
            mark = getattr(error, "context_mark", None) or mark
        tab = mark and self._text[mark.index : mark.index + 1] == "\t"
        reason = next((said for known, said in _REASONS if known in wording), "not valid YAML")
        return self._place(mark).error("a tab cannot indent: use spaces" if tab else reason)

    def _place(self, mark: yaml.error.Mark | yaml._yaml.Mark | None) -> Place:
        return Place(self._source, mark.line + 1, mark.column + 1) if mark else Place(self._source, 1, 1)


def _key(event: yaml.Event, place: Place) -> str:
    """Take a key as the text it is written as, so that 1 and 012345670123 are keys too."""
    import yaml

    if not isinstance(event, yaml.ScalarEvent):
        raise place.error("a key must be text, not a list or a mapping")
    if event.implicit[0] and event.value in ("", "<<"):
        raise place.error("merge keys are not allowed" if event.value else "a key is missing here")
    return str(event.value)


def _scalar(event: yaml.ScalarEvent, place: Place) -> bool | int | float | str | None:
    text = str(event.value)
    if re.search(_SURROGATE, text):
        raise place.error("half of a surrogate pair is not a character: write it as \\U and eight digits")
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if re.fullmatch(_ACCOUNT_ID, text) or not re.fullmatch(_NUMBER, text):
        return text
    if text.removeprefix("-").isdecimal():
        if len(text) > MAX_DIGITS:
            raise place.error(f"a number of more than {MAX_DIGITS} digits: if it is a text, put it in quotes")
        return int(text)
    if math.isinf(number := float(text)):
        raise place.error("the number is too large: if it is a text, put it in quotes")
    return number
