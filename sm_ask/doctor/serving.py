"""What AWS says of an endpoint, or of a component behind it → whether it can be asked, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_ask import inventory, scout
from sm_ask.aws import deployment
from sm_ask.errors import NotReadyError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_ask.aws.control import Control
    from sm_ask.handlers.detect import Found

#: While an endpoint is changed, the old one answers.
_SERVE = ("InService", "Updating", "SystemUpdating", "RollingBack")
_COME = ("Creating",)


def serving(control: Control, name: str, component: str | None) -> tuple[str, list[str]]:
    """Say in a line what runs there, and what could not be seen.

    Raises SmAskError where it takes no questions now, or never, and where it cannot be looked at.
    """
    endpoint = inventory.entry(control, name)
    _check(f"the endpoint {name}", endpoint["status"], endpoint["failure"])
    facts = ", ".join(filter(None, (endpoint["status"], endpoint["kind"], endpoint["instance"])))
    if component is not None:
        return f"{facts}; {_component(control, name, component)}", []
    if names := ", ".join(each["name"] for each in endpoint["inference_components"]):
        hint = f"name one with --inference-component: {names}"
        raise RefusedError(f"the endpoint {name} holds inference components, and none is named", hint=hint)
    return f"{facts}; {_fits(endpoint['handler'], endpoint['candidates'], endpoint['reason'])}", endpoint["unseen"]


def _component(control: Control, endpoint: str, name: str) -> str:
    described = control.call("DescribeInferenceComponent", InferenceComponentName=name)
    if (there := described.get("EndpointName", endpoint)) != endpoint:
        raise RefusedError(f"the inference component {name} is behind the endpoint {there}, not {endpoint}")
    _check(f"the inference component {name}", described.get("InferenceComponentStatus"), described.get("FailureReason"))
    found: Found = scout.of_part(control, deployment.component(control, described)).found
    return f"{name}: {_fits(found.preset, found.candidates, found.reason)}"


def _check(what: str, status: str | None, failure: str | None) -> None:
    if status in (None, *_SERVE):
        return
    if status in _COME:
        raise NotReadyError(f"{what} is still being made ({status})", hint="--wait waits for it")
    raise RefusedError(f"{what} is {status}" + (f": {failure}" if failure else ""))


def _fits(handler: str | None, candidates: Iterable[str], reason: str) -> str:
    fits = f"handler {handler}" if handler else f"no known handler, perhaps {', '.join(candidates)}"
    return f"{fits} ({reason})"
