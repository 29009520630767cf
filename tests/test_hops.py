"""Roles: which key signs the request, what STS is asked, how long a session lasts, and what a refusal says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from moto.server import ThreadedMotoServer

from cloud import ROLE, SECOND, USER, Cloud, key, mute, refusal
from server import Server, chat_stream, chat_whole, says, whole
from sm_ask.aws.hops import Hop
from sm_ask.aws.runtime import Runtime, Target
from sm_ask.aws.session import Access, open_client

TO = ["-e", "ep", "--region", "us-west-2"]


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Cloud]:
    """STS and the runtime on loopback, for the command line and for what it starts."""
    found = Cloud()
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    yield found
    found.close()


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class TestAgainstMoto:
    """The happy ways, with STS and instance metadata played by moto."""

    @pytest.fixture(autouse=True)
    def _services(self, moto, monkeypatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto)
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", moto)

    def signed_by(self, cli, serve, *arguments: str) -> str:
        server = serve(says(chat_stream("Hello")))
        done = cli("prompt", "hi", *arguments, server=server)
        assert (done.code, done.text) == (0, "Hello\n"), done.err
        return key(server.requests[0])

    def test_one_hop_and_two(self, cli, serve):
        one = self.signed_by(cli, serve, "--role-arn", ROLE)
        two = self.signed_by(cli, serve, "--role-arn", ROLE, "--role-arn", SECOND)
        assert one.startswith("ASIA")
        assert two.startswith("ASIA")
        assert one != two
        known = json.loads(
            cli("whoami", "--region", "us-west-2", "--role-arn", ROLE, "--role-arn", SECOND, "--json").text
        )
        assert known["account"] == "210987654321"
        assert known["arn"] == "arn:aws:sts::210987654321:assumed-role/far/sm-ask"

    def test_the_instance_and_a_hop_from_it(self, cli, serve, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        plain = self.signed_by(cli, serve)
        hop = self.signed_by(cli, serve, "--role-arn", ROLE)
        assert plain != hop
        assert hop.startswith("ASIA")

    def test_the_default_chain_and_a_profile(self, cli, serve, monkeypatch, tmp_path):
        assert self.signed_by(cli, serve) == "AKIATESTTESTTESTTEST"
        file = tmp_path / "credentials"
        file.write_text("[ml]\naws_access_key_id = AKIAOFTHEPROFILE\naws_secret_access_key = s\n")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        assert self.signed_by(cli, serve, "--aws-profile", "ml") == "AKIAOFTHEPROFILE"


def test_a_chain_signs_each_call_with_the_key_before(cli, cloud):
    done = cli("prompt", "hi", *TO, "--role-arn", ROLE, "--role-arn", SECOND)
    assert (done.code, done.text) == (0, "Hello\n")
    assert [key(call) for call in cloud.calls("AssumeRole")] == ["AKIATESTTESTTESTTEST", "ASIAHOP1"]
    assert [call["RoleArn"] for call in cloud.asked("AssumeRole")] == [ROLE, SECOND]
    assert cloud.keys() == ["ASIAHOP2"]
    assert cloud.calls("invoke")[0].headers["x-amz-security-token"] == "t0ken"


PROFILE = f"""\
profiles:
  far:
    endpoint: ep
    region: us-west-2
    credentials:
      assume_role:
        - role_arn: {ROLE}
          session_name: one
        - role_arn: {SECOND}
          external_id: e-1
          duration: 900
          source_identity: ana
          tags: {{team: search}}
