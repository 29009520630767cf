"""Where credentials and regions come from, and what is said where they do not: rows C, K, N and R of the matrix."""

from __future__ import annotations

import datetime as dt
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha1
from pathlib import Path

import pytest

from cloud import ROLE, Cloud, instance_keys, mute, self_signed
from conftest import Result, run_process
from server import Server, black_hole, failing, says, whole

TO = ["-e", "ep", "--region", "us-west-2"]


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Cloud]:
    """Everything of AWS on loopback, instance metadata among it, which is switched on."""
    found = Cloud()
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", found.url)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    yield found
    found.close()


@pytest.fixture
def no_keys(monkeypatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)


@pytest.fixture
def aws_config(monkeypatch, tmp_path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "aws-config"
        path.write_text(text)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
        return path

    return write


def refused(done: Result, cloud: Cloud | None, code: int, *parts: str) -> None:
    """A failure of that code, which says those parts in two lines at most, and asked no model."""
    assert (done.code, done.out) == (code, b""), done.err
    for part in parts:
        assert part in done.err
    assert "Traceback" not in done.err
    assert cloud is None or cloud.keys() == []


# Settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_MAX_ATTEMPTS", "zero"),
        ("AWS_METADATA_SERVICE_TIMEOUT", "0.2"),
        ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "-1"),
        ("AWS_RETRY_MODE", "x"),
    ],
)
def test_numbers_that_are_none(cli, cloud, monkeypatch, variable, value):
    """Row C12."""
    monkeypatch.setenv(variable, value)
    refused(cli("prompt", "hi", *TO), cloud, 3, variable, value)


def test_numbers_that_are_none_in_a_file(cli, cloud, aws_config):
    """Row C12."""
    path = aws_config("[default]\nmax_attempts = zero\n")
    refused(cli("prompt", "hi", *TO), cloud, 3, "max_attempts", "zero", str(path))


@pytest.mark.parametrize("text", ["no section\n", "[default]\nx\n= y\n", "[default\n"])
def test_a_config_that_cannot_be_read(cli, cloud, aws_config, text):
    """Row C13."""
    path = aws_config(text)
    refused(cli("prompt", "hi", *TO), cloud, 3, str(path))


def test_a_config_that_is_no_text(cli, cloud, aws_config):
    """Row C13."""
    path = aws_config("")
    path.write_bytes(b"[default]\nregion = \xff\xfe\n")
    refused(cli("prompt", "hi", *TO), cloud, 3, str(path))


# Sources


@pytest.mark.usefixtures("no_keys")
def test_nothing_and_a_network_that_drops_packets(cli, cloud, monkeypatch):
    """Row K1: one connection, one second."""
    started = time.monotonic()
    with mute() as (url, taken):
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        done = cli("prompt", "hi", *TO)
        assert len(taken) == 1
    assert time.monotonic() - started < 10
    refused(done, cloud, 4, "the environment, profile default in ~/.aws, the container, EC2 instance metadata")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
@pytest.mark.usefixtures("no_keys")
def test_nothing_and_a_network_without_an_answer(cli, cloud, monkeypatch):
    """Row K1."""
    started = time.monotonic()
    with black_hole() as url:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        refused(cli("prompt", "hi", *TO), cloud, 4, "no credentials", "no answer in 1 s")
    assert time.monotonic() - started < 10


@pytest.mark.usefixtures("no_keys")
def test_nothing_with_instance_metadata_switched_off(cli, cloud, monkeypatch):
    """Row K2."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    started = time.monotonic()
    refused(cli("prompt", "hi", *TO), cloud, 4, "no credentials", "AWS_EC2_METADATA_DISABLED")
    assert time.monotonic() - started < 10
    assert cloud.requests == []


def test_a_profile_that_does_not_exist(cli, cloud, aws_config):
    """Row K3."""
    aws_config("[profile ml-prod]\nregion = us-west-2\n")
    refused(cli("prompt", "hi", *TO, "--aws-profile", "ml-prd"), cloud, 4, "ml-prd", "did you mean ml-prod?")


def test_an_empty_aws_profile_is_none(cli, cloud, monkeypatch):
    """Row K4."""
    monkeypatch.setenv("AWS_PROFILE", "")
    assert (cli("prompt", "hi", *TO).code, cloud.keys()) == (0, ["AKIATESTTESTTESTTEST"])


def test_keys_and_aws_profile(cli, cloud, monkeypatch, aws_config):
    """Row K6: the keys win, as in every tool of AWS's, and one line says so."""
    aws_config("[profile ml]\naws_access_key_id = AKIAML\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_PROFILE", "ml")
    done = cli("prompt", "hi", *TO, "--endpoint-url", cloud.url)
    assert (done.code, cloud.keys()) == (0, ["AKIATESTTESTTESTTEST"])
    [line] = done.err.splitlines()
    assert "AWS_ACCESS_KEY_ID" in line
    assert "profile ml of AWS_PROFILE" in line


