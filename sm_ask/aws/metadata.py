"""EC2 instance metadata: credentials and the region, asked once, in a second, and never through a proxy.

botocore's own client of it tries again without a token where nobody answers, asks through HTTP_PROXY, and does not say
what was wrong.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from typing import TYPE_CHECKING, Any

import botocore.exceptions as aws
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.utils import METADATA_BASE_URL, METADATA_BASE_URL_IPv6, is_valid_uri, resolve_imds_endpoint_mode

from sm_ask.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.session import Session

_TOKEN = "latest/api/token"  # noqa: S105 - a path
_ROLES = "latest/meta-data/iam/security-credentials/"
_ZONE = "latest/meta-data/placement/availability-zone/"
#: A local zone is us-west-2-lax-1a.
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
#: Answers of those who know no tokens yet (IMDSv1).
_NO_TOKENS = (403, 404, 405)
_TOKEN_SECONDS = "21600"  # noqa: S105
_OK = 200
#: How much longer expired credentials are used while the service has no others, as AWS's own tools do.
_EXTENSION = dt.timedelta(minutes=20)


class Metadata:
    """The metadata service; remembers that nobody answers, and says why there are no credentials."""

    def __init__(self, session: Session, tell: Callable[[str], None]) -> None:
        """Take the address and the patience from the session's settings."""
        own = session.get_config_variable("ec2_metadata_service_endpoint")
        six = resolve_imds_endpoint_mode(session) == "ipv6"
        self._address = str(own or (METADATA_BASE_URL_IPv6 if six else METADATA_BASE_URL)).rstrip("/")
        if not is_valid_uri(self._address):
            raise ConfigError(f"AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL: {self._address!r}")
        self._tries = int(session.get_config_variable("metadata_service_num_attempts"))
        self._only_tokens = bool(session.get_config_variable("ec2_metadata_v1_disabled"))
        self._disabled = os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
        patience = session.get_config_variable("metadata_service_timeout")
        # The address means this very machine: whoever answers it behind a proxy is another one.
        self._http = URLLib3Session(timeout=patience, proxies={})
        self._agent = session.user_agent()
        self._tell = tell
        self._is_there = False
        self.why = f"no answer in {patience} s"

    def retrieve_iam_role_credentials(self) -> dict[str, Any]:
        """Give the role's credentials, or nothing; then ``why`` says what is missing. The name is botocore's."""
        try:
            headers = self._token()
            self.why = "the instance has no role"
            role = self._get(_ROLES, headers).partition("\n")[0]
            self.why = f"nothing usable for the role {role}"
            found = json.loads(self._get(_ROLES + role, headers))
            self.why = f"an error document for the role {role}: {found.get('Code')}"
            return {
                "role_name": role,
                "access_key": found["AccessKeyId"],
                "secret_key": found["SecretAccessKey"],
                "token": found["Token"],
                "expiry_time": self._extended(found["Expiration"]),
            }
        except (_NothingError, ValueError, KeyError, AttributeError):
            return {}

    def region(self) -> str | None:
        """Give the instance's region, or nothing."""
        try:
            found = _REGION.match(self._get(_ZONE, self._token()))
        except _NothingError:
            return None
        return found[0] if found else None

    def _token(self) -> dict[str, str]:
        """Ask for a token, and give the headers with it; where nobody answers, nobody is asked again."""
        if self._disabled:
            self.why = "switched off by AWS_EC2_METADATA_DISABLED"
            raise _NothingError
        try:
            status, token = self._send("PUT", _TOKEN, {"x-aws-ec2-metadata-token-ttl-seconds": _TOKEN_SECONDS})
        except _NothingError:
            if not self._is_there:
                self._tries = 0
            raise
        self._is_there = True
        if status == _OK:
            return {"x-aws-ec2-metadata-token": token}
        self.why = f"it gives no token: HTTP {status}"
        if status not in _NO_TOKENS or self._only_tokens:
            raise _NothingError
        return {}

    def _get(self, path: str, headers: dict[str, str]) -> str:
        status, text = self._send("GET", path, headers)
        if status != _OK or not text:
            raise _NothingError
        return text

    def _send(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        agent = {"User-Agent": self._agent}
        request = AWSRequest(method=method, url=f"{self._address}/{path}", headers=agent | headers)
        for _ in range(self._tries):
            try:
                response = self._http.send(request.prepare())
            except (aws.HTTPClientError, aws.ConnectionError):
                continue
            return response.status_code, response.text
        raise _NothingError

    def _extended(self, expires: str) -> str:
        """Give the end of the credentials; what has ended already is tried all the same, for a while."""
        now = dt.datetime.now(dt.timezone.utc)
        ends = dt.datetime.fromisoformat(expires.replace("Z", "+00:00"))
        if ends > now:
            return expires
        self._tell(
            f"EC2 instance metadata gives credentials that expired at {expires}; they are used, their time extended"
        )
        return (now + _EXTENSION).isoformat()


class _NothingError(Exception):
    """Nothing usable came."""
