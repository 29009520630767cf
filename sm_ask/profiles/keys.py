"""Which keys profiles.yaml may hold, and what may stand under each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from sm_ask import slips
from sm_ask.strict_yaml import Node, shown

#: The endpoint on this machine; a profile of this name always exists.
LOCAL = "local"
RESERVED = (LOCAL, "init")
_LINE = "[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+"
_MAX_SECONDS = 366 * 24 * 3600


def checked(node: Node, keys: Keys, owner: str) -> dict[str, Any]:
    """Check a mapping's values; those of an inner mapping are settings beside the others."""
    settings: dict[str, Any] = {}
    for key, value in node.fields(owner).items():
        known = keys.get(key)
        if known is None:
            inner = [f"{group}.{name}" for group, names in keys.items() if isinstance(names, Mapping) for name in names]
            message = f"unknown key {shown(key)} in {owner}{did_you_mean(key, [*keys, *inner])}"
            raise value.place.error(message, hint="known keys: " + ", ".join(keys))
        if isinstance(known, Mapping):
            settings |= checked(value, known, f"{shown(key)} of {owner}")
        elif value.value is not None:
            settings[key] = known(value, key)
    return settings


def _named(node: Node, key: str) -> Mapping[str, Node]:
    for name, value in node.fields(key).items():
        if fault := name_fault(name):
            raise value.place.error(f"the profile name {shown(name)} {fault}")
    return node.fields(key)


def _text(node: Node, key: str) -> str:
    if isinstance(node.value, str) and node.value:
        return node.value
    hint = f'write {key}: "…", with the quotes' if isinstance(node.value, (bool, int, float)) else None
    raise node.place.error(f"{key} must be text, not {node.kind}", hint=hint)


def _line(node: Node, key: str) -> str:
    if fault := line_fault(text := _text(node, key)):
        raise node.place.error(f"{key} {fault}")
    return text


def line_fault(text: str, longest: int = 2000) -> str | None:
    """Say what keeps a text from being one line."""
    fits = len(text) <= longest and re.fullmatch(_LINE, text)
    return None if fits else f"must be one line of text, with at most {longest} characters"


def name_fault(name: str) -> str | None:
    """Say what keeps a text from being a profile's name."""
    return "is reserved" if name in RESERVED else line_fault(name, longest=100)


def _params(node: Node, key: str) -> dict[str, Any]:
    return {name: value.plain() for name, value in node.fields(key).items()}


def _seconds(node: Node, key: str) -> float:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _MAX_SECONDS:
        raise node.place.error(f"{key} must be a number of seconds, above 0 and at most {_MAX_SECONDS}")
    return float(value)


def _count(node: Node, key: str) -> int:
    if isinstance(node.value, bool) or not isinstance(node.value, int) or node.value < 0:
        raise node.place.error(f"{key} must be a whole number, 0 or more")
    return node.value


def _account(node: Node, key: str) -> str:
    if not re.fullmatch("[0-9]{12}", _text(node, key)):
        raise node.place.error(f"{key} must be an account id: 12 digits")
    return str(node.value)


def _hops(node: Node, key: str) -> tuple[dict[str, Any], ...]:
    """Take one role or a list of roles."""
    nodes = node.value if isinstance(node.value, tuple) else (node,)
    hops = [(each, checked(each, HOP_KEYS, key)) for each in nodes]
    for each, hop in hops:
        if "role_arn" not in hop:
            raise each.place.error(f"{key} needs a role_arn")
    return tuple(hop for _, hop in hops)


def _tags(node: Node, key: str) -> dict[str, str]:
    return {name: _line(value, f"{key}.{name}") for name, value in node.fields(key).items()}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Name the close one of those that there are, for the end of an error."""
    near = slips.meant(word, known)
    return f"; did you mean {shown(near)}?" if near else ""


Keys: TypeAlias = "Mapping[str, Callable[[Node, str], Any] | Keys]"

#: What a role to assume may hold.
HOP_KEYS: Keys = {
    "role_arn": _line,
    "external_id": _line,
    "mfa_serial": _line,
    "session_name": _line,
    "duration": _count,
    "source_identity": _line,
    "tags": _tags,
}
#: What a profile may hold; the name of each key with a check is the name of a field of Profile.
PROFILE_KEYS: Keys = {
    "endpoint": _line,
    "region": _line,
    "handler": _line,
    "params": _params,
    "system": _text,
    "credentials": {"aws_profile": _line, "assume_role": _hops},
    "expect_account": _account,
    "endpoint_url": _line,
    "inference_component": _line,
    "target_variant": _line,
    "target_model": _line,
    "target_container": _line,
    "custom_attributes": _line,
    "session_id": _line,
    "timeout": _seconds,
    "idle_timeout": _seconds,
    "retries": _count,
    "context_window": _count,
    "tokenizer": _line,
}
FILE_KEYS: Keys = {"default": _line, "profiles": _named, "handlers": _params}