def test_the_duration_of_an_aws_profile_is_a_number(cli, cloud, aws_config):
    """Row K9."""
    aws_config(f"[profile a]\nrole_arn = {ROLE}\ncredential_source = Environment\nduration_seconds = 1h\n")
    refused(cli("prompt", "hi", *TO, "--aws-profile", "a"), cloud, 3, "duration_seconds = 1h", "profile a")
    assert cloud.requests == []


STATIC = "aws_access_key_id = AKIANEAR\naws_secret_access_key = s\n"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (f"[profile a]\nrole_arn = {ROLE}\nsource_profile = b\n[profile b]\nrole_arn = x\nsource_profile = a\n", "a"),
        (f"[profile a]\nrole_arn = {ROLE}\nsource_profile = gone\n", "gone"),
        (f"[profile a]\nrole_arn = {ROLE}\n", "source_profile"),
        (f"[profile a]\nrole_arn = {ROLE}\nsource_profile = b\n[profile b]\nregion = x\n", "b"),
        ("[profile a]\naws_access_key_id = AKIANEAR\n", "aws_secret_access_key"),
    ],
)
def test_profiles_that_lead_nowhere(cli, cloud, aws_config, text, part):
    """Row K12."""
    aws_config(text)
    refused(cli("prompt", "hi", *TO, "--aws-profile", "a"), cloud, 4, part)
    assert cloud.requests == []


def test_half_a_key_in_the_environment(cli, cloud, monkeypatch):
    """Row K12."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    refused(cli("prompt", "hi", *TO), cloud, 4, "AWS_SECRET_ACCESS_KEY")


SSO = """\
[profile signed-in]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = ask
[sso-session corp]
sso_start_url = https://corp.example.com/start
sso_region = us-west-2
[profile far]
role_arn = arn:aws:iam::123456789012:role/ask
source_profile = signed-in
[profile old]
sso_start_url = https://old.example.com/start
sso_region = us-west-2
sso_account_id = 123456789012
sso_role_name = ask
"""


@pytest.mark.parametrize(("profile", "named"), [("signed-in", "signed-in"), ("far", "signed-in"), ("old", "old")])
@pytest.mark.parametrize("state", ["missing", "expired"])
def test_a_sign_in_that_has_ended(cloud, aws_config, tmp_path, profile, named, state):
    """Row K13: the sign-in's own profile is named, which may be another's source."""
    aws_config(SSO)
    home = tmp_path / "home"
    kept = home / ".aws" / "sso" / "cache"
    kept.mkdir(parents=True)
    if state == "expired":
        for name in ("corp", "https://old.example.com/start"):
            token = {"accessToken": "hunter2", "expiresAt": "2020-01-01T00:00:00Z", "startUrl": "https://corp"}
            (kept / f"{sha1(name.encode()).hexdigest()}.json").write_text(json.dumps(token))
    done = in_home(home, "prompt", "hi", *TO, "--aws-profile", profile)
    refused(done, cloud, 4, f"aws sso login --profile {named}")
    assert "hunter2" not in done.err
    assert cloud.requests == []


def test_a_sign_in_that_is_good(cloud, aws_config, tmp_path):
    """A whole way through SSO: its token buys a role's credentials, which sign the request."""
    aws_config(SSO)
    kept = tmp_path / "home" / ".aws" / "sso" / "cache"
    kept.mkdir(parents=True)
    name = sha1(b"https://old.example.com/start").hexdigest()
    (kept / f"{name}.json").write_text(json.dumps({"accessToken": "hunter2", "expiresAt": "2999-01-01T00:00:00Z"}))
    given = {"accessKeyId": "ASIASSO", "secretAccessKey": "s", "sessionToken": "t", "expiration": 4_000_000_000_000}
    cloud.answers["role"] = lambda _: whole({"roleCredentials": given})
    assert in_home(tmp_path / "home", "prompt", "hi", *TO, "--aws-profile", "old").code == 0
    assert cloud.keys() == ["ASIASSO"]
    assert cloud.calls("role")[0].headers["x-amz-sso_bearer_token"] == "hunter2"
    done = in_home(tmp_path / "home", "whoami", "--region", "us-west-2", "--aws-profile", "old")
    assert "SSO sign-in of AWS profile old" in done.text


