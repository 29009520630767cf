"""One endpoint of the SageMaker runtime: a request's body out, the container's bytes back as they arrive."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from urllib3 import exceptions as http

from sm_ask.aws import frames, reading, session
from sm_ask.aws.failures import translated
from sm_ask.aws.reading import Clock
from sm_ask.errors import (
    ConnectionLostError,
    InputError,
    RefusedError,
    UnusableError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.awsrequest import AWSPreparedRequest
    from urllib3.response import HTTPResponse

    from sm_ask.aws.calls import Calls

#: The service's limit for a real-time endpoint; botocore's own model still says 6 MB, and checks neither.
LARGEST_BODY = 25 * 1024 * 1024
_WHOLE, _STREAMED = "InvokeEndpoint", "InvokeEndpointWithResponseStream"
_CHUNK = 65536
#: Seconds to wait for a response to end whose answer is whole.
_LINGER = 0.2
#: Each part of an endpoint: the API's name of it, and the option's.
_PARTS = {
    "inference_component": ("InferenceComponentName", "--inference-component"),
    "variant": ("TargetVariant", "--target-variant"),
    "model": ("TargetModel", "--target-model"),
    "container": ("TargetContainerHostname", "--target-container"),
    "custom_attributes": ("CustomAttributes", "--custom-attributes"),
    "session_id": ("SessionId", "--session-id"),
    "inference_id": ("InferenceId", "InferenceId"),
}
_REQUEST_ID, _VARIANT = "x-amzn-requestid", "x-amzn-invoked-production-variant"
_log = logging.getLogger(__name__)
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_VISIBLE = re.compile(r"[\x20-\x7e]{1,1024}")


class Target(NamedTuple):
    """Which endpoint, and which part of it."""

    endpoint: str
    inference_component: str | None = None
    variant: str | None = None
    model: str | None = None
    container: str | None = None
    custom_attributes: str | None = None
    session_id: str | None = None
    inference_id: str | None = None

    def checked(self) -> Target:
        """Give the same, or raise UsageError for what the service would never accept in a URL or a header."""
        if not _NAME.fullmatch(self.endpoint) or len(self.endpoint) > 63:  # noqa: PLR2004 - the service's limit
            hint = "it has 1 to 63 letters, digits and hyphens, and begins and ends with no hyphen"
            raise UsageError(f"{self.endpoint!r} is no endpoint name", hint=hint)
        for part, (_, option) in _PARTS.items():
            value = getattr(self, part)
            if value is not None and not _VISIBLE.fullmatch(value):
                raise UsageError(f"{option} takes 1 to 1024 visible ASCII characters, not {value!r}")
        return self

    @property
    def can_stream(self) -> bool:
        """The streaming call knows neither multi-model endpoints nor new sessions."""
        return self.model is None and self.session_id != "NEW_SESSION"

    def headers(self) -> dict[str, str]:
        """Give the request's parameters under the API's names."""
        named = ((name, getattr(self, part)) for part, (name, _) in _PARTS.items())
        return {name: value for name, value in named if value is not None}


class Reply(NamedTuple):
    """A response whose body has not been read yet."""

    chunks: Iterator[bytes]
    request_id: str | None
    variant: str | None
    raw: HTTPResponse
    #: Whether another request may follow over the same connection.
    reuse: bool = False

    def finish(self) -> None:
        """Take the little that may follow a whole answer, so that the connection can serve another request."""
        connection = self.raw.connection if self.reuse else None
        if connection is None or connection.sock is None:
            return
        with contextlib.suppress(http.HTTPError, OSError, ValueError):
            connection.sock.settimeout(_LINGER)
            self.raw.read1(_CHUNK)

    def close(self) -> None:
        """Drop the connection, so that nothing more is generated."""
        self.raw.close()


class Preview(NamedTuple):
    """A request as it would be sent, without its signature."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class Runtime(NamedTuple):
    """An endpoint to send bodies to; shared by threads.

    ``client`` is botocore's; ``read_timeout`` is how many seconds a whole answer may take to begin, ``idle_timeout``
    how long a stream may pause.
    """

    client: Any
    target: Target
    read_timeout: float = 70.0
    idle_timeout: float = 70.0
    #: Whether requests follow each other, so that it pays to keep their connections.
    reuse: bool = False
    #: Makes the calls where there are many of them.
    calls: Calls | None = None

    def send(self, body: bytes, *, content_type: str, accept: str, stream: bool, deadline: float) -> Reply:
        """Send one request, once, and return when its answer begins; ``deadline`` is a time.monotonic().

        Raises InputError for a body that the service does not take, before anything is sent.
        """
        self.check(body)
        patience = self.idle_timeout if stream else self.read_timeout
        clock = Clock(deadline, patience, time.monotonic())
        with clock.explained(), self._located(len(body)), translated(bad_value=ConnectionLostError):
            headers, raw = self._response(self._parameters(body, content_type, accept), clock, stream=stream)
        took = time.monotonic() - clock.started
        _log.debug("%d bytes sent, request %s, an answer after %.3f s", len(body), headers.get(_REQUEST_ID), took)
        return self._reply(headers, raw, clock, stream=stream)

    def check(self, body: bytes) -> None:
        """Raise InputError for a body that the service does not take."""
        if len(body) > LARGEST_BODY:
            hint = "a real-time endpoint takes 25 MB, a serverless one 4 MB; an asynchronous one more"
            raise InputError(f"the request has {len(body):,} bytes; the limit is {LARGEST_BODY:,}", hint=hint)

    @contextlib.contextmanager
    def _located(self, size: int) -> Iterator[None]:
        """Add to a refusal what the service leaves out: where it was asked, or how much was sent."""
        try:
            yield
        except RefusedError as error:
            error.message += f" (endpoint {self.target.endpoint} in {self.client.meta.region_name})"
            raise
        except InputError as error:
            error.message += f" (it has {size:,} bytes)"
            raise

    def preview(self, body: bytes, *, content_type: str, accept: str, stream: bool) -> Preview:
        """Say what ``send`` would send; needs an unsigned client, and no network."""
        seen: list[AWSPreparedRequest] = []

        def keep(request: AWSPreparedRequest, **_: object) -> AWSResponse:
            seen.append(request)
            return AWSResponse(request.url, 200, HTTPHeaders(), None)

        session.read_timeout.set(self.read_timeout)
        self.client.meta.events.register_first("before-send", keep)
        with translated(bad_value=UsageError):
            self._call(stream=stream)(**self._parameters(body, content_type, accept))
        headers = {str(name): _text(value) for name, value in seen[0].headers.items()}
        return Preview(seen[0].method, seen[0].url, headers, body)

    def _response(
        self, parameters: dict[str, Any], clock: Clock, *, stream: bool
    ) -> tuple[Mapping[str, str], HTTPResponse]:
        """Give the headers, which are found by names in small letters, and what the body is read from."""
        timeout = max(min(clock.patience, clock.deadline - time.monotonic()), 0.001)
        if self.calls is not None:
            found = self.calls.make(_STREAMED if stream else _WHOLE, parameters, timeout=timeout)
            return found.headers, found.raw
        session.read_timeout.set(timeout)
        response = self._call(stream=stream)(**parameters)
        # The only way to the bytes as they come: botocore's own readers wait for whole blocks, or hide a cut.
        return response["ResponseMetadata"]["HTTPHeaders"], response["Body"]._raw_stream  # noqa: SLF001

    def _reply(self, headers: Mapping[str, str], raw: HTTPResponse, clock: Clock, *, stream: bool) -> Reply:
        length = reading.length(headers)
        media = headers.get("content-type", "").partition(";")[0].strip().lower()
        if _is_strange(media, stream=stream, cut=length == reading.UNKNOWN):
            raw.close()
            hint = "a proxy or a sign-in page may have answered in the endpoint's place"
            raise UnusableError(f"the answer is {media or 'of no type'}, not a model's", hint=hint)
        chunks = reading.chunks(raw, length, clock)
        return Reply(
            chunks=frames.payloads(chunks) if stream else chunks,
            request_id=headers.get(_REQUEST_ID),
            variant=headers.get(_VARIANT),
            raw=raw,
            reuse=self.reuse,
        )

    def _call(self, *, stream: bool) -> Any:  # noqa: ANN401 - botocore makes its methods at run time
        return self.client.invoke_endpoint_with_response_stream if stream else self.client.invoke_endpoint

    def _parameters(self, body: bytes, content_type: str, accept: str) -> dict[str, Any]:
        return {
            "EndpointName": self.target.endpoint,
            "Body": body,
            "ContentType": content_type,
            "Accept": accept,
            **self.target.headers(),
        }


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _is_strange(media: str, *, stream: bool, cut: bool) -> bool:
    """Tell an answer that is no model's; where the headers may be cut, a type may be, too."""
    if not stream:
        return media == "text/html"
    return media != frames.CONTENT_TYPE and not (cut and frames.CONTENT_TYPE.startswith(media))
