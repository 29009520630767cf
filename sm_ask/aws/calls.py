"""Calls that differ in their bodies alone: what botocore works out anew for each of them is worked out once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.context import start_as_current_context
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_ERROR_STATUS = 300


class Calls:
    """Makes the calls of a client; shared by threads.

    The parameters, the address and the headers are settled when a call is first made: a fifth of botocore's work. Each
    request is signed, sent and read by botocore as ever; its events about parameters and addresses come once. So it is
    for a client that nobody else has put handlers on.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - botocore makes its clients at run time
        """Call with that client."""
        self._client = client
        # It looks at each response for the sake of a second try, which there is none of.
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.unregister(f"needs-retry.{service}", unique_id=f"retry-config-{service}")
        self._drafts: dict[tuple[Any, ...], tuple[Any, dict[str, Any]]] = {}

    def make(self, operation: str, parameters: Mapping[str, Any], *, timeout: float) -> Any:  # noqa: ANN401 - likewise
        """Make a call with at most so many seconds between two bytes; give what the client's own method gives."""
        key = (operation, *(item for item in parameters.items() if item[0] != "Body"))
        with start_as_current_context():
            model, draft = self._drafts.get(key) or self._drafts.setdefault(key, self._draft(operation, parameters))
            request = {
                **draft,
                "headers": draft["headers"].copy(),
                "body": parameters["Body"],
                "context": {**_copied(draft["context"]), "read_timeout": timeout},
            }
            response, parsed = self._client._endpoint.make_request(model, request)  # noqa: SLF001 - no other way in
        if response.status_code >= _FIRST_ERROR_STATUS:
            raise ClientError(parsed, operation)
        return parsed

    def _draft(self, operation: str, parameters: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        client = self._client
        model = client.meta.service_model.operation_model(operation)
        context = {
            "client_region": client.meta.region_name,
            "client_config": client.meta.config,
            "has_streaming_input": model.has_streaming_input,
            "auth_type": model.resolved_auth_type,
            "unsigned_payload": model.unsigned_payload,
            "auth_options": client.meta.service_model.metadata.get("auth"),
        }
        url, headers, properties = client._resolve_endpoint_ruleset(model, dict(parameters), context)  # noqa: SLF001
        if properties:
            context["endpoint_properties"] = properties
        draft: dict[str, Any] = client._convert_to_request_dict(  # noqa: SLF001
            api_params=dict(parameters), operation_model=model, endpoint_url=url, context=context, headers=headers
        )
        # A plain mapping is copied faster than botocore's own, which minds no case.
        return model, {**draft, "headers": dict(draft["headers"])}


def _copied(context: Mapping[str, Any]) -> dict[str, Any]:
    """Copy what signing adds to."""
    return {name: dict(value) if isinstance(value, dict) else value for name, value in context.items()}
