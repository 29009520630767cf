"""What goes wrong within an answer: rows T and N10 of the fault matrix, with the requests counted.

No call here says how often to try, so that one request proves that nothing is sent again after the first byte (T15).
"""

from __future__ import annotations

import itertools
import json
import struct
import time
from functools import partial
from zlib import crc32

import pytest

from server import (
    STREAM_HEAD,
    chat_event,
    chat_parts,
    chat_whole,
    chunk,
    drips,
    failing,
    framed,
    runtime_at,
    says,
    says_and_closes,
    says_and_listens,
    says_and_resets,
    says_and_stalls,
    streamed,
    tgi_event,
    tgi_parts,
    tgi_whole,
    whole,
)
from sm_ask.ask import Policy, ask
from sm_ask.aws.frames import payloads
from sm_ask.chat import Answer, Message, Request, Text
from sm_ask.errors import IncompleteError, SmAskError, UnusableError
from sm_ask.handlers import named
from sm_ask.local import frames

TEXT = "Héllo"
PARTS = chat_parts("Hé", "llo")
#: Up to the end of the text, without the finish reason.
BEGUN = PARTS[:3]
CHUNKED = STREAM_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def begun(*more: bytes) -> bytes:
    """A stream whose text has come and which then goes on with those bytes, a chunk each."""
    return CHUNKED + b"".join(map(chunk, [*map(frames.payload_part, BEGUN), *more]))


def ended(*more: bytes) -> bytes:
    """The same, with a proper end of the body."""
    return begun(*more) + chunk(b"")


def assert_incomplete(done, server, *words, text=f"{TEXT}\n"):
    assert (done.code, done.text, len(server.requests)) == (10, text, 1)
    characters = len(text.rstrip("\n"))
    assert all(word in done.err for word in (f"the answer is incomplete after {characters} characters", *words))


# Rows N10, T1 to T4: the sweep.

SHORT = [chat_event({"content": "Hé"}), chat_event({"content": "llo"}, "stop"), b"data: [DONE]\n\n"]
PIECES = {"openai-chat": SHORT, "tgi": tgi_parts("Hé", "llo")}
RESPONSES = {
    "openai-chat whole": (False, "openai-chat", chat_whole(TEXT)),
    "openai-chat chunked": (True, "openai-chat", streamed(SHORT)),
    "openai-chat length": (True, "openai-chat", streamed(SHORT, "length")),
    "openai-chat close": (True, "openai-chat", streamed(SHORT, "close")),
    "tgi whole": (False, "tgi", tgi_whole(TEXT)),
    "tgi chunked": (True, "tgi", streamed(tgi_parts("Hé", "llo"))),
    "tgi length": (True, "tgi", streamed(tgi_parts("Hé", "llo"), "length")),
    "tgi close": (True, "tgi", streamed(tgi_parts("Hé", "llo"), "close")),
}


