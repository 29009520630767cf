"""Rows and facts: a table on a terminal, tabs on a pipe, or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sm_ask.render.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_ask.render.output import Output


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

    # A name that is cut cannot be copied.
    whole = [rich.table.Column(column, overflow="fold") for column in columns]
    table = rich.table.Table(*whole, box=None, pad_edge=False)
    for line in lines:
        table.add_row(*line)
    rich.console.Console(markup=False, emoji=False, highlight=False).print(table)


def _cell(row: Mapping[str, Any], column: str) -> str:
    value = row[column]
    text = "-" if value is None else one_line(str(value))
    return f"{text} *" if column == "name" and row.get("default") else text


def facts(out: Output, known: Mapping[str, Any], *, as_json: bool) -> None:
    """Show what is known of one thing, a line each; what is not set is left out."""
    if as_json:
        out.json(dict(known))
        return
    for name, value in known.items():
        if value not in (None, "", {}, False):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            out.text(f"{name}: {one_line(text)}\n")
