"""profiles.yaml: where it is, which keys it may hold, and the profile that a run uses."""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from sm_ask import strict_yaml
from sm_ask.errors import ConfigError
from sm_ask.strict_yaml import Node, quoted, shown

#: The endpoint on this machine; a profile of this name always exists.
LOCAL = "local"
RESERVED = (LOCAL, "init")
_FOLDERS = {"win32": "AppData/Roaming", "darwin": "Library/Application Support"}
_LINE = "[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+"
_MAX_SECONDS = 366 * 24 * 3600


class Profile(NamedTuple):
    """Settings under a name; None where the profile says nothing."""

    name: str
    endpoint: str | None = None
    region: str | None = None
    handler: str | None = None
    params: Mapping[str, Any] = MappingProxyType({})
    system: str | None = None
    aws_profile: str | None = None
    #: The roles to assume, one after the other; each has the keys of HOP_KEYS.
    assume_role: tuple[Mapping[str, Any], ...] | None = None
    expect_account: str | None = None
    endpoint_url: str | None = None
    inference_component: str | None = None
    target_variant: str | None = None
    target_model: str | None = None
    target_container: str | None = None
    custom_attributes: str | None = None
    session_id: str | None = None
    timeout: float | None = None
    idle_timeout: float | None = None
    retries: int | None = None
    #: How many tokens the model takes, prompt and answer; and a tokenizer.json to count them with.
    context_window: int | None = None
    tokenizer: str | None = None


class Profiles(NamedTuple):
    """What a profiles file holds; `path` is None where there is no file."""

    path: Path | None = None
    default: str | None = None
    profiles: Mapping[str, Profile] = MappingProxyType({LOCAL: Profile(LOCAL)})
    warnings: tuple[str, ...] = ()
    #: Content handlers of the file's own, as it declares them.
    handlers: Mapping[str, Any] = MappingProxyType({})

    def choose(self, name: str | None) -> Profile:
        """Give the profile of that name; without a name the default, and without a default an empty one."""
        wanted = name or self.default
        if not wanted:
            return Profile(name="")
        if wanted in self.profiles:
            return self.profiles[wanted]
        where = f"{self.path}: no profile" if self.path else "there is no profiles file, and no profile"
        message = f"{where} {shown(wanted)}{_did_you_mean(wanted, self.profiles)}"
        raise ConfigError(message, hint="profiles: " + ", ".join(self.profiles))


