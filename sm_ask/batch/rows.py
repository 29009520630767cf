"""One record of an input → one question, or why it is none."""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from sm_ask.chat import Message, Request, Role
from sm_ask.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NOTHING: Mapping[str, Any] = MappingProxyType({})
#: What a row may say; everything else is carried over to the output.
KNOWN = ("id", "prompt", "question", "messages", "docs", "system", "options")
#: Of a row's key: as many as leave room for a few bits beside it in 64.
KEY_DIGITS = 14
_QUESTIONS = ("prompt", "question", "messages")
_FIELD = re.compile(r"\{([^\W\d]\w*)\}")
#: Of an OpenAI batch file: what the endpoint decides, and what has no place in a row.
_NOT_OPTIONS = ("messages", "model", "stream", "stream_options", "user")
#: What a tool answered belongs to a conversation that no row holds whole.
_SORTED = json.JSONEncoder(sort_keys=True, default=repr)
_ROLES = {role: role for role in get_args(Role) if role != "tool"} | {"developer": "system"}


class Row(NamedTuple):
    """A question of a batch: where it stands, what it is called, and what it asks.

    ``key`` is made of what it asks, so that a row that was changed is told from one that was answered. With a
    ``fault`` it asks nothing. The last message is the question about the documents, where there are any.
    """

    number: int
    id: str | int
    key: str
    messages: tuple[Message, ...] = ()
    params: Mapping[str, Any] = _NOTHING
    stream: bool = True
    docs: tuple[str, ...] = ()
    extra: Mapping[str, Any] = _NOTHING
    fault: InputError | None = None

    @property
    def request(self) -> Request:
        """What to ask, without the documents."""
        return Request(self.messages, self.params, self.stream)


class Form(NamedTuple):
    """What makes a question of a row: what all rows share, and a template for the prompt where there is one."""

    template: str | None = None
    system: str | None = None
    params: Mapping[str, Any] = _NOTHING
    stream: bool = True

    def row(self, fields: Mapping[str, Any], number: int) -> Row:
        """Read a record; InputError for one that asks nothing, or two things."""
        if "custom_id" in fields and "body" in fields:
            fields = _of_openai(fields)
        fields = {name: value for name, value in fields.items() if name not in KNOWN or value not in (None, "")}
        own, docs = self._messages(fields), _docs(fields.get("docs"))
        options = fields.get("options", {})
        if not isinstance(options, dict):
            raise InputError(f"options is {_kind(options)}, not an object")
        if docs and "messages" in fields:
            raise InputError("docs go with a question, not with messages")
        return Row(
            number=number,
            id=_id(fields, number),
            key=digest([own, options, docs]),
            messages=self._with_system(own),
            params=_one_answer({**self.params, **options}),
            stream=self.stream,
            docs=docs,
            extra={name: value for name, value in fields.items() if name not in KNOWN},
        )

    def _messages(self, fields: Mapping[str, Any]) -> tuple[Message, ...]:
        """Give what the row itself says, its own system prompt first."""
        asked = [name for name in _QUESTIONS if name in fields]
        if self.template is not None:
            if "messages" in fields:
                raise InputError("messages have no place in a template")
            found: tuple[Message, ...] = (Message("user", _filled(self.template, fields)),)
        elif len(asked) != 1:
            raise _unclear(asked, fields)
        elif asked == ["messages"]:
            found = _conversation(fields["messages"])
        else:
            found = (Message("user", _text(fields[asked[0]], asked[0])),)
        if not found[-1].content.strip():
            raise InputError("the question is empty")
        system = _text(fields.get("system", ""), "system")
        if system and any(message.role == "system" for message in found):
            raise InputError("it has system twice: by itself and among the messages")
        return (Message("system", system), *found) if system else found

    def _with_system(self, own: tuple[Message, ...]) -> tuple[Message, ...]:
        """Add the system prompt of all rows where the row has none."""
        if not self.system or any(message.role == "system" for message in own):
            return own
        return (Message("system", self.system), *own)


