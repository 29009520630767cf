"""The README cannot go stale: its help, its exit codes and its options are the command's own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

import sm_ask
from conftest import SM_ASK
from sm_ask import errors
from sm_ask.cli import commands

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()

HELP = re.findall(r"<!-- help: (.*?) -->\n\n```text\n(.*?)```", README, re.DOTALL)


def shown(command: str) -> str:
    environ = {**os.environ, "COLUMNS": "100", "TERM": "dumb"}
    arguments = [SM_ASK, *shlex.split(command)[1:]]
    return subprocess.run(arguments, capture_output=True, text=True, check=True, env=environ).stdout


def test_every_command_has_its_help_in_the_readme():
    named = {command for command, _ in HELP}
    assert {f"sm-ask {name} --help" for name in commands.NAMES if name != "local"} <= named


@pytest.mark.parametrize(("command", "text"), HELP, ids=[command for command, _ in HELP])
def test_the_help_in_the_readme_is_the_command_s(command, text):
    assert text.strip() == shown(command).strip()


def test_the_exit_codes_in_the_readme_are_the_command_s():
    rows = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", README, re.MULTILINE))
    assert {int(code): meaning for code, meaning in rows.items()} == commands.EXIT_CODES


def test_every_error_has_a_published_exit_code():
    def all_of(kind: type[errors.SmAskError]) -> list[type[errors.SmAskError]]:
        return [kind, *(deeper for child in kind.__subclasses__() for deeper in all_of(child))]

    assert {kind.code for kind in all_of(errors.SmAskError)} == commands.EXIT_CODES.keys() - {0}


def test_the_changelog_knows_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in changelog or f"## [{sm_ask.__version__}]" in changelog
