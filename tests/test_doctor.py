"""The diagnosis: each step, what it says where it fails, what it takes to mend it, and what it costs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from typing import Any

import pytest

from cloud import ROLE, SECOND, USER, Cloud, described, refusal, xml
from conftest import Result, run_process
from server import chat_stream, failing, nobody, says_and_stalls, streamed, tgi_parts, whole

TO = ["--region", "us-west-2", "-e", "ep"]


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Cloud]:
    """STS and the runtime on loopback."""
    found = Cloud()
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    yield found
    found.close()


@pytest.fixture
def examined(cli) -> Callable[..., tuple[Result, dict[str, dict[str, Any]]]]:
    """Run the doctor; give the run, and the steps by their names."""

    def run(*arguments: str) -> tuple[Result, dict[str, dict[str, Any]]]:
        done = cli("doctor", "--json", *arguments)
        found = json.loads(done.text)
        assert found["ok"] == (done.code == 0)
        return done, {step["name"]: step for step in found["steps"]}

    return run


def statuses(steps: dict[str, dict[str, Any]]) -> str:
    """The first letter of each step's status."""
    return "".join(step["status"][0] for step in steps.values())


def dated(response: Callable[[Any], bytes] | bytes, ahead: float) -> Callable[[Any], bytes]:
    """The same answer by a clock that is so many seconds ahead of ours."""
    moment = format_datetime(dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=ahead), usegmt=True)

    def answer(request: Any) -> bytes:
        head, _, body = (response if isinstance(response, bytes) else response(request)).partition(b"\r\n")
        return head + f"\r\nDate: {moment}\r\n".encode() + body

    return answer


def caller() -> bytes:
    return xml("GetCallerIdentity", f"<Arn>{USER}</Arn><UserId>A</UserId><Account>111111111111</Account>")


def test_all_is_well(examined, cloud):
    """One token is asked for, once."""
    cloud.answers["GetCallerIdentity"] = dated(caller(), 1)
    done, steps = examined(*TO)
    assert done.code == 0, done.err
    assert {step["status"] for step in steps.values()} <= {"ok", "skipped"}
    assert steps["identity"]["found"] == f"{USER} in account 111111111111"
    assert steps["clock"]["found"] == "within 1 s of AWS's"
    assert steps["permission"]["status"] == "ok"
    assert "one token in" in steps["answer"]["found"]
    [call] = cloud.calls("invoke")
    assert call.json["max_tokens"] == 1


def test_nothing_is_spent_where_that_is_asked(examined, cloud):
    done, steps = examined(*TO, "--no-invoke")
    assert (done.code, cloud.calls("invoke")) == (0, [])
    assert [steps[name]["status"] for name in ("permission", "answer")] == ["skipped", "skipped"]
    assert [steps[name]["found"] for name in ("permission", "answer")] == ["--no-invoke"] * 2


def test_for_a_person(cli, cloud):
    cloud.answers["invoke"] = lambda _: whole(
        {"Message": "not authorized to perform"}, 403, x_amzn_ErrorType="AccessDeniedException"
    )
    done = cli("doctor", *TO)
    lines = done.text.splitlines()
    assert lines[0].split() == [
        "ok",
        "configuration",
        *["no", "profiles", "file;", "options", "and", "variables", "decide"],
    ]
    assert lines[3].split() == ["ok", "credentials", "AWS_ACCESS_KEY_ID"]
    assert "\x1b" not in done.text
    failed = next(line for line in lines if line.startswith("failed"))
    assert failed.split()[1] == "permission"
    assert "fix: the identity needs sagemaker:InvokeEndpoint" in done.text
    assert done.err.splitlines()[-1].startswith("sm-ask: error: the diagnosis failed at: permission")
    assert (done.text + done.err).count("not authorized to perform") == 1


def test_a_profiles_file_that_is_wrong(examined, cloud, tmp_path):
    path = tmp_path / "profiles.yaml"
    path.write_text("profiles:\n  a: {endpont: ep}\n")
    done, steps = examined("--config", str(path), "-p", "a")
    assert done.code == 3
    assert statuses(steps) == "f" + "s" * (len(steps) - 1)
    assert f"{path}:2" in steps["configuration"]["found"]
    assert cloud.requests == []


