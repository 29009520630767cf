"""Environment variables, in the language of a shell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Shell = Literal["bash", "zsh", "fish", "powershell"]

# PowerShell takes typographic quotation marks for the plain one.
_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")


def guess(environ: Mapping[str, str], platform: str) -> Shell:
    """Give the user's shell; bash, whose form all shells of its family understand, where it is another."""
    name = re.split(r"[/\\]", environ.get("SHELL", ""))[-1].removesuffix(".exe")
    for shell in get_args(Shell):
        if name == shell:
            return shell  # type: ignore[no-any-return] # get_args gives what is in the Literal
    return "powershell" if name == "pwsh" or (platform == "win32" and not name) else "bash"


def exports(values: Mapping[str, str], shell: Shell) -> str:
    """Write the lines that set variables, for this shell and what it starts."""
    form = {"fish": "set -gx {} {}", "powershell": "$env:{} = {}"}.get(shell, "export {}={}")
    return "".join(form.format(name, _quoted(value, shell)) + "\n" for name, value in values.items())


def removals(names: Iterable[str], shell: Shell) -> str:
    """Write the lines that take variables away."""
    form = {"fish": "set -e {}", "powershell": "Remove-Item -ErrorAction Ignore Env:{}"}.get(shell, "unset {}")
    return "".join(form.format(name) + "\n" for name in names)


def _quoted(value: str, shell: Shell) -> str:
    """Quote a value so that nothing in it means anything; without need as well, as each shell has words of its own."""
    if shell == "powershell":
        inner = _QUOTES.sub(r"\1\1", value)
    elif shell == "fish":
        inner = value.replace("\\", "\\\\").replace("'", "\\'")
    else:
        inner = value.replace("'", "'\"'\"'")
    return f"'{inner}'"
