"""The operations of the SageMaker runtime, over HTTP."""

from __future__ import annotations

import contextlib
import http
import json
import re
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from sm_ask.local import envelopes, frames, tokens
from sm_ask.local.container import CHAT, ContainerError, Invocation
from sm_ask.local.request_body import MalformedError, TooLargeError, read_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sm_ask.local.container import Reply, Stop
    from sm_ask.local.server import Server

_ROUTE = re.compile(r"/endpoints/(?P<name>[^/]+)/(?P<operation>.+)")
# An inference component is named in the path of this route, and nowhere else.
_COMPONENT = re.compile(r"inference-components/[^/]+/(?=openai/)")
_HERE = {"127.0.0.1", "localhost"}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def parse_request(self) -> bool:
        """Take requests for this machine only: a web page could have its own name lead here."""
        if not super().parse_request():
            return False
        if self.headers.get("Host", "127.0.0.1").partition(":")[0] in _HERE:
            return True
        self.close_connection = True
        self._refuse(envelopes.refused(http.HTTPStatus.FORBIDDEN, "AccessDeniedException", "This endpoint is local."))
        return False

    def do_GET(self) -> None:
        """Answer health checks."""
        if self.path == "/ping":
            healthy = self.server.container.ping()
            status = http.HTTPStatus.OK if healthy else http.HTTPStatus.SERVICE_UNAVAILABLE
            self._send(status, envelopes.identified(), b"")
        else:
            self._refuse(_no_route())

    def do_POST(self) -> None:
        """Answer invocations; a client that went away gets nothing."""
        try:
            body = self._body()
            self._operation()(self, body)
        except envelopes.RefusedError as refusal:
            self._refuse(refusal)
        except OSError:
            self.close_connection = True

    def version_string(self) -> str:
        """Name neither Python nor its version."""
        return "sm-ask"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Keep silent: requests hold prompts."""

    def _body(self) -> bytes:
        try:
            return read_body(self.headers, self.rfile, limit=self.server.limits.body)
        except TooLargeError as error:
            message = f"The request body is over {self.server.limits.body} bytes."
            raise envelopes.refused(http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE, None, message) from error
        except MalformedError as error:
            self.close_connection = True
            raise envelopes.refused(http.HTTPStatus.BAD_REQUEST, "ValidationError", f"Bad request: {error}") from error

    def _operation(self) -> Callable[[Handler, bytes], None]:
        route = _ROUTE.fullmatch(self.path.partition("?")[0])
        operation = _OPERATIONS.get(_COMPONENT.sub("", route["operation"], count=1)) if route else None
        if route is None or operation is None:
            raise _no_route()
        if route["name"] != self.server.name:
            raise envelopes.unknown_endpoint(route["name"])
        return operation

    def invoke(self, body: bytes) -> None:
        """InvokeEndpoint."""
        with self.server.call(self.connection, self.server.limits.whole) as stop:
            call = self._invocation(body, stop)
            reply = self._begun(call)
            answer = self._read(reply, stop)
        fields = {**envelopes.answered(reply.custom_attributes), "Content-Type": reply.content_type}
        self._send(http.HTTPStatus.OK, fields, answer)

    def invoke_stream(self, body: bytes) -> None:
        """InvokeEndpointWithResponseStream."""
        with self.server.call(self.connection, self.server.limits.stream) as stop:
            call = replace(self._invocation(body, stop), accept=self.headers.get("X-Amzn-SageMaker-Accept", "*/*"))
            reply = self._begun(replace(call, streaming=True))
            with contextlib.closing(reply.parts):
                self._send_stream_head(reply)
                for frame in self._frames(reply, stop):
                    self._send_chunk(frame)
                self.wfile.write(b"0\r\n\r\n")

    def chat(self, body: bytes) -> None:
        """Pass OpenAI's chat on to the container, and its answer back as it is: JSON, or server-sent events."""
        self._let_in()
        streaming = _wants_stream(body)
        limits = self.server.limits
        with self.server.call(self.connection, limits.stream if streaming else limits.whole) as stop:
            reply = self._begun(replace(self._invocation(body, stop), path=CHAT))
            if not streaming:
                answer = self._read(reply, stop)
                self._send(http.HTTPStatus.OK, {**envelopes.identified(), "Content-Type": reply.content_type}, answer)
                return
            with contextlib.closing(reply.parts):
                self._send_chunked_head({**envelopes.identified(), "Content-Type": reply.content_type})
                for part in self._unframed(reply, stop):
                    self._send_chunk(part)
                self.wfile.write(b"0\r\n\r\n")

    def _let_in(self) -> None:
        if "X-Amzn-SageMaker-Inference-Component" in self.headers:
            message = "The inference component is named in the path of this route, not in a header."
            raise envelopes.refused(http.HTTPStatus.BAD_REQUEST, "ValidationError", message)
        try:
            tokens.check(self.headers.get("Authorization"))
        except tokens.RejectedError as error:
            raise envelopes.refused(http.HTTPStatus.UNAUTHORIZED, "invalid_api_key", str(error)) from error

    def _unframed(self, reply: Reply, stop: Stop) -> Iterator[bytes]:
        """Give the parts; where they break off, so does the connection, as nothing else can say it here."""
        try:
            yield from reply.parts
        except ContainerError as error:
            raise ConnectionAbortedError("the container broke off") from error
        if stop.reason is not None:
            raise ConnectionAbortedError(stop.reason)

    def _invocation(self, body: bytes, stop: Stop) -> Invocation:
        return Invocation(
            body=body,
            content_type=self.headers.get("Content-Type", "application/octet-stream"),
            accept=self.headers.get("Accept", "*/*"),
            custom_attributes=self.headers.get("X-Amzn-SageMaker-Custom-Attributes"),
            stop=stop,
        )

    def _begun(self, call: Invocation) -> Reply:
        """Get a response that is not an error, and raise what AWS makes of any other."""
        try:
            reply = self.server.container.invoke(call)
        except ContainerError as error:
            raise self._gave_up(call.stop) or envelopes.no_answer(self.server.name, slow=False) from error
        if reply.status >= http.HTTPStatus.BAD_REQUEST:
            raise envelopes.container_failed(self.server.name, reply.status, self._read(reply, call.stop))
        return reply

    def _read(self, reply: Reply, stop: Stop) -> bytes:
        with contextlib.closing(reply.parts):
            try:
                body = b"".join(reply.parts)
            except ContainerError as error:
                raise self._gave_up(stop) or envelopes.broken_answer(self.server.name, reply.status) from error
        given_up = self._gave_up(stop)
        if given_up is not None:
            raise given_up
        return body

    def _frames(self, reply: Reply, stop: Stop) -> Iterator[bytes]:
        try:
            for part in reply.parts:
                yield frames.payload_part(part)
        except ContainerError:
            if stop.reason is None:
                yield envelopes.broken_stream(slow=False)
        if stop.reason == "slow":
            yield envelopes.broken_stream(slow=True)
        elif stop.reason is not None:
            raise ConnectionAbortedError(stop.reason)

    def _gave_up(self, stop: Stop) -> Exception | None:
        if stop.reason is None:
            return None
        slow = stop.reason == "slow"
        return envelopes.no_answer(self.server.name, slow=True) if slow else ConnectionAbortedError(stop.reason)

    def _send_stream_head(self, reply: Reply) -> None:
        fields = {
            **envelopes.answered(reply.custom_attributes),
            "Content-Type": "application/vnd.amazon.eventstream",
            "X-Amzn-SageMaker-Content-Type": reply.content_type,
        }
        self._send_chunked_head(fields)

    def _send_chunked_head(self, fields: Mapping[str, str]) -> None:
        self._send_head(http.HTTPStatus.OK, {**fields, "Transfer-Encoding": "chunked"})

    def _send_chunk(self, data: bytes) -> None:
        # An empty one would be the end.
        if data:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _refuse(self, refusal: envelopes.RefusedError) -> None:
        if "/openai/" in self.path:
            refusal = envelopes.for_openai(refusal)
        self._send(refusal.status, refusal.headers(), refusal.body)

    def _send(self, status: int, fields: Mapping[str, str], body: bytes) -> None:
        self._send_head(status, {**fields, "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _send_head(self, status: int, fields: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()


def _wants_stream(body: bytes) -> bool:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(asked, dict) and asked.get("stream") is True


def _no_route() -> envelopes.RefusedError:
    return envelopes.refused(http.HTTPStatus.NOT_FOUND, "UnknownOperationException", "There is no such operation.")


_OPERATIONS: dict[str, Callable[[Handler, bytes], None]] = {
    "invocations": Handler.invoke,
    "invocations-response-stream": Handler.invoke_stream,
    "openai/v1/chat/completions": Handler.chat,
}
