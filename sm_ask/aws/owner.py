"""Whose endpoints are asked for, as far as that can be told without asking anyone.

What is known of an endpoint is kept for an account. But the account of plain keys is known to STS alone, and a call for
it would cost more than the file saves. So the account counts where the settings name one, and elsewhere what stands for
it: an access key, or the name of an AWS profile.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_ask.aws.session import Entry

_ACCOUNT = re.compile(r"arn:[\w-]+:iam::(\d{12}):")


def of(entry: Entry) -> str | None:
    """Give the account or what stands for it; None where only the machine is known, and nothing of its role."""
    access = entry.access
    if access.expect_account:
        return access.expect_account
    if access.hops:
        return access.hops[-1].account
    explicit = "profile" in entry.session.instance_variables()
    if not explicit and (key := os.environ.get("AWS_ACCESS_KEY_ID")):
        return key
    if found := _of_profile(entry.session.get_scoped_config(), entry.session.profile or "default"):
        return found
    if role := _ACCOUNT.match(os.environ.get("AWS_ROLE_ARN", "")):
        return role[1]
    # Those of an instance or a container: they last for hours.
    return entry.credentials.get_frozen_credentials().access_key if entry.credentials else None


def _of_profile(settings: Mapping[str, str], name: str) -> str | None:
    if role := _ACCOUNT.match(str(settings.get("role_arn", ""))):
        return role[1]
    for key in ("sso_account_id", "aws_account_id", "aws_access_key_id"):
        if key in settings:
            return str(settings[key])
    return f"profile {name}" if {"credential_process", "login_session"} & settings.keys() else None
