"""AWS event-stream messages, as bytes: what a runtime API writes and an SDK reads."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Mapping

_STRING = 7  # the header value type of a UTF-8 string
_OVERHEAD = 16  # total length, headers' length, and two checksums


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Encode one message with string headers."""
    encoded = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", _OVERHEAD + len(encoded) + len(payload), len(encoded))
    checked = prelude + struct.pack("!I", crc32(prelude)) + encoded + payload
    return checked + struct.pack("!I", crc32(checked))


def payload_part(data: bytes) -> bytes:
    """Encode a piece of the container's response."""
    headers = {
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }
    return message(headers, data)


def exception(kind: str, body: Mapping[str, str]) -> bytes:
    """Encode a failure after the stream has begun, such as ModelStreamError."""
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return message(headers, json.dumps(body).encode())


def _header(name: str, value: str) -> bytes:
    name_bytes, value_bytes = name.encode(), value.encode()
    return struct.pack("!B", len(name_bytes)) + name_bytes + struct.pack("!BH", _STRING, len(value_bytes)) + value_bytes
