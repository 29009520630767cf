"""What the service refuses: rows S of the fault matrix, with the requests counted."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from server import chat_stream, chat_whole, failing, runtime_at, says, whole
from sm_ask.ask import Pause, Policy, ask
from sm_ask.chat import Answer, Message, Request
from sm_ask.errors import ThrottledError
from sm_ask.handlers import named

OPERATIONS = ["--stream", "--no-stream"]
ANSWERS = {"--stream": chat_stream("Hello"), "--no-stream": chat_whole("Hello")}
QUESTION = Request((Message("user", "hi"),))


def container_says(status: int, message: str, **members: object):
    """A 424 that quotes the container."""
    members |= {"OriginalStatusCode": status, "OriginalMessage": message}
    return failing(424, "ModelError", f"Received error ({status}) from primary", members)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_unknown_endpoint_is_refused_once(cli, serve, operation):
    """Row S1: endpoint, account and region are named."""
    server = serve(failing(400, "ValidationError", "Endpoint ep of account 123456789012 not found."))
    done = cli("prompt", "hi", operation, server=server)
    assert (done.code, done.out, len(server.requests)) == (5, b"", 1)
    assert "Endpoint ep of account 123456789012 not found" in done.err
    assert "us-west-2" in done.err
    assert "(request req-1)" in done.err


def test_a_component_that_is_not_named(cli, serve):
    said = "Inference Component Name header is required for endpoints to which you plan to deploy inference components."
    done = cli("prompt", "hi", server=serve(failing(400, "ValidationError", said)))
    assert done.code == 5
    assert "hint: name one with --inference-component; `sm-ask endpoints NAME` lists them\n" in done.err


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied"])
def test_a_denial_names_action_and_resource(cli, serve, operation, code):
    """Row S2."""
    arn = "arn:aws:sagemaker:us-west-2:123456789012:endpoint/ep"
    server = serve(failing(403, code, f"User: me is not authorized to perform: sagemaker:InvokeEndpoint on {arn}"))
    done = cli("prompt", "hi", operation, server=server)
    assert (done.code, done.out, len(server.requests)) == (5, b"", 1)
    assert "sagemaker:InvokeEndpoint" in done.err
    assert arn in done.err


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ExpiredTokenException"),
        (403, "ExpiredToken"),
        (403, "InvalidSignatureException"),
        (403, "UnrecognizedClientException"),
        (400, "RequestExpired"),
    ],
)
def test_keys_that_aws_does_not_accept_are_a_matter_of_credentials(cli, serve, operation, status, code):
    """Row S3."""
    server = serve(failing(status, code, "The security token included in the request is expired"))
    done = cli("prompt", "hi", operation, server=server)
    assert (done.code, done.out, len(server.requests)) == (4, b"", 1)
    assert code in done.err


def test_throttling_is_tried_four_times_with_growing_pauses(serve):
    """Row S4: the whole policy, as it is by default."""
    server = serve(failing(400, "ThrottlingException", "Rate exceeded"))
    pauses: list[Pause] = []
    with pytest.raises(ThrottledError, match=r"Rate exceeded \(tried 4 times in \d\.\d s\)") as caught:
        pauses.extend(ask(QUESTION, named("openai-chat"), runtime_at(server), Policy()))
    assert len(server.requests) == caught.value.attempts == 4
    longest = {pause.error: pause.seconds for pause in reversed(pauses)}
    assert all(pause <= most for pause, most in zip(reversed(longest.values()), (1, 2, 4), strict=True))


RETRIED = {
    "throttled 400": failing(400, "ThrottlingException", "Rate exceeded"),
    "throttled 429": failing(429, "ThrottlingException", "Rate exceeded"),
    "429 without a body": says(whole("", 429)),
    "503": failing(503, "ServiceUnavailable", "Try again"),
    "503 of a proxy": says(whole("<html>busy</html>", 503)),
    "container 429": container_says(429, '{"error":"Model is overloaded","error_type":"overloaded"}'),
    "container 503": container_says(503, "no worker is free"),
    "not ready 429": failing(429, "ModelNotReadyException", "The model is loading"),
    "not ready in the body": says(whole({"__type": "ModelNotReadyException", "message": "The model is loading"}, 429)),
    "no capacity": failing(400, "ValidationError", "Inference component ic has no capacity to process the request."),
}


def asked_at_once(serve, faults, policy):
    """Ask about all faults, with both calls, at the same time, as each waits a while; what came of each."""

    def outcome(case):
        fault, operation = case
        server = serve(faults[fault], says(ANSWERS[operation]))
        request = QUESTION._replace(stream=operation == "--stream")
        *_, answer = ask(request, named("openai-chat"), runtime_at(server), policy)
        return fault, operation, answer.text, len(server.requests)

    cases = [(fault, operation) for fault in faults for operation in OPERATIONS]
    with ThreadPoolExecutor(len(cases)) as threads:
        return cases, list(threads.map(outcome, cases))


def test_what_the_model_did_not_run_for_is_sent_again(serve):
    """Rows S4, S5, S6: the same for both calls, whatever botocore's models say of them."""
    cases, outcomes = asked_at_once(serve, RETRIED, Policy())
    assert outcomes == [(*case, "Hello", 2) for case in cases]


