"""Patterns as .gitignore files have them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Rule(NamedTuple):
    """One pattern: what it matches of a path that counts from its folder."""

    expression: re.Pattern[str]
    #: Whether it takes back what an earlier rule says.
    negated: bool
    #: Whether it means folders alone.
    folders: bool


def rules(lines: Iterable[str]) -> list[Rule]:
    """Read patterns, one a line."""
    return [rule for line in lines if (rule := _rule(line.rstrip("\r\n")))]


def verdict(found: Iterable[Rule], path: str, *, folder: bool) -> bool | None:
    """Say what the last rule that matches says: True, or False if it is negated; None where none matches."""
    last = None
    for rule in found:
        if (folder or not rule.folders) and rule.expression.fullmatch(path):
            last = not rule.negated
    return last


def _rule(line: str) -> Rule | None:
    line = re.sub(r"(?<!\\) +$", "", line)
    if not line or line.startswith("#"):
        return None
    negated = line.startswith("!")
    pattern = line[negated:]
    folders = pattern.endswith("/")
    pattern = pattern.rstrip("/") if folders else pattern
    if not pattern:
        return None
    # A slash inside ties a pattern to its folder; without one it matches at any depth.
    tied = "/" in pattern
    return Rule(
        re.compile(("" if tied else "(?:.*/)?") + _expression(pattern.removeprefix("/")), re.DOTALL), negated, folders
    )


_TOKENS = re.compile(
    r"(?P<start>^\*\*/)|(?P<middle>/\*\*(?=/))|(?P<end>/\*\*$)|(?P<stars>\*+)|(?P<one>\?)"
    r"|\[(?P<negated>[!^]?)(?P<set>\]?(?:\[:\w+:\]|\\.|[^\]\\])*)\]|\\(?P<escaped>.)|(?P<plain>.)",
    re.DOTALL,
)
_CLASSES = {"alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "digit": "0-9", "lower": "a-z", "upper": "A-Z", "space": r"\s"}


def _expression(pattern: str) -> str:
    return "".join(_translated(token) for token in _TOKENS.finditer(pattern))


def _translated(token: re.Match[str]) -> str:
    kind = token.lastgroup or ""
    fixed = {"start": "(?:.*/)?", "middle": "(?:/.*)?", "end": "/.*", "stars": "[^/]*", "one": "[^/]"}
    if kind in fixed:
        return fixed[kind]
    if kind == "set":
        return _set(token["set"], negated=bool(token["negated"]))
    if token["plain"] in ("[", "\\"):
        # To git, a set without an end matches nothing, and neither does an escape of nothing.
        return "(?!)"
    return re.escape(token["escaped"] or token["plain"] or "")


def _set(members: str, *, negated: bool) -> str:
    inner = re.sub(r"\[:(\w+):\]", lambda name: _CLASSES.get(name[1], ""), members)
    inner = re.sub(r"\\(.)|([\[\]^&~|\\])", lambda found: re.escape(found[1] or found[2]), inner)
    try:
        re.compile(f"[{inner}]")
    except re.error:
        return "(?!)"
    return f"(?!/)[{'^' if negated else ''}{inner}]"
