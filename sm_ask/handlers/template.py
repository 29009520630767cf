"""Requests as people write them: JSON with placeholders, filled in without evaluating anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from sm_ask.errors import ConfigError
from sm_ask.handlers.params import CANONICAL
from sm_ask.handlers.placing import joined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_ask.chat import Request

    Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

#: Placeholders that may stand within a text, and those that only stand alone.
_WITHIN = ("prompt", "system")
_ALONE = ("messages", "params", "stream")
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_WHOLE = rf"\{{({_NAME})\}}"
_INNER = r"\{(prompt|system)\}"
_KNOWN = "|".join((*_WITHIN, *_ALONE, *CANONICAL))
#: What format strings would do with a name, and what Jinja2 would evaluate.
_MORE = r"\s*[.\[!:|(][^}]*\}"
_TRICK = rf"\{{\s*({_KNOWN}){_MORE}|\{{\{{\s*{_NAME}[^{{}}\"]*\}}\}}|\{{%.*%\}}"
_WHOLE_TRICK = rf"\{{\s*{_NAME}{_MORE}"


class _Left:
    """The type of ``_OUT``."""


_OUT = _Left()


class Template:
    """A request's body with placeholders, checked; ``where`` is what errors call it."""

    def __init__(self, body: Json, where: str) -> None:
        """Check the placeholders; ConfigError says which one is wrong."""
        self._body = body
        self.names: set[str] = set()
        self._look_through(body, where)
        if not self.names & {"prompt", "messages"}:
            raise ConfigError(f'{where}: nothing says where the prompt goes: write "{{prompt}}" or "{{messages}}"')

    def fill(self, request: Request, singles: Mapping[str, Any], params: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Give the body; a single parameter that is not set leaves its key out."""
        system = [message for message in request.messages if message.role == "system"]
        rest = [message for message in request.messages if message.role != "system"]
        if "system" not in self.names:
            rest = list(request.messages)
        values: dict[str, Any] = {
            **singles,
            "prompt": joined(rest),
            "system": joined(system) if system else _OUT,
            "messages": [{"role": message.role, "content": message.content} for message in rest],
            "params": params,
            "stream": request.stream,
        }
        return _filled(self._body, values)

    def _look_through(self, value: Json, where: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                self._look_through(inner, f"{where}.{key}")
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                self._look_through(inner, f"{where}[{number}]")
        elif isinstance(value, str):
            self.names |= _placeholders(value, where)


def _placeholders(text: str, where: str) -> set[str]:
    if whole := re.fullmatch(_WHOLE, text):
        return {whole[1]}
    if trick := re.search(_TRICK, text, re.DOTALL) or re.fullmatch(_WHOLE_TRICK, text):
        hint = 'a placeholder is a name in braces and nothing else, such as "{prompt}"'
        raise ConfigError(
            f"{where}: {trick[0][:60]!r} is more than a placeholder; nothing is evaluated here", hint=hint
        )
    for name in re.findall(rf"\{{({'|'.join((*_ALONE, *CANONICAL))})\}}", text):
        raise ConfigError(
            f'{where}: "{{{name}}}" must be the whole value; only {{prompt}} and {{system}} stand in a text'
        )
    return set(re.findall(_INNER, text))


def _filled(value: Json, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        filled = {key: _filled(inner, values) for key, inner in value.items()}
        return {key: inner for key, inner in filled.items() if inner is not _OUT}
    if isinstance(value, list):
        return [inner for inner in (_filled(inner, values) for inner in value) if inner is not _OUT]
    if not isinstance(value, str):
        return value
    if whole := re.fullmatch(_WHOLE, value):
        return values.get(whole[1], _OUT)
    return re.sub(_INNER, lambda found: "" if values[found[1]] is _OUT else values[found[1]], value)
