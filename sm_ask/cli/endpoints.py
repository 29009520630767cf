"""`sm-ask endpoints`: which there are, what runs behind one, and the content handler that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sm_ask import profiles
from sm_ask.choice import ASSUMED
from sm_ask.cli.connection import settle
from sm_ask.cli.options import CallOptions, expanded
from sm_ask.connection import access_to
from sm_ask.errors import ConfigError
from sm_ask.render import output, table
from sm_ask.render.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sm_ask.aws.control import Control
    from sm_ask.connection import Setup

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_COLUMNS = ("name", "status", "kind", "instance", "runs", "family", "handler")
_PATIENCE = 10.0


@app.command(name="endpoints")
@expanded
def endpoints(
    call: CallOptions,
    name: Annotated[str | None, typer.Argument(help="An endpoint to show.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """List the endpoints of the account and region, or show what runs behind one and which content handler fits."""
    out = Output()
    setup = settle(call)
    if setup.settings.name == profiles.LOCAL:
        raise ConfigError(
            "the endpoint on this machine is no endpoint of AWS",
            hint=f"it takes {ASSUMED[0]}; --profile names another profile",
        )
    control = _control(setup, call.timeout or _PATIENCE)
    from sm_ask import inventory

    if name is not None:
        found = inventory.entry(control, name)
        _tell([found])
        table.facts(out, found if as_json else _facts(found), as_json=as_json)
        return
    entries = list(inventory.entries(control))
    _tell(entries)
    rows = entries if as_json else [_row(entry, setup.settings.endpoint) for entry in entries]
    table.show(out, _COLUMNS, rows, as_json=as_json)


def _control(setup: Setup, timeout: float) -> Control:
    from sm_ask.aws.control import Control
    from sm_ask.aws.session import enter

    return Control(enter(access_to(setup), timeout=timeout, tell=output.note))


def _tell(entries: Iterable[Mapping[str, Any]]) -> None:
    """Say once of each thing that it could not be seen."""
    for message in dict.fromkeys(message for entry in entries for message in entry["unseen"]):
        output.note(f"not all can be seen: {message}")


def _row(entry: Mapping[str, Any], default: str | None) -> dict[str, Any]:
    components = entry["inference_components"]
    runs = f"{len(components)} components" if components else ", ".join(entry["models"]) or entry["image"]
    return {**entry, "runs": runs, "default": entry["name"] == default}


def _facts(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Give the lines for one endpoint; a variant or a component has one line."""
    known = {key: value for key, value in entry.items() if not isinstance(value, list)}
    if entry["handler"] is None and entry["candidates"]:
        known["candidates"] = ", ".join(entry["candidates"])
    for kind, key in (("variant", "variants"), ("component", "inference_components")):
        known |= {f"{kind} {piece['name']}": _line(piece) for piece in entry[key]}
    return known


def _line(piece: Mapping[str, Any]) -> str:
    instance = piece.get("instance")
    counted = f"{piece['count']} x {instance}" if instance and piece["count"] is not None else instance
    copies = piece.get("copies")
    model = piece["model"] and f"model {piece['model']}"
    parts = [piece.get("status"), counted, None if copies is None else f"copies {copies}", model, piece["image"]]
    return ", ".join(filter(None, [*parts, f"handler {piece['handler'] or 'unknown'}"]))
