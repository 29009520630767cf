"""Who asks, and where: a session of botocore's with its credentials, and a client for the SageMaker runtime."""

from __future__ import annotations

import contextvars
import functools
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ProfileNotFound

from sm_ask import __version__, redaction, slips
from sm_ask.aws import loader, settings, sources
from sm_ask.aws.error_bodies import readable
from sm_ask.aws.failures import translated
from sm_ask.aws.loader import CONTROL, SERVICE
from sm_ask.errors import ConfigError, CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from botocore.awsrequest import AWSPreparedRequest
    from botocore.client import BaseClient
    from botocore.credentials import Credentials, ReadOnlyCredentials
    from botocore.session import Session

    from sm_ask.aws.hops import Desk, Hop
    from sm_ask.aws.metadata import Metadata
    from sm_ask.aws.settings import Setting

CONNECT_TIMEOUT = 5.0
#: For whoever gives credentials; each request to a model says its own.
_READ_TIMEOUT = 5.0

#: Seconds that the next request of this thread may wait for a byte.
read_timeout: contextvars.ContextVar[float] = contextvars.ContextVar("read_timeout")


def _silent(_: str) -> None:
    """Take a warning that nobody reads."""


class Access(NamedTuple):
    """Where the endpoint is and which credentials open it; None leaves a thing to AWS's own settings."""

    region: str | None = None
    aws_profile: str | None = None
    endpoint_url: str | None = None
    #: Access key and secret, where neither a profile nor the default chain is to be asked.
    keys: tuple[str, str] | None = None
    #: The roles to assume, one after the other.
    hops: tuple[Hop, ...] = ()
    #: The only account that may be asked.
    expect_account: str | None = None
    #: Whether AWS's own settings may put another address in the place of a service's.
    override: bool = True
    #: Whether a signed request may go to another machine over plain HTTP.
    allow_http: bool = False
    #: Whether the sessions of roles are kept on the disk.
    cache: bool = True
    #: How many requests are under way at once.
    connections: int = 1


class Place(NamedTuple):
    """Where AWS is spoken to, before it is known as whom: a session whose settings are checked."""

    session: Session
    access: Access
    region: Setting
    #: The address that AWS's own settings put in the place of the runtime's.
    override: Setting | None
    metadata: Callable[[], Metadata]
    desk: Callable[[], Desk]
    tell: Callable[[str], None] = _silent

    def first(self, left: sources.Left = sources.nobody) -> Credentials:
        """Give the credentials that come before any role of sm-ask's own; ``left`` hears of the sources without any."""
        credentials = sources.load(self.session, self.desk, self.metadata, self.region.value, left)
        if credentials.method == "assume-role-with-web-identity":
            _override(self.session, self.access, "sts", self.tell)
        if credentials.method == "env" and self.session.profile:
            self.tell(f"the keys in AWS_ACCESS_KEY_ID are used, not the profile {self.session.profile} of AWS_PROFILE")
        return credentials

    def last(self, first: Credentials) -> Credentials:
        """Give the session of the last role to assume, not yet fetched; the same credentials if there is none."""
        access = self.access
        if not access.hops:
            return first
        from sm_ask.aws.hops import chain

        if access.expect_account:
            from sm_ask.aws import identity

            identity.expect(access.expect_account, access.hops[-1].account)
        return chain(access.hops, first, self.desk())

    def entry(self, credentials: Credentials | None) -> Entry:
        """Go in with these credentials, which every client then has."""
        if credentials is not None:
            self.session.register_component("credential_provider", sources.Fixed(credentials))
        return Entry(self.session, self.access, self.region, self.override, credentials, self.tell)


class Entry(NamedTuple):
    """A session whose region, address and credentials are settled; the credentials are None for unsigned calls."""

    session: Session
    access: Access
    region: Setting
    #: The address that AWS's own settings put in the place of the runtime's.
    override: Setting | None
    credentials: Credentials | None
    tell: Callable[[str], None] = _silent

    def sts(self) -> BaseClient:
        """Open a client for STS, wherever that is."""
        _override(self.session, self.access, "sts", self.tell)
        return self.client("sts")

    def control(self) -> BaseClient:
        """Open a client for SageMaker's control plane, wherever that is."""
        _override(self.session, self.access, CONTROL, self.tell)
        client = self.client(CONTROL)
        client.meta.events.register("before-parse", readable)
        return client

    def s3(self) -> BaseClient:
        """Open a client for S3, wherever that is."""
        _override(self.session, self.access, "s3", self.tell)
        return self.client("s3")

    def runtime(self) -> BaseClient:
        """Open a client that never sends a request twice; safe to share between threads once it is made."""
        client = self.client(SERVICE)
        prepare(client)
        return client

    def client(self, service: str) -> BaseClient:
        """Open a client with these credentials."""
        key, secret = self.access.keys or (None, None)
        with translated(bad_value=ConfigError):
            return self.session.create_client(
                service,
                region_name=self.region.value,
                endpoint_url=self.access.endpoint_url if service == SERVICE else None,
                aws_access_key_id=key,
                aws_secret_access_key=secret,
            )


def open_client(access: Access, *, timeout: float, tell: Callable[[str], None] = _silent) -> BaseClient:
    """Open a client for the runtime."""
    return enter(access, timeout=timeout, tell=tell).runtime()


