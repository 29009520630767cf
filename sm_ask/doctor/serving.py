"""What AWS says of an endpoint → whether it can be asked, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sm_ask.errors import NotReadyError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: While an endpoint is changed, the old one answers.
_SERVE = ("InService", "Updating", "SystemUpdating", "RollingBack")
_COME = ("Creating",)


def serving(endpoint: Mapping[str, Any], component: str | None) -> str:
    """Say in a line what runs there; raises SmAskError where it takes no questions now, or never."""
    name = endpoint["name"]
    _check(f"the endpoint {name}", endpoint["status"], endpoint["failure"])
    components = endpoint["inference_components"]
    if component is None and not components:
        return f"{_facts(endpoint)}; {_fits(endpoint)}"
    names = ", ".join(each["name"] for each in components)
    if component is None:
        hint = f"name one with --inference-component: {names}"
        raise RefusedError(f"the endpoint {name} holds inference components, and none is named", hint=hint)
    found = next((each for each in components if each["name"] == component), None)
    if found is None:
        hint = f"there are {names}" if names else "it has none, as far as one may see"
        raise RefusedError(f"the endpoint {name} has no inference component {component}", hint=hint)
    _check(f"the inference component {component}", found["status"], None)
    return f"{_facts(endpoint)}; {component}: {_fits(found)}"


def _check(what: str, status: str | None, failure: str | None) -> None:
    if status in (None, *_SERVE):
        return
    if status in _COME:
        raise NotReadyError(f"{what} is still being made ({status})", hint="--wait waits for it")
    raise RefusedError(f"{what} is {status}" + (f": {failure}" if failure else ""))


def _facts(endpoint: Mapping[str, Any]) -> str:
    return ", ".join(filter(None, (endpoint["status"], endpoint["kind"], endpoint["instance"])))


def _fits(piece: Mapping[str, Any]) -> str:
    candidates = ", ".join(piece["candidates"])
    handler = f"handler {piece['handler']}" if piece["handler"] else f"no known handler, perhaps {candidates}"
    return f"{handler} ({piece['reason']})"
