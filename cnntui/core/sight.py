"""The very input cells that can move one unit: sets of rows and columns, walked back layer by layer, clipped at each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cnntui.core.analysis import Analysis, Row
from cnntui.core.axis import AnyAxis
from cnntui.core.layers import Shape
from cnntui.core.merges import Mul
from cnntui.core.network import INPUT

Indices = frozenset[int]
Box = tuple[Indices, Indices]
"""Rows and columns: every cell that is in one of each."""


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
    """What the unit (row, column) of layer `index` sees of the input; the middle one by default.

    None: the whole image, or the layer has no output. A gate that sees everything is left out, as in `Row.gated`.

    Raises:
        IndexError: when there is no such unit.
    """
    row = analysis.rows[index]
    if row.field is None or row.output is None:
        return None
    _, height, width = row.output
    y, x = unit or (height // 2, width // 2)
    if not (0 <= y < height and 0 <= x < width):
        raise IndexError(f"unit {y},{x} is not in {height}×{width}")
    reached: dict[str, list[Box]] = {row.node.name: [(frozenset({y}), frozenset({x}))]}
    fields = {other.node.name: other.field for other in analysis.rows[: index + 1]}
    for other in reversed(analysis.rows[: index + 1]):
        boxes = reached.pop(other.node.name, None)
        if boxes is None:
            continue
        back = _before(other, boxes)
        for name, shape in _followed(other, fields):
            reached[name] = _joined([*reached.get(name, ()), *_stretched(back, shape)])
    return Sight(tuple(reached.get(INPUT, ())))


def _before(row: Row, boxes: list[Box]) -> list[Box]:
    """What the boxes of a layer's output read of its input."""
    window = row.node.layer.window(row.inputs[0]) if row.inputs and len(row.node.inputs) == 1 else None
    if window is None:
        return boxes
    read = [(_reads(window[0], rows), _reads(window[1], columns)) for rows, columns in boxes]
    return [box for box in read if box[0] and box[1]]


@lru_cache(maxsize=4096)
def _reads(axis: AnyAxis, outputs: Indices) -> Indices:
    return frozenset(where for output in outputs for where in axis.reads(output) if where is not None)


def _stretched(boxes: list[Box], shape: Shape) -> list[Box]:
    """The boxes in a map whose single row or column was stretched."""
    one = frozenset({0})
    _, height, width = shape
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
