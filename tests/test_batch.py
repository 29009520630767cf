"""`sm-ask batch`: rows in, rows out, and going on where it stopped."""

from __future__ import annotations

import gzip
import json
import os
import stat
import subprocess

import pytest
from batches import answers, echo, invocations, mode, questions, replies

from conftest import SM_ASK, at, run_process
from server import chat_stream, chat_whole, failing, says, says_and_stalls


@pytest.fixture
def batch(cli, tmp_path):
    """Run a batch over an input in the test's folder into out.jsonl."""

    def run(server, rows, *arguments):
        return cli("batch", str(rows), "-O", str(tmp_path / "out.jsonl"), "--no-stream", *arguments, server=server)

    return run


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.jsonl"


def test_a_row_for_each_row(batch, serve, tmp_path, out):
    server = serve(echo())
    done = batch(server, questions(tmp_path / "in.jsonl", 20))
    rows = answers(out)
    assert (done.code, done.out) == (0, b"")
    assert sorted(row["id"] for row in rows) == sorted(f"q{number}" for number in range(20))
    assert all(row["answer"] == f"answer to question {row['id'][1:]}" for row in rows)
    assert "20 of 20 rows answered" in done.err
    assert "tokens: 140 in, 60 out" in done.err


def test_the_shape_of_a_row(batch, serve, tmp_path, out):
    """The id first, then the one shape of JSON, what a later run needs, and what the row brought along."""
    row = {"id": 7, "prompt": "Hi", "topic": "greeting", "answer": "gold", "input": 1}
    assert batch(serve(says(chat_whole("Hello"))), questions(tmp_path / "in.jsonl", [row])).code == 0
    [found] = answers(out)
    assert list(found) == [
        *("id", "answer", "reasoning", "finish_reason", "usage", "timing", "endpoint", "variant"),
        *("inference_component", "region", "handler", "attempts", "request_id", "sources", "error"),
        *("key", "run", "topic", "input"),
    ]
    assert (found["id"], found["answer"], found["finish_reason"], found["attempts"]) == (7, "Hello", "stop", 1)
    assert found["usage"] == {"input_tokens": 7, "output_tokens": 3, "estimated": False}
    assert (found["topic"], found["input"]) == ("greeting", {"answer": "gold", "input": 1})


def test_streams_have_a_first_token(cli, serve, tmp_path, out):
    server = serve(says(chat_stream("Hel", "lo")))
    rows = questions(tmp_path / "in.jsonl", 3)
    done = cli("batch", str(rows), "-O", str(out), "--json", server=server)
    assert (done.code, {row["answer"] for row in answers(out)}) == (0, {"Hello"})
    summary = json.loads(done.text)
    assert (summary["rows"], summary["answered"], summary["failed"], summary["pending"]) == (3, 3, 0, 0)
    assert summary["first_token_s"]["p50"] > 0
    assert summary["latency_s"]["p95"] >= summary["latency_s"]["p50"]


def test_a_connection_serves_many_rows(cli, serve, tmp_path, out):
    """Rows B21 and N14's happy half: no more connections than workers, and no word of urllib3's."""
    for response in (chat_stream("Hel", "lo"), chat_stream("Hello", framing="length"), chat_whole("Hello")):
        server = serve(says(response))
        stream = "--no-stream" if response == chat_whole("Hello") else "--stream"
        rows = questions(tmp_path / "in.jsonl", 96)
        done = cli("batch", str(rows), "-O", str(out), "--concurrency", "32", stream, "--force", server=server)
        assert (done.code, len(server.requests)) == (0, 96)
        assert server.connections <= 32
        assert "pool" not in done.err
        out.unlink()


def test_connections_that_end_between_rows(batch, serve, tmp_path, out):
    """Row N14: an endpoint that ends a connection while nothing is asked over it."""

    def script(conversation):
        conversation.send(chat_whole("ok"))
        conversation.wait(0.02)
        conversation.close()

    server = serve(script)
    rows = questions(tmp_path / "in.jsonl", 6)
    done = batch(server, rows, "--concurrency", "1", "--rate", "8/s")
    assert (done.code, len(answers(out)), server.connections) == (0, 6, 6)


