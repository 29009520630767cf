"""No secret in any text: by its value wherever it was met, and by its looks where it was not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_ask import redaction
from sm_ask.redaction import redacted

KEY = "AKIA" + "Q7" * 8
LONG = "wJalrXUtnFEMIbPxRfiCYzKEYofTheTests"


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch) -> None:
    monkeypatch.setattr(redaction, "_known", set())


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-west-2/sagemaker/aws4_request, Signature={LONG}",
        f"{{'Authorization': b'AWS4-HMAC-SHA256 Credential={KEY}/x, SignedHeaders=host, Signature={LONG}'}}",
        f"x-amz-security-token: {LONG}",
        f'{{"SecretAccessKey": "{LONG}", "SessionToken":"{LONG}"}}',
        f"<SecretAccessKey>{LONG}</SecretAccessKey><SessionToken>{LONG}</SessionToken>",
        f"aws_secret_access_key = {LONG}",
        f"Action=AssumeRole&ExternalId={LONG}&TokenCode={LONG}&Version=2011-06-15",
        f"https://sts.amazonaws.com/?X-Amz-Signature={LONG}&X-Amz-Security-Token={LONG}&X-Amz-Credential={KEY}%2F2026",
        f"OPENAI_API_KEY=sagemaker-api-key-{LONG}",
        f"the keys {KEY} and ASIA{'Z9' * 8} are not accepted",
        f"proxy http://ana:{LONG}@proxy.example.com:3128",
        f"AWS_SESSION_TOKEN={LONG}, password: '{LONG}'",
        f"Authorization: Bearer {LONG}",
        rf'{{"body": "{{\"SecretAccessKey\": \"{LONG}\"}}"}}',
        f"redirect=https%3A%2F%2Fx%3FX-Amz-Security-Token%3D{LONG}%26a",
        f'"clientSecret": "{LONG}", "accessToken": "{LONG}", "refreshToken": "{LONG}"',
    ],
)
def test_secrets_are_known_by_their_looks(text):
    shown = redacted(text)
    assert LONG not in shown
    assert KEY not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "credential_process of profile ml ended with exit status 3",
        "profiles.yaml:4:7: external_id must be text",
        "InvalidSignatureException: The request signature we calculated does not match",
        "the access key holds a character that no key has",
        "https://runtime.sagemaker.us-west-2.amazonaws.com/endpoints/ep/invocations",
        "arn:aws:iam::123456789012:role/ask cannot be assumed; it needs sts:AssumeRole",
        "a token limit of 512; max_tokens: 512",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redacted(text) == text


@given(st.text(st.characters(exclude_characters="*"), min_size=8), st.text(), st.text())
def test_a_kept_value_is_shown_nowhere(value, before, after):
    redaction.keep(value)
    shown = redacted(f"{before}{value}{after}")
    assert value not in shown


def test_what_is_too_short_to_be_a_secret_is_a_word():
    redaction.keep("local", "", None)
    assert redacted("the local endpoint") == "the local endpoint"


def test_variables_are_kept():
    redaction.keep_environment(
        {"AWS_SECRET_ACCESS_KEY": LONG, "SM_ASK_EXTERNAL_ID": "an-external-id", "PATH": "/usr/bin"}
    )
    assert redacted(f"{LONG} an-external-id /usr/bin") == "*** *** /usr/bin"
