"""How a batch runs: its pace, what ends it early, and how it ends."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from batches import WHOLE, answers, asked, echo, invocations, questions, replies, started

from cloud import ROLE, Cloud
from conftest import SM_ASK, at, run_process
from server import Server, chat_whole, failing
from terminal import Terminal

THROTTLED = failing(429, "ThrottlingException", "slow down")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.jsonl"


def wait_until(true, seconds=30):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


class Crowd:
    """Answers after some time, and notes how many requests are under way at once; more than ``most`` are throttled."""

    def __init__(self, seconds=0.02, most=None):
        self.seconds, self.most = seconds, most
        self.now = self.peak = self.throttled = 0
        self.lock = threading.Lock()

    def __call__(self, conversation):
        with self.lock:
            self.now += 1
            full = self.most is not None and self.now > self.most
            self.throttled += full
            self.peak = max(self.peak, self.now)
        conversation.wait(0.001 if full else self.seconds)
        with self.lock:
            self.now -= 1
        (THROTTLED if full else echo())(conversation)


def test_as_many_at_once_as_wanted(cli, serve, tmp_path, out):
    crowd = Crowd()
    rows = questions(tmp_path / "in.jsonl", 60)
    done = cli("batch", str(rows), "-O", str(out), *WHOLE, "--concurrency", "5", server=serve(crowd))
    assert (done.code, crowd.peak) == (0, 5)


def test_a_rate(cli, serve, tmp_path, out):
    rows = questions(tmp_path / "in.jsonl", 11)
    began = time.monotonic()
    done = cli("batch", str(rows), "-O", str(out), *WHOLE, "--rate", "20/s", server=serve(echo()))
    assert (done.code, time.monotonic() - began >= 0.5) == (0, True)


@pytest.mark.parametrize("rate", ["0", "-1", "5/d", "fast", "1e3"])
def test_what_is_no_rate(cli, tmp_path, out, rate):
    assert cli("batch", str(questions(tmp_path / "in.jsonl", 1)), "-O", str(out), "--rate", rate).code == 2


def test_it_slows_down_below_what_is_throttled(cli, serve, tmp_path, out):
    """Additive increase, multiplicative decrease: most requests of 16 workers find their place among four."""
    crowd = Crowd(0.01, most=4)
    rows = questions(tmp_path / "in.jsonl", 200)
    done = cli("batch", str(rows), "-O", str(out), *WHOLE, "--concurrency", "16", server=serve(crowd))
    assert (done.code, len(answers(out))) == (0, 200)
    assert crowd.throttled < 100


def test_a_third_of_all_is_throttled(cli, serve, tmp_path, out):
    """Row B18."""
    chance = random.Random(7)
    server = serve(replies(lambda _: THROTTLED if chance.random() < 0.3 else None))
    rows = questions(tmp_path / "in.jsonl", 40)
    done = cli("batch", str(rows), "-O", str(out), *WHOLE, "--concurrency", "16", server=server)
    assert (done.code, len(answers(out))) == (0, 40)
    assert max(row["attempts"] for row in answers(out)) > 1


def test_all_workers_wait_as_long_as_the_service_asks(cli, serve, tmp_path, out):
    server = serve(failing(429, "ThrottlingException", "slow down", retry_after="1"), echo())
    rows = questions(tmp_path / "in.jsonl", 8)
    times = []
    told = server.scripts[1]
    server.scripts[1] = lambda conversation: (times.append(time.monotonic()), told(conversation))
    done = cli("batch", str(rows), "-O", str(out), *WHOLE, "--concurrency", "1", server=server)
    assert (done.code, len(times)) == (0, 8)


def test_every_row_gets_its_tries(cli, serve, tmp_path, out):
    """Row S15: no quota of botocore's decides."""
    server = serve(failing(503, "ServiceUnavailable", "no", retry_after="0"))
    rows = questions(tmp_path / "in.jsonl", 60)
    options = ["--concurrency", "60", "--retries", "1"]
    done = cli("batch", str(rows), "-O", str(out), *WHOLE, *options, server=server)
    assert (done.code, set(invocations(server).values())) == (15, {2})
    assert {row["attempts"] for row in answers(out)} == {2}