def test_a_profile_without_an_endpoint(examined, cloud):
    """What can be found out without one is found out."""
    done, steps = examined("--region", "us-west-2")
    assert done.code == 3
    assert "SM_ASK_ENDPOINT" in steps["profile"]["fix"]
    assert steps["identity"]["status"] == "ok"
    assert (steps["permission"]["status"], cloud.calls("invoke")) == ("skipped", [])


@pytest.mark.parametrize(("region", "code"), [("US-EAST-1", 3), ("", 3)])
def test_a_region_that_is_none(examined, cloud, region, code):
    done, steps = examined("-e", "ep", "--region", region)
    assert (done.code, steps["AWS settings"]["status"]) == (code, "failed")
    assert (steps["credentials"]["status"], cloud.requests) == ("skipped", [])


def test_an_aws_profile_that_is_none(examined, cloud):
    done, steps = examined(*TO, "--aws-profile", "nix")
    assert (done.code, cloud.requests) == (4, [])
    assert steps["AWS settings"]["found"] == "the AWS profile 'nix' does not exist"
    assert steps["credentials"]["found"] == "it needs the step AWS settings"


@pytest.mark.usefixtures("cloud")
def test_where_the_region_comes_from(examined, monkeypatch, tmp_path):
    path = tmp_path / "profiles.yaml"
    path.write_text("profiles:\n  a: {endpoint: ep, region: eu-west-1}\n")

    def found(*arguments: str) -> str:
        _, steps = examined("--no-invoke", "--config", str(path), *arguments)
        return str(steps["AWS settings"]["found"])

    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert found("-e", "ep") == "region eu-west-3, from AWS_REGION"
    assert found("-p", "a") == f"region eu-west-1, from profile a in {path}"
    monkeypatch.setenv("SM_ASK_REGION", "eu-west-2")
    assert found("-p", "a") == "region eu-west-2, from SM_ASK_REGION"
    assert found("-p", "a", "--region", "us-west-2") == "region us-west-2, from --region"


