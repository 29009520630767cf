"""botocore's data, without what is about services that nobody asks here."""

from __future__ import annotations

import functools
from typing import Any

from botocore.loaders import Loader

SERVICE = "sagemaker-runtime"
CONTROL = "sagemaker"
#: Which services may be spoken to: the runtime, what knows of endpoints, where documents lie, and those that
#: credentials come from.
SERVICES = (SERVICE, CONTROL, "s3", "sts", "sso", "sso-oidc", "signin")
#: All that is asked of the control plane.
_ASKED = (
    *("DescribeEndpoint", "DescribeEndpointConfig", "DescribeInferenceComponent", "DescribeModel"),
    *("DescribeModelPackage", "ListEndpoints", "ListInferenceComponents", "ListTags"),
)


class RuntimeLoader(Loader):
    """Loads what few services need: a fifth of the client's start-up time goes into data about all the others."""

    def list_available_services(self, type_name: str) -> list[str]:
        """Name the services, without looking for four hundred of them on the disk."""
        del type_name
        return list(SERVICES)

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:  # noqa: ANN401 - JSON
        """Leave out what is never asked: methods for four hundred operations take longer to make than a call."""
        model = super().load_service_model(service_name, type_name, api_version)
        operations = model.get("operations")
        if service_name == CONTROL and operations:
            model = {**model, "operations": {name: operations[name] for name in _ASKED}}
        return model

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        """Derive the old table of all services' endpoints from the partitions; the service's own rules decide."""
        if name != "endpoints":
            return super().load_data_with_path(name)
        data, path = super().load_data_with_path("partitions")
        return {"version": 3, "partitions": [_partition(partition) for partition in data["partitions"]]}, path


@functools.cache
def shared() -> RuntimeLoader:
    """Give the one loader of this process: what it has read once serves all sessions."""
    return RuntimeLoader()


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
