"""Options, profile and environment → an endpoint to ask."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask import handlers, profiles
from sm_ask.ask import Policy
from sm_ask.cli.options import given
from sm_ask.errors import ConfigError, UsageError
from sm_ask.render import output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sm_ask.aws.hops import Hop
    from sm_ask.aws.runtime import Runtime
    from sm_ask.aws.session import Access
    from sm_ask.cli.options import CallOptions
    from sm_ask.handlers import Handler
    from sm_ask.profiles import Profile

_LOCAL_REGION = "us-east-1"
_ACCOUNT_DIGITS = 12


class Connection(NamedTuple):
    """An endpoint, how it is spoken to, and the settings that led there."""

    runtime: Runtime
    handler: Handler
    policy: Policy
    settings: Profile

    @property
    def region(self) -> str:
        """The region that the client ended up with."""
        return str(self.runtime.client.meta.region_name)


def settle(options: CallOptions) -> Profile:
    """Give the settings of a run: options and SM_ASK variables before the profile."""
    path = profiles.location(options.config, os.environ)
    found = profiles.load(path, required=bool(options.config))
    for warning in found.warnings:
        output.note(warning)
    profile = found.choose(options.profile)
    named = given(options)
    return profile._replace(**{field: named[field] for field in _FIELDS if field in named})


_FIELDS = set(profiles.Profile._fields) - {"name", "params", "system"}


@contextlib.contextmanager
def connect(options: CallOptions, settings: Profile, *, dry_run: bool = False) -> Iterator[Connection]:
    """Open the endpoint, and start the one on this machine where the profile is ``local``."""
    handler = _handler(options, settings.handler or handlers.DEFAULT)
    with contextlib.ExitStack() as stack:
        if settings.name == profiles.LOCAL and settings.endpoint_url is None:
            settings = _local(settings, stack, dry_run=dry_run)
        if settings.endpoint is None:
            hint = "name one with --endpoint, SM_ASK_ENDPOINT, or a profile; `sm-ask profiles init` writes a first one"
            raise ConfigError("no endpoint is named", hint=hint)
        connection = _connection(options, settings, handler, dry_run=dry_run)
        if options.debug:
            _describe(connection)
        yield connection


def _describe(connection: Connection) -> None:
    settings, policy = connection.settings, connection.policy
    output.note(f"debug: profile {settings.name or '(none)'}, AWS profile {settings.aws_profile or '(its own choice)'}")
    output.note(f"debug: endpoint {settings.endpoint} at {connection.runtime.client.meta.endpoint_url}")
    output.note(f"debug: region {connection.region}, content handler {connection.handler.name}")
    output.note(
        f"debug: at most {policy.tries} tries, {policy.timeout:g} s for an answer, {policy.wait:g} s of waiting"
    )


def _local(settings: Profile, stack: contextlib.ExitStack, *, dry_run: bool) -> Profile:
    settings = settings._replace(endpoint=settings.endpoint or profiles.LOCAL)
    if dry_run:
        return settings._replace(endpoint_url="http://127.0.0.1")
    # The model is loaded for this profile alone.
    from sm_ask.local import open_container
    from sm_ask.local.service import Service

    container = open_container(None, None)
    service = stack.enter_context(Service(container, name=str(settings.endpoint)))
    return settings._replace(endpoint_url=service.url)


def _handler(options: CallOptions, name: str) -> Handler:
    """Give a handler; the profiles file is asked only for a name that is neither a preset nor a class."""
    if name in handlers.NAMES or ":" in name:
        return handlers.choose(name)
    path = profiles.location(options.config, os.environ)
    found = profiles.load(path, required=bool(options.config))
    return handlers.choose(name, found.handlers, str(path))


def _connection(options: CallOptions, settings: Profile, handler: Handler, *, dry_run: bool) -> Connection:
    # botocore is two thirds of the start-up time; nothing above needs it to report its errors.
    from sm_ask.aws.runtime import Runtime, Target
    from sm_ask.aws.session import open_client

    target = Target(
        endpoint=str(settings.endpoint),
        inference_component=settings.inference_component,
        variant=settings.target_variant,
        model=settings.target_model,
        container=settings.target_container,
        custom_attributes=";".join(filter(None, (handler.custom_attributes, settings.custom_attributes))) or None,
        session_id=settings.session_id,
    ).checked()
    defaults = Policy()
    policy = Policy(
        tries=defaults.tries if settings.retries is None else settings.retries + 1,
        timeout=settings.timeout or defaults.timeout,
        wait=options.wait or defaults.wait,
        resend_unsafe=options.retry_unsafe,
    )
    access = access_to(options, settings)
    client = open_client(access, timeout=policy.timeout, signed=not dry_run, tell=output.note)
    patience = settings.idle_timeout
    runtime = Runtime(client, target) if patience is None else Runtime(client, target, patience, patience)
    return Connection(runtime, handler, policy, settings)


def access_to(options: CallOptions, settings: Profile) -> Access:
    """Say where AWS is spoken to, and as whom."""
    from sm_ask.aws.session import Access

    if settings.name == profiles.LOCAL:
        return Access(region=_LOCAL_REGION, endpoint_url=settings.endpoint_url, keys=("local", "local"))
    return Access(
        region=settings.region,
        aws_profile=settings.aws_profile,
        endpoint_url=settings.endpoint_url,
        hops=_hops(options, settings),
        expect_account=_account(settings.expect_account),
        override=not options.no_endpoint_override,
        allow_http=options.allow_http,
        cache=not options.no_cache,
    )


def _account(named: str | None) -> str | None:
    if named is not None and not (len(named) == _ACCOUNT_DIGITS and named.isdecimal()):
        raise UsageError(f"--expect-account takes an account id of 12 digits, not {named!r}")
    return named


def _hops(options: CallOptions, settings: Profile) -> tuple[Hop, ...]:
    """Give the roles: those of the command line in the place of the profile's, each option added where it belongs."""
    roles = [{"role_arn": role} for role in options.role_arn] or [dict(role) for role in settings.assume_role or ()]
    duration = options.role_duration
    first = {"mfa_serial": options.mfa_serial}
    last = {"external_id": options.external_id, "duration": None if duration is None else round(duration)}
    if not roles:
        for name, value in (first | last).items():
            if value is not None:
                hint = "name one with --role-arn, or with assume_role in a profile"
                raise UsageError(f"--{name.replace('_', '-')} needs a role to assume", hint=hint)
        return ()
    # The plain path assumes no role.
    from sm_ask.aws.hops import Hop

    roles[0] |= _set(first)
    roles[-1] |= _set(last)
    return tuple(Hop(**(role | _set({"session_name": options.role_session_name}))).checked() for role in roles)


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
