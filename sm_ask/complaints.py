"""What a container says when it refuses or fails → the message in it, and what is known of its cause; no I/O."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask.errors import ContextError, ModelError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: How much of what a container says is shown, and how much is looked through for its cause.
LONGEST = 500
_TELLING = 4 * LONGEST
_PAGE = 20 * LONGEST
_FIRST_ERROR_STATUS = 400
#: One of these keys stands in every error but LMI's.
_SIGNS = frozenset({"error", "error_code", "message", "detail"})
#: A container that passes on another one's error wraps it once or twice.
_WRAPPINGS = 3
# Texts, not compiled: most runs see no error, and these would cost them some milliseconds.
_TAGS = r"(?is)<(?:head|style|script)\b.*?</(?:head|style|script)>|<[^>]*>"


def message(body: Any) -> str | None:  # noqa: ANN401 - JSON
    """Dig out the message of an error object, as containers send it even with HTTP 200; None where it is none."""
    if not isinstance(body, dict):
        return None
    token = body.get("token")
    # LMI hides an error in the last token of a stream, which else looks like a proper end.
    hidden = token.get("error_msg") if isinstance(token, dict) else None
    if not hidden and _SIGNS.isdisjoint(body) and body.get("object") != "error":
        # Nearly always; each piece of a stream passes here.
        return None
    return _message(body, body.get("error") or hidden)


def _message(body: dict[str, Any], error: Any) -> str | None:  # noqa: ANN401 - JSON
    if isinstance(error, dict):
        return str(error.get("message") or error)
    if error:
        return str(error)
    if body.get("object") == "error" or "error_code" in body:
        return str(body.get("message") or body)
    if "message" in body and type(code := body.get("code")) is int and code >= _FIRST_ERROR_STATUS:
        # The front end's own: DJL, MMS, TorchServe.
        return str(body["message"] or body)
    return _detail(body["detail"]) if "detail" in body and len(body) == 1 else None


def _detail(found: Any) -> str:  # noqa: ANN401 - JSON
    """Read FastAPI's errors: a text, or a list of what is wrong and where."""
    if not (isinstance(found, list) and all(isinstance(part, dict) and "msg" in part for part in found)):
        return str(found)
    return "; ".join(f"{_place(part.get('loc'))}{part['msg']}" for part in found)


def _place(path: Any) -> str:  # noqa: ANN401 - JSON
    return ".".join(map(str, path)) + ": " if isinstance(path, list) else ""


def said(body: str) -> str:
    """Give the message in the body of an error response, of whichever shape, in one line; else the body itself."""
    text = body
    for _ in range(_WRAPPINGS):
        found = message(_json(text))
        if found is None:
            break
        text = found
    if (known := _json(text)) and isinstance(known, dict) and isinstance(known.get("message"), str):
        # A refusal is an error whether or not it has an error's usual shape.
        text = known["message"]
    if text.lstrip().startswith("<"):
        text = re.sub(_TAGS, " ", text[:_PAGE])
    return " ".join(text.split())


