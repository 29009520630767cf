"""Bearer tokens as SageMaker's OpenAI-compatible route takes them: their form and their time, but no signature."""

from __future__ import annotations

import base64
import datetime as dt
import re
from urllib.parse import parse_qs, urlsplit

_PREFIX = "sagemaker-api-key-"
_HOST = "sagemaker.amazonaws.com"
_LONGEST = 43200
_SKEW = dt.timedelta(minutes=5)
_FORMS = {
    "Action": "CallWithBearerToken",
    "Version": "1",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": r"[^/]+/\d{8}/[a-z0-9-]+/sagemaker/aws4_request",
    "X-Amz-Date": r"\d{8}T\d{6}Z",
    "X-Amz-Expires": r"\d{1,5}",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": "[0-9a-f]{64}",
}


class RejectedError(Exception):
    """A token that opens nothing; the reason holds no part of it."""


def check(authorization: str | None) -> None:
    """Raise RejectedError unless the Authorization header has a token that is well made and not over."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.startswith(_PREFIX):
        raise RejectedError(f"The Authorization header must be: Bearer {_PREFIX}...")
    fields = _fields(token.removeprefix(_PREFIX))
    for name, form in _FORMS.items():
        if not re.fullmatch(form, fields.get(name, ""), re.ASCII):
            raise RejectedError(f"The bearer token is malformed: {name} is missing or wrong.")
    try:
        signed = dt.datetime.strptime(fields["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
    except ValueError as error:
        raise RejectedError("The bearer token is malformed: X-Amz-Date is no time.") from error
    seconds, now = int(fields["X-Amz-Expires"]), dt.datetime.now(dt.timezone.utc)
    if not 1 <= seconds <= _LONGEST:
        raise RejectedError(f"The bearer token is malformed: X-Amz-Expires is not 1 to {_LONGEST}.")
    if signed > now + _SKEW:
        raise RejectedError("The bearer token is not valid yet.")
    if now >= signed + dt.timedelta(seconds=seconds):
        raise RejectedError("The bearer token has expired.")


def _fields(encoded: str) -> dict[str, str]:
    """Give the parameters of the presigned URL within."""
    try:
        url = urlsplit("https://" + base64.b64decode(encoded, validate=True).decode("ascii"))
        fields = parse_qs(url.query, keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise RejectedError("The bearer token is malformed: it holds no URL in base64.") from error
    if (url.netloc, url.path) != (_HOST, "/"):
        raise RejectedError(f"The bearer token is malformed: it is not for {_HOST}.")
    if any(len(values) > 1 for values in fields.values()):
        raise RejectedError("The bearer token is malformed: a parameter stands twice.")
    return {name: values[0] for name, values in fields.items()}
