"""Secrets that are planted everywhere show up nowhere: on no stream, in no file, of no command, with --debug."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud import ROLE, Cloud, refusal, xml
from conftest import Result
from server import whole

SECRET, TOKEN, EXTERNAL = "canary/Secret+of40CharactersThatLooksReal", "canaryTokenOfAWholeSession==", "canary-external"
CODE = "194837"
COMMANDS = {
    "prompt": ["prompt", "hi"],
    "qa": ["qa", "Who?", "--doc", "doc.txt"],
    "dry run": ["prompt", "hi", "--dry-run"],
    "json": ["prompt", "hi", "--json", "--usage"],
    "whoami": ["whoami"],
    "endpoints": ["endpoints", "ep", "--json"],
    "batch": ["batch", "rows.txt", "-O", "answers.jsonl"],
    "doctor": ["doctor"],
    "doctor in JSON": ["doctor", "--json"],
}


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Cloud]:
    found = Cloud()
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("SM_ASK_MFA_CODE", CODE)
    found.answers["AssumeRole"] = session
    yield found
    found.close()


def session(_: object) -> bytes:
    """A session whose keys are canaries, too."""
    ends = (dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1)).isoformat()
    return xml(
        "AssumeRole",
        f"<Credentials><AccessKeyId>ASIAHOP</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>"
        f"<SessionToken>{TOKEN}</SessionToken><Expiration>{ends}</Expiration></Credentials><AssumedRoleUser>"
        "<AssumedRoleId>A:B</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/ask/x</Arn></AssumedRoleUser>",
    )


@pytest.fixture
def run(cli, monkeypatch, tmp_path) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "doc.txt").write_text("It was Ana.")
    (tmp_path / "rows.txt").write_text("Who?\nWhere?\n")
    role = ["--role-arn", ROLE, "--mfa-serial", "arn:aws:iam::111111111111:mfa/ana", "--external-id", EXTERNAL]
    return lambda *arguments: cli(*arguments, "--region", "us-west-2", "-e", "ep", "--debug", "--retries", "0", *role)


def leaks(done: Result, cloud: Cloud, folder: Path) -> list[str]:
    """The canaries that showed up, signatures and the kept session's own files apart."""
    signatures = [
        request.headers["authorization"].partition("Signature=")[2]
        for request in cloud.requests
        if "authorization" in request.headers
    ]
    files = [path for path in folder.rglob("*") if path.is_file() and "sessions" not in path.parts]
    text = done.out.decode() + done.err + "".join(path.read_text(errors="replace") for path in files)
    return [canary for canary in (SECRET, TOKEN, EXTERNAL, CODE, *signatures) if canary and canary in text]


@pytest.mark.parametrize("command", COMMANDS)
def test_where_all_goes_well(cloud, run, command, tmp_path):
    done = run(*COMMANDS[command])
    assert done.code == 0, done.err
    assert "debug" in done.err
    assert leaks(done, cloud, tmp_path) == []


def echoing(request: object) -> bytes:
    """A service, or a proxy before it, that tells in its error what it was sent."""
    sent = getattr(request, "headers", {})
    told = f"bad request: {json.dumps(sent)} {getattr(request, 'body', b'').decode()} {SECRET}"
    return whole({"Message": told}, 400, x_amzn_ErrorType="ValidationError")


FAULTS: dict[str, tuple[str, Callable[[object], bytes]]] = {
    "the service tells all": ("invoke", echoing),
    "the model tells all": (
        "invoke",
        lambda request: whole(
            {"Message": "x", "OriginalStatusCode": 400, "OriginalMessage": json.dumps(request.headers)},  # type: ignore[attr-defined]
            424,
            x_amzn_ErrorType="ModelError",
        ),
    ),
    "STS refuses": ("AssumeRole", refusal("AccessDenied", f"ExternalId={EXTERNAL} TokenCode={CODE} {TOKEN}")),
    "STS fails": ("AssumeRole", refusal("InternalFailure", f"SecretAccessKey {SECRET}", 500)),
    "STS gives half a session": (
        "AssumeRole",
        lambda _: xml("AssumeRole", f"<SecretAccessKey>{SECRET}</SecretAccessKey>"),
    ),
    "the signature is refused": (
        "invoke",
        lambda request: echoing(request).replace(b"ValidationError", b"SignatureDoesNotMatch"),
    ),
}


@pytest.mark.parametrize("command", ["prompt", "json", "doctor", "batch"])
@pytest.mark.parametrize("fault", FAULTS)
def test_where_it_fails(cloud, run, command, fault, tmp_path):
    name, answer = FAULTS[fault]
    cloud.answers[name] = answer
    done = run(*COMMANDS[command])
    assert done.code not in (0, 1), done.err
    assert leaks(done, cloud, tmp_path) == []


def test_a_handler_that_tells_all(cloud, run, tmp_path):
    """Its words are in the error, and with --debug the line of code that raised it."""
    (tmp_path / "handler.py").write_text(
        "class H:\n    def transform_input(self, prompt, kwargs):\n"
        f"        raise KeyError('AWS_SECRET_ACCESS_KEY={SECRET}')\n    transform_output = None.__class__\n"
    )
    done = run("prompt", "hi", "--handler", f"{tmp_path}/handler.py:H")
    (tmp_path / "handler.py").unlink()
    assert done.code == 11
    assert leaks(done, cloud, tmp_path) == []


def test_a_handler_inherits_no_session(cloud, cli, tmp_path):
    """The keys of a role are in no variable that code of somebody else's could read, or pass on to a program."""
    cloud.answers["AssumeRole"] = lambda request: cloud.session(request, "ASIAHOP1", 3600)
    (tmp_path / "handler.py").write_text(
        "import json, os\nclass H:\n    content_type = accepts = 'application/json'\n"
        "    def transform_input(self, prompt, kwargs):\n        return json.dumps(dict(os.environ)).encode()\n"
        "    def transform_output(self, body):\n        return 'ok'\n"
    )
    handler = ["--handler", f"{tmp_path}/handler.py:H", "--role-arn", ROLE, "--no-cache", "--no-stdin"]
    done = cli("prompt", "hi", "--region", "us-west-2", "-e", "ep", *handler)
    assert done.code == 0, done.err
    [call] = cloud.calls("invoke")
    assert "ASIAHOP1" in call.headers["authorization"]
    assert not {name for name, value in call.json.items() if "ASIAHOP1" in value or "t0ken" in value}
