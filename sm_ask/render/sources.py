"""Where an answer is from, told on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_ask.render import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_ask.chat import Source

#: More than these are only counted.
_MOST = 8


def show(sources: Sequence[Source]) -> None:
    """Tell of the sources, a line each: those that are cited under their numbers, or all where nothing is cited."""
    numbered = list(enumerate(sources, start=1))
    cited = [(number, source) for number, source in numbered if source.cited]
    if any(source.cited is not None for source in sources):
        for number, source in cited:
            output.note(f"source [{number}] {place(source)}" + (f": {source.quote!r}" if source.quote else ""))
        return
    for _, source in numbered[:_MOST]:
        output.note(f"source {place(source)}")
    if len(sources) > _MOST:
        output.note(f"and {len(sources) - _MOST} sources more")


def place(source: Source) -> str:
    """Give a source's path with its lines or its page."""
    if source.page is not None:
        return f"{source.path} page {source.page}"
    if source.lines is None:
        return source.path
    first, last = source.lines
    return f"{source.path}:{first}" if first == last else f"{source.path}:{first}-{last}"
