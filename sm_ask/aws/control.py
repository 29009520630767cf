"""The control plane of SageMaker, which knows what runs behind an endpoint: calls that describe and list."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sm_ask.aws import settings
from sm_ask.aws.failures import translated
from sm_ask.aws.loader import CONTROL
from sm_ask.errors import DeniedError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sm_ask.aws.session import Entry

_NOWHERE = re.compile(r"could not find|not found|does not exist", re.IGNORECASE)
_MOST_PAGES = 50


class MissingError(RefusedError):
    """There is nothing of that name."""


class Control:
    """Makes each call once; its client is made for the first one, as it takes longer than any call."""

    def __init__(self, entry: Entry) -> None:
        """Take the way in."""
        self._client = functools.cache(entry.control)

    def call(self, operation: str, **parameters: str | int) -> Mapping[str, Any]:
        """Give the response; raises SmAskError, DeniedError and MissingError among them."""
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        try:
            with translated(bad_value=UnavailableError):
                found: Mapping[str, Any] = getattr(self._client(), method)(**parameters)
        except DeniedError:
            raise
        except RefusedError as error:
            if not _NOWHERE.search(error.message):
                raise
            raise MissingError(error.message, hint=error.hint, request_id=error.request_id) from error
        return found

    def pages(self, operation: str, key: str, **parameters: str | int) -> Iterator[Mapping[str, Any]]:
        """Give what all the pages of a list hold, up to a bound, under that key."""
        token: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = self.call(operation, **parameters, **token)
            yield from page.get(key, ())
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


def is_asked(entry: Entry) -> bool:
    """Tell whether a control plane can know the endpoint.

    AWS's own knows nothing of a runtime at an address that is not AWS's, such as one on this machine; it is asked about
    such an endpoint only where AWS's settings say which one to ask.
    """
    if settings.endpoint(entry.session, CONTROL):
        return True
    url = entry.access.endpoint_url or (entry.override.value if entry.override else None)
    host = urlsplit(url).hostname if url else None
    return url is None or any((host or "").endswith(f".{suffix}") for suffix in _suffixes(entry))


def _suffixes(entry: Entry) -> Iterator[str]:
    """Give the domains of AWS, in all its partitions."""
    for partition in entry.session.get_component("data_loader").load_data("partitions")["partitions"]:
        yield from (partition["outputs"][name] for name in ("dnsSuffix", "dualStackDnsSuffix"))
