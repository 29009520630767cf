"""The endpoints of an account: what runs behind each, and which content handler fits; as far as one may see it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sm_ask import scout
from sm_ask.aws import deployment
from sm_ask.errors import SmAskError
from sm_ask.handlers.detect import Found
from sm_ask.scout import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sm_ask.aws.control import Control

_T = TypeVar("_T")
_AT_ONCE = 8
_UNSEEN = Report(Found("unknown", None, "what runs behind it cannot be seen"))


def entries(control: Control) -> Iterator[dict[str, Any]]:
    """Describe all endpoints; what may only be listed has None for all else."""
    listed = list(control.pages("ListEndpoints", "Endpoints"))
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        yield from threads.map(lambda each: _entry_or_less(control, each), listed)


def _entry_or_less(control: Control, listed: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return entry(control, listed["EndpointName"])
    except SmAskError as error:
        return _told(listed, {}, [], [], [error.message])


def entry(control: Control, name: str) -> dict[str, Any]:
    """Describe one endpoint; raises SmAskError where not even that can be seen."""
    survey = _Survey(control, control.call("DescribeEndpoint", EndpointName=name))
    variants = survey.variants()
    components = [] if any(piece.report for piece in variants) else survey.components(name)
    return _told(survey.endpoint, survey.config, variants, components, survey.unseen)


class _Piece(NamedTuple):
    """A variant or an inference component: what to say of it, and the report on what runs in it."""

    facts: Mapping[str, Any]
    report: Report | None

    def told(self) -> dict[str, Any]:
        found, window = self.report or Report(_UNSEEN.found)
        known = {"family": found.family, "handler": found.preset, "candidates": list(found.candidates)}
        return {**self.facts, **known, "reason": found.reason, "context_window": window}


class _Survey:
    """Looks at one endpoint, and notes what may not be seen."""

    def __init__(self, control: Control, endpoint: Mapping[str, Any]) -> None:
        self.control, self.endpoint = control, endpoint
        self.unseen: list[str] = []
        self.config: Mapping[str, Any] = self._tried(lambda: deployment.config(control, endpoint), {})

    def _tried(self, look: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return look()
        except SmAskError as error:
            self.unseen.append(error.message)
            return otherwise

    def variants(self) -> list[_Piece]:
        models = deployment.models_of(self.config)
        settings = {variant["VariantName"]: variant for variant in self.config.get("ProductionVariants", [])}
        return [
            self._variant(variant, settings.get(variant["VariantName"], {}), models)
            for variant in self.endpoint.get("ProductionVariants", [])
        ]

    def _variant(self, described: Mapping[str, Any], settings: Mapping[str, Any], models: Mapping[str, str]) -> _Piece:
        part = self._tried(lambda: deployment.part(self.control, self.endpoint, described, models), None)
        name = described["VariantName"]
        facts = {
            "name": name,
            "model": models.get(name),
            "image": _images(part),
            "instance": settings.get("InstanceType"),
            "count": described.get("CurrentInstanceCount", settings.get("InitialInstanceCount")),
            "weight": described.get("CurrentWeight"),
        }
        return _Piece(facts, scout.of_part(self.control, part) if part and part.containers else None)

    def components(self, endpoint: str) -> list[_Piece]:
        nothing: list[Mapping[str, Any]] = []
        listed = self._tried(lambda: scout.components_of(self.control, endpoint), nothing)
        return [self._component(each) for each in listed]

    def _component(self, listed: Mapping[str, Any]) -> _Piece:
        name = listed["InferenceComponentName"]
        described = self._tried(
            lambda: self.control.call("DescribeInferenceComponent", InferenceComponentName=name), None
        )
        part = self._tried(lambda: deployment.component(self.control, described), None) if described else None
        runtime = (described or {}).get("RuntimeConfig") or {}
        facts = {
            "name": name,
            "status": listed.get("InferenceComponentStatus"),
            "model": part and part.model,
            "image": _images(part),
            "variant": listed.get("VariantName"),
            "copies": runtime.get("CurrentCopyCount"),
        }
        return _Piece(facts, scout.of_part(self.control, part) if part and part.containers else None)


def _told(
    endpoint: Mapping[str, Any],
    config: Mapping[str, Any],
    variants: list[_Piece],
    components: list[_Piece],
    unseen: list[str],
) -> dict[str, Any]:
    pieces = variants + components
    reports = [piece.report for piece in pieces if piece.report]
    found, window = (
        scout.together(reports, "inference components" if components else "variants") if reports else _UNSEEN
    )
    return {
        "name": endpoint["EndpointName"],
        "arn": endpoint.get("EndpointArn"),
        "status": endpoint.get("EndpointStatus"),
        "failure": endpoint.get("FailureReason"),
        "kind": _kind(endpoint, config) if variants else None,
        "instance": _joined(piece.facts.get("instance") for piece in variants),
        "models": [piece.facts["model"] for piece in pieces if piece.facts["model"]],
        "image": _joined(piece.facts["image"] for piece in pieces),
        "family": found.family,
        "handler": found.preset,
        "candidates": list(found.candidates),
        "reason": found.reason,
        "context_window": window,
        "created": _moment(endpoint.get("CreationTime")),
        "modified": _moment(endpoint.get("LastModifiedTime")),
        "variants": [piece.told() for piece in variants],
        "inference_components": [piece.told() for piece in components],
        "unseen": unseen,
    }


def _kind(endpoint: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    if endpoint.get("AsyncInferenceConfig") or config.get("AsyncInferenceConfig"):
        return "async"
    settings = [*endpoint.get("ProductionVariants", []), *config.get("ProductionVariants", [])]
    serverless = any(variant.get("CurrentServerlessConfig") or variant.get("ServerlessConfig") for variant in settings)
    return "serverless" if serverless else "real-time"


def _images(part: deployment.Part | None) -> str | None:
    return _joined(container.image or container.package for container in part.containers) if part else None


def _joined(several: Iterable[str | None]) -> str | None:
    """Give what several have, each once."""
    return ", ".join(dict.fromkeys(each for each in several if each)) or None


def _moment(found: Any) -> str | None:  # noqa: ANN401 - botocore gives a datetime
    return found.isoformat() if found else None
