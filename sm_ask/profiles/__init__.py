"""profiles.yaml: where it is, what it holds, and the profile that a run uses."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask import handlers, strict_yaml
from sm_ask.errors import ConfigError
from sm_ask.profiles.keys import FILE_KEYS, LOCAL, PROFILE_KEYS, checked, did_you_mean
from sm_ask.strict_yaml import Node, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["LOCAL", "Profile", "Profiles", "load", "location"]

_FOLDERS = {"win32": "AppData/Roaming", "darwin": "Library/Application Support"}


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
    #: What is wrong in a profile, by its name: an error for who chooses it, and a warning for everybody.
    faults: Mapping[str, ConfigError] = MappingProxyType({})
    #: Warnings for who uses a profile, by its name.
    slips: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def told(self, profile: Profile) -> tuple[str, ...]:
        """Give what there is to tell of the file where that profile is used."""
        return (*self.warnings, *self.slips.get(profile.name, ()))

    def choose(self, name: str | None) -> Profile:
        """Give the profile of that name; without a name the default, and without a default an empty one."""
        wanted = name or self.default
        if not wanted:
            return Profile(name="")
        if wanted in self.faults:
            raise self.faults[wanted]
        if wanted in self.profiles:
            return self.profiles[wanted]
        known = [*self.profiles, *self.faults]
        where = f"{self.path}: no profile" if self.path else "there is no profiles file, and no profile"
        message = f"{where} {shown(wanted)}{did_you_mean(wanted, known)}"
        raise ConfigError(message, hint="profiles: " + ", ".join(known))


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
    """Read a profiles file; one that is not there is an error where it is required, else an empty set.

    What is wrong in one profile does not keep the others from being used.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(strict_yaml.MAX_BYTES + 1)
    except OSError as error:
        if not required and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return Profiles()
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", hint="name another one with --config") from error
    warnings = []
    if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IWGRP | stat.S_IWOTH):
        change = f"chmod go-w {shlex.quote(str(path))}"
        warnings.append(f"{path}: other users can change it (mode {mode & 0o777:04o}): {change}")
    return _found(strict_yaml.read(data, str(path)), path, warnings)


def _found(root: Node, path: Path, warnings: list[str]) -> Profiles:
    settings = checked(root, FILE_KEYS, "the file")
    default, own = settings.get("default"), settings.get("handlers", {})
    profiles, faults, slips = {LOCAL: Profile(LOCAL)}, {}, {}
    for name, node in settings.get("profiles", {}).items():
        profile = _tried(name, node, own)
        if isinstance(profile, ConfigError):
            faults[name] = profile
            warnings.append(f"the profile {shown(name)} cannot be used: {profile.message}")
        else:
            profiles[name], slips[name] = profile, tuple(_slips(node))
    names = [*profiles, *faults]
    if default is not None and default not in names:
        place = root.fields("the file")["default"].place
        raise place.error(f"the default, {shown(default)}, is no profile{did_you_mean(default, names)}")
    return Profiles(path, default, profiles, tuple(warnings), own, faults, slips)


def _tried(name: str, node: Node, own: Iterable[str]) -> Profile | ConfigError:
    try:
        return _profile(name, node, own)
    except ConfigError as error:
        return error


def _profile(name: str, node: Node, own: Iterable[str]) -> Profile:
    profile = Profile(name=name, **checked(node, PROFILE_KEYS, f"profile {shown(name)}"))
    if profile.handler in (None, handlers.AUTO):
        return profile
    if error := handlers.unknown(profile.handler, own):
        raise node.fields(name)["handler"].place.error(error.message, error.hint)
    for key, value in _parameters(node).items():
        if refusal := handlers.refusal(profile.handler, key, value.plain()):
            raise value.place.error(refusal.message, refusal.hint)
    return profile


def _slips(node: Node) -> Iterator[str]:
    """Tell of parameters that are passed on, and may be meant for others: no error, as a container may know them."""
    for key, value in _parameters(node).items():
        if meant := handlers.meant(key):
            said = f"{shown(key)} is passed on to the container as it is; did you mean {shown(meant)}?"
            yield value.place.error(said).message


def _parameters(node: Node) -> Mapping[str, Node]:
    found = node.fields("the profile").get("params")
    return found.fields("params") if found else {}
