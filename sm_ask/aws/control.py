"""The control plane of SageMaker, which knows what runs behind an endpoint: calls that describe and list."""

from __future__ import annotations

import functools
import random
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sm_ask.aws import settings
from sm_ask.aws.failures import translated
from sm_ask.aws.loader import CONTROL
from sm_ask.errors import DeniedError, RefusedError, ThrottledError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sm_ask.aws.session import Entry

_NOWHERE = re.compile(r"could not find|not found|does not exist", re.IGNORECASE)
#: The most that a list gives at once.
_PAGE = 100
#: These calls cost nothing, and a large account has many of them.
_TRIES = 4
_LONGEST_PAUSE = 0.4


class MissingError(RefusedError):
    """There is nothing of that name."""


class Control:
    """Makes calls, again where they are throttled; its client is made for the first one, as that takes the longest."""

    def __init__(self, entry: Entry) -> None:
        """Take the way in."""
        self._client = functools.cache(entry.control)

    def call(self, operation: str, **parameters: str | int) -> Mapping[str, Any]:
        """Give the response; raises SmAskError, DeniedError and MissingError among them."""
        try:
            return self._patiently(re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower(), parameters)
        except DeniedError:
            raise
        except RefusedError as error:
            if not _NOWHERE.search(error.message):
                raise
            raise MissingError(error.message, hint=error.hint, request_id=error.request_id) from error

    def _patiently(self, method: str, parameters: Mapping[str, str | int]) -> Mapping[str, Any]:
        for failed in range(_TRIES - 1):
            try:
                return self._once(method, parameters)
            except ThrottledError:  # noqa: PERF203 - it takes four turns at most
                # Jitter, as several threads make such calls.
                time.sleep(random.uniform(0, _LONGEST_PAUSE * 2**failed))  # noqa: S311 - no secret hangs on it
        return self._once(method, parameters)

    def _once(self, method: str, parameters: Mapping[str, str | int]) -> Mapping[str, Any]:
        with translated(bad_value=UnavailableError):
            found: Mapping[str, Any] = getattr(self._client(), method)(**parameters)
        return found

    def pages(self, operation: str, key: str, **parameters: str | int) -> Iterator[Mapping[str, Any]]:
        """Give what all the pages of a list hold under that key."""
        token: dict[str, str] = {}
        while True:
            page = self.call(operation, MaxResults=_PAGE, **parameters, **token)
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
