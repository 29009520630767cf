"""A client or a session of the caller's own → a client that asks in its name, and never sends a request twice."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.client import BaseClient

from sm_ask.aws import settings
from sm_ask.aws.failures import translated
from sm_ask.aws.loader import SERVICE
from sm_ask.aws.session import prepare
from sm_ask.errors import ConfigError

if TYPE_CHECKING:
    from sm_ask.aws.session import Access


def borrow(lent: object, access: Access) -> BaseClient:
    """Give a copy of a client: its keys, address, certificates, connections and event handlers, without its retries.

    The client itself stays as it is. A session of boto3 or botocore makes one first. ConfigError for anything else, and
    for what ``access`` demands and a client does not tell.
    """
    if access.expect_account:
        hint = "compare it with sts.get_caller_identity() of the session that the client is from"
        raise ConfigError("expect_account cannot be checked for a client of your own", hint=hint)
    client = _client(lent, access)
    settings.checked_url(client.meta.endpoint_url, "of the client", allow_http=access.allow_http)
    service = client.meta.service_model.service_id.hyphenize()
    if client.meta.service_model.service_name != SERVICE:
        raise ConfigError(f"the client is one of {service}, not of {SERVICE}")
    events = copy.copy(client.meta.events)
    events.unregister(f"needs-retry.{service}", unique_id=f"retry-config-{service}")
    mine = _copied(client, events)
    prepare(mine)
    return mine


def holder(lent: Any) -> str:  # noqa: ANN401 - whatever the caller has
    """Tell whose client or session it is, without telling it to others: a hash of the access key and the region."""
    if isinstance(lent, BaseClient):
        credentials: Any = lent._request_signer._credentials  # type: ignore[attr-defined] # noqa: SLF001
        region: str | None = lent.meta.region_name
    else:
        get = getattr(lent, "get_credentials", lambda: None)
        credentials, region = get(), getattr(lent, "region_name", None)
    key = credentials.get_frozen_credentials().access_key if credentials else None
    return hashlib.sha256(f"{key} {region}".encode()).hexdigest()[:12]


def _copied(client: Any, events: object) -> BaseClient:  # noqa: ANN401 - what a client consists of has no types
    """Give a client that differs in nothing but where its events go."""
    # copy.copy would look for methods of its own on the empty copy, which would ask for its metadata without end.
    mine: Any = object.__new__(type(client))
    mine.__dict__.update(client.__dict__)
    mine.meta = copy.copy(client.meta)
    mine.meta.events = events
    # Whether to send again is asked here.
    mine._endpoint = copy.copy(client._endpoint)  # noqa: SLF001
    mine._endpoint._event_emitter = events  # noqa: SLF001
    # The signer, which both share, has no hold of its own on the events that it knows.
    mine._lender = client  # noqa: SLF001
    return mine  # type: ignore[no-any-return]


def _client(lent: Any, access: Access) -> BaseClient:  # noqa: ANN401 - whatever the caller has
    if isinstance(lent, BaseClient):
        return lent
    with translated(bad_value=ConfigError):
        if isinstance(lent, botocore.session.Session):
            return lent.create_client(SERVICE, region_name=access.region, endpoint_url=access.endpoint_url)
        # boto3 itself is slow to import, and whoever has a session of it has done that.
        if any(kind.__module__ == "boto3.session" for kind in type(lent).__mro__):
            client: BaseClient = lent.client(SERVICE, region_name=access.region, endpoint_url=access.endpoint_url)
            return client
    hint = f'such as boto3.client("{SERVICE}"), or a boto3.Session'
    raise ConfigError(f"{type(lent).__name__} is no client of boto3", hint=hint)
