"""Rows and facts: a table on a terminal, tabs on a pipe, or JSON."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from sm_ask.render.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_ask.render.output import Output

#: Between two columns.
_GAP = 2


def show(out: Output, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Show rows: all that is known as JSON, else the columns; ``*`` marks a default."""
    if as_json:
        out.json(list(rows))
        return
    lines = [[_cell(row, column) for column in columns] for row in rows]
    if not out.is_terminal:
        out.text("".join("\t".join(line) + "\n" for line in lines))
        return
    import rich.console  # 60 ms
    import rich.table

    # What is cut cannot be copied.
    widths = _widths([columns, *lines], out.columns)
    whole = [
        rich.table.Column(column, width=width, overflow="fold") for column, width in zip(columns, widths, strict=True)
    ]
    table = rich.table.Table(*whole, box=None, pad_edge=False)
    for line in lines:
        table.add_row(*map(_wrapped, line, widths))
    rich.console.Console(markup=False, emoji=False, highlight=False).print(table)


def _cell(row: Mapping[str, Any], column: str) -> str:
    value = row[column]
    text = "-" if value is None else one_line(_text(value))
    return f"{text} *" if column == "name" and row.get("default") else text


def _text(value: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _widths(lines: Sequence[Sequence[str]], room: int) -> list[int | None]:
    """Give each column what it needs, less where that is too much, but no less than its longest word.

    The first holds names, and is never broken. Where even that is too much, nothing is given.
    """
    whole = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    least = [max(len(word) for cell in cells for word in _words(cell)) for cells in zip(*lines, strict=True)]
    widths = [whole[0], *least[1:]]
    spare = room - _GAP * (len(widths) - 1) - sum(widths)
    if spare < 0:
        return [None] * len(widths)
    for _ in range(spare):
        neediest = max(range(len(widths)), key=lambda column: whole[column] - widths[column])
        widths[neediest] += widths[neediest] < whole[neediest]
    return list(widths)


def _words(cell: str) -> list[str]:
    """Take a text apart at its spaces, and after its hyphens."""
    return textwrap.wrap(cell, 1, break_long_words=False) or [""]


def _wrapped(cell: str, width: int | None) -> str:
    return cell if width is None else "\n".join(textwrap.wrap(cell, width))


def facts(out: Output, known: Mapping[str, Any], *, as_json: bool) -> None:
    """Show what is known of one thing, a line each; what is not set is left out."""
    if as_json:
        out.json(dict(known))
        return
    for name, value in known.items():
        if value not in (None, "", {}, False):
            out.text(f"{name}: {one_line(_text(value))}\n")
