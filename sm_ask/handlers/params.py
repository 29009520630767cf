"""The canonical parameters, and how a container's own names stand beside them."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask import slips
from sm_ask.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: What every handler knows by these names.
CANONICAL = ("max_tokens", "temperature", "top_p", "top_k", "stop", "seed", "repetition_penalty", "n")
#: Sent where nobody says otherwise: without a limit, containers answer with as few as 16 tokens or without end.
DEFAULT_MAX_TOKENS = 512
#: How like a canonical name another one has to be to be taken for a slip; min_tokens and top_a are parameters, too.
_SLIP = 0.88


class Params(NamedTuple):
    """How a family of containers takes parameters.

    ``names`` gives its names where they are not the canonical ones: several where all of them are sent, none where it
    has nothing of the kind. ``rule`` looks after its ranges, before the names change. ``only`` names all that it takes.
    """

    within: str | None = None
    names: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    rule: Callable[[dict[str, Any]], dict[str, Any]] = dict
    same_limit: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def translate(self, canonical: Mapping[str, Any], handler: str) -> dict[str, Any]:
        """Give the parameters as the container takes them; UsageError for one that it would not understand.

        A token limit is always among them.
        """
        return self.renamed(self.rule(self.given(canonical)), handler)

    def given(self, canonical: Mapping[str, Any]) -> dict[str, Any]:
        """Give the parameters under the names they have, with a token limit, without what goes without saying."""
        given = {"max_tokens": DEFAULT_MAX_TOKENS, **canonical}
        if given.keys() & {*self._own("max_tokens"), *self.same_limit} - {"max_tokens"}:
            del given["max_tokens"]
        if given.get("n") == 1:
            # One answer is what every container gives.
            del given["n"]
        if isinstance(given.get("stop"), str):
            # Every container takes a list; some refuse a single string.
            given["stop"] = [given["stop"]]
        return given

    def renamed(self, given: Mapping[str, Any], handler: str) -> dict[str, Any]:
        """Give the parameters under the container's names."""
        params: dict[str, Any] = {}
        for name, value in given.items():
            for own in self._checked(name, handler):
                params.setdefault(own, value)
        return params

    def listed(self) -> dict[str, str | None]:
        """Give the container's name of each canonical parameter; None where it has none."""
        return {name: " and ".join(self._own(name)) or None for name in CANONICAL if name != "n"}

    def _own(self, name: str) -> tuple[str, ...]:
        return self.names.get(name, (name,))

    def _checked(self, name: str, handler: str) -> tuple[str, ...]:
        own = self._own(name)
        if not own or (self.only and not {*own} <= {*self.only}):
            hint = (
                f"leave it out, or name another content handler; `sm-ask handlers {handler}` lists what this one takes"
            )
            raise UsageError(
                f"the container behind the handler {handler} knows no parameter {name}{_suggested(name)}", hint=hint
            )
        return own


def meant(name: str) -> str | None:
    """Give the canonical name that another one looks like a slip of; None for one that may be a container's own."""
    if name in CANONICAL:
        return None
    return slips.meant(name, CANONICAL, _SLIP)


def _suggested(name: str) -> str:
    near = meant(name)
    return f"; did you mean {near}?" if near else ""


def sampled(params: dict[str, Any]) -> dict[str, Any]:
    """Say by ``do_sample`` whether to sample; leave out what turns a filter off, which Hugging Face refuses."""
    rest = dict(params)
    temperature = rest.pop("temperature", None)
    if _number(rest.get("top_p"), 0) >= 1:
        del rest["top_p"]
    if _number(rest.get("top_k"), 1) <= 0:
        del rest["top_k"]
    if temperature is None:
        return rest
    sampling = {"temperature": temperature, "do_sample": True} if temperature else {"do_sample": False}
    return {**_first(rest, "max_tokens"), **sampling, **rest}


def nearly_greedy(params: dict[str, Any]) -> dict[str, Any]:
    """Replace temperature 0, where it is refused and nothing else turns sampling off, by one that leaves one token."""
    if params.get("temperature") == 0:
        return {**params, "temperature": 0.01, "top_p": 0.01}
    return params


def body_of(fields: Any) -> bytes:  # noqa: ANN401 - JSON
    """Write a request's body; InputError for what JSON cannot hold: NaN, or a text that is no Unicode."""
    try:
        return json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise InputError(f"the request cannot be written as JSON: {error}") from error


def text_of(text: str) -> bytes:
    """Write a request that is a text; InputError for one that is no Unicode."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the request cannot be written as UTF-8: {error.reason}") from error


def _first(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {name: params[name]} if name in params else {}


def _number(value: Any, default: float) -> float:  # noqa: ANN401 - JSON
    return value if isinstance(value, (int, float)) else default