def test_options_of_a_row_and_of_all(batch, serve, tmp_path):
    rows = [
        {"id": 1, "prompt": "a", "options": {"max_tokens": 9}},
        {"id": 2, "prompt": "b", "system": "Own."},
        {
            "id": 3,
            "messages": [
                {"role": "user", "content": "c"},
                {"role": "assistant", "content": "d"},
                {"role": "user", "content": "e"},
            ],
        },
        {"id": 4, "question": "f"},
    ]
    server = serve(echo())
    assert batch(server, questions(tmp_path / "in.jsonl", rows), "-s", "All.", "--temperature", "0").code == 0
    sent = {request.json["messages"][-1]["content"]: request.json for request in server.requests}
    assert (sent["a"]["max_tokens"], sent["b"]["max_tokens"]) == (9, 512)
    assert {body["temperature"] for body in sent.values()} == {0}
    assert sent["a"]["messages"][0] == {"role": "system", "content": "All."}
    assert sent["b"]["messages"][0] == {"role": "system", "content": "Own."}
    assert [message["role"] for message in sent["e"]["messages"]] == ["system", "user", "assistant", "user"]
    assert sent["f"]["messages"][-1] == {"role": "user", "content": "f"}


def test_rows_of_an_openai_batch_file(batch, serve, tmp_path, out):
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5, "stream": True}
    row = {"custom_id": "x-1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    server = serve(echo())
    assert batch(server, questions(tmp_path / "in.jsonl", [row])).code == 0
    assert answers(out)[0]["id"] == "x-1"
    [request] = server.requests
    assert (request.json["max_tokens"], "model" in request.json, request.json.get("stream")) == (5, False, None)


@pytest.mark.parametrize("packed", [False, True])
def test_csv_and_a_template(batch, serve, tmp_path, out, packed):
    """Values may hold line ends, quotation marks and braces; blank lines are no rows."""
    text = '\ufeffid,text,label\r\na,"two\nlines, {text} ""q""",x\r\n\r\nb,plain,\r\n'
    path = tmp_path / ("in.csv.gz" if packed else "in.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    server = serve(echo())
    done = batch(server, path, "--prompt-template", "Classify {this}: {text}".replace("{this}", "{}"))
    assert done.code == 0
    assert set(invocations(server)) == {'Classify {}: two\nlines, {text} "q"', "Classify {}: plain"}
    assert {row["id"]: (row["text"], row["label"]) for row in answers(out)} == {
        "a": ('two\nlines, {text} "q"', "x"),
        "b": ("plain", ""),
    }


@pytest.mark.parametrize("how", ["pipe", "file", "gzip"])
def test_stdin(cli, serve, tmp_path, out, how):
    """What is no file is kept in one, as it is read twice."""
    data = b"".join(b"line %d\n" % number for number in range(5))
    server = serve(echo())
    command = ["batch", "-", "-O", str(out), "--no-stream"]
    if how == "file":
        (tmp_path / "in").write_bytes(data)
        with (tmp_path / "in").open() as file:
            done = cli(*command, server=server, stdin=file.fileno())
    else:
        done = cli(*command, server=server, stdin=gzip.compress(data) if how == "gzip" else data)
    assert done.code == 0
    assert sorted((row["id"], row["answer"]) for row in answers(out)) == [
        (number + 1, f"answer to line {number}") for number in range(5)
    ]


def test_blank_lines_marks_and_odd_line_ends(batch, serve, tmp_path, out):
    """Row B2: one row for each row."""
    rows = ['\ufeff{"id": "a", "prompt": "x\u2028y\u0085z"}', "", "   ", '{"id": "b", "prompt": "c"}', ""]
    path = tmp_path / "in.jsonl"
    path.write_text("\r\n".join(rows), newline="")
    server = serve(echo())
    assert batch(server, path).code == 0
    assert set(invocations(server)) == {"x\u2028y\u0085z", "c"}
    assert len(out.read_bytes().splitlines()) == len(answers(out)) == 2


BAD = {
    "{": "it is no JSON",
    "[1]": "it is JSON, but no object",
    '{"id": 1}': "neither prompt, question nor messages",
    '{"prompt": "a", "question": "b"}': "prompt and question",
    '{"prompt": 1}': "prompt is a number, not a text",
    '{"prompt": "  "}': "the question is empty",
    '{"prompt": "a", "id": [1]}': "the id is a list",
    '{"prompt": "a", "options": 1}': "options is a number",
    '{"prompt": "a", "options": {"n": 2}}': "n is 1",
    '{"prompt": "a", "options": {"x": NaN}}': "NaN is no number",
    '{"messages": [{"role": "x", "content": "a"}]}': "a message needs a role",
    '{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}': "only text",
    '{"prompt": "a", "docs": [1]}': "docs is a path",
    '{"prompt": "a", "docs": "a.txt"}': "it names documents",
    '{"prompt": "\\ud800"}': "cannot be written",
    '{"prompt": "a\xff"}': "it is not UTF-8",
    "[" * 100_000: "nested too deeply",
}


@pytest.mark.parametrize("line", BAD, ids=range(len(BAD)))
def test_a_row_that_cannot_be_asked(batch, serve, tmp_path, out, line):
    """Row B1: nothing is asked, and the line is named; with --skip-bad it is a row that failed."""
    server = serve(echo())
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"id": "good", "prompt": "good"}\n\n' + line.encode("latin-1") + b"\n")
    done = batch(server, path)
    assert (done.code, server.requests, out.exists()) == (12, [], False)
    assert f"{path}:3: " in done.err
    assert BAD[line] in done.err
    skipped = batch(server, path, "--skip-bad")
    assert (skipped.code, dict(invocations(server))) == (15, {"good": 1})
    good, bad = sorted(answers(out), key=lambda row: row["error"] is not None)
    assert (good["id"], bad["id"], bad["answer"], bad["attempts"]) == ("good", 1 if '"id": 1' in line else 3, None, 0)
    assert bad["error"]["kind"] == "input"
    assert (bad["error"]["retryable"], bad["error"]["maybe_charged"]) == (False, False)


def test_a_table_without_a_question_is_told_of_the_template(batch, serve, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("id,text,label\n1,Good,a\n")
    done = batch(serve(echo()), path)
    assert done.code == 12
    assert "hint: --prompt-template makes it of other fields: 'Sum up: {text}'; --skip-bad asks the others" in done.err


def test_all_bad_rows_are_counted(batch, serve, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("x\n" * 3 + '{"prompt": "a"}\n')
    done = batch(serve(echo()), path)
    assert (done.code, f"{path}:1: it is no JSON" in done.err, "and 2 more" in done.err) == (12, True, True)


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"", "in.jsonl", "has no rows"),
        (b'[{"prompt": "a"}]', "in.json", "holds a list"),
        (b"a,a\n1,2\n", "in.csv", "each differently"),
        (b'prompt\n"a\n', "in.csv", "is no CSV"),
        (b"prompt\na,b\n", "in.csv", "it has 2 cells"),
        (b"\xff\xfea\0", "in.txt", "UTF-16"),
        (gzip.compress(b"line\n" * 1000, mtime=0)[:-20], "in.txt.gz", "cannot be read after line"),
    ],
)
def test_an_input_that_is_none(batch, serve, tmp_path, out, data, name, said):
    path = tmp_path / name
    path.write_bytes(data)
    server = serve(echo())
    done = batch(server, path)
    assert (done.code, server.requests, out.exists()) == (12, [], False)
    assert said in done.err


