"""`sm-ask profiles`, and what a profile does to a question."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from server import chat_stream, says


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "profiles.yaml"
    path.write_text(
        "default: one\nprofiles:\n"
        "  one: {endpoint: first, region: eu-west-1, params: {max_tokens: 9, top_p: 0.5}, system: Be brief.}\n"
        "  two: {endpoint: second, region: us-west-2, handler: tgi}\n"
    )
    return path


def test_the_list_on_a_pipe_has_tabs(cli, config):
    done = cli("profiles", "--config", str(config))
    assert done.text.splitlines() == [
        "local\t-\t-\t-\tbuilt in",
        f"one *\tfirst\teu-west-1\t-\t{config}",
        f"two\tsecond\tus-west-2\ttgi\t{config}",
    ]


def test_one_profile_as_json(cli, config):
    known = json.loads(cli("profiles", "one", "--json", "--config", str(config)).out)
    assert (known["endpoint"], known["params"], known["default"]) == ("first", {"max_tokens": 9, "top_p": 0.5}, True)


def test_an_unknown_profile_names_the_close_one(cli, config):
    done = cli("profiles", "tow", "--config", str(config))
    assert (done.code, done.out) == (3, b"")
    assert "two" in done.err


def test_the_first_profile_is_private_and_usable(cli, tmp_path, serve, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert cli("profiles", "init", "-e", "mine", "--region", "us-west-2", "--handler", "openai-chat").code == 0
    path = tmp_path / "config" / "sm-ask" / "profiles.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    server = serve(says(chat_stream("Hello")))
    assert cli("prompt", "hi", "--endpoint-url", server.url).text == "Hello\n"
    assert server.requests[0].path == "/endpoints/mine/invocations-response-stream"
    assert cli("profiles", "init", "-e", "other").code == 3


def test_the_default_profile_is_used(cli, config, serve):
    server = serve(says(chat_stream("Hello")))
    cli("prompt", "hi", "--config", str(config), "--endpoint-url", server.url)
    body = server.requests[0].json
    assert server.requests[0].path.startswith("/endpoints/first/")
    assert (body["max_tokens"], body["top_p"]) == (9, 0.5)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "/eu-west-1/" in server.requests[0].headers["authorization"]


def test_flag_then_variable_then_profile(cli, config, serve, monkeypatch):
    """The precedence of settings."""
    server = serve(says(chat_stream("Hello")))
    common = ["prompt", "hi", "--config", str(config), "--endpoint-url", server.url]
    monkeypatch.setenv("SM_ASK_ENDPOINT", "from-variable")
    cli(*common)
    cli(*common, "-e", "from-flag", "--max-tokens", "3", "-s", "Be long.")
    assert [request.path.split("/")[2] for request in server.requests] == ["from-variable", "from-flag"]
    assert server.requests[1].json["max_tokens"] == 3
    assert server.requests[1].json["messages"][0]["content"] == "Be long."


def test_every_shared_option_has_a_variable(cli, serve, monkeypatch):
    server = serve(says(chat_stream("Hello")))
    values = {"ENDPOINT_URL": server.url, "ENDPOINT": "ep", "REGION": "us-west-2", "TARGET_VARIANT": "blue"}
    for name, value in values.items():
        monkeypatch.setenv(f"SM_ASK_{name}", value)
    assert cli("prompt", "hi").code == 0
    assert server.requests[0].headers["x-amzn-sagemaker-target-variant"] == "blue"


def test_a_config_that_is_missing_is_an_error_only_where_it_is_named(cli, serve, tmp_path):
    """Row C1."""
    server = serve(says(chat_stream("Hello")))
    done = cli("prompt", "hi", "--config", str(tmp_path / "none.yaml"), server=server)
    assert (done.code, len(server.requests)) == (3, 0)
    assert "none.yaml" in done.err


def test_a_wrong_key_sends_nothing(cli, serve, config):
    """Row C3."""
    config.write_text("profiles:\n  one:\n    endpont: first\n")
    server = serve(says(chat_stream("Hello")))
    done = cli("prompt", "hi", "-p", "one", "--config", str(config), server=server)
    assert (done.code, len(server.requests)) == (3, 0)
    assert done.err.count("profiles.yaml:3:5: ") == 1
    assert 'did you mean "endpoint"?' in done.err


def test_a_profile_that_is_wrong_stops_no_other_one(cli, serve, config):
    """It is told all the same, and a list of all profiles needs all of them."""
    config.write_text(config.read_text() + "  three:\n    endpont: third\n")
    server = serve(says(chat_stream("Hello")))
    done = cli("prompt", "hi", "-p", "one", "--config", str(config), server=server)
    assert (done.code, done.text) == (0, "Hello\n")
    assert f'sm-ask: the profile "three" cannot be used: {config}:6:5: unknown key "endpont"' in done.err
    for command in (["handlers", "tgi"], ["profiles", "two"], ["whoami", "-p", "local"]):
        done = cli(*command, "--config", str(config))
        assert (done.code, done.err.count(":6:5:")) == (0, 1), command
    for command in (["profiles"], ["profiles", "three"], ["whoami", "-p", "three"]):
        done = cli(*command, "--config", str(config))
        assert (done.code, done.out, done.err.count(":6:5:")) == (3, b"", 1), command


def test_a_parameter_that_looks_like_a_slip_is_sent_and_told(cli, serve, config):
    """A container may have a parameter of that name."""
    config.write_text("profiles:\n  one:\n    params:\n      max_token: 5\n      min_tokens: 1\n")
    server = serve(says(chat_stream("Hello")))
    done = cli("prompt", "hi", "-p", "one", "--config", str(config), "-o", "temprature=1", server=server)
    sent = server.requests[0].json
    assert (sent["max_token"], sent["min_tokens"], sent["temprature"]) == (5, 1, 1)
    assert "max_token" not in cli("whoami", "-p", "local", "--config", str(config)).err
    assert ":4:7: " in cli("profiles", "one", "--config", str(config)).err
    assert done.err.splitlines() == [
        f'sm-ask: {config}:4:7: "max_token" is passed on to the container as it is; did you mean "max_tokens"?',
        'sm-ask: "temprature" is passed on to the container as it is; did you mean "temperature"?',
    ]


def test_the_first_file_may_leave_the_handler_open(cli, tmp_path):
    assert cli("profiles", "init", "-e", "mine", "--handler", "auto", "--config", str(tmp_path / "p.yaml")).code == 0


def test_a_first_file_that_is_there_is_kept(cli, config):
    before = config.read_text()
    done = cli("profiles", "init", "-e", "mine", "--config", str(config))
    assert (done.code, config.read_text()) == (3, before)
    assert f"{config}: exists already" in done.err
    assert "hint: write the profile into it" in done.err


def test_profiles_in_the_working_directory_are_not_looked_at(cli, config, monkeypatch):
    monkeypatch.chdir(config.parent)
    assert cli("profiles").text == "local\t-\t-\t-\tbuilt in\n"


def test_no_endpoint_is_a_matter_of_configuration(cli):
    done = cli("prompt", "hi", "--region", "us-west-2")
    assert done.code == 3
    assert "--endpoint" in done.err
