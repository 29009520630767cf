"""The asking of many rows without a file: outcomes as they come."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from batches import echo, invocations, replies

from server import failing
from sm_ask import connection, redaction
from sm_ask.batch.rows import Form
from sm_ask.batch.run import outcomes
from sm_ask.batch.tally import Spread
from sm_ask.connection import Setup
from sm_ask.errors import RefusedError
from sm_ask.profiles import Profile


@pytest.fixture
def connect(serve):
    """Open a server as an endpoint."""
    opened = []

    def open_(script):
        server = serve(script)
        profile = Profile("", "ep", region="us-west-2", endpoint_url=server.url, handler="openai-chat", retries=0)
        found = connection.connect(Setup(profile, connections=8), tell=print)
        opened.append(found)
        return server, found.__enter__()

    yield open_
    for found in opened:
        found.__exit__(None, None, None)


def rows(numbers):
    form = Form(stream=False)
    return (form.row({"prompt": f"question {number}"}, number) for number in numbers)


def test_outcomes_come_as_they_are_there(connect):
    _, endpoint = connect(echo())
    found = {outcome.row.id: outcome.result.text for outcome in outcomes(rows(range(20)), endpoint, workers=4)}
    assert found == {number: f"answer to question {number}" for number in range(20)}


def test_whoever_takes_them_holds_the_workers_back(connect):
    """An endless input is read no further than the workers need."""
    server, endpoint = connect(echo())
    found = outcomes(rows(itertools.count()), endpoint, workers=4)
    assert [next(found) for _ in range(10)]
    time.sleep(0.2)
    assert len(server.requests) <= 10 + 2 * 4
    before = threading.active_count()
    found.close()
    until = time.monotonic() + 10
    while threading.active_count() > before - 4:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_all_may_be_refused(connect):
    """Nothing ends it but whoever takes the outcomes."""
    _, endpoint = connect(failing(400, "ValidationError", "no"))
    found = list(outcomes(rows(range(20)), endpoint, workers=4))
    assert [type(outcome.result) for outcome in found] == [RefusedError] * 20


def test_a_fault_of_the_input_comes_after_what_was_under_way(connect):
    def broken():
        yield from rows(range(6))
        raise ZeroDivisionError

    server, endpoint = connect(echo(0.1))
    found = outcomes(broken(), endpoint, workers=4)
    got = []
    with pytest.raises(ZeroDivisionError):
        got.extend(found)
    assert len(got) == 6 == sum(invocations(server).values())


def test_a_fault_of_our_own_ends_it(connect):
    def script(conversation):
        echo(0)(conversation)

    _, endpoint = connect(replies(lambda _: script))
    bad = next(rows([1]))._replace(params={"max_tokens": object()})
    with pytest.raises(TypeError):
        list(outcomes([bad], endpoint, workers=2))


def test_a_new_token_of_a_session_is_kept_out_of_texts(connect, monkeypatch):
    """Where a batch outlives its session, the next one's token is seen first when a request is signed with it."""
    token = "FwoGZXIvYXdzE" * 9
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    _, endpoint = connect(echo())
    monkeypatch.setattr(redaction, "_known", set())
    list(outcomes(rows(range(1)), endpoint, workers=2))
    assert redaction.redacted(f"so {token} it was") == "so *** it was"


def test_durations_are_summed_up_closely():
    spread = Spread()
    assert spread.quantile(0.5) is None
    for number in range(1, 1001):
        spread.add(number / 100)
    assert spread.quantile(0.5) == pytest.approx(5.0, rel=0.02)
    assert spread.quantile(0.95) == pytest.approx(9.5, rel=0.02)
