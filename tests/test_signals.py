"""How a run ends that does not come to its end: signals, and faults of our own."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time

import pytest

from conftest import SM_ASK, at, run_process
from server import chat_event, chat_stream, drips, failing, says, says_and_stalls
from terminal import Terminal, apart, on_terminal

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
TOLD = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by a signal", signal.SIGHUP: "ended by a signal"}


@pytest.fixture
def endless(serve):
    """An endpoint that says two words and then nothing that could be shown, without an end."""
    head, first, nothing, _ = apart(chat_event({"content": "two words"}), chat_event({"content": ""}))
    return serve(drips(itertools.chain([head, first], itertools.repeat(nothing)), 0.02))


def prompt(server, *arguments):
    return [SM_ASK, "prompt", "hi", "--no-stdin", *arguments, *at(server)]


def started(*command, **streams):
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **(pipes | streams))


def ended(process, number):
    """Send the signal; give what the process left, and the seconds that it took."""
    # Python notices none that comes just before it begins to read, until something can be read.
    time.sleep(0.2)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err.decode(), time.monotonic() - began


@pytest.mark.parametrize("number", CODES)
def test_a_signal_in_mid_stream_keeps_the_text(endless, number):
    """Row X10, on pipes: the text so far, a newline, one line on stderr, and a closed connection."""
    with started(*prompt(endless)) as process:
        first = process.stdout.read(9)
        code, out, err, seconds = ended(process, number)
    assert (code, first + out, err) == (CODES[number], b"two words\n", f"sm-ask: {TOLD[number]}\n")
    assert seconds < 5
    assert endless.conversations[0].gone.wait(5)


@pytest.mark.parametrize("options", [[], ["--markdown"]])
def test_ctrl_c_in_mid_stream_keeps_the_text(endless, options):
    """Row X10, on a terminal."""
    with Terminal(*prompt(endless, *options)) as terminal:
        if options:
            wait_until(lambda: endless.requests)
            time.sleep(0.5)
        else:
            terminal.wait_for(b"two words")
        began = time.monotonic()
        terminal.press(b"\x03")
        shown = terminal.end()
    assert time.monotonic() - began < 5
    assert shown.code == 130
    assert shown.text.replace("^C", "") == "two words\n\r\x1b[Ksm-ask: interrupted\n"
    assert endless.conversations[0].gone.wait(5)


def wait_until(true, seconds=20):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_json_holds_the_text_so_far(endless):
    with started(*prompt(endless, "--json")) as process:
        wait_until(lambda: endless.requests)
        time.sleep(0.5)
        code, out, _, _ = ended(process, signal.SIGINT)
    answer = json.loads(out)
    assert (code, answer["answer"], answer["error"]["kind"]) == (130, "two words", "incomplete")


def test_a_signal_before_the_answer_leaves_nothing(serve):
    server = serve(says_and_stalls(b""))
    with started(*prompt(server)) as process:
        wait_until(lambda: server.requests)
        code, out, err, seconds = ended(process, signal.SIGINT)
    assert (code, out, err) == (130, b"", "sm-ask: interrupted\n")
    assert seconds < 5


def test_ctrl_c_ends_a_pause(serve):
    server = serve(failing(429, "ModelNotReadyException", "not ready"))
    with Terminal(*prompt(server, "--wait")) as terminal:
        terminal.wait_for(b"trying again in 10 s")
        terminal.press(b"\x03")
        shown = terminal.end(5)
    assert (shown.code, len(server.requests)) == (130, 1)
    assert shown.text.endswith("\r\x1b[Ksm-ask: interrupted\n")


@pytest.mark.parametrize("number", CODES)
def test_a_signal_ends_the_wait_for_stdin(serve, number):
    server = serve(says(chat_stream("ok")))
    source, sink = os.pipe()
    with started(SM_ASK, "prompt", "-", *at(server), stdin=source) as process:
        time.sleep(0.7)
        code, out, err, seconds = ended(process, number)
    os.close(source)
    os.close(sink)
    assert (code, out, err, server.requests) == (CODES[number], b"", f"sm-ask: {TOLD[number]}\n", [])
    assert seconds < 5


def test_ctrl_c_while_typing(serve):
    server = serve(says(chat_stream("ok")))
    with Terminal(SM_ASK, "prompt", *at(server)) as terminal:
        terminal.wait_for(b"end with Ctrl-D\n")
        terminal.press(b"half a prom\x03")
        shown = terminal.end(5)
    assert (shown.code, server.requests) == (130, [])
    assert shown.text.endswith("sm-ask: interrupted\n")


SECRET = "a-value-of-the-tests"
#: A library that fails as it is loaded, with a value at hand that nobody is to see.
BROKEN = f"""
def crash():
    key = "{SECRET[:7]}" + "{SECRET[7:]}"
    raise RuntimeError("it broke\\x1b[31m\\nin two lines")

crash()
"""


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Break a library for the processes that the test starts."""

    def install(name):
        (tmp_path / f"{name}.py").write_text(BROKEN)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return install


@pytest.mark.parametrize("layer", ["typer", "yaml", "botocore"])
def test_a_fault_of_our_own_is_one_line(broken, serve, tmp_path, layer):
    """Row Z2: nothing but the error without --debug."""
    (tmp_path / "profiles.yaml").write_text("profiles: {}")
    broken(layer)
    server = serve(says(chat_stream("ok")))
    done = run_process("prompt", "hi", "--config", str(tmp_path / "profiles.yaml"), server=server)
    assert (done.code, done.out, server.requests) == (1, b"", [])
    assert done.err.splitlines() == [
        "sm-ask: error: RuntimeError: it broke\\x1b[31m\\nin two lines",
        "hint: this is a bug of sm-ask; --debug shows where",
    ]


@pytest.mark.parametrize("layer", ["yaml", "botocore"])
def test_debug_shows_the_place_and_no_values(broken, serve, tmp_path, layer):
    """Row Z2."""
    (tmp_path / "profiles.yaml").write_text("profiles: {}")
    broken(layer)
    server = serve(says(chat_stream("ok")))
    done = run_process("prompt", "a prompt", "--debug", "--config", str(tmp_path / "profiles.yaml"), server=server)
    assert done.code == 1
    assert f'{layer}.py", line 4, in crash' in done.err
    assert "sm-ask: error: RuntimeError: it broke" in done.err
    for value in (SECRET, "a prompt", "a-secret-of-the-tests", "AKIATEST"):
        assert value not in done.err


def test_a_fault_while_showing_is_one_line(broken, serve):
    """Row Z2, in the layer that shows, on a terminal; the box that typer would draw has values in it."""
    broken("markdown_it")
    shown = on_terminal(*prompt(serve(says(chat_stream("ok"))), "--markdown"))
    assert shown.code == 1
    assert shown.text.startswith("sm-ask: error: RuntimeError: it broke\\x1b[31m\\nin two lines\nhint: ")
    assert len(shown.text.splitlines()) == 2


def test_json_tells_of_a_fault_of_our_own(broken, serve):
    """Row Z2."""
    broken("botocore")
    done = run_process("prompt", "hi", "--json", server=serve(says(chat_stream("ok"))))
    error = json.loads(done.err)
    assert (done.code, done.out, error["code"], error["kind"]) == (1, b"", 1, "unexpected")