def in_home(home: Path, *arguments: str) -> Result:
    return run_process(*arguments, env={**os.environ, "HOME": str(home)}, timeout=30)


def process(aws_config, program: str) -> None:
    command = f"{sys.executable} -c {shlex.quote(program)}"
    aws_config(f"[profile p]\ncredential_process = {command}\n")


def test_a_credential_process(cli, cloud, aws_config):
    process(aws_config, "import json; print(json.dumps(dict(Version=1, AccessKeyId='AKIAPROC', SecretAccessKey='s')))")
    assert cli("prompt", "hi", *TO, "--aws-profile", "p").code == 0
    assert cloud.keys() == ["AKIAPROC"]


def test_a_credential_process_leaves_stdin_alone(cloud, aws_config):
    """The question is there, and is none of its business."""
    program = (
        "import json, sys; sys.stdin.read(); print(json.dumps(dict(Version=1, AccessKeyId='A', SecretAccessKey='s')))"
    )
    process(aws_config, program)
    done = run_process("prompt", *TO, "--aws-profile", "p", input=b"what is the secret?", timeout=30)
    assert done.code == 0
    assert "what is the secret?" in cloud.calls("invoke")[0].body.decode()


def test_a_credential_process_that_fails(cli, cloud, aws_config):
    """Row K14."""
    process(aws_config, "import sys; print('hunter2'); sys.exit('hunter2')")
    for more in ([], ["--debug"]):
        done = cli("prompt", "hi", *TO, "--aws-profile", "p", *more)
        refused(done, cloud, 4, "exit status 1", "profile p")
        assert "hunter2" not in done.err


@pytest.mark.parametrize("output", ["hunter2", "", "[]", '"hunter2"', '{"Version": 1}', '{"Version": 2}', "\\xff"])
def test_a_credential_process_that_prints_garbage(cli, cloud, aws_config, output):
    """Row K15."""
    process(aws_config, f"import sys; sys.stdout.buffer.write({output!r}.encode('latin-1'))")
    done = cli("prompt", "hi", *TO, "--aws-profile", "p", "--debug")
    refused(done, cloud, 4, "p")
    assert "hunter2" not in done.err


@pytest.mark.parametrize("command", ["/no/such/program", "''"])
def test_a_credential_process_that_cannot_be_run(cli, cloud, aws_config, command):
    aws_config(f"[profile p]\ncredential_process = {command}\n")
    refused(cli("prompt", "hi", *TO, "--aws-profile", "p"), cloud, 4, "credential_process of profile p")