SHARED = {
    "credentials": (failing(403, "ExpiredTokenException", "the token is expired"), 4),
    "denied": (failing(403, "AccessDeniedException", "not authorized"), 5),
    "not found": (failing(400, "ValidationError", "Endpoint ep of account 1 not found."), 5),
}


@pytest.mark.parametrize("fault", SHARED)
def test_what_every_row_would_share(cli, serve, tmp_path, out, fault):
    """Row B17: it ends the run after as many rows as are asked at once, and marks none of them failed."""
    script, code = SHARED[fault]
    server = serve(script)
    rows = questions(tmp_path / "in.jsonl", 200)
    done = cli("batch", str(rows), "-O", str(out), *WHOLE, "--concurrency", "4", server=server)
    assert (done.code, out.exists()) == (code, False)
    assert len(server.requests) <= 4
    assert "0 rows are done, 200 are not asked yet" in done.err


def test_what_every_row_would_share_is_seen_in_any_order(serve, tmp_path):
    """Row B17: credentials end while the first row is still under way."""

    def script(conversation):
        if asked(conversation) == "question 0":
            conversation.wait(1)
            conversation.send(chat_whole("late"))
        else:
            failing(403, "ExpiredTokenException", "over")(conversation)

    server = serve(script)
    rows = questions(tmp_path / "in.jsonl", 100)
    command = ["batch", str(rows), "-O", "-", *WHOLE, "--ordered", "--concurrency", "8"]
    done = run_process(*command, server=server)
    assert (done.code, len(server.requests) <= 2 * 8) == (4, True)
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == ["q0"]


def test_rows_of_many_requests_are_all_refused(cli, serve, tmp_path, out):
    """Row B17: eight requests of one row that are refused are one failure, and hold up no other row."""
    (tmp_path / "long.txt").write_text("\n\n".join(f"Paragraph {number}. " + "word " * 300 for number in range(30)))
    rows = questions(tmp_path / "in.jsonl", ({"id": n, "question": "What?", "docs": ["long.txt"]} for n in range(9)))
    server = serve(failing(403, "AccessDeniedException", "no"))
    how = ["--docs-root", str(tmp_path), "--chain", "map-reduce", "--context-window", "2000", "--concurrency", "8"]
    done = cli("batch", str(rows), "-O", str(out), *WHOLE, *how, "--timeout", "20", server=server)
    assert (done.code, "AccessDenied" in done.err) == (5, True)
    assert (out.exists(), len(server.requests) < 9 * 8) == (False, True)


def test_nobody_listens(cli, tmp_path, out):
    """Each row is tried again for a while, and none is marked as failed."""
    rows = questions(tmp_path / "in.jsonl", 20)
    to = ["-e", "ep", "--region", "us-west-2", "--endpoint-url", "http://127.0.0.1:9", "--retries", "2"]
    began = time.monotonic()
    done = cli("batch", str(rows), "-O", str(out), *to)
    assert (done.code, out.exists()) == (8, False)
    assert "tried 3 times" in done.err
    assert time.monotonic() - began < 30


def test_an_endpoint_that_listens_after_a_while(tmp_path, out):
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    to = ["-e", "ep", "--region", "us-west-2", "--endpoint-url", f"http://127.0.0.1:{port}"]
    rows = questions(tmp_path / "in.jsonl", 10)
    command = [SM_ASK, "batch", str(rows), "-O", str(out), *WHOLE, *to]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(1.5)
        with Server(echo(), port=port):
            process.communicate(timeout=60)
    assert (process.returncode, len(answers(out))) == (0, 10)


