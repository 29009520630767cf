"""Roles assumed one after the other: who may say so, how long it lasts, and a session that renews itself."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.exceptions as aws
from botocore.credentials import DeferredRefreshableCredentials
from botocore.parsers import ResponseParserError

from sm_ask import redaction
from sm_ask.errors import AssumeRoleError, ConfigError, CredentialsError, SmAskError, ThrottledError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from botocore.client import BaseClient
    from botocore.credentials import Credentials, ReadOnlyCredentials

    from sm_ask.aws.cache import Cache

_log = logging.getLogger(__name__)

#: What AWS allows where a role is assumed by a role, an instance's own among them.
LONGEST_CHAINED = 3600
_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/[\w+=,.@/-]{1,512}", re.ASCII)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_SHORTEST, _LONGEST = 900, 43200
_DENIED = re.compile(r"User: (arn:\S+) is not authorized")


class Hop(NamedTuple):
    """A role to assume, and what its trust policy asks for."""

    role_arn: str
    external_id: str | None = None
    mfa_serial: str | None = None
    session_name: str = "sm-ask"
    duration: int | None = None
    source_identity: str | None = None
    tags: Mapping[str, str] | None = None

    def checked(self) -> Hop:
        """Give the same, or raise ConfigError for what STS would never accept."""
        if not _ROLE.fullmatch(self.role_arn):
            hint = "one looks like arn:aws:iam::123456789012:role/NAME"
            raise ConfigError(f"{self.role_arn!r} is no ARN of a role", hint=hint)
        for name, value in (("session name", self.session_name), ("source identity", self.source_identity)):
            if value is not None and not _SESSION_NAME.fullmatch(value):
                hint = "it has 2 to 64 letters, digits, and _+=,.@-"
                raise ConfigError(f"{value!r} is no {name} of a role", hint=hint)
        if self.duration is not None and not _SHORTEST <= self.duration <= _LONGEST:
            raise ConfigError(f"a role's session lasts {_SHORTEST} to {_LONGEST} seconds, not {self.duration:g}")
        return self

    @property
    def partition(self) -> str:
        """The part of AWS that the role is in, such as aws or aws-cn."""
        return self.role_arn.split(":")[1]

    @property
    def account(self) -> str:
        """The account that the role is in."""
        return self.role_arn.split(":")[4]

    def request(self) -> dict[str, Any]:
        """Give what STS is asked, without an MFA code."""
        named = {
            "RoleArn": self.role_arn,
            "RoleSessionName": self.session_name,
            "ExternalId": self.external_id,
            "SerialNumber": self.mfa_serial,
            "DurationSeconds": self.duration,
            "SourceIdentity": self.source_identity,
            "Tags": [{"Key": key, "Value": value} for key, value in (self.tags or {}).items()] or None,
        }
        return {name: value for name, value in named.items() if value is not None}


class Desk(NamedTuple):
    """What assuming a role takes besides the role: STS in the run's region, the cache, and a voice."""

    client: Callable[[ReadOnlyCredentials], BaseClient]
    tell: Callable[[str], None]
    cache: Cache | None = None
    #: Where STS is, if not where AWS has it.
    address: str | None = None


class Assumed(DeferredRefreshableCredentials):
    """The session of a role: fetched when first needed and again before it ends, once for all threads."""

    _expiry_time: dt.datetime | None

    def __init__(self, hop: Hop, source: Credentials, desk: Desk) -> None:
        """Take the role, the credentials that may assume it, and how to reach STS."""
        super().__init__(refresh_using=self._fetch, method="assume-role")
        redaction.keep(hop.external_id)
        self.hop, self.source = hop, source
        self.arn: str | None = None
        self.cached = False
        self._desk = desk
        self._clamped = False

    @property
    def expires(self) -> dt.datetime | None:
        """When the session ends; None before the first one."""
        return self._expiry_time

    @property
    def identity(self) -> list[Any] | None:
        """What a kept session depends on: every hop, and a source that is known without asking anyone."""
        source = source_identity(self.source)
        return None if source is None else [*source, self._desk.address, self.hop.request()]

    def _fetch(self) -> dict[str, Any]:
        session = self._kept() or self._assumed()
        self.arn = session["arn"]
        redaction.keep(session["secret_key"], session["token"])
        _log.debug("%s, %s, until %s", self.arn, "kept" if self.cached else "assumed", session["expiry_time"])
        left = (_moment(session["expiry_time"]) - _now()).total_seconds()
        if left <= 0:
            hint = f"look at the clock of this machine, which says {_now():%Y-%m-%d %H:%M:%S} UTC"
            raise CredentialsError(f"the session of {self.hop.role_arn} had ended when it came", hint=hint)
        # botocore's fixed quarter of an hour would renew a session of that length at every call.
        self._advisory_refresh_timeout = self._margin(left)
        self._mandatory_refresh_timeout = self._advisory_refresh_timeout * 2 / 3
        return session

    def _margin(self, lifetime: float) -> float:
        """Say how many seconds before its end a session is renewed; late where a person has to type a code."""
        return min(60 if self.hop.mfa_serial else 900, lifetime / 4)

    def _kept(self) -> dict[str, Any] | None:
        cache, identity = self._desk.cache, self.identity
        kept = cache.get(identity) if cache and identity else None
        left = (_moment(kept["expiry_time"]) - _now()).total_seconds() if kept else 0
        self.cached = left > self._margin(self.hop.duration or LONGEST_CHAINED)
        return kept if self.cached else None

    def _assumed(self) -> dict[str, Any]:
        source = self.source.get_frozen_credentials()
        asked = self._clamp(self.hop, chained=source.token is not None).request()
        if self.hop.mfa_serial:
            from sm_ask.aws import mfa

            asked["TokenCode"] = mfa.code(self.hop.mfa_serial)
        client = self._desk.client(source)
        session = _assume(client, asked)
        if self._desk.cache and self.identity:
            self._desk.cache.put(self.identity, session)
        return session

    def _clamp(self, hop: Hop, *, chained: bool) -> Hop:
        if not chained or hop.duration is None or hop.duration <= LONGEST_CHAINED:
            return hop
        if not self._clamped:
            self._desk.tell(
                f"role chaining: AWS gives a role that a role assumes at most {LONGEST_CHAINED} seconds, "
                f"so {hop.role_arn} gets that, not {hop.duration}"
            )
        self._clamped = True
        return hop._replace(duration=LONGEST_CHAINED)


