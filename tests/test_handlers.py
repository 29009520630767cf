"""How the two families of containers are asked, and how their answers are read, whatever way their bytes are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server import chat_event, chat_parts, tgi_event, tgi_parts
from sm_ask.chat import Finish, Message, Request, Text, Usage
from sm_ask.errors import IncompleteError, InputError, ModelError, SmAskError, UnusableError
from sm_ask.handlers import named

HANDLERS = ["openai-chat", "tgi"]
ASKED = (Message("system", "Be brief."), Message("user", "Wie heißt du?"))


def encoded(handler: str, params: dict | None = None, messages=ASKED, stream: bool = True):
    return json.loads(named(handler).encode(Request(messages, params or {}, stream)))


def decoded(handler: str, *chunks: bytes):
    """The text, the reasoning, and the last delta."""
    *texts, finish = named(handler).decode(chunks)
    assert isinstance(finish, Finish)
    pieces = {False: "", True: ""}
    for delta in texts:
        assert isinstance(delta, Text)
        pieces[delta.reasoning] += delta.text
    return pieces[False], pieces[True], finish


def test_a_chat_request():
    assert encoded("openai-chat") == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Wie heißt du?"}],
        "max_tokens": 512,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_text_request():
    assert encoded("tgi") == {
        "inputs": "Be brief.\n\nWie heißt du?",
        "parameters": {"max_new_tokens": 512, "return_full_text": False, "details": True},
        "stream": True,
    }


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_request_for_a_whole_answer_does_not_speak_of_streams(handler):
    assert not {"stream", "stream_options"} & encoded(handler, stream=False).keys()


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_request_is_utf8_without_escapes(handler):
    assert "heißt".encode() in named(handler).encode(Request(ASKED))


def parameters(handler: str, given: dict):
    """What a container gets beside the question and what is always sent."""
    body = encoded(handler, given)
    always = {"messages", "inputs", "stream", "stream_options", "return_full_text", "details"}
    return {name: value for name, value in body.get("parameters", body).items() if name not in always}


@pytest.mark.parametrize(
    ("given", "chat", "tgi"),
    [
        ({"max_tokens": 7}, {"max_tokens": 7}, {"max_new_tokens": 7}),
        ({"temperature": 0.5}, {"temperature": 0.5}, {"temperature": 0.5, "do_sample": True}),
        ({"temperature": 0}, {"temperature": 0}, {"do_sample": False}),
        ({"temperature": 0.0}, {"temperature": 0}, {"do_sample": False}),
        ({"top_p": 0.9}, {"top_p": 0.9}, {"top_p": 0.9}),
        ({"top_p": 1}, {"top_p": 1}, {}),
        ({"top_p": 1.0}, {"top_p": 1}, {}),
        ({"top_k": 5}, {"top_k": 5}, {"top_k": 5}),
        ({"top_k": 0}, {"top_k": 0}, {}),
        ({"stop": "###"}, {"stop": ["###"]}, {"stop": ["###"]}),
        ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"seed": 1, "repetition_penalty": 1.1},) * 3,
        ({"guided_json": {"a": [1]}, "x": False},) * 3,
    ],
)
def test_each_parameter_has_the_name_and_the_range_of_the_container(given, chat, tgi):
    limits = {"max_tokens": 512}, {"max_new_tokens": 512}
    assert parameters("openai-chat", given) == limits[0] | chat
    assert parameters("tgi", given) == limits[1] | tgi


@pytest.mark.parametrize(
    ("handler", "name"),
    [("openai-chat", "max_completion_tokens"), ("tgi", "max_new_tokens"), ("openai-chat", "max_tokens")],
)
def test_the_containers_own_name_of_the_limit_wins(handler, name):
    """Two limits would contradict each other, and a limit that was asked for is not replaced by the default."""
    assert parameters(handler, {name: 9}) == {name: 9}
    if name != "max_tokens":
        assert parameters(handler, {name: 9, "max_tokens": 5}) == {name: 9}


@pytest.mark.parametrize("given", [{}, {"do_sample": True}, {"details": False}])
def test_the_prompt_is_never_sent_back(given):
    """A container that repeats it would have it taken for a part of the answer."""
    assert encoded("tgi", given)["parameters"]["return_full_text"] is False


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "caf\udce9"])
def test_what_json_cannot_hold_is_refused(handler, value):
    with pytest.raises(InputError):
        encoded(handler, {"x": value})


@pytest.mark.parametrize("handler", HANDLERS)
def test_parameters_are_left_as_they_were(handler):
    given = {"stop": "a", "temperature": 0, "top_p": 1}
    encoded(handler, given)
    assert given == {"stop": "a", "temperature": 0, "top_p": 1}


def lined(parts: list[bytes]) -> bytes:
    """The same records as JSON lines."""
    return b"\n".join(part.removeprefix(b"data:").strip() for part in parts if b"[DONE]" not in part)


WORDS = ("Né", " 🎉", "\u2028\n", "\t\"\\'<|x|>", "日本")
CHAT = [
    b": keep-alive\n\n",
    chat_event({"role": "assistant", "content": ""}),
    chat_event({"reasoning": "Hm…"}),
    chat_event({"reasoning_content": " so:"}),
    *(chat_event({"content": word, "role": "assistant"}) for word in WORDS),
    chat_event({"content": None}),
    chat_event({}, "stop"),
    chat_event(usage={"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}),
    b"data: [DONE]\n\n",
]
TOKENS = tgi_parts(*WORDS)
CHAT_WHOLE = {
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "".join(WORDS), "reasoning_content": "Hm… so:"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 7, "completion_tokens": 5},
}
TGI_WHOLE = {
    "generated_text": "".join(WORDS),
    "details": {"finish_reason": "eos_token", "generated_tokens": 5, "input_length": 7},
}
CHAT_READ = ("".join(WORDS), "Hm… so:", Finish("stop", Usage(7, 5)))
TGI_READ = ("".join(WORDS), "", Finish("stop", Usage(7, 5)))
SAMPLES = {
    "chat": ("openai-chat", b"".join(CHAT), CHAT_READ),
    "chat, no space": ("openai-chat", b"".join(CHAT).replace(b"data: ", b"data:"), CHAT_READ),
    "chat, CRLF": ("openai-chat", b"".join(CHAT).replace(b"\n", b"\r\n"), CHAT_READ),
    "chat, no last newline": ("openai-chat", b"".join(CHAT).rstrip(b"\n"), CHAT_READ),
    "chat, no [DONE]": ("openai-chat", b"".join(CHAT[:-1]), CHAT_READ),
    "chat, JSON lines": ("openai-chat", lined(CHAT[1:]), CHAT_READ),
    "chat, whole": ("openai-chat", json.dumps(CHAT_WHOLE, ensure_ascii=False).encode(), CHAT_READ),
    "chat, pretty": ("openai-chat", json.dumps(CHAT_WHOLE, indent=4).encode() + b"\n", CHAT_READ),
    "tokens": ("tgi", b"".join(TOKENS), TGI_READ),
    "tokens, space": ("tgi", b"".join(TOKENS).replace(b"data:", b"data: "), TGI_READ),
    "tokens, CRLF": ("tgi", b"".join(TOKENS).replace(b"\n", b"\r\n"), TGI_READ),
    "tokens, no last newline": ("tgi", b"".join(TOKENS).rstrip(b"\n"), TGI_READ),
    "tokens, JSON lines": ("tgi", lined(TOKENS) + b"\n\n\n", TGI_READ),
    "tokens, whole in a list": ("tgi", json.dumps([TGI_WHOLE], ensure_ascii=False).encode(), TGI_READ),
    "tokens, whole": ("tgi", json.dumps(TGI_WHOLE).encode(), TGI_READ),
    "tokens, pretty": ("tgi", json.dumps([TGI_WHOLE], indent=1).encode(), TGI_READ),
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_no_cut_changes_an_answer(sample):
    handler, data, read = SAMPLES[sample]
    assert decoded(handler, data) == read
    for at in range(len(data)):
        assert decoded(handler, data[:at], data[at:]) == read, at


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_byte_alone_gives_the_same_answer(sample):
    handler, data, read = SAMPLES[sample]
    assert decoded(handler, *(data[i : i + 1] for i in range(len(data)))) == read


@settings(deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.lists(st.integers(1, 300)))
def test_no_sizes_of_chunks_change_an_answer(sample, sizes):
    handler, data, read = SAMPLES[sample]
    chunks, rest = [], data
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    assert decoded(handler, *chunks, rest) == read


def ending(handler: str, data: bytes):
    """What came, or the error."""
    try:
        return decoded(handler, data)[:2]
    except (IncompleteError, UnusableError) as error:
        return type(error), error.message


@pytest.mark.parametrize("sample", SAMPLES)
def test_an_answer_that_ends_anywhere_is_incomplete_or_whole(sample):
    """A container that breaks off within a properly framed response; before its first record, it has sent nothing."""
    handler, data, (text, reasoning, _) = SAMPLES[sample]
    endings = [ending(handler, data[:at]) for at in range(1, len(data))]
    nothing = (UnusableError, "the endpoint sent an empty answer")
    assert all(end in ((text, reasoning), nothing) or end[0] is IncompleteError for end in endings)
    comments = data.index(b"data:") if data.startswith(b":") else 0
    assert endings.count(nothing) <= comments


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(HANDLERS), st.lists(st.binary()))
def test_any_bytes_give_an_answer_or_an_error_of_ours(handler, chunks):
    with pytest.raises(SmAskError):
        decoded(handler, *chunks)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
KEYS = st.sampled_from(
    ["choices", "delta", "message", "content", "reasoning", "finish_reason", "usage", "prompt_tokens"]
) | st.sampled_from(["token", "text", "special", "generated_text", "details", "input_length", "error", "error_msg"])
STRANGE = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner), max_leaves=12)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(HANDLERS), st.lists(STRANGE, max_size=3))
def test_any_records_give_an_answer_or_an_error_of_ours(handler, records):
    """Whatever stands where, nothing else is raised, and what is read has the types that it should have."""
    data = b"".join(
        b"data: " + json.dumps(record).replace("Infinity", "1e999").encode() + b"\n\n" for record in records
    )
    try:
        _, _, finish = decoded(handler, data)
    except SmAskError:
        return
    assert finish.reason is None or isinstance(finish.reason, str)
    assert finish.usage is None or all(type(count) in {int, type(None)} for count in finish.usage[:2])


def test_the_first_choice_is_the_answer():
    body = {"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}
    assert decoded("openai-chat", json.dumps(body).encode()) == ("a", "", Finish(None, None))


def test_a_count_may_come_with_the_last_piece():
    data = chat_event({"content": "a"}) + chat_event({}, "length", usage={"prompt_tokens": 1, "completion_tokens": 2})
    assert decoded("openai-chat", data) == ("a", "", Finish("length", Usage(1, 2)))


def test_special_tokens_are_no_text():
    data = tgi_event("<s>", special=True) + tgi_event("a") + tgi_event("</s>", "a", special=True)
    assert decoded("tgi", data) == ("a", "", Finish(None, None))


def test_the_last_token_is_text_where_it_is_not_special():
    data = tgi_event("a") + tgi_event("b", "ab", finish_reason="length", generated_tokens=2)
    assert decoded("tgi", data) == ("ab", "", Finish("length", Usage(None, 2)))


def test_lone_surrogates_are_passed_on():
    data = rb'{"choices": [{"message": {"content": "\ud83c"}}]}'
    assert decoded("openai-chat", data)[0] == "\ud83c"


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter", "stop_sequence"])
def test_reasons_are_the_containers_own_words(reason):
    assert decoded("openai-chat", chat_event({"content": "a"}, reason))[2].reason == reason


ERRORS = {
    "vLLM": b'data: {"error": {"message": "it broke", "type": "InternalServerError", "code": 500}}\n\ndata: [DONE]\n\n',
    "SGLang": b'{"object": "error", "message": "it broke", "code": 400}',
    "TGI": b'data:{"error": "it broke", "error_type": "validation"}\n\n',
    "LMI": b'{"generated_text": null, "error": "it broke", "code": 424}\n',
    "LMI in a token": (
        b'{"token": {"id": -1, "text": "", "error_msg": "it broke"}, "generated_text": "",'
        b' "details": {"finish_reason": "error"}}\n'
    ),
}


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_as_data_is_an_error(handler, kind):
    with pytest.raises(ModelError, match="it broke"):
        decoded(handler, ERRORS[kind])


@pytest.mark.parametrize("handler", HANDLERS)
def test_text_before_an_error_is_given_first(handler):
    parts = {"openai-chat": chat_parts("Hello")[:2], "tgi": [tgi_event("Hello")]}[handler]
    found = named(handler).decode([*parts, ERRORS["TGI"]])
    assert next(found) == Text("Hello")
    with pytest.raises(ModelError):
        next(found)


@pytest.mark.parametrize(
    ("handler", "data"),
    [
        ("tgi", tgi_event("a") + tgi_event("", "a", finish_reason="error")),
        ("openai-chat", chat_event({"content": "a"}) + chat_event({}, "error")),
    ],
)
def test_a_generation_that_ended_with_an_error_is_no_answer(handler, data):
    with pytest.raises(ModelError):
        decoded(handler, data)


def test_a_generation_that_was_given_up_is_incomplete():
    with pytest.raises(IncompleteError):
        decoded("openai-chat", chat_event({"content": "a"}) + chat_event({}, "abort"))


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("data", [b"", b"\n\n", b": keep-alive\n\n", b"event: x\n\n"])
def test_nothing_is_no_answer(handler, data):
    with pytest.raises(UnusableError, match="empty"):
        decoded(handler, data)
