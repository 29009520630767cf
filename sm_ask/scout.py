"""What AWS says of an endpoint → the content handler that fits it, and how many tokens its model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask.aws import deployment
from sm_ask.errors import ConfigError
from sm_ask.handlers import detect
from sm_ask.handlers.window import context_window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_ask.aws.control import Control
    from sm_ask.aws.deployment import Container, Part
    from sm_ask.aws.runtime import Target
    from sm_ask.handlers.detect import Found

_JUMPSTART = "sagemaker-sdk:jumpstart-model-id"


class Report(NamedTuple):
    """What is known of an endpoint, or of a part of it."""

    found: Found
    context_window: int | None = None


def look(control: Control, target: Target) -> Report:
    """Look at what would answer a request for the target.

    Raises SmAskError where that cannot be seen, ConfigError where a request has to name an inference component.
    """
    parts = deployment.behind(control, target)
    if not any(part.containers for part in parts):
        components = [each["InferenceComponentName"] for each in components_of(control, target.endpoint)]
        if components and not target.inference_component:
            hint = f"--inference-component names one: {', '.join(components)}"
            raise ConfigError(
                f"the endpoint {target.endpoint} holds inference components, and none is named", hint=hint
            )
    return together([of_part(control, part, target.container) for part in parts], "variants")


def components_of(control: Control, endpoint: str) -> list[Mapping[str, Any]]:
    """List the inference components of an endpoint."""
    return list(control.pages("ListInferenceComponents", "InferenceComponents", EndpointNameEquals=endpoint))


def of_part(control: Control, part: Part, hostname: str | None = None) -> Report:
    """Say what is known of a variant or a component; of the container of that name alone, if one is named."""
    named = [each for each in part.containers if hostname and each.hostname == hostname]
    report = together([_of_container(each) for each in named or part.containers], "containers")
    if report.found.family not in detect.ANY_MODEL:
        return report
    model = deployment.tags(control, part.arn).get(_JUMPSTART)
    return report._replace(found=detect.with_jumpstart(report.found, model))


def _of_container(container: Container) -> Report:
    window = context_window(container.environment)
    if container.package and not container.image:
        return Report(detect.of_package(container.package), window)
    return Report(detect.detect(container.image, container.environment), window)


def together(reports: Sequence[Report], what: str) -> Report:
    """Say what is known of several things, any of which may answer."""
    if not reports:
        return Report(detect.detect(None))
    windows = [report.context_window for report in reports if report.context_window]
    found = detect.same([report.found for report in reports], what)
    return Report(found, min(windows, default=None))
