"""What the service refuses: rows S of the fault matrix, with the requests counted."""

from __future__ import annotations

import json

import pytest

from server import chat_stream, failing, says, whole


def test_an_unknown_endpoint_is_refused_once(cli, serve):
    """Row S1."""
    server = serve(failing(400, "ValidationError", "Endpoint ep of account 123456789012 not found."))
    done = cli("prompt", "hi", server=server)
    assert (done.code, done.out, len(server.requests)) == (5, b"", 1)
    assert "Endpoint ep of account 123456789012 not found" in done.err
    assert "region" in done.err
    assert "(request req-1)" in done.err


def test_throttling_is_tried_four_times(cli, serve):
    """Row S4."""
    server = serve(failing(400, "ThrottlingException", "Rate exceeded", retry_after="0"))
    done = cli("prompt", "hi", "--retries", "1", server=server)
    assert (done.code, len(server.requests)) == (6, 2)
    assert "tried 2 times" in done.err


def test_an_answer_after_throttling_is_an_answer(cli, serve):
    server = serve(failing(429, "ThrottlingException", "Rate exceeded"), says(chat_stream("Hello")))
    done = cli("prompt", "hi", server=server)
    assert (done.code, done.text, len(server.requests)) == (0, "Hello\n", 2)


def test_the_last_line_of_stderr_is_json_with_json(cli, serve):
    server = serve(says(whole("", 403, x_amzn_ErrorType="AccessDeniedException")))
    done = cli("prompt", "hi", "--json", server=server)
    error = json.loads(done.err.splitlines()[-1])
    assert (done.code, error["code"], error["kind"], error["request_id"]) == (5, 5, "refused", "req-1")


@pytest.mark.parametrize("operation", ["--stream", "--no-stream"])
def test_a_model_error_is_unwrapped(cli, serve, operation):
    """Row S8."""
    members = {
        "OriginalStatusCode": 400,
        "OriginalMessage": '{"error":{"message":"bad"}}',
        "LogStreamArn": "arn:aws:logs:x",
        "ErrorCode": "CLIENT_ERROR_FROM_MODEL",
    }
    server = serve(failing(424, "ModelError", "Received client error (400) from primary", members))
    done = cli("prompt", "hi", operation, server=server)
    assert (done.code, len(server.requests)) == (9, 1)
    assert "(400)" in done.err
    assert "bad" in done.err
    assert "arn:aws:logs:x" in done.err
