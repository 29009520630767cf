"""The OpenAI chat format: vLLM, SGLang, llama.cpp, NIM, TGI from 2.4 on, LMI from 0.27 on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sm_ask.handlers.decoding import Piece, deltas, text_or_none, tokens, unknown_shape
from sm_ask.handlers.params import body_of, translate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sm_ask.chat import Delta, Request, Usage


class OpenAIChat:
    """``{"messages": […]}`` → ``choices[0].message.content``, streamed as server-sent events up to ``[DONE]``."""

    name = "openai-chat"
    content_type = "application/json"
    accept = "application/json"

    def encode(self, request: Request) -> bytes:
        """Give the messages, and the parameters at the top level under the names that most servers share."""
        body: dict[str, Any] = {"messages": [{"role": m.role, "content": m.content} for m in request.messages]}
        body |= translate(request.params, "max_tokens", "max_completion_tokens")
        if request.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body_of(body)

    def decode(self, chunks: Iterable[bytes]) -> Iterator[Delta]:
        """Read chunks with ``delta`` or one object with ``message``."""
        return deltas(chunks, _read)


def _read(record: Any) -> Piece:  # noqa: ANN401 - JSON
    choices = record.get("choices") if isinstance(record, dict) else None
    if not isinstance(choices, list):
        raise unknown_shape(record, "choices")
    usage = _usage(record.get("usage"))
    if not choices:
        return Piece(usage=usage)
    choice = choices[0]
    content = choice.get("delta", choice.get("message")) if isinstance(choice, dict) else None
    if not isinstance(content, dict):
        raise unknown_shape(record, "choices[0].message")
    text = content.get("content") or ""
    reasoning = content.get("reasoning") or content.get("reasoning_content") or ""
    if not (isinstance(text, str) and isinstance(reasoning, str)):
        raise unknown_shape(record, "text in choices[0].message.content")
    reason = text_or_none(choice.get("finish_reason"))
    return Piece(text, reasoning, ended=bool(reason) or "message" in choice, reason=reason, usage=usage)


def _usage(usage: Any) -> Usage | None:  # noqa: ANN401 - JSON
    if not isinstance(usage, dict):
        return None
    return tokens(usage.get("prompt_tokens"), usage.get("completion_tokens"))
