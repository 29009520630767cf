"""Handlers of one's own: from YAML, and from Python classes that know nothing of sm-ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import SM_ASK
from server import chat_stream, says
from sm_ask import strict_yaml
from sm_ask.chat import Finish, Message, Request, Text, Usage
from sm_ask.errors import ConfigError, IncompleteError, InputError, ModelError, SmAskError, UnusableError, UsageError
from sm_ask.handlers import choose

ASKED = (Message("system", "Be brief."), Message("user", "Which {params} is {system}?"))
TOKENS = """
    content_type: application/json
    accept: application/json
    request: {inputs: "{prompt}", parameters: "{params}"}
    params: {max_tokens: max_new_tokens}
    response: "[0].generated_text"
    stream: {framing: sse, text: token.text, finish: details.finish_reason}
"""


def own(text: str):
    """A handler as a profiles file would declare it."""
    plain = strict_yaml.read(textwrap.dedent(text).encode(), "file").plain()
    return choose("ours", {"ours": plain}, "profiles.yaml")


def body(text: str, params=None, messages=ASKED, *, stream=False):
    return json.loads(own(text).encode(Request(messages, params or {}, stream)))


def read(handler, *chunks: bytes, stream=False, messages=()):
    *texts, finish = handler.decode(chunks, Request(messages, {}, stream))
    assert isinstance(finish, Finish)
    assert not any(delta.reasoning for delta in texts)
    return "".join(delta.text for delta in texts), finish


class TestRequest:
    def test_the_example_of_the_documentation(self):
        handler = own(TOKENS)
        assert (handler.name, handler.content_type, handler.accept) == ("ours", *["application/json"] * 2)
        assert handler.streams
        assert body(TOKENS, {"temperature": 0.5, "x": [1]}) == {
            "inputs": "Be brief.\n\nWhich {params} is {system}?",
            "parameters": {"max_new_tokens": 512, "temperature": 0.5, "x": [1]},
        }

    def test_what_stands_in_a_prompt_is_never_filled_in(self):
        messages = (Message("system", "{prompt}"), Message("user", "{system} {prompt} {params}"))
        filled = body('request: {a: "<{system}|{prompt}>", b: "{prompt}"}', messages=messages)
        assert filled == {"a": "<{prompt}|{system} {prompt} {params}>", "b": "{system} {prompt} {params}"}

    def test_messages_and_single_parameters(self):
        text = (
            'request: {chat: "{messages}", limit: "{max_tokens}", heat: "{temperature}", own: "{min_p}", s: "{stream}"}'
        )
        asked = [{"role": message.role, "content": message.content} for message in ASKED]
        assert body(text) == {"chat": asked, "limit": 512, "s": False}
        full = {"chat": asked, "limit": 9, "heat": 0, "own": 0.1, "s": True}
        assert body(text, {"max_tokens": 9, "temperature": 0, "min_p": 0.1}, stream=True) == full

    def test_a_single_parameter_is_not_among_the_others(self):
        text = 'request: {p: "{prompt}", stop: ["{stop}"], rest: "{params}"}'
        filled = body(text, {"stop": "#"})
        assert (filled["stop"], filled["rest"]) == ([["#"]], {"max_tokens": 512})

    def test_a_system_prompt_that_is_not_there(self):
        filled = body('request: {a: "{system}", b: "[{system}]", c: "{prompt}"}', messages=ASKED[1:])
        assert filled == {"b": "[]", "c": ASKED[1].content}

    @pytest.mark.parametrize(
        "literal", ["{", "}", "{}", '{"a": 1}', "{{", "{unknown} and", "a {b} {c: 1} d", "%s $x {0}"]
    )
    def test_other_braces_are_themselves(self, literal):
        filled = body(json.dumps({"request": {"a": literal, "p": "{prompt}"}}))
        assert filled["a"] == literal

    def test_a_parameter_without_a_place_is_refused(self):
        with pytest.raises(UsageError, match="top_k"):
            body('request: {p: "{prompt}"}', {"top_k": 1})

    def test_a_text(self):
        handler = own('{request: "{prompt}", content_type: text/plain}')
        assert handler.encode(Request(ASKED[1:])) == ASKED[1].content.encode()
        assert read(handler, "né".encode()[:2], "né".encode()[2:]) == ("né", Finish(None, None))
        with pytest.raises(InputError):
            handler.encode(Request((Message("user", "\udce9"),)))


class TestResponse:
    @pytest.mark.parametrize("cut", range(1, 100, 7))
    def test_a_stream_of_events(self, cut):
        records = [{"token": {"text": text}, "details": None} for text in ("Der ", "Rhein")]
        records += [{"token": {"text": "\n"}, "details": {"finish_reason": "length"}}]
        data = b"".join(b"data: " + json.dumps(record).encode() + b"\n\n" for record in records)
        handler = own(TOKENS)
        assert read(handler, data[:cut], data[cut:], stream=True) == ("Der Rhein\n", Finish("length", None))
        with pytest.raises(IncompleteError):
            read(handler, data[: data.rindex(b"data")], stream=True)

    def test_a_whole_answer(self):
        data = b'[{"generated_text": "Rhein"}]'
        assert read(own(TOKENS), data) == ("Rhein", Finish(None, None))
        assert read(own(TOKENS), data, stream=True) == ("Rhein", Finish(None, None))

    def test_finish_usage_and_error(self):
        handler = own("""
            request: {q: "{prompt}"}
            response: out.text
            finish: out.why
            usage: {input_tokens: "length(ids)", output_tokens: out.n}
            error: fault.message
            custom_attributes: accept_eula=true
        """)
        assert handler.custom_attributes == "accept_eula=true"
        assert not handler.streams
        data = b'{"ids": [1, 2], "out": {"text": "Rhein", "why": "length", "n": 3}, "error": "not one"}'
        assert read(handler, data) == ("Rhein", Finish("length", Usage(2, 3)))
        with pytest.raises(ModelError, match="too hot"):
            read(handler, b'{"fault": {"message": "too hot"}, "ids": []}')

    @pytest.mark.parametrize(
        ("stream", "data", "text"),
        [
            ("{framing: jsonl, text: t}", b'{"t": "a"}\n{"x": 1}\n{"t": "b"}', "ab"),
            ("{framing: json, text: t}", b'{"t": "a"}{"x": 1} {"t": "b"}', "ab"),
            ("{framing: sse, text: t, done: '[DONE]'}", b'data: {"t": "ab"}\n\ndata: [DONE]\n\n', "ab"),
            ("{framing: sse, text: t, done: last}", b'data: {"t": "ab"}\n\ndata: {"last": true}\n\n', "ab"),
            ("{framing: text}", "né".encode(), "né"),
        ],
    )
    def test_each_framing(self, stream, data, text):
        handler = own(f'{{request: "{{prompt}}", response: t, stream: {stream}}}')
        for at in range(len(data)):
            assert read(handler, data[:at], data[at:], stream=True)[0] == text

    @pytest.mark.parametrize("done", ["'[DONE]'", "last"])
    def test_a_missing_end_mark_is_an_incomplete_answer(self, done):
        handler = own(f'{{request: "{{prompt}}", response: t, stream: {{text: t, done: {done}}}}}')
        with pytest.raises(IncompleteError):
            read(handler, b'data: {"t": "a"}\n\n', stream=True)

    @pytest.mark.parametrize("data", [b'{"x": 1}', b"[]", b'{"t": 1}', b'{"t": null}', b"no JSON"])
    @pytest.mark.parametrize("stream", [False, True])
    def test_another_shape_is_unusable(self, data, stream):
        handler = own('{request: "{prompt}", response: t, stream: {text: t}}')
        with pytest.raises(UnusableError):
            read(handler, data, stream=stream)

    def test_a_path_that_does_not_fit_is_unusable(self):
        with pytest.raises(UnusableError, match=r"handlers\.ours\.response"):
            read(own('{request: "{prompt}", response: length(t)}'), b'{"t": 1}')

    def test_an_echo(self):
        handler = own('{request: "{prompt}", response: t, echoes: true}')
        assert read(handler, b'{"t": "Why? So."}', messages=(Message("user", "Why?"),))[0] == " So."

    @settings(deadline=None)
    @given(
        st.booleans(),
        st.lists(st.binary() | st.sampled_from([b"data: ", b'{"token": {"text": ', b'"a"', b"}}", b"\n"])),
    )
    def test_any_bytes_give_an_answer_or_an_error_of_ours(self, stream, chunks):
        handler = own(TOKENS)
        try:
            read(handler, *chunks, stream=stream)
        except SmAskError:
            return


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must hold keys"),
        ("[a]", "must hold keys"),
        ("{}", "request is missing"),
        ('{request: "{prompt}", respones: a}', "respones"),
        ("{request: {inputs: hello}}", "where the prompt goes"),
        ('{request: {inputs: "{promt}"}}', "where the prompt goes"),
        ('{request: "{prompt.__class__}"}', "handlers.ours.request"),
        ('{request: {a: ["{prompt!r}"]}}', "handlers.ours.request.a[0]"),
        ('{request: "{prompt:>100000000}"}', "handlers.ours.request"),
        ('{request: {p: "{prompt}", q: "{q:>100000000}"}}', "handlers.ours.request.q"),
        ('{request: "see {prompt[0]}"}', "handlers.ours.request"),
        ('{request: "{{ prompt }}"}', "nothing is evaluated"),
        ('{request: "{{ config.items() }} {prompt}"}', "nothing is evaluated"),
        ('{request: "{% for x in y %} {prompt}"}', "nothing is evaluated"),
        ('{request: "{messages} and more"}', "must be the whole value"),
        ('{request: "{prompt} {max_tokens}"}', "must be the whole value"),
        ('{request: "{prompt}", response: "a["}', "handlers.ours.response"),
        ('{request: "{prompt}", response: 3}', "handlers.ours.response"),
        ('{request: "{prompt}", response: lenght(a)}', "lenght"),
        ('{request: "{prompt}", finish: "a b"}', "handlers.ours.finish"),
        ('{request: "{prompt}", usage: {input: a}}', "handlers.ours.usage"),
        ('{request: "{prompt}", usage: {input_tokens: "["}}', "handlers.ours.usage.input_tokens"),
        ('{request: "{prompt}", params: {max_token: a}}', "max_token"),
        ('{request: "{prompt}", params: {max_tokens: 5}}', "handlers.ours.params.max_tokens"),
        ('{request: "{prompt}", echoes: 1}', "handlers.ours.echoes"),
        ('{request: "{prompt}", content_type: "a\\nb"}', "handlers.ours.content_type"),
        ('{request: "{prompt}", response: a, stream: {framing: xml, text: a}}', "handlers.ours.stream.framing"),
        ('{request: "{prompt}", response: a, stream: {framing: sse}}', "handlers.ours.stream"),
        ('{request: "{prompt}", response: a, stream: {framing: text, text: a}}', "handlers.ours.stream"),
        ('{request: "{prompt}", response: a, stream: {text: "a("}}', "handlers.ours.stream.text"),
        ('{request: "{prompt}", stream: {text: a}}', "response is missing"),
        ('{request: "{prompt}", response: "' + "(" * 5000 + '"}', "handlers.ours.response"),
        ('{request: "{prompt}", response: "' + "(" * 1500 + '"}', "handlers.ours.response"),
    ],
)
def test_a_mistake_is_named_when_it_is_loaded(text, words):
    with pytest.raises(ConfigError) as caught:
        own(text)
    assert words in caught.value.message
    assert caught.value.message.startswith("profiles.yaml: handlers.ours")


@pytest.mark.parametrize("name", ["tgi", "auto", "test", "a:b"])
def test_a_name_that_is_taken(name):
    with pytest.raises(ConfigError):
        choose("openai-chat", {name: {"request": "{prompt}"}})


def test_a_slip_in_a_name():
    with pytest.raises(ConfigError) as caught:
        choose("our", {"ours": {}})
    assert caught.value.hint == "did you mean ours?"


# Python classes.

NOTEBOOK = """
import json
from typing import Dict


