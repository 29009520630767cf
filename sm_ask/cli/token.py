"""`sm-ask token`: a key for an endpoint's OpenAI-compatible route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sm_ask.cli.connection import settle
from sm_ask.cli.options import CallOptions, duration, expanded
from sm_ask.connection import Setup, access_to
from sm_ask.render import output
from sm_ask.render.output import Output

if TYPE_CHECKING:
    from sm_ask.aws.bearer import Bearer
    from sm_ask.aws.session import Entry

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Ttl = Annotated[
    float | None,
    typer.Option("--ttl", parser=duration, metavar="TIME", help="How long the token is good, 12h at most.  [1h]"),
]
_PATIENCE = 10.0


@app.command(name="token")
@expanded
def token(
    call: CallOptions,
    ttl: Ttl = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Print a bearer token for the OpenAI-compatible route of SageMaker endpoints.

    It is made on this machine, and carries the authority of the credentials
    that sign it: who has it may do what they may, until it ends.
    """
    out = Output()
    _, made = mint(settle(call), ttl, timeout=call.timeout)
    announce(made)
    if as_json:
        out.json({"token": made.token, "expires": made.expires.isoformat(), "region": made.region})
    else:
        out.text(f"{made.token}\n")


def mint(setup: Setup, ttl: float | None, *, timeout: float | None) -> tuple[Entry, Bearer]:
    """Give the way into AWS, and a token from there."""
    from sm_ask.aws.bearer import USUAL, bearer
    from sm_ask.aws.session import enter

    entry = enter(access_to(setup), timeout=timeout or _PATIENCE, tell=output.note)
    return entry, bearer(entry, USUAL if ttl is None else ttl)


def announce(made: Bearer) -> None:
    """Say on stderr what a token allows, and until when."""
    until = f"{made.expires:%Y-%m-%d %H:%M:%S} UTC"
    if made.holder is None:
        output.note(f"the token opens the endpoint on this machine, and nothing in AWS, until {until}")
        return
    if made.cut:
        until += ", when the credentials end"
    if made.open_end:
        until += " or the end of the session, which is not known here"
    output.note(
        f"the token has the rights of {made.holder} in {made.region} until {until}: "
        "who has it can call every endpoint there that these credentials may invoke"
    )
