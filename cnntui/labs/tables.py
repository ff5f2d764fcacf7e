"""The facts of a network as a table: for a terminal, in Markdown, as CSV; and two networks side by side."""

from __future__ import annotations

import csv as writing
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnntui.core.analysis import Analysis, Row
from cnntui.core.layers import shape_text
from cnntui.core.receptive_field import field_text
from cnntui.core.vocabulary import layer_text
from cnntui.labs.columns import COLUMNS, DEFAULT, Column, Value, chosen
from cnntui.labs.whatif import difference

if TYPE_CHECKING:  # what writes Markdown need not wait for rich
    from rich.table import Table

PROBLEM = "problem"
OF_FIELD = {"field": "size", "jump": "jump", "start": "start", "effective": "deviation"}


def markdown(analysis: Analysis, names: Sequence[str] = DEFAULT) -> str:
    """A table with the columns of these names, numbers grouped by commas, and the totals of those that add up.

    Where a layer is impossible, a last column says so; it and those that wait for it have no facts.

    Raises:
        NotationError: a ValueError, when there is no such column.
    """
    columns = [COLUMNS[name] for name in chosen(",".join(names))]
    titles = [column.title for column in columns]
    rules = ["---:" if column.align == "right" else "---" for column in columns]
    lines = [[*titles, PROBLEM], [*rules, "---"]] if analysis.error else [titles, rules]
    for index, row in enumerate(analysis.rows):
        cells = [markdown_cell(_shown(column, analysis, index)) for column in columns]
        lines.append([*cells, markdown_cell(_problem(row))] if analysis.error else cells)
    totals = [_total(column, analysis) for column in columns]
    if any(totals):
        lines.append([totals[0] or "**total**", *totals[1:], *([""] if analysis.error else [])])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def csv(analysis: Analysis, names: Sequence[str] = DEFAULT) -> str:
    """The same for other programs: the columns' names, exact numbers, bytes, shares from 0 to 1, no totals.

    What would be a formula in a spreadsheet begins with an apostrophe.

    Raises:
        NotationError: as `markdown`.
    """
    found = chosen(",".join(names))
    out = io.StringIO()
    writer = writing.writer(out, lineterminator="\n")
    writer.writerow([*found, PROBLEM] if analysis.error else found)
    for index, row in enumerate(analysis.rows):
        cells = [plain_value(_exact(name, analysis, index)) for name in found]
        writer.writerow([*cells, plain_value(_problem(row))] if analysis.error else cells)
    return out.getvalue()


def facts(analysis: Analysis, names: Sequence[str] = DEFAULT) -> Table:
    """The same for a terminal, with the network's name and totals below."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    network, count = analysis.network, len(analysis.rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=None, show_footer=True)
    for number, name in enumerate(names):
        column = COLUMNS[name]
        footer = column.write(column.read(analysis, 0, count)) if column.adds else ""
        footer = footer if number else f"{network.name}, input {shape_text(network.input)}"
        table.add_column(Text(column.title), justify=column.align, footer=Text(footer), no_wrap=name == "output")
    for index, row in enumerate(analysis.rows):
        cells = (COLUMNS[name].text(analysis, index, index + 1) for name in names)
        style = "red" if row.problem else "dim" if row.output is None else None
        table.add_row(*map(Text, cells), style=style)
    return table


def beside(left: Analysis, right: Analysis) -> Table:
    """Two nets for a terminal, layer beside layer, and their totals below."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_footer=True)
    for number, analysis in enumerate((left, right)):
        if number:
            table.add_column("")
        field = f"field {field_text(analysis.last_field)}" if analysis.last_field else ""
        table.add_column(Text(analysis.network.name))
        table.add_column("output", justify="right", footer=field)
        table.add_column("params", justify="right", footer=f"{analysis.params:,}")
    for pair in difference(left, right):
        sides = [
            (layer_text(row.node.layer), shape_text(row.output or ()), f"{row.params:,}") if row else ("", "", "")
            for row in (pair.left, pair.right)
        ]
        table.add_row(*map(Text, (*sides[0], pair.mark, *sides[1])), style="dim" if pair.same else None)
    return table


def _problem(row: Row) -> str:
    if row.problem:
        return f"impossible: {row.problem.message}"
    return "waits" if row.output is None else ""


def _shown(column: Column, analysis: Analysis, index: int) -> str:
    if analysis.rows[index].output is None and not column.written:
        return ""
    if column is COLUMNS["share"]:  # which the screen draws
        return f"{column.read(analysis, index, index + 1):.1%}"
    return column.text(analysis, index, index + 1)


def _total(column: Column, analysis: Analysis) -> str:
    return f"**{column.write(column.read(analysis, 0, len(analysis.rows)))}**" if column.adds else ""


def markdown_cell(text: str) -> str:
    """As Markdown shows it as it is, in a table."""
    return re.sub(r"([\\`*_<|\[\]])", r"\\\1", _clean(text))


def _clean(text: str) -> str:
    """Without what a terminal or a spreadsheet would obey; letters of any alphabet stay."""
    return "".join(filter(str.isprintable, text))


def _exact(name: str, analysis: Analysis, index: int) -> Value:
    """The value with all its digits; None where there is none."""
    row, column = analysis.rows[index], COLUMNS[name]
    if row.output is None and not column.written:
        return None
    if name in OF_FIELD and row.field:
        return "x".join(dict.fromkeys(repr(getattr(axis, OF_FIELD[name])) for axis in row.field))
    return column.read(analysis, index, index + 1)


def plain_value(value: Value) -> Value:
    """As a spreadsheet takes it for what it is."""
    if not isinstance(value, str):
        return value
    text = _clean(value)
    is_number = re.fullmatch(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) and not is_number else text