class ContentHandler:
    content_type = "application/json"
    accepts = "application/json"

    def transform_input(self, prompt: str, model_kwargs: Dict) -> bytes:
        return json.dumps({"inputs": prompt, "parameters": model_kwargs}).encode("utf-8")

    def transform_output(self, output: bytes) -> str:
        return json.loads(output.read().decode("utf-8"))[0]["generated_text"]
"""
CLASS = (
    "class H:\n    def transform_input(self, prompt, model_kwargs): {}\n    def transform_output(self, output): {}\n"
)


@pytest.fixture
def file(tmp_path):
    """Write a handler's file and give its full path."""

    def write(text: str, mode: int = 0o644):
        path = tmp_path / "handler.py"
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    return write


def test_the_class_of_the_notebook_works_as_it_is(file):
    handler = choose(file(NOTEBOOK) + ":ContentHandler")
    assert (handler.content_type, handler.accept, handler.streams) == (*["application/json"] * 2, False)
    sent = json.loads(handler.encode(Request(ASKED[1:], {"max_new_tokens": 5})))
    assert sent == {"inputs": ASKED[1].content, "parameters": {"max_new_tokens": 5}}
    assert read(handler, b'[{"generated_', b'text": "Rhein"}]') == ("Rhein", Finish(None, None))


