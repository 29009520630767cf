"""Every preset: what it sends, and what it makes of its container's answers, however their bytes are cut."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_ask import wire
from sm_ask.chat import Finish, Message, Request, Text, Usage
from sm_ask.errors import IncompleteError, InputError, ModelError, SmAskError, UnusableError, UsageError
from sm_ask.handlers import NAMES, named

SYSTEM, USER = Message("system", "Answer in one word."), Message("user", "Which river runs through Köln?")
EARLIER = (Message("user", "Salve"), Message("assistant", "Ave"))
TEXT = f"{SYSTEM.content}\n\n{USER.content}"
FULL = {"return_full_text": False, "details": True}


def body(name, params=None, messages=(SYSTEM, USER), *, stream=False):
    return json.loads(named(name).encode(Request(messages, params or {}, stream)))


def read(name, chunks, *, stream=False, prompt="", params=None):
    """The text, the reasoning and the finish; or what came and the error."""
    texts = {False: "", True: ""}
    try:
        for delta in named(name).decode(chunks, Request((Message("user", prompt),), params or {}, stream)):
            if isinstance(delta, Finish):
                return texts[False], texts[True], delta
            texts[delta.reasoning] += delta.text
    except SmAskError as error:
        return texts[False], type(error), error.message
    raise AssertionError("no finish")


CHAT = [{"role": "system", "content": SYSTEM.content}, {"role": "user", "content": USER.content}]
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
REQUESTS = {
    "openai-chat": ({"messages": CHAT, "max_tokens": 512}, STREAMED),
    "openai-completions": ({"prompt": TEXT, "max_tokens": 512}, STREAMED),
    "tgi": ({"inputs": TEXT, "parameters": {"max_new_tokens": 512, **FULL}}, {"stream": True}),
    "lmi": ({"inputs": TEXT, "parameters": {"max_new_tokens": 512, **FULL}}, {"stream": True}),
    "nova": ({"messages": CHAT, "max_tokens": 512}, STREAMED),
    "huggingface": ({"inputs": TEXT, "parameters": {"max_new_tokens": 512, "return_full_text": False}}, {}),
    "jumpstart-llama2": ({"inputs": [CHAT], "parameters": {"max_new_tokens": 512}}, {}),
    "jumpstart-text2text": ({"text_inputs": TEXT, "max_length": 512}, {}),
    "jumpstart-textgeneration": ({"text_inputs": TEXT, "max_length": 512}, {}),
    "cohere": (
        {"message": USER.content, "preamble": SYSTEM.content, "max_tokens": 512, "stream": False},
        {"stream": True},
    ),
    "ai21": ({"prompt": TEXT, "maxTokens": 512}, {}),
    "triton": (
        {"text_input": TEXT, "parameters": {"max_tokens": 512, "stream": False}},
        {"parameters": {"max_tokens": 512, "stream": True}},
    ),
    "mlflow": ({"messages": CHAT, "max_tokens": 512}, {}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_has_the_shape_of_its_family(name):
    whole, more = REQUESTS[name]
    assert body(name) == whole
    assert body(name, stream=True) == whole | more


def test_every_preset_is_tested():
    assert {*REQUESTS, "text", "raw"} == {*NAMES}


def test_which_families_stream():
    whole_only = {name for name in NAMES if not named(name).streams}
    assert whole_only == {
        "huggingface",
        "jumpstart-llama2",
        "jumpstart-text2text",
        "jumpstart-textgeneration",
        "ai21",
        "mlflow",
    }


def test_which_families_want_attributes():
    wanted = {name: named(name).custom_attributes for name in NAMES if named(name).custom_attributes}
    assert wanted == {"jumpstart-llama2": "accept_eula=true"}


@pytest.mark.parametrize("name", ["text", "raw"])
def test_a_text_is_sent_as_it_is(name):
    handler = named(name)
    assert handler.encode(Request((SYSTEM, USER))) == TEXT.encode()
    assert handler.content_type == {"text": "text/plain", "raw": "application/json"}[name]
    with pytest.raises(UsageError, match="top_k"):
        handler.encode(Request((USER,), {"top_k": 1}))
    with pytest.raises(InputError):
        handler.encode(Request((Message("user", "caf\udce9"),)))


def flat(fields):
    """A request with its parameters beside the rest."""
    return {**fields, **fields.pop("parameters", {})}


def parameters(name, given):
    """What they add to a request."""
    plain = flat(body(name))
    return {key: value for key, value in flat(body(name, given)).items() if key not in plain}


MAX = {
    "openai-completions": "max_tokens",
    "lmi": "max_new_tokens",
    "nova": "max_tokens",
    "huggingface": "max_new_tokens",
    "jumpstart-llama2": "max_new_tokens",
    "jumpstart-text2text": "max_length",
    "jumpstart-textgeneration": "max_length",
    "cohere": "max_tokens",
    "ai21": "maxTokens",
    "triton": "max_tokens",
    "mlflow": "max_tokens",
}


@pytest.mark.parametrize("name", MAX)
def test_the_limit_has_the_family_s_name(name):
    fields = body(name, {"max_tokens": 9})
    assert fields.get("parameters", fields)[MAX[name]] == 9


@pytest.mark.parametrize(
    ("name", "given", "sent"),
    [
        ("lmi", {"stop": "##"}, {"stop": ["##"], "stop_sequences": ["##"]}),
        ("lmi", {"temperature": 0.3}, {"temperature": 0.3, "do_sample": True}),
        ("lmi", {"temperature": 0, "top_p": 1.0, "top_k": 0}, {"do_sample": False}),
        ("huggingface", {"temperature": 0}, {"do_sample": False}),
        ("huggingface", {"repetition_penalty": 1.2}, {"repetition_penalty": 1.2}),
        ("jumpstart-text2text", {"temperature": 0, "seed": 4}, {"do_sample": False, "seed": 4}),
        ("jumpstart-textgeneration", {"temperature": 0.8}, {"do_sample": True, "temperature": 0.8}),
        ("jumpstart-llama2", {"temperature": 0}, {"temperature": 0.01, "top_p": 0.01}),
        ("jumpstart-llama2", {"temperature": 0.7, "top_p": 0.8}, {"temperature": 0.7, "top_p": 0.8}),
        ("cohere", {"top_p": 0.7, "top_k": 3, "stop": ["a"]}, {"p": 0.7, "k": 3, "stop_sequences": ["a"]}),
        (
            "ai21",
            {"top_p": 0.7, "stop": "a", "temperature": 0},
            {"topP": 0.7, "stopSequences": ["a"], "temperature": 0},
        ),
        ("triton", {"temperature": 0, "seed": 3}, {"temperature": 0, "seed": 3}),
        ("nova", {"top_p": 0.9, "reasoning_effort": "low"}, {"top_p": 0.9, "reasoning_effort": "low"}),
        ("openai-completions", {"stop": "a", "seed": 0}, {"stop": ["a"], "seed": 0}),
        ("mlflow", {"temperature": 0, "x": [1]}, {"temperature": 0, "x": [1]}),
        ("tgi", {"n": 1}, {}),
    ],
)
def test_a_parameter_has_the_family_s_name_and_range(name, given, sent):
    assert parameters(name, given) == sent


@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        *(("nova", key) for key in ("stop", "seed", "repetition_penalty", "n", "model", "min_p")),
        *(("huggingface", key) for key in ("stop", "seed")),
        *(("jumpstart-llama2", key) for key in ("top_k", "stop", "seed", "n")),
        *(("jumpstart-text2text", key) for key in ("stop", "repetition_penalty")),
        *(("cohere", key) for key in ("seed", "repetition_penalty", "n")),
        *(("ai21", key) for key in ("top_k", "seed", "repetition_penalty")),
        ("triton", "stop"),
        ("tgi", "n"),
    ],
)
def test_a_parameter_that_would_be_ignored_is_refused(name, unknown):
    """Nobody should wonder why an answer went on behind its stop word."""
    with pytest.raises(UsageError, match=unknown) as caught:
        body(name, {unknown: 2})
    assert name in caught.value.hint


def test_a_conversation():
    messages = (SYSTEM, *EARLIER, USER)
    assert [m["role"] for m in body("openai-chat", messages=messages)["messages"]] == [m.role for m in messages]
    assert body("jumpstart-llama2", messages=messages)["inputs"][0][2] == {"role": "assistant", "content": "Ave"}
    assert body("huggingface", messages=messages)["inputs"][1] == {"role": "user", "content": "Salve"}
    assert body("cohere", messages=messages) == {
        "message": USER.content,
        "chat_history": [{"role": "User", "message": "Salve"}, {"role": "Chatbot", "message": "Ave"}],
        "preamble": SYSTEM.content,
        "max_tokens": 512,
        "stream": False,
    }
    assert body("tgi", messages=messages)["inputs"] == "\n\n".join(message.content for message in messages)


def dumped(value, **style):
    return json.dumps(value, ensure_ascii=False, **style).encode()


def token(text, whole=None, *, probability="logprob", **details):
    record = {"index": 0, "token": {"id": 8, "text": text, probability: -0.25}}
    return record | ({} if whole is None else {"generated_text": whole, "details": details or None})


WORDS = ["Der ", "Rhein", ' "é🎉\\', "\n"]
ALL = "".join(WORDS)
TOKENS = [*map(token, WORDS), token("!", ALL + "!", finish_reason="eos_token", generated_tokens=5, input_length=3)]
ROLLING = [token(word, probability="log_prob") for word in WORDS]
ROLLING.append(token("!", ALL + "!", probability="log_prob", finish_reason="length", generated_tokens=5, inputs="?"))
COUNTED = Finish("stop", Usage(3, 5))
LENGTH = Finish("length", Usage(None, 5))
PLAIN = Finish(None, None)
COHERE = [
    {"is_finished": False, "event_type": "stream-start", "generation_id": "g"},
    *({"is_finished": False, "event_type": "text-generation", "text": word} for word in WORDS),
    {
        "is_finished": True,
        "event_type": "stream-end",
        "finish_reason": "MAX_TOKENS",
        "response": {"text": ALL, "token_count": {"prompt_tokens": 3, "response_tokens": 5}},
    },
]
GENERATE = [
    *({"index": i, "text": word, "is_finished": False} for i, word in enumerate(WORDS)),
    {"is_finished": True, "finish_reason": "COMPLETE", "response": {"generations": [{"text": ALL}]}},
]
JURASSIC = {
    "prompt": {"text": "?", "tokens": [1, 2, 3]},
    "completions": [{"data": {"text": ALL, "tokens": [1, 2, 3, 4, 5]}, "finishReason": {"reason": "endoftext"}}],
}
COMPLETION = {
    "object": "text_completion",
    "choices": [{"index": 0, "text": ALL, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 5},
}
PARTS_OF_ONE = {"choices": [{"message": {"content": [{"type": "text", "text": "Der "}, {"text": "Rhein"}]}}]}


def events(records, end=b""):
    return b"".join(b"data: " + dumped(record) + b"\n\n" for record in records) + end


def lined(records):
    return b"".join(dumped(record) + b"\n" for record in records)


def piece(text, reason=None):
    return {"choices": [{"index": 0, "text": text, "finish_reason": reason}], "usage": None}


COMPLETIONS = [
    *map(piece, WORDS),
    piece("", "stop"),
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}},
]

#: name: (preset, a stream or not, bytes, text, finish)
ANSWERS = {
    "completions": ("openai-completions", False, dumped(COMPLETION), ALL, COUNTED),
    "completions, events": ("openai-completions", True, events(COMPLETIONS, b"data: [DONE]\n\n"), ALL, COUNTED),
    "content in parts": ("openai-chat", False, dumped(PARTS_OF_ONE), "Der Rhein", PLAIN),
    "lmi, JSON lines": ("lmi", True, lined(TOKENS) + b"\n\n", ALL + "!", COUNTED),
    "lmi, no last newline": ("lmi", True, lined(TOKENS).strip(), ALL + "!", COUNTED),
    "lmi, rolling": ("lmi", True, lined(ROLLING), ALL + "!", LENGTH),
    "lmi, events": ("lmi", True, events(ROLLING), ALL + "!", LENGTH),
    "lmi, outputs": ("lmi", True, lined({"outputs": [word]} for word in WORDS), ALL, PLAIN),
    "lmi, chat": ("lmi", True, lined(COMPLETIONS), ALL, COUNTED),
    "lmi, object": ("lmi", False, dumped({"generated_text": ALL}) + b"\n", ALL, PLAIN),
    "lmi, list": ("lmi", False, dumped([{"generated_text": ALL}]), ALL, PLAIN),
    "lmi, fragments": ("lmi", True, dumped({"generated_text": ALL}), ALL, PLAIN),
    "lmi, escaped fragments": ("lmi", True, json.dumps({"generated_text": ALL}).encode(), ALL, PLAIN),
    "lmi, fragments and details": (
        "lmi",
        True,
        dumped({"generated_text": ALL, "details": {"finish_reason": "length", "generated_tokens": 5}}, indent=1),
        ALL,
        LENGTH,
    ),
    "lmi, whole for a stream": ("lmi", True, dumped([{"generated_text": ALL}], indent=2), ALL, PLAIN),
    "nova": ("nova", False, dumped({"choices": [{"message": {"content": ALL}}]}), ALL, PLAIN),
    "pipeline": ("huggingface", False, dumped([{"generated_text": ALL}]), ALL, PLAIN),
    "pipeline, batch": ("huggingface", False, dumped([[{"generated_text": ALL}]]), ALL, PLAIN),
    "pipeline, summary": ("huggingface", False, dumped([{"summary_text": ALL}]), ALL, PLAIN),
    "pipeline, translation": ("huggingface", False, dumped([{"translation_text": ALL}]), ALL, PLAIN),
    "pipeline, chat": (
        "huggingface",
        False,
        dumped([{"generated_text": [*CHAT, {"role": "assistant", "content": ALL}]}], indent=2),
        ALL,
        PLAIN,
    ),
    "llama2": ("jumpstart-llama2", False, dumped([{"generation": {"role": "assistant", "content": ALL}}]), ALL, PLAIN),
    "llama2, text": ("jumpstart-llama2", False, dumped([{"generation": ALL}]), ALL, PLAIN),
    "llama2, later": ("jumpstart-llama2", False, dumped({"generated_text": ALL}), ALL, PLAIN),
    "text2text": ("jumpstart-text2text", False, dumped({"generated_texts": [ALL, "another"]}), ALL, PLAIN),
    "text2text, text": ("jumpstart-text2text", False, dumped({"generated_text": ALL}), ALL, PLAIN),
    "textgeneration": ("jumpstart-textgeneration", False, dumped([[{"generated_text": ALL}]]), ALL, PLAIN),
    "cohere": (
        "cohere",
        False,
        dumped({"text": ALL, "finish_reason": "COMPLETE", "token_count": {"prompt_tokens": 3, "response_tokens": 5}}),
        ALL,
        COUNTED,
    ),
    "cohere, generate": ("cohere", False, dumped({"generations": [{"text": ALL}]}), ALL, PLAIN),
    "cohere, lines": ("cohere", True, lined(COHERE), ALL, Finish("length", Usage(3, 5))),
    "cohere, no lines": ("cohere", True, b"".join(map(dumped, COHERE)), ALL, Finish("length", Usage(3, 5))),
    "cohere, generated lines": ("cohere", True, lined(GENERATE), ALL, Finish("stop", None)),
    "ai21": ("ai21", False, dumped(JURASSIC), ALL, COUNTED),
    "ai21, list": ("ai21", False, dumped([JURASSIC], indent=1), ALL, COUNTED),
    "triton": ("triton", False, dumped({"model_name": "m", "text_output": ALL}), ALL, PLAIN),
    "triton, events": ("triton", True, events({"text_output": word} for word in WORDS), ALL, PLAIN),
    "mlflow": ("mlflow", False, dumped({"predictions": [ALL]}), ALL, PLAIN),
    "mlflow, chat": ("mlflow", False, dumped(COMPLETION), ALL, COUNTED),
    "text": ("text", True, ALL.encode(), ALL, PLAIN),
    "raw": ("raw", False, dumped(JURASSIC), dumped(JURASSIC).decode(), PLAIN),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_read_however_it_is_cut(answer):
    name, stream, data, text, finish = ANSWERS[answer]
    assert read(name, [data], stream=stream) == (text, "", finish)
    for at in range(1, len(data)):
        assert read(name, [data[:at], b"", data[at:]], stream=stream) == (text, "", finish), at
    assert read(name, [data[i : i + 1] for i in range(len(data))], stream=stream) == (text, "", finish)


@pytest.mark.parametrize("answer", [answer for answer in ANSWERS if ANSWERS[answer][0] not in {"text", "raw"}])
def test_no_beginning_of_an_answer_is_taken_for_the_whole(answer):
    """Where a container sends no end mark, a cut between two records cannot be told from the end."""
    name, stream, data, text, _ = ANSWERS[answer]
    unmarked = answer in {"lmi, outputs", "triton, events"}
    for at in range(1, len(data.rstrip())):
        came, kind, _ = read(name, [data[:at]], stream=stream)
        assert text.startswith(came), at
        assert kind is IncompleteError or came == text or (unmarked and kind == ""), (at, kind)


@pytest.mark.parametrize("name", [*REQUESTS])
@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "it broke", "type": "BadRequestError", "code": 400}},
        {"object": "error", "message": "it broke", "code": 400},
        {"error": "it broke", "error_type": "validation"},
        {"code": 424, "error": "it broke"},
        {"code": 424, "message": "invoke handler failure", "error": "it broke"},
        {"code": 400, "type": "InternalServerException", "message": "it broke"},
        {"error_code": "BAD_REQUEST", "message": "it broke"},
        {"generated_text": None, "error": "it broke", "details": {"finish_reason": "error"}},
        {"generated_text": "", "error": "it broke"},
        {"detail": "it broke"},
    ],
)
def test_an_error_gives_its_message(name, error):
    for stream in (False, True):
        came, kind, message = read(name, [dumped(error, indent=2)], stream=stream)
        assert (came, kind) == ("", ModelError)
        assert "it broke" in message


@pytest.mark.parametrize("name", [*REQUESTS])
@pytest.mark.parametrize("shape", [{"unknown": "x"}, [], 5, "", [[]], {"choices": 1}, None])
def test_another_shape_is_unusable(name, shape):
    _, kind, _ = read(name, [dumped(shape)])
    assert kind is UnusableError or (kind == "" and isinstance(shape, str))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stream", [False, True])
def test_nothing_is_no_answer(name, stream):
    assert read(name, [b""], stream=stream)[1:] == (UnusableError, "the endpoint sent an empty answer")


class TestEcho:
    prompt = "Wie heißt der Fluss?"

    def echoed(self, name, text, **more):
        return read(name, [dumped([{"generated_text": text}])], prompt=self.prompt, **more)[0]

    @pytest.mark.parametrize("name", ["huggingface", "jumpstart-textgeneration"])
    def test_the_prompt_is_taken_off_where_the_family_repeats_it(self, name):
        assert self.echoed(name, self.prompt + " Rhein") == " Rhein"
        assert self.echoed(name, "Rhein") == "Rhein"
        assert self.echoed(name, self.prompt[:-1] + "!") == self.prompt[:-1] + "!"
        assert self.echoed(name, self.prompt[:5]) == self.prompt[:5]

    def test_it_stays_where_it_was_asked_for(self):
        params = {"return_full_text": True}
        assert self.echoed("huggingface", self.prompt + " Rhein", params=params) == self.prompt + " Rhein"

    @pytest.mark.parametrize("name", ["tgi", "lmi", "jumpstart-llama2"])
    def test_other_families_are_taken_at_their_word(self, name):
        assert self.echoed(name, self.prompt + " Rhein") == self.prompt + " Rhein"

    def test_a_container_s_own_record_tells_what_was_generated(self):
        details = {"inputs": self.prompt, "tokens": [{"text": " Rh"}, {"text": "ein"}]}
        whole = [{"generated_text": self.prompt + " Rhein", "details": details}]
        assert read("lmi", [dumped(whole)])[0] == " Rhein"
        details["tokens"].pop()
        assert read("lmi", [dumped(whole)])[0] == self.prompt + " Rhein"

    @given(st.text(max_size=6), st.lists(st.text(max_size=4)))
    def test_pieces_of_a_stream(self, prompt, pieces):
        from sm_ask.handlers.decoding import without_echo

        found = list(without_echo([*map(Text, pieces), PLAIN], prompt))
        assert found[-1] == PLAIN
        assert "".join(delta.text for delta in found[:-1]) == "".join(pieces).removeprefix(prompt)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
DOCUMENTS = st.lists(JSON_VALUES) | st.dictionaries(st.text(), JSON_VALUES)


@settings(deadline=None, max_examples=40)
@given(st.lists(DOCUMENTS, max_size=4), st.sampled_from([b"", b" ", b"\r\n"]), st.integers(1, 60), st.booleans())
def test_values_stand_one_after_the_other(documents, space, size, escaped):
    data = space.join(json.dumps(one, ensure_ascii=escaped).encode(errors="replace") for one in documents)
    expected = [json.loads(json.dumps(one, ensure_ascii=escaped).encode(errors="replace")) for one in documents]
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert list(wire.values(chunks)) == expected


def test_values_come_as_soon_as_they_are_whole():
    arrived = []

    def chunks():
        for chunk in (b'{"a": "}', b'"}[', b"1]"):
            arrived.append(chunk)
            yield chunk

    found = wire.values(chunks())
    assert (next(found), len(arrived)) == ({"a": "}"}, 2)
    assert (next(found), len(arrived)) == ([1], 3)


def test_fragments_come_as_they_are():
    chunks = [b'{"generated_text', b'": "Der R', b"hein \\ud83c", b"\\udf89 \\", b"n\xc3", b'\xa9"', b"}"]
    found = [d.text for d in named("lmi").decode(chunks, Request((USER,))) if isinstance(d, Text)]
    assert found == ["Der R", "hein ", "\U0001f389 ", "\n", "é"]


@pytest.mark.parametrize(
    "bad", [b"\\x", b"\\u12G4 and some more", b"\xff and some more text", b"\x00", b"\xe0\x80\x80aa"]
)
def test_fragments_that_are_no_json_are_unusable(bad):
    came, kind, _ = read("lmi", [b'{"generated_text": "Rhein', bad, b'"}'], stream=True)
    assert (came, kind) == ("Rhein", UnusableError)


def test_a_text_that_is_no_utf8_is_given_up_to_there():
    assert read("text", [b"Rhein \xff und Main"])[:2] == ("Rhein ", UnusableError)
    assert read("text", ["Rhein é".encode()[:-1]])[:2] == ("Rhein ", IncompleteError)


def framed(name, texts):
    """A whole stream of those texts, as the family sends it."""
    whole = "".join(texts)
    if name == "openai-chat":
        return events([*({"choices": [{"delta": {"content": text}}]} for text in texts), piece("", "stop")])
    if name == "cohere":
        words = ({"is_finished": False, "event_type": "text-generation", "text": text} for text in texts)
        return b"".join(map(dumped, [*words, COHERE[-1]]))
    if name == "lmi":
        return dumped({"generated_text": whole})
    records = [*map(token, texts), token("", whole)]
    return events(records) if name == "tgi" else lined(records)


@settings(deadline=None)
@given(
    st.sampled_from(["openai-chat", "tgi", "lmi", "lmi, lines", "cohere"]),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1),
    st.lists(st.integers(1, 60), min_size=1),
    st.booleans(),
)
def test_no_text_is_lost(name, texts, sizes, stream):
    """Whatever stands in it, and however it is cut."""
    data, chunks = framed(name, texts), []
    while data:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(data[:size])
        data = data[size:]
    stream = stream or name != "lmi"
    assert read(name.partition(",")[0], chunks, stream=stream)[0] == "".join(texts)


TAILS = st.sampled_from(
    [b"data: ", b"\n", b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u", b"1", b",", b":", b"\xc3", b"NaN"]
)
HEADS = st.sampled_from(
    [b"", b'{"generated_text": "', b'{"token": {"text": "a"}}\n', b'{"outputs": ["a"]}\n', b"data: {"]
)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(NAMES), st.booleans(), HEADS, st.lists(st.binary() | TAILS))
def test_any_bytes_give_an_answer_or_an_error_of_ours(name, stream, head, chunks):
    data = b"".join([head, *chunks])
    result = read(name, [head, *chunks], stream=stream)
    assert result[0] == read(name, [data], stream=stream)[0] or result[1] in {
        IncompleteError,
        UnusableError,
        ModelError,
    }
    if name in {"text", "raw"} and data and result[1] == "":
        assert result[0] == data.decode()


@pytest.mark.parametrize(
    ("name", "part", "end"),
    [
        ("lmi", dumped(token("Rhein ")) + b"\n", dumped(token("", "x"))),
        ("cohere", dumped(COHERE[1]), dumped(COHERE[-1])),
        ("lmi", dumped({"generated_text": "Rhein " * 5})[:-2], b'"}'),
    ],
    ids=["lines", "values", "fragments"],
)
def test_a_megabyte_takes_linear_time(name, part, end):
    """Far below what it does, so that a busy machine does not fail; a quadratic reader takes minutes."""
    parts = [part] if part.startswith(b'{"gen') else []
    parts += [part if not parts else b"Rhein und Main "] * (1_000_000 // len(part))
    data = b"".join([*parts, end])
    for size in (100, 65_536):
        chunks = [data[at : at + size] for at in range(0, len(data), size)]
        began = time.thread_time()
        assert isinstance(read(name, chunks, stream=True)[2], Finish)
        assert time.thread_time() - began < 3