def test_a_parameter_that_no_row_can_have(batch, serve, tmp_path):
    """What all rows share is the command's fault, not a row's."""
    server = serve(echo())
    rows = questions(tmp_path / "in.jsonl", 2)
    assert batch(server, rows, "-o", "n=2").code == 2
    assert batch(server, rows, "--handler", "raw", "--max-tokens", "5").code == 2
    assert server.requests == []


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": "a", "prompt": "1"}, {"id": "b", "prompt": "2"}, {"id": "a", "prompt": "3"}],
        [{"prompt": "1"}, {"prompt": "2"}, {"id": 1, "prompt": "3"}],
    ],
)
def test_two_rows_of_one_id(batch, serve, tmp_path, out, rows):
    """Row B3."""
    server = serve(echo())
    done = batch(server, questions(tmp_path / "in.jsonl", rows))
    assert (done.code, server.requests, out.exists()) == (12, [], False)
    assert "lines 1 and 3 have the same id" in done.err


def test_a_number_is_not_its_text(batch, serve, tmp_path, out):
    rows = [{"id": 1, "prompt": "a"}, {"id": "1", "prompt": "b"}]
    assert batch(serve(echo()), questions(tmp_path / "in.jsonl", rows)).code == 0
    assert {row["id"]: row["answer"] for row in answers(out)} == {1: "answer to a", "1": "answer to b"}


