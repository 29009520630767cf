"""``inputs`` and ``parameters`` → a prompt for llama.cpp, and its tokens → what text-generation-inference answers."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sm_ask.local.container import ContainerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_SEEDS = 2**32 - 1
_MOST_STOPS = 4
_REASONS = {"eos": "eos_token", "word": "stop_sequence", "limit": "length"}


class RefusedError(Exception):
    """The request does not pass TGI's validation."""


@dataclass(frozen=True)
class Generation:
    """A request that passed validation."""

    inputs: str
    stream: bool
    details: bool
    full_text: bool
    max_new_tokens: int | None
    seed: int | None
    sampling: Mapping[str, Any]


def _positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _count(value: object) -> bool:
    return _positive(value) and isinstance(value, int)


def _share(value: object) -> bool:
    return _positive(value) and isinstance(value, float) and value < 1


def _seed(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _stops(value: object) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_STOPS and all(isinstance(stop, str) for stop in value)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


_RULES: dict[str, tuple[Callable[[object], bool], str]] = {
    "max_new_tokens": (_count, "must be strictly positive"),
    "temperature": (_positive, "must be strictly positive"),
    "top_k": (_count, "must be strictly positive"),
    "top_p": (_share, "must be > 0.0 and < 1.0"),
    "repetition_penalty": (_positive, "must be strictly positive"),
    "seed": (_seed, "must be a whole number, and not negative"),
    "stop": (_stops, f"supports up to {_MOST_STOPS} stop sequences"),
    "do_sample": (_flag, "must be a boolean"),
    "details": (_flag, "must be a boolean"),
    "return_full_text": (_flag, "must be a boolean"),
}


def checked(body: Mapping[str, Any]) -> Generation:
    """Read a request by TGI's rules; RefusedError where it breaks one.

    Two of its defaults surprise: it samples where ``parameters`` is missing altogether, and it gives the prompt back
    with the answer unless told not to.
    """
    inputs, params = body["inputs"], body.get("parameters")
    if not isinstance(inputs, str):
        raise RefusedError("`inputs` must be a string")
    if not inputs:
        raise RefusedError("`inputs` cannot be empty")
    if params is not None and not isinstance(params, dict):
        raise RefusedError("`parameters` must be an object")
    given = {name: value for name, value in (params or {}).items() if value is not None}
    for name, (holds, rule) in _RULES.items():
        if name in given and not holds(given[name]):
            raise RefusedError(f"`{name}` {rule}")
    sampled = params is None or given.get("do_sample", False) or _warped(given)
    seed = given.get("seed", secrets.randbelow(_SEEDS)) if sampled else None
    return Generation(
        inputs=inputs,
        stream=body.get("stream") is True,
        details=given.get("details", False),
        full_text=given.get("return_full_text", True),
        max_new_tokens=given.get("max_new_tokens"),
        seed=seed,
        sampling=_sampling(given, seed),
    )


def _warped(given: Mapping[str, Any]) -> bool:
    return given.get("temperature", 1.0) != 1.0 or "top_k" in given or "top_p" in given


def _sampling(given: Mapping[str, Any], seed: int | None) -> dict[str, Any]:
    return {
        "temperature": 0.0 if seed is None else given.get("temperature", 1.0),
        "top_k": given.get("top_k", 0),
        "top_p": given.get("top_p", 1.0),
        "min_p": 0.0,
        "repeat_penalty": given.get("repetition_penalty", 1.0),
        "seed": (seed or 0) % _SEEDS,
        "stop": given.get("stop", []),
    }


def fit(generation: Generation, tokens: int, context: int) -> int:
    """Give the number of tokens to generate; RefusedError where they do not fit beside those of the prompt."""
    if tokens >= context:
        raise RefusedError(f"`inputs` must have less than {context} tokens. Given: {tokens}")
    wanted = generation.max_new_tokens
    if wanted is not None and tokens + wanted > context:
        raise RefusedError(
            f"`inputs` tokens + `max_new_tokens` must be <= {context}. "
            f"Given: {tokens} `inputs` tokens and {wanted} `max_new_tokens`"
        )
    return wanted or context - tokens


def events(records: Iterable[dict[str, Any]], generation: Generation, text_of: Callable[[int], str]) -> Iterator[Any]:
    """Turn llama.cpp's records into TGI's stream events; the last one has the whole text and the details.

    An event waits for the next record, as the last token and the end of the text come in one event.
    """
    text = generation.inputs if generation.full_text else ""
    waiting: dict[str, Any] | None = None
    for index, record in enumerate(records, start=1):
        if "error" in record:
            yield {"error": f"Request failed during generation: {record['error']}", "error_type": "generation"}
            return
        if record.get("stop"):
            details = _details(record, generation.seed) if generation.details else None
            text += record["stopping_word"]
            yield {**_last(waiting, record, index, text_of), "generated_text": text, "details": details}
            return
        if waiting is not None:
            yield waiting
        text += record["content"]
        waiting = _event(index, record)
    raise ContainerError("llama.cpp broke off before the end of its answer")


def _event(index: int, record: Mapping[str, Any]) -> dict[str, Any]:
    chances = record.get("completion_probabilities") or [{"logprob": 0.0}]
    token = {
        "id": record["tokens"][-1] if record["tokens"] else 0,
        "text": record["content"],
        "logprob": chances[-1]["logprob"],
        "special": False,
    }
    return {"index": index, "token": token, "generated_text": None, "details": None}


def _last(
    waiting: dict[str, Any] | None, record: Mapping[str, Any], index: int, text_of: Callable[[int], str]
) -> dict[str, Any]:
    """Give the last token the text that llama.cpp leaves out: TGI's answers show what ended them."""
    event = waiting or _event(index, record)
    token = event["token"]
    if record["stop_type"] == "eos" and not token["text"]:
        token |= {"text": text_of(token["id"]), "special": True}
    elif record["stop_type"] == "word":
        token |= {"text": token["text"] + record["stopping_word"]}
    return event


def _details(record: Mapping[str, Any], seed: int | None) -> dict[str, Any]:
    return {
        "finish_reason": _REASONS.get(record["stop_type"], "length"),
        "generated_tokens": record["tokens_predicted"],
        "seed": seed,
        "input_length": record["tokens_evaluated"],
    }


def whole(stream: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Put the events of a stream together into the object of a response that is not streamed."""
    tokens = []
    event: dict[str, Any] = {}
    for event in stream:
        if "token" in event:
            tokens.append(event["token"])
    if "error" in event:
        return event
    answer = {"generated_text": event["generated_text"]}
    if event["details"]:
        details = {name: value for name, value in event["details"].items() if name != "input_length"}
        answer["details"] = {**details, "prefill": [], "tokens": tokens}
    return answer


def records(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Read llama.cpp's server-sent events."""
    kept = b""
    for chunk in chunks:
        *lines, kept = (kept + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield json.loads(line[len(b"data:") :])


def encoded(event: Mapping[str, Any]) -> bytes:
    """Write one server-sent event as TGI does."""
    return b"data:" + json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
