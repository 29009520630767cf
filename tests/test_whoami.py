"""`sm-ask whoami`: who asks, and where each setting came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cloud import ROLE, SECOND, USER, Cloud, refusal

KEYS = {"account", "arn", "aws_profile", "region", "endpoint_url", "hops", "expires", "origins"}


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Cloud]:
    found = Cloud()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", found.url)
    yield found
    found.close()


@pytest.fixture
def known(cli, cloud):  # noqa: ARG001 - STS has to be there
    def run(*arguments: str) -> dict[str, Any]:
        done = cli("whoami", "--json", *arguments)
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.text)
        assert found.keys() == KEYS
        assert found["origins"].keys() == KEYS - {"origins"}
        return found

    return run


def test_a_flag_goes_before_all_else(known, monkeypatch, tmp_path):
    """Each source of a region in turn, the strongest first."""
    config = tmp_path / "profiles.yaml"
    config.write_text("default: a\nprofiles: {a: {region: eu-west-3}}")
    (tmp_path / "config").write_text("[default]\nregion = eu-west-4\n")
    monkeypatch.setenv("SM_ASK_CONFIG", str(config))
    monkeypatch.setenv("SM_ASK_REGION", "eu-west-2")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    def region(*arguments: str) -> tuple[str, str]:
        found = known(*arguments)
        return found["region"], found["origins"]["region"]

    assert region("--region", "eu-west-1") == ("eu-west-1", "--region")
    assert region() == ("eu-west-2", "SM_ASK_REGION")
    monkeypatch.delenv("SM_ASK_REGION")
    assert region() == ("eu-west-3", f"profile a in {config}")
    monkeypatch.delenv("SM_ASK_CONFIG")
    assert region() == ("eu-west-4", f"region in AWS profile default in {tmp_path / 'config'}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    assert region() == ("us-east-2", "AWS_DEFAULT_REGION")


def test_aws_region_goes_before_aws_default_region(known, cloud, monkeypatch):
    """Row R3: and STS is in the same region as the runtime."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    found = known("--expect-account", "111111111111")
    assert (found["region"], found["endpoint_url"]) == (
        "us-east-1",
        "https://runtime.sagemaker.us-east-1.amazonaws.com",
    )
    assert found["origins"]["region"] == "AWS_REGION, which goes before AWS_DEFAULT_REGION (us-west-2)"
    assert all("/us-east-1/sts/" in call.headers["authorization"] for call in cloud.requests)


def test_keys_of_the_environment(known):
    found = known("--region", "us-west-2")
    assert (found["account"], found["arn"], found["hops"], found["expires"]) == ("111111111111", USER, [], None)
    assert found["origins"]["account"] == "sts:GetCallerIdentity"
    assert found["origins"]["arn"] == "AWS_ACCESS_KEY_ID"
    assert found["origins"]["endpoint_url"] == "default"


def test_an_aws_profile_beside_keys_in_the_environment(known, monkeypatch, tmp_path):
    """Row K5."""
    file = tmp_path / "credentials"
    file.write_text("[ml]\naws_access_key_id = AKIAOFTHEPROFILE\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    found = known("--region", "us-west-2", "--aws-profile", "ml")
    assert (found["aws_profile"], found["origins"]["aws_profile"]) == ("ml", "--aws-profile")
    assert found["origins"]["arn"] == f"AWS profile ml in {file}"


def test_hops(known, cloud):
    found = known("--region", "us-west-2", "--role-arn", ROLE, "--role-arn", SECOND, "--external-id", "e-1")
    assert [hop["role_arn"] for hop in found["hops"]] == [ROLE, SECOND]
    assert found["account"] == "210987654321"
    assert found["arn"] == found["hops"][1]["arn"] == "arn:aws:sts::210987654321:assumed-role/far/sm-ask"
    assert found["expires"] == found["hops"][1]["expires"]
    assert found["origins"]["hops"] == "--role-arn"
    assert cloud.calls("GetCallerIdentity") == []
    assert "e-1" not in json.dumps(found)


def test_a_role_of_an_aws_profile(known, monkeypatch, tmp_path):
    (tmp_path / "config").write_text(
        f"[profile far]\nrole_arn = {ROLE}\nsource_profile = near\nrole_session_name = me\nregion = eu-west-1\n"
        "[profile near]\naws_access_key_id = AKIANEAR\naws_secret_access_key = s\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "far")
    found = known()
    assert found["arn"] == "arn:aws:sts::123456789012:assumed-role/ask/me"
    assert (found["aws_profile"], found["origins"]["aws_profile"]) == ("far", "AWS_PROFILE")
    assert [hop["role_arn"] for hop in found["hops"]] == [ROLE]


@pytest.mark.usefixtures("cloud")
def test_for_a_person(cli):
    """Aligned lines: a name, a value, and where it came from."""
    done = cli("whoami", "--region", "us-west-2", "--role-arn", ROLE, "--role-arn", SECOND)
    lines = done.text.splitlines()
    assert done.code == 0
    assert [line.split()[0] for line in lines] == ["account", "arn", "region", "endpoint_url", "hops", "expires"]
    assert f"{ROLE} > {SECOND}" in lines[4]
    assert lines[2].split() == ["region", "us-west-2", "--region"]
    assert "UTC, in 60 min" in lines[5]
    assert len({line.rindex("  ") for line in lines}) == 1


def test_an_address_has_an_origin(cloud, known, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "https://vpce.example.com")
    found = known("--region", "us-west-2")
    assert found["endpoint_url"] == "https://vpce.example.com"
    assert found["origins"]["endpoint_url"] == "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"
    assert known("--region", "us-west-2", "--endpoint-url", cloud.url)["origins"]["endpoint_url"] == "--endpoint-url"


def test_the_endpoint_on_this_machine(cli, known, cloud):
    """No AWS is asked, and no model is loaded."""
    done = cli("whoami", "-p", "local")
    assert (done.code, cloud.requests) == (0, [])
    assert "AWS is not asked" in done.text
    assert known("-p", "local")["account"] is None


@pytest.mark.parametrize(("code", "status", "exit_code"), [("InvalidClientTokenId", 403, 4), ("Boom", 500, 6)])
def test_sts_refuses(cli, cloud, code, status, exit_code):
    cloud.answers["GetCallerIdentity"] = refusal(code, "no", status)
    done = cli("whoami", "--region", "us-west-2", "--json")
    assert (done.code, done.out) == (exit_code, b"")
    assert json.loads(done.err.splitlines()[-1])["code"] == exit_code


@pytest.mark.usefixtures("cloud")
def test_the_wrong_account(cli):
    """Row K26."""
    assert cli("whoami", "--region", "us-west-2", "--expect-account", "222222222222").code == 4


def test_profiles_shows_no_external_id(cli, tmp_path):
    config = tmp_path / "profiles.yaml"
    config.write_text(
        f"profiles: {{a: {{credentials: {{assume_role: {{role_arn: '{ROLE}', external_id: hunter2}}}}}}}}"
    )
    for more in ([], ["--json"]):
        done = cli("profiles", "a", "--config", str(config), *more)
        assert done.code == 0
        assert ROLE in done.text
        assert "hunter2" not in done.text