def test_the_same_command_again_asks_nothing(batch, serve, tmp_path, out):
    server = serve(echo())
    rows = questions(tmp_path / "in.jsonl", 10)
    assert batch(server, rows).code == 0
    before = out.read_bytes()
    done = batch(server, rows)
    assert (done.code, len(server.requests), out.read_bytes()) == (0, 10, before)
    assert "10 of 10 rows answered" in done.err


def test_rows_that_were_added(batch, serve, tmp_path, out):
    server = serve(echo())
    assert batch(server, questions(tmp_path / "in.jsonl", 10), "--limit", "4").code == 0
    assert len(answers(out)) == 4
    assert batch(server, questions(tmp_path / "in.jsonl", 12)).code == 0
    assert set(invocations(server).values()) == {1}
    assert len(answers(out)) == 12
    done = batch(server, questions(tmp_path / "in.jsonl", 3))
    assert (done.code, len(answers(out)), len(server.requests)) == (0, 12, 12)
    assert "the output has 9 rows that" in done.err


def test_a_torn_last_row(batch, serve, tmp_path, out):
    """Row B5: it is taken away and asked again; one that lacks only its line end is whole."""
    server = serve(echo())
    rows = questions(tmp_path / "in.jsonl", 6)
    assert batch(server, rows).code == 0
    whole = out.read_bytes()
    for cut in (1, 2, 40, None):
        out.write_bytes(whole[: -(cut or len(whole.splitlines()[-1]))])
        server.requests.clear()
        done = batch(server, rows)
        assert (done.code, len(answers(out))) == (0, 6)
        assert len(server.requests) == (0 if cut == 1 else 1)
        assert ("cut short" in done.err) is (cut != 1)
        whole = out.read_bytes()


def test_a_torn_only_row(batch, serve, tmp_path, out):
    server = serve(echo())
    out.write_bytes(b'{"id": "q0", "ans')
    assert batch(server, questions(tmp_path / "in.jsonl", 2)).code == 0
    assert len(answers(out)) == 2


@pytest.mark.parametrize("line", [b"garbage\n", b"{}\n", b'{"id": "q1", "ans{"id": "q2", "answer": 1}\n', b"\0\0\0\n"])
def test_a_broken_inner_row(batch, serve, tmp_path, out, line):
    """Row B6: refused, and untouched."""
    server = serve(echo())
    rows = questions(tmp_path / "in.jsonl", 4)
    assert batch(server, rows).code == 0
    first, *rest = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(first + line + b"".join(rest))
    broken = out.read_bytes()
    server.requests.clear()
    done = batch(server, rows, "--force")
    assert (done.code, server.requests, out.read_bytes()) == (13, [], broken)
    assert f"{out}:2: the line is no row of a batch" in done.err


def test_two_rows_of_one_id_in_the_output(batch, serve, tmp_path, out):
    server = serve(echo())
    rows = questions(tmp_path / "in.jsonl", 2)
    assert batch(server, rows).code == 0
    out.write_bytes(out.read_bytes() * 2)
    assert batch(server, rows).code == 13


