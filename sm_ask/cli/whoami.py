"""`sm-ask whoami`: account, identity, region and address, and where each setting came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sm_ask import profiles
from sm_ask.cli.connection import settle
from sm_ask.cli.given import Given
from sm_ask.cli.options import CallOptions, expanded
from sm_ask.connection import access_to
from sm_ask.render import output
from sm_ask.render.output import Output
from sm_ask.render.terminal import one_line

if TYPE_CHECKING:
    from sm_ask.aws.hops import Assumed
    from sm_ask.aws.session import Entry

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_FIELDS = ("account", "arn", "aws_profile", "region", "endpoint_url", "hops", "expires")
_PATIENCE = 10.0
_HERE = "the endpoint on this machine; AWS is not asked"


@app.command(name="whoami")
@expanded
def whoami(
    context: typer.Context,
    call: CallOptions,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Show who asks, in which account and region, and where each setting came from."""
    out = Output()
    setup = settle(call)
    if setup.settings.name == profiles.LOCAL:
        known: dict[str, Any] = {**dict.fromkeys(_FIELDS), "hops": [], "origins": dict.fromkeys(_FIELDS, _HERE)}
    else:
        from sm_ask.aws.session import enter

        entry = enter(access_to(setup), timeout=call.timeout or _PATIENCE, tell=output.note)
        known = _known(entry, Given(context, setup.settings, call.config))
    _show(known, out, as_json=as_json)


def _known(entry: Entry, given: Given) -> dict[str, Any]:
    from sm_ask.aws import identity, origins

    if entry.credentials is None:
        raise AssertionError("a signed entry has credentials")
    who = identity.identify(entry.credentials, entry.sts)
    hops = identity.hops(entry.credentials)
    expires = identity.expires(entry.credentials)
    found = origins.aws_profile(entry.session)
    source = origins.credentials(entry.session, entry.credentials)
    return {
        "account": who.account,
        "arn": who.arn,
        "aws_profile": entry.access.aws_profile or (found.value if found else None),
        "region": entry.region.value,
        "endpoint_url": entry.client("sagemaker-runtime").meta.endpoint_url,
        "hops": [_hop(hop) for hop in hops],
        "expires": expires.isoformat() if expires else None,
        "origins": {
            "account": who.origin,
            "arn": source,
            "aws_profile": given.origin("aws_profile") or (found.origin if found else "default"),
            "region": given.origin("region") or entry.region.origin,
            "endpoint_url": given.origin("endpoint_url") or origins.endpoint(entry),
            "hops": (given.origin("assume_role", "role_arn") or source) if hops else "default",
            "expires": "the role's session" if hops else source,
        },
    }


def _hop(hop: Assumed) -> dict[str, Any]:
    return {
        "role_arn": hop.hop.role_arn,
        "arn": hop.arn,
        "expires": hop.expires.isoformat() if hop.expires else None,
        "cached": hop.cached,
    }


def _show(known: dict[str, Any], out: Output, *, as_json: bool) -> None:
    if as_json:
        out.json(known)
        return
    lines = [(name, _text(name, known[name]), known["origins"][name]) for name in _FIELDS if known[name]]
    if not lines:
        out.text(f"{profiles.LOCAL}: {_HERE}\n")
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(2)]
    for name, value, origin in lines:
        out.text(f"{name:{widths[0]}}  {value:{widths[1]}}  {one_line(origin)}\n")


def _text(name: str, value: str | list[dict[str, Any]]) -> str:
    if not isinstance(value, str):
        return one_line(" > ".join(hop["role_arn"] for hop in value))
    return _moment(value) if name == "expires" else one_line(value)


def _moment(text: str) -> str:
    import datetime as dt

    ends = dt.datetime.fromisoformat(text)
    minutes = (ends - dt.datetime.now(dt.timezone.utc)).total_seconds() / 60
    return f"{ends.astimezone(dt.timezone.utc):%Y-%m-%d %H:%M:%S} UTC, in {max(minutes, 0):.0f} min"
