"""Options, profile and environment → an endpoint to ask."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from sm_ask import handlers, profiles
from sm_ask.ask import Policy
from sm_ask.cli.options import given
from sm_ask.errors import ConfigError
from sm_ask.render import output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_ask.aws.runtime import Runtime
    from sm_ask.aws.session import Access
    from sm_ask.cli.options import CallOptions
    from sm_ask.handlers import Handler
    from sm_ask.profiles import Profile

_LOCAL_REGION = "us-east-1"


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
    handler = handlers.named(settings.handler or handlers.DEFAULT)
    with contextlib.ExitStack() as stack:
        if settings.name == profiles.LOCAL and settings.endpoint_url is None:
            settings = _local(settings, stack, dry_run=dry_run)
        if not settings.endpoint:
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
        custom_attributes=settings.custom_attributes,
        session_id=settings.session_id,
    ).checked()
    defaults = Policy()
    policy = Policy(
        tries=defaults.tries if settings.retries is None else settings.retries + 1,
        timeout=settings.timeout or defaults.timeout,
        wait=options.wait or defaults.wait,
        resend_unsafe=options.retry_unsafe,
    )
    client = open_client(_access(settings), timeout=policy.timeout, signed=not dry_run)
    patience = settings.idle_timeout
    runtime = Runtime(client, target) if patience is None else Runtime(client, target, idle_timeout=patience)
    return Connection(runtime, handler, policy, settings)


def _access(settings: Profile) -> Access:
    from sm_ask.aws.session import Access

    if settings.name == profiles.LOCAL:
        return Access(region=_LOCAL_REGION, endpoint_url=settings.endpoint_url, keys=("local", "local"))
    return Access(region=settings.region, aws_profile=settings.aws_profile, endpoint_url=settings.endpoint_url)
