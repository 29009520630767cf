"""Which of an option's three places a setting came from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sm_ask import profiles

if TYPE_CHECKING:
    import typer

    from sm_ask.profiles import Profile


class Given:
    """Says where the settings of a run came from."""

    def __init__(self, context: typer.Context, settings: Profile, config: str | None) -> None:
        """Take the command line, what it led to, and the profiles file that it names."""
        self._context, self._settings = context, settings
        self._path = profiles.location(config, os.environ)

    def origin(self, field: str, option: str | None = None) -> str | None:
        """Name the flag, the variable, or the profile; None if it is AWS's own."""
        source = self._context.get_parameter_source(option or field)
        flag = (option or field).replace("_", "-")
        if source and source.name == "COMMANDLINE":
            return f"--{flag}"
        if source and source.name == "ENVIRONMENT":
            return "SM_ASK_" + flag.upper().replace("-", "_")
        if getattr(self._settings, field) is not None:
            return f"profile {self._settings.name} in {self._path}"
        return None
