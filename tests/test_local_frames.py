"""What we encode is what botocore decodes."""

from __future__ import annotations

import json

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from sm_ask.local import frames

NAMES = st.text(min_size=1, max_size=40).filter(lambda name: len(name.encode()) <= 255)
VALUES = st.text(min_size=1, max_size=200)


def decoded(*chunks: bytes):
    buffer = EventStreamBuffer()
    for chunk in chunks:
        buffer.add_data(chunk)
    return list(buffer)


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.binary(max_size=2000))
def test_a_message_round_trips(headers, payload):
    (message,) = decoded(frames.message(headers, payload))
    assert (message.headers, message.payload) == (headers, payload)


@given(st.lists(st.binary(max_size=100), max_size=5), st.data())
def test_frames_are_found_wherever_the_bytes_are_cut(parts, data):
    stream = b"".join(map(frames.payload_part, parts))
    cut = data.draw(st.integers(0, len(stream)))
    assert [message.payload for message in decoded(stream[:cut], stream[cut:])] == parts


def test_a_payload_part_is_an_event():
    (message,) = decoded(frames.payload_part(b"\x00"))
    assert message.headers == {
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }


def test_an_exception_has_a_json_body():
    fault = {"Message": "caf\u00e9", "ErrorCode": "StreamBroken"}
    (message,) = decoded(frames.exception("ModelStreamError", fault))
    assert message.headers[":message-type"] == "exception"
    assert message.headers[":exception-type"] == "ModelStreamError"
    assert json.loads(message.payload) == fault
