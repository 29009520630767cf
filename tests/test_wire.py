"""Bytes → lines → records: the same for every cut, and nothing but our errors for any bytes."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_ask import wire
from sm_ask.errors import IncompleteError, SmAskError, UnusableError

SSE = (
    b": keep-alive\r\n\r\n"
    b"event: message\nid: 7\nretry: 10\n"
    b'data: {"a": "n\xc3\xa9 \xe2\x80\xa8 \xf0\x9f\x8e\x89"}\n\n'
    b'data:{"b": [1, 2.5, null]}\r\n\r\n'
    b"data:\n\n"
    b":\n"
    b"data: [DONE]\n\n"
)
EVENTS = [{"a": "né \u2028 🎉"}, {"b": [1, 2.5, None]}, wire.DONE]
VALUES = [{"a": 'né \u2028 "\\ 🎉'}, {"b": [True, {"c": ""}]}, "text", 12, [], {}]
JSON_LINES = b"\n".join(json.dumps(value, ensure_ascii=False).encode() for value in VALUES)
PRETTY = json.dumps(VALUES, indent=2).encode()
SAMPLES = {
    "events": (SSE, EVENTS),
    "events without the last newline": (SSE.rstrip(b"\n"), EVENTS),
    "JSON lines": (JSON_LINES, VALUES),
    "JSON lines, ended": (JSON_LINES + b"\n\n\n", VALUES),
    "pretty": (PRETTY, [VALUES]),
    "pretty, CRLF": (PRETTY.replace(b"\n", b"\r\n") + b"\r\n", [VALUES]),
    "one line": (json.dumps(VALUES).encode(), [VALUES]),
    "indented": (b"\n  " + PRETTY + b"\n ", [VALUES]),
    "byte order mark": (b"\xef\xbb\xbf" + json.dumps(VALUES).encode(), [VALUES]),
    "one after the other": (b'{"a":\n1} {"b":2}[3]\n{\n}', [{"a": 1}, {"b": 2}, [3], {}]),
    "nothing": (b"", []),
    "only comments": (b": a\n\n:\n", []),
}


def records(*chunks: bytes):
    return list(wire.records(chunks))


def pieces(data: bytes, cuts) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_gives_its_records(sample):
    data, values = SAMPLES[sample]
    assert records(data) == values


@pytest.mark.parametrize("sample", SAMPLES)
def test_no_cut_changes_the_records(sample):
    data, values = SAMPLES[sample]
    for at in range(len(data) + 1):
        assert records(data[:at], data[at:]) == values
        assert records(data[:at], b"", data[at:]) == values


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_byte_alone_gives_the_same_records(sample):
    data, values = SAMPLES[sample]
    assert records(*(data[i : i + 1] for i in range(len(data)))) == values


@settings(deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.lists(st.integers(0, 400)))
def test_no_number_of_cuts_changes_the_records(sample, cuts):
    data, values = SAMPLES[sample]
    assert records(*pieces(data, [min(cut, len(data)) for cut in cuts])) == values


@settings(deadline=None)
@given(st.lists(st.binary()))
def test_any_bytes_give_records_or_an_error_of_ours(chunks):
    try:
        records(*chunks)
    except SmAskError as error:
        assert isinstance(error, (IncompleteError, UnusableError))  # noqa: PT017 - either is right


FRAGMENTS = st.sampled_from(
    [
        b"data:",
        b"data: ",
        b"\n",
        b"\r",
        b":",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"1",
        b",",
        b"NaN",
        b"[DONE]",
        b"\xc3",
    ]
)


@settings(deadline=None)
@given(st.lists(FRAGMENTS))
def test_anything_that_looks_like_records_does_no_more(fragments):
    try:
        assert records(*fragments) == records(b"".join(fragments))
    except SmAskError:
        with pytest.raises(SmAskError):
            records(b"".join(fragments))


@settings(deadline=None)
@given(st.lists(st.binary() | st.sampled_from([b"\n", b"\r\n"])))
def test_lines_lose_nothing(chunks):
    """Only LF ends a line; whether the last one had it is told."""
    *whole, last = b"".join(chunks).split(b"\n")
    expected = [(line.removesuffix(b"\r"), True) for line in whole]
    expected += [(last.removesuffix(b"\r"), False)] if last else []
    assert list(wire.lines(chunks)) == expected


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)
DOCUMENTS = st.lists(JSON, min_size=1) | st.dictionaries(TEXT, JSON, min_size=1)


@settings(deadline=None)
@given(DOCUMENTS, st.sampled_from([None, 2]), st.booleans(), st.data())
def test_a_document_cut_anywhere_is_incomplete(value, indent, ascii_only, data):
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert records(body) == [value]
    cut = body[: data.draw(st.integers(1, len(body) - 1))]
    with pytest.raises(IncompleteError):
        records(cut)


@pytest.mark.parametrize("at", range(1, len(b'data: {"a": "\xc3\xa9"}')))
def test_an_event_cut_anywhere_is_incomplete(at):
    with pytest.raises(IncompleteError):
        records(b'data: {"first": 1}\n\n', b'data: {"a": "\xc3\xa9"}'[:at])


@pytest.mark.parametrize("at", range(1, len(b"data: [DONE]")))
def test_an_end_mark_cut_anywhere_is_incomplete(at):
    with pytest.raises(IncompleteError):
        records(b"data: [DONE]"[:at])


@pytest.mark.parametrize(
    "data",
    [
        b"data: NaN\n",
        b'data: {"a": Infinity}\n',
        b'{"a": NaN}',
        b"data: {'a': 1}\n",
        b"data: \xff\n",
        b'{"a": "\xff"}',
        b"Hello",
        b"<html>",
        b"{} }",
        b'{"a": 1,}\n\n\n\n\n\n',
        b"data: " + b"[" * 100_000 + b"\n",
        b"[" * 100_000 + b"\n",
        b'{"a":' * 100_000,
        b"data: " + b"1" * 5000 + b"\n",
        b"1" * 5000,
        b"data: 1\nHello\n",
    ],
)
def test_what_is_no_json_is_unusable(data):
    with pytest.raises(UnusableError):
        records(data)


def test_lone_surrogates_are_read_as_they_are():
    """JSON can escape half a character; what to do with it is not the reader's matter."""
    assert records(b'data: {"a": "\\ud800"}\n') == [{"a": "\ud800"}]


def test_records_come_as_soon_as_they_are_whole():
    arrived = []

    def chunks():
        for chunk in (b'data: {"a"', b": 1}\n", b"data: 2"):
            yield chunk
            arrived.append(chunk)

    found = wire.records(chunks())
    assert next(found) == {"a": 1}
    assert len(arrived) == 1


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_an_excerpt_is_short_and_printable(data):
    quoted = wire.excerpt(data)
    assert quoted.isprintable()
    assert len(quoted) <= 200 * len("\\U0010ffff") + 2
