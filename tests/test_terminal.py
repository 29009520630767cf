"""What a terminal shows and what a pipe gets: rows X of the fault matrix, on real terminals, pipes and files."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import threading
import time

import pytest

from conftest import SM_ASK, Result, at, run_process
from server import chat_event, chat_parts, chat_stream, chat_whole, drips, failing, says, streamed
from terminal import Terminal, apart, on_terminal

#: Clipboard, title, link, colour, DCS, C1 controls, bell, backspace, lone CR, overrides, marks without width.
ACTIVE = [
    *(
        "\x1b]52;c;aGk=\x07",
        "\x1b]0;title\x1b\\",
        "\x1b]8;;http://x\x1b\\y\x1b]8;;\x1b\\",
        "\x1b[31m",
        "\x1bP1$r\x1b\\",
    ),
    *("\x9b31m", "\x80", "\x90", "\x9d52;c;\x9c", "\x07", "\b\b", "over\rwritten", "\x0b\x0c\x00\x7f", "\u202egpj"),
    *("\u2066x\u2069", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u2028", "\u061c", "\u180e", "\U000e0041"),
]
EVIL = "first" + " ".join(ACTIVE) + "last\r\n"
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0041]"
)
#: The same text again and again, each time cut at the next place.
SPLIT = [part for at in range(len(EVIL)) for part in (EVIL[:at], EVIL[at:])]
BROKEN = {"OriginalStatusCode": 500, "OriginalMessage": EVIL, "LogStreamArn": "arn:\x1b[31m\x9b"}


def prompt(server, *arguments):
    return [SM_ASK, "prompt", "hi", "--no-stdin", *arguments, *at(server)]


def shell(script, server, *arguments):
    done = subprocess.run(["bash", "-c", script, *prompt(server, *arguments)], capture_output=True, check=False)
    return Result(done.returncode, done.stdout, done.stderr.decode())


def test_model_text_cannot_drive_a_terminal_wherever_it_is_cut(serve):
    """Rows X1 and X4."""
    shown = on_terminal(*prompt(serve(says(chat_stream(*SPLIT)))))
    assert shown.code == 0
    assert not FORBIDDEN.search(shown.text)
    once = shown.text[: shown.text.index("last\n") + 5]
    assert shown.text == once * len(EVIL)
    for word in ("\\x1b]52;c;aGk=\\x07", "\\x9b31m", "over\\x0dwritten", "<U+202E>gpj", "<U+200B>", "<U+E0041>"):
        assert word in once


@pytest.mark.parametrize("how", ["--stream", "--no-stream", "--raw", "--json", "--markdown"])
def test_no_way_of_showing_model_text_drives_a_terminal(serve, how):
    """Rows X1 and X4, with bytes that come one at a time."""
    whole_stream = b"".join(chat_parts(EVIL)).replace(b"gpj", b"gpj \xc2\x9b\xe2\x80\xae\x1b\xff")
    stream = streamed([bytes([byte]) for byte in whole_stream])
    server = serve(says(chat_whole(EVIL) if how == "--no-stream" else stream if how == "--raw" else chat_stream(*EVIL)))
    shown = on_terminal(*prompt(server, how))
    assert shown.code == 0
    assert not FORBIDDEN.search(re.sub(r"\x1b\[[\d;]*m", "", shown.text) if how == "--markdown" else shown.text)
    assert "gpj" in shown.text
    if how == "--json":
        assert json.loads(shown.text)["answer"] == EVIL


@pytest.mark.parametrize("how", ["--no-stream", "--raw"])
def test_what_has_no_final_newline_leaves_the_next_line_alone(serve, how):
    server = serve(says(chat_whole("Hello")))
    shown = on_terminal(*prompt(server, how, "--no-stream", "--usage"))
    assert shown.text.count("\nsm-ask: in ") == 1


def test_scripts_and_emoji_keep_their_joiners(serve):
    """Row X4: what belongs to writing is no disguise."""
    persian = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    text = f"👨\u200d👩\u200d👧 {persian} é e\u0301 漢字\t|"
    assert on_terminal(*prompt(serve(says(chat_stream(*text))))).text == text + "\n"


def test_a_pipe_gets_every_byte(serve):
    """Row X2."""
    done = run_process("prompt", "hi", server=serve(says(chat_stream(*SPLIT))))
    assert (done.code, done.out, done.err) == (0, (EVIL * len(EVIL)).encode(), "")


@pytest.mark.parametrize("option", ["--stream", "--no-stream", "--markdown"])
def test_a_file_gets_every_byte_from_a_terminal_too(serve, tmp_path, option):
    """Rows X2 and X11: only stdout decides, though stderr and stdin are a terminal."""
    server = serve(says(chat_whole(EVIL) if option == "--no-stream" else chat_stream(*EVIL)))
    with open(tmp_path / "out", "wb") as out:
        shown = on_terminal(*prompt(server, option), stdout=out)
    assert (shown.code, shown.screen, (tmp_path / "out").read_bytes()) == (0, b"", EVIL.encode())


@pytest.mark.parametrize("option", ["--stream", "--markdown"])
def test_markup_in_model_text_is_text(serve, option):
    """Row X3."""
    text = "[bold]x[/] [/] :smile: [link=http://x]y[/link] {0} %s"
    server = serve(says(chat_stream(text)))
    assert on_terminal(*prompt(server, option)).text == text + "\n"
    assert run_process(*prompt(server, option)[1:]).text == text + "\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 9),
        (["--json"], 9),
        (["-e", "\x1b]0;x\x07\x9b"], 2),
        (["-f", "no\x1b[31m\x9b\u202e.txt"], 12),
        (["--handler", "\x1b[31m\x9b"], 3),
        (["-p", "\x1b[31m\x9b"], 3),
        (["--custom-attributes", "\x1b[31m\u202e"], 2),
        (["--region", "\x1b[31m\x9b"], 3),
        (["--timeout", "\x1b[31m\x9b"], 2),
        (["-o", "\x1b[31m\x9b"], 2),
        (["--\x1b[31m\x9b"], 2),
        (["-f", "-", "-f", "-", "\x1b"], 2),
    ],
)
def test_messages_have_no_escapes_on_a_pipe_either(cli, serve, arguments, code):
    """Row X5; the first two are the container's own words."""
    server = serve(failing(424, "ModelError", "m", BROKEN))
    ours = [] if "-e" in arguments else ["-e", "ep"]
    more = [] if "--region" in arguments else ["--region", "us-west-2"]
    done = cli("prompt", "hi", *arguments, *ours, *more, "--endpoint-url", server.url)
    assert (done.code, done.out) == (code, b"")
    assert not FORBIDDEN.search(done.err)
    assert len(done.err.splitlines()) <= 2