"""


def test_a_profile_says_all_that_sts_is_asked(cli, cloud, tmp_path):
    config = tmp_path / "profiles.yaml"
    config.write_text(PROFILE)
    assert cli("prompt", "hi", "--config", str(config), "-p", "far").code == 0
    first, second = cloud.asked("AssumeRole")
    assert first["RoleSessionName"] == "one"
    assert "DurationSeconds" not in first
    named = {"ExternalId": "e-1", "DurationSeconds": "900", "SourceIdentity": "ana", "RoleSessionName": "sm-ask"}
    assert named.items() <= second.items()
    assert (second["Tags.member.1.Key"], second["Tags.member.1.Value"]) == ("team", "search")


def test_options_go_to_the_hop_they_belong_to(cli, cloud, monkeypatch):
    """The code goes to the first role, as only a person has one; the external id and the duration to the last."""
    monkeypatch.setenv("SM_ASK_MFA_CODE", "123456")
    roles = ["--role-arn", ROLE, "--role-arn", SECOND]
    device = "arn:aws:iam::111111111111:mfa/ana"
    more = ["--external-id", "e-2", "--mfa-serial", device, "--duration", "30m", "--role-session-name", "ana"]
    assert cli("prompt", "hi", *TO, *roles, *more).code == 0
    first, second = cloud.asked("AssumeRole")
    assert {"SerialNumber": device, "TokenCode": "123456", "RoleSessionName": "ana"}.items() <= first.items()
    assert {"ExternalId": "e-2", "DurationSeconds": "1800", "RoleSessionName": "ana"}.items() <= second.items()
    assert "ExternalId" not in first
    assert "TokenCode" not in second


def test_the_environment_may_name_the_chain(cli, cloud, monkeypatch):
    monkeypatch.setenv("SM_ASK_ROLE_ARN", f"{ROLE} {SECOND}")
    assert cli("prompt", "hi", *TO).code == 0
    assert cloud.keys() == ["ASIAHOP2"]


@pytest.mark.parametrize("option", [["--external-id", "x"], ["--mfa-serial", "x"], ["--duration", "1h"]])
def test_an_option_of_a_role_needs_a_role(cli, cloud, option):
    done = cli("prompt", "hi", *TO, *option)
    assert (done.code, cloud.requests) == (2, [])
    assert option[0] in done.err


@pytest.mark.parametrize(
    ("role", "more"),
    [
        ("arn:aws:iam::12:role/x", []),
        ("admin", []),
        (ROLE, ["--role-session-name", "two words"]),
        (ROLE, ["--duration", "13h"]),
        (ROLE, ["--duration", "10s"]),
    ],
)
def test_what_sts_would_never_take_is_not_sent(cli, cloud, role, more):
    done = cli("prompt", "hi", *TO, "--role-arn", role, *more)
    assert (done.code, cloud.requests) == (3, [])


def test_a_role_of_another_partition(cli, cloud):
    """Row R6."""
    done = cli("prompt", "hi", *TO, "--role-arn", "arn:aws-cn:iam::123456789012:role/x")
    assert (done.code, cloud.requests) == (3, [])
    assert "aws-cn" in done.err
    assert "us-west-2 is in aws" in done.err


def test_sts_is_the_region_s_own(cli, monkeypatch):
    """Row R5: a proxy sees which host is asked for."""
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    with Server(says(whole("", 502))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        done = cli("prompt", "hi", "-e", "ep", "--region", "us-east-1", "--role-arn", ROLE)
        assert done.code == 8
        assert [(seen.method, seen.path) for seen in proxy.requests] == [("CONNECT", "sts.us-east-1.amazonaws.com:443")]


@pytest.mark.parametrize("where", ["a hop", "an AWS profile"])
def test_assume_role_denied(cli, cloud, monkeypatch, tmp_path, where):
    """Row K7: STS's own word names the caller; where it does not, the caller is looked up."""
    message = f"User: {USER} is not authorized to perform: sts:AssumeRole on resource: {ROLE}"
    cloud.answers["AssumeRole"] = refusal("AccessDenied", message if where == "a hop" else "no")
    options = ["--role-arn", ROLE]
    if where == "an AWS profile":
        config = tmp_path / "config"
        config.write_text(f"[profile far]\nrole_arn = {ROLE}\ncredential_source = Environment\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        options = ["--aws-profile", "far"]
    done = cli("prompt", "hi", *TO, *options)
    assert (done.code, done.out, cloud.keys()) == (4, b"", [])
    for part in (ROLE, USER, "sts:AssumeRole"):
        assert part in done.err
    assert "InvokeEndpoint" not in done.err
    assert len(cloud.calls("AssumeRole")) == 1


def test_a_chained_hop_is_held_to_an_hour(cli, cloud):
    """Row K8."""
    done = cli("prompt", "hi", *TO, "--role-arn", ROLE, "--role-arn", SECOND, "--duration", "2h")
    assert done.code == 0
    assert "role chaining" in done.err
    assert "3600" in done.err
    assert cloud.asked("AssumeRole")[1]["DurationSeconds"] == "3600"


def test_a_hop_from_a_user_may_be_longer(cli, cloud):
    """Row K8: a user's own session is no chain."""
    done = cli("prompt", "hi", *TO, "--role-arn", ROLE, "--duration", "2h")
    assert "chaining" not in done.err
    assert cloud.asked("AssumeRole")[0]["DurationSeconds"] == "7200"


@pytest.mark.parametrize("body", ["<html>sign in</html>", "", "<AssumeRoleResponse/>"])
def test_strange_answers_of_sts(cli, cloud, body):
    """Row K16."""
    cloud.answers["AssumeRole"] = lambda _: whole(body, Content_Type="text/html")
    done = cli("prompt", "hi", *TO, "--role-arn", ROLE)
    assert (done.code, cloud.keys()) == (4, [])
    assert "unexpected answer from STS" in done.err
    assert "sign in</" not in done.err


def test_sts_fails_for_ever(cli, cloud):
    """Row K17."""
    cloud.answers["AssumeRole"] = refusal("InternalFailure", "oh", 500)
    started = time.monotonic()
    done = cli("prompt", "hi", *TO, "--role-arn", ROLE)
    assert (done.code, len(cloud.calls("AssumeRole")), cloud.keys()) == (6, 1, [])
    assert cloud.url.removeprefix("http://") in done.err
    assert time.monotonic() - started < 10


def test_sts_is_slow(cli, monkeypatch, serve):
    """Row K17."""
    started = time.monotonic()
    with mute() as (url, taken):
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        done = cli("prompt", "hi", "--role-arn", ROLE, "--timeout", "2", server=serve(says(chat_stream("Hello"))))
        assert (done.code, len(taken)) == (6, 1)
    assert url.removeprefix("http://") in done.err
    assert time.monotonic() - started < 10


def test_sts_gives_a_session_that_has_ended(cli, cloud):
    """Row K18."""
    cloud.lifetime = -60
    done = cli("prompt", "hi", *TO, "--role-arn", ROLE)
    assert (done.code, cloud.keys()) == (4, [])
    assert "clock" in done.err


def test_one_refresh_per_expiry_for_all_threads(cloud):
    """Row K20: two hundred calls from sixteen threads while sessions of two seconds come and go."""
    cloud.lifetime = 2.0
    cloud.answers["invoke"] = lambda _: chat_whole("Hello")
    access = Access(region="us-west-2", hops=(Hop(ROLE),), cache=False)
    runtime = Runtime(open_client(access, timeout=5), Target("ep"))
    gate = threading.Semaphore(16)

    def call(_: int) -> bytes:
        with gate:
            reply = runtime.send(b"{}", content_type="a/b", accept="a/b", stream=False, deadline=time.monotonic() + 20)
            time.sleep(0.3)
            return b"".join(reply.chunks)

    started = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(call, range(200)))
    took = time.monotonic() - started
    assert len([answer for answer in answers if b"Hello" in answer]) == 200
    refreshes = len(cloud.calls("AssumeRole"))
    assert 2 <= refreshes <= 2 + took / 1.5
    assert len(set(cloud.keys())) == refreshes
