"""What containers say when they refuse or fail, in every shape that is known, and what is made of it."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_ask import complaints
from sm_ask.errors import ContextError, ModelError, SchemaError
from sm_ask.handlers import NAMES

KEYS = st.sampled_from(
    ["error", "message", "detail", "object", "code", "error_code", "token", "error_msg", "loc", "msg"]
)
BODIES = {
    "vLLM": '{"error":{"message":"it broke","type":"BadRequestError","param":null,"code":400}}',
    "SGLang": '{"object":"error","message":"it broke","type":"BadRequest","param":null,"code":400}',
    "TGI": '{"error":"it broke","error_type":"validation"}',
    "TGI chat": '{"error":{"message":"it broke","http_status_code":422}}',
    "LMI": '{"generated_text":null,"error":"it broke","code":400,"details":{"finish_reason":"error"}}',
    "LMI dynamic batch": '{"code":424,"message":"invoke handler failure","error":"it broke"}',
    "MMS": '{\n  "code": 400,\n  "type": "InternalServerException",\n  "message": "it\\u0020broke"\n}\n',
    "Triton": '{\n  "error": "it broke"\n}\n',
    "MLflow": '{"error_code":"BAD_REQUEST","message":"it\\nbroke"}',
    "FastAPI": '{"detail":"it broke"}',
    "a message alone": '{"message":"it broke","status":"bad"}',
    "wrapped": json.dumps({"code": 424, "error": json.dumps({"error": {"message": "it broke"}})}),
    "text": "it  broke\r\n",
    "HTML": "<html><head><title>502</title><style>p {}</style></head><body><h1>it</h1>\n<p>broke</p></body></html>",
}


@pytest.mark.parametrize("body", BODIES)
def test_the_message_is_dug_out(body):
    assert complaints.said(BODIES[body]) == "it broke"


def test_a_list_of_faults_says_where_each_is():
    faults = [{"type": "missing", "loc": ["body", "n"], "msg": "Field required"}, {"msg": "odd"}]
    assert complaints.said(json.dumps({"detail": faults})) == "body.n: Field required; odd"


@pytest.mark.parametrize("body", ["", "{}", "{", "[]", "null", '{"detail": [1]}', "{" * 50_000, '{"error": ""}'])
def test_a_body_that_says_nothing_is_given_as_it_is(body):
    assert complaints.said(body) in (body, "[1]")


TOO_LONG = {
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4500 in the messages, "
    "500 in the completion). Please reduce the length of the messages or completion.": 4096,
    "'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum context length is 8192 tokens "
    "and your request has 30 input tokens (9000 > 8192 - 30).": 8192,
    "The decoder prompt (length 9000) is longer than the maximum model length of 4,096.": 4096,
    "The input (9000 tokens) is longer than the model's context length (4096 tokens).": 4096,
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 1512. Given: 30 `inputs` tokens and 4060 "
    "`max_new_tokens`": 1512,
    "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000": 1024,
    "the request exceeds the available context size (2048 tokens), try increasing it": 2048,
    "the request exceeds the available context size. try increasing the context size or enable context shift": None,
    "Input prompt (9000 tokens) is too long and exceeds limit of 4096": 4096,
    "prompt length (9000) exceeds maximum input length (4096)": 4096,
    "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000": 4081,
}


@pytest.mark.parametrize(("text", "limit"), TOO_LONG.items())
def test_a_question_that_is_too_long_has_the_containers_limit(text, limit):
    error = complaints.error("it failed", text, refused=True)
    assert isinstance(error, ContextError)
    assert (error.code, error.limit, error.maybe_charged) == (9, limit, False)
    assert f"{limit:,} tokens" in error.hint if limit else "more than" in error.hint


MISSING = "1 validation error for Body\n{0}\n  Field required [type=missing, input_value={{'a': 1}}, input_type=dict]"
OTHER_SCHEMA = {
    "Cannot find suitable handler for request. Expected one of: ['ChatCompletionRequest']": "openai-chat",
    "[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required', 'input': {'inputs': 'hi'}}]": (
        "openai-chat"
    ),
    "body.messages: Field required": "openai-chat",
    " ".join(MISSING.format("messages").split()): "openai-chat",
    "Failed to deserialize the JSON body into the target type: missing field `messages` at line 1": "openai-chat",
    "Failed to deserialize the JSON body into the target type: missing field `inputs` at line 1": "tgi",
    "KeyError: 'inputs'": "tgi",
    "'inputs'": "tgi",
    "Input parsing failed: invalid payload. must contain prompt, inputs, or messages": "lmi",
    "The input must be a JSON dictionary with exactly one of the input fields {'inputs', 'instances'}": "mlflow",
    "failed to parse the request JSON: attribute 'text_input' is missing": "triton",
    "KeyError: 'text_inputs'": "jumpstart-text2text",
    "text input must be of type `str` (single example) or `List[str]`": "huggingface",
    'can only concatenate str (not "dict") to str': "huggingface",
    "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template": (
        "openai-completions"
    ),
}


@pytest.mark.parametrize(("text", "preset"), OTHER_SCHEMA.items())
def test_a_container_that_expects_another_body_says_which(text, preset):
    error = complaints.error("it failed", text, refused=True)
    assert isinstance(error, SchemaError)
    assert (error.code, error.presets[0], error.maybe_charged) == (9, preset, False)
    assert f"try --handler {preset}" in error.hint
    assert set(error.presets) <= set(NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "Unsupported Media Type: Only 'application/json' is allowed",
        "data did not match any variant of untagged enum SagemakerRequest",
    ],
)
def test_another_schema_that_no_preset_is_known_for(text):
    error = complaints.error("it failed", text, refused=True)
    assert isinstance(error, SchemaError)
    assert error.presets == ()
    assert error.hint.endswith("another --handler may fit")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("generate() got an unexpected keyword argument 'top_q'", "the parameter top_q;"),
        ("unknown field `top_q`, expected one of `top_p`", "the parameter top_q;"),
        ("body.top_q: Extra inputs are not permitted", "the parameter top_q;"),
        ("Unrecognized request argument supplied: top_q", "the parameter top_q;"),
        ("The following `model_kwargs` are not used by the model: ['top_q']", "the parameter top_q;"),
        ("Need to pass custom_attributes='accept_eula=true' as part of header", "--custom-attributes accept_eula=true"),
        ("The model `foo` does not exist.", "-o model=NAME"),
    ],
)
def test_a_known_cause_has_a_hint(text, hint):
    error = complaints.error("it failed", text, refused=True, hints=["its log is x"])
    assert type(error) is ModelError
    assert hint in error.hint
    assert error.hint.endswith("; its log is x")


@given(st.text() | st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)))
def test_any_body_is_an_error_of_ours(body):
    text = complaints.said(body if isinstance(body, str) else json.dumps(body))
    error = complaints.error("it failed", text, refused=True)
    assert isinstance(error, ModelError)
    assert len(error.message) <= len("it failed: ") + complaints.LONGEST


@pytest.mark.parametrize(
    "part", ["<head", "a", "messages ", "unrecognized a ", "{", '"', "\\", " ", "context length 1"]
)
def test_a_megabyte_takes_no_time(part):
    """Far above what it takes, so that a busy machine does not fail."""
    began = time.thread_time()
    complaints.error("it failed", complaints.said(part * (1_000_000 // len(part))), refused=True)
    assert time.thread_time() - began < 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CUDA out of memory",
        "Model is overloaded",
        "'gpt_neox'",
        "`temperature` <= 0",
        "input 'text_input' of no model",
    ],
)
def test_another_cause_has_none(text):
    error = complaints.error("it failed", text, refused=True)
    assert type(error) is ModelError
    assert error.hint is None


@pytest.mark.parametrize("text", ["KeyError: 'text_inputs'", "maximum context length is 4096 tokens", "CUDA error"])
def test_words_alone_do_not_show_that_the_model_did_not_run(text):
    """A container that fails may quote the question, whatever stands in it."""
    assert complaints.error("it failed", text, refused=False).maybe_charged
    assert not complaints.error("it failed", text, refused=True).maybe_charged