def test_a_row_that_was_changed(batch, serve, tmp_path, out):
    """Row B7: its old answer does not stand under the new question, and is not thrown away without a word."""
    server = serve(echo())
    assert batch(server, questions(tmp_path / "in.jsonl", 3)).code == 0
    before = out.read_bytes()
    changed = questions(tmp_path / "in.jsonl", [{"id": "q0", "prompt": "question 0"}, {"id": "q1", "prompt": "new"}])
    done = batch(server, changed)
    assert (done.code, len(server.requests), out.read_bytes()) == (12, 3, before)
    assert f"{changed}:2: the row was changed" in done.err
    assert batch(server, changed, "--force").code == 0
    assert invocations(server)["new"] == 1
    assert len(server.requests) == 4
    assert sorted((row["id"], row["answer"]) for row in answers(out)) == [
        ("q0", "answer to question 0"),
        ("q1", "answer to new"),
        ("q2", "answer to question 2"),
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["--max-tokens", "9"], "other parameters"),
        (["-s", "Briefly."], "system prompt"),
        (["-e", "another"], "endpoint ep, not another"),
        (["--handler", "nova"], "handler openai-chat, not nova"),
        (["--prompt-template", "{prompt}"], "template"),
        (["--target-variant", "blue"], "other parameters"),
    ],
)
def test_other_settings(cli, batch, serve, tmp_path, out, changes, said):
    """Row B8: refused, and untouched; --force lets the answers stand."""
    server = serve(echo())
    rows = questions(tmp_path / "in.jsonl", 3)
    assert batch(server, rows, "--limit", "2").code == 0
    before = out.read_bytes()
    done = cli("batch", str(rows), "-O", str(out), "--no-stream", *at(server), *changes)
    assert (done.code, len(server.requests), out.read_bytes()) == (12, 2, before)
    assert said in done.err
    forced = cli("batch", str(rows), "-O", str(out), "--no-stream", "--force", *at(server), *changes)
    assert (len(server.requests), out.read_bytes().startswith(before)) == (3, True)
    assert forced.code in (0, 15)


def test_what_may_change_between_runs(batch, serve, tmp_path):
    server = serve(echo())
    rows = questions(tmp_path / "in.jsonl", 3)
    assert batch(server, rows, "--limit", "2").code == 0
    options = ["--concurrency", "3", "--rate", "100/s", "--retries", "1", "--timeout", "5", "--stream", "--ordered"]
    assert batch(serve(says(chat_stream("x"))), rows, *options).code == 12  # it is at another address
    server.scripts = [says(chat_stream("x"))]
    assert batch(server, rows, *options).code == 0


def test_an_output_that_is_the_input(cli, serve, tmp_path):
    """Row B9."""
    server = serve(echo())
    rows = questions(tmp_path / "in.jsonl", 2)
    before = rows.read_bytes()
    os.link(rows, tmp_path / "other.jsonl")
    for name in (rows, tmp_path / "other.jsonl"):
        done = cli("batch", str(rows), "-O", str(name), server=server)
        assert (done.code, rows.read_bytes(), server.requests) == (2, before, [])


@pytest.mark.parametrize("data", [b"notes\n", b"notes", b'{"id": 1, "prompt": "x"}\n', b'{"id": 1, "prompt": "x"}'])
def test_an_output_that_is_something_else(batch, serve, tmp_path, out, data):
    """Row B9: a file that no batch has written is not touched."""
    out.write_bytes(data)
    server = serve(echo())
    done = batch(server, questions(tmp_path / "in.jsonl", 2), "--force")
    assert (done.code, out.read_bytes(), server.requests) == (2, data, [])


def test_no_output(cli, serve, tmp_path):
    done = cli("batch", str(questions(tmp_path / "in.jsonl", 2)), server=serve(echo()))
    assert (done.code, "-O FILE" in done.err) == (2, True)


def test_permissions_and_links(batch, serve, tmp_path, out):
    """Row B22: the output is nobody else's, whatever the folder's and the process's habits."""
    tmp_path.chmod(0o777)
    server = serve(echo())
    rows = questions(tmp_path / "in.jsonl", 2)
    before = os.umask(0)
    try:
        assert batch(server, rows).code == 0
        assert mode(out) == 0o600
        out.unlink()
        out.touch(0o644)
        assert batch(server, rows).code == 0
        assert mode(out) == 0o600
    finally:
        os.umask(before)
    target = out.rename(tmp_path / "target.jsonl")
    out.symlink_to(target)
    data = target.read_bytes()
    refused = batch(server, rows)
    assert (refused.code, "--follow" in refused.err, target.read_bytes()) == (2, True, data)
    assert batch(server, rows, "--follow").code == 0
    target.write_bytes(b"")
    assert batch(server, rows, "--follow", "--ordered").code == 0
    assert (len(answers(target)), mode(target), out.is_symlink()) == (2, 0o600, True)


