"""A request that is not sent: what it would be, and the same call for the aws CLI and for curl."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask.render.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_ask.render.output import Output


#: More passages of a call are not named.
_MOST = 8


class Sketch(NamedTuple):
    """A request without its signature; ``whole_*`` is the same question asked for a whole answer."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    whole_url: str
    whole_headers: Mapping[str, str]
    whole_body: bytes
    region: str
    endpoint: str
    endpoint_url: str | None
    aws_profile: str | None
    parameters: Mapping[str, str]
    #: The ARNs of the roles that are assumed first.
    roles: Sequence[str] = ()


def show(sketch: Sketch, out: Output, *, as_json: bool, plan: Mapping[str, Any] | None = None) -> None:
    """Write the request and its two twins, for a person or as JSON; before them the plan that it is a part of."""
    if as_json:
        out.json(described(sketch) | ({} if plan is None else {"plan": plan}))
        return
    if plan is not None:
        out.text(_planned(plan))
    headers = "".join(f"{name}: {value}\n" for name, value in sketch.headers.items())
    body = sketch.body.decode(errors="replace")
    out.text(f"{sketch.method} {sketch.url}\n{headers}\n{body}\n")
    out.text("\n# The same question for a whole answer; the aws CLI has no streaming call, and curl reads no frames.\n")
    if sketch.roles:
        out.text(f"# They need the keys of {sketch.roles[-1]}: see `aws sts assume-role`.\n")
    out.text(f"{aws_command(sketch)}\n\n{curl_command(sketch)}\n")


def _planned(plan: Mapping[str, Any]) -> str:
    """Give the calls that a question takes at most, a line each."""
    calls = plan["calls"]
    total = sum(call["tokens"] for call in calls)
    lines = [
        f"# {plan['chain']}: at most {len(calls)} call{'s' * (len(calls) != 1)}, about {total:,} tokens; the first:"
    ]
    for number, call in enumerate(calls, start=1):
        read = ", ".join(call["passages"][:_MOST]) + (" …" if len(call["passages"]) > _MOST else "")
        lines.append(f"#   {number}. {call['step']}, about {call['tokens']:,} tokens: {one_line(read)}")
    return "\n".join(lines) + "\n"


def described(sketch: Sketch) -> dict[str, Any]:
    """Give the request as an object."""
    try:
        body = json.loads(sketch.body)
    except ValueError:
        body = sketch.body.decode(errors="replace")
    return {
        "method": sketch.method,
        "url": sketch.url,
        "headers": dict(sketch.headers),
        "body": body,
        "roles": list(sketch.roles),
        "aws": aws_command(sketch),
        "curl": curl_command(sketch),
    }


_AWS_OPTIONS = {
    "InferenceComponentName": "--inference-component-name",
    "TargetVariant": "--target-variant",
    "TargetModel": "--target-model",
    "TargetContainerHostname": "--target-container-hostname",
    "CustomAttributes": "--custom-attributes",
    "SessionId": "--session-id",
}


def aws_command(sketch: Sketch) -> str:
    """Give the call for the aws CLI, old or new."""
    words = ["aws", "sagemaker-runtime", "invoke-endpoint", "--region", sketch.region]
    if sketch.aws_profile:
        words += ["--profile", sketch.aws_profile]
    if sketch.endpoint_url:
        words += ["--endpoint-url", sketch.endpoint_url]
    words += ["--endpoint-name", sketch.endpoint, "--content-type", sketch.whole_headers["Content-Type"]]
    words += ["--accept", sketch.whole_headers["Accept"]]
    for name, value in sketch.parameters.items():
        words += [_AWS_OPTIONS[name], value]
    words += ["--body", "fileb:///dev/stdin", "/dev/stdout"]
    return f"{_echo(sketch.whole_body)} | {shlex.join(words)}"


def curl_command(sketch: Sketch) -> str:
    """Give the call for curl, which signs it with the keys in the environment."""
    signed = f"aws:amz:{sketch.region}:sagemaker"
    words = ["curl", "--fail-with-body", "--silent", "--show-error", "--aws-sigv4", signed]
    keys = '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" --header "X-Amz-Security-Token: $AWS_SESSION_TOKEN"'
    sent = [f"{name}: {value}" for name, value in sketch.whole_headers.items() if name.lower() not in _OF_THE_CLIENT]
    headers = [word for header in sent for word in ("--header", header)]
    rest = shlex.join([*headers, "--data-binary", "@-", sketch.whole_url])
    return f"{_echo(sketch.whole_body)} | {shlex.join(words)} {keys} {rest}"


_OF_THE_CLIENT = {"user-agent", "content-length", "amz-sdk-request", "amz-sdk-invocation-id"}


def _echo(body: bytes) -> str:
    return f"printf %s {shlex.quote(body.decode(errors='replace'))}"