def test_a_few_refused_rows_are_their_own_fault(cli, serve, tmp_path, out):
    server = serve(replies(lambda text: failing(400, "ValidationError", "bad input") if text.endswith("5") else None))
    rows = questions(tmp_path / "in.jsonl", 40)
    done = cli("batch", str(rows), "-O", str(out), *WHOLE, "--concurrency", "4", server=server)
    assert (done.code, len(answers(out))) == (15, 40)
    assert sorted(row["id"] for row in answers(out) if row["error"]) == ["q15", "q25", "q35", "q5"]


def test_credentials_that_end_in_mid_batch(cli, serve, tmp_path, out):
    """Row K21: what is done is told, and goes on with fresh ones; nothing is marked as failed."""
    server = serve()
    server.scripts = [echo(0.01)] * 50 + [SHARED["credentials"][0]]
    rows = questions(tmp_path / "in.jsonl", 100)
    done = cli("batch", str(rows), "-O", str(out), *WHOLE, server=server)
    kept = answers(out)
    assert done.code == 4
    assert 42 <= len(kept) <= 50
    assert all(row["error"] is None for row in kept)
    assert f"{len(kept)} rows are done, {100 - len(kept)} are not asked yet" in done.err
    server.scripts, server.requests = [echo()], []
    assert cli("batch", str(rows), "-O", str(out), *WHOLE, server=server).code == 0
    assert len(server.requests) == 100 - len(kept)


def test_credentials_that_are_renewed_in_mid_batch(cli, monkeypatch, tmp_path, out):
    """Row K20: each renewal is one call for all workers, and no row fails."""
    cloud = Cloud()
    cloud.lifetime = 1.5
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    rows = questions(tmp_path / "in.jsonl", 50)
    to = ["-e", "ep", "--region", "us-west-2", "--handler", "openai-chat", "--role-arn", ROLE, "--no-cache"]
    began = time.monotonic()
    try:
        done = cli("batch", str(rows), "-O", str(out), *to, "--rate", "20/s")
    finally:
        cloud.close()
    assert (done.code, len(answers(out))) == (0, 50)
    assert 2 <= len(set(cloud.keys())) <= len(cloud.calls("AssumeRole"))
    assert len(cloud.calls("AssumeRole")) <= 2 + 2 * (time.monotonic() - began)


def ended(process, *numbers, after=0.0):
    """Send signals; give the exit code, what was said, and the seconds that it took."""
    began = time.monotonic()
    for number in numbers:
        process.send_signal(number)
        time.sleep(after)
    _, err = process.communicate(timeout=30)
    return process.returncode, err.decode(), time.monotonic() - began


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_first_signal(serve, tmp_path, out, number, code):
    """Rows B12 and B14: what is under way is finished and saved, and nothing else is asked."""
    server = serve(echo(0.5))
    rows = questions(tmp_path / "in.jsonl", 100)
    with started(str(rows), "-O", str(out), "--concurrency", "4", server=server) as process:
        wait_until(lambda: len(server.requests) >= 6)
        found, err, _ = ended(process, number)
    asked_for = len(server.requests)
    assert found == code
    assert len(answers(out)) == asked_for
    assert "rows under way are waited for" in err
    assert f"{asked_for} of 100 rows answered" in err
    assert len(server.requests) == asked_for


def test_a_signal_ends_pauses(serve, tmp_path, out):
    """A row that waits for another try is not tried again after a signal, nor waited for."""
    server = serve(failing(429, "ThrottlingException", "slow down", retry_after="20"))
    rows = questions(tmp_path / "in.jsonl", 10)
    with started(str(rows), "-O", str(out), "--concurrency", "4", server=server) as process:
        wait_until(lambda: len(server.requests) >= 1)
        time.sleep(0.3)
        found, _, seconds = ended(process, signal.SIGINT)
    assert (found, out.exists()) == (130, False)
    assert seconds < 5
    assert len(server.requests) <= 4