def test_order_of_the_input(batch, serve, tmp_path, out):
    """With --ordered the rows of a whole output stand as in the input, also those that were asked in other runs."""
    server = serve()
    rows = questions(tmp_path / "in.jsonl", 30)

    def late(conversation):
        conversation.wait(0.2 if conversation.request.json["messages"][-1]["content"].endswith("0") else 0)
        echo()(conversation)

    server.scripts = [late]
    assert batch(server, rows, "--limit", "20").code == 0
    assert [row["id"] for row in answers(out)] != [f"q{number}" for number in range(20)]
    assert batch(server, rows, "--ordered").code == 0
    assert [row["id"] for row in answers(out)] == [f"q{number}" for number in range(30)]
    assert set(invocations(server).values()) == {1}
    assert mode(out) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_pipe(serve, tmp_path):
    """stdout takes the rows, in order where that is wanted, and the summary is on stderr."""

    def late(conversation):
        conversation.wait(0.3 if conversation.request.json["messages"][-1]["content"].endswith(" 0") else 0)
        echo()(conversation)

    rows = questions(tmp_path / "in.jsonl", 40)
    done = run_process("batch", str(rows), "-O", "-", "--no-stream", "--ordered", server=serve(late))
    assert done.code == 0
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == [f"q{number}" for number in range(40)]
    assert "40 of 40 rows answered" in done.err
    both = run_process("batch", str(rows), "-O", "-", "--json", server=serve(echo()))
    assert both.code == 2