@pytest.mark.parametrize(
    "reading",
    [
        "output.decode()",
        "str(output, 'utf-8')",
        "output.read().decode()",
        "(output.read(2) + output.read()).decode()",
        "__import__('json').loads(b'\"' + output + b'\"')",
        "b''.join(output.iter_lines()).decode()",
    ],
)
def test_a_body_is_bytes_and_a_file(file, reading):
    handler = choose(file(CLASS.format("return b''", f"return {reading}")) + ":H")
    assert (handler.content_type, handler.accept) == ("text/plain", "text/plain")
    assert read(handler, b"Rhe", b"in")[0] == "Rhein"


def test_an_installed_class(monkeypatch, tmp_path):
    (tmp_path / "a_package").mkdir()
    (tmp_path / "a_package" / "__init__.py").touch()
    (tmp_path / "a_package" / "handlers.py").write_text(NOTEBOOK)
    monkeypatch.syspath_prepend(tmp_path)
    assert read(choose("a_package.handlers:ContentHandler"), b'[{"generated_text": "x"}]')[0] == "x"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import no_such_module", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("def (", "SyntaxError"),
        ("class H:\n    def __init__(self, x): pass", "TypeError"),
        ("class H: pass", "transform_input"),
        ("class H:\n    transform_input = transform_output = 3", "transform_input"),
        ("class Other: pass", "has no H"),
        (CLASS.format("pass", "pass") + "    accepts = 5", "accepts"),
    ],
)
def test_a_file_that_does_not_work(file, code, words):
    """Row C11."""
    path = file(code)
    with pytest.raises(ConfigError) as caught:
        choose(path + ":H")
    assert words in caught.value.message
    assert path in caught.value.message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such.module:H", "ModuleNotFoundError"),
        ("handler.py:H", "full path"),
        ("./handler.py:H", "full path"),
        ("~/handler.py:H", "full path"),
        ("/no/such/file.py:H", "cannot be read"),
        ("/dev/null:H", "not a regular file"),
        ("/tmp:H", "cannot be read"),
        (":H", "names no class"),
        ("module:", "names no class"),
        ("a b:H", "neither"),
        ("json:NoSuch", "NoSuch"),
    ],
)
def test_a_name_that_leads_nowhere(name, words):
    with pytest.raises(ConfigError) as caught:
        choose(name)
    assert words in caught.value.message


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646])
def test_a_file_that_others_can_change_is_not_run(file, mode, tmp_path):
    """Row C14."""
    path = file(f"open({str(tmp_path / 'ran')!r}, 'w')\n{NOTEBOOK}", mode)
    with pytest.raises(ConfigError) as caught:
        choose(path + ":ContentHandler")
    assert f"{mode:04o}" in caught.value.message
    assert path in caught.value.hint
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_in_a_folder_that_others_can_change_is_not_run(file, tmp_path):
    path = file(NOTEBOOK)
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="0777"):
        choose(path + ":ContentHandler")


