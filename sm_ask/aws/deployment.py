"""What runs behind an endpoint: its variants or inference components, and the containers of each."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask.aws.control import MissingError
from sm_ask.errors import RefusedError, SmAskError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_ask.aws.control import Control
    from sm_ask.aws.runtime import Target

#: An adapter stands on a base; a base stands on none.
_MOST_BASES = 3


class Container(NamedTuple):
    """A container as its model has it; a model of the Marketplace has a package, and no image that it names."""

    image: str | None
    environment: Mapping[str, str] = MappingProxyType({})
    hostname: str | None = None
    package: str | None = None


class Part(NamedTuple):
    """A variant of an endpoint, or an inference component: whatever answers by itself."""

    name: str
    arn: str
    model: str | None
    containers: Sequence[Container] = ()


def behind(control: Control, target: Target) -> list[Part]:
    """Give the parts that may answer a request for the target; raises SmAskError where that cannot be seen."""
    if target.inference_component:
        return [component(control, control.call("DescribeInferenceComponent", **_named(target.inference_component)))]
    endpoint = control.call("DescribeEndpoint", EndpointName=target.endpoint)
    variants = endpoint.get("ProductionVariants", [])
    wanted = [variant for variant in variants if target.variant in (None, variant["VariantName"])]
    if not wanted and target.variant:
        hint = f"--target-variant names one of: {', '.join(variant['VariantName'] for variant in variants)}"
        raise MissingError(f"the endpoint {target.endpoint} has no variant {target.variant}", hint=hint)
    try:
        models = models_of(config(control, endpoint))
    except SmAskError:
        if not any(_images(variant) for variant in wanted):
            raise
        models = {}
    return [part(control, endpoint, variant, models) for variant in wanted]


def config(control: Control, endpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give what an endpoint was made of."""
    return control.call("DescribeEndpointConfig", EndpointConfigName=endpoint["EndpointConfigName"])


def models_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Give the name of each variant's model; nothing for a variant that holds inference components."""
    variants = config.get("ProductionVariants", [])
    return {variant["VariantName"]: variant["ModelName"] for variant in variants if variant.get("ModelName")}


def part(control: Control, endpoint: Mapping[str, Any], variant: Mapping[str, Any], models: Mapping[str, str]) -> Part:
    """Give a variant; where its model cannot be seen, with the images that it runs."""
    name = variant["VariantName"]
    images = [Container(image["SpecifiedImage"]) for image in _images(variant)]
    model = models.get(name)
    found: Sequence[Container] = images
    if model:
        try:
            found = containers(control, model)
        except SmAskError:
            if not images:
                raise
    return Part(name, endpoint["EndpointArn"], model, found)


def _images(variant: Mapping[str, Any]) -> list[Mapping[str, str]]:
    return [image for image in variant.get("DeployedImages", []) if image.get("SpecifiedImage")]


def component(control: Control, described: Mapping[str, Any]) -> Part:
    """Give an inference component; an adapter has the containers of its base."""
    name, arn = described["InferenceComponentName"], described["InferenceComponentArn"]
    specification = _specification(described)
    for _ in range(_MOST_BASES):
        base = specification.get("BaseInferenceComponentName")
        if not base:
            break
        specification = _specification(control.call("DescribeInferenceComponent", **_named(base)))
    model = specification.get("ModelName")
    if model:
        return Part(name, arn, model, containers(control, model))
    container = specification.get("Container") or {}
    image = (container.get("DeployedImage") or {}).get("SpecifiedImage") or container.get("Image")
    return Part(name, arn, None, [Container(image, container.get("Environment") or {})] if image else [])


def _specification(described: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = described.get("Specification") or (described.get("Specifications") or [{}])[0]
    return found


def _named(component: str) -> dict[str, str]:
    return {"InferenceComponentName": component}


def containers(control: Control, model: str) -> list[Container]:
    """Give a model's containers."""
    described = control.call("DescribeModel", ModelName=model)
    several = described.get("Containers") or []
    return [_container(control, each) for each in several or [described.get("PrimaryContainer") or {}]]


def _container(control: Control, described: Mapping[str, Any]) -> Container:
    environment, hostname = described.get("Environment") or {}, described.get("ContainerHostname")
    package = described.get("ModelPackageName")
    image = described.get("Image")
    if package and not image:
        image, theirs = _of_package(control, package)
        environment = {**theirs, **environment}
    return Container(image, environment, hostname, package)


def _of_package(control: Control, name: str) -> tuple[str | None, Mapping[str, str]]:
    """Give the image and the environment of a model package; that of a vendor may not be for everyone to see."""
    try:
        described = control.call("DescribeModelPackage", ModelPackageName=name)
    except SmAskError:
        return None, {}
    several = (described.get("InferenceSpecification") or {}).get("Containers") or [{}]
    return several[0].get("Image"), several[0].get("Environment") or {}


def tags(control: Control, arn: str) -> dict[str, str]:
    """Give a resource's tags; none where they may not be seen."""
    try:
        return {tag["Key"]: tag["Value"] for tag in control.pages("ListTags", "Tags", ResourceArn=arn)}
    except RefusedError:
        return {}
