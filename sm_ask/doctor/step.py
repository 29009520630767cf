"""A step of a diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_ask.errors import SmAskError

Status: TypeAlias = Literal["ok", "failed", "skipped"]


class Step(NamedTuple):
    """One step: what was found, or why it failed or was left out, and what to do about it."""

    name: str
    status: Status
    found: str
    #: A command to run, or what to change.
    fix: str | None = None
    #: A statement that is missing in an IAM policy.
    statement: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    error: SmAskError | None = None


class SkippedError(Exception):
    """A step cannot be taken, or need not be; the text says why, and the statement what would allow it."""

    def __init__(self, why: str, statement: Mapping[str, Any] | None = None) -> None:
        """Take both."""
        super().__init__(why)
        self.statement = statement
