"""What the SageMaker runtime wraps around a container's response: header fields, and the errors that are its own."""

from __future__ import annotations

import http
import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from sm_ask.local import frames

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT: Final = "000000000000"
_REGION: Final = "us-east-1"
_VARIANT: Final = "AllTraffic"
_CONTAINER: Final = "primary"


class RefusedError(Exception):
    """A request that gets an error for an answer: its HTTP status, its type on the wire and its JSON body."""

    def __init__(self, status: int, kind: str | None, body: Mapping[str, Any]) -> None:
        """Take the three."""
        super().__init__(kind or status)
        self.status = status
        self.kind = kind
        self.fields = body
        self.body = json.dumps(body).encode()

    def headers(self) -> dict[str, str]:
        """Give the header fields that go with it."""
        fields = {**identified(), "Content-Type": "application/json"}
        return fields if self.kind is None else {**fields, "x-amzn-ErrorType": self.kind}


def identified() -> dict[str, str]:
    """Give a new request its id."""
    return {"x-amzn-RequestId": str(uuid.uuid4())}


def answered(custom_attributes: str | None) -> dict[str, str]:
    """Give the header fields of every successful answer."""
    fields = {**identified(), "x-Amzn-Invoked-Production-Variant": _VARIANT}
    if custom_attributes is not None:
        fields["X-Amzn-SageMaker-Custom-Attributes"] = custom_attributes
    return fields


def refused(status: http.HTTPStatus, kind: str | None, message: str) -> RefusedError:
    """Refuse a request before any container sees it."""
    return RefusedError(status, kind, {"Message": message})


def unknown_endpoint(name: str) -> RefusedError:
    """Say that there is no such endpoint."""
    message = f"Endpoint {name} of account {ACCOUNT} not found."
    return refused(http.HTTPStatus.BAD_REQUEST, "ValidationError", message)


def container_failed(endpoint: str, status: int, body: bytes) -> RefusedError:
    """Wrap a container's 4xx or 5xx."""
    ours = status < http.HTTPStatus.INTERNAL_SERVER_ERROR
    code, side = ("CLIENT_ERROR_FROM_MODEL", "client") if ours else ("INTERNAL_FAILURE_FROM_MODEL", "server")
    original = body.decode(errors="replace")
    return _model_error(
        endpoint,
        code,
        f'Received {side} error ({status}) from {_CONTAINER} with message "{original}"',
        status,
        original,
    )


def no_answer(endpoint: str, *, slow: bool) -> RefusedError:
    """Report a container that nobody reached, or that took too long: a server error whose status is 0."""
    if slow:
        original = (
            f"Your invocation timed out while waiting for a response from container {_CONTAINER}. Review the latency "
            "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
        )
    else:
        original = (
            f"Amazon SageMaker could not get a response from the {endpoint} endpoint. This can occur when CPU or "
            "memory utilization is high. To check your utilization, see Amazon CloudWatch. To fix this problem, use an "
            "instance type with more CPU capacity or memory."
        )
    message = f'Received server error (0) from {_CONTAINER} with message "{original}"'
    return _model_error(endpoint, "INTERNAL_FAILURE_FROM_MODEL", message, 0, original)


def broken_answer(endpoint: str, status: int) -> RefusedError:
    """Report a container that broke off within a response that was not streamed."""
    message = f"Received server error ({status}) from {_CONTAINER} and could not load the entire response body"
    return _model_error(endpoint, "INTERNAL_FAILURE_FROM_MODEL", message, status, "")


def for_openai(refusal: RefusedError) -> RefusedError:
    """Put a refusal into the shape of OpenAI's errors, with the container's own status where it gave one."""
    status = int(refusal.fields.get("OriginalStatusCode") or refusal.status)
    kind = "invalid_request_error" if status < http.HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    known = {"message": refusal.fields["Message"], "type": kind, "param": None, "code": refusal.kind}
    return RefusedError(status, None, {"error": known})


def broken_stream(*, slow: bool) -> bytes:
    """Encode the failure of a stream that has begun."""
    if slow:
        fault = {"Message": "The stream took too long.", "ErrorCode": "ModelInvocationTimeExceeded"}
    else:
        fault = {"Message": "The container broke off within its response.", "ErrorCode": "StreamBroken"}
    return frames.exception("ModelStreamError", fault)


def _model_error(endpoint: str, code: str, message: str, status: int, original: str) -> RefusedError:
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    console = f"https://{_REGION}.console.aws.amazon.com/cloudwatch/home?region={_REGION}#logEventViewer:group={group}"
    body: dict[str, str | int] = {
        "ErrorCode": code,
        "Message": f"{message}. See {console} in account {ACCOUNT} for more information.",
        "OriginalStatusCode": status,
        "OriginalMessage": original,
        "LogStreamArn": f"arn:aws:logs:{_REGION}:{ACCOUNT}:log-group:{group}",
    }
    return RefusedError(http.HTTPStatus.FAILED_DEPENDENCY, "ModelError", body)
