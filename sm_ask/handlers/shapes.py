"""The shapes of a record: each function gives what it holds, None where the record is of another shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sm_ask.chat import ToolCall
from sm_ask.handlers.decoding import Piece, text_or_none, tokens, unknown_shape

if TYPE_CHECKING:
    from sm_ask.chat import Usage
    from sm_ask.handlers.decoding import Shape


def choices(record: Any) -> Piece | None:  # noqa: ANN401 - JSON
    """Read OpenAI's formats: chat and completions, whole or a piece of a stream."""
    found = record.get("choices") if isinstance(record, dict) else None
    if not isinstance(found, list):
        return None
    usage = _counts(record.get("usage"), "prompt_tokens", "completion_tokens") if "usage" in record else None
    if not found:
        return Piece(usage=usage)
    choice = found[0]
    if not isinstance(choice, dict):
        raise unknown_shape(record, "choices[0].message")
    reason = text_or_none(choice.get("finish_reason"))
    content = choice.get("delta", choice.get("message"))
    if isinstance(text := choice.get("text"), str) and content is None:
        return Piece(text, "", bool(reason), reason, usage)
    if not isinstance(content, dict):
        raise unknown_shape(record, "choices[0].message")
    text = content.get("content") or ""
    text = text if isinstance(text, str) else _parts(text)
    reasoning = content.get("reasoning") or content.get("reasoning_content") or ""
    if not (isinstance(text, str) and isinstance(reasoning, str)):
        raise unknown_shape(record, "text in choices[0].message.content")
    calls = _calls(content["tool_calls"]) if "tool_calls" in content else ()
    return Piece(text, reasoning, bool(reason) or "message" in choice, reason, usage, calls)


def _calls(found: Any) -> tuple[ToolCall, ...]:  # noqa: ANN401 - JSON
    """Read calls of tools; those of a whole answer have no index but their place."""
    calls = found if isinstance(found, list) else []
    return tuple(_call(call, place) for place, call in enumerate(calls) if isinstance(call, dict))


def _call(call: dict[str, Any], place: int) -> ToolCall:
    index, function = call.get("index"), call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments") or ""
    if not isinstance(arguments, str):
        # Some containers parse what the others leave to the caller.
        arguments = json.dumps(arguments, ensure_ascii=False)
    identity, name = text_or_none(call.get("id")), text_or_none(function.get("name"))
    return ToolCall(index if type(index) is int else place, identity or None, name or None, arguments)


def _parts(content: Any) -> Any:  # noqa: ANN401 - JSON
    """Join a content that comes in parts."""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return content


def generated(record: Any) -> Piece | None:  # noqa: ANN401 - JSON
    """Read the format of TGI and LMI: tokens up to the one with ``generated_text``, or an object with that alone."""
    if isinstance(record, list) and record:
        record = record[0]
    if not isinstance(record, dict):
        return None
    whole = record.get("generated_text")
    details = record.get("details")
    token = record.get("token")
    text = whole
    if isinstance(token, dict):
        text = "" if token.get("special") or token.get("special_token") else token.get("text")
    elif isinstance(whole, str):
        text = _without_inputs(whole, details)
    if not isinstance(text, str):
        return None
    if not isinstance(details, dict):
        return Piece(text, "", whole is not None)
    usage = _counts(details, "input_length", "generated_tokens") if details else None
    return Piece(text, "", whole is not None, text_or_none(details.get("finish_reason")), usage)


def _without_inputs(whole: str, details: Any) -> str:  # noqa: ANN401 - JSON
    """Take the prompt off a text where the container itself says that the rest alone was generated."""
    inputs, generated_tokens = _at(details, "inputs"), _at(details, "tokens")
    if not (isinstance(inputs, str) and isinstance(generated_tokens, list) and whole.startswith(inputs)):
        return whole
    rest = whole[len(inputs) :]
    return rest if "".join(str(_at(token, "text")) for token in generated_tokens) == rest else whole


def outputs(record: Any) -> Piece | None:  # noqa: ANN401 - JSON
    """Read the tokens of the first LMI versions, which send no end mark."""
    found = record.get("outputs") if isinstance(record, dict) else None
    return Piece(found[0], ended=True) if isinstance(found, list) and found and isinstance(found[0], str) else None


def keyed(*keys: str) -> Shape:
    """Make a shape that knows its text by a key; the container sends it once, or has no end mark.

    Lists are looked through for their first element, a conversation for its last message.
    """

    def read(record: Any) -> Piece | None:  # noqa: ANN401 - JSON
        while isinstance(record, list) and record:
            record = record[0]
        if isinstance(record, str):
            return Piece(record, ended=True)
        if not isinstance(record, dict):
            return None
        for key in keys:
            text = _text_in(record.get(key))
            if text is not None:
                reason = record.get("finish_reason") or record.get("stop_reason")
                return Piece(text, ended=True, reason=text_or_none(reason))
        return None

    return read


def _text_in(value: Any) -> str | None:  # noqa: ANN401 - JSON
    while isinstance(value, list) and value:
        value = value[-1] if isinstance(value[-1], dict) and "role" in value[-1] else value[0]
    if isinstance(value, dict):
        value = value.get("content")
    return text_or_none(value)


def cohere(record: Any) -> Piece | None:  # noqa: ANN401 - JSON
    """Read Cohere's first chat and generate formats: events that say whether they are the last, or one object."""
    if not isinstance(record, dict):
        return None
    reason = text_or_none(record.get("finish_reason"))
    generations = record.get("generations")
    if isinstance(generations, list) and generations and isinstance(generations[0], dict):
        text, reason = generations[0].get("text"), reason or text_or_none(generations[0].get("finish_reason"))
        return Piece(text, ended=True, reason=reason) if isinstance(text, str) else None
    ended = record.get("is_finished", True)
    response = record.get("response")
    counted = response if isinstance(response, dict) else record
    usage = _counts(counted.get("token_count"), "prompt_tokens", "response_tokens")
    text = record.get("text")
    if ended and isinstance(response, dict):
        # It repeats the whole text.
        text = ""
    if not ended and not isinstance(text, str):
        text = ""
    return Piece(text, ended=bool(ended), reason=reason, usage=usage) if isinstance(text, str) else None


def ai21(record: Any) -> Piece | None:  # noqa: ANN401 - JSON
    """Read the format of AI21's Jurassic-2, which lists its tokens instead of counting them."""
    if isinstance(record, list) and record:
        record = record[0]
    completion = _at(record, "completions", 0)
    text = _at(completion, "data", "text")
    if not isinstance(text, str):
        return None
    counts = [_at(record, "prompt", "tokens"), _at(completion, "data", "tokens")]
    usage = tokens(*(len(found) if isinstance(found, list) else None for found in counts))
    reason = text_or_none(_at(completion, "finishReason", "reason"))
    return Piece(text, ended=True, reason=reason, usage=usage)


def verbatim(record: Any) -> Piece | None:  # noqa: ANN401 - JSON, or text
    """Read a piece of a body that is nothing but text."""
    return Piece(record, ended=True) if isinstance(record, str) else None


def _at(value: Any, *path: str | int) -> Any:  # noqa: ANN401 - JSON
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and len(value) > step else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def _counts(counts: Any, inputs: str, outputs: str) -> Usage | None:  # noqa: ANN401 - JSON
    return tokens(counts.get(inputs), counts.get(outputs)) if isinstance(counts, dict) else None