@pytest.mark.parametrize(
    ("encoding", "decoding", "words"),
    [
        ("return 3", "return 5", ("int instead of bytes", "int instead of text")),
        ("return None", "return None", ("NoneType instead of bytes", "NoneType instead of text")),
        ("return model_kwargs['x']", "return {}['y']", ("KeyError: 'x'", "KeyError: 'y'")),
        ("raise SystemExit(3)", "raise SystemExit(3)", ("SystemExit: 3", "SystemExit: 3")),
        ("assert 0", "assert 0", ("AssertionError", "AssertionError")),
    ],
)
def test_a_handler_that_fails(file, encoding, decoding, words):
    """Row P8."""
    handler = choose(file(CLASS.format(encoding, decoding)) + ":H")
    with pytest.raises(UnusableError) as caught:
        handler.encode(Request(ASKED))
    assert words[0] in caught.value.message
    assert not caught.value.maybe_charged
    with pytest.raises(UnusableError) as caught:
        read(handler, b"x")
    assert words[1] in caught.value.message
    assert handler.name in caught.value.message
    assert caught.value.maybe_charged


@pytest.mark.parametrize("body", ["b'caf\\xc3\\xa9'", "'caf\\xe9'", "__import__('io').BytesIO(b'caf\\xc3\\xa9')"])
def test_a_body_is_whatever_boto3_takes(file, body):
    handler = choose(file(CLASS.format(f"return {body}", "pass")) + ":H")
    assert handler.encode(Request(ASKED)) == "café".encode()