def chain(hops: Sequence[Hop], source: Credentials, desk: Desk) -> Credentials:
    """Give the session at the end of the hops."""
    for hop in hops:
        source = Assumed(hop, source, desk)
    return source


def source_identity(credentials: Credentials) -> list[Any] | None:
    """Say whose credentials these are, where that needs no call: a role's chain, or keys that were given."""
    if isinstance(credentials, Assumed):
        return credentials.identity
    given = ("env", "shared-credentials-file", "config-file", "explicit")
    return [credentials.access_key] if credentials.method in given else None


def _assume(client: BaseClient, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        with answering(client):
            response = client.assume_role(**asked)  # type: ignore[attr-defined]
            credentials = response["Credentials"]
            return {
                "access_key": credentials["AccessKeyId"],
                "secret_key": credentials["SecretAccessKey"],
                "token": credentials["SessionToken"],
                "expiry_time": credentials["Expiration"].isoformat(),
                "arn": response["AssumedRoleUser"]["Arn"],
            }
    except aws.ClientError as error:
        raise _refused(error, client, asked["RoleArn"]) from error


@contextlib.contextmanager
def answering(client: BaseClient) -> Iterator[None]:
    """Say of STS that it does not answer, or not now; leave its refusals to the one who asked."""
    host = str(client.meta.endpoint_url).partition("://")[2]
    try:
        yield
    except aws.ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code.startswith("Throttl"):
            raise ThrottledError(f"STS at {host} takes no more requests now: {code}") from error
        if status >= 500:  # noqa: PLR2004 - HTTP statuses are best read as they are
            raise UnavailableError(f"STS at {host} fails: HTTP {status} {code}", hint="try again later") from error
        raise
    except (KeyError, AttributeError, ResponseParserError) as error:
        hint = "a proxy or a sign-in page may have answered in its place"
        raise CredentialsError(f"unexpected answer from STS at {host}", hint=hint) from error
    except (aws.ReadTimeoutError, aws.ConnectionClosedError) as error:
        raise UnavailableError(f"STS at {host} did not answer", hint="try again later") from error


def _refused(error: aws.ClientError, client: BaseClient, role: str) -> SmAskError:
    told = error.response.get("Error", {})
    code, message = str(told.get("Code", "")), " ".join(str(told.get("Message", "")).split())
    known: dict[str, Any] = {"request_id": error.response.get("ResponseMetadata", {}).get("RequestId")}
    if "MultiFactorAuthentication" in message:
        return CredentialsError(f"{role}: the MFA code was not accepted: {message}", hint="wait for the next", **known)
    if code != "AccessDenied":
        from sm_ask.aws.failures import service_error

        translated = service_error(error)
        translated.message = f"{role} cannot be assumed: {translated.message}"
        return translated
    caller = _caller(message, client)
    hint = f"{caller} needs sts:AssumeRole on {role}, whose trust policy must name the caller (and its external id)"
    return AssumeRoleError(f"{caller} may not assume {role} (sts:AssumeRole): {message}", hint=hint, **known)


def _caller(message: str, client: BaseClient) -> str:
    if said := _DENIED.search(message):
        return said[1]
    try:
        return str(client.get_caller_identity()["Arn"])  # type: ignore[attr-defined]
    except (aws.ClientError, aws.BotoCoreError, ResponseParserError, KeyError):
        return "the caller"


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)
