"""A key for an endpoint's OpenAI-compatible route: a URL signed ahead of time, which no service is asked for."""

from __future__ import annotations

import base64
import datetime as dt
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from sm_ask import redaction
from sm_ask.aws import identity, origins
from sm_ask.aws.hops import Assumed
from sm_ask.aws.loader import SERVICE
from sm_ask.errors import ConfigError, CredentialsError, UsageError

if TYPE_CHECKING:
    from sm_ask.aws.runtime import Target
    from sm_ask.aws.session import Entry

#: Seconds; the longest is the service's own limit.
SHORTEST, USUAL, LONGEST = 60, 3600, 43200
_PREFIX = "sagemaker-api-key-"
# One host for all regions and partitions; the region is in the signature.
_HOST = "sagemaker.amazonaws.com"


class Bearer(NamedTuple):
    """A token, until when it is good, and whose authority it carries."""

    token: str
    expires: dt.datetime
    region: str
    #: None for the endpoint on this machine, which nobody has rights in.
    holder: str | None
    #: Whether it ends before the time asked for, because the credentials do.
    cut: bool = False
    #: Whether the credentials are a session's, whose unknown end may come first.
    open_end: bool = False


def bearer(entry: Entry, ttl: float) -> Bearer:
    """Sign a token of so many seconds, fewer where the credentials end earlier; UsageError for an impossible time.

    Raises CredentialsError where the credentials have ended.
    """
    if not SHORTEST <= ttl <= LONGEST:
        raise UsageError("--ttl takes 1 minute to 12 hours")
    if entry.access.keys:
        keys, ends = ReadOnlyCredentials(*entry.access.keys, None), None
    elif entry.credentials:
        keys, ends = entry.credentials.get_frozen_credentials(), identity.expires(entry.credentials)
    else:
        raise AssertionError("a signed entry has credentials")
    # A second may pass before it is signed.
    left = ttl if ends is None else (ends - dt.datetime.now(dt.timezone.utc)).total_seconds() - 1
    seconds = int(min(ttl, left))
    if seconds < 1:
        raise CredentialsError("the credentials have ended", hint="sign in again, or look at this machine's clock")
    token, signed = _signed(keys, entry.region.value, seconds)
    redaction.keep(token)
    return Bearer(
        token,
        signed + dt.timedelta(seconds=seconds),
        entry.region.value,
        _holder(entry),
        cut=left < ttl,
        open_end=ends is None and keys.token is not None,
    )


def _signed(keys: ReadOnlyCredentials, region: str, seconds: int) -> tuple[str, dt.datetime]:
    url, action = f"https://{_HOST}/", {"Action": "CallWithBearerToken"}
    request = AWSRequest(method="POST", url=url, headers={"host": _HOST}, params=action)
    SigV4QueryAuth(keys, "sagemaker", region, expires=seconds).add_auth(request)
    # The version stands outside of what is signed.
    text = str(request.url).removeprefix("https://") + "&Version=1"
    moment = dt.datetime.strptime(request.context["timestamp"], "%Y%m%dT%H%M%S%z")
    return _PREFIX + base64.b64encode(text.encode()).decode(), moment


def _holder(entry: Entry) -> str | None:
    """Say whose authority it is, as far as that is known without asking."""
    if entry.credentials is None:
        return None
    if isinstance(entry.credentials, Assumed) and entry.credentials.arn:
        return entry.credentials.arn
    account = f" (account {entry.access.expect_account})" if entry.access.expect_account else ""
    return f"{origins.credentials(entry.session, entry.credentials)}{account}"


def base_url(entry: Entry, target: Target) -> str:
    """Give the address under which an OpenAI client finds the endpoint."""
    address = str(entry.client(SERVICE).meta.endpoint_url).rstrip("/")
    if not (address.isascii() and address.isprintable()) or " " in address:
        raise ConfigError("the endpoint URL holds a character that no URL has", hint="write it percent-encoded")
    component = target.inference_component
    part = f"/inference-components/{quote(component, safe='')}" if component else ""
    return f"{address}/endpoints/{quote(target.endpoint, safe='')}{part}/openai/v1"
