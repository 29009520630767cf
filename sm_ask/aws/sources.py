"""Where the first credentials come from: botocore's chain, from its own parts, with what it gets wrong put right."""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING, Any

import botocore.credentials as theirs
import botocore.exceptions as aws
from botocore.parsers import ResponseParserError
from botocore.utils import ContainerMetadataFetcher, create_nested_client

from sm_ask import redaction
from sm_ask.errors import ConfigError, CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from botocore.credentials import Credentials
    from botocore.session import Session

    from sm_ask.aws.hops import Desk
    from sm_ask.aws.metadata import Metadata

    #: Hears the name of a source without credentials, and what it lacks.
    Left: TypeAlias = Callable[[str, str], None]

_log = logging.getLogger(__name__)
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class Fixed:
    """Credentials in the place of botocore's chain."""

    def __init__(self, credentials: Credentials) -> None:
        """Take them."""
        self.credentials = credentials

    def load_credentials(self) -> Credentials:
        """Give them."""
        return self.credentials


def nobody(_: str, __: str) -> None:
    """Hear of a source, and forget it."""


def load(
    session: Session, desk: Callable[[], Desk], metadata: Callable[[], Metadata], region: str, left: Left = nobody
) -> Credentials:
    """Give the first credentials that a source has; CredentialsError where none has any, or one is broken.

    ``left`` hears the name of each source that has none, in their order, and what it lacks.
    """
    explicit = "profile" in session.instance_variables()
    if not explicit:
        _check_keys()
    imds = _Instance(metadata)
    try:
        for provider in _resolver(session, desk, imds, region).providers:
            found: Credentials | None = provider.load()
            if found is not None:
                return found
            method = str(provider.METHOD)
            if lacks := _LACKS.get(method):
                _log.debug("no credentials: %s: %s", _source(method, session), lacks)
                left(_source(method, session), imds.why if method == "iam-role" else lacks)
    except aws.InvalidConfigError as error:
        raise CredentialsError(str(error)) from error
    raise _nothing(session, imds, explicit=explicit)


#: What each source would need; those of old that nobody has any more are not told of.
_LACKS = {
    "env": "AWS_ACCESS_KEY_ID is not set",
    "assume-role": "no role_arn",
    "assume-role-with-web-identity": "no web identity token",
    "sso": "no SSO sign-in",
    "login": "no sign-in with aws login",
    "shared-credentials-file": "no keys in ~/.aws/credentials",
    "custom-process": "no credential_process",
    "config-file": "no keys in ~/.aws/config",
    "container-role": "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor …_FULL_URI is set",
    "iam-role": "nobody answers",
}
_PLACES = {"env": "environment", "container-role": "container", "iam-role": "EC2 instance metadata"}


def _source(method: str, session: Session) -> str:
    return _PLACES.get(method) or f"profile {session.profile or 'default'}"


def settle(session: Session, credentials: Credentials) -> None:
    """Fetch what is fetched late, so that a broken source shows before anything is asked, and by its own name."""
    try:
        frozen = credentials.get_frozen_credentials()
    except (aws.SSOError, aws.LoginError, aws.TokenRetrievalError) as error:
        name, command = _signed_in(session)
        hint = f"aws {command} --profile {name}"
        raise CredentialsError(f"the sign-in of profile {name} has ended: {error}", hint=hint) from error
    except (KeyError, ResponseParserError) as error:
        raise CredentialsError("unexpected answer from STS", hint="a proxy may have answered in its place") from error
    except RuntimeError as error:
        # botocore's own word for credentials that have expired when they come.
        raise CredentialsError(f"{error}", hint="look at the clock of this machine") from error
    redaction.keep(frozen.secret_key, frozen.token)
    if not all(_is_clean(part or "") for part in frozen[:3]):
        raise CredentialsError("the credentials hold a character that none has, such as a newline or a space")


def _check_keys() -> None:
    for variable in _KEYS:
        if not _is_clean(os.environ.get(variable, "")):
            hint = "a newline or a space may have come along when it was copied"
            raise CredentialsError(f"{variable} holds a character that no key has", hint=hint)


def _is_clean(part: str) -> bool:
    return part.isascii() and part.isprintable() and " " not in part


def _signed_in(session: Session) -> tuple[str, str]:
    """Name the profile that needs a new sign-in, which may be another's source, and the aws command for it."""
    name, profiles = session.profile or "default", session.full_config["profiles"]
    seen = set()
    while name not in seen and "source_profile" in profiles.get(name, {}):
        seen.add(name)
        name = profiles[name]["source_profile"]
    return name, "login" if "login_session" in profiles.get(name, {}) else "sso login"


