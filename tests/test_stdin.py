"""What comes on stdin, through real pipes, files, sockets and terminals."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest

from conftest import SM_ASK, Result, at
from server import chat_stream, says
from terminal import Terminal, on_terminal

SHORT = "0.3"


@pytest.fixture
def server(serve):
    return serve(says(chat_stream("ok")))


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setenv("SM_ASK_STDIN_TIMEOUT", SHORT)


def prompts(server):
    return [request.json["messages"][-1]["content"] for request in server.requests]


@contextmanager
def silent_pipe():
    """A pipe that nobody closes; gives both ends."""
    source, sink = os.pipe()
    try:
        yield source, sink
    finally:
        os.close(source)
        os.close(sink)


@pytest.mark.parametrize(
    ("arguments", "piped", "prompt"),
    [
        ([], b"Say hi", "Say hi"),
        ([], b" two\r\nlines \n\n", " two\r\nlines \n\n"),
        (["TEXT"], b"material", "material\n\nTEXT"),
        (["TEXT"], b"material\n", "material\n\nTEXT"),
        (["TEXT"], b"\t a \r\n\r\n b \r\n", "\t a \r\n\r\n b \r\n\nTEXT"),
        (["TEXT "], b"", "TEXT "),
        (["TEXT"], b" \n\t\n", "TEXT"),
        (["-"], b" Say hi\n", " Say hi\n"),
        (["-f", "-"], b"material\n", "material\n"),
        (["-f", "-", "TEXT"], b"material\n", "material\n\nTEXT"),
        (["--no-stdin", "TEXT"], b"material", "TEXT"),
        (["{}"], b"{text} %s $HOME \\n", "{text} %s $HOME \\n\n\n{}"),
        ([], b"\xef\xbb\xbfSay hi", "Say hi"),
        (["--encoding", "latin-1"], b"caf\xe9", "caf\u00e9"),
    ],
)
def test_material_comes_first_and_the_instruction_last(cli, server, arguments, piped, prompt):
    done = cli("prompt", *arguments, server=server, stdin=piped)
    assert (done.code, done.out, done.err) == (0, b"ok\n", "")
    assert prompts(server) == [prompt]


def test_files_stand_after_what_is_piped_in(cli, server, tmp_path):
    (tmp_path / "a").write_text("file\n")
    cli("prompt", "-f", str(tmp_path / "a"), "TEXT", server=server, stdin=b"piped")
    cli("prompt", "-f", str(tmp_path / "a"), "-f", "-", "TEXT", server=server, stdin=b"piped")
    cli("prompt", "-f", str(tmp_path / "a"), "-", server=server, stdin=b"piped")
    assert prompts(server) == ["piped\n\nfile\n\nTEXT", "file\n\npiped\n\nTEXT", "file\n\npiped"]


def test_a_file_as_stdin_is_read(cli, server, tmp_path):
    (tmp_path / "a").write_bytes(b"from a file\r\n")
    with open(tmp_path / "a", "rb") as file:
        cli("prompt", "TEXT", server=server, stdin=file.fileno())
    assert prompts(server) == ["from a file\r\n\nTEXT"]


def test_a_socket_as_stdin_is_read(cli, server):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"from a socket")
        ours.shutdown(socket.SHUT_WR)
        cli("prompt", "TEXT", server=server, stdin=theirs.fileno())
    assert prompts(server) == ["from a socket\n\nTEXT"]


def test_dev_null_is_nothing(cli, server):
    with open(os.devnull, "rb") as nothing:
        assert cli("prompt", "TEXT", server=server, stdin=nothing.fileno()).err == ""
    assert prompts(server) == ["TEXT"]


def test_a_pipe_that_does_not_wait_is_read_to_its_end(server):
    """Some programs leave their pipes non-blocking; Python's reader would see an end where there is a pause."""
    source, sink = os.pipe()
    os.set_blocking(source, False)
    os.write(sink, b"one ")
    with subprocess.Popen([SM_ASK, "prompt", "TEXT", *at(server)], stdin=source, stdout=subprocess.DEVNULL) as process:
        os.close(source)
        time.sleep(0.5)
        os.write(sink, b"two")
        os.close(sink)
        assert process.wait(20) == 0
    assert prompts(server) == ["one two\n\nTEXT"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["prompt", "-", "-f", "-"],
        ["prompt", "-f", "-", "-f", "-", "TEXT"],
        ["qa", "-", "--doc", "-"],
        ["qa", "Q", "--doc", "-", "--doc", "-"],
        ["qa", "-", "--doc", "a", "--template", "-"],
        ["prompt", "--no-stdin", "-"],
        ["qa", "--no-stdin", "Q", "--doc", "-"],
    ],
)
def test_stdin_is_refused_to_a_second_one_without_a_look_at_it(cli, server, arguments):
    with silent_pipe() as (source, _):
        done = cli(*arguments, server=server, stdin=source)
    assert (done.code, done.out, server.requests) == (2, b"", [])
    assert "stdin" in done.err


