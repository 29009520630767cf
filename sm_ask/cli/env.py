"""`sm-ask env`: the variables that lead any OpenAI tool to an endpoint."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sm_ask import profiles
from sm_ask.cli.connection import settle
from sm_ask.cli.options import CallOptions, expanded
from sm_ask.cli.token import Ttl, announce, mint
from sm_ask.connection import check_named
from sm_ask.errors import ConfigError
from sm_ask.render import output, shell
from sm_ask.render.output import Output

if TYPE_CHECKING:
    from sm_ask.connection import Setup

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_NAMES = ("OPENAI_BASE_URL", "OPENAI_API_KEY")
_NO_PLACE = ("target_variant", "target_model", "target_container", "custom_attributes", "session_id")


@app.command(name="env")
@expanded
def env(
    call: CallOptions,
    ttl: Ttl = None,
    shell_name: Annotated[shell.Shell | None, typer.Option("--shell", help="Whose language.  [yours]")] = None,
    unset: Annotated[bool, typer.Option("--unset", help="Print what takes the variables away again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Print OPENAI_BASE_URL and OPENAI_API_KEY for any OpenAI tool.

    For `eval "$(sm-ask env)"`; in fish `sm-ask env | source`, in PowerShell
    `sm-ask env | Out-String | Invoke-Expression`.
    """
    out = Output()
    language = shell_name or shell.guess(os.environ, sys.platform)
    if unset:
        out.text(shell.removals(_NAMES, language))
        return
    from sm_ask.aws.bearer import base_url
    from sm_ask.aws.runtime import Target

    setup = _named(settle(call))
    target = Target(str(setup.settings.endpoint), setup.settings.inference_component).checked()
    entry, made = mint(setup, ttl, timeout=call.timeout)
    url = base_url(entry, target)
    announce(made)
    if as_json:
        known = {"base_url": url, "api_key": made.token, "model": "", "region": made.region}
        out.json({**known, "expires": made.expires.isoformat()})
    else:
        out.text(shell.exports(dict(zip(_NAMES, (url, made.token), strict=True)), language))


def _named(setup: Setup) -> Setup:
    """Give a setup whose endpoint and address are settled, and tell of what has no place in a URL."""
    settings = setup.settings
    if settings.name == profiles.LOCAL:
        if settings.endpoint_url is None:
            hint = "run `sm-ask local serve`, then `sm-ask env -p local --endpoint-url http://127.0.0.1:8080`"
            raise ConfigError("the endpoint on this machine has an address only while it is served", hint=hint)
        settings = settings._replace(endpoint=settings.endpoint or profiles.LOCAL)
    check_named(settings)
    for field in _NO_PLACE:
        if getattr(settings, field) is not None:
            output.note(f"{field} has no place in the OpenAI-compatible route, and is left out")
    return setup._replace(settings=settings)
