"""`sm-ask profiles`: which there are, what they say, and a first one."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from sm_ask import handlers, profiles
from sm_ask.errors import UsageError
from sm_ask.profiles.first import write_first
from sm_ask.render import output, table

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_COLUMNS = ("name", "endpoint", "region", "handler", "from")


@app.command(name="profiles")
def show(
    name: Annotated[
        str | None, typer.Argument(help="A profile to show; init writes a first one.", metavar="[NAME | init]")
    ] = None,
    config: Annotated[str | None, typer.Option(envvar="SM_ASK_CONFIG", help="The profiles file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    endpoint: Annotated[str | None, typer.Option("--endpoint", "-e", help="With init: the endpoint's name.")] = None,
    region: Annotated[str | None, typer.Option(help="With init: the AWS region.")] = None,
    handler: Annotated[str | None, typer.Option(help="With init: the content handler.")] = None,
    aws_profile: Annotated[str | None, typer.Option(help="With init: a profile of ~/.aws/config.")] = None,
    called: Annotated[str, typer.Option("--name", help="With init: the new profile's name.")] = "default",
) -> None:
    """List the profiles, show one, or write a first one with init."""
    path = profiles.location(config, os.environ)
    if name == "init":
        if not endpoint:
            raise UsageError("the first profile needs an endpoint", hint="sm-ask profiles init --endpoint NAME")
        if handler not in (None, handlers.AUTO):
            handlers.choose(handler)
        write_first(path, endpoint=endpoint, region=region, handler=handler, aws_profile=aws_profile, name=called)
        output.note(f"wrote {path}; try it with: sm-ask prompt 'Say hi'")
        return
    found = profiles.load(path, required=bool(config))
    known = _rows(found) if name is None else _facts(found, name)
    for warning in (*found.warnings, *found.slips.get(name or "", ())):
        output.note(warning)
    if isinstance(known, list):
        table.show(output.Output(), _COLUMNS, known, as_json=as_json)
    else:
        table.facts(output.Output(), known, as_json=as_json)


def _rows(found: profiles.Profiles) -> list[dict[str, Any]]:
    """Give all of them; raises ConfigError where one cannot be used."""
    chosen = [found.choose(name) for name in (*found.profiles, *found.faults)]
    return [
        {
            "name": profile.name,
            "endpoint": profile.endpoint,
            "region": profile.region,
            "handler": profile.handler,
            "default": profile.name == found.default,
            "from": _origin(found, profile),
        }
        for profile in chosen
    ]


def _facts(found: profiles.Profiles, name: str) -> dict[str, Any]:
    profile = found.choose(name)
    roles = [{**role, "external_id": "(set)"} if "external_id" in role else role for role in profile.assume_role or ()]
    known = {**profile._asdict(), "params": dict(profile.params), "assume_role": roles or None}
    return {**known, "default": name == found.default, "from": _origin(found, profile)}


def _origin(found: profiles.Profiles, profile: profiles.Profile) -> str | None:
    return "built in" if profile.name == profiles.LOCAL else str(found.path)
