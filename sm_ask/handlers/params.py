"""The canonical parameters, and how a container's own names stand beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Sent where nobody says otherwise: without a limit, containers answer with as few as 16 tokens or without end.
DEFAULT_MAX_TOKENS = 512


def translate(params: Mapping[str, Any], max_tokens: str, *synonyms: str) -> dict[str, Any]:
    """Give the parameters with the token limit under the container's name, unless they hold that name already.

    ``stop`` becomes a list, which every container takes; some refuse a single string.
    """
    rest = dict(params)
    limit = rest.pop("max_tokens", DEFAULT_MAX_TOKENS)
    if isinstance(rest.get("stop"), str):
        rest["stop"] = [rest["stop"]]
    return rest if rest.keys() & {max_tokens, *synonyms} else {max_tokens: limit, **rest}