def _json(text: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return None


class _Schema(NamedTuple):
    """The words of a container that expects another body, what it looks like, and the presets that may fit it."""

    words: str
    looks_like: str
    presets: tuple[str, ...] = ()


def _missing(field: str) -> str:
    """Make a pattern for the usual ways to say that a field of the body is missing."""
    return (
        rf"\b{field}\b.{{0,80}}?field required|missing field\W{{1,3}}{field}\b|KeyError\W{{1,4}}{field}\b|^'{field}'$"
    )


#: In this order, the clearest first.
_SCHEMAS = (
    _Schema("suitable handler for request", "a vLLM container", ("openai-chat",)),
    _Schema("must provide a chat template", "a model without a chat template", ("openai-completions",)),
    _Schema("must contain prompt, inputs,? or messages", "an LMI container", ("lmi", "openai-chat")),
    _Schema("exactly one of the input fields", "an MLflow container", ("mlflow",)),
    _Schema(r"\btext_inputs\b", "an older JumpStart container", ("jumpstart-text2text", "jumpstart-textgeneration")),
    _Schema(
        r"(?:missing|parse|attribute|expected)\b.{0,60}\btext_input\b|\btext_input\b.{0,40}(?:missing|required)",
        "a Triton container",
        ("triton",),
    ),
    _Schema("any variant of untagged enum", "a TGI container that misses a field, or finds one of another type"),
    _Schema(
        r"text input must be of type|can only concatenate str \(not .{0,3}dict",
        "a container of the Hugging Face toolkit",
        ("huggingface",),
    ),
    _Schema(_missing("messages"), "a container that speaks OpenAI's chat format", ("openai-chat",)),
    _Schema(_missing("inputs"), "a container that speaks TGI's format", ("tgi", "lmi", "huggingface")),
    _Schema(_missing("prompt"), "a container that takes a prompt", ("openai-completions", "ai21")),
    _Schema("unsupported media type|unsupported content.?type", "a container that takes another content type"),
)

_TOO_LONG = (
    r"context (?:length|size|window)|context_length|exceed_context|max_model_len|longer than the model|"
    r"max(?:imum)? (?:model|input|sequence|prompt) length|`inputs` (?:tokens \+|must have less)|too many tokens|"
    r"(?:prompt|input)(?: \([^)]*\))? is too long"
)
_LIMIT = (
    r"(?:context (?:length|size|window)|max(?:imum)? (?:model|input|sequence|prompt) length|max_model_len|must be <=|"
    r"less than|limit of|cannot exceed)\D{0,12}?(\d[\d,]*)"
)

_UNKNOWN_PARAMETER = (
    r"unexpected keyword argument\W+(\w+)|unknown (?:field|parameter|argument)\W+(\w+)|"
    r"(\w+)\W{1,12}extra (?:inputs|fields)(?: are)? not permitted|unrecognized [\w ]*argument(?: supplied)?\W+(\w+)|"
    r"`model_kwargs` are not used by the model\W+(\w+)"
)
#: Other causes: the words, and the hint that they lead to; what a group found is named in it.
_CAUSES = (
    (_UNKNOWN_PARAMETER, "the container does not know the parameter {}; leave it out"),
    ("accept_eula", "accept the model's licence with --custom-attributes accept_eula=true"),
    (r"the model \S+ does not exist", "name a model that the container serves with -o model=NAME, or none"),
)


def error(
    about: str,
    text: str,
    *,
    refused: bool,
    hints: Iterable[str] = (),
    request_id: str | None = None,
    retry_after: float | None = None,
) -> ModelError:
    """Make an error of what a container said, of the class and with the hint that its cause has.

    ``about`` goes before the text; ``refused`` says whether the model cannot have run, which words alone do not show: a
    container that fails may quote the question.
    """
    known: dict[str, Any] = {"request_id": request_id, "retry_after": retry_after, "maybe_charged": not refused}
    whole, text = f"{about}: {text[:LONGEST]}", text[:_TELLING]
    if _found(_TOO_LONG, text):
        number = _found(_LIMIT, text)
        limit = int(number[1].replace(",", "")) if number else None
        takes = f"the container takes {limit:,} tokens" if limit else "that is more than the container takes"
        hint = f"{takes}, question and answer together; ask with less text, or a smaller --max-tokens"
        return ContextError(whole, limit=limit, hint=_joined(hint, *hints), **known)
    if schema := next((each for each in _SCHEMAS if _found(each.words, text)), None):
        advice = f"try --handler {schema.presets[0]}" if schema.presets else "another --handler may fit"
        hint = f"this looks like {schema.looks_like}; {advice}"
        return SchemaError(whole, presets=schema.presets, hint=_joined(hint, *hints), **known)
    return ModelError(whole, hint=_joined(*_cause(text), *hints), **known)


def _cause(text: str) -> Iterator[str]:
    for words, hint in _CAUSES:
        if found := _found(words, text):
            yield hint.format(next(filter(None, found.groups()), "that it names"))


def _found(words: str, text: str) -> re.Match[str] | None:
    return re.search(words, text, re.IGNORECASE)


def _joined(*hints: str) -> str | None:
    return "; ".join(hints) or None
