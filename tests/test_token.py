"""`sm-ask token` and `sm-ask env`: what is signed, for how long, by whom, and in which shell's words."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import typer

from cloud import ROLE, SECOND, Cloud, refusal
from conftest import SM_ASK, run_process
from sm_ask.cli.commands import NAMES, app
from sm_ask.render import shell

WEST = ("--region", "us-west-2")
PREFIX = "sagemaker-api-key-"
HOSTILE = [
    "plain",
    "",
    "two words\nand a line",
    "'",
    '"; touch broken; "',
    "$(touch broken) `touch broken` ${HOME} $HOME",
    "\\' \\\\ \\n !! ~ * ? [a] {b,c} # % &",
    "'; touch broken #",
    "=ls",
    "\u2018typographic\u2019 \u201aquotes\u201b",
]


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Cloud]:
    found = Cloud()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", found.url)
    yield found
    found.close()


@pytest.fixture
def made(cli):
    def run(*arguments: str) -> dict[str, Any]:
        done = cli("token", "--json", *WEST, *arguments)
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.text)
        assert found.keys() == {"token", "expires", "region"}
        return found

    return run


def url_of(token: str) -> str:
    assert token.startswith(PREFIX)
    return base64.b64decode(token.removeprefix(PREFIX), validate=True).decode()


def fields(token: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit("https://" + url_of(token)).query))


def seconds_left(known: dict[str, Any]) -> float:
    return (dt.datetime.fromisoformat(known["expires"]) - dt.datetime.now(dt.timezone.utc)).total_seconds()


def test_a_token_is_a_line_and_the_rest_is_on_stderr(cli):
    done = cli("token", *WEST)
    assert done.code == 0
    assert done.text.count("\n") == 1
    assert url_of(done.text.strip()).startswith("sagemaker.amazonaws.com/?Action=CallWithBearerToken&X-Amz-")
    assert url_of(done.text.strip()).endswith("&Version=1")
    assert done.err.count("\n") == 1
    for part in ("AWS_ACCESS_KEY_ID", "us-west-2", "UTC", "every endpoint"):
        assert part in done.err


def test_the_signature_is_right(made, monkeypatch):
    """Computed here from the rules of Signature Version 4; a session's token is a part of what is signed."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a+session/token==")
    token = made()["token"]
    known = fields(token)
    assert known["X-Amz-Security-Token"] == "a+session/token=="
    signed = {name: value for name, value in known.items() if name not in ("X-Amz-Signature", "Version")}
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(signed.items()))
    request = ["POST", "/", query, "host:sagemaker.amazonaws.com\n", "host", hashlib.sha256(b"").hexdigest()]
    scope = known["X-Amz-Credential"].partition("/")[2]
    digest = hashlib.sha256("\n".join(request).encode()).hexdigest()
    key = b"AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    for part in [*scope.split("/"), "\n".join(["AWS4-HMAC-SHA256", known["X-Amz-Date"], scope, digest])]:
        key = hmac.digest(key, part.encode(), "sha256")
    assert known["X-Amz-Signature"] == key.hex()
    assert scope.split("/")[1:] == ["us-west-2", "sagemaker", "aws4_request"]