def test_threads_leave_stdout_where_it_was(file):
    handler = choose(file(CLASS.format("__import__('time').sleep(0.01); return b''", "pass")) + ":H")
    before = sys.stdout
    threads = [threading.Thread(target=handler.encode, args=[Request(ASKED)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is before


def test_what_a_handler_prints_is_no_answer(file, capfd):
    handler = choose(
        file("print('import')\n" + CLASS.format("print('in'); return b''", "print('out'); return 'x'")) + ":H"
    )
    handler.encode(Request(ASKED))
    assert list(handler.decode([b"x"])) == [Text("x"), Finish(None, None)]
    out, err = capfd.readouterr()
    assert (out, err.split()) == ("", ["import", "in", "out"])


def test_a_dataclass_in_a_file(file):
    code = "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\n" + CLASS.format(
        "pass", "pass"
    )
    assert choose(file(code + "    accepts: str = 'a/b'\n") + ":H").accept == "a/b"


@pytest.mark.parametrize("start", [[SM_ASK], [sys.executable, "-m", "sm_ask"]])
def test_nothing_is_imported_from_the_working_directory(start, tmp_path):
    """Rows Z7, Z8."""
    for name in ("mine", "yaml", "json", "jmespath"):
        (tmp_path / f"{name}.py").write_text(f"open('ran', 'w')\n{NOTEBOOK}")
    arguments = [*start, "handlers", "mine:ContentHandler"]
    environ = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(arguments, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 3
    assert "No module named 'mine'" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_profiles_file_in_the_working_directory_says_nothing(cli, monkeypatch, tmp_path, serve):
    """Row C10: neither its handler nor its address counts; who means it names it with --config."""
    code = tmp_path / "mine.py"
    code.write_text(f"open('ran', 'w')\n{NOTEBOOK}")
    settings = f"default: a\nprofiles:\n  a: {{handler: '{code}:ContentHandler', endpoint_url: http://127.0.0.1:1}}\n"
    for name in ("profiles.yaml", ".sm-ask/profiles.yaml", "sm-ask/profiles.yaml", ".config/sm-ask/profiles.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(settings)
    monkeypatch.chdir(tmp_path)
    done = cli("prompt", "hi", server=serve(says(chat_stream("Hello"))))
    assert (done.code, done.text, done.err) == (0, "Hello\n", "")
    assert not (tmp_path / "ran").exists()


def test_presets_cost_nothing_that_only_own_handlers_need():
    program = (
        "import sys, sm_ask.handlers; print(sorted({'jmespath', 'difflib', 'inspect', 'yaml'} & sys.modules.keys()))"
    )
    arguments = [sys.executable, "-c", program]
    assert subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=True).stdout == "[]\n"
