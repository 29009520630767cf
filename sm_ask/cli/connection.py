"""Options, the environment and a profile → the settings of a run, and the endpoint they lead to."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from sm_ask import connection, profiles
from sm_ask.cli.options import given
from sm_ask.connection import Connection, Setup
from sm_ask.errors import UsageError
from sm_ask.render import log, output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sm_ask.cli.options import CallOptions
    from sm_ask.profiles import Profile

_ACCOUNT_DIGITS = 12
_FIELDS = set(profiles.Profile._fields) - {"name", "params", "system", "assume_role"}


def settle(options: CallOptions) -> Setup:
    """Give the settings of a run: options and SM_ASK variables before the profile."""
    log.listen(debug=options.debug)
    found = profiles.load(profiles.location(options.config, os.environ), required=bool(options.config))
    # What is wrong in the profile that is chosen is an error, and told once.
    profile = found.choose(options.profile)
    for warning in found.told(profile):
        output.note(warning)
    named = given(options)
    settings = profile._replace(**{field: named[field] for field in _FIELDS if field in named})
    return Setup(
        settings._replace(
            assume_role=_roles(options, settings) or None, expect_account=_account(settings.expect_account)
        ),
        found.handlers,
        str(found.path or ""),
        wait=options.wait,
        resend_unsafe=options.retry_unsafe,
        override=not options.no_endpoint_override,
        allow_http=options.allow_http,
        cache=not options.no_cache,
    )


@contextlib.contextmanager
def connect(setup: Setup, *, debug: bool, dry_run: bool = False) -> Iterator[Connection]:
    """Open the endpoint; warnings go to stderr."""
    with connection.connect(setup, tell=output.note, dry_run=dry_run) as found:
        if debug:
            _describe(found)
        yield found


def _describe(found: Connection) -> None:
    settings, policy = found.settings, found.policy
    output.note(f"debug: profile {settings.name or '(none)'}, AWS profile {settings.aws_profile or '(its own choice)'}")
    output.note(f"debug: endpoint {settings.endpoint} at {found.runtime.client.meta.endpoint_url}")
    output.note(f"debug: region {found.region}")
    output.note(f"debug: content handler {found.handler.name}: {found.choice.reason}")
    output.note(
        f"debug: at most {policy.tries} tries, {policy.timeout:g} s for an answer, {policy.wait:g} s of waiting"
    )


def _account(named: str | None) -> str | None:
    if named is not None and not (len(named) == _ACCOUNT_DIGITS and named.isdecimal()):
        raise UsageError(f"--expect-account takes an account id of 12 digits, not {named!r}")
    return named


def _roles(options: CallOptions, settings: Profile) -> tuple[Mapping[str, Any], ...]:
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
    roles[0] |= _set(first)
    roles[-1] |= _set(last)
    return tuple(role | _set({"session_name": options.role_session_name}) for role in roles)


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
