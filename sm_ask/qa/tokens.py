"""How many tokens a text has: an estimate from above, or a tokenizer's own count."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

#: Counts the tokens of a text.
Counter: TypeAlias = "Callable[[str], int]"

_PLAIN = bytes(range(ord("a"), ord("z") + 1)) + b" "
_CHARACTERS_PER_TOKEN = 3


def estimate(text: str) -> int:
    """Estimate from above: three small letters to a token, and a token for each other byte."""
    data = text.encode(errors="surrogatepass")
    other = len(data.translate(None, _PLAIN))
    return -(-(len(data) - other) // _CHARACTERS_PER_TOKEN) + other


def counter(tokenizer: str | None) -> Counter:
    """Give the counter of a tokenizer.json, or the estimate."""
    if tokenizer is None:
        return estimate
    raise NotImplementedError