def test_messages_have_no_escapes_on_a_terminal(serve):
    """Row X5."""
    shown = on_terminal(*prompt(serve(failing(424, "ModelError", "m", BROKEN))))
    assert shown.code == 9
    assert not FORBIDDEN.search(shown.text)
    assert shown.text.startswith("sm-ask: error: the model's container failed (500): first\\x1b]52")


@pytest.mark.parametrize("command", ["head -c 20", "head -1"])
def test_an_endless_answer_ends_with_its_reader(serve, command):
    """Row X6; the server sees it, too, so that nothing more is generated."""
    head, piece, _ = apart(chat_event({"content": "word\n"}))
    server = serve(drips(itertools.chain([head], itertools.repeat(piece)), 0.01))
    done = shell('"$0" "$@" | ' + command + "; exit ${PIPESTATUS[0]}", server)
    assert (done.code, done.err) == (141, "")
    assert done.out == b"word\n" * (4 if "20" in command else 1)
    assert server.conversations[0].gone.wait(5)


def test_a_full_disk_is_an_error(serve):
    """Row X7."""
    server = serve(says(chat_stream("Hello")))
    for option in ("--stream", "--json", "--raw"):
        done = shell('exec "$0" "$@" >/dev/full', server, option)
        assert (done.code, done.out) == (13, b"")
        assert "cannot write the answer: No space left on device" in done.err


@pytest.mark.parametrize("options", [[], ["--json"], ["--dry-run"]])
def test_a_closed_stdout_is_an_error_before_anything_is_paid_for(serve, options):
    """Row X7."""
    server = serve(says(chat_stream("Hello")))
    done = shell('exec "$0" "$@" >&-', server, *options)
    assert (done.code, server.requests) == (13, [])
    assert "cannot write the answer: stdout is closed" in done.err


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2> >(exit)"])
def test_a_stderr_that_cannot_be_written_changes_nothing(serve, redirection):
    server = serve(says(chat_stream("Hello", finish="length")))
    done = shell(f'exec "$0" "$@" {redirection}', server, "--usage")
    assert (done.code, done.out) == (0, b"Hello\n")
    assert shell(f'exec "$0" "$@" {redirection}', server, "--require-complete").code == 10