def test_a_second_interrupt(serve, tmp_path, out):
    """Row B13: at once, and with whole rows."""

    def script(conversation):
        conversation.wait(20 if len(server.requests) > 8 else 0)
        echo()(conversation)

    server = serve(script)
    rows = questions(tmp_path / "in.jsonl", 50)
    with started(str(rows), "-O", str(out), "--concurrency", "4", server=server) as process:
        wait_until(lambda: len(server.requests) >= 12)
        time.sleep(0.3)
        found, _, seconds = ended(process, signal.SIGINT, signal.SIGINT, after=0.3)
    assert (found, len(answers(out))) == (130, 8)
    assert seconds < 5


#: The command, with a second in the place of ten.
HURRIED = """\
import sys
import sm_ask.cli.stages
sm_ask.cli.stages._GRACE = 1.0
sys.argv[0] = "sm-ask"
from sm_ask.cli.app import run
run()
"""


@pytest.mark.parametrize(("numbers", "code"), [([signal.SIGINT] * 2, 130), ([signal.SIGTERM], 143)])
def test_a_signal_while_nobody_reads(serve, tmp_path, numbers, code):
    """Rows B13 and B14: a pipe that is full holds up no end."""
    server = serve(replies(lambda _: chat_whole("x" * 100_000)))
    with started(str(questions(tmp_path / "in.jsonl", 50)), "-O", "-", "--concurrency", "4", server=server) as process:
        wait_until(lambda: len(server.requests) >= 4)
        time.sleep(0.5)
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.3)
        assert process.wait(30) == code
        assert b"ending: " in process.stderr.read()
        process.stdout.read()


def test_an_ordered_pipe_gets_what_was_paid_for(serve, tmp_path):
    """Row B12: the first row is in a pause when the signal comes; what it holds back is not lost with it."""
    slow = failing(429, "ThrottlingException", "slow down", Retry_After="30")
    server = serve(replies(lambda question: slow if question == "question 0" else None, 0.5))
    command = [str(questions(tmp_path / "in.jsonl", 6)), "-O", "-", "--ordered", "--concurrency", "6"]
    with started(*command, server=server) as process:
        wait_until(lambda: len(server.requests) == 6)
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["q1", "q2", "q3", "q4", "q5"]


def test_the_grace_of_sigterm_is_short(serve, tmp_path, out):
    """Row B14: what takes longer than that is given up, and a second SIGHUP changes nothing."""
    server = serve(echo(60))
    rows = questions(tmp_path / "in.jsonl", 50)
    command = [sys.executable, "-c", HURRIED, "batch", str(rows), "-O", str(out), "--concurrency", "4", *WHOLE]
    with subprocess.Popen([*command, *at(server)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: len(server.requests) >= 4)
        found, _, seconds = ended(process, signal.SIGHUP, signal.SIGHUP, after=0.3)
    assert (found, len(server.requests)) == (129, 4)
    assert seconds > 1


def test_a_terminal_that_closes(serve, tmp_path, out):
    server = serve(echo(0.3))
    rows = questions(tmp_path / "in.jsonl", 100)
    with Terminal(SM_ASK, "batch", str(rows), "-O", str(out), *WHOLE, *at(server)) as terminal:
        wait_until(lambda: len(server.requests) >= 10)
        terminal.hang_up()
        assert terminal.process.wait(20) == 129
    assert len(answers(out)) == len(server.requests)


def test_nohup(serve, tmp_path, out):
    """A SIGHUP that is ignored stays so."""
    server = serve(echo(0.05))
    rows = questions(tmp_path / "in.jsonl", 30)
    command = ["nohup", SM_ASK, "batch", str(rows), "-O", str(out), *WHOLE, *at(server)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: len(server.requests) >= 8)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=30)
    assert (process.returncode, len(answers(out))) == (0, 30)