def alike(one: bytes, other: bytes) -> int:
    """How many bytes two responses have in common at their beginning."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def cuts(response: str) -> list[int]:
    """Every place in the head and beside the ends of lines, which are HTTP's; in what is only counted, every 19th.

    What it has in common with a response before it was cut there.
    """
    data = RESPONSES[response][2]
    before = itertools.takewhile(lambda name: name != response, RESPONSES)
    begin = max((alike(data, RESPONSES[name][2]) for name in before), default=0)
    head = data.index(b"\r\n\r\n") + 4
    near = (at for at in range(head, len(data)) if at % 19 == 0 or b"\r\n" in data[at - 3 : at + 3])
    return sorted({*range(begin, head), *near, len(data) - 1})


def swept(serve, response: str, offsets, end):
    """Ask once for each cut; yield the offset, the text that came, and the answer or the error."""
    stream, handler, data = RESPONSES[response]
    server = serve(*(end(data[:offset]) for offset in offsets))
    runtime = runtime_at(server)
    for offset in offsets:
        events = ask(Request((Message("user", "hi"),), {}, stream), named(handler), runtime, Policy(tries=1))
        text, outcome = "", None
        try:
            for event in events:
                text, outcome = (text + event.text, None) if isinstance(event, Text) else (text, event)
        except SmAskError as error:
            outcome = error
        yield offset, text, outcome
    assert len(server.requests) == len(offsets)


@pytest.mark.parametrize("response", RESPONSES)
def test_no_cut_of_an_answer_is_taken_for_the_whole(serve, response):
    """Rows N10, T1 to T4: the connection is closed."""
    for offset, text, outcome in swept(serve, response, cuts(response), says_and_closes):
        assert TEXT.startswith(text), offset
        if isinstance(outcome, Answer):
            assert outcome.text == text == TEXT, offset
        else:
            assert outcome.code in {7, 10}, offset
            assert outcome.maybe_charged, offset


@pytest.mark.parametrize("handler", PIECES)
def test_no_cut_of_a_body_is_taken_for_the_whole(handler):
    """Rows T1 to T4, at every byte: its frames tell where HTTP takes the body for whole."""
    body = b"".join(map(frames.payload_part, PIECES[handler]))
    whole_answer = list(named(handler).decode(payloads([body])))
    for at in range(len(body)):
        assert list(named(handler).decode(payloads([body[:at], body[at:]]))) == whole_answer, at
        found, error = [], None
        try:
            found.extend(named(handler).decode(payloads([body[:at]])))
        except (IncompleteError, UnusableError) as raised:
            error = raised
        texts = [delta.text for delta in found if isinstance(delta, Text)]
        assert TEXT.startswith("".join(texts)) if error else "".join(texts) == TEXT, at
        assert isinstance(error, UnusableError) == (at == 0), at


@pytest.mark.parametrize("response", RESPONSES)
def test_no_reset_of_an_answer_is_taken_for_the_whole(serve, response):
    """Rows N10, T1."""
    end = partial(says_and_resets, after=0.005)
    for offset, text, outcome in swept(serve, response, range(0, len(RESPONSES[response][2]), 23), end):
        assert TEXT.startswith(text), offset
        assert outcome.code in {7, 10} if isinstance(outcome, SmAskError) else outcome.text == text == TEXT, offset


@pytest.mark.parametrize("end", [says_and_closes, says_and_resets])
@pytest.mark.parametrize("back", [1, 0])
def test_a_cut_between_frames(cli, serve, end, back):
    """Row T1: after a frame's chunk, or a byte before its end."""
    data = begun()
    server = serve(end(data[: len(data) - 2 * back]))
    assert_incomplete(cli("prompt", "hi", server=server), server)


@pytest.mark.parametrize("end", [says_and_closes, says_and_resets])
def test_a_cut_within_a_frame(cli, serve, end):
    """Row T2."""
    frame = frames.payload_part(PARTS[3])
    server = serve(end(begun() + b"%x\r\n" % len(frame) + frame[:40]))
    assert_incomplete(cli("prompt", "hi", server=server), server)


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_body_that_ends_properly_within_a_frame(cli, serve, framing):
    """Row T3."""
    data = [*map(frames.payload_part, BEGUN), frames.payload_part(PARTS[3])[:40]]
    server = serve(says(framed(data, framing)))
    assert_incomplete(cli("prompt", "hi", server=server), server, "within a frame")


@pytest.mark.parametrize("handler", ["openai-chat", "tgi"])
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_stream_that_ends_properly_without_its_end_mark(cli, serve, handler, framing):
    """Row T4."""
    parts = {"openai-chat": BEGUN, "tgi": tgi_parts("Hé", "llo")[:-1]}[handler]
    server = serve(says(streamed(parts, framing)))
    done = cli("prompt", "hi", "--handler", handler, server=server)
    assert_incomplete(done, server, "end mark")


def test_a_stream_that_ends_within_a_record(cli, serve):
    """Row T4: the container broke off, and everything around it is as it should be."""
    server = serve(says(streamed([*BEGUN, PARTS[3][:30]])))
    assert_incomplete(cli("prompt", "hi", server=server), server, "within a record")