@pytest.mark.parametrize(("fault", "operation"), [("not ready 429", "--stream"), ("container 503", "--no-stream")])
def test_an_answer_after_a_retry_is_an_answer(cli, serve, operation, fault):
    """Rows S5, S6."""
    server = serve(RETRIED[fault], says(ANSWERS[operation]))
    done = cli("prompt", "hi", operation, server=server)
    assert (done.code, done.text, len(server.requests)) == (0, "Hello\n", 2)
    assert "trying again in" in done.err


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", RETRIED)
def test_what_stays_away_is_temporary(cli, serve, operation, fault):
    """Rows S4, S5, S6."""
    server = serve(RETRIED[fault])
    done = cli("prompt", "hi", operation, "--retries", "0", "--json", server=server)
    error = json.loads(done.err.splitlines()[-1])
    assert (done.code, done.out, len(server.requests)) == (6, b"", 1)
    assert (error["retryable"], error["maybe_charged"]) == (True, False)
    assert ("--wait" in (error["hint"] or "")) == (fault.startswith(("not ready", "no capacity")))


FAILED = {
    "500": (failing(500, "InternalFailure", "It failed"), "It failed"),
    "500 without a body": (says(whole("", 500)), "500"),
    "530": (failing(530, "InternalDependencyException", "Contact support"), "Contact support"),
    "502": (says(whole("<html><h1>Bad Gateway</h1></html>", 502, Content_Type="text/html")), "502"),
    "504": (says(whole("<!DOCTYPE html>\n<p>Gateway Timeout</p>", 504, Content_Type="text/html")), "504"),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", FAILED)
def test_a_failure_of_the_service_is_not_sent_again(cli, serve, operation, fault):
    """Rows S6, S7, S12: nothing proves that the model did not run, so the next step is a person's."""
    script, words = FAILED[fault]
    server = serve(script)
    done = cli("prompt", "hi", operation, "--json", server=server)
    error = json.loads(done.err.splitlines()[-1])
    assert (done.code, done.out, len(server.requests)) == (6, b"", 1)
    assert (error["maybe_charged"], error["kind"]) == (True, "service_failure")
    assert words in error["message"]
    assert "<" not in error["message"]


def test_a_failure_of_the_service_is_sent_again_where_that_is_wished(serve):
    """Rows S6, S7, S12."""
    faults = {name: script for name, (script, _) in FAILED.items()}
    cases, outcomes = asked_at_once(serve, faults, Policy(resend_unsafe=True))
    assert outcomes == [(*case, "Hello", 2) for case in cases]


def test_retry_unsafe_sends_it_again(cli, serve):
    """Row S6."""
    server = serve(FAILED["500"][0])
    done = cli("prompt", "hi", "--retries", "1", "--retry-unsafe", server=server)
    assert (done.code, done.out, len(server.requests)) == (6, b"", 2)
    assert "tried 2 times" in done.err


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_model_error_is_unwrapped(cli, serve, operation):
    """Row S8."""
    server = serve(container_says(400, '{"error":{"message":"bad"}}', LogStreamArn="arn:aws:logs:x"))
    done = cli("prompt", "hi", operation, server=server)
    assert (done.code, done.out, len(server.requests)) == (9, b"", 1)
    assert all(word in done.err for word in ("(400)", "bad", "arn:aws:logs:x"))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_model_error_is_unwrapped_from_its_message_where_it_stands_nowhere_else(cli, serve, operation):
    """Row S8: the sentence of older services."""
    quoted = '{\n "code": 400,\n "message": "\\u0027llama\\u0027 is unknown"\n}\n'
    message = f'Received client error (400) from model with message "{quoted}". See https://console in account 1.'
    server = serve(failing(424, "ModelError", message))
    done = cli("prompt", "hi", operation, server=server)
    assert (done.code, len(server.requests)) == (9, 1)
    assert "failed (400)" in done.err
    assert "console" not in done.err


def test_the_log_of_the_container_is_named_by_older_services_too(cli, serve):
    """Row S8."""
    log = "https://us-west-2.console.aws.amazon.com/cloudwatch/home#logEventViewer:group=/aws/sagemaker/Endpoints/ep"
    message = (
        f'Received server error (500) from primary with message "no". See {log} in account 1 for more information.'
    )
    done = cli("prompt", "hi", server=serve(failing(424, "ModelError", message)))
    assert done.err.splitlines()[-1] == "hint: its log is /aws/sagemaker/Endpoints/ep"


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("said", "kind", "hint"),
    [
        ('{"error":"`inputs` must have less than 1024 tokens. Given: 2000"}', "context_too_long", "1,024 tokens"),
        ('{"object":"error","message":"Cannot find suitable handler for request"}', "wrong_schema", "openai-chat"),
        ('{"detail":"unknown field `top_q`"}', "model_error", "the parameter top_q"),
    ],
)
def test_a_refusal_says_what_to_do(cli, serve, operation, said, kind, hint):
    """Row S8: such a refusal costs nothing."""
    server = serve(container_says(422, said, LogStreamArn="arn:aws:logs:x"))
    done = cli("prompt", "hi", "--handler", "tgi", operation, "--json", server=server)
    error = json.loads(done.err.splitlines()[-1])
    assert (done.code, error["kind"], error["maybe_charged"], len(server.requests)) == (9, kind, False, 1)
    assert hint in error["hint"]
    assert "; its log is arn:aws:logs:x" in error["hint"]


