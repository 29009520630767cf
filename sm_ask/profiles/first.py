"""A first profiles file, with comments."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sm_ask.errors import ConfigError
from sm_ask.profiles.keys import line_fault, name_fault
from sm_ask.strict_yaml import quoted, shown

if TYPE_CHECKING:
    from pathlib import Path


def write_first(
    path: Path, *, endpoint: str, region: str | None, handler: str | None, aws_profile: str | None, name: str
) -> None:
    """Write a commented profiles file with one profile, readable by its owner alone; never over one that is there."""
    if fault := name_fault(name):
        raise ConfigError(f"the profile name {shown(name)} {fault}")
    settings = {"endpoint": endpoint, "region": region, "handler": handler, "aws_profile": aws_profile}
    for key, value in settings.items():
        if value is not None and (fault := line_fault(value)):
            raise ConfigError(f"{key} {fault}")
    lines = {key: f"# {key}:" if value is None else f"{key}: {quoted(value)}" for key, value in settings.items()}
    text = _FIRST.format(name=quoted(name), **lines)
    try:
        for folder in [folder for folder in path.parents if not folder.exists()][::-1]:
            folder.mkdir(mode=0o700)
        with open(path, "xb", opener=lambda file, flags: os.open(file, flags, 0o600)) as stream:
            stream.write(text.encode())
    except FileExistsError as error:
        hint = "write the profile into it, under profiles:, or move it away"
        raise ConfigError(f"{path}: exists already, and stays as it is", hint=hint) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


_FIRST = """\
# The profiles of sm-ask; profiles.example.yaml in its source shows every key.
default: {name}  # used when no profile is named
profiles:
  {name}:
    {endpoint}
    {region}
    {handler}
    # params: {{max_tokens: 512, temperature: 0}}
    # system: You answer briefly.
    credentials:
      {aws_profile}
"""
