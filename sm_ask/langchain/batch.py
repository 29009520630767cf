"""How many questions of a batch are under way at once."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_config_list


def bounded(config: RunnableConfig | Sequence[RunnableConfig] | None, length: int, most: int) -> list[RunnableConfig]:
    """Give each input's configuration, with a bound where the caller sets none."""
    return [
        {**each, "max_concurrency": each.get("max_concurrency") or most} for each in get_config_list(config, length)
    ]
