"""The facts of a layer, or of several together, as columns that a user chooses: for the screen, the tables, CSV."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cnntui.core.analysis import Analysis, Row
from cnntui.core.layers import Conv, DepthwiseConv, TransposedConv, shape_text
from cnntui.core.receptive_field import field_text, pixels_text
from cnntui.core.vocabulary import NotationError, layer_text

Value = int | float | str | None
Read = Callable[[Analysis, int, int], Value]


@dataclass(frozen=True, slots=True)
class Column:
    """One fact. `read` gives its value for the rows from one to before another: what they come to together.

    Args:
        title: over the column.
        about: what it is, with its unit.
        width: columns of a terminal that it may need.
        read: its value, None where there is none.
        write: the value as it is printed.
        align: where it stands.
        adds: whether the rows' values add up to the network's.
        written: whether it is there before the layer's shape is known.
    """

    title: str
    about: str
    width: int
    read: Read
    write: Callable[[Value], str]
    align: Literal["left", "right"] = "right"
    adds: bool = False
    written: bool = False

    def text(self, analysis: Analysis, first: int, last: int) -> str:
        """The printed value of the rows; empty where there is none, and for rows that wait."""
        if analysis.rows[last - 1].output is None and not self.written:
            if self.title != "output":
                return ""
            problem = any(other.problem for other in analysis.rows[first:last])
            return "impossible" if problem else "waits"
        value = self.read(analysis, first, last)
        return "" if value is None else self.write(value)


def _grouped(value: Value) -> str:
    return f"{value:,}"


def in_short(count: int) -> str:
    """Three figures and a unit: 116M."""
    value = float(count)
    for unit in ("", "k", "M", "G"):
        if value < 999.5:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:,.0f}T"


def bytes_text(value: Value) -> str:
    """Bytes in the unit that leaves three figures: 37.6 KiB."""
    size = float(value or 0)
    for unit in ("B", "KiB", "MiB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} GiB"


def bar(share: Value, width: int = 8) -> str:
    """A share from 0 to 1 as a bar of eighths."""
    eighths = int(float(share or 0) * width * 8)
    full, part = divmod(eighths, 8)
    return "█" * full + ("▏▎▍▌▋▊▉"[part - 1] if part else "") or ("▏" if share else "")


def _sum(of: Callable[[Row], int]) -> Read:
    return lambda analysis, first, last: sum(of(row) for row in analysis.rows[first:last])


def _last(of: Callable[[Row], Value]) -> Read:
    return lambda analysis, _, last: of(analysis.rows[last - 1])


def _share(analysis: Analysis, first: int, last: int) -> float:
    return sum(row.params for row in analysis.rows[first:last]) / max(1, analysis.params)


def _field(row: Row) -> Value:
    if row.field is None:
        return "image"
    return (
        field_text(row.field)
        + ("" if all(axis.aligned for axis in row.field) else "~")
        + ("+gate" if row.gated else "")
    )


def _of_field(name: str) -> Callable[[Row], Value]:
    def read(row: Row) -> Value:
        if row.field is None:
            return None
        return "×".join(dict.fromkeys(pixels_text(getattr(axis, name)) for axis in row.field))

    return read


def _groups(row: Row) -> Value:
    layer = row.node.layer
    if isinstance(layer, DepthwiseConv):
        return row.input[0] if row.input else None
    return layer.groups if isinstance(layer, Conv | TransposedConv) else None


def _input(row: Row) -> Value:
    return ", ".join(map(shape_text, row.inputs or ()))


def _output(row: Row) -> Value:
    return shape_text(row.output or ())


def _words(row: Row) -> Value:
    return layer_text(row.node.layer)


def _inputs(row: Row) -> Value:
    return ", ".join(row.node.inputs)


def _kept(analysis: Analysis, first: int, last: int) -> Value:
    return sum(analysis.kept_bytes[first:last])


COLUMNS: dict[str, Column] = {
    "name": Column("name", "its name", 12, _last(lambda row: row.node.name), str, "left", written=True),
    "op": Column("op", "what it is", 10, _last(lambda row: row.node.layer.op), str, "left", written=True),
    "text": Column("as written", "in the notation", 24, _last(_words), str, "left", written=True),
    "inputs": Column("reads", "the layers that it reads", 14, _last(_inputs), str, "left", written=True),
    "input": Column("input", "channels×height×width that it reads", 12, _last(_input), str),
    "output": Column("output", "channels×height×width that it makes", 12, _last(_output), str),
    "params": Column("params", "trainable numbers", 11, _sum(lambda row: row.params), _grouped, adds=True),
    "share": Column("of params", "its part of all parameters", 9, _share, bar, "left"),
    "buffers": Column("buffers", "numbers kept but not trained", 9, _sum(lambda row: row.buffers), _grouped, adds=True),
    "macs": Column(
        "MACs", "multiply-accumulates for a picture, 2 FLOPs each", 14, _sum(lambda row: row.macs), _grouped, adds=True
    ),
    "memory": Column(
        "memory", "bytes kept for the backward pass, a picture in float32", 8, _kept, bytes_text, adds=True
    ),
    "groups": Column("groups", "of a convolution", 6, _last(_groups), _grouped),
    "field": Column("field", "pixels from the first to the last that it sees", 7, _last(_field), str),
    "jump": Column("jump", "pixels from one unit to the next", 5, _last(_of_field("jump")), str),
    "start": Column("start", "the pixel at the centre of unit 0", 6, _last(_of_field("start")), str),
    "effective": Column(
        "σ untrained", "deviation in pixels of their influence, equal weights", 11, _last(_of_field("deviation")), str
    ),
}
DEFAULT = ("name", "text", "output", "params", "macs", "field")
SCREEN = ("output", "params", "field", "macs", "share")


def chosen(names: str) -> tuple[str, ...]:
    """Columns by their names, separated by commas.

    Raises:
        NotationError: when there is no such column.
    """
    found = tuple(name.strip() for name in names.split(",") if name.strip())
    if unknown := next((name for name in found if name not in COLUMNS), None):
        raise NotationError(f"no column is called {unknown!r}; there are {', '.join(COLUMNS)}")
    return found or DEFAULT