def test_a_pipe_that_does_not_wait_gets_the_whole_answer(serve):
    """Some programs leave their pipes non-blocking; a full one is no reason to lose a paid answer."""
    text = "x" * 300_000
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    with subprocess.Popen(prompt(serve(says(chat_stream(text)))), stdout=sink, stdin=subprocess.DEVNULL) as process:
        os.close(sink)
        time.sleep(0.5)
        with open(source, "rb") as pipe:
            assert pipe.read() == text.encode() + b"\n"
        assert process.wait() == 0


THOUGHTS = streamed(
    [
        chat_event({"reasoning_content": "Let me \x1b[31mthink.\r"}),
        chat_event({"reasoning_content": "\n So."}),
        *chat_parts("The ", "answer"),
    ]
)


def test_reasoning_is_for_whoever_looks(serve):
    """On stderr, dim, apart from the answer, and harmless."""
    server = serve(says(THOUGHTS))
    shown = on_terminal(*prompt(server), stdout=subprocess.PIPE)
    assert (shown.code, shown.out) == (0, b"The answer\n")
    assert shown.text == "\x1b[2mLet me \\x1b[31mthink.\x1b[22m\x1b[2m\n So.\x1b[22m\n"
    assert on_terminal(*prompt(server), env={"NO_COLOR": "1"}).text == "Let me \\x1b[31mthink.\n So.\nThe answer\n"


def test_reasoning_is_not_for_pipes(serve):
    server = serve(says(THOUGHTS))
    done = run_process(*prompt(server)[1:])
    assert (done.code, done.out, done.err) == (0, b"The answer\n", "")
    shown = on_terminal(*prompt(server), stderr=subprocess.PIPE)
    assert (shown.screen, shown.err) == (b"The answer\n", b"")
    answer = json.loads(run_process(*prompt(server, "--json")[1:]).out)
    assert (answer["answer"], answer["reasoning"]) == ("The answer", "Let me \x1b[31mthink.\r\n So.")


BUSY = "Rate exceeded, " + "and more than a line has room for, " * 3


def busy(seconds):
    return failing(429, "ThrottlingException", BUSY, retry_after=str(seconds))


@pytest.mark.parametrize("columns", [20, 80])
def test_a_pause_is_counted_down_in_one_line(serve, columns):
    """Row X11: the line is replaced, never wider than the terminal, and gone at the end."""
    shown = on_terminal(*prompt(serve(busy(2), says(chat_stream("ok")))), columns=columns)
    *lines, last = shown.text.split("\r\x1b[K")
    assert (shown.code, lines[0], last) == (0, "", "ok\n")
    assert [line[:15] for line in lines[1:3]] == ["sm-ask: trying "] * 2
    assert all(len(line) < columns and line.endswith("…") for line in lines[1:])
    if columns == 80:
        assert "again in 2 s: Thrott" in lines[1]
        assert "again in 1 s: Thrott" in lines[2]


def test_a_pause_leaves_nothing_before_an_error(serve):
    shown = on_terminal(*prompt(serve(busy(1)), "--retries", "1"))
    assert shown.code == 6
    assert shown.text.rpartition("\r\x1b[K")[2].startswith("sm-ask: error: Throttling")


@pytest.mark.parametrize("term", ["pipe", "dumb"])
def test_a_pause_is_a_plain_line_where_none_can_be_replaced(serve, tmp_path, term):
    """Row X11: no control codes in files."""
    server = serve(busy(1), busy(1), says(chat_stream("ok")))
    with open(tmp_path / "err", "wb") as err:
        streams = {"stderr": err} if term == "pipe" else {"env": {"TERM": "dumb"}, "stdout": subprocess.PIPE}
        shown = on_terminal(*prompt(server), **streams)
    told = shown.text if term == "dumb" else (tmp_path / "err").read_text()
    assert shown.code == 0
    assert re.fullmatch(rf"(sm-ask: trying again in [12] s: ThrottlingException: {BUSY.strip()}\n){{2}}", told)


def test_waiting_for_an_endpoint_is_counted_down(serve):
    server = serve(failing(429, "ModelNotReadyException", "not ready", retry_after="1"), says(chat_stream("ok")))
    shown = on_terminal(*prompt(server, "--wait"))
    assert (shown.code, shown.text) == (
        0,
        "\r\x1b[Ksm-ask: trying again in 1 s: ModelNotReadyException: not ready\r\x1b[Kok\n",
    )


