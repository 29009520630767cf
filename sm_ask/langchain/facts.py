"""What is known of an answer, under the names that LangChain's users look for."""

from __future__ import annotations

from typing import Any

from langchain_core.messages.ai import UsageMetadata

from sm_ask.chat import Answer


def facts(answer: Answer | None, endpoint: str) -> dict[str, Any]:
    """Give how an answer came about; one that a stop ended early is none, and nobody counted it."""
    if answer is None:
        return {"model_name": endpoint, "finish_reason": "stop"}
    found = {
        "model_name": endpoint,
        "finish_reason": answer.finish_reason,
        "usage": answer.usage._asdict(),
        "request_id": answer.request_id,
        "variant": answer.variant,
        "attempts": answer.attempts,
        "first_token_s": answer.timing.first_token_s,
        "total_s": answer.timing.total_s,
    }
    return {name: value for name, value in found.items() if value is not None}


def counted(answer: Answer | None) -> UsageMetadata | None:
    """Give the tokens that the container counted; None where it did not, as an estimate is no bill."""
    if answer is None or answer.usage.estimated:
        return None
    inputs, outputs = answer.usage.input_tokens or 0, answer.usage.output_tokens or 0
    return UsageMetadata(  # type: ignore[no-any-return, typeddict-item]  # the others are not required
        input_tokens=inputs, output_tokens=outputs, total_tokens=inputs + outputs
    )