def test_a_reader_that_goes(serve, tmp_path):
    server = serve(echo(0.05))
    rows = questions(tmp_path / "in.jsonl", 200)
    command = [SM_ASK, "batch", str(rows), "-O", "-", "--no-stream", *at(server)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 141
        assert b"Traceback" not in process.stderr.read()
    assert len(server.requests) < 100


def test_rows_that_fail(batch, serve, tmp_path, out):
    """Row B15: what is known of a failure stands in its row, and the others are answered."""

    def answer(text):
        if text == "question 3":
            return failing(424, "ModelError", "broken", {"OriginalStatusCode": 400, "OriginalMessage": "too long"})
        return None

    server = serve(replies(answer))
    done = batch(server, questions(tmp_path / "in.jsonl", 8), "--retries", "0")
    assert done.code == 15
    assert "1 of 8 rows failed" in done.err
    rows = {row["id"]: row for row in answers(out)}
    assert len(rows) == 8
    bad = rows.pop("q3")
    assert (bad["answer"], bad["attempts"]) == (None, 1)
    assert (bad["error"]["kind"], bad["error"]["maybe_charged"], bad["error"]["retryable"]) == (
        "model_error",
        False,
        False,
    )
    assert all(row["error"] is None for row in rows.values())


FAILURES = {
    "question 0": failing(429, "ThrottlingException", "slow down"),
    "question 1": failing(500, "InternalFailure", "oops"),
    "question 2": failing(424, "ModelError", "x", {"OriginalStatusCode": 400, "OriginalMessage": "bad"}),
    "question 3": says_and_stalls(b"", 5),
}


def test_what_is_asked_again(batch, serve, tmp_path, out):
    """Rows B16 and B19: by itself only what was not paid for and may pass; the rest where it is wanted."""
    server = serve(replies(FAILURES.get))
    rows = questions(tmp_path / "in.jsonl", 6)
    options = ["--retries", "0", "--idle-timeout", "0.5"]
    assert batch(server, rows, *options).code == 15
    errors = {row["id"]: row["error"] for row in answers(out)}
    assert {name: error and (error["kind"], error["maybe_charged"]) for name, error in errors.items()} == {
        "q0": ("throttled", False),
        "q1": ("service_failure", True),
        "q2": ("model_error", False),
        "q3": ("timed_out", True),
        "q4": None,
        "q5": None,
    }
    server.scripts = [echo()]
    for more, code, again in (
        ([], 15, {"question 0"}),
        (["--retry-failed"], 15, {"question 2"}),
        (["--retry-timeouts"], 0, {"question 1", "question 3"}),
        ([], 0, set()),
    ):
        server.requests.clear()
        assert batch(server, rows, *options, *more).code == code
        assert set(invocations(server)) == again
        assert len({row["id"] for row in answers(out)}) == len(answers(out)) == 6


def test_what_was_refused_and_changed_is_asked_again(batch, serve, tmp_path):
    """Nothing was paid for it, and it is another question now."""
    server = serve(replies(lambda text: FAILURES["question 2"] if text == "question 1" else None))
    rows = questions(tmp_path / "in.jsonl", 2)
    assert batch(server, rows).code == 15
    server.scripts = [echo()]
    questions(rows, [{"id": "q0", "prompt": "question 0"}, {"id": "q1", "prompt": "shorter"}])
    assert batch(server, rows).code == 0
    assert invocations(server)["shorter"] == 1


def test_a_dry_run(cli, serve, tmp_path, out):
    """Nothing is sent, written or repaired."""
    server = serve(echo())
    rows = questions(tmp_path / "in.jsonl", 10)
    assert cli("batch", str(rows), "-O", str(out), "--no-stream", "--limit", "4", server=server).code == 0
    out.write_bytes(out.read_bytes()[:-30])
    before = out.read_bytes()
    done = cli("batch", str(rows), "-O", str(out), "--dry-run", "--json", server=server)
    told = json.loads(done.text)
    assert (done.code, len(server.requests), out.read_bytes()) == (0, 4, before)
    assert (told["rows"], told["calls"], told["answered"]) == (10, 7, 3)
    assert (told["input_tokens"], told["output_tokens_at_most"]) == (18, 7 * 512)
    assert told["first"]["body"]["messages"][0]["content"].startswith("question ")
    shown = cli("batch", str(rows), "--dry-run", server=server)
    assert shown.code == 0
    assert shown.text.startswith("10 rows: 10 to ask, 0 answered before\nabout 25 tokens in, 5,120 out at most\n")
    assert "POST http://127.0.0.1" in shown.text
    assert "documents" not in shown.text
    assert stat.S_ISREG(out.stat().st_mode)


def test_a_dry_run_says_that_documents_are_read_besides(cli, serve, tmp_path):
    (tmp_path / "a.txt").write_text("Elizabeth was in hospital for 13 days.")
    path = tmp_path / "in.jsonl"
    path.write_text('{"question": "Who?", "docs": "a.txt"}\n{"prompt": "hi"}\n')
    asked = ["batch", str(path), "--docs-root", str(tmp_path), "--dry-run"]
    assert "\nbesides what 1 row reads of documents, in one call or more each\n" in cli(*asked, server=serve()).text
    told = json.loads(cli(*asked, "--json", server=serve()).text)
    assert (told["input_tokens"], told["rows_with_docs"]) == (2, 1)


def test_documents(batch, serve, tmp_path, out):
    """Row D13: paths count from --docs-root, and stay below it."""
    root = tmp_path / "docs"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("the secret")
    (root / "a.txt").write_text("Elizabeth was in hospital for 13 days.")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    rows = [
        {"id": "good", "question": "How long?", "docs": ["a.txt"]},
        *({"id": path, "question": "?", "docs": path} for path in ("../secret.txt", "/etc/passwd", "link.txt", "none")),
    ]
    server = serve(replies(lambda _: chat_whole("13 days")))
    path = questions(tmp_path / "in.jsonl", rows)
    refused = batch(server, path, "--docs-root", str(root))
    assert (refused.code, server.requests) == (12, [])
    assert f"{path}:2: '../secret.txt' leads out of" in refused.err
    done = batch(server, path, "--docs-root", str(root), "--skip-bad")
    assert done.code == 15
    found = {row["id"]: row for row in answers(out)}
    assert (found["good"]["answer"], found["good"]["sources"][0]["path"]) == ("13 days", "a.txt")
    assert {found[row["id"]]["error"]["code"] for row in rows[1:]} == {12}
    [request] = server.requests
    assert b"13 days" in request.body
    assert b"the secret" not in request.body


def test_documents_that_were_changed(batch, serve, tmp_path):
    """Row B7: what a document holds is a part of the question."""
    (tmp_path / "a.txt").write_text("one")
    path = questions(tmp_path / "in.jsonl", [{"id": 1, "question": "?", "docs": ["a.txt"]}])
    server = serve(replies(lambda _: chat_whole("yes")))
    root = ["--docs-root", str(tmp_path)]
    assert batch(server, path, *root).code == 0
    assert batch(server, path, *root).code == 0
    (tmp_path / "a.txt").write_text("two")
    assert batch(server, path, *root).code == 12
    assert len(server.requests) == 1