def location(explicit: str | None, environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Say where the profiles file is: where the user says, else in the user's configuration folder."""
    if explicit:
        return Path(explicit)
    chosen, roaming = (Path(environ.get(variable, "")) for variable in ("XDG_CONFIG_HOME", "APPDATA"))
    if chosen.is_absolute():
        folder = chosen
    elif platform == "win32" and roaming.is_absolute():
        folder = roaming
    else:
        folder = _home(environ, platform) / _FOLDERS.get(platform, ".config")
    return folder / "sm-ask" / "profiles.yaml"


def _home(environ: Mapping[str, str], platform: str) -> Path:
    variable = "USERPROFILE" if platform == "win32" else "HOME"
    home = Path(environ.get(variable, ""))
    if not home.is_absolute() and sys.platform != "win32":
        # A system service has no HOME, but its account has a folder.
        import pwd

        with suppress(KeyError):
            home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    if not home.is_absolute():
        raise ConfigError(f"{variable} names no folder", hint=f"set {variable}, or name a profiles file with --config")
    return home


def load(path: Path, *, required: bool) -> Profiles:
    """Read a profiles file; one that is not there is an error where it is required, else an empty set."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(strict_yaml.MAX_BYTES + 1)
    except OSError as error:
        if not required and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return Profiles()
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", hint="name another one with --config") from error
    root = strict_yaml.read(data, str(path))
    settings = _settings(root, FILE_KEYS, "the file")
    profiles = {LOCAL: Profile(LOCAL), **settings.get("profiles", {})}
    default = settings.get("default")
    if default is not None and default not in profiles:
        place = root.fields("the file")["default"].place
        raise place.error(f"the default, {shown(default)}, is no profile{_did_you_mean(default, profiles)}")
    shared = os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IWGRP | stat.S_IWOTH)
    warning = f"{path}: other users can change it (mode {mode & 0o777:04o}): chmod go-w {shlex.quote(str(path))}"
    return Profiles(path, default, profiles, (warning,) if shared else (), settings.get("handlers", {}))


def write_first(
    path: Path, *, endpoint: str, region: str | None, handler: str | None, aws_profile: str | None, name: str
) -> None:
    """Write a commented profiles file with one profile, readable by its owner alone; never over one that is there."""
    if fault := _name_fault(name):
        raise ConfigError(f"the profile name {shown(name)} {fault}")
    settings = {"endpoint": endpoint, "region": region, "handler": handler, "aws_profile": aws_profile}
    for key, value in settings.items():
        if value is not None and (fault := _line_fault(value)):
            raise ConfigError(f"{key} {fault}")
    lines = {key: f"# {key}:" if value is None else f"{key}: {quoted(value)}" for key, value in settings.items()}
    text = _FIRST.format(name=quoted(name), **lines)
    try:
        for folder in [folder for folder in path.parents if not folder.exists()][::-1]:
            folder.mkdir(mode=0o700)
        with open(path, "xb", opener=lambda file, flags: os.open(file, flags, 0o600)) as stream:
            stream.write(text.encode())
    except OSError as error:
        hint = "edit it, or move it away" if isinstance(error, FileExistsError) else None
        raise ConfigError(f"{path}: cannot be written: {error.strerror}", hint=hint) from error


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


def _settings(node: Node, keys: Keys, owner: str) -> dict[str, Any]:
    """Check a mapping's values; those of an inner mapping are settings beside the others."""
    settings: dict[str, Any] = {}
    for key, value in node.fields(owner).items():
        known = keys.get(key)
        if known is None:
            inner = [f"{group}.{name}" for group, names in keys.items() if isinstance(names, Mapping) for name in names]
            message = f"unknown key {shown(key)} in {owner}{_did_you_mean(key, [*keys, *inner])}"
            raise value.place.error(message, hint="known keys: " + ", ".join(keys))
        if isinstance(known, Mapping):
            settings |= _settings(value, known, f"{shown(key)} of {owner}")
        elif value.value is not None:
            settings[key] = known(value, key)
    return settings


def _profiles(node: Node, key: str) -> dict[str, Profile]:
    profiles = {}
    for name, value in node.fields(key).items():
        if fault := _name_fault(name):
            raise value.place.error(f"the profile name {shown(name)} {fault}")
        profiles[name] = Profile(name=name, **_settings(value, PROFILE_KEYS, f"profile {shown(name)}"))
    return profiles


def _text(node: Node, key: str) -> str:
    if isinstance(node.value, str) and node.value:
        return node.value
    hint = f'write {key}: "…", with the quotes' if isinstance(node.value, (bool, int, float)) else None
    raise node.place.error(f"{key} must be text, not {node.kind}", hint=hint)


def _line(node: Node, key: str) -> str:
    if fault := _line_fault(text := _text(node, key)):
        raise node.place.error(f"{key} {fault}")
    return text


def _line_fault(text: str, longest: int = 2000) -> str | None:
    fits = len(text) <= longest and re.fullmatch(_LINE, text)
    return None if fits else f"must be one line of text, with at most {longest} characters"


def _name_fault(name: str) -> str | None:
    return "is reserved" if name in RESERVED else _line_fault(name, longest=100)


def _params(node: Node, key: str) -> dict[str, Any]:
    return {name: value.plain() for name, value in node.fields(key).items()}


def _seconds(node: Node, key: str) -> float:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _MAX_SECONDS:
        raise node.place.error(f"{key} must be a number of seconds, above 0 and at most {_MAX_SECONDS}")
    return float(value)


def _count(node: Node, key: str) -> int:
    if isinstance(node.value, bool) or not isinstance(node.value, int) or node.value < 0:
        raise node.place.error(f"{key} must be a whole number, 0 or more")
    return node.value


def _account(node: Node, key: str) -> str:
    if not re.fullmatch("[0-9]{12}", _text(node, key)):
        raise node.place.error(f"{key} must be an account id: 12 digits")
    return str(node.value)


def _hops(node: Node, key: str) -> tuple[dict[str, Any], ...]:
    """Take one role or a list of roles."""
    nodes = node.value if isinstance(node.value, tuple) else (node,)
    hops = [(each, _settings(each, HOP_KEYS, key)) for each in nodes]
    for each, hop in hops:
        if "role_arn" not in hop:
            raise each.place.error(f"{key} needs a role_arn")
    return tuple(hop for _, hop in hops)


def _tags(node: Node, key: str) -> dict[str, str]:
    return {name: _line(value, f"{key}.{name}") for name, value in node.fields(key).items()}


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    import difflib  # only a slip costs this millisecond

    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {shown(near[0])}?" if near else ""


Keys: TypeAlias = "Mapping[str, Callable[[Node, str], Any] | Keys]"

#: What a role to assume may hold.
HOP_KEYS: Keys = {
    "role_arn": _line,
    "external_id": _line,
    "mfa_serial": _line,
    "session_name": _line,
    "duration": _count,
    "source_identity": _line,
    "tags": _tags,
}
#: What a profile may hold; the name of each key with a check is the name of a field of Profile.
PROFILE_KEYS: Keys = {
    "endpoint": _line,
    "region": _line,
    "handler": _line,
    "params": _params,
    "system": _text,
    "credentials": {"aws_profile": _line, "assume_role": _hops},
    "expect_account": _account,
    "endpoint_url": _line,
    "inference_component": _line,
    "target_variant": _line,
    "target_model": _line,
    "target_container": _line,
    "custom_attributes": _line,
    "session_id": _line,
    "timeout": _seconds,
    "idle_timeout": _seconds,
    "retries": _count,
    "context_window": _count,
    "tokenizer": _line,
}
FILE_KEYS: Keys = {"default": _line, "profiles": _profiles, "handlers": _params}