@pytest.mark.parametrize(("ttl", "seconds"), [(None, 3600), ("1m", 60), ("90", 90), ("12h", 43200)])
def test_how_long_it_is_good(made, ttl, seconds):
    known = made(*([] if ttl is None else ["--ttl", ttl]))
    assert fields(known["token"])["X-Amz-Expires"] == str(seconds)
    signed = dt.datetime.strptime(fields(known["token"])["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
    assert dt.datetime.fromisoformat(known["expires"]) == signed + dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("ttl", ["59", "12.1h", "0", "soon"])
def test_impossible_times(cli, ttl):
    done = cli("token", *WEST, "--ttl", ttl)
    assert (done.code, done.out) == (2, b"")
    assert "--ttl" in done.err


def test_the_last_of_the_hops_signs(made, cloud):
    known = made("--role-arn", ROLE, "--role-arn", SECOND)
    assert fields(known["token"])["X-Amz-Credential"].startswith("ASIAHOP2/")
    assert fields(known["token"])["X-Amz-Security-Token"] == "t0ken"
    assert len(cloud.requests) == 2


def test_never_longer_than_the_role_s_session(cli, made, cloud):
    cloud.lifetime = 1200
    known = made("--role-arn", ROLE, "--ttl", "12h")
    assert 1100 < int(fields(known["token"])["X-Amz-Expires"]) < 1200
    hop = json.loads(cli("whoami", "--json", *WEST, "--role-arn", ROLE).text)["hops"][0]
    assert dt.datetime.fromisoformat(known["expires"]) < dt.datetime.fromisoformat(hop["expires"])
    said = cli("token", *WEST, "--role-arn", ROLE, "--ttl", "12h").err
    assert "when the credentials end" in said
    assert "arn:aws:sts::123456789012:assumed-role/ask/sm-ask" in said


def test_never_longer_than_the_keys_of_the_environment(made, monkeypatch):
    ends = dt.datetime.now(dt.timezone.utc) + dt.timedelta(minutes=20)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", ends.isoformat())
    assert 1100 < seconds_left(made()) < 1200


def test_an_end_that_is_not_known_is_told_of(cli, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    assert "the end of the session, which is not known" in cli("token", *WEST).err


@pytest.mark.parametrize("command", ["token", "env"])
def test_expired_keys(cli, monkeypatch, command):
    """Row K18, of the environment."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
    done = cli(command, *WEST, *(["-e", "ep"] if command == "env" else []))
    assert (done.code, done.out) == (4, b"")
    assert "clock" in done.err


def test_a_role_s_session_that_has_ended(cli, cloud):
    """Row K18."""
    cloud.lifetime = -5
    done = cli("token", *WEST, "--role-arn", ROLE)
    assert (done.code, done.out) == (4, b"")
    assert "clock" in done.err


def test_a_sign_in_that_has_ended(cli, monkeypatch, tmp_path):
    """Row K13."""
    (tmp_path / "config").write_text(
        "[profile sso]\nsso_start_url = https://x\nsso_region = us-west-2\nsso_account_id = 111111111111\n"
        "sso_role_name = r\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    done = cli("token", *WEST, "--aws-profile", "sso")
    assert (done.code, done.out) == (4, b"")
    assert "aws sso login --profile sso" in done.err


def test_the_wrong_account(cli, cloud):
    """Row K26: no token is made under another account."""
    for command in ("token", "env"):
        done = cli(command, *WEST, "-e", "ep", "--expect-account", "222222222222")
        assert (done.code, done.out) == (4, b"")
    assert len(cloud.calls("GetCallerIdentity")) == 2
    assert "(account 111111111111)" in cli("token", *WEST, "--expect-account", "111111111111").err


@pytest.mark.parametrize("command", ["token", "env"])
def test_nothing_secret_on_stderr(cli, cloud, command):
    """Row Z1, of what is done and of what fails."""
    role = [*WEST, "-e", "ep", "--debug", "--no-cache", "--role-arn", ROLE, "--external-id", "an-external-id"]
    done = cli(command, "--json", *role)
    token = json.loads(done.text)["token" if command == "token" else "api_key"]
    cloud.answers["AssumeRole"] = refusal("AccessDenied", "no")
    refused = cli(command, *role)
    assert (done.code, refused.code) == (0, 4)
    secrets = ("t0ken", "an-external-id", "a-secret-of-the-tests", PREFIX, token, fields(token)["X-Amz-Signature"])
    for secret in secrets:
        assert secret not in done.err + refused.err


def test_no_secret_is_taken_from_the_command_line():
    """Row Z13: no option of any command is for a key, a token or a code."""
    commands: Any = typer.main.get_command(app)
    for name in NAMES:
        command = commands.get_command(None, name)
        options = {option for parameter in command.params for option in parameter.opts}
        assert not {option for option in options if {"key", "secret", "code"} & set(option.strip("-").split("-"))}
        assert "--token" not in options


def test_no_connection_is_made(tmp_path, monkeypatch):
    """Row Z12: a process that connects anywhere would be in the log."""
    log = tmp_path / "connections"
    monkeypatch.setenv("GUARD_LOG", str(log))
    done = run_process("env", *WEST, "-e", "ep")
    assert done.code == 0
    assert not log.exists()


def env(cli, *arguments: str) -> dict[str, Any]:
    done = cli("env", "--json", *arguments)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.text)
    assert found.keys() == {"base_url", "api_key", "model", "region", "expires"}
    return found


@pytest.mark.parametrize(
    ("options", "url"),
    [
        (WEST, "https://runtime.sagemaker.us-west-2.amazonaws.com/endpoints/ep/openai/v1"),
        (
            (*WEST, "--inference-component", "llama-1"),
            "https://runtime.sagemaker.us-west-2.amazonaws.com/endpoints/ep/inference-components/llama-1/openai/v1",
        ),
        (("--region", "cn-north-1"), "https://runtime.sagemaker.cn-north-1.amazonaws.com.cn/endpoints/ep/openai/v1"),
        ((*WEST, "--endpoint-url", "https://gate.example/sm/"), "https://gate.example/sm/endpoints/ep/openai/v1"),
        (
            (*WEST, "--inference-component", "a/b?'$("),
            "https://runtime.sagemaker.us-west-2.amazonaws.com/endpoints/ep/inference-components/a%2Fb%3F%27%24%28/openai/v1",
        ),
    ],
)
def test_the_address(cli, options, url):
    known = env(cli, "-e", "ep", *options)
    assert (known["base_url"], known["model"]) == (url, "")
    assert fields(known["api_key"])["Action"] == "CallWithBearerToken"


def test_a_profile_has_all_of_it(cli, tmp_path):
    config = tmp_path / "profiles.yaml"
    config.write_text("profiles: {llama: {endpoint: llama-3, region: eu-west-1, target_variant: blue}}")
    done = cli("env", "-p", "llama", "--config", str(config), "--shell", "bash")
    assert "export OPENAI_BASE_URL='https://runtime.sagemaker.eu-west-1.amazonaws.com/endpoints/llama-3/" in done.text
    assert "target_variant has no place" in done.err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 3, "no endpoint is named"),
        (("-e", "$(id)"), 2, "no endpoint name"),
        (("-p", "local"), 3, "sm-ask local serve"),
        (("-e", "ep", "--endpoint-url", "http://gate.example"), 3, "--allow-http"),
        (("-e", "ep", "--endpoint-url", "https://gate.example/$(id) x"), 3, "no URL has"),
        (("-e", "ep", "--endpoint-url", "https://gate.example/\n$(id)"), 3, "Invalid endpoint"),
        (("-e", "ep", "--shell", "tcsh"), 2, "--shell"),
    ],
)
def test_what_cannot_be(cli, options, code, said):
    """Row Z4 among them: a token is not sent in clear."""
    done = cli("env", *WEST, *options)
    assert (done.code, done.out) == (code, b"")
    assert said in done.err


@pytest.mark.parametrize(
    ("variable", "platform", "guessed"),
    [
        ("/usr/bin/zsh", "linux", "zsh"),
        ("/opt/fish", "darwin", "fish"),
        ("/bin/dash", "linux", "bash"),
        ("/usr/bin/pwsh", "linux", "powershell"),
        ("C:\\Git\\bash.exe", "win32", "bash"),
        ("", "win32", "powershell"),
        ("", "linux", "bash"),
    ],
)
def test_the_shell_is_guessed(variable, platform, guessed):
    assert shell.guess({"SHELL": variable}, platform) == guessed


def test_hostile_values_in_other_languages():
    """What fish and PowerShell read as one string, as their manuals have it."""
    assert shell.exports({"A": "it's \\ $x"}, "fish") == "set -gx A 'it\\'s \\\\ $x'\n"
    assert shell.exports({"A": "it's \u2019 $x `n"}, "powershell") == "$env:A = 'it''s \u2019\u2019 $x `n'\n"


READERS = {
    "bash": (["bash", "-c"], "bash"),
    "sh": (["sh", "-c"], "bash"),
    "zsh": (["zsh", "-fc"], "zsh"),
    "fish": (["fish", "--no-config", "-c"], "fish"),
    "pwsh": (["pwsh", "-NoProfile", "-Command"], "powershell"),
}


@pytest.mark.parametrize("reader", [name for name in READERS if shutil.which(name)])
def test_hostile_values_reach_what_a_shell_starts(reader, tmp_path):
    """In each shell that is installed here."""
    command, language = READERS[reader]
    values = {f"VALUE_{number}": value for number, value in enumerate(HOSTILE)}
    program = f"{shell.exports(values, language)}\nenv -0"
    done = subprocess.run([*command, program], capture_output=True, check=True, cwd=tmp_path)
    seen = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if "=" in line)
    assert {name: seen[name] for name in values if values[name]} == {n: v for n, v in values.items() if v}
    assert list(tmp_path.iterdir()) == []


def test_eval_in_bash_and_back():
    """The whole way: the variables are there for what comes next, and `--unset` takes them away."""
    ask = shlex.join([SM_ASK, "env", *WEST, "-e", "ep"])
    found = "env | grep ^OPENAI_"
    program = f'eval "$({ask})" && {found} | sort -r | cut -c1-38; eval "$({ask} --unset)" && {found} | wc -l'
    environ = {**os.environ, "SHELL": "/bin/bash"}
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False, env=environ)
    assert done.stdout.splitlines() == [
        "OPENAI_BASE_URL=https://runtime.sagema",
        "OPENAI_API_KEY=sagemaker-api-key-c2FnZ",
        "0",
    ]