@pytest.mark.parametrize("body", ["<html>sign in</html>", ""])
@pytest.mark.usefixtures("no_keys")
def test_strange_answers_to_a_web_identity(cli, cloud, monkeypatch, tmp_path, body):
    """Row K16, where botocore asks STS itself."""
    (tmp_path / "token").write_text("a-token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    assert (cli("prompt", "hi", *TO).code, cloud.keys()) == (0, ["ASIAWEB"])
    cloud.answers["AssumeRoleWithWebIdentity"] = lambda _: whole(body, Content_Type="text/html")
    cloud.requests.clear()
    refused(cli("prompt", "hi", *TO), cloud, 4, "unexpected answer from STS")


@pytest.mark.usefixtures("no_keys")
def test_a_web_identity_that_has_ended_when_it_comes(cli, cloud, monkeypatch, tmp_path):
    """Row K18, where botocore asks STS itself."""
    (tmp_path / "token").write_text("a-token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    cloud.lifetime = -60
    refused(cli("prompt", "hi", *TO), cloud, 4, "clock")


@pytest.mark.usefixtures("no_keys")
def test_container_credentials(cli, cloud, monkeypatch, serve):
    server = serve(says(whole(instance_keys(6))))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/role")
    assert (cli("prompt", "hi", *TO).code, cloud.keys()) == (0, ["ASIAINSTANCE"])


@pytest.mark.parametrize(
    "code", ["SignatureDoesNotMatch", "RequestExpired", "InvalidSignatureException", "RequestTimeTooSkewed"]
)
def test_a_clock_that_is_wrong(cli, serve, code):
    """Row K19."""
    then = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=2)
    date = then.strftime("%a, %d %b %Y %H:%M:%S GMT")
    done = cli("prompt", "hi", server=serve(failing(403, code, "Signature expired", Date=date)))
    refused(done, None, 4, f"{then:%H:%M}", f"{then - dt.timedelta(hours=2):%H:%M}", "clock")


def test_a_clock_that_is_right(cli, serve):
    """Row K19: a wrong secret is not blamed on the clock."""
    date = dt.datetime.now(dt.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    done = cli("prompt", "hi", server=serve(failing(403, "SignatureDoesNotMatch", "no", Date=date)))
    refused(done, None, 4)
    assert "clock" not in done.err


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize("added", ["\n", "\r\n", " ", "é"])
def test_a_key_with_something_behind_it(cli, cloud, monkeypatch, name, added):
    """Row K27."""
    monkeypatch.setenv(name, "AKIAhunter2" + added)
    done = cli("prompt", "hi", *TO, "--debug")
    refused(done, cloud, 4, name)
    for part in ("Credential=", "Signature=", "hunter2"):
        assert part not in done.err


# The instance


@pytest.mark.usefixtures("no_keys")
class TestInstance:
    """EC2 instance metadata."""

    def test_it_is_asked_with_a_token(self, cli, cloud):
        assert (cli("prompt", "hi", *TO).code, cloud.keys()) == (0, ["ASIAINSTANCE"])
        assert cloud.calls("roles")[0].headers["x-aws-ec2-metadata-token"] == "a-token"

    def test_no_token_and_nothing_without_one(self, cli, monkeypatch, cloud):
        """Row K22."""
        monkeypatch.setenv("AWS_EC2_METADATA_V1_DISABLED", "true")
        with mute() as (url, _):
            monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
            refused(cli("prompt", "hi", *TO), cloud, 4, "no credentials in: the environment")
        cloud.answers["token"] = lambda _: whole("", 403)
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", cloud.url)
        refused(cli("prompt", "hi", *TO), cloud, 4, "it gives no token: HTTP 403")
        assert cloud.calls("roles") == []

    def test_a_service_that_knows_no_tokens(self, cli, cloud):
        cloud.answers["token"] = lambda _: whole("", 404)
        assert (cli("prompt", "hi", *TO).code, cloud.keys()) == (0, ["ASIAINSTANCE"])

    @pytest.mark.parametrize(
        ("which", "answer", "why"),
        [
            ("roles", whole("", 404), "the instance has no role"),
            ("roles", whole(""), "the instance has no role"),
            ("role", whole({"Code": "AssumeRoleUnauthorizedAccess"}), "AssumeRoleUnauthorizedAccess"),
            ("role", whole("<html>"), "nothing usable for the role node"),
            ("role", whole("[]"), "nothing usable for the role node"),
            ("token", whole("", 400), "it gives no token: HTTP 400"),
        ],
    )
    def test_which_of_its_answers_is_missing(self, cli, cloud, which, answer, why):
        """Row K23."""
        cloud.answers[which] = lambda _: answer
        refused(cli("prompt", "hi", *TO), cloud, 4, why)

    def test_expired_credentials_are_used(self, cli, cloud):
        """Row K24: AWS extends them where the service has no others."""
        cloud.answers["role"] = lambda _: whole(instance_keys(-1))
        done = cli("prompt", "hi", *TO)
        assert (done.code, cloud.keys()) == (0, ["ASIAINSTANCE"])
        assert "expired" in done.err
        assert "extended" in done.err

    def test_no_proxy_sees_it(self, cli, cloud, monkeypatch):
        """Row K25."""
        with Server(says(whole("stolen"))) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            monkeypatch.setenv("http_proxy", proxy.url)
            cli("prompt", "hi", *TO, "--dry-run")
            cli("whoami", "--region", "us-west-2")
            assert cloud.calls("token")
            assert not [seen for seen in proxy.requests if "meta-data" in seen.path or "token" in seen.path]

    def test_its_region_comes_last(self, cli, cloud, monkeypatch):
        """Row R2: and metadata is asked for it once."""
        assert cli("prompt", "hi", "-e", "ep").code == 0
        assert "/eu-west-1/sagemaker/" in cloud.calls("invoke")[0].headers["authorization"]
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
        cloud.requests.clear()
        assert cli("prompt", "hi", "-e", "ep").code == 0
        assert cloud.calls("zone") == []


# Regions


def test_no_region(cli, cloud, monkeypatch):
    """Row R1, with all the ways to set one."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    ways = ("--region", "SM_ASK_REGION", "AWS_REGION", "~/.aws/config")
    refused(cli("prompt", "hi", "-e", "ep"), cloud, 3, *ways)


def test_no_region_and_a_network_that_drops_packets(cli, cloud, monkeypatch):
    """Row R1: one connection, one second."""
    started = time.monotonic()
    with mute() as (url, taken):
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        refused(cli("prompt", "hi", "-e", "ep"), cloud, 3, "no region")
        assert len(taken) == 1
    assert time.monotonic() - started < 10


def test_the_region_of_the_aws_profile(cli, cloud, aws_config):
    aws_config("[profile a]\nregion = ap-south-1\n" + STATIC)
    assert cli("prompt", "hi", "-e", "ep", "--aws-profile", "a").code == 0
    assert "/ap-south-1/sagemaker/" in cloud.calls("invoke")[0].headers["authorization"]


@pytest.mark.parametrize("region", ["US-EAST-1", "us-east-1a", " us-east-1", "us-east-1.evil.com", "evil.com/#"])
@pytest.mark.parametrize("variable", ["SM_ASK_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_malformed_region_wherever_it_comes_from(cli, cloud, monkeypatch, region, variable):
    """Row R4."""
    monkeypatch.setenv(variable, region)
    refused(cli("prompt", "hi", "-e", "ep"), cloud, 3, repr(region))
    assert cloud.requests == []


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("region", ["bogus-region-9", "us-east-9"])
def test_a_region_that_is_not_known_yet(cli, region):
    """Row R4: it may be newer than botocore."""
    done = cli("prompt", "hi", "-e", "ep", "--region", region)
    assert (done.code, done.text) == (0, "Hello\n")
    assert f"the region {region} is not known" in done.err


# The network


def test_a_name_that_does_not_exist():
    """Row N3: the guard of the tests would refuse the look-up, so a process without it asks for a name of no one."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = run_process("prompt", "hi", *TO, "--endpoint-url", "https://sm-ask.invalid", env=environ, timeout=60)
    refused(done, None, 8, "sm-ask.invalid", "check the region")


@pytest.mark.parametrize("fault", ["self-signed", "another host"])
def test_tls(cli, fault, monkeypatch, tmp_path):
    """Row N4: one handshake, no request, and the variable that may be missing."""
    context, bundle = self_signed(tmp_path, "127.0.0.2" if fault == "another host" else "127.0.0.1")
    if fault == "another host":
        monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
    started = time.monotonic()
    with Server(says(whole("", 400)), tls=context) as server:
        url = server.url.replace("http://", "https://")
        done = cli("prompt", "hi", *TO, "--endpoint-url", url)
        assert (server.connections, server.requests) == (1, [])
    assert time.monotonic() - started < 10
    refused(done, None, 8, "AWS_CA_BUNDLE", url.removeprefix("https://"))


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("value", ["", "/no/such/bundle.pem"])
def test_certificates_that_are_not_there(cli, cloud, monkeypatch, variable, value):
    """Rows N5 and N6."""
    monkeypatch.setenv(variable, value)
    refused(cli("prompt", "hi", *TO), cloud, 3, variable, value)
    assert cloud.requests == []


def test_certificates_of_the_aws_profile_that_are_not_there(cli, cloud, aws_config):
    """Row N6."""
    path = aws_config("[default]\nca_bundle = /no/such/bundle.pem\n")
    refused(cli("prompt", "hi", *TO), cloud, 3, "/no/such/bundle.pem", str(path))


@pytest.mark.parametrize("answer", [whole("", 407), whole("", 502), None])
def test_a_proxy_that_refuses(cli, monkeypatch, answer):
    """Row N7: over TLS the request never gets past it."""
    with Server(says(answer or b"")) as proxy:
        if answer is None:
            proxy.__exit__()
        host = proxy.url.removeprefix("http://")
        monkeypatch.setenv("HTTPS_PROXY", f"http://ana:hunter2@{host}")
        done = cli("prompt", "hi", *TO, "--retries", "0")
    refused(done, None, 8, host)
    assert "hunter2" not in done.err