def test_no_credentials_and_why_each_source_was_left(examined, cloud, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    done, steps = examined(*TO, "--role-arn", ROLE)
    notes = steps["credentials"]["notes"]
    assert done.code == 4
    assert [note.partition(":")[0] for note in notes] == [
        *("environment", "profile default", "container", "EC2 instance metadata")
    ]
    assert "AWS_ACCESS_KEY_ID is not set" in notes[0]
    assert "switched off by AWS_EC2_METADATA_DISABLED" in notes[3]
    assert steps["role 1"]["status"] == "skipped"
    assert cloud.requests == []


def test_the_sources_before_the_one_that_counts(examined, cloud, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAOFTHEPROFILE\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    _, steps = examined(*TO)
    assert steps["credentials"]["found"] == f"AWS profile default in {file}"
    assert steps["credentials"]["notes"][0] == "environment: AWS_ACCESS_KEY_ID is not set"
    assert cloud.keys() == ["AKIAOFTHEPROFILE"]


def test_a_sign_in_that_has_ended_names_the_command(examined, cloud, monkeypatch, tmp_path):
    config = tmp_path / "config"
    config.write_text(
        "[profile x]\nsso_start_url = https://x\nsso_region = us-west-2\nsso_account_id = 1\nsso_role_name = r\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    done, steps = examined(*TO, "--aws-profile", "x")
    assert (done.code, steps["credentials"]["fix"]) == (4, "aws sso login --profile x")
    assert cloud.keys() == []


def test_each_role_is_a_step(examined, cloud):
    done, steps = examined(*TO, "--role-arn", ROLE, "--role-arn", SECOND, "--no-cache")
    assert done.code == 0, done.err
    assert steps["role 1"]["found"].startswith("arn:aws:sts::123456789012:assumed-role/ask/sm-ask until ")
    assert steps["role 2"]["found"].startswith("arn:aws:sts::210987654321:assumed-role/far/sm-ask until ")
    # The very session that was looked at is the one that asks.
    assert len(cloud.calls("AssumeRole")) == 2
    assert cloud.keys() == ["ASIAHOP2"]


def test_a_role_that_may_not_be_assumed(examined, cloud):
    cloud.answers["AssumeRole"] = refusal("AccessDenied", f"User: {USER} is not authorized to perform: sts:AssumeRole")
    done, steps = examined(*TO, "--role-arn", ROLE, "--role-arn", SECOND, "--no-cache")
    assert done.code == 4
    assert steps["role 1"]["statement"] == {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": ROLE}
    assert USER in steps["role 1"]["found"]
    assert [steps[name]["status"] for name in ("role 2", "identity", "permission", "answer")] == ["skipped"] * 4
    assert len(cloud.calls("AssumeRole")) == 1


def test_the_wrong_account(examined, cloud):
    done, steps = examined(*TO, "--expect-account", "222222222222")
    assert done.code == 4
    assert "222222222222" in steps["identity"]["found"]
    assert (steps["permission"]["status"], cloud.calls("invoke")) == ("skipped", [])


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_a_clock_that_is_wrong(examined, cloud, ahead):
    refused = refusal("SignatureDoesNotMatch", "Signature expired")
    cloud.answers["GetCallerIdentity"] = dated(refused, ahead)
    done, steps = examined(*TO)
    assert (done.code, steps["identity"]["status"], steps["clock"]["status"]) == (4, "failed", "failed")
    assert "the clock of this machine says" in steps["clock"]["found"]
    assert "set this machine's clock" in steps["clock"]["fix"]


def test_the_permission_that_is_missing(examined, cloud):
    """The statement can be pasted into a policy."""
    cloud.answers["invoke"] = lambda _: whole(
        {"Message": "User: x is not authorized"}, 403, x_amzn_ErrorType="AccessDeniedException"
    )
    done, steps = examined(*TO, "--inference-component", "Copy-1")
    at = "arn:aws:sagemaker:us-west-2:111111111111"
    assert done.code == 5
    assert steps["permission"]["statement"] == {
        "Effect": "Allow",
        "Action": "sagemaker:InvokeEndpoint",
        "Resource": [f"{at}:endpoint/ep", f"{at}:inference-component/copy-1"],
    }
    assert steps["answer"]["status"] == "skipped"


@pytest.mark.usefixtures("cloud")
def test_the_endpoint(examined):
    _, steps = examined(*TO)
    assert steps["endpoint"]["status"] == "ok"
    assert steps["endpoint"]["found"].startswith("InService, real-time; handler openai-chat (the image vllm:v0.10.2")


@pytest.mark.parametrize(
    ("status", "code", "part"),
    [("Creating", 6, "--wait"), ("Failed", 5, "no room"), ("OutOfService", 5, "OutOfService")],
)
def test_an_endpoint_that_does_not_serve(examined, cloud, status, code, part):
    cloud.answers["DescribeEndpoint"] = lambda request: described(
        "DescribeEndpoint", request.json, EndpointStatus=status, FailureReason="no room"
    )
    done, steps = examined(*TO, "--no-invoke")
    assert (done.code, steps["endpoint"]["status"]) == (code, "failed")
    assert part in steps["endpoint"]["found"] + str(steps["endpoint"]["fix"])


def test_an_endpoint_that_is_not_there(examined, cloud):
    message = "Could not find endpoint arn:aws:sagemaker:us-west-2:111111111111:endpoint/ep."
    cloud.answers["DescribeEndpoint"] = lambda _: whole({"__type": "ValidationException", "message": message}, 400)
    done, steps = examined(*TO, "--no-invoke")
    assert (done.code, steps["endpoint"]["status"]) == (5, "failed")
    assert message in steps["endpoint"]["found"]


def test_an_endpoint_that_may_not_be_seen(examined, cloud):
    """Nothing depends on it; the statement says what would allow it."""
    denied = {"__type": "AccessDeniedException", "Message": "not authorized to perform: sagemaker:DescribeEndpoint"}
    cloud.answers["DescribeEndpoint"] = lambda _: whole(denied, 400)
    done, steps = examined(*TO, "--handler", "openai-chat")
    assert (done.code, steps["endpoint"]["status"], steps["answer"]["status"]) == (0, "skipped", "ok")
    assert "sagemaker:DescribeEndpoint" in steps["endpoint"]["statement"]["Action"]


def test_inference_components(examined, cloud):
    listed = [{"InferenceComponentName": name, "InferenceComponentStatus": "InService"} for name in ("a", "b")]
    cloud.answers["ListInferenceComponents"] = lambda _: whole({"InferenceComponents": listed})
    cloud.answers["DescribeEndpoint"] = lambda request: described(
        "DescribeEndpoint", request.json, ProductionVariants=[{"VariantName": "AllTraffic"}]
    )
    cloud.answers["DescribeEndpointConfig"] = lambda _: whole({"ProductionVariants": [{"VariantName": "AllTraffic"}]})
    _, unnamed = examined(*TO, "--no-invoke")
    assert "--inference-component: a, b" in unnamed["endpoint"]["fix"]
    # A component that is named is looked at by itself, as the list may not be for everyone to see.
    cloud.answers["ListInferenceComponents"] = lambda _: whole({"__type": "AccessDeniedException"}, 400)
    _, right = examined(*TO, "--no-invoke", "--inference-component", "b")
    assert right["endpoint"]["found"].startswith("InService, real-time; b: handler openai-chat"), right
    cloud.answers["DescribeInferenceComponent"] = lambda request: described(
        "DescribeInferenceComponent", request.json, EndpointName="other"
    )
    _, wrong = examined(*TO, "--no-invoke", "--inference-component", "b")
    assert "behind the endpoint other" in wrong["endpoint"]["found"]


@pytest.mark.usefixtures("cloud")
def test_an_endpoint_that_fails(examined, serve):
    """That the model failed shows that it may be asked; it is asked once."""
    server = serve(failing(424, "ModelError", "x", {"OriginalStatusCode": 500, "OriginalMessage": "CUDA error"}))
    done, steps = examined(*TO, "--endpoint-url", server.url)
    assert (done.code, len(server.requests)) == (9, 1)
    assert (steps["permission"]["status"], steps["answer"]["status"]) == ("ok", "failed")
    assert "CUDA error" in steps["answer"]["found"]


def test_an_address_where_nobody_listens(examined, cloud):
    with nobody() as url:
        done, steps = examined(*TO, "--endpoint-url", url)
    assert done.code == 8
    assert (steps["permission"]["status"], steps["answer"]["status"]) == ("skipped", "failed")
    assert cloud.calls("invoke") == []


def test_one_token_may_hold_no_text(examined, cloud):
    cloud.answers["invoke"] = lambda _: chat_stream("", finish="length")
    done, steps = examined(*TO)
    assert (done.code, steps["answer"]["status"]) == (0, "ok"), done.err
    assert "held no text" in steps["answer"]["found"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--handler", "nosuch"], 3), (["-e", "a/b"], 2), (["--timeout", "1", "-e", "ep"], 7)],
    ids=["handler", "name", "timeout"],
)
def test_what_does_not_show_whether_it_is_allowed(examined, cloud, serve, arguments, code):
    cloud.answers["invoke"] = lambda _: b""
    silent = serve(says_and_stalls(b""))
    address = ["--endpoint-url", silent.url] if code == 7 else []
    done, steps = examined("--region", "us-west-2", "-e", "ep", *arguments, *address)
    assert done.code == code
    assert (steps["permission"]["status"], steps["answer"]["status"]) == ("skipped", "failed")


def test_a_limit_of_the_profile_s_own_does_not_count(examined, cloud, tmp_path):
    """It costs one token, whatever the container calls that."""
    path = tmp_path / "profiles.yaml"
    path.write_text("profiles:\n  a: {endpoint: ep, handler: tgi, params: {max_new_tokens: 4096, top_p: 0.5}}\n")
    cloud.answers["invoke"] = lambda _: streamed(tgi_parts("Hi"))
    done, _ = examined("--config", str(path), "-p", "a", "--region", "us-west-2")
    [call] = cloud.calls("invoke")
    assert done.code == 0, done.err
    assert (call.json["parameters"]["max_new_tokens"], call.json["parameters"]["top_p"]) == (1, 0.5)


@pytest.mark.model
def test_the_endpoint_on_this_machine():
    done = run_process("doctor", "-p", "local", "--json")
    found = json.loads(done.text)
    assert (done.code, found["ok"]) == (0, True), done.err
    assert [step["status"] for step in found["steps"] if step["name"] == "answer"] == ["ok"]


def test_a_wrong_option_is_no_diagnosis(cli):
    assert cli("doctor", "--timeout", "never").code == 2
