"""What the three grids of the convolution lab show: as cells, as patches (im2col), as one sparse matrix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from cnntui.core.arithmetic import number
from cnntui.core.axis import AnyAxis
from cnntui.core.layers import Pair, shape_text
from cnntui.core.operation import ADAPTIVE, NONE, Sides
from cnntui.core.windows import Array
from cnntui.labs.convolve import ConvolveState, MoveError

PICTURES = ("picture", "ascii")
VIEWS = ("cells", *PICTURES, "im2col", "matrix")
LARGE = 48  # from this many rows or columns on, an input is first shown as a picture
LARGEST = 4_000_000  # cells of a matrix that is still shown

Frame = tuple[int, int, int, int]


@dataclass(frozen=True)
class Marks:
    """Some cells of a grid, and the frame around them (top, left, bottom, right, inclusive)."""

    rows: frozenset[int]
    columns: frozenset[int]
    places: frozenset[Pair] | None = None

    def __contains__(self, place: Pair) -> bool:
        return place in self.places if self.places is not None else place[0] in self.rows and place[1] in self.columns

    def __bool__(self) -> bool:
        return bool(self.rows and self.columns)

    @cached_property
    def frame(self) -> Frame | None:
        """The smallest frame around all of them."""
        if not self:
            return None
        return min(self.rows), min(self.columns), max(self.rows), max(self.columns)

    @cached_property
    def gaps(self) -> bool:
        """Whether the frame holds cells that are not among them."""
        if not self:
            return False
        top, left, bottom, right = self.frame or (0, 0, 0, 0)
        there = len(self.rows) * len(self.columns) if self.places is None else len(self.places)
        return there < (bottom - top + 1) * (right - left + 1)


def marks(rows: Iterable[int | None], columns: Iterable[int | None]) -> Marks:
    """Every crossing of these rows and columns; None among them is left out."""
    kept = [frozenset(i for i in each if i is not None) for each in (rows, columns)]
    return Marks(kept[0], kept[1])


NOTHING = marks((), ())


@dataclass(frozen=True, eq=False)
class Panel:
    """A grid: values (H, W), their scale, a border of padding, what is marked, what is pinned.

    `weights` are drawn apart from values; a `blank` grid has a size and no values; `holes` are cells that hold no weight.
    """

    title: str
    values: Array
    scale: float
    cursor: Pair
    sides: Sides = NONE
    marked: Marks = NOTHING
    pinned: Marks = NOTHING
    weights: bool = False
    blank: bool = False
    editable: bool = False
    holes: Array | None = None


Panels = dict[str, Panel]


def panels(state: ConvolveState, view: str = "cells") -> Panels:
    """The grids called input, kernel and output.

    Raises:
        MoveError: when the view is not to be had for this state.
    """
    if view in ("im2col", "matrix") and state.operation.window:
        return _patches(state) if view == "im2col" else _tied(state)
    return _cells(state)


def view_at_first(state: ConvolveState, view: str) -> str:
    """The view of an input that is new: a large one is first seen as a picture, a small one is not."""
    large = max(state.operation.input.shape[1:]) >= LARGE
    if large == (view in PICTURES):
        return view
    return "picture" if large else "cells"


# -- cells


def _cells(state: ConvolveState) -> Panels:
    operation = state.operation
    input_scale, weight_scale, output_scale = operation.scales
    window, output = operation.window, operation.output
    read = kernel = written = pinned_read = pinned_written = NOTHING
    if window is not None:
        rows, columns = window.rows, window.columns
        read, kernel, written = _marked(state, rows, columns)
        if state.pinned:
            pinned_written = marks(state.pinned[:1], state.pinned[1:])
            pinned_read = _under(rows, columns, state.pinned)
    many_filters, many_channels = state.filters > 1, len(operation.input) > 1
    channel = f" channel {state.channel} of 0–{len(operation.input) - 1}" if many_channels else ""
    which = f" filter {state.filter} of 0–{state.filters - 1}" if many_filters and not operation.pool else ""
    return {
        "input": Panel(
            f"input {shape_text(operation.input.shape[1:])}{channel}",
            operation.input[state.channel],
            input_scale,
            state.pixel,
            sides=_border(state),
            marked=read,
            pinned=pinned_read,
            editable=True,
        ),
        "kernel": Panel(
            _kernel_title(state),
            state.kernel_plane,
            weight_scale,
            state.tap,
            marked=kernel if state.looking != "output" else NOTHING,
            weights=not operation.pool,
            blank=operation.pool,
            editable=not operation.pool,
        ),
        "output": Panel(
            "no output" if output is None else f"output {shape_text(output.shape[1:])}{which if len(output) > 1 else ''}",
            operation.input[0][:0, :0] if output is None else output[state.output_cell[0]],
            output_scale,
            state.cell,
            marked=written,
            pinned=pinned_written,
        ),
    }  # fmt: skip


def _marked(state: ConvolveState, rows: AnyAxis, columns: AnyAxis) -> tuple[Marks, Marks, Marks]:
    """What is marked on input, kernel and output, by the direction in which one looks."""
    if state.looking == "output":
        return _under(rows, columns, state.cell), NOTHING, marks(state.cell[:1], state.cell[1:])
    if state.looking == "input":
        (y, x) = state.pixel
        down, across = rows.readers(y), columns.readers(x)
        taps = marks((tap for _, tap in down), (tap for _, tap in across))
        return marks((y,), (x,)), taps, marks((o for o, _ in down), (o for o, _ in across))
    (i, j) = state.tap
    down_read = [rows.position(o, i) for o in range(rows.outputs)]
    across_read = [columns.position(o, j) for o in range(columns.outputs)]
    everywhere = marks(
        (o for o, y in enumerate(down_read) if y is not None), (o for o, x in enumerate(across_read) if x is not None)
    )
    return marks(down_read, across_read), marks((i,), (j,)), everywhere


def _under(rows: AnyAxis, columns: AnyAxis, cell: Pair) -> Marks:
    """The window of an output cell on the input, padding included."""
    return marks(
        (rows.position(cell[0], i) for i in range(rows.kernel)),
        (columns.position(cell[1], j) for j in range(columns.kernel)),
    )


def _border(state: ConvolveState) -> Sides:
    """How much padding is drawn: what is there, and what windows reach beyond it."""
    operation, window = state.operation, state.operation.window
    if operation.transposed or operation.op in ADAPTIVE:
        return NONE
    if window is None:
        return operation.sides
    beyond = []
    for axis, (before, after) in zip((window.rows, window.columns), operation.sides, strict=True):
        last = axis.position(axis.outputs - 1, axis.kernel - 1)
        beyond.append((before, max(after, 0 if last is None else last - axis.size + 1)))
    return beyond[0], beyond[1]


def _kernel_title(state: ConvolveState) -> str:
    operation = state.operation
    if operation.pool:
        kind = {"max": "max of", "avg": "mean of"}.get(operation.op.removeprefix("adaptive-"), "")
        fitted = "up to " if operation.op in ADAPTIVE else ""
        return f"{kind} {fitted}{shape_text(operation.kernel_size)}"
    flipped = " flipped" if operation.op == "true-conv" else ""
    return f"{state.name}{flipped}{_finish(state)}"


def _finish(state: ConvolveState) -> str:
    """What is done to a sum of products: ` ÷16 + 0.5`."""
    operation = state.operation
    divided = f" ÷{number(operation.divisor)}" if operation.divisor != 1 and not operation.pool else ""
    bias = operation.cell_bias(state.filter) if operation.problem is None else 0
    return divided + (f" + {number(bias, 3)}" if bias else "")


# -- the same as products of matrices


def _column(values: Array) -> Array:
    return values.reshape(-1, 1)


def _patches(state: ConvolveState) -> Panels:
    """A row for each output cell, holding what its window reads; the kernel as a column; their product."""
    operation = state.operation
    output = operation.output
    if output is None:
        return _cells(state)
    channels = operation.channels_of(state.filter)
    taps = int(np.prod(operation.kernel_size))
    cells = output[0].size
    _refuse_large(cells, taps * len(channels), "patch matrix")
    input_scale, weight_scale, output_scale = operation.scales
    patches = operation.patches(state.filter)
    row = state.cell[0] * output.shape[2] + state.cell[1]
    tap = state.channel_of_group * taps + state.tap[0] * operation.kernel_size[1] + state.tap[1]
    every = range(patches.shape[1])
    match state.looking:
        case "input":
            where = frozenset(
                (
                    product.output[1] * output.shape[2] + product.output[2],
                    state.channel_of_group * taps + product.tap[0] * operation.kernel_size[1] + product.tap[1],
                )
                for product in state.reached
            )
            rows, columns = (frozenset(place[axis] for place in where) for axis in (0, 1))
            marked, weights, made = Marks(rows, columns, where), marks(columns, (0,)), marks(rows, (0,))
        case "kernel":
            marked, weights, made = marks(range(cells), (tap,)), marks((tap,), (0,)), marks(range(cells), (0,))
        case _:
            marked, weights, made = marks((row,), every), NOTHING, marks((row,), (0,))
    column = operation.sliding[state.filter] if not operation.pool else np.zeros((1, *operation.kernel_size))
    return {
        "input": Panel(
            f"patches {cells}×{patches.shape[1]}", patches, input_scale, (row, tap), marked=marked,
            holes=operation.missing(),
        ),
        "kernel": Panel(
            f"kernel {patches.shape[1]}×1{_finish(state)}", _column(column), weight_scale, (tap, 0), marked=weights,
            weights=not operation.pool, blank=operation.pool,
        ),
        "output": Panel(
            f"output {cells}×1", _column(output[state.output_cell[0]]), output_scale, (row, 0), marked=made
        ),
    }  # fmt: skip


def _tied(state: ConvolveState) -> Panels:
    """The sparse matrix whose rows hold the same weights, shifted; the input as a column; their product."""
    operation = state.operation
    if operation.pool:
        raise MoveError("a pool is no product with a matrix of weights")
    output = operation.output
    if output is None:
        return _cells(state)
    cells, pixels = output[0].size, operation.input.size
    _refuse_large(cells, pixels, "matrix")
    input_scale, weight_scale, output_scale = operation.scales
    matrix, there = operation.tied_matrix(state.filter)
    row = state.cell[0] * output.shape[2] + state.cell[1]
    height, width = operation.input.shape[1:]
    column = (state.channel * height + state.pixel[0]) * width + state.pixel[1]
    used = np.flatnonzero(there[row])
    match state.looking:
        case "input":
            reaching = np.flatnonzero(there[:, column])
            places = frozenset((int(o), column) for o in reaching)
            marked = Marks(frozenset(int(o) for o in reaching), frozenset((column,)), places)
            read, made = marks((column,), (0,)), marks((int(o) for o in reaching), (0,))
        case "kernel":
            touched = list(islice(state.touched(), LARGEST))
            places = frozenset(
                (p.output[1] * output.shape[2] + p.output[2], (p.input[0] * height + p.input[1]) * width + p.input[2])
                for p in touched
                if p.input
            )
            rows, columns = (frozenset(place[axis] for place in places) for axis in (0, 1))
            marked, read, made = Marks(rows, columns, places), marks(columns, (0,)), marks(rows, (0,))
        case _:
            places = frozenset((row, int(at)) for at in used)
            marked = Marks(frozenset((row,)), frozenset(int(at) for at in used), places)
            read, made = marks((int(at) for at in used), (0,)), marks((row,), (0,))
    return {
        "input": Panel(
            f"matrix {cells}×{pixels}{_finish(state)}, {operation.sliding[state.filter].size} weights",
            matrix, weight_scale, (row, column), marked=marked, weights=True, holes=~there,
        ),
        "kernel": Panel(f"input {pixels}×1", _column(operation.input), input_scale, (column, 0), marked=read),
        "output": Panel(
            f"output {cells}×1", _column(output[state.output_cell[0]]), output_scale, (row, 0), marked=made
        ),
    }  # fmt: skip


def _refuse_large(rows: int, columns: int, what: str) -> None:
    if rows * columns > LARGEST:
        raise MoveError(
            f"the {what} would have {rows:,}×{columns:,} cells, more than {LARGEST:,}; take a smaller input"
        )


def looked_at(view: str, grid: str) -> str:
    """What one looks at in the grid called input, kernel or output, as that view has it."""
    return {"matrix": {"input": "output", "kernel": "input"}}.get(view, {}).get(grid, grid)


def moved(state: ConvolveState, view: str, grid: str, row: int, column: int) -> ConvolveState:
    """Another place in the grid called input, kernel or output, as that view has it."""
    operation = state.operation
    if view in ("cells", *PICTURES) or operation.window is None:
        return state.look(grid, row, column)
    cell = divmod(row, operation.window.columns.outputs)
    if grid == "output":
        return state.look("output", *cell)
    if view == "im2col":
        place = column if grid == "input" else row
        across = operation.kernel_size[1]
        channel, tap = divmod(place, operation.kernel_size[0] * across)
        there = state.to_channel(operation.channels_of(state.filter).start + channel).look(
            "kernel", *divmod(tap, across)
        )
        if grid == "kernel":
            return there
        # A cell of a patch is a copy of an input cell; what is looked at is that cell, in all its copies.
        there = there.to_cell(*cell)
        read = operation.window.cells(*there.cell)[tap]
        return there.look("output") if read is None else there.look("input", *read)
    place = column if grid == "input" else row
    channel, at = divmod(place, operation.input[0].size)
    there = state.to_channel(channel).look("input", *divmod(at, operation.input.shape[2]))
    return there if grid == "kernel" else there.look("output", *cell)
