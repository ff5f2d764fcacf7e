"""The very input cells that can move one unit: sets of rows and columns, walked back layer by layer, clipped at each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from cnntui.core.analysis import Analysis, Row
from cnntui.core.axis import AnyAxis
from cnntui.core.layers import Conv, Flatten, Layer, Shape, Table, TransposedConv
from cnntui.core.merges import Cat, Merge, Mul
from cnntui.core.network import INPUT
from cnntui.core.pointwise import LocalResponseNorm, Softmax

Indices = frozenset[int]
Box = tuple[Indices, Indices]
"""Rows and columns: every cell that is in one of each."""
Channels = int
"""A bit for each."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one unit sees: the union of its boxes. One, but where branches of other windows meet."""

    boxes: tuple[Box, ...]

    @property
    def rows(self) -> Indices:
        """The rows with a cell that is seen."""
        return frozenset().union(*(rows for rows, _ in self.boxes))

    @property
    def columns(self) -> Indices:
        """The columns with a cell that is seen."""
        return frozenset().union(*(columns for _, columns in self.boxes))

    def __contains__(self, cell: tuple[int, int]) -> bool:
        return any(cell[0] in rows and cell[1] in columns for rows, columns in self.boxes)

    @property
    def gaps(self) -> bool:
        """Whether its hull holds cells that it does not see."""
        rows, columns = self.hull
        if len(self.boxes) == 1:
            return (len(rows), len(columns)) != (len(self.rows), len(self.columns))
        return any((row, column) not in self for row in rows for column in columns)

    @property
    def hull(self) -> tuple[range, range]:
        """From the first to the last row and column; empty where nothing is seen, in padding alone."""
        rows, columns = self.rows, self.columns
        if not rows or not columns:
            return range(0), range(0)
        return range(min(rows), max(rows) + 1), range(min(columns), max(columns) + 1)


