"""Who asks, and where: a botocore client for the SageMaker runtime."""

from __future__ import annotations

import contextvars
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.loaders import Loader

from sm_ask import __version__
from sm_ask.aws.error_bodies import readable
from sm_ask.aws.failures import translated
from sm_ask.errors import ConfigError

if TYPE_CHECKING:
    from botocore.client import BaseClient

SERVICE = "sagemaker-runtime"
CONNECT_TIMEOUT = 5.0
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")

#: Seconds that the next request of this thread may wait for a byte.
read_timeout: contextvars.ContextVar[float] = contextvars.ContextVar("read_timeout")


class Access(NamedTuple):
    """Where the endpoint is and which credentials open it; None leaves a thing to AWS's own settings."""

    region: str | None = None
    aws_profile: str | None = None
    endpoint_url: str | None = None
    #: Access key and secret, where neither a profile nor the default chain is to be asked.
    keys: tuple[str, str] | None = None


def open_client(access: Access, *, timeout: float, signed: bool = True) -> BaseClient:
    """Open a client that never sends a request twice; safe to share between threads once it is made."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=min(CONNECT_TIMEOUT, timeout),
        tcp_keepalive=True,
        user_agent=f"sm-ask/{__version__} Botocore/{botocore.__version__}",
        signature_version=None if signed else UNSIGNED,
    )
    key, secret = access.keys or (None, None)
    with translated(bad_value=ConfigError):
        session = botocore.session.Session(profile=access.aws_profile)
        # A role's own STS calls do not see a client's Config, but they do see this one.
        session.set_default_client_config(config)
        session.register_component("data_loader", _RuntimeLoader())
        client = session.create_client(
            SERVICE,
            region_name=_region(access, session),
            endpoint_url=access.endpoint_url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )
    client.meta.events.register("before-call", _limit_read)
    client.meta.events.register("before-parse", readable)
    return client


def _region(access: Access, session: botocore.session.Session) -> str:
    """Prefer what sm-ask was told; of AWS's own, botocore does not know AWS_REGION, which its other tools do."""
    region = access.region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
    if not region:
        raise ConfigError(
            "no region is set",
            hint="use --region, SM_ASK_REGION, region: in a profile, AWS_REGION, or a region in ~/.aws/config",
        )
    if not _REGION.fullmatch(region):
        raise ConfigError(f"{region!r} is no AWS region", hint="a region looks like us-west-2")
    return str(region)


def _limit_read(params: dict[str, Any], **_: object) -> None:
    params["context"]["read_timeout"] = read_timeout.get()


class _RuntimeLoader(Loader):
    """Loads what one service needs: a fifth of the client's start-up time goes into data about all the others."""

    def list_available_services(self, type_name: str) -> list[str]:
        """Name the one service, without looking for four hundred of them on the disk."""
        del type_name
        return [SERVICE]

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        """Derive the old table of all services' endpoints from the partitions; the service's own rules decide."""
        if name != "endpoints":
            return super().load_data_with_path(name)
        data, path = super().load_data_with_path("partitions")
        return {"version": 3, "partitions": [_partition(partition) for partition in data["partitions"]]}, path


def _partition(partition: dict[str, Any]) -> dict[str, Any]:
    outputs = partition["outputs"]
    suffix, dual = outputs["dnsSuffix"], outputs["dualStackDnsSuffix"]
    variants = [
        {"tags": ["fips"], "dnsSuffix": suffix, "hostname": "{service}-fips.{region}.{dnsSuffix}"},
        {"tags": ["dualstack"], "dnsSuffix": dual, "hostname": "{service}.{region}.{dnsSuffix}"},
        {"tags": ["dualstack", "fips"], "dnsSuffix": dual, "hostname": "{service}-fips.{region}.{dnsSuffix}"},
    ]
    hostname = {"hostname": "{service}.{region}.{dnsSuffix}", "protocols": ["https"], "signatureVersions": ["v4"]}
    return {
        "partition": partition["id"],
        "dnsSuffix": suffix,
        "regionRegex": partition["regionRegex"],
        "regions": {},
        "services": {},
        "defaults": {**hostname, "variants": variants},
    }