def test_two_runs_on_one_output(serve, tmp_path, out):
    """Row B10."""
    go_on = threading.Event()

    def script(conversation):
        go_on.wait(60)
        echo()(conversation)

    server = serve(script)
    rows = questions(tmp_path / "in.jsonl", 20)
    with started(str(rows), "-O", str(out), server=server) as process:
        wait_until(lambda: len(server.requests) >= 8)
        second = run_process("batch", str(rows), "-O", str(out), *WHOLE, server=server)
        go_on.set()
        process.communicate(timeout=30)
    assert (second.code, process.returncode, len(answers(out))) == (14, 0, 20)
    assert "another run is writing" in second.err
    assert set(invocations(server).values()) == {1}


FULL = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
sys.argv[0] = "sm-ask"
from sm_ask.cli.app import run
run()
"""


@pytest.mark.parametrize("size", [3000, 3210, 447])
def test_a_file_that_may_not_grow(serve, tmp_path, out, size):
    """Row B11: whole rows, and no more questions than were under way when there was no room."""
    server = serve(echo(0.05))
    rows = questions(tmp_path / "in.jsonl", 100)
    command = [sys.executable, "-c", FULL.format(size=size), "batch", str(rows), "-O", str(out), *WHOLE, *at(server)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    kept = answers(out) if out.exists() else []
    assert done.returncode == 13
    assert b"cannot be written: File too large" in done.stderr
    assert len(kept) >= (size - 450) // 450
    assert len(server.requests) <= len(kept) + 2 * 8
    again = run_process("batch", str(rows), "-O", str(out), *WHOLE, server=server)
    assert (again.code, len(answers(out))) == (0, 100)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems")
def test_a_full_disk(serve, tmp_path):
    """Row B11, on a real file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        server = serve(replies(lambda _: chat_whole("long " * 400)))
        rows = questions(tmp_path / "in.jsonl", 200)
        done = run_process("batch", str(rows), "-O", str(disk / "out.jsonl"), *WHOLE, server=server)
        kept = answers(disk / "out.jsonl")
        assert (done.code, "No space left" in done.err) == (13, True)
        assert 20 < len(kept) < 32
        assert len(server.requests) <= len(kept) + 2 * 8
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such device")
def test_a_device_that_is_full(cli, serve, tmp_path):
    server = serve(echo())
    done = cli("batch", str(questions(tmp_path / "in.jsonl", 100)), "-O", "/dev/full", *WHOLE, server=server)
    assert done.code == 13
    assert len(server.requests) <= 2 * 8


@pytest.mark.parametrize("place", ["/nowhere/out.jsonl", "folder"])
def test_a_place_that_cannot_be_written(cli, serve, tmp_path, place):
    (tmp_path / "folder").mkdir()
    server = serve(echo())
    path = place if place.startswith("/") else str(tmp_path / place)
    done = cli("batch", str(questions(tmp_path / "in.jsonl", 2)), "-O", path, *WHOLE, server=server)
    assert (done.code, server.requests) == (13, [])


def test_an_input_that_is_written_to(serve, tmp_path, out):
    """What was answered is kept; the rest waits for a run that sees the file as it is then."""
    server = serve(echo(0.1))
    rows = questions(tmp_path / "in.jsonl", 100)
    with started(str(rows), "-O", str(out), server=server) as process:
        wait_until(lambda: len(server.requests) >= 10)
        with rows.open("a") as file:
            file.write('{"id": "q0", "prompt": "twice"}\n')
        _, err = process.communicate(timeout=30)
    assert process.returncode == 12
    assert b"was written to while it was read" in err
    assert len(answers(out)) == len(server.requests) < 100


