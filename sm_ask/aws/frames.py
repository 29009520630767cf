"""Event-stream frames → the container's bytes, with every way noticed in which a stream can end early.

botocore's own iteration ends normally when the connection closes within a frame, and loses a stream error's code, so
this reads the frames with botocore's buffer but counts the bytes itself.
"""

from __future__ import annotations

import json
import logging
import struct
from typing import TYPE_CHECKING, Any

from botocore.eventstream import EventStreamBuffer, ParserError

from sm_ask.errors import IncompleteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_log = logging.getLogger(__name__)

CONTENT_TYPE = "application/vnd.amazon.eventstream"


def payloads(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the payload of each PayloadPart; unknown events are passed over.

    Raises IncompleteError for an error frame, for a frame that is corrupt, and where the bytes end within a frame.
    """
    buffer = EventStreamBuffer()
    unread = 0
    for chunk in chunks:
        unread += len(chunk)
        buffer.add_data(chunk)
        for message in _messages(buffer):
            unread -= message.prelude.total_length
            yield _payload(message)
    if unread:
        raise IncompleteError("the connection ended within a frame")


def _messages(buffer: EventStreamBuffer) -> Iterator[Any]:
    """Yield the messages that are whole by now; botocore raises what it stumbles over where a header is no header."""
    try:
        yield from buffer
    except (ParserError, LookupError, ValueError, struct.error) as error:
        raise IncompleteError(f"the stream is corrupt: {error}") from error


def _payload(message: Any) -> bytes:  # noqa: ANN401 - the stubs give its fields the wrong types
    headers: dict[str, str] = message.headers
    kind = headers.get(":message-type")
    if kind == "event":
        if headers.get(":event-type") == "PayloadPart":
            return bytes(message.payload)
        _log.debug("an event of the unknown type %r is passed over", headers.get(":event-type"))
        return b""
    code = headers.get(":exception-type") or headers.get(":error-code") or "an error without a name"
    detail = headers.get(":error-message") or _detail(message.payload)
    raise IncompleteError(f"the stream failed: {code}: {detail or 'no message'}")


def _detail(payload: bytes) -> str:
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return payload[:200].decode(errors="replace")
    if not isinstance(body, dict):
        return str(body)
    said = body.get("Message") or body.get("message")
    return ": ".join(str(part) for part in (body.get("ErrorCode"), said) if part)
