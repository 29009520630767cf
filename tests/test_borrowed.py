"""Clients and sessions that the caller's own program made."""

from __future__ import annotations

import boto3
import botocore.session
import pytest
from botocore.config import Config

from server import chat_stream, chat_whole, failing, says, says_and_closes, says_and_stalls
from sm_ask.chat import Message, Request
from sm_ask.connection import Setup, connect
from sm_ask.errors import ConfigError, SmAskError, TimedOutError, UnavailableError
from sm_ask.profiles import Profile

KEYS = {"aws_access_key_id": "AKIALENT", "aws_secret_access_key": "a-secret", "aws_session_token": "a-token"}
ASKED = Request((Message("user", "Hi"),))
DOWN = failing(503, "ServiceUnavailable", "no")


def client(server, service="sagemaker-runtime", **settings):
    return boto3.client(
        service,
        region_name="us-west-2",
        endpoint_url=server.url,
        config=Config(**settings) if settings else None,
        **KEYS,
    )


def answer(lent, request=ASKED, **settings):
    setup = Setup(Profile("", endpoint="ep", retries=0, **settings), client=lent)
    with connect(setup, tell=pytest.fail) as connection:
        return connection.answer(request), connection


@pytest.mark.parametrize("stream", [True, False])
def test_the_client_s_own_keys_address_and_region_are_used(serve, stream):
    server = serve(says(chat_stream("Hello") if stream else chat_whole("Hello")))
    answered, connection = answer(client(server), ASKED._replace(stream=stream))
    [request] = server.requests
    assert (answered.text, connection.region) == ("Hello", "us-west-2")
    assert "Credential=AKIALENT/" in request.headers["authorization"]
    assert request.headers["x-amz-security-token"] == "a-token"


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
@pytest.mark.parametrize("script", [DOWN, says_and_closes(b"")], ids=["503", "closed"])
@pytest.mark.parametrize("stream", [True, False])
def test_it_never_sends_a_request_twice(serve, mode, script, stream):
    server = serve(script)
    with pytest.raises(SmAskError):
        answer(client(server, retries={"mode": mode, "max_attempts": 3}), ASKED._replace(stream=stream))
    assert len(server.requests) == 1


def test_the_client_itself_stays_as_it_is(serve):
    server = serve(DOWN, DOWN, says(chat_whole("Hello")))
    lent = client(server, retries={"mode": "legacy", "max_attempts": 2})
    with pytest.raises(UnavailableError):
        answer(lent)
    assert lent.invoke_endpoint(EndpointName="ep", Body=b"{}")["ContentType"] == "application/json"
    assert len(server.requests) == 3


def test_its_event_handlers_are_heard(serve):
    server = serve(says(chat_stream("Hello")))
    lent = client(server)
    lent.meta.events.register("before-sign", lambda request, **_: request.headers.add_header("X-Team", "search"))
    lent.meta.events.register("before-call", lambda params, **_: params["headers"].update({"X-Who": "me"}))
    answer(lent)
    headers = server.requests[0].headers
    assert (headers["x-team"], headers["x-who"]) == ("search", "me")


def test_it_is_waited_for_as_long_as_sm_ask_says(serve):
    server = serve(says_and_stalls(b""))
    with pytest.raises(TimedOutError):
        answer(client(server, read_timeout=60), idle_timeout=0.2)


def test_nobody_else_need_hold_on_to_it(serve):
    server = serve(says(chat_stream("Hello")))
    setup = Setup(Profile("", endpoint="ep"), client=client(server))
    with connect(setup, tell=pytest.fail) as connection:
        del setup
        assert connection.answer(ASKED).text == "Hello"


@pytest.mark.parametrize("library", [boto3, botocore.session])
def test_a_session_makes_one(serve, library, monkeypatch):
    server = serve(says(chat_stream("Hello")))
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", server.url)
    session = library.Session()
    assert answer(session, region="eu-west-1")[1].region == "eu-west-1"
    assert "Credential=AKIATESTTESTTESTTEST/" in server.requests[0].headers["authorization"]


def test_a_session_takes_the_address_that_is_given(serve):
    server = serve(says(chat_stream("Hello")))
    assert answer(boto3.Session(), region="eu-west-1", endpoint_url=server.url)[0].text == "Hello"


def test_an_account_that_cannot_be_checked_is_not_asked(serve):
    server = serve(DOWN)
    with pytest.raises(ConfigError, match="expect_account"):
        answer(client(server), expect_account="123456789012")
    assert not server.requests


def test_a_signed_request_does_not_travel_in_clear():
    lent = boto3.client("sagemaker-runtime", region_name="us-west-2", endpoint_url="http://example.com", **KEYS)
    with pytest.raises(ConfigError, match="in clear"):
        answer(lent)


def test_a_session_without_a_region():
    with pytest.raises(ConfigError, match="region"):
        answer(boto3.Session())


@pytest.mark.parametrize("what", ["s3", object()])
def test_anything_else_is_refused(serve, what):
    lent = client(serve(DOWN), what) if isinstance(what, str) else what
    with pytest.raises(ConfigError, match=r"s3|object"):
        answer(lent)
