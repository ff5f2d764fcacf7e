"""How the numbers of one layer come about: each written out with what it is made of."""

from __future__ import annotations

from fractions import Fraction
from math import prod

from cnntui.core.analysis import Analysis, Row
from cnntui.core.axis import Axis
from cnntui.core.layers import Conv, DepthwiseConv, Flatten, GlobalAvgPool, Linear, TransposedConv, shape_text
from cnntui.core.merges import Add, Cat, Mul
from cnntui.core.receptive_field import Field, pixels_text

Line = tuple[str, str]
"""A fact's name, and its derivation: `6·1·5·5 + 6 = 156`."""


def derivation(analysis: Analysis, index: int) -> list[Line]:
    """The facts of a row, each with its numbers; empty for one that has none."""
    row = analysis.rows[index]
    if row.output is None or row.inputs is None:
        return []
    return [*_shape(row), *_costs(row), *_field(analysis, row)]


def _shape(row: Row) -> list[Line]:
    layer, inputs, output = row.node.layer, row.inputs or (), row.output or ()
    match layer:
        case Cat():
            return [("channels", f"{' + '.join(str(shape[0]) for shape in inputs)} = {output[0]}")]
        case Add() | Mul():
            return [("output", f"{', '.join(map(shape_text, inputs))} make {shape_text(output)}")]
        case Flatten():
            return [("length", f"{'·'.join(map(str, inputs[0]))} = {output[0]:,}")]
        case GlobalAvgPool():
            return [("each", f"the mean of {inputs[0][1]}·{inputs[0][2]} = {inputs[0][1] * inputs[0][2]:,} numbers")]
    window = layer.window(inputs[0]) if len(inputs[0]) == 3 else None
    if window is None:
        return []
    rows, columns = window
    if rows == columns:
        return [("size", rows.formula())]
    return [("rows", rows.formula()), ("columns", columns.formula())]


def _costs(row: Row) -> list[Line]:
    layer, shape, output = row.node.layer, row.input or (), row.output or ()
    lines: list[Line] = []
    match layer:
        case Conv() | DepthwiseConv() | TransposedConv():
            conv = layer.conv(shape) if isinstance(layer, DepthwiseConv) else layer
            weights = _weights(conv, shape)
            bias = f" + {conv.out_channels}" if conv.bias else ""
            lines.append(("params", f"{weights}{bias} = {row.params:,}"))
            where = shape if isinstance(conv, TransposedConv) else output
            lines.append(("MACs", f"{conv.weights(shape)}·{where[1]}·{where[2]} = {row.macs:,}"))
        case Linear():
            bias = f" + {layer.out_features}" if layer.bias else ""
            lines.append(("params", f"{shape[0]}·{layer.out_features}{bias} = {row.params:,}"))
            lines.append(("MACs", f"{shape[0]}·{layer.out_features} = {row.macs:,}"))
        case _ if row.params == 2 * prod(shape) and len(shape) == 3 and prod(shape) != shape[0]:
            lines.append(("params", f"2·{'·'.join(map(str, shape))} = {row.params:,}"))
        case _ if row.params:
            lines.append(("params", f"2·{shape[0]} = {row.params:,}"))
    if row.buffers:
        lines.append(("buffers", f"2·{shape[0]} + 1 = {row.buffers:,}"))
    return lines


def _weights(conv: Conv | TransposedConv, shape: tuple[int, ...]) -> str:
    height, width = conv.kernel_size
    if isinstance(conv, Conv) and conv.table:
        return f"{sum(map(len, conv.table.inputs))}·{height}·{width}"
    if isinstance(conv, TransposedConv):
        return f"{shape[0]}·{conv.out_channels // conv.groups}·{height}·{width}"
    return f"{conv.out_channels}·{shape[0] // conv.groups}·{height}·{width}"


def _field(analysis: Analysis, row: Row) -> list[Line]:
    """The recursion, for rows; where columns go otherwise, theirs too."""
    if row.field is None:
        return [("field", "the whole image")]
    before = _read(analysis, row)
    window = row.node.layer.window(row.inputs[0]) if before and row.inputs else None
    if before is None or window is None:
        return []
    lines: list[Line] = []
    same = before[0] == before[1] and row.field[0] == row.field[1]
    for name, was, now, axis in zip(("rows", "columns"), before, row.field, window, strict=True):
        if not isinstance(axis, Axis) or axis.transposed or (same and name == "columns"):
            continue
        of = "" if same else f" {name}"
        lines.append((f"field{of}", f"{was.size:g} + ({axis.kernel} − 1)·{axis.dilation}·{was.jump:g} = {now.size:g}"))
        if axis.stride > 1:
            lines.append((f"jump{of}", f"{was.jump:g}·{axis.stride} = {now.jump:g}"))
    return lines


def _exact(value: float) -> str:
    """A whole number, or a fraction."""
    return str(Fraction(value).limit_denominator(10_000))


def _equals(formula: str, value: float) -> str:
    """With the value behind it, ≈ where that is rounded."""
    text = pixels_text(value)
    return f"{formula} {'=' if float(text) == value else '≈'} {text}"


def _read(analysis: Analysis, row: Row) -> tuple[Field, Field] | None:
    """The field of what the row reads; of a merge, none."""
    if len(row.node.inputs) != 1:
        return None
    found = (other.field for other in analysis.rows if other.node.name == row.node.inputs[0])
    return next(found, (Field(), Field()))
