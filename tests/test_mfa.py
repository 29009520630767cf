"""Codes of an MFA device, and the sessions that are kept so that one is typed once an hour."""

from __future__ import annotations

import datetime as dt
import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloud import ROLE, SECOND, Cloud, refusal
from conftest import SM_ASK, Result, run_process
from sm_ask.aws.cache import SESSION, Cache, location
from terminal import Terminal

TO = ["-e", "ep", "--region", "us-west-2"]
DEVICE = "arn:aws:iam::111111111111:mfa/ana"
MFA = ["--role-arn", ROLE, "--mfa-serial", DEVICE]


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Cloud]:
    found = Cloud()
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    yield found
    found.close()


@pytest.fixture
def sessions(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sm-ask" / "sessions"


@pytest.fixture(params=["a hop", "an AWS profile"])
def protected(request, monkeypatch, tmp_path) -> list[str]:
    """A role that asks for a code, from sm-ask's options and from ~/.aws/config, where botocore would read stdin."""
    if request.param == "a hop":
        return MFA
    config = tmp_path / "config"
    config.write_text(
        f"[profile far]\nrole_arn = {ROLE}\nmfa_serial = {DEVICE}\nsource_profile = near\n"
        "[profile near]\naws_access_key_id = AKIATESTTESTTESTTEST\naws_secret_access_key = s\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return ["--aws-profile", "far"]


def detached(*arguments: str, text: str = "what is the secret?") -> Result:
    """Run without a terminal, the question on stdin."""
    return run_process(*arguments, input=text.encode(), start_new_session=True, timeout=30)


def test_nobody_to_ask(cloud, protected):
    """Row K10: the question is no code, and STS is not asked."""
    done = detached("prompt", *TO, *protected)
    assert (done.code, done.out, cloud.requests) == (4, b"", [])
    assert "SM_ASK_MFA_CODE" in done.err
    assert "SM_ASK_MFA_CODE_FILE" in done.err
    assert "secret" not in done.err


def test_the_code_from_a_variable(cloud, protected, monkeypatch):
    """Row K10: the whole of stdin is the question."""
    monkeypatch.setenv("SM_ASK_MFA_CODE", "123456")
    assert detached("prompt", *TO, *protected, text="line 1\nline 2").code == 0
    [asked] = cloud.asked("AssumeRole")
    assert (asked["SerialNumber"], asked["TokenCode"]) == (DEVICE, "123456")
    assert b"line 1\\nline 2" in cloud.calls("invoke")[0].body


def test_the_code_from_a_file(cli, cloud, protected, monkeypatch, tmp_path):
    (tmp_path / "code").write_text("654321\n")
    monkeypatch.setenv("SM_ASK_MFA_CODE_FILE", str(tmp_path / "code"))
    assert cli("prompt", "hi", *TO, *protected).code == 0
    assert cloud.asked("AssumeRole")[0]["TokenCode"] == "654321"


@pytest.mark.parametrize(("name", "value", "code"), [("CODE", "12345", 4), ("CODE", "abc", 4), ("CODE_FILE", "/x", 3)])
def test_a_code_that_is_none(cli, cloud, monkeypatch, name, value, code):
    monkeypatch.setenv(f"SM_ASK_MFA_{name}", value)
    done = cli("prompt", "hi", *TO, *MFA)
    assert (done.code, cloud.requests) == (code, [])
    assert "abc" not in done.err


def test_the_code_is_typed_at_the_terminal(cloud, protected, sessions):
    """Row K10: with the question on stdin and the answer on a pipe, and unseen while it is typed."""
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Terminal(SM_ASK, "prompt", *TO, *protected, **streams) as terminal:
        terminal.process.stdin.write(b"what is the secret?")
        terminal.process.stdin.close()
        terminal.process.stdin = None
        terminal.wait_for(f"MFA code of {DEVICE}: ".encode())
        terminal.press(b"123456\n")
        done = terminal.end()
    assert (done.code, done.out) == (0, b"Hello\n"), done.err
    assert b"123456" not in done.screen + done.out + done.err
    assert cloud.asked("AssumeRole")[0]["TokenCode"] == "123456"
    assert b"what is the secret?" in cloud.calls("invoke")[0].body
    # The next command asks nobody.
    assert detached("prompt", *TO, *protected).code == 0
    assert (len(cloud.calls("AssumeRole")), cloud.keys()) == (1, ["ASIAHOP1", "ASIAHOP1"])
    assert len(list(sessions.iterdir())) == 1


def test_ctrl_c_instead_of_a_code(cloud):
    with Terminal(SM_ASK, "prompt", "hi", "--no-stdin", *TO, *MFA) as terminal:
        terminal.wait_for(b"MFA code")
        terminal.press(b"\x03")
        assert (terminal.end().code, cloud.requests) == (130, [])


def test_a_wrong_code(cli, cloud, protected, monkeypatch):
    """Row K11."""
    monkeypatch.setenv("SM_ASK_MFA_CODE", "123456")
    message = "MultiFactorAuthentication failed with invalid MFA one time pass code."
    cloud.answers["AssumeRole"] = refusal("AccessDenied", message)
    done = cli("prompt", "hi", *TO, *protected)
    assert (done.code, done.out, len(cloud.requests)) == (4, b"", 1)
    assert "MFA" in done.err


def test_no_option_takes_a_code(cli):
    """Row Z13: everyone on the machine could read it."""
    text = cli("prompt", "--help").text
    assert "--mfa-serial" in text
    assert "--mfa-code" not in text


# What is kept


@pytest.fixture
def asks(cli, cloud, sessions) -> Callable[..., int]:
    """Run a prompt; gives how many sessions STS was asked for. ``sessions`` is where they are kept."""
    del sessions

    def run(*arguments: str) -> int:
        before = len(cloud.calls("AssumeRole"))
        done = cli("prompt", "hi", *TO, *arguments)
        assert (done.code, done.text) == (0, "Hello\n"), done.err
        return len(cloud.calls("AssumeRole")) - before

    return run


def test_a_session_is_kept_for_its_owner_alone(asks, sessions):
    """Row K28."""
    os.umask(os.umask(0o022))
    assert [asks("--role-arn", ROLE), asks("--role-arn", ROLE)] == [1, 0]
    [file] = sessions.iterdir()
    assert stat.S_IMODE(sessions.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ROLE not in file.name


def test_no_cache(asks, sessions):
    assert [asks("--role-arn", ROLE, "--no-cache"), asks("--role-arn", ROLE, "--no-cache")] == [1, 1]
    assert not sessions.exists()
    assert asks("--role-arn", ROLE) == 1
    assert asks("--role-arn", ROLE, "--no-cache") == 1


@pytest.mark.parametrize(
    "more",
    [
        ["--external-id", "e-1"],
        ["--role-session-name", "other"],
        ["--duration", "30m"],
    ],
)
def test_a_session_is_for_one_way_to_it(asks, more):
    assert asks("--role-arn", ROLE) == 1
    assert [asks("--role-arn", ROLE, *more), asks("--role-arn", ROLE, *more)] == [1, 0]


def test_a_session_is_for_one_who_assumes_it(asks, monkeypatch, cloud):
    """Another key or another chain is another one, and a key behind a hop is part of the way."""
    assert asks("--role-arn", ROLE) == 1
    assert asks("--role-arn", ROLE, "--role-arn", SECOND) == 1
    assert asks("--role-arn", ROLE, "--role-arn", SECOND) == 0
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASOMEONEELSE")
    assert asks("--role-arn", ROLE, "--role-arn", SECOND) == 2
    assert len(set(cloud.keys())) == 3


def test_a_session_that_ends_soon_is_not_used(asks, cloud):
    cloud.lifetime = 300
    assert [asks("--role-arn", ROLE), asks("--role-arn", ROLE)] == [1, 1]


def test_a_session_from_an_instance_is_not_kept(asks, cloud, monkeypatch, sessions):
    """Whose role it is, the machine decides, and a home may be on several."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", cloud.url)
    assert [asks("--role-arn", ROLE), asks("--role-arn", ROLE)] == [1, 1]
    assert not sessions.exists()


BROKEN = {
    "empty": b"",
    "cut": b'{"access_key": "A',
    "a list": b"[1]",
    "a number": b"1",
    "nested": b"[" * 100_000,
    "no end": json.dumps(dict.fromkeys(["access_key", "secret_key", "token", "expiry_time", "arn"], "x")).encode(),
    "no text": json.dumps(dict.fromkeys(["access_key", "secret_key", "token", "expiry_time", "arn"], 1)).encode(),
    "no UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_session_that_cannot_be_read(asks, sessions, how):
    """Row K28."""
    assert asks("--role-arn", ROLE) == 1
    [file] = sessions.iterdir()
    file.write_bytes(BROKEN[how])
    assert [asks("--role-arn", ROLE), asks("--role-arn", ROLE)] == [1, 0]


def test_wrong_modes_are_repaired(asks, sessions):
    """Row K28."""
    assert asks("--role-arn", ROLE) == 1
    [file] = sessions.iterdir()
    sessions.chmod(0o755)
    file.chmod(0o644)
    assert asks("--role-arn", ROLE) == 0
    assert stat.S_IMODE(sessions.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_disk_that_takes_nothing(asks, sessions):
    sessions.parent.parent.write_text("a file in the way")
    assert [asks("--role-arn", ROLE), asks("--role-arn", ROLE)] == [1, 1]


def test_nothing_is_left_behind_by_a_write_that_fails(tmp_path):
    cache = Cache(tmp_path / "sessions")
    cache.put(["a"], {"a": "b"})
    [file] = cache.folder.iterdir()
    file.unlink()
    file.mkdir()
    (file / "in the way").touch()
    cache.put(["a"], {"a": "b"})
    assert list(cache.folder.iterdir()) == [file]
    assert cache.get(["a"]) is None


def test_only_a_whole_session_is_given(tmp_path):
    cache = Cache(tmp_path / "sessions")
    session = dict.fromkeys(("access_key", "secret_key", "token", "arn"), "x")
    ends = dt.datetime.now(dt.timezone.utc).isoformat()
    cache.put(["a"], session | {"expiry_time": ends})
    cache.put(["b"], session)
    cache.put(["c"], session | {"expiry_time": "2026-01-01T00:00:00"})
    assert cache.get(["a"]) == session | {"expiry_time": ends}
    assert [cache.get([name]) for name in "bcd"] == [None, None, None]


@pytest.mark.parametrize(
    ("environ", "platform", "folder"),
    [
        ({"HOME": "/h"}, "linux", "/h/.cache/sm-ask/sessions"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c"}, "linux", "/c/sm-ask/sessions"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "relative"}, "linux", "/h/.cache/sm-ask/sessions"),
        ({"HOME": "/h"}, "darwin", "/h/Library/Caches/sm-ask/sessions"),
        ({}, "linux", None),
    ],
)
def test_where_sessions_are_kept(environ, platform, folder):
    assert location(environ, platform) == (Path(folder) if folder else None)


def test_threads_that_keep_one_session_at_once(tmp_path):
    """None takes another's draft away: what was put is there, and nothing else."""
    cache = Cache(tmp_path / "sessions")
    session = dict.fromkeys(SESSION, "2040-01-01T00:00:00+00:00")

    def put(number: int) -> None:
        cache.put([number % 5], session)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(200)))
    assert [cache.get([number]) for number in range(5)] == [session] * 5
    assert len(list((tmp_path / "sessions").iterdir())) == 5


def test_a_list_is_no_session(tmp_path):
    cache = Cache(tmp_path)
    cache.put([1], dict.fromkeys(SESSION, "2040-01-01T00:00:00+00:00"))
    [file] = tmp_path.iterdir()
    file.write_text(json.dumps(sorted(SESSION)))
    assert cache.get([1]) is None