PLAIN = {
    "NO_COLOR": {"NO_COLOR": "1"},
    "dumb": {"TERM": "dumb"},
    "C": {"LC_ALL": "C"},
    "bare C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "narrow": {"COLUMNS": "20"},
}


@pytest.mark.parametrize(
    ("name", "option"),
    [*((name, "--stream") for name in PLAIN), *((name, "--markdown") for name in ("NO_COLOR", "dumb", "narrow"))],
)
def test_odd_terminals_get_the_answer(serve, name, option):
    """Row X9."""
    text = "# Café 漢字\n\n- [x] “quoted” €\n\n```\ncode\n```"
    stream = streamed([chat_event({"reasoning_content": "Größe…"}), *chat_parts(text, finish="length")])
    shown = on_terminal(
        *prompt(serve(says(stream)), option, "--usage", "-s", "Größe 漢"),
        env=PLAIN[name],
        columns=20 if name == "narrow" else 80,
    )
    assert shown.code == 0
    for word in ("Café", "漢字", "“quoted”", "€", "code", "token limit"):
        assert word in shown.text
    if name in ("NO_COLOR", "dumb"):
        assert not re.search(r"\x1b\[[\d;]*[34]\d", shown.text)
    if name == "dumb":
        assert "\x1b" not in shown.text


@pytest.mark.parametrize("name", ["C", "bare C", "cp1252", "ascii"])
def test_a_pipe_gets_utf_8_whatever_the_locale_is(serve, name):
    """Row X9."""
    server = serve(says(chat_stream("Café 漢字", finish="length")))
    done = run_process("prompt", "Größe 漢", "--usage", server=server, env={**os.environ, **PLAIN[name]})
    assert (done.code, done.out) == (0, "Café 漢字\n".encode())
    assert server.requests[0].json["messages"][0]["content"] == "Größe 漢"


MARKDOWN = """\
# Title one

Some **bold**, `code` and [link](https://example.com/path?a=b).

A [link](https://example.com/titled "tip") and a ![picture](https://example.com/p.png).

| name | value |
|------|-------|
| cell | https://example.com/a/very/long/address/that/does/not/fit/anywhere/at/all/in/a/narrow/table |

```python
def function():

    return "## no heading"
```

1. item one

   inside it

   ```sh
   echo fenced

   echo after
   ```

2. item two

<details>hidden <b>html</b></details>

[reference]: https://example.com/reference

> quoted &lt;entity&gt; text

````
``` not the end

still inside
````

An entity is no way out: &#27;]52;c;x&#7; &#13; &#x202e; &#x9b;31m &#8203;

Setext
======

~~gone~~ ***

Last line without a newline"""
WORDS = re.findall(r"[a-zA-Z]{4,}", MARKDOWN.replace("```python", "").replace("&lt;", "").replace("&gt;", ""))


@pytest.mark.parametrize("columns", [20, 80])
def test_markdown_loses_nothing_and_stays_harmless(serve, columns):
    shown = on_terminal(*prompt(serve(says(chat_stream(*MARKDOWN))), "--markdown"), columns=columns)
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown.text)
    assert shown.code == 0
    assert not FORBIDDEN.search(plain)
    assert max(map(len, plain.splitlines())) <= max(columns, len(max(MARKDOWN.splitlines(), key=len)))
    letters = "".join(plain.split())
    for word in WORDS:
        assert word in (letters if columns == 20 else plain)
    if columns == 80:
        assert '    return "## no heading"' in plain
        assert "   inside it" in plain
        assert "```sh" not in plain
        assert "**bold**" not in plain
    assert "\x1b[1mbold\x1b[0m" in shown.text


def test_markdown_is_shown_block_by_block(serve):
    head, *parts = apart(*chat_parts("# One\n\nstill ", "open\n\n"))
    seen = threading.Event()

    def script(conversation):
        conversation.send(head + parts[0] + parts[1])
        seen.wait(20)
        conversation.send(b"".join(parts[2:]))

    with Terminal(*prompt(serve(script), "--markdown"), env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for(b"One")
        assert b"still" not in terminal.screen
        seen.set()
        assert terminal.end().text.endswith("\n\nstill open\n")


def test_a_dry_run_shows_no_escapes_on_a_terminal(serve):
    shown = on_terminal(SM_ASK, "prompt", EVIL.replace("\0", ""), "--dry-run", *at(serve(says(b""))))
    assert shown.code == 0
    assert not FORBIDDEN.search(shown.text)