def test_a_large_input_needs_little_memory(serve, tmp_path, out):
    """Row B20: looked through and continued, fifteen thousand rows take a few megabytes more than forty."""
    server = serve(echo())

    def peak(count, *more):
        rows = questions(
            tmp_path / "in.jsonl", ({"id": n, "prompt": f"question {n} " + "x" * 100} for n in range(count))
        )
        command = [SM_ASK, "batch", str(rows), "-O", str(out), *WHOLE, *more, *at(server)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    small = peak(40)
    [row, *_] = answers(out)
    with out.open("w") as file:
        # As if all had been answered; the keys tell that they were other questions.
        file.writelines(json.dumps({**row, "id": number}) + "\n" for number in range(15_000))
    assert peak(15_000, "--dry-run", "--force") < small + 12_000_000


def test_progress_on_a_terminal(serve, tmp_path, out):
    """One line that stays in its place, and is gone before the summary."""
    server = serve(echo(0.1))
    rows = questions(tmp_path / "in.jsonl", 60)
    with Terminal(SM_ASK, "batch", str(rows), "-O", str(out), *WHOLE, *at(server)) as terminal:
        terminal.wait_for(b"/60 rows \xc2\xb7 ")
        shown = terminal.end()
    assert shown.code == 0
    *progress, last = shown.text.split("\r\x1b[K")
    assert all("\n" not in line for line in progress)
    assert any("left" in line for line in progress)
    assert all(len(line) < 80 for line in progress)
    assert last.startswith("sm-ask: 60 of 60 rows answered")


def test_no_progress_on_a_pipe(serve, tmp_path, out):
    done = run_process("batch", str(questions(tmp_path / "in.jsonl", 5)), "-O", str(out), *WHOLE, server=serve(echo()))
    assert "under way" not in done.err
    assert len(done.err.splitlines()) == 3


SUBJECTS = (
    "France Italy Spain Peru Chile Japan China India Egypt Kenya Ghana Greece Norway Sweden Poland Austria Cuba Brazil "
    "Canada Mexico"
)


@pytest.mark.model
def test_twenty_questions_of_the_built_in_model(tmp_path, out):
    """Interrupted once and continued, without an endpoint in AWS."""
    rows = tmp_path / "in.txt"
    rows.write_text("".join(f"What is the capital of {name}?\n" for name in SUBJECTS.split()))
    command = ["batch", str(rows), "-O", str(out), "-p", "local", "--max-tokens", "3", "--temperature", "0"]
    with subprocess.Popen([SM_ASK, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: out.exists() and len(out.read_bytes().splitlines()) >= 2, 60)
        code, _, _ = ended(process, signal.SIGINT)
    kept = answers(out)
    assert (code, len(kept) < 20) == (130, True)
    done = run_process(*command, "--ordered", timeout=120)
    found = answers(out)
    assert (done.code, [row["id"] for row in found]) == (0, list(range(1, 21)))
    assert all(row["answer"].strip() and row["finish_reason"] == "length" for row in found)
    before = {row["id"]: row for row in kept}
    assert all(before.get(row["id"], row) == row for row in found)


KILLER = Path(__file__).with_name("batch_killer.py")


@pytest.mark.kills
@pytest.mark.parametrize("seeds", [range(7), range(7, 14), range(14, 20)], ids=str)
def test_killed_at_any_moment(tmp_path, seeds):
    """Row B4: every row once, and no more invocations than rows, and workers for each kill."""
    rows = questions(tmp_path / "in.jsonl", 300)
    with Server(echo(0.02)) as server, killer() as process:
        for seed in seeds:
            out = tmp_path / f"{seed}.jsonl"
            server.requests.clear()
            command = ["batch", str(rows), "-O", str(out), *WHOLE, "--concurrency", "8", *at(server)]
            process.stdin.write(json.dumps([seed, command]) + "\n")
            process.stdin.flush()
            kills = int(process.stdout.readline())
            kept = {row["id"]: row["answer"] for row in answers(out)}
            assert len(answers(out)) == 300
            assert kept == {f"q{number}": f"answer to question {number}" for number in range(300)}
            assert kills >= 1
            assert len(server.requests) <= 300 + kills * 8


def killer():
    """What runs a command line for each line that it is sent, kills it at times, and tells how often."""
    return subprocess.Popen(
        [sys.executable, str(KILLER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
