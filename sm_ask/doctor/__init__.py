"""From the configuration to one real token: each step to an answer, what it found, and what it takes where it fails."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from sm_ask.doctor.examination import Examination
from sm_ask.doctor.step import Status, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sm_ask.connection import Setup
    from sm_ask.profiles import Profile

__all__ = ["Status", "Step", "examine"]


def examine(
    settle: Callable[[], Setup],
    region_of: Callable[[Profile], str | None],
    *,
    invoke: bool,
    tell: Callable[[str], None],
) -> Iterator[Step]:
    """Yield each step as soon as it is taken; ``invoke`` allows the one that costs a token, ``tell`` takes warnings.

    ``settle`` gives the settings, and ``region_of`` says which of the places for settings their region comes from.
    """
    look = Examination(settle, region_of, tell)
    yield look.step("configuration", look.configuration)
    yield look.step("profile", look.profile)
    yield look.step("AWS settings", look.aws_settings)
    yield look.step("credentials", look.credentials)
    for number in range(look.roles):
        yield look.step(f"role {number + 1}", functools.partial(look.assume, number))
    yield look.step("identity", look.identity)
    yield look.step("clock", look.clock)
    yield look.step("endpoint", look.endpoint)
    yield look.step("permission", functools.partial(look.permission, invoke=invoke))
    yield look.step("answer", look.answer)
