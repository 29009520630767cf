"""Secrets: which ones are live in this process, and texts without them, by their value and by their looks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MASK = "***"
#: Anything shorter is also an ordinary word, and AWS makes none that short.
_SHORTEST = 8
_VARIABLES = (
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    *("SM_ASK_EXTERNAL_ID", "SM_ASK_MFA_CODE"),
)
_NAMES = (
    "authorization|x-amz-security-token|x-amz-signature|x-amz-credential|x-aws-ec2-metadata-token|credential|signature"
    "|secret_?access_?key|secret_?key|session_?token|security_?token|external_?id|token_?code|client_?secret"
    "|(?:access|refresh|id|bearer)_?token|password|aws_secret_access_key|aws_session_token"
)
#: Patterns are compiled when the first text is looked at, which most runs do not come to.
#: A name with its value, as in headers, JSON, XML, Python and URLs; a value ends where the next thing begins.
_BETWEEN = r"""\\*["']?\s*(?:[:=>]|%3D)\s*(?:b?\\*["'])?"""
_VALUE = r"""(?:AWS4-HMAC-SHA256|Bearer|Basic)\s[^"'\n]*|[^\s"'<>&,;)}\]]+"""
_NAMED = rf"(?:\b|(?<=%[0-9A-F][0-9A-F]))({_NAMES})({_BETWEEN})({_VALUE})"
_LOOKS = r"\b((?:AKIA|ASIA)(?=[A-Z0-9]{12})|sagemaker-api-key-|AWS4-HMAC-SHA256 )[^\s\"'<>&]+"
_USER_INFO = r"://[^/@\s]+@"

_known: set[str] = set()


def keep(*values: str | None, shortest: int = _SHORTEST) -> None:
    """Remember secrets that no text may show from now on; those too short to be one are left alone."""
    _known.update(value for value in values if value and len(value) >= shortest)


def keep_environment(environ: Mapping[str, str]) -> None:
    """Remember the secrets that variables hold."""
    keep(*(environ.get(name) for name in _VARIABLES))


def redacted(text: str) -> str:
    """Give the text with a mask in the place of each secret."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, _MASK)
    text = re.sub(_NAMED, rf"\1\2{_MASK}", text, flags=re.IGNORECASE)
    return re.sub(_USER_INFO, f"://{_MASK}@", re.sub(_LOOKS, rf"\1{_MASK}", text))
