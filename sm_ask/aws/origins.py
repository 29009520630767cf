"""Where credentials come from, in words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sm_ask.aws.hops import Assumed
from sm_ask.aws.settings import Setting, of_profile

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from botocore.session import Session

    from sm_ask.aws.session import Entry

_OF_A_PROFILE = {
    "custom-process": "credential_process of ",
    "sso": "SSO sign-in of ",
    "login": "sign-in of ",
    "config-file": "",
}
_ELSEWHERE = {
    "env": "AWS_ACCESS_KEY_ID",
    "iam-role": "EC2 instance metadata",
    "container-role": "the container",
    "assume-role-with-web-identity": "a web identity token",
}


def credentials(session: Session, found: Credentials) -> str:
    """Say where the first credentials come from, before any role is assumed."""
    if isinstance(found, Assumed):
        return credentials(session, found.source)
    if found.method in _OF_A_PROFILE:
        return _OF_A_PROFILE[found.method] + of_profile(session)
    if found.method == "shared-credentials-file":
        file = os.path.expanduser(session.get_config_variable("credentials_file"))
        return f"AWS profile {session.profile or 'default'} in {file}"
    return _ELSEWHERE.get(found.method, found.method)


def aws_profile(session: Session) -> Setting | None:
    """Name the AWS profile in use that was not given to sm-ask, if there is one."""
    if "profile" in session.instance_variables() or not session.profile:
        return None
    variable = "AWS_DEFAULT_PROFILE" if os.environ.get("AWS_DEFAULT_PROFILE") else "AWS_PROFILE"
    return Setting(session.profile, variable)


def endpoint(entry: Entry) -> str:
    """Say who decided on the runtime's address."""
    if entry.access.endpoint_url:
        return "given"
    return entry.override.origin if entry.override else "default"