def sight(analysis: Analysis, index: int, unit: tuple[int, int] | None = None) -> Sight | None:
    """What the units (row, column) of layer `index`, in all channels, see of the input; the middle ones by default.

    None: the whole image, or the layer has no output. A gate that sees everything is left out, as in `Row.gated`.

    Raises:
        IndexError: when there is no such unit.
    """
    row = analysis.rows[index]
    if row.field is None or row.output is None:
        return None
    channels, height, width = row.output
    y, x = unit or (height // 2, width // 2)
    if not (0 <= y < height and 0 <= x < width):
        raise IndexError(f"unit {y},{x} is not in {height}×{width}")
    return _walked_back(analysis, index, _all(channels), (frozenset({y}), frozenset({x})))


def seen_by(analysis: Analysis, node: str, unit: tuple[int, ...]) -> Sight | None:
    """What one unit of a node sees, as `unit_sight`; a pixel of the input sees itself."""
    if node == INPUT:
        return Sight(((frozenset({unit[1]}), frozenset({unit[2]})),))
    return unit_sight(analysis, next(i for i, row in enumerate(analysis.rows) if row.node.name == node), unit)


def unit_sight(analysis: Analysis, index: int, unit: tuple[int, ...]) -> Sight | None:
    """What one unit, (channel, row, column) or (n,), of layer `index` sees: of each layer just the channels that reach it.

    None: the whole image. That is also said of what reads all of a vector, and gates are left out, both as in `sight`.
    """
    channel, y, x = unit if len(unit) == 3 else (*unit, 0, 0)
    return _walked_back(analysis, index, 1 << channel, (frozenset({y}), frozenset({x})))


def _all(channels: int) -> Channels:
    return (1 << channels) - 1


def _walked_back(analysis: Analysis, index: int, channels: Channels, box: Box) -> Sight | None:
    """What the cells of a box in these channels see. Where two layers read different channels, each goes its own way."""
    reached: dict[str, dict[Channels, list[Box]]] = {analysis.rows[index].node.name: {channels: [box]}}
    fields = {other.node.name: other.field for other in analysis.rows[: index + 1]}
    for row in reversed(analysis.rows[: index + 1]):
        for mask, boxes in reached.pop(row.node.name, {}).items():
            if boxes and _reads_everything(row):
                return None
            for name, read, back in _before(row, mask, boxes, fields):
                of_node = reached.setdefault(name, {})
                of_node[read] = _joined([*of_node.get(read, ()), *back])
    ends = list(reached.get(INPUT, {}).values())
    return Sight(tuple(ends[0] if len(ends) == 1 else _joined([box for boxes in ends for box in boxes])))


def _reads_everything(row: Row) -> bool:
    layer = row.node.layer
    return layer.sees_everything() or (isinstance(layer, Softmax) and len(row.output or ()) == 1)


def _before(
    row: Row, mask: Channels, boxes: list[Box], fields: Mapping[str, object]
) -> Iterator[tuple[str, Channels, list[Box]]]:
    """What the boxes of a layer's output read of its inputs: by name, in which channels, where."""
    layer, (name, *_), shapes = row.node.layer, row.node.inputs, row.inputs or ()
    if isinstance(layer, Flatten) and len(shapes[0]) == 3:
        yield from ((name, read, back) for read, back in _unflattened(mask, shapes[0]))
    elif isinstance(layer, Cat):
        first = 0
        for other, shape in zip(row.node.inputs, shapes, strict=True):
            if part := mask >> first & _all(shape[0]):
                yield other, part, boxes
            first += shape[0]
    elif isinstance(layer, Merge):
        for other, shape in _followed(row, fields):
            yield other, 1 if shape[0] == 1 else mask, _stretched(boxes, shape)
    else:
        window = layer.window(shapes[0]) if len(shapes[0]) == 3 else None
        if window:
            read_ = [(_reads(window[0], rows), _reads(window[1], columns)) for rows, columns in boxes]
            boxes = [box for box in read_ if box[0] and box[1]]
        yield name, _channels(layer, mask, shapes[0][0]), boxes


def _channels(layer: Layer, mask: Channels, inputs: int) -> Channels:
    """The input channels from which these output channels are made."""
    match layer:
        case Conv(table=Table() as table):
            seen = {channel for output, row in enumerate(table.inputs) if mask >> output & 1 for channel in row}
            return sum(1 << channel for channel in seen)
        case Conv() | TransposedConv():
            made, read = layer.out_channels // layer.groups, inputs // layer.groups
            groups = (group for group in range(layer.groups) if mask >> group * made & _all(made))
            return sum(_all(read) << group * read for group in groups)
        case Softmax():
            return _all(inputs)
        case LocalResponseNorm():
            return (mask >> 2 | mask >> 1 | mask | mask << 1 | mask << 2) & _all(inputs)
    return mask


def _unflattened(mask: Channels, shape: Shape) -> Iterator[tuple[Channels, list[Box]]]:
    channels, height, width = shape
    if mask == _all(channels * height * width):
        yield _all(channels), [(frozenset(range(height)), frozenset(range(width)))]
        return
    for n in range(mask.bit_length()):
        if mask >> n & 1:
            cell = n % (height * width)
            yield 1 << n // (height * width), [(frozenset({cell // width}), frozenset({cell % width}))]


@lru_cache(maxsize=4096)
def _reads(axis: AnyAxis, outputs: Indices) -> Indices:
    return frozenset(where for output in outputs for where in axis.reads(output) if where is not None)


def _stretched(boxes: list[Box], shape: Shape) -> list[Box]:
    """The boxes in a map whose single row or column was stretched."""
    one = frozenset({0})
    _, height, width = shape if len(shape) == 3 else (*shape, 1, 1)
    return [(one if height == 1 else rows, one if width == 1 else columns) for rows, columns in boxes]


def _followed(row: Row, fields: Mapping[str, object]) -> tuple[tuple[str, Shape], ...]:
    layer, reads = row.node.layer, tuple(zip(row.node.inputs, row.inputs or (), strict=True))
    if isinstance(layer, Mul) and row.inputs:
        gates = layer.gated(row.inputs)
        return tuple(read for read, gate in zip(reads, gates, strict=True) if not gate or fields.get(read[0], True))
    return reads


MOST_BOXES = 48


def _joined(boxes: list[Box]) -> list[Box]:
    """Without those that lie in another one; those that share their rows or their columns become one.

    Very many become one box around them all: more than is seen, but not minutes of work.
    """
    if len(boxes) > MOST_BOXES:
        rows, columns = (frozenset().union(*sides) for sides in zip(*boxes, strict=True))
        return [(rows, columns)]
    joined: list[Box] = []
    for rows, columns in boxes:
        for index, (other_rows, other_columns) in enumerate(joined):
            if rows <= other_rows and columns <= other_columns:
                break
            if rows >= other_rows and columns >= other_columns:
                joined[index] = (rows, columns)
                break
            if rows == other_rows:
                joined[index] = (rows, columns | other_columns)
                break
            if columns == other_columns:
                joined[index] = (rows | other_rows, columns)
                break
        else:
            joined.append((rows, columns))
    return joined
