"""Whose credentials these are, and whether it is the account that was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask.aws.failures import translated
from sm_ask.aws.hops import Assumed, answering
from sm_ask.errors import CredentialsError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from botocore.client import BaseClient
    from botocore.credentials import Credentials


class Identity(NamedTuple):
    """An account and an ARN, and how they were found out."""

    account: str
    arn: str
    origin: str


def ask(sts: Callable[[], BaseClient]) -> Identity:
    """Ask STS, which every identity may."""
    client = sts()
    with translated(bad_value=CredentialsError), answering(client):
        answer: dict[str, Any] = client.get_caller_identity()  # type: ignore[attr-defined]
        return Identity(answer["Account"], answer["Arn"], "sts:GetCallerIdentity")


def identify(credentials: Credentials, sts: Callable[[], BaseClient]) -> Identity:
    """Say whose credentials these are; no call is made where STS has already said it."""
    if isinstance(credentials, Assumed) and credentials.arn:
        return Identity(credentials.arn.split(":")[4], credentials.arn, "the role's session")
    return ask(sts)


def expect(account: str, found: str) -> None:
    """Raise CredentialsError unless the account is the one expected."""
    if found != account:
        hint = "nothing was asked; look at `sm-ask whoami`, or correct expect_account"
        raise CredentialsError(f"the credentials are of account {found}, and {account} is expected", hint=hint)


def hops(credentials: Credentials | None) -> list[Assumed]:
    """Give the roles on the way, the first one first."""
    return list(_backwards(credentials))[::-1]


def _backwards(credentials: Credentials | None) -> Iterator[Assumed]:
    while isinstance(credentials, Assumed):
        yield credentials
        credentials = credentials.source


def expires(credentials: Credentials | None) -> dt.datetime | None:
    """Say when the credentials end; None for those that do not."""
    # botocore has no other way to it.
    ends: dt.datetime | None = getattr(credentials, "_expiry_time", None)
    return ends