def test_an_end_mark_without_done_is_an_end(cli, serve):
    """Row T4: some servers send no [DONE]."""
    server = serve(says(streamed(PARTS[:4])))
    done = cli("prompt", "hi", server=server)
    assert (done.code, done.text) == (0, f"{TEXT}\n")


def corrupt(frame: bytes, at: int) -> bytes:
    """Turn one bit of a frame over."""
    changed = bytearray(frame)
    changed[at] ^= 1
    return bytes(changed)


def with_headers(headers: bytes) -> bytes:
    """A frame whose checksums are right, whatever its headers are."""
    prelude = struct.pack("!II", 16 + len(headers), len(headers))
    checked = prelude + struct.pack("!I", crc32(prelude)) + headers
    return checked + struct.pack("!I", crc32(checked))


FRAME = frames.payload_part(PARTS[3])
CORRUPT = {
    "prelude": corrupt(FRAME, 4),
    "prelude checksum": corrupt(FRAME, 8),
    "headers": corrupt(FRAME, 14),
    "payload": corrupt(FRAME, -10),
    "checksum": corrupt(FRAME, -1),
    "too large": frames.message({}, bytes(25 * 1024 * 1024)),
    "HTML": b"<html><body>502 Bad Gateway</body></html>",
    "header of no type": with_headers(b"\x01a\x63"),
    "header without an end": with_headers(b"\x01a\x07\xff"),
    "header that is no text": with_headers(b"\x01\xff\x07\x00\x00"),
    "header twice": with_headers(b"\x01a\x07\x00\x00" * 2),
}


@pytest.mark.parametrize("fault", CORRUPT)
def test_a_corrupt_frame(cli, serve, fault):
    """Row T5."""
    server = serve(says(ended(CORRUPT[fault])))
    assert_incomplete(cli("prompt", "hi", server=server), server, "corrupt")


@pytest.mark.parametrize("code", ["StreamBroken", "ModelInvocationTimeExceeded"])
def test_a_model_stream_error(cli, serve, code):
    """Row T6: the code that botocore loses is shown."""
    server = serve(says(ended(frames.exception("ModelStreamError", {"ErrorCode": code, "Message": "it broke"}))))
    done = cli("prompt", "hi", server=server)
    assert_incomplete(done, server, "ModelStreamError", code, "it broke", "(request req-1)")