def test_a_long_model_error_is_cut(cli, serve):
    """Row S8."""
    done = cli("prompt", "hi", server=serve(container_says(500, "x" * 10_000)))
    assert done.code == 9
    assert done.err.count("x") == 500


@pytest.mark.parametrize(("status", "charged"), [(400, False), (422, False), (500, True), (0, True)])
def test_a_model_error_tells_whether_it_may_have_been_charged(cli, serve, status, charged):
    """Row S8: a container that refuses a request has not generated for it."""
    done = cli("prompt", "hi", "--json", server=serve(container_says(status, "no")))
    assert json.loads(done.err.splitlines()[-1])["maybe_charged"] is charged


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("members", [{}, {"OriginalStatusCode": 0, "OriginalMessage": ""}])
def test_an_invocation_that_timed_out_may_have_been_charged(cli, serve, operation, members):
    """Row S9."""
    said = "Your invocation timed out while waiting for a response from container primary."
    message = f'Received server error (0) from primary with message "{said}". See https://console in account 1.'
    server = serve(failing(424, "ModelError", message, members))
    done = cli("prompt", "hi", operation, "--json", server=server)
    error = json.loads(done.err.splitlines()[-1])
    assert (done.code, done.out, len(server.requests)) == (7, b"", 1)
    assert error["maybe_charged"]
    assert "60 s" in error["message"]
    assert "--stream" in error["hint"]
    assert "asynchronous" in error["hint"]


def test_escapes_in_a_model_error_are_made_harmless(cli, serve):
    """Row S10."""
    done = cli("prompt", "hi", server=serve(container_says(400, "\x1b]52;c;AAAA\x07 \x9b2J \r hidden")))
    assert done.code == 9
    assert not set(done.err) & {"\x1b", "\x07", "\x9b", "\r"}
    assert "hidden" in done.err


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "script", [says(whole("too large", 413)), container_says(413, "too large")], ids=["the service", "the container"]
)
def test_a_request_that_is_too_large_names_the_limits(cli, serve, operation, script):
    """Row S11."""
    server = serve(script)
    done = cli("prompt", "hi", operation, server=server)
    assert (done.code, done.out, len(server.requests)) == (12, b"", 1)
    assert f"{len(server.requests[0].body):,} bytes" in done.err
    assert all(word in done.err for word in ("25 MB", "4 MB"))


