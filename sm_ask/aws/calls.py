"""Calls that differ in their bodies alone: what botocore works out anew for each of them is worked out once."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from botocore.context import start_as_current_context
from botocore.endpoint import convert_to_response_dict
from botocore.exceptions import ClientError

from sm_ask.aws.error_bodies import FIRST_ERROR_STATUS, readable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.awsrequest import AWSResponse


class Calls:
    """Makes the calls of a client; shared by threads.

    The parameters, the address and the headers are settled when a call is first made, and a good response is not
    parsed: a third of botocore's work. Each request is signed and sent by botocore as ever, and a bad response is read
    by it. Its other events do not come, so it is for a client that nobody else has put handlers on.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - botocore makes its clients at run time
        """Call with that client."""
        self._client = client
        self._endpoint = client._endpoint  # noqa: SLF001 - no other way in
        self._drafts: dict[tuple[Any, ...], tuple[Any, dict[str, Any]]] = {}

    def make(self, operation: str, parameters: Mapping[str, Any], *, timeout: float) -> AWSResponse:
        """Make a call with at most so many seconds between two bytes; give the response, or raise ClientError."""
        key = (operation, *(item for item in parameters.items() if item[0] != "Body"))
        with start_as_current_context():
            model, draft = self._drafts.get(key) or self._drafts.setdefault(key, self._draft(operation, parameters))
            tries = {"invocation-id": str(uuid.uuid4()), "attempt": 1, "max": 1}
            request = {
                **draft,
                "headers": draft["headers"].copy(),
                "body": parameters["Body"],
                "context": {**_copied(draft["context"]), "read_timeout": timeout, "retries": tries},
            }
            sent = self._endpoint.create_request(request, model)
            response: AWSResponse = self._endpoint.http_session.send(sent)
        if response.status_code >= FIRST_ERROR_STATUS:
            raise ClientError(self._refusal(response, model), operation)
        return response

    def _refusal(self, response: AWSResponse, model: Any) -> Any:  # noqa: ANN401 - likewise
        found = convert_to_response_dict(response, model)
        readable(found)
        parser = self._endpoint._response_parser_factory.create_parser(  # noqa: SLF001 - likewise
            model.service_model.resolved_protocol
        )
        parsed = parser.parse(found, model.output_shape)
        self._endpoint._add_modeled_error_fields(found, parsed, model, parser)  # noqa: SLF001 - likewise
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
