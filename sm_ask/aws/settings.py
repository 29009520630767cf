"""AWS's own settings, put right before botocore reads them: the region, other addresses, and numbers that are none."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from sm_ask.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.session import Session

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_WHOLE = ("max_attempts", "metadata_service_timeout", "metadata_service_num_attempts")
_RETRY_MODES = ("legacy", "standard", "adaptive")


class Setting(NamedTuple):
    """A value, and where it was found."""

    value: str
    origin: str


def check(session: Session) -> None:
    """Raise ConfigError, naming the setting, for what botocore would fail on with a bare ValueError or too late."""
    for name, setting in _own(session, _WHOLE):
        if not setting.value.strip().isdecimal():
            raise ConfigError(f"{setting.origin} is {setting.value!r}, which is no whole number ({name})")
    for name, setting in _own(session, ("retry_mode",)):
        if setting.value not in _RETRY_MODES:
            raise ConfigError(f"{setting.origin} is {setting.value!r}; {name} is one of {', '.join(_RETRY_MODES)}")
    found = dict(_own(session, ("ca_bundle",))).get("ca_bundle")
    if found is None and "REQUESTS_CA_BUNDLE" in os.environ:
        found = Setting(os.environ["REQUESTS_CA_BUNDLE"], "REQUESTS_CA_BUNDLE")
    if found and not os.path.exists(found.value):
        empty = "is set but empty" if not found.value else f"names no file: {found.value}"
        raise ConfigError(f"{found.origin} {empty}", hint="name a file of certificates, or unset it")


def _own(session: Session, names: tuple[str, ...]) -> Iterator[tuple[str, Setting]]:
    """Give the settings that the environment or the AWS profile makes, the environment's first."""
    scoped: Mapping[str, str] = session.get_scoped_config()
    for name in names:
        variable = f"AWS_{name.upper()}"
        if variable in os.environ:
            yield name, Setting(os.environ[variable], variable)
        elif isinstance(value := scoped.get(name), str):
            yield name, Setting(value, f"{name} in {of_profile(session)}")


def of_profile(session: Session) -> str:
    """Name the AWS profile and its file."""
    file = os.path.expanduser(session.get_config_variable("config_file"))
    return f"AWS profile {session.profile or 'default'} in {file}"


def region(given: str | None, session: Session, instance: Callable[[], str | None]) -> Setting:
    """Prefer what sm-ask was told; of AWS's own, botocore does not know AWS_REGION, which its other tools do.

    ``instance`` asks the EC2 instance, where nothing else says.
    """
    found = Setting(given, "given") if given else _region_of_aws(session)
    if found is None and (value := instance()):
        found = Setting(value, "EC2 instance metadata")
    if found is None:
        raise ConfigError(
            "no region is set",
            hint="use --region, SM_ASK_REGION, region: in a profile, AWS_REGION, or a region in ~/.aws/config",
        )
    if not _REGION.fullmatch(found.value):
        where = "" if found.origin == "given" else f" ({found.origin})"
        raise ConfigError(f"{found.value!r} is no AWS region{where}", hint="a region looks like us-west-2")
    return found


def _region_of_aws(session: Session) -> Setting | None:
    first, second = os.environ.get("AWS_REGION"), os.environ.get("AWS_DEFAULT_REGION")
    if first:
        differs = f", which goes before AWS_DEFAULT_REGION ({second})" if second and second != first else ""
        return Setting(first, f"AWS_REGION{differs}")
    if second:
        return Setting(second, "AWS_DEFAULT_REGION")
    scoped = session.get_scoped_config().get("region")
    return Setting(str(scoped), f"region in {of_profile(session)}") if scoped else None


def endpoint(session: Session, service: str) -> Setting | None:
    """Give the address that AWS's own settings put in the place of a service's, if any does."""
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    key = service.replace("-", "_")
    for variable in (f"AWS_ENDPOINT_URL_{key.upper()}", "AWS_ENDPOINT_URL"):
        if url := os.environ.get(variable):
            return Setting(url, variable)
    scoped = session.get_scoped_config()
    section = scoped.get("services")
    if section and (url := session.full_config.get("services", {}).get(section, {}).get(key, {}).get("endpoint_url")):
        return Setting(url, f"services {section} of {of_profile(session)}")
    url = scoped.get("endpoint_url")
    return Setting(url, f"endpoint_url in {of_profile(session)}") if url else None


def checked_url(url: str, origin: str, *, allow_http: bool) -> str:
    """Give the URL's host; ConfigError, without the URL, for one that carries more, or a signature in clear."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"the endpoint URL ({origin}) is no URL") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"the endpoint URL ({origin}) must begin with https:// and a host")
    extra = {"a user name or a password": "@" in parts.netloc, "a query": parts.query, "a fragment": parts.fragment}
    for what, there in extra.items():
        if there:
            raise ConfigError(f"the endpoint URL ({origin}) must not hold {what}", hint="give scheme, host and path")
    if parts.scheme == "http" and not allow_http and not _is_loopback(host):
        hint = "use https://, or --allow-http if everyone on the way may read it"
        message = f"http://{host} ({origin}) would carry the signed request and the question in clear"
        raise ConfigError(message, hint=hint)
    return host if port is None else f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    import ipaddress  # few endpoints are spoken to over plain HTTP

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
