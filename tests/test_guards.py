"""What is checked before anything is asked: the account, the address, and who reads along."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from cloud import ROLE, Cloud, refusal

TO = ["-e", "ep", "--region", "us-west-2"]


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Cloud]:
    found = Cloud()
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    yield found
    found.close()


def test_another_account_than_the_expected_one(cli, cloud):
    """Row K26."""
    done = cli("prompt", "hi", *TO, "--expect-account", "222222222222")
    assert (done.code, done.out, cloud.keys()) == (4, b"", [])
    assert "111111111111" in done.err
    assert "222222222222" in done.err
    assert len(cloud.calls("GetCallerIdentity")) == 1


def test_the_expected_account(cli, cloud, tmp_path):
    """Row K26, from a profile; the id without quotes keeps its leading zero."""
    config = tmp_path / "profiles.yaml"
    config.write_text("profiles: {a: {endpoint: ep, region: us-west-2, expect_account: 011111111111}}")
    done = cli("prompt", "hi", "--config", str(config), "-p", "a")
    assert (done.code, cloud.keys()) == (4, [])
    assert "011111111111 is expected" in done.err
    assert cli("prompt", "hi", *TO, "--expect-account", "111111111111").code == 0
    assert len(cloud.keys()) == 1


def test_a_role_tells_its_account_without_a_call(cli, cloud):
    """Row K26."""
    refused = cli("prompt", "hi", *TO, "--role-arn", ROLE, "--expect-account", "222222222222")
    assert (refused.code, cloud.requests) == (4, [])
    assert cli("prompt", "hi", *TO, "--role-arn", ROLE, "--expect-account", "123456789012").code == 0
    assert len(cloud.calls("AssumeRole")) == len(cloud.keys()) == 1
    assert cloud.calls("GetCallerIdentity") == []


def test_an_account_that_cannot_be_found_out_is_not_the_expected_one(cli, cloud):
    """Row K26."""
    cloud.answers["GetCallerIdentity"] = refusal("InvalidClientTokenId", "no such key")
    done = cli("prompt", "hi", *TO, "--expect-account", "111111111111")
    assert (done.code, cloud.keys()) == (4, [])


@pytest.mark.parametrize("account", ["12", "a" * 12, ""])
def test_an_account_id_has_twelve_digits(cli, cloud, account):
    assert (cli("prompt", "hi", *TO, "--expect-account", account).code, cloud.requests) == (2, [])


@pytest.mark.parametrize("account", ["12", '""', "[1]", "abcdefghijkl"])
def test_so_it_has_in_a_profile(cli, cloud, tmp_path, account):
    config = tmp_path / "profiles.yaml"
    config.write_text(f"profiles: {{a: {{expect_account: {account}}}}}")
    assert (cli("prompt", "hi", "--config", str(config), "-p", "a").code, cloud.requests) == (3, [])


def test_plain_http_to_another_machine(cli, monkeypatch):
    """Row Z4: nothing is sent, and no name is looked up."""
    done = cli("prompt", "hi", *TO, "--endpoint-url", "http://models.example.com/x")
    assert (done.code, done.out) == (3, b"")
    assert "http://models.example.com" in done.err
    assert "--allow-http" in done.err
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "http://models.example.com")
    done = cli("prompt", "hi", *TO)
    assert done.code == 3
    assert "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME" in done.err


def test_plain_http_to_sts(cli, cloud, monkeypatch):
    """Row Z4: a role's session would come in clear, too."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://sts.example.com")
    done = cli("prompt", "hi", *TO, "--role-arn", ROLE)
    assert (done.code, cloud.requests) == (3, [])
    assert "AWS_ENDPOINT_URL_STS" in done.err
    given = cli("prompt", "hi", *TO, "--role-arn", ROLE, "--endpoint-url", cloud.url)
    assert (given.code, cloud.requests) == (3, [])


def test_plain_http_where_it_is_allowed(cli):
    """Row Z4: the name is looked up now, which the tests' guard refuses; .invalid exists nowhere."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    allowed = cli("prompt", "hi", *TO, "--retries", "0", "--allow-http", "--endpoint-url", f"http://localhost:{port}")
    assert allowed.code == 8
    named = ["--allow-http", "--dry-run", "--endpoint-url", "http://models.invalid"]
    assert cli("prompt", "hi", *TO, *named).code == 0
    assert cli("prompt", "hi", *TO, *named[1:]).code == 3


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]"])
def test_plain_http_to_this_machine(cli, host):
    assert cli("prompt", "hi", *TO, "--dry-run", "--endpoint-url", f"http://{host}:80").code == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://ana:hunter2@host",
        "https://hunter2@host",
        "https://host/?key=hunter2",
        "https://host/#hunter2",
        "ftp://hunter2",
        "hunter2",
        "https://",
        "https://host:hunter2",
        "https://[hunter2",
    ],
)
@pytest.mark.parametrize("how", ["flag", "AWS_ENDPOINT_URL", "SM_ASK_ENDPOINT_URL"])
def test_what_an_endpoint_url_must_not_hold(cli, monkeypatch, url, how):
    """Row Z6."""
    options = ["--endpoint-url", url] if how == "flag" else []
    if not options:
        monkeypatch.setenv(how, url)
    done = cli("prompt", "hi", *TO, *options, "--json", "--debug")
    assert (done.code, done.out) == (3, b"")
    assert "hunter2" not in done.err
    assert how == "flag" or how in done.err or how.startswith("SM_ASK")


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"])
def test_an_address_from_the_environment_is_told_of(cli, cloud, monkeypatch, variable):
    """Row Z5."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv(variable, cloud.url)
    done = cli("prompt", "hi", *TO)
    assert (done.code, done.text) == (0, "Hello\n")
    [line] = done.err.splitlines()
    assert cloud.url.removeprefix("http://") in line
    assert variable in line


@pytest.mark.parametrize(
    "config",
    [
        "[default]\nservices = mine\n[services mine]\nsagemaker_runtime =\n  endpoint_url = {}\n",
        "[default]\nendpoint_url = {}\n",
    ],
)
def test_an_address_from_a_file_is_told_of(cli, cloud, monkeypatch, tmp_path, config):
    """Row Z5."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    (tmp_path / "config").write_text(config.format(cloud.url))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    done = cli("prompt", "hi", *TO)
    [line] = done.err.splitlines()
    assert (done.code, cloud.keys()) == (0, ["AKIATESTTESTTESTTEST"])
    assert cloud.url.removeprefix("http://") in line
    assert str(tmp_path / "config") in line


@pytest.mark.usefixtures("cloud")
def test_one_line_for_all_services(cli):
    """Row Z5."""
    done = cli("prompt", "hi", *TO, "--role-arn", ROLE)
    assert (done.code, len(done.err.splitlines())) == (0, 1)


@pytest.mark.parametrize("switch", ["--no-endpoint-override", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"])
@pytest.mark.usefixtures("cloud")
def test_such_an_address_can_be_ignored(cli, monkeypatch, switch):
    """Row Z5."""
    if not switch.startswith("--"):
        monkeypatch.setenv(switch, "true")
    options = [switch] if switch.startswith("--") else []
    done = cli("prompt", "hi", *TO, "--handler", "tgi", "--dry-run", "--json", *options)
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.text)["url"].startswith("https://runtime.sagemaker.us-west-2.amazonaws.com/")


def test_an_address_given_to_sm_ask_is_not_told_of(cli, cloud):
    done = cli("prompt", "hi", *TO, "--endpoint-url", cloud.url)
    assert (done.code, done.err) == (0, "")
