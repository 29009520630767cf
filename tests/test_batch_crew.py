"""The workers of a batch, without an endpoint: who takes outcomes when, and what is left at the end."""

from __future__ import annotations

import itertools
import random
import threading
import time

import pytest

from sm_ask.batch.crew import Crew
from sm_ask.batch.pace import Pace


class Run:
    """A crew that asks nothing: what becomes of a row is the row."""

    def __init__(self, rows, workers, *, ask=lambda row: row, take=lambda _: None):
        self.groups = []
        self.asked = 0
        self.over = threading.Event()
        self._ask, self._take = ask, take
        self.crew = Crew(rows, self._asking, self._taking, Pace(workers), over=self.over.set)
        self._workers = workers

    def start(self):
        self.crew.start(self._workers)

    def _asking(self, row):
        self.asked += 1
        return self._ask(row)

    def _taking(self, group):
        self.groups.append(group)
        self._take(group)

    @property
    def taken(self):
        return [row for group in self.groups for row in group]


def wait_until(true):
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_whoever_s_outcome_is_taken_goes_on():
    """A slow disk holds up nobody but those whose rows it writes."""
    doors = {0: threading.Event(), 2: threading.Event()}

    def take(_):
        if door := doors.get(len(run.groups) - 1):
            assert door.wait(30)

    # The first of four takes its own row, and then one takes those of the other three, who have waited for it.
    run = Run(range(100), 4, take=take)
    run.start()
    wait_until(lambda: run.asked == 4)
    time.sleep(0.1)
    doors[0].set()
    # One is writing again; the three others have come to the end of their next rows.
    wait_until(lambda: run.asked >= 8)
    assert len(run.groups[1]) >= 3
    doors[2].set()
    assert run.over.wait(30)
    assert sorted(run.taken) == list(range(100))


@pytest.mark.parametrize("seed", range(20))
def test_every_outcome_is_taken_once(seed):
    chance = random.Random(seed)
    pauses = [chance.choice((0, 0, 0.001)) for _ in range(200)]

    def ask(row):
        time.sleep(pauses[row])
        return row

    run = Run(
        range(200),
        chance.randint(1, 16),
        ask=ask,
        take=lambda _: time.sleep(chance.choice((0, 0.002))),
    )
    run.start()
    assert run.over.wait(30)
    assert sorted(run.taken) == list(range(200))
    assert run.crew.close() == []
    run.crew.raise_failure()


def test_nothing_is_taken_after_a_failure_to_take():
    def take(_):
        if len(run.groups) == 3:
            raise ZeroDivisionError

    run = Run(range(1000), 8, take=take)
    run.start()
    assert run.over.wait(30)
    run.crew.close(1)
    assert len(run.groups) == 3
    with pytest.raises(ZeroDivisionError):
        run.crew.raise_failure()


def test_what_waits_at_the_end_is_given_back():
    """Nobody waits longer than he likes for what is being taken."""
    door = threading.Event()
    run = Run(range(1000), 4, take=lambda _: door.wait(30))
    run.start()
    wait_until(lambda: run.asked == 4)
    time.sleep(0.1)
    assert run.crew.close(0.05) is None
    door.set()
    left = run.crew.close(30)
    assert len(left) == 3
    assert sorted([*run.taken, *left]) == [0, 1, 2, 3]


def test_no_thread_can_be_started(monkeypatch):
    """What has begun ends all the same."""
    start = threading.Thread.start
    started = []

    def limited(thread):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    run = Run(itertools.count(), 8)
    with pytest.raises(RuntimeError, match="thread"):
        run.start()
    run.crew.close(30)
    for thread in started:
        thread.join(30)
        assert not thread.is_alive()