@pytest.mark.usefixtures("short")
def test_a_silent_pipe_beside_a_text_is_given_up(cli, server):
    with silent_pipe() as (source, _):
        done = cli("prompt", "TEXT", server=server, stdin=source)
    assert (done.code, done.out, prompts(server)) == (0, b"ok\n", ["TEXT"])
    assert done.err.startswith("sm-ask: nothing came on stdin for 0.3 s, so it is left out")
    assert "--no-stdin" in done.err


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("arguments", [["prompt"], ["qa", "Q"]])
def test_a_silent_pipe_alone_is_given_up_and_nothing_is_left_to_ask(cli, server, arguments):
    """Nobody may be there to close it: an agent, cron, ssh. Whoever means to wait says so with -."""
    with silent_pipe() as (source, _):
        done = cli(*arguments, server=server, stdin=source)
    assert (done.code, done.out, server.requests) == (2, b"", [])
    assert "nothing came on stdin for 0.3 s" in done.err
    assert ("the prompt is empty" if arguments == ["prompt"] else "there is no document") in done.err


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("arguments", "early"), [(["TEXT"], b"o"), (["-f", "-", "TEXT"], b""), (["-"], b"")])
def test_a_pipe_that_spoke_or_was_named_is_waited_for(server, arguments, early):
    source, sink = os.pipe()
    os.write(sink, early)
    with subprocess.Popen([SM_ASK, "prompt", *arguments, *at(server)], stdin=source, stdout=subprocess.PIPE) as process:
        os.close(source)
        time.sleep(1)
        os.write(sink, b"one"[len(early) :])
        os.close(sink)
        assert process.communicate(timeout=20)[0] == b"ok\n"
    assert prompts(server) == ["one\n\nTEXT" if "TEXT" in arguments else "one"]


@pytest.mark.usefixtures("short")
def test_a_pipe_of_many_parts_is_read_to_its_end(server):
    """The patience is for the first byte alone."""
    script = f"(printf one; sleep 0.6; printf two) | {SM_ASK} prompt {' '.join(at(server))}"
    subprocess.run(["sh", "-c", script], check=True, stdout=subprocess.DEVNULL)
    assert prompts(server) == ["onetwo"]


@pytest.mark.usefixtures("short")
def test_no_stdin_does_not_look(cli, server):
    with silent_pipe() as (source, _):
        done = cli("prompt", "TEXT", "--no-stdin", server=server, stdin=source)
    assert (done.code, done.out, done.err) == (0, b"ok\n", "")


@pytest.mark.parametrize("patience", ["soon", "-1", "nan", "inf", "1e300", "5s"])
def test_a_bad_patience_is_named(cli, server, monkeypatch, patience):
    monkeypatch.setenv("SM_ASK_STDIN_TIMEOUT", patience)
    done = cli("prompt", "TEXT", server=server, stdin=b"x")
    assert (done.code, done.out, server.requests) == (3, b"", [])
    assert f"SM_ASK_STDIN_TIMEOUT is '{patience}'" in done.err


def test_no_patience_waits_for_ever(server, monkeypatch):
    monkeypatch.setenv("SM_ASK_STDIN_TIMEOUT", "0")
    command = [SM_ASK, "prompt", "TEXT", *at(server)]
    with silent_pipe() as (source, _), subprocess.Popen(command, stdin=source) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.kill()
    assert server.requests == []


