"""`sm-ask prompt` and its options: what goes over the wire, and what comes out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator

import pytest

from conftest import SM_ASK, at, run_process
from server import chat_event, chat_parts, chat_stream, chat_whole, failing, says, streamed, whole
from sm_ask.chat import Text
from sm_ask.errors import OutputError
from sm_ask.render import answer
from sm_ask.render.output import Output
from terminal import apart

#: What every answer in JSON has, in this order.
KEYS = [
    *("answer", "reasoning", "finish_reason", "usage", "timing", "endpoint", "variant", "inference_component"),
    *("region", "handler", "attempts", "request_id", "sources", "error"),
]
NO_USAGE = streamed([chat_event({"content": "x" * 400}), chat_event({}, "stop"), b"data: [DONE]\n\n"])
LENGTH = chat_stream("cut", " off", finish="length")


def test_the_answer_and_nothing_else_is_on_stdout(cli, serve):
    server = serve(says(chat_stream("Hel", "lo")))
    done = cli("prompt", "Say hi", server=server)
    assert (done.code, done.out, done.err) == (0, b"Hello\n", "")
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "Say hi"}]


def test_a_newline_is_added_only_where_there_is_none(cli, serve):
    assert cli("prompt", "hi", server=serve(says(chat_stream("a\n", "b\n")))).out == b"a\nb\n"


@pytest.mark.parametrize("operation", ["--stream", "--no-stream"])
def test_json_has_all_keys_in_one_line(cli, serve, operation):
    server = serve(says(chat_stream("Hello") if operation == "--stream" else chat_whole("Hello")))
    done = cli("prompt", "hi", "--json", operation, server=server)
    answer = json.loads(done.out)
    assert (done.code, list(answer), done.out.count(b"\n")) == (0, KEYS, 1)
    assert (answer["answer"], answer["finish_reason"], answer["error"]) == ("Hello", "stop", None)
    assert answer["usage"].keys() == {"input_tokens", "output_tokens", "estimated"}
    assert answer["timing"].keys() == {"first_token_s", "total_s"}
    known = [answer[name] for name in ("endpoint", "region", "handler", "attempts", "request_id", "sources")]
    assert known == ["ep", "us-west-2", "openai-chat", 1, "req-1", []]


def test_json_holds_what_text_cannot(cli, serve):
    """Lone surrogates, and characters that some readers take for line ends or act upon, are JSON escapes."""
    text = "a\ud800b\x85c\u2028d\u202ee\x1bf \U000e0041 é 漢"
    done = cli("prompt", "hi", "--json", server=serve(says(chat_stream(text))))
    assert json.loads(done.out)["answer"] == text
    assert len(done.text.splitlines()) == 1
    assert "é 漢" in done.text
    assert "\\u202e" in done.text


def test_json_of_a_broken_stream_has_the_part_and_the_error(cli, serve):
    server = serve(says(streamed(chat_parts("half an ", "answer")[:3])))
    done = cli("prompt", "hi", "--json", server=server)
    answer, error = json.loads(done.out), json.loads(done.err.splitlines()[-1])
    assert (done.code, list(answer), answer["answer"]) == (10, KEYS, "half an answer")
    assert answer["error"].keys() == {"kind", "code", "message", "hint", "retryable", "maybe_charged"}
    assert (answer["error"]["code"], error["code"], error["maybe_charged"]) == (10, 10, True)


def test_a_prompt_that_is_too_long_is_told_of_qa(cli, serve):
    known = {"OriginalStatusCode": 400, "OriginalMessage": "This model's maximum context length is 4096 tokens"}
    done = cli("prompt", "hi", server=serve(failing(424, "ModelError", "x", known)))
    assert done.code == 9
    assert "; sm-ask qa --doc FILE reads of a long text" in done.err


def test_usage_is_one_line_on_stderr(cli, serve):
    done = cli("prompt", "hi", "--usage", server=serve(says(chat_stream("Hel", "lo"))))
    line = r"sm-ask: in 7 tok · out 2 tok · first token \d+\.\d\d s( · \d+ tok/s)? · \d+\.\d s\n"
    assert done.out == b"Hello\n"
    assert re.fullmatch(line, done.err)


def test_usage_that_the_container_does_not_give_is_marked(cli, serve):
    done = cli("prompt", "x" * 40, "--usage", server=serve(says(NO_USAGE)))
    assert "in ~10 tok · out ~100 tok" in done.err
    done = cli("prompt", "x" * 40, "--json", server=serve(says(NO_USAGE)))
    assert json.loads(done.out)["usage"] == {"input_tokens": 10, "output_tokens": 100, "estimated": True}


def test_the_token_limit_is_told(cli, serve):
    """Row P9."""
    done = cli("prompt", "hi", server=serve(says(LENGTH)))
    assert (done.code, done.out) == (0, b"cut off\n")
    assert "stopped at the token limit" in done.err
    assert "--max-tokens 1024" in done.err


@pytest.mark.parametrize("form", ["--stream", "--json"])
def test_the_token_limit_is_an_error_where_the_whole_answer_is_required(cli, serve, form):
    """Row P9."""
    done = cli("prompt", "hi", "--require-complete", form, server=serve(says(LENGTH)))
    assert done.code == 10
    assert "stopped at the token limit" in done.err
    if form == "--json":
        answer = json.loads(done.out)
        assert (answer["answer"], answer["finish_reason"], answer["error"]["code"]) == ("cut off", "length", 10)
    else:
        assert done.out == b"cut off\n"


def test_raw_is_the_container_s_own_bytes(cli, serve):
    parts = chat_parts("Hel", "lo\r\n\x1b é")
    done = cli("prompt", "hi", "--raw", server=serve(says(streamed(parts))))
    assert (done.code, done.out) == (0, b"".join(parts))


def test_raw_counts_what_the_handler_reads(cli, serve):
    *parts, _usage, end = chat_parts("twelve chars")
    parts.append(end)
    done = cli("prompt", "hi", "--raw", "--usage", server=serve(says(streamed(parts))))
    assert "out ~3 tok · first token" in done.err


@pytest.mark.parametrize("body", [b'{"predictions": [1]}', b"\xff no JSON", b"[1, 2]\r\n\r\n"])
def test_raw_shows_what_no_handler_reads(cli, serve, body):
    done = cli("prompt", "hi", "--raw", "--no-stream", server=serve(says(whole(body))))
    assert (done.code, done.out) == (0, body)


def test_raw_tells_of_a_stream_without_its_end_mark(cli, serve):
    parts = chat_parts("half")[:2]
    done = cli("prompt", "hi", "--raw", server=serve(says(streamed(parts))))
    assert (done.code, done.out) == (10, b"".join(parts))


def test_raw_tells_of_an_empty_answer(cli, serve):
    done = cli("prompt", "hi", "--raw", server=serve(says(streamed([]))))
    assert (done.code, done.out) == (11, b"")


def test_raw_and_json_exclude_each_other(cli, serve):
    server = serve(says(chat_stream("x")))
    assert (cli("prompt", "hi", "--raw", "--json", server=server).code, len(server.requests)) == (2, 0)


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        ("top_p=0.9", "top_p", 0.9),
        ("user=me", "user", "me"),
        ("user=", "user", ""),
        ('x="5"', "x", "5"),
        ("x=a=b", "x", "a=b"),
        ("x=[1, {}]", "x", [1, {}]),
        ("x=null", "x", None),
        ("x={", "x", "{"),
        ("max_tokens=5", "max_tokens", 5),
    ],
)
def test_an_option_is_json_or_text(cli, serve, option, name, value):
    server = serve(says(chat_stream("x")))
    assert cli("prompt", "hi", "-o", option, server=server).code == 0
    assert server.requests[0].json[name] == value


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["-o", "top_p"], 2, "KEY=VALUE"),
        (["-o", "=1"], 2, "KEY=VALUE"),
        (["-o", "n=2"], 2, "n is 1"),
        (["-o", "x=NaN"], 2, "'x'"),
        (["-o", "x=[1e999]"], 2, "'x'"),
        (["--temperature", "nan"], 2, "'temperature'"),
        (["--stop", "caf\udce9"], 12, "'stop' is not UTF-8"),
        (["-s", "caf\udce9"], 12, "system prompt is not UTF-8: byte 3"),
    ],
)
def test_what_no_container_takes_is_refused(cli, serve, arguments, code, word):
    server = serve(says(chat_stream("x")))
    done = cli("prompt", "hi", *arguments, server=server)
    assert (done.code, done.out, len(server.requests)) == (code, b"", 0)
    assert word in done.err


def test_flags_come_before_options(cli, serve):
    server = serve(says(chat_stream("x")))
    flags = ["--max-tokens", "9", "--temperature", "0", "--stop", "A", "--stop", "B"]
    cli("prompt", "hi", "-o", "max_tokens=5", *flags, server=server)
    sent = server.requests[0].json
    assert (sent["max_tokens"], sent["temperature"], sent["stop"]) == (9, 0, ["A", "B"])


def test_a_system_prompt_comes_first(cli, serve):
    server = serve(says(chat_stream("x")))
    cli("prompt", "hi", "-s", "Be brief.", server=server)
    assert [message["role"] for message in server.requests[0].json["messages"]] == ["system", "user"]
    cli("prompt", "hi", "-s", "", server=server)
    assert [message["role"] for message in server.requests[1].json["messages"]] == ["user"]


@pytest.mark.parametrize("text", ["", " ", "\n\t\u2003"])
def test_a_blank_prompt_is_refused(cli, serve, text):
    """Row P4."""
    server = serve(says(chat_stream("x")))
    done = cli("prompt", text, server=server)
    assert (done.code, done.out, len(server.requests)) == (2, b"", 0)
    assert "the prompt is empty" in done.err


def test_a_prompt_that_is_not_utf_8_is_refused(serve):
    """Row P5, for argv."""
    server = serve(says(chat_stream("x")))
    done = run_process("prompt", "é: caf\udce9", server=server)
    assert (done.code, done.out, len(server.requests)) == (12, b"", 0)
    assert "not UTF-8: byte 7 " in done.err


@pytest.fixture
def without_keys(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


@pytest.mark.usefixtures("without_keys")
def test_a_dry_run_needs_no_credentials_and_sends_nothing(cli, serve):
    server = serve(says(chat_stream("x")))
    done = cli("prompt", "hi", "--dry-run", "--custom-attributes", "trace=1", server=server)
    assert (done.code, done.err, len(server.requests)) == (0, "", 0)
    assert done.text.startswith(f"POST {server.url}/endpoints/ep/invocations-response-stream\n")
    assert "trace=1" in done.text
    assert '\n\n{"messages": [{"role": "user", "content": "hi"}]' in done.text


def test_a_dry_run_of_the_endpoint_on_this_machine_says_whose_address_it_shows(cli):
    """It has none before it runs, and needs no model for that."""
    done = cli("prompt", "hi", "--dry-run", "-p", "local")
    assert done.code == 0
    assert done.text.startswith("POST http://127.0.0.1:8080/endpoints/local/")
    assert "only while it runs; the one shown is that of `sm-ask local serve`" in done.err


def test_a_dry_run_shows_no_secret(cli, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token-of-the-tests")
    for form in ("--json", "--stream"):
        done = cli("prompt", "hi", "--dry-run", "-e", "ep", "--region", "us-west-2", form)
        for secret in ("AKIATEST", "a-secret-of", "a-token-of", "Authorization", "Signature="):
            assert secret not in done.text + done.err


def test_a_dry_run_as_json_is_what_would_be_sent(cli, serve):
    server = serve(says(chat_stream("x")))
    sketch = json.loads(cli("prompt", "hi é", "--dry-run", "--json", server=server).out)
    assert list(sketch) == ["method", "url", "headers", "body", "roles", "aws", "curl"]
    cli("prompt", "hi é", server=server)
    sent = server.requests[0]
    assert (sketch["method"], sketch["url"], sketch["body"]) == (sent.method, server.url + sent.path, sent.json)
    signed = {"authorization", "x-amz-date", "x-amz-content-sha256", "host", "accept-encoding"}
    assert {name.lower() for name in sketch["headers"]} >= sent.headers.keys() - signed


def test_a_dry_run_names_the_role_whose_keys_its_twins_need(cli, serve):
    hops = ["arn:aws:iam::111111111111:role/first", "arn:aws:iam::222222222222:role/last"]
    asked = ["prompt", "hi", "--dry-run", "--role-arn", hops[0], "--role-arn", hops[1]]
    assert f"need the keys of {hops[1]}" in cli(*asked, server=serve()).text
    assert json.loads(cli(*asked, "--json", server=serve()).out)["roles"] == hops


@pytest.mark.parametrize("twin", ["curl", "aws"])
@pytest.mark.parametrize("token", ["", "a-token-of-the-tests"])
def test_the_twins_of_a_dry_run_send_the_same(cli, serve, monkeypatch, twin, token):
    """The printed commands for curl and for the aws CLI, run by a shell, send what sm-ask sends for a whole answer."""
    if not shutil.which(twin):
        pytest.skip(f"{twin} is not installed")
    server = serve(says(chat_whole("Hello")))
    asked = ["prompt", 'it\'s {} %s \\n "é" $HOME `x` !', "-o", "top_p=0.5", "--custom-attributes", "a=b c"]
    sketch = json.loads(cli(*asked, "--dry-run", "--json", server=server).out)
    cli(*asked, "--no-stream", server=server)
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    done = subprocess.run(["sh", "-c", sketch[twin]], capture_output=True, check=True)
    ours, theirs = server.requests
    same = ("content-type", "x-amzn-sagemaker-custom-attributes")
    assert (theirs.method, theirs.path, theirs.body) == (ours.method, ours.path, ours.body)
    assert [theirs.headers[name] for name in same] == [ours.headers[name] for name in same]
    assert theirs.headers.get("x-amz-security-token", "") == token
    assert theirs.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIATEST")
    assert b"Hello" in done.stdout


def test_the_answer_comes_while_it_is_made(serve):
    """The first words are on the pipe before the last ones are sent."""
    head, *parts = apart(*chat_parts("Hel", "lo"))
    seen = threading.Event()

    def script(conversation):
        conversation.send(head + parts[0] + parts[1])
        seen.wait(20)
        conversation.send(b"".join(parts[2:]))

    with subprocess.Popen(
        [SM_ASK, "prompt", "hi", *at(serve(script))], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.read(3) == b"Hel"
        seen.set()
        assert process.stdout.read() == b"lo\n"


@pytest.mark.parametrize("command", [["prompt", "hi"], ["qa", "Who?", "--doc", __file__]])
def test_a_run_connects_to_its_endpoint_and_to_nothing_else(serve, monkeypatch, tmp_path, command):
    """Row Z12."""
    monkeypatch.setenv("GUARD_LOG", str(tmp_path / "connections"))
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    server = serve(says(chat_stream("ok")))
    assert run_process(*command, server=server).code == 0
    assert set((tmp_path / "connections").read_text().split()) == {server.url.removeprefix("http://")}


def test_a_stream_is_closed_where_its_text_cannot_be_shown():
    """By then, not at the end of the process, to which the error's traceback would keep it alive."""
    closed = []

    def events() -> Iterator[Text]:
        try:
            yield Text("Hello")
        finally:
            closed.append(True)

    class Full(Output):
        def text(self, text: str) -> None:
            raise OutputError(f"cannot write {text}")

    running = events()
    with pytest.raises(OutputError):
        answer.show(running, Full(), answer.Style(), lambda: pytest.fail("nobody was asked"))
    assert closed


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_constructor_in_an_answer_is_text(cli, serve, how):
    """Row Z10: nothing is made of what a model says."""
    said = json.dumps({"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "exit"}})
    done = cli("prompt", "hi", *how, server=serve(says(chat_stream(said))))
    assert (json.loads(done.text)["answer"] if how else done.text.rstrip("\n")) == said


def test_an_answer_that_a_filter_ended_is_not_whole(cli, serve):
    server = serve(says(chat_stream("half an ans", finish="content_filter")))
    done = cli("prompt", "hi", server=server)
    assert (done.code, done.text) == (0, "half an ans\n")
    assert "content filter" in done.err
    strict = cli("prompt", "hi", "--require-complete", server=server)
    assert (strict.code, strict.text) == (10, "half an ans\n")


def test_the_endpoint_on_this_machine_may_be_served_already(cli, serve):
    """The profile local asks whoever serves it at the address, and starts none of its own."""
    server = serve(says(chat_stream("Hello")))
    done = cli("prompt", "hi", "-p", "local", "--endpoint-url", server.url)
    assert (done.code, done.text) == (0, "Hello\n"), done.err
    assert [request.path for request in server.requests] == ["/endpoints/local/invocations-response-stream"]
