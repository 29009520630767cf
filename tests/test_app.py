"""The outermost layer: help, version, usage errors, and what becomes of them when nothing can be written."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

import sm_ask
from conftest import SM_ASK, at, run_process
from server import STREAM_HEAD, chat_parts, chat_stream, chunk, drips, frames, says
from sm_ask.cli import commands


def shell(script: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["bash", "-c", script, SM_ASK, *arguments], capture_output=True, timeout=60, check=False)


def test_the_version():
    done = run_process("--version")
    assert (done.code, done.out, done.err) == (0, f"sm-ask {sm_ask.__version__}\n".encode(), "")


@pytest.mark.parametrize(
    ("option", "target"), [("--version", "/dev/full"), ("--help", "/dev/full"), ("--version", "&-")]
)
@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full")
def test_what_cannot_be_written_is_said_so(option, target):
    done = shell(f'exec "$0" {option} >{target}')
    assert done.returncode == 13
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing command"),
        (["promt"], "there is no command 'promt'; did you mean 'prompt'?"),
        (["frobnicate"], "there is no command 'frobnicate'"),
        (["local", "srve"], "Did you mean 'serve'?"),
        (["prompt", "--temprature", "1"], "No such option: --temprature; did you mean --temperature?"),
        (["handlers", "tgi", "lmi"], "one handler at a time, not tgi lmi"),
        (["handlers", "test", "tgi", "lmi"], "one handler at a time, not test tgi lmi"),
        (["prompt", "--temperature", "hot"], "'hot' is not a valid float"),
        (["prompt", "--timeout", "soon"], "'soon' is no duration"),
        (["prompt", "-o", "novalue", "hi"], "'novalue' is not KEY=VALUE"),
        (["batch"], "Missing argument"),
    ],
)
def test_wrong_usage_is_two_lines_and_exit_code_two(cli, arguments, words):
    done = cli(*arguments)
    first, hint = done.err.splitlines()
    assert (done.code, done.out) == (2, b"")
    assert first.startswith("sm-ask: error: ")
    assert words in first
    assert hint.startswith("hint: ")
    assert "sm-ask" in hint


@pytest.mark.parametrize("command", ["prompt", "qa"])
def test_a_question_without_quotes_is_told_of_them(cli, command):
    done = cli(command, "What", "is", "up")
    assert (done.code, done.out) == (2, b"")
    assert f'hint: put the question in quotes: sm-ask {command} "What is …?"; see sm-ask {command} --help' in done.err


def test_the_usage_says_where_a_word_is_of_its_own():
    assert "[OPTIONS] [NAME | test NAME]" in run_process("handlers", "--help").text
    assert "[OPTIONS] [NAME | init]" in run_process("profiles", "--help").text


def test_wrong_usage_is_json_with_json(cli):
    done = cli("prompt", "--json", "--bogus")
    assert json.loads(done.err)["kind"] == "usage"


def test_every_command_says_what_it_does_in_the_list():
    shown = run_process("--help").text
    for name in commands.NAMES:
        assert f"\n  {name} " in shown
    for code, meaning in commands.EXIT_CODES.items():
        assert f"{code}  {meaning}" in shown


def test_wait_needs_no_time(cli, serve):
    server = serve(says(chat_stream("Hello")))
    for words in (["--wait", "hi"], ["--wait=3s", "hi"], ["hi", "--wait"]):
        assert cli("prompt", *words, server=server).text == "Hello\n"
    assert cli("prompt", *at(server), "--", "--wait").code == 0
    assert server.requests[-1].json["messages"][0]["content"] == "--wait"


def test_nohup_outlives_its_terminal(serve):
    """A signal that was ignored when the program began stays ignored."""
    pieces = [STREAM_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"]
    pieces += [chunk(frames.payload_part(part)) for part in chat_parts("a", "b", "c")] + [b"0\r\n\r\n"]
    server = serve(drips(pieces, 0.2))
    command = ["nohup", SM_ASK, "prompt", "hi", *at(server)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.read(1) == b"a"
        process.send_signal(signal.SIGHUP)
        assert process.communicate(timeout=30)[0] == b"bc\n"
    assert process.returncode == 0