def _nothing(session: Session, imds: _Instance, *, explicit: bool) -> CredentialsError:
    files = f"profile {session.profile or 'default'} in ~/.aws"
    tried = [*([] if explicit else ["the environment"]), files, "the container", f"EC2 instance metadata ({imds.why})"]
    hint = "use --aws-profile, AWS_PROFILE, the AWS_ACCESS_KEY_ID family, or `aws configure`"
    return CredentialsError(f"no credentials in: {', '.join(tried)}", hint=hint)


class _Container:
    """The container's endpoint for credentials; its client, which takes 2 ms to make, is made when it is needed."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the client has
        return getattr(ContainerMetadataFetcher(), name)


class _Instance:
    """The metadata of an EC2 instance, looked at only where nothing else has credentials."""

    def __init__(self, metadata: Callable[[], Metadata]) -> None:
        self._metadata = metadata
        self.why = "not asked"

    def retrieve_iam_role_credentials(self) -> dict[str, Any]:
        """Give credentials, or nothing."""
        metadata = self._metadata()
        found = metadata.retrieve_iam_role_credentials()
        self.why = metadata.why
        return found


def _resolver(session: Session, desk: Callable[[], Desk], imds: _Instance, region: str) -> theirs.CredentialResolver:
    profile = session.profile or "default"
    explicit = "profile" in session.instance_variables()
    environment, container = theirs.EnvProvider(), theirs.ContainerProvider(fetcher=_Container())  # type: ignore[arg-type]
    instance = theirs.InstanceMetadataProvider(imds)  # type: ignore[arg-type]
    builder = _Profiles(session, cache={}, region_name=region)
    roles = _Roles(
        load_config=lambda: session.full_config,
        client_creator=functools.partial(create_nested_client, session, region_name=region),
        cache={},
        profile_name=profile,
        credential_sourcer=theirs.CanonicalNameCredentialSourcer([environment, container, instance]),
        profile_provider_builder=builder,
    )
    roles.desk = desk
    first = [roles] if explicit else [environment, roles]
    ofprofile = builder.providers(profile_name=profile, disable_env_vars=explicit)
    old = [theirs.OriginalEC2Provider(), theirs.BotoProvider()]
    return theirs.CredentialResolver([*first, *ofprofile, *old, container, instance])


class _Roles(theirs.AssumeRoleProvider):
    """The roles of ~/.aws/config, assumed as a hop is: with our own cache, errors and way to an MFA code."""

    desk: Callable[[], Desk]
    # botocore's own, which its type stubs leave out.
    _loaded_config: Mapping[str, Any]
    _get_role_config: Callable[[str], dict[str, Any]]
    _resolve_source_credentials: Callable[[dict[str, Any], str], Credentials]

    def _load_creds_via_assume_role(self, profile_name: str) -> Credentials:
        from sm_ask.aws.hops import Assumed, Hop

        settings = self._get_role_config(profile_name)
        source = self._resolve_source_credentials(settings, profile_name)
        profile: Mapping[str, str] = self._loaded_config["profiles"][profile_name]
        hop = Hop(
            role_arn=settings["role_arn"],
            external_id=settings["external_id"],
            mfa_serial=settings["mfa_serial"],
            session_name=settings["role_session_name"] or "sm-ask",
            duration=_seconds(profile, profile_name),
        )
        return Assumed(hop.checked(), source, self.desk())


def _seconds(profile: Mapping[str, str], name: str) -> int | None:
    value = profile.get("duration_seconds")
    if value is not None and not value.isdecimal():
        hint = "it is a plain number of seconds, such as 3600"
        raise ConfigError(f"duration_seconds = {value} in profile {name} of ~/.aws/config is no number", hint=hint)
    return None if value is None else int(value)


class _Profiles(theirs.ProfileProviderBuilder):
    """A profile's sources, with a credential_process whose output is never shown."""

    _session: Session

    def _create_process_provider(self, profile_name: str) -> theirs.ProcessProvider:
        return theirs.ProcessProvider(
            profile_name=profile_name,
            load_config=lambda: self._session.full_config,
            popen=functools.partial(_run, profile_name),
        )


def _run(profile: str, command: list[str], **_: object) -> Any:  # noqa: ANN401 - it stands in for a Popen
    from sm_ask.aws.process import finished  # subprocess is for the few who have such a profile

    return finished(command, profile)
