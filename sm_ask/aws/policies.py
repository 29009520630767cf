"""The statements that an IAM policy needs for what sm-ask does."""

from __future__ import annotations

from typing import Any


def invoke(account: str, region: str, partition: str, endpoint: str, component: str | None = None) -> dict[str, Any]:
    """Give the statement that lets an identity ask an endpoint, and one component behind it."""
    at = f"arn:{partition}:sagemaker:{region}:{account}"
    found = [f"{at}:endpoint/{endpoint.lower()}"]
    if component:
        found.append(f"{at}:inference-component/{component.lower()}")
    return _allow("sagemaker:InvokeEndpoint", found)


def describe() -> dict[str, Any]:
    """Give the statement that lets an identity find out what runs behind an endpoint; nothing depends on it."""
    things = ("Endpoint", "EndpointConfig", "Model", "InferenceComponent", "ModelPackage")
    actions = [*(f"Describe{thing}" for thing in things), "ListEndpoints", "ListInferenceComponents", "ListTags"]
    return _allow([f"sagemaker:{action}" for action in actions], "*")


def assume(role: str) -> dict[str, Any]:
    """Give the statement that lets an identity assume a role; the role's own trust policy must name the identity."""
    return _allow("sts:AssumeRole", role)


def _allow(action: str | list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}
