"""A container's image and environment → the preset that fits, and why.

What counts is the repository's name, then the tag, then the environment; never the account, as public images are copied
to accounts of their users.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TRUE = ("true", "1", "yes", "on")
#: From here on, a container of the family answers the OpenAI chat format beside its own.
_TGI_CHAT = (2, 4)
_LMI_CHAT = (0, 27)
_LIKELY = ("openai-chat", "tgi", "lmi", "huggingface")
#: The families of images whose format depends on the model in them.
ANY_MODEL = ("custom", "unknown", "huggingface")


class Found(NamedTuple):
    """What is known of a container: its family, the preset that fits, why, and what else may be tried."""

    family: str
    preset: str | None
    reason: str
    candidates: tuple[str, ...] = ()


class Image(NamedTuple):
    """An image's name, without the registry it lies in."""

    path: tuple[str, ...]
    tag: str

    @property
    def name(self) -> str:
        """The last part of the repository's name."""
        return self.path[-1]

    @property
    def words(self) -> set[str]:
        """The words of the repository's name."""
        return {word for part in self.path for word in _split(part)}


def parse(uri: str) -> Image:
    """Take an image's URI apart."""
    rest = uri.strip().lower().partition("@")[0]
    *path, last = rest.split("/")
    # A registry has a dot or a port, or is this machine.
    if path and (re.search(r"[.:]", path[0]) or path[0] == "localhost"):
        path = path[1:]
    name, _, tag = last.partition(":")
    return Image((*path, name), tag)


def detect(uri: str | None, environment: Mapping[str, str] = MappingProxyType({})) -> Found:
    """Say which preset speaks to a container."""
    image = parse(uri or "")
    for family, fits, _ in _FAMILIES:
        if uri and fits(image.name, image.words):
            return _RULES[family](image, environment, f"the image {image.name}:{image.tag}")
    tag = set(_split(image.tag))
    for family, fits, _ in _FAMILIES:
        if uri and family not in _TOO_PLAIN and fits(image.tag, tag):
            return _RULES[family](image, environment, f"the tag {image.tag}")
    for family, _, prefixes in _FAMILIES:
        if variable := next((name for name in sorted(environment) if name.startswith(prefixes)), None):
            return _RULES[family](image, environment, f"the variable {variable} of the container")
    if not uri:
        return Found("unknown", None, "the model names no image, as packages of the Marketplace do", _LIKELY)
    return Found("custom", None, f"the image {image.name} is of no known family", _LIKELY)


def of_package(name: str) -> Found:
    """Say what the name of a model package tells, where that is all that is known."""
    words = set(_split(name.lower()))
    why = f"the model package {name.rpartition('/')[2]}"
    if "nim" in words:
        return _nim(parse(name), {}, why)
    vendors = {"cohere": ("cohere", "openai-chat"), "ai21": ("ai21", "openai-chat"), "jamba": ("openai-chat",)}
    known = next((presets for vendor, presets in vendors.items() if vendor in words), _LIKELY)
    return Found("package", None, f"{why} names no image", known)


def with_jumpstart(found: Found, model: str | None) -> Found:
    """Look at the id of a JumpStart model, which counts only where the image is any model's."""
    if model is None or found.family not in ANY_MODEL:
        return found
    why = f"the JumpStart model {model}"
    if re.search("llama-2-.*-f$", model):
        said = f"{why}, whose handler accepts a licence with each request, and so has to be named"
        return Found("jumpstart", None, said, ("jumpstart-llama2",))
    for pattern, preset in (("text2text", "jumpstart-text2text"), ("textgeneration1", "jumpstart-textgeneration")):
        if re.search(pattern, model):
            return Found("jumpstart", preset, why, (preset,))
    return found


def same(several: Sequence[Found], what: str) -> Found:
    """Say what is known of several things that may all answer: what they have in common, or that they differ."""
    if len({found.preset for found in several}) == 1:
        return several[0]
    names = ", ".join(found.preset or found.family for found in several)
    candidates = dict.fromkeys(preset for found in several for preset in found.candidates)
    return Found("several", None, f"its {what} differ: {names}", tuple(candidates))


