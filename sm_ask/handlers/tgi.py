"""Hugging Face's text-generation-inference, and the containers that speak its ``inputs`` and ``parameters``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sm_ask.handlers.decoding import Piece, deltas, text_or_none, tokens, unknown_shape
from sm_ask.handlers.params import body_of, translate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sm_ask.chat import Delta, Request, Usage


class Tgi:
    """``{"inputs", "parameters"}`` → ``[{"generated_text"}]``, streamed token by token.

    The container never echoes the prompt, as ``return_full_text`` is false, so nothing is cut off its answer.
    """

    name = "tgi"
    content_type = "application/json"
    accept = "application/json"

    def encode(self, request: Request) -> bytes:
        """Give one text, the messages joined by blank lines, and the parameters within TGI's ranges."""
        body: dict[str, Any] = {
            "inputs": "\n\n".join(message.content for message in request.messages),
            "parameters": {"return_full_text": False, "details": True, **_parameters(request.params)},
        }
        if request.stream:
            body["stream"] = True
        return body_of(body)

    def decode(self, chunks: Iterable[bytes]) -> Iterator[Delta]:
        """Read tokens up to the one with ``generated_text``, or one object with it, in a list or not."""
        return deltas(chunks, _read)


def _parameters(canonical: Mapping[str, Any]) -> dict[str, Any]:
    """Translate to TGI, which refuses what stands outside its ranges: temperature 0, top_p 1, top_k 0, a lone stop."""
    params = translate(canonical, "max_new_tokens")
    temperature = params.pop("temperature", None)
    if temperature:
        params = {"temperature": temperature, "do_sample": True, **params}
    elif temperature is not None:
        params = {"do_sample": False, **params}
    if _number(params.get("top_p"), 0) >= 1:
        del params["top_p"]
    if _number(params.get("top_k"), 1) <= 0:
        del params["top_k"]
    return params


def _number(value: Any, default: float) -> float:  # noqa: ANN401 - JSON
    return value if isinstance(value, (int, float)) else default


def _read(record: Any) -> Piece:  # noqa: ANN401 - JSON
    if isinstance(record, list) and record:
        record = record[0]
    if not isinstance(record, dict):
        raise unknown_shape(record, "generated_text")
    whole = record.get("generated_text")
    reason, usage = _details(record.get("details"))
    token = record.get("token")
    text = whole
    if isinstance(token, dict):
        text = "" if token.get("special") or token.get("special_token") else token.get("text")
    if not isinstance(text, str):
        raise unknown_shape(record, "generated_text")
    return Piece(text, ended=whole is not None, reason=reason, usage=usage)


def _details(details: Any) -> tuple[str | None, Usage | None]:  # noqa: ANN401 - JSON
    if not isinstance(details, dict):
        return None, None
    usage = tokens(details.get("input_length"), details.get("generated_tokens"))
    return text_or_none(details.get("finish_reason")), usage