def faulty(fields: Mapping[str, Any] | None, number: int, fault: InputError) -> Row:
    """Give a row that asks nothing, under its id where it has a good one."""
    try:
        name = _id(fields or {}, number)
    except InputError:
        name = number
    fields = fields or {}
    extra = {key: value for key, value in fields.items() if key not in KNOWN}
    return Row(number, name, digest([fault.message, fields]), extra=extra, fault=fault)


def digest(value: object) -> str:
    """Give hexadecimal digits that another value does not have."""
    return blake2b(_SORTED.encode(value).encode(), digest_size=KEY_DIGITS // 2).hexdigest()


def _unclear(asked: Sequence[str], fields: Mapping[str, Any]) -> InputError:
    """Make the error for a row with no question, or with several."""
    there = " and ".join(asked) or "neither prompt, question nor messages"
    own = next((name for name in fields if name not in KNOWN), None)
    hint = f"--prompt-template makes it of other fields: 'Sum up: {{{own}}}'" if own and not asked else None
    return InputError(f"it has {there}; one of them is the question", hint=hint)


def _one_answer(params: dict[str, Any]) -> dict[str, Any]:
    if params.get("n", 1) != 1:
        raise InputError("one question gets one answer: n is 1")
    return params


def _id(fields: Mapping[str, Any], number: int) -> str | int:
    found = fields.get("id")
    if found is None:
        return number
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        raise InputError(f"the id is {_kind(found)}, not a text or a whole number")
    return found


def _docs(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON
    paths = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(paths, list) or not all(isinstance(path, str) and path for path in paths):
        raise InputError("docs is a path, or a list of paths")
    return tuple(paths)


def _conversation(value: Any) -> tuple[Message, ...]:  # noqa: ANN401 - JSON
    if not isinstance(value, list) or not value:
        raise InputError(f"messages is {_kind(value)}, not a list of messages")
    return tuple(_message(message) for message in value)


def _message(value: Any) -> Message:  # noqa: ANN401 - JSON
    if not isinstance(value, dict) or value.get("role") not in _ROLES:
        raise InputError(f"a message needs a role, one of {', '.join(_ROLES)}, and content")
    content = value.get("content")
    if isinstance(content, list):
        content = "".join(_part(part) for part in content)
    return Message(_ROLES[value["role"]], _text(content, "content"))


def _part(value: Any) -> str:  # noqa: ANN401 - JSON
    if not isinstance(value, dict) or value.get("type") != "text":
        raise InputError("of the parts of a message, only text can be asked about")
    return _text(value.get("text"), "text")


def _text(value: Any, name: str) -> str:  # noqa: ANN401 - JSON
    if not isinstance(value, str):
        raise InputError(f"{name} is {_kind(value)}, not a text")
    return value


def _filled(template: str, fields: Mapping[str, Any]) -> str:
    """Put the fields into the template; braces that are no field mean nothing."""

    def value(found: re.Match[str]) -> str:
        there = fields.get(found[1])
        if there is None:
            raise InputError(f"the template wants {found[0]}, which the row does not have")
        return there if isinstance(there, str) else json.dumps(there, ensure_ascii=False)

    return _FIELD.sub(value, template)


def _of_openai(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Read a row of an OpenAI batch file as one of ours."""
    body = fields["body"]
    if not isinstance(body, dict):
        raise InputError(f"body is {_kind(body)}, not an object")
    options = {name: value for name, value in body.items() if name not in _NOT_OPTIONS and value is not None}
    rest = {name: value for name, value in fields.items() if name not in ("custom_id", "body", "method", "url")}
    return {**rest, "id": fields["custom_id"], "messages": body.get("messages"), "options": options}


_KINDS: Sequence[tuple[type, str]] = (
    (bool, "true or false"),
    (str, "a text"),
    (dict, "an object"),
    (list, "a list"),
    (int, "a number"),
    (float, "a number"),
)


def _kind(value: object) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "null")
