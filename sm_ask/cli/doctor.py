"""`sm-ask doctor`: from the configuration to one real token, and what to fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sm_ask.cli.connection import settle
from sm_ask.cli.given import Given
from sm_ask.cli.options import CallOptions, expanded
from sm_ask.doctor import examine
from sm_ask.render import output, steps

if TYPE_CHECKING:
    from sm_ask.profiles import Profile

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(name="doctor")
@expanded
def doctor(
    context: typer.Context,
    call: CallOptions,
    no_invoke: Annotated[bool, typer.Option("--no-invoke", help="Spend nothing: leave out the one token.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Check everything from the configuration to one real token, and say what to fix.

    The exit code is that of the first step that fails.
    """

    def region_of(settings: Profile) -> str | None:
        return Given(context, settings, call.config).origin("region")

    found = examine(lambda: settle(call), region_of, invoke=not no_invoke, tell=output.note)
    steps.show(found, output.Output(), as_json=as_json)