def _split(text: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", text.replace("llama.cpp", "llamacpp")) if word]


def _version(tag: str, pattern: str) -> tuple[int, int] | None:
    found = re.search(pattern + r"(\d+)\.(\d+)", tag)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    # A development build says 0.0.
    return version if version != (0, 0) else None


def _is(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().lower() in _TRUE


def _tgi(image: Image, environment: Mapping[str, str], why: str) -> Found:
    version = _version(image.tag, r"tgi") or (_version(image.tag, "^v?") if "tgi" not in image.name else None)
    said = f"{why}, TGI {version[0]}.{version[1]}" if version else why
    if _is(environment, "MESSAGES_API_ENABLED"):
        return Found("tgi", "openai-chat", f"{said}, with MESSAGES_API_ENABLED", ("openai-chat", "tgi"))
    if version and version >= _TGI_CHAT:
        said += ", which applies the model's chat template with --handler openai-chat"
        return Found("tgi", "tgi", said, ("tgi", "openai-chat"))
    return Found("tgi", "tgi", said, ("tgi",))


def _lmi(image: Image, environment: Mapping[str, str], why: str) -> Found:
    version = _version(image.tag, "^v?")
    said = f"{why}, DJL {version[0]}.{version[1]}" if version else why
    if _is(environment, "OPTION_BEDROCK_COMPAT"):
        return Found("lmi", None, f"{said}, with OPTION_BEDROCK_COMPAT, whose format no preset has", ("raw",))
    entry = environment.get("OPTION_ENTRYPOINT", "")
    if entry and not entry.startswith("djl_python."):
        return Found("lmi", None, f"{said}, with code of its own (OPTION_ENTRYPOINT={entry})", ("lmi", "raw"))
    engine = environment.get("OPTION_ROLLING_BATCH", "").lower()
    if _is(environment, "OPTION_ASYNC_MODE"):
        said += ", asynchronous mode"
    elif engine and engine != "disable":
        said += f", rolling batch {engine}"
    if version and version < _LMI_CHAT:
        return Found("lmi", "lmi", said, ("lmi",))
    said += ", which applies the model's chat template with --handler openai-chat"
    return Found("lmi", "lmi", said, ("lmi", "openai-chat"))


def _vllm(image: Image, environment: Mapping[str, str], why: str) -> Found:
    words = image.words | set(_split(image.tag))
    if "omni" in words:
        return Found("vllm-omni", None, f"{why}: vLLM-Omni makes images and speech, not text", ("openai-chat",))
    task = environment.get("SM_VLLM_TASK") or environment.get("SM_VLLM_RUNNER", "")
    if task.lower() in ("embed", "embedding", "pooling", "score", "classify", "reward"):
        return Found("vllm", None, f"{why}, with the task {task}, which generates no text")
    return Found("vllm", "openai-chat", f"{why}: vLLM", ("openai-chat", "openai-completions"))


def _sglang(_: Image, environment: Mapping[str, str], why: str) -> Found:
    if _is(environment, "SM_SGLANG_IS_EMBEDDING"):
        return Found("sglang", None, f"{why}: SGLang with an embedding model, which generates no text")
    return Found("sglang", "openai-chat", f"{why}: SGLang", ("openai-chat",))


def _llama_cpp(_: Image, __: Mapping[str, str], why: str) -> Found:
    return Found("llama-cpp", "openai-chat", f"{why}: llama.cpp", ("openai-chat",))


def _nova(_: Image, __: Mapping[str, str], why: str) -> Found:
    return Found("nova", "nova", f"{why}: Amazon Nova", ("nova",))


def _nim(image: Image, environment: Mapping[str, str], why: str) -> Found:
    words = image.words | set(_split(image.tag))
    if any(word.startswith(("embed", "rerank")) for word in words):
        return Found("nim", None, f"{why}: a NIM that embeds or ranks, which generates no text")
    model = environment.get("NIM_SERVED_MODEL_NAME", "NAME").partition(",")[0]
    return Found("nim", "openai-chat", f"{why}: NIM, which may ask for -o model={model}", ("openai-chat",))


def _huggingface(_: Image, environment: Mapping[str, str], why: str) -> Found:
    task = environment.get("HF_TASK", "")
    if task and not re.search("generation|summarization|translation|conversational|image-text-to-text", task):
        return Found("huggingface", None, f"{why}, with the task {task}, which generates no text", ("raw",))
    said = f"{why}: the Hugging Face inference toolkit" + (f", task {task}" if task else "")
    if environment.get("SAGEMAKER_PROGRAM"):
        said += f"; its own {environment['SAGEMAKER_PROGRAM']} may want something else"
    return Found("huggingface", "huggingface", said, ("huggingface", "raw"))


def _tei(_: Image, __: Mapping[str, str], why: str) -> Found:
    return Found("tei", None, f"{why}: text-embeddings-inference, which generates no text")


def _triton(_: Image, environment: Mapping[str, str], why: str) -> Found:
    kind = environment.get("SAGEMAKER_TRITON_INFERENCE_TYPE", "").lower()
    if kind == "infer":
        said = f"{why}: Triton with the inference type infer, which takes tensors, not text"
        return Found("triton", None, said, ("raw",))
    said = f"inference type {kind}" if kind else "which takes text if its inference type is generate"
    return Found("triton", "triton", f"{why}: Triton, {said}", ("triton", "raw"))


def _mlflow(_: Image, __: Mapping[str, str], why: str) -> Found:
    return Found("mlflow", "mlflow", f"{why}: MLflow", ("mlflow", "raw"))


def _custom(_: Image, __: Mapping[str, str], why: str) -> Found:
    return Found("custom", None, f"{why}: its own code decides about the format", (*_LIKELY, "text", "raw"))


def _any(*wanted: str) -> Callable[[str, set[str]], bool]:
    """Make a test for words."""
    return lambda _, words: not words.isdisjoint(wanted)


def _like(pattern: str) -> Callable[[str, set[str]], bool]:
    """Make a test for a name's pattern."""
    return lambda name, _: re.search(pattern, name) is not None


#: In this order: the name's test, and the beginnings of environment variables that only this family has.
_FAMILIES: tuple[tuple[str, Callable[[str, set[str]], bool], tuple[str, ...]], ...] = (
    ("tei", _like(r"(^|[-_])tei($|[-_])|text-embeddings-inference"), ("TEI_",)),
    ("tgi", _like(r"(^|[-_])tgi(\d|$|[-_])|text-generation-inference"), ("MESSAGES_API_ENABLED",)),
    ("lmi", _like(r"djl|(^|[-_])lmi(\d|$|[-_])"), ("OPTION_", "SERVING_LOAD_MODELS")),
    ("vllm", _any("vllm"), ("SM_VLLM_", "VLLM_")),
    ("sglang", _any("sglang"), ("SM_SGLANG_", "SGLANG_")),
    ("llama-cpp", _like(r"llama[-_.]?cpp"), ("SM_LLAMA_CPP_", "LLAMA_ARG_")),
    ("nova", _like(r"nova-inference"), ()),
    ("nim", _any("nim"), ("NIM_", "NGC_API_KEY")),
    ("triton", _any("tritonserver"), ("SAGEMAKER_TRITON_",)),
    ("mlflow", _any("mlflow"), ()),
    ("huggingface", _like(r"huggingface-(pytorch|tensorflow)-inference|huggingface-inference"), ("HF_TASK",)),
    ("custom", _like(r"(pytorch|tensorflow|autogluon)-inference|^ray"), ()),
)
_TOO_PLAIN = ("custom",)

_RULES: Mapping[str, Callable[[Image, Mapping[str, str], str], Found]] = {
    "tei": _tei,
    "tgi": _tgi,
    "lmi": _lmi,
    "vllm": _vllm,
    "sglang": _sglang,
    "llama-cpp": _llama_cpp,
    "nova": _nova,
    "nim": _nim,
    "triton": _triton,
    "mlflow": _mlflow,
    "huggingface": _huggingface,
    "custom": _custom,
}