@pytest.mark.parametrize(("header", "value"), [("retry_after", "1"), ("x_amz_retry_after", "1100")])
def test_a_service_is_asked_again_when_it_says(cli, serve, header, value):
    """Row S13: the service's own header counts milliseconds, HTTP's seconds."""
    server = serve(failing(429, "ThrottlingException", "Rate exceeded", **{header: value}), says(ANSWERS["--stream"]))
    started = time.monotonic()
    done = cli("prompt", "hi", server=server)
    assert (done.code, len(server.requests)) == (0, 2)
    assert 1 <= time.monotonic() - started < 10


@pytest.mark.parametrize("value", ["3600", "9" * 5000, "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_a_pause_that_does_not_fit_or_makes_no_sense_harms_nothing(cli, serve, value):
    """Row S13: no waiting where the answer could not come in time any more."""
    server = serve(failing(429, "ThrottlingException", "Rate exceeded", retry_after=value))
    started = time.monotonic()
    done = cli("prompt", "hi", "--retries", "1", "--timeout", "20", server=server)
    assert done.code == 6
    assert len(server.requests) == (1 if value == "3600" else 2)
    assert time.monotonic() - started < 10


ODD_BODIES = {
    "empty": b"",
    "text": b"no JSON at all",
    "list": b"[]",
    "null": b"null",
    "number": b"12",
    "not UTF-8": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "null message": b'{"message": null}',
    "odd message": b'{"Message": {"a": [1]}, "OriginalStatusCode": "many", "LogStreamArn": 3}',
    "odd type": b'{"__type": 5, "code": ["x"], "OriginalStatusCode": [7]}',
}


@pytest.mark.parametrize("body", ODD_BODIES)
@pytest.mark.parametrize(
    ("operation", "status", "code"), [("--stream", 403, 5), ("--no-stream", 403, 5), ("--stream", 500, 6)]
)
def test_an_odd_error_body_is_read_by_its_status(cli, serve, operation, body, status, code):
    """Row S14."""
    server = serve(says(whole(ODD_BODIES[body], status)))
    done = cli("prompt", "hi", operation, server=server)
    assert (done.code, done.out, len(server.requests)) == (code, b"", 1)
    assert "(request req-1)" in done.err
    assert str(status) in done.err


@pytest.mark.parametrize("body", ODD_BODIES)
def test_an_odd_model_error_is_a_model_error(cli, serve, body):
    """Row S14."""
    server = serve(says(whole(ODD_BODIES[body], 424, x_amzn_ErrorType="ModelError")))
    done = cli("prompt", "hi", server=server)
    assert (done.code, len(server.requests)) == (9, 1)


def test_every_question_of_a_client_has_all_its_tries(serve):
    """Row S15: botocore shares one quota among all requests of a client; sm-ask does not."""
    server = serve(failing(429, "ThrottlingException", "Rate exceeded"))
    runtime = runtime_at(server)

    def attempts(_: int) -> int:
        with pytest.raises(ThrottledError) as caught:
            list(ask(QUESTION, named("openai-chat"), runtime, Policy(tries=2)))
        return caught.value.attempts

    with ThreadPoolExecutor(64) as threads:
        assert list(threads.map(attempts, range(200))) == [2] * 200
    assert len(server.requests) == 400


def test_an_answer_tells_its_tries(serve):
    server = serve(failing(429, "ThrottlingException", "Rate exceeded"), says(ANSWERS["--stream"]))
    *_, answer = ask(QUESTION, named("openai-chat"), runtime_at(server), Policy())
    assert isinstance(answer, Answer)
    assert (answer.attempts, answer.request_id, answer.variant) == (2, "req-1", "AllTraffic")


def test_the_last_line_of_stderr_is_json_with_json(cli, serve):
    server = serve(says(whole("", 403, x_amzn_ErrorType="AccessDeniedException")))
    done = cli("prompt", "hi", "--json", server=server)
    error = json.loads(done.err.splitlines()[-1])
    assert (done.code, error["code"], error["kind"], error["request_id"]) == (5, 5, "denied", "req-1")
