"""TGI's rules, and its events made of llama.cpp's records."""

from __future__ import annotations

import pytest

from sm_ask.local import tgi
from sm_ask.local.container import ContainerError


def record(content: str, token: int) -> dict:
    chance = {"id": token, "token": content, "bytes": list(content.encode()), "logprob": -0.5}
    return {"content": content, "tokens": [token], "stop": False, "completion_probabilities": [chance]}


def end(kind: str, word: str = "") -> dict:
    counts = {"tokens_predicted": 3, "tokens_evaluated": 7}
    return {"content": "", "tokens": [], "stop": True, "stop_type": kind, "stopping_word": word, **counts}


def generation(**params) -> tgi.Generation:
    return tgi.checked({"inputs": "Hi", "parameters": {"details": True, "return_full_text": False, **params}})


def events(*records: dict, **params) -> list[dict]:
    return list(tgi.events(records, generation(**params), lambda token: f"<{token}>"))


def tokens(stream: list[dict]) -> list[tuple[int, str, bool]]:
    return [(event["token"]["id"], event["token"]["text"], event["token"]["special"]) for event in stream]


def test_the_end_of_text_comes_as_a_special_token():
    stream = events(record("Hel", 5), record("lo", 6), record("", 2), end("eos"))
    assert tokens(stream) == [(5, "Hel", False), (6, "lo", False), (2, "<2>", True)]
    assert [event["generated_text"] for event in stream] == [None, None, "Hello"]
    assert stream[-1]["details"] == {
        "finish_reason": "eos_token",
        "generated_tokens": 3,
        "seed": None,
        "input_length": 7,
    }


def test_the_last_token_of_a_cut_answer_comes_with_the_whole_text():
    stream = events(record("Hel", 5), record("lo", 6), end("limit"))
    assert tokens(stream) == [(5, "Hel", False), (6, "lo", False)]
    assert (stream[-1]["generated_text"], stream[-1]["details"]["finish_reason"]) == ("Hello", "length")


def test_a_stop_sequence_is_a_part_of_the_text():
    stream = events(record("one", 5), record("", 6), end("word", "END"))
    assert tokens(stream) == [(5, "one", False), (6, "END", False)]
    assert (stream[-1]["generated_text"], stream[-1]["details"]["finish_reason"]) == ("oneEND", "stop_sequence")


def test_an_answer_without_a_token():
    assert events(end("limit"))[0]["generated_text"] == ""


def test_events_are_counted_from_one_and_written_as_tgi_writes_them():
    first = events(record("\u00e9", 5), end("limit"), details=False)[0]
    assert tgi.encoded(first).decode() == (
        'data:{"index":1,"token":{"id":5,"text":"\u00e9","logprob":-0.5,"special":false},'
        '"generated_text":"\u00e9","details":null}\n\n'
    )


def test_the_prompt_comes_back_unless_told_otherwise():
    (event,) = events(record(" there", 5), end("limit"), return_full_text=None)
    assert event["generated_text"] == "Hi there"


def test_a_failure_within_the_answer_is_its_last_event():
    stream = events(record("half", 5), record("more", 6), {"error": {"message": "out of memory"}})
    assert stream[-1]["error_type"] == "generation"
    assert tgi.whole(iter(stream)) == stream[-1]


def test_an_answer_that_breaks_off():
    with pytest.raises(ContainerError, match="broke off"):
        events(record("half", 5))


def test_a_whole_answer_lists_its_tokens():
    answer = tgi.whole(iter(events(record("a", 5), record("b", 6), end("limit"))))
    assert answer["generated_text"] == "ab"
    assert [token["id"] for token in answer["details"]["tokens"]] == [5, 6]
    assert "input_length" not in answer["details"]


def test_a_whole_answer_without_details():
    answer = tgi.whole(iter(events(record("a", 5), end("limit"), details=False)))
    assert answer == {"generated_text": "a"}


def test_records_are_read_wherever_the_bytes_are_cut():
    stream = 'data: {"content":"caf\u00e9"}\n\n:\n\ndata: {"stop":true}\n\n'.encode()
    for cut in range(len(stream)):
        assert list(tgi.records([stream[:cut], stream[cut:]])) == [{"content": "caf\u00e9"}, {"stop": True}]


@pytest.mark.parametrize(
    ("params", "greedy"),
    [
        (None, False),
        ({}, True),
        ({"do_sample": True}, False),
        ({"temperature": 1.0}, True),
        ({"temperature": 0.5}, False),
        ({"top_k": 5}, False),
        ({"top_p": 0.5}, False),
    ],
)
def test_when_it_samples(params, greedy):
    """Without ``parameters`` it does; with them, only if one of them asks for it."""
    read = tgi.checked({"inputs": "Hi", "parameters": params})
    assert (read.seed is None) is greedy
    assert (read.sampling["temperature"] == 0) is greedy


def test_parameters_get_llama_cpps_names():
    given = {"temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": 9, "stop": ["x"], "repetition_penalty": 1.1}
    assert generation(**given).sampling == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
        "min_p": 0.0,
        "seed": 9,
        "stop": ["x"],
        "repeat_penalty": 1.1,
    }


@pytest.mark.parametrize(
    "params",
    [
        {"max_new_tokens": 0},
        {"max_new_tokens": "x"},
        {"max_new_tokens": 1.5},
        {"temperature": 0},
        {"temperature": True},
        {"top_p": 1.0},
        {"top_p": 0.0},
        {"top_k": 0},
        {"repetition_penalty": -1},
        {"seed": -1},
        {"stop": "x"},
        {"stop": ["x"] * 5},
        {"details": "yes"},
        {"do_sample": 1},
    ],
)
def test_a_parameter_out_of_its_range(params):
    with pytest.raises(tgi.RefusedError, match=f"`{next(iter(params))}`"):
        generation(**params)


@pytest.mark.parametrize("body", [{"inputs": ""}, {"inputs": ["a"]}, {"inputs": "a", "parameters": []}])
def test_a_request_of_the_wrong_shape(body):
    with pytest.raises(tgi.RefusedError):
        tgi.checked(body)


def test_unknown_parameters_are_ignored():
    assert generation(watermark=True).sampling == generation().sampling


def test_prompt_and_answer_share_the_context():
    assert tgi.fit(generation(), 40, 100) == 60
    assert tgi.fit(generation(max_new_tokens=60), 40, 100) == 60
    with pytest.raises(tgi.RefusedError, match="Given: 40 `inputs` tokens and 61 `max_new_tokens`"):
        tgi.fit(generation(max_new_tokens=61), 40, 100)
    with pytest.raises(tgi.RefusedError, match=r"less than 100 tokens\. Given: 100"):
        tgi.fit(generation(), 100, 100)