@pytest.mark.parametrize("piped", [b"", b"\r\n\t \n"])
@pytest.mark.parametrize("arguments", [["prompt"], ["prompt", "-"], ["qa", "-", "--doc", "no"]])
def test_nothing_to_ask_is_wrong_usage(cli, server, arguments, piped):
    """Row P4."""
    done = cli(*arguments, server=server, stdin=piped)
    assert (done.code, done.out, server.requests) == (2, b"", [])
    assert "is empty" in done.err


@pytest.mark.parametrize("arguments", [["prompt", "-f", "-", "TEXT"], ["qa", "Q", "--doc", "-"]])
def test_material_that_was_named_is_not_empty(cli, server, arguments):
    """Row D7."""
    done = cli(*arguments, server=server, stdin=b"\n")
    assert (done.code, done.out, server.requests) == (12, b"", [])
    assert "'stdin' is empty" in done.err


@pytest.mark.parametrize("arguments", [["prompt", "TEXT"], ["qa", "Q"]])
@pytest.mark.parametrize(
    ("piped", "words"),
    [
        (b"ok: caf\xe9", "'stdin' is not utf-8: byte 7 "),
        (b"\xed\xa0\x80", "'stdin' is not utf-8: byte 0 "),
        (b"%PDF-1.4\n", "PDF"),
        (b"a\0b", "'stdin' looks binary"),
    ],
)
def test_what_is_no_text_is_refused(cli, server, arguments, piped, words):
    """Row P5, and rows D5 and D6 for stdin; no lone surrogate goes out either."""
    done = cli(*arguments, server=server, stdin=piped)
    assert (done.code, done.out, server.requests) == (12, b"", [])
    assert words in done.err


def test_an_endless_stdin_is_refused(cli, server):
    """Row D2, for stdin: there is an end to what one request holds."""
    with open("/dev/zero", "rb") as zeros:
        done = cli("prompt", "TEXT", server=server, stdin=zeros.fileno())
    assert (done.code, done.out, server.requests) == (12, b"", [])
    assert "stdin has more than 26,214,400 bytes" in done.err


def test_a_closed_stdin_without_a_prompt_is_wrong_usage(server):
    """Row X8."""
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        done = shell('exec "$0" prompt "$@" <&-', server)
        seconds.append(time.monotonic() - began)
    assert min(seconds) < 4
    assert (done.code, done.out, server.requests) == (2, b"", [])
    assert "the prompt is empty" in done.err


def test_a_closed_stdin_beside_a_text_does_not_matter(server):
    assert shell('exec "$0" prompt TEXT "$@" <&-', server).out == b"ok\n"


@pytest.mark.parametrize("redirection", ["<&-", "0>/dev/null"])
def test_a_closed_stdin_that_was_named_is_an_error(server, redirection):
    done = shell(f'exec "$0" prompt - "$@" {redirection}', server)
    assert (done.code, done.out, server.requests) == (12, b"", [])
    assert "stdin" in done.err
    assert "bug" not in done.err


def shell(script, server):
    done = subprocess.run(["sh", "-c", script, SM_ASK, *at(server)], capture_output=True, check=False)
    return Result(done.returncode, done.stdout, done.stderr.decode())


@pytest.mark.parametrize("arguments", [["prompt"], ["prompt", "-"], ["qa", "-", "--doc", __file__]])
def test_a_terminal_is_read_where_nothing_else_is_asked(server, arguments):
    with Terminal(SM_ASK, *arguments, *at(server), stdout=subprocess.PIPE) as terminal:
        terminal.wait_for(b"sm-ask: reading from the terminal; end with Ctrl-D\n")
        terminal.press(b"Say hi\n\x04")
        shown = terminal.end()
    assert (shown.code, shown.out) == (0, b"ok\n")
    assert "Say hi\n" in prompts(server)[0]


def test_a_terminal_beside_a_text_is_left_alone(server):
    shown = on_terminal(SM_ASK, "prompt", "TEXT", *at(server))
    assert (shown.code, shown.screen, prompts(server)) == (0, b"ok\n", ["TEXT"])
