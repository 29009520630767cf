"""The commands, each imported only when it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from sm_ask import __version__, slips
from sm_ask.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: In the order of the help.
NAMES: Final = (
    "prompt",
    "qa",
    "batch",
    "endpoints",
    "handlers",
    "profiles",
    "whoami",
    "doctor",
    "token",
    "env",
    "local",
)

#: What a script may rely on; the README has the same table.
EXIT_CODES: Final = {
    0: "answered",
    1: "a bug of sm-ask",
    2: "wrong usage",
    3: "configuration",
    4: "credentials",
    5: "refused: not found, denied, invalid",
    6: "temporary: throttled, not ready, 5xx, after all tries",
    7: "timed out or cut off; it may have run and been charged",
    8: "network, TLS or proxy; the request was not processed",
    9: "the model's container failed",
    10: "the answer is incomplete; what came is on stdout",
    11: "the response could not be understood, or was empty",
    12: "input: a document, a prompt or a row",
    13: "the output cannot be written",
    14: "another run holds the output",
    15: "the batch came to its end, and some rows failed",
    16: "the documents do not hold the answer (qa --strict)",
}

_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())
_SIGNALS = "\n  130, 143, 129, 141: ended by SIGINT, SIGTERM, SIGHUP, a closed pipe"


#: Who leaves out the quotes there gives several words for one.
_ONE_QUESTION = ("sm-ask prompt", "sm-ask qa")


class _LateGroup(TyperGroup):
    """Imports a command's module when the command is looked up."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - typer's own copy of click is private
        return list(NAMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002
        if cmd_name not in NAMES:
            return None
        module = importlib.import_module(f"sm_ask.cli.{cmd_name}")
        return typer.main.get_command(module.app)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        name = args[0]
        if name in NAMES or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        near = slips.meant(name, NAMES)
        suggested = f"; did you mean {near!r}?" if near else ""
        raise UsageError(f"there is no command {name!r}{suggested}", hint="see sm-ask --help")


app = typer.Typer(
    name="sm-ask", cls=_LateGroup, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sm-ask {__version__}")
        raise typer.Exit


@app.callback(epilog=_EPILOG + _SIGNALS)
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Ask a language model behind an Amazon SageMaker endpoint."""


def invoke(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Run a command line; raises SmAskError, UsageError among them, where typer would print and exit."""
    command: Any = typer.main.get_command(app)
    if "_SM_ASK_COMPLETE" in environ:
        command.main(arguments, prog_name="sm-ask", complete_var="_SM_ASK_COMPLETE")
    usage_error: Any = typer.BadParameter.__base__
    try:
        with command.make_context("sm-ask", _with_wait(arguments)) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except usage_error as error:
        _explain(error)
    return 0


def _explain(error: Any) -> NoReturn:  # noqa: ANN401 - private to typer
    path = error.ctx.command_path if error.ctx else "sm-ask"
    message, hint = error.format_message().rstrip("."), f"see {path} --help"
    if near := getattr(error, "possibilities", None):
        message = f"{error.message}; did you mean {near[0]}?"
    elif path in _ONE_QUESTION and "extra argument" in message:
        hint = f'put the question in quotes: {path} "What is …?"; {hint}'
    raise UsageError(message, hint=hint) from None


def _with_wait(arguments: list[str]) -> list[str]:
    """Give ``--wait`` its default time; typer knows no option whose value may be left out."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return ["--wait=15m" if word == "--wait" else word for word in arguments[:end]] + arguments[end:]