def enter(access: Access, *, timeout: float, signed: bool = True, tell: Callable[[str], None] = _silent) -> Entry:
    """Settle region, address and credentials, and check what was asked to be checked; ``tell`` takes warnings."""
    with translated(bad_value=ConfigError):
        place = settle(access, timeout=timeout, signed=signed, tell=tell)
        credentials = None
        if signed and access.keys is None:
            credentials = place.last(place.first())
            sources.settle(place.session, credentials)
    entry = place.entry(credentials)
    if access.expect_account and credentials is not None:
        from sm_ask.aws import identity

        identity.expect(access.expect_account, identity.identify(credentials, entry.sts).account)
    return entry


def settle(access: Access, *, timeout: float, signed: bool = True, tell: Callable[[str], None] = _silent) -> Place:
    """Settle region and address; botocore's own errors come as they are."""
    session = _session(access, timeout, signed=signed)
    settings.check(session)
    override = _override(session, access, SERVICE, tell)
    metadata = functools.cache(lambda: _metadata(session, tell))
    region = settings.region(access.region, session, lambda: metadata().region())
    # So that every client, those that botocore opens for itself among them, is in one region.
    session.set_config_variable("region", region.value)
    _check_partition(session, region.value, access.hops, tell)
    desk = functools.cache(lambda: _desk(session, access, region.value, tell))
    return Place(session, access, region, override, metadata, desk, tell)


def _session(access: Access, timeout: float, *, signed: bool) -> Session:
    # An empty AWS_PROFILE would name a profile without a name.
    named = [name for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE") if os.environ.get(name)]
    profile: dict[str, Any] = {"profile": (None, named, None, None)}
    session = botocore.session.Session(session_vars=profile, profile=access.aws_profile)
    # A role's own STS calls do not see a client's Config, but they do see this one.
    session.set_default_client_config(
        Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=min(CONNECT_TIMEOUT, timeout),
            read_timeout=min(_READ_TIMEOUT, timeout),
            tcp_keepalive=True,
            max_pool_connections=max(access.connections, 10),
            user_agent=f"sm-ask/{__version__} Botocore/{botocore.__version__}",
            signature_version=None if signed else UNSIGNED,
        )
    )
    session.register_component("data_loader", loader.shared())
    session.set_config_variable("sts_regional_endpoints", "regional")
    if not access.override:
        session.set_config_variable("ignore_configured_endpoint_urls", value=True)
    try:
        session.get_scoped_config()
    except ProfileNotFound as error:
        raise _unknown_profile(session) from error
    return session


def _unknown_profile(session: Session) -> CredentialsError:
    name = str(session.profile)
    near = slips.meant(name, session.available_profiles)
    suggested = f"; did you mean {near}?" if near else ""
    hint = "`aws configure list-profiles` names those there are"
    return CredentialsError(f"the AWS profile {name!r} does not exist{suggested}", hint=hint)


def _override(session: Session, access: Access, service: str, tell: Callable[[str], None]) -> Setting | None:
    """Check an address that is not AWS's own, and tell of one that nobody gave to sm-ask."""
    if access.endpoint_url and service == SERVICE:
        settings.checked_url(access.endpoint_url, "given", allow_http=access.allow_http)
        return None
    found = settings.endpoint(session, service)
    # One address for all services is told of once.
    if found and (service == SERVICE or access.endpoint_url or found != settings.endpoint(session, SERVICE)):
        host = settings.checked_url(found.value, found.origin, allow_http=access.allow_http)
        if service == CONTROL and found.value == access.endpoint_url:
            return found
        tell(f"{service} is spoken to at {host}, says {found.origin}; --no-endpoint-override ignores that")
    return found


def _metadata(session: Session, tell: Callable[[str], None]) -> Metadata:
    from sm_ask.aws.metadata import Metadata

    return Metadata(session, tell)


def _check_partition(session: Session, region: str, hops: Iterable[Hop], tell: Callable[[str], None]) -> None:
    """Tell of a region that this botocore does not know; refuse a role in another partition."""
    partitions = session.get_component("data_loader").load_data("partitions")["partitions"]
    home = next((partition["id"] for partition in partitions if region in partition["regions"]), None)
    if home is None:
        tell(f"the region {region} is not known to this version; is it right?")
    for hop in hops:
        if home not in (None, hop.checked().partition):
            raise ConfigError(f"{hop.role_arn} is in the partition {hop.partition}, and {region} is in {home}")


def _desk(session: Session, access: Access, region: str, tell: Callable[[str], None]) -> Desk:
    from sm_ask.aws.cache import Cache, location
    from sm_ask.aws.hops import Desk

    override = _override(session, access, "sts", tell)
    folder = location(os.environ) if access.cache else None

    def client(keys: ReadOnlyCredentials) -> BaseClient:
        return session.create_client(
            "sts",
            region_name=region,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token,
        )

    return Desk(client, tell, Cache(folder) if folder else None, override.value if override else None)


def prepare(client: BaseClient) -> None:
    """Have a client of the runtime keep to each request's own read timeout, and understand any error response."""
    client.meta.events.register("before-call", _limit_read)
    client.meta.events.register("before-parse", readable)
    client.meta.events.register("request-created", _remember)


def _remember(request: AWSPreparedRequest, **_: object) -> None:
    """Keep a session's token out of all texts; the first one is known already, later ones come while it is used."""
    token = request.headers.get("X-Amz-Security-Token")
    redaction.keep(token.decode() if isinstance(token, bytes) else token)


def _limit_read(params: dict[str, Any], **_: object) -> None:
    params["context"]["read_timeout"] = read_timeout.get()