FAILURES = {
    "InternalStreamFailure": frames.exception("InternalStreamFailure", {"Message": "try again"}),
    "SomethingNew": frames.exception("SomethingNew", {"Message": "nobody knows it"}),
    "NoMessage": frames.exception("NoMessage", {}),
    "an error without a name": frames.message({":message-type": "exception"}, b""),
    "InternalError": frames.message(
        {":message-type": "error", ":error-code": "InternalError", ":error-message": "it said so"}, b""
    ),
    "NoJson": frames.message({":message-type": "exception", ":exception-type": "NoJson"}, b"\xff" * 10),
    "TooDeep": frames.message({":message-type": "exception", ":exception-type": "TooDeep"}, b"[" * 100_000),
    "ListOnly": frames.message({":message-type": "exception", ":exception-type": "ListOnly"}, b"[1]"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_in_the_stream(cli, serve, name):
    """Row T7: whatever its type, it is named, and there is a message."""
    server = serve(says(ended(FAILURES[name])))
    done = cli("prompt", "hi", server=server)
    assert_incomplete(done, server, name)
    message = done.err.partition(f"{name}: ")[2]
    assert message.split("(request")[0].strip()


def test_an_unknown_event_is_passed_over(cli, serve):
    """Row T8."""
    news = frames.message({":message-type": "event", ":event-type": "News", ":content-type": "text/plain"}, b"new!")
    data = [frames.payload_part(PARTS[0]), news, *map(frames.payload_part, PARTS[1:]), news]
    server = serve(says(framed(data)))
    done = cli("prompt", "hi", server=server)
    assert (done.code, done.text, len(server.requests)) == (0, f"{TEXT}\n", 1)


@pytest.mark.parametrize(
    ("response", "code", "text"),
    [(begun(), 10, f"{TEXT}\n"), (CHUNKED, 7, ""), (CHUNKED + chunk(frames.payload_part(PARTS[0])), 7, "")],
)
def test_a_stream_that_stalls(cli, serve, response, code, text):
    """Row T9."""
    server = serve(says_and_stalls(response))
    started = time.monotonic()
    done = cli("prompt", "hi", "--idle-timeout", "0.5", server=server)
    assert (done.code, done.text, len(server.requests)) == (code, text, 1)
    assert "nothing came for 0.5 s" in done.err
    assert time.monotonic() - started < 10


def test_a_stream_that_is_alive_is_not_idle(cli, serve):
    """Row T9: keep-alive comments count, however long the model thinks."""
    alive = [chunk(frames.payload_part(b": keep-alive\n\n"))] * 10
    server = serve(drips([CHUNKED, *alive, *map(chunk, map(frames.payload_part, PARTS)), chunk(b"")], 0.08))
    done = cli("prompt", "hi", "--idle-timeout", "0.6", server=server)
    assert (done.code, done.text) == (0, f"{TEXT}\n")


def test_a_stream_that_drips_beyond_its_deadline(cli, serve):
    """Row T10: a byte now and then is no answer."""
    more = chunk(frames.payload_part(chat_event({"content": "."})))
    server = serve(drips([begun(), *[more[i : i + 1] for i in range(100)]], 0.1))
    started = time.monotonic()
    done = cli("prompt", "hi", "--timeout", "1", "--idle-timeout", "0.7", server=server)
    assert_incomplete(done, server, "not whole after", "--timeout")
    assert time.monotonic() - started < 8


def test_a_whole_answer_that_drips_beyond_its_deadline(cli, serve):
    """Row T10."""
    data = chat_whole(TEXT)
    server = serve(drips([data[:-40], *(data[i : i + 1] for i in range(len(data) - 40, len(data)))], 0.1))
    done = cli("prompt", "hi", "--no-stream", "--timeout", "1", server=server)
    assert (done.code, done.out, len(server.requests)) == (7, b"", 1)
    assert "not whole after" in done.err


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("handler", ["openai-chat", "tgi"])
def test_characters_split_over_frames(cli, serve, handler, size):
    """Row T11."""
    words = "né 🎉 \u2028\u00a0 日本"
    body = b"".join(chat_parts(words) if handler == "openai-chat" else tgi_parts(words))
    body = body.replace(json.dumps(words)[1:-1].encode(), words.encode())
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    done = cli("prompt", "hi", "--handler", handler, server=serve(says(streamed(parts))))
    assert (done.code, done.text) == (0, f"{words}\n")


@pytest.mark.parametrize("handler", ["openai-chat", "tgi"])
@pytest.mark.parametrize("prefix", [b"data: ", b"data:", b""])
def test_the_last_line_needs_no_newline(cli, serve, handler, prefix):
    """Row T12: nothing spins."""
    parts = PARTS[:4] if handler == "openai-chat" else tgi_parts("Hé", "llo")
    body = b"\n".join(prefix + part.removeprefix(b"data:").strip() for part in parts)
    started = time.monotonic()
    done = cli("prompt", "hi", "--handler", handler, server=serve(says(streamed([body]))))
    assert (done.code, done.text) == (0, f"{TEXT}\n")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("parts", [[], [b""], [b"\n\n", b": keep-alive\n\n"]])
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_stream_without_an_answer(cli, serve, parts, framing):
    """Row T13."""
    server = serve(says(streamed(parts, framing)))
    done = cli("prompt", "hi", server=server)
    assert (done.code, done.out, len(server.requests)) == (11, b"", 1)
    assert "empty answer" in done.err


def test_a_whole_answer_without_a_byte(cli, serve):
    """Row T13."""
    server = serve(says(whole(b"")))
    done = cli("prompt", "hi", "--no-stream", server=server)
    assert (done.code, done.out, len(server.requests)) == (11, b"", 1)


@pytest.mark.parametrize("media", ["application/json", "text/plain", "application", ""])
def test_an_answer_that_is_no_event_stream(cli, serve, media):
    """Row T14."""
    server = serve(says(whole({"choices": []}, Content_Type=media)))
    done = cli("prompt", "hi", server=server)
    assert (done.code, done.out, len(server.requests)) == (11, b"", 1)
    assert (media or "of no type") in done.err


@pytest.mark.parametrize("first", [[], PARTS[:1]])
@pytest.mark.parametrize("unsafe", [[], ["--retry-unsafe"]])
def test_nothing_is_sent_again_after_the_first_byte(cli, serve, first, unsafe):
    """Row T15, where no text has come."""
    failure = frames.exception("InternalStreamFailure", {"Message": "try again"})
    server = serve(says(framed([*map(frames.payload_part, first), failure])))
    done = cli("prompt", "hi", *unsafe, server=server)
    assert (done.code, done.out, len(server.requests)) == (10, b"", 1)


def test_a_container_that_does_not_stream_is_not_asked_twice(cli, serve):
    """Row T16: no answer proves that the model did not run, so the fallback is a person's choice."""
    members = {"OriginalStatusCode": 400, "OriginalMessage": "Streaming is not supported"}
    server = serve(failing(424, "ModelError", "Received client error (400) from primary", members))
    done = cli("prompt", "hi", server=server)
    assert (done.code, done.out, len(server.requests)) == (9, b"", 1)
    assert "Streaming is not supported" in done.err
    assert "hint: --no-stream" in done.err


def test_a_container_that_answers_whole_over_the_streaming_call(cli, serve):
    """Row T16: then there is nothing to fall back from."""
    body = json.dumps(json.loads(chat_whole(TEXT).partition(b"\r\n\r\n")[2]), indent=2).encode()
    server = serve(says(streamed([body[:50], body[50:]])))
    done = cli("prompt", "hi", server=server)
    assert (done.code, done.text, len(server.requests)) == (0, f"{TEXT}\n", 1)


REPORTS = {
    "openai-chat": (chat_event({"content": TEXT}), b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'),
    "tgi": (tgi_event(TEXT), b'data:{"error": "out of memory", "error_type": "generation"}\n\n'),
}


@pytest.mark.parametrize("handler", REPORTS)
@pytest.mark.parametrize("began", [True, False])
def test_an_error_that_comes_as_data(cli, serve, handler, began):
    """A container that fails after HTTP 200: what came is kept."""
    part, report = REPORTS[handler]
    server = serve(says(streamed([part, report] if began else [report])))
    done = cli("prompt", "hi", "--handler", handler, server=server)
    assert (done.code, done.text, len(server.requests)) == (9, f"{TEXT}\n" if began else "", 1)
    assert "out of memory" in done.err


def test_an_incomplete_answer_with_json(cli, serve):
    """What came is in the one line on stdout, and the error beside it."""
    server = serve(says_and_closes(begun()))
    done = cli("prompt", "hi", "--json", server=server)
    row = json.loads(done.out)
    assert (done.code, row["answer"], row["error"]["code"], row["request_id"]) == (10, TEXT, 10, "req-1")
    assert row["error"]["maybe_charged"]


def test_an_incomplete_answer_raw(cli, serve):
    """The container's bytes are kept as they came."""
    server = serve(says_and_closes(begun()))
    done = cli("prompt", "hi", "--raw", server=server)
    assert (done.code, done.out) == (10, b"".join(BEGUN))
    assert f"incomplete after {len(done.out)} bytes" in done.err


@pytest.mark.parametrize("response", [begun(), CHUNKED, b""])
def test_a_stream_that_is_given_up_is_closed(cli, serve, response):
    """Nobody generates for a client that has gone."""
    server = serve(says_and_listens(response))
    assert cli("prompt", "hi", "--idle-timeout", "0.3", server=server).code in {7, 10}
    assert server.conversations[0].gone.wait(5)
