"""A window slid over a picture: convolution, transposed convolution, maximum and average pooling.

Pictures are (C, H, W), kernels (O, C/groups, kH, kW), transposed kernels (C, O/groups, kH, kW), as in torch.
Everything is a sum over taps: gather one input cell for each output cell, weigh it, add it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntui.core.axis import AnyAxis, Axis, ImpossibleError

Array = NDArray[Any]
MOST_CELLS = 2**22  # that are laid out at once


@dataclass(frozen=True)
class Tap:
    """One cell of a window: where it reads (channel, row, column), or None for padding, and what it contributes."""

    input: tuple[int, int, int] | None
    value: float
    weight: float

    @property
    def product(self) -> float:
        """Weight times value."""
        return self.weight * self.value


@dataclass(frozen=True, slots=True)
class _Regular:
    """An axis whose windows all lie `stride` apart: each tap is a slice of the padded input."""

    axis: Axis

    @property
    def margins(self) -> tuple[int, int]:
        """Cells of fill before and after the input, the overhang of `ceil` included."""
        axis = self.axis
        reached = (axis.outputs - 1) * axis.stride + axis.extent
        return axis.padding[0], max(0, reached - axis.padding[0] - axis.size)

    def slice(self, tap: int) -> slice:
        """What the outputs read through the tap."""
        first = tap * self.axis.dilation
        return slice(first, first + (self.axis.outputs - 1) * self.axis.stride + 1, self.axis.stride)


def _regular(axis: AnyAxis) -> _Regular | None:
    return _Regular(axis) if isinstance(axis, Axis) and not axis.transposed else None


@dataclass(frozen=True)
class Window:
    """Two axes: the geometry of a 2-D convolution or pool."""

    rows: AnyAxis
    columns: AnyAxis

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the output."""
        return self.rows.outputs, self.columns.outputs

    @property
    def kernel_size(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return self.rows.kernel, self.columns.kernel

    @property
    def taps(self) -> list[tuple[int, int]]:
        """Row and column of each tap, in reading order."""
        return [(i, j) for i in range(self.rows.kernel) for j in range(self.columns.kernel)]

    @cached_property
    def _tables(self) -> tuple[Array, Array]:
        """(outputs, taps) input indices of each axis; -1, the index of the fill that `gather` appends, for padding."""
        return tuple(  # type: ignore[return-value]
            np.array([[-1 if i is None else i for i in axis.reads(o)] for o in range(axis.outputs)], dtype=np.intp)
            for axis in (self.rows, self.columns)
        )

    def gather(self, x: Array, fill: float = 0.0) -> Iterator[tuple[tuple[int, int], Array]]:
        """For each tap (row, column) the input cell that each output cell reads through it: (C, outH, outW)."""
        down, across = _regular(self.rows), _regular(self.columns)
        if down and across:  # slices of the padded picture, many times faster than picking cell by cell
            padded = np.pad(x, ((0, 0), down.margins, across.margins), constant_values=fill)
            yield from (((i, j), padded[:, down.slice(i), across.slice(j)]) for i, j in self.taps)
            return
        padded = np.pad(x, ((0, 0), (0, 1), (0, 1)), constant_values=fill)
        rows, columns = self._tables
        yield from (((i, j), padded[:, rows[:, i, None], columns[None, :, j]]) for i, j in self.taps)

    def stamp(self, parts: Iterable[tuple[tuple[int, int], Array]], shape: tuple[int, ...]) -> Array:
        """`gather` turned round: for each tap (row, column) what each output cell adds to the cell it reads; (C, H, W).

        What falls on padding is lost. Of windows `stride` apart: not transposed, not adaptive.
        """
        down, across = _regular(self.rows), _regular(self.columns)
        if down is None or across is None:
            raise ValueError("only windows that all lie one stride apart are stamped")
        (top, bottom), (left, right) = down.margins, across.margins
        channels, height, width = shape
        padded = None
        for (i, j), cells in parts:
            if padded is None:
                padded = np.zeros((channels, top + height + bottom, left + width + right), cells.dtype)
            padded[:, down.slice(i), across.slice(j)] += cells
        return np.zeros(shape) if padded is None else padded[:, top : top + height, left : left + width]

    def cells(self, row: int, column: int) -> list[tuple[int, int] | None]:
        """The input cell of each tap of one output cell, in reading order; None for padding."""
        across = self.columns.reads(column)
        return [None if y is None or x is None else (y, x) for y in self.rows.reads(row) for x in across]

    def divisor(self, row: int, column: int, count_include_pad: bool = True) -> int:
        """By what average pooling divides the sum of one window."""
        return _counted(self.rows, row, count_include_pad) * _counted(self.columns, column, count_include_pad)

    def divisors(self, count_include_pad: bool = True) -> Array:
        """`divisor` of every output cell: (outH, outW)."""
        rows, columns = (
            np.array([_counted(axis, o, count_include_pad) for o in range(axis.outputs)])
            for axis in (self.rows, self.columns)
        )
        return np.asarray(np.outer(rows, columns))


def _counted(axis: AnyAxis, output: int, count_include_pad: bool) -> int:
    return axis.counted(output) if count_include_pad else sum(i is not None for i in axis.reads(output))


def conv2d(x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    """Cross-correlation, which frameworks call convolution: (C, H, W) -> (O, outH, outW).

    Raises:
        ImpossibleError: when the channel counts do not fit the groups.
    """
    check_channels(x, weight, groups)
    out_channels, per_group = weight.shape[:2]
    out = np.zeros((out_channels, *window.output), dtype=np.result_type(x, weight, np.float32))
    if per_group == 1:  # one product a cell: no matrix to multiply with
        for (i, j), cells in window.gather(x):
            out += weight[:, 0, i, j, None, None] * cells.repeat(out_channels // groups, 0)
    else:
        for taps, patches in _laid_out(x, window):
            kernel = np.stack([weight[:, :, i, j] for i, j in taps], axis=2)
            for inputs, outputs in zip(
                np.split(patches, groups), np.split(np.arange(out_channels), groups), strict=True
            ):
                out[outputs] += np.tensordot(kernel[outputs], inputs, axes=2)
    return out if bias is None else out + bias[:, None, None]


def _laid_out(x: Array, window: Window) -> Iterator[tuple[list[tuple[int, int]], Array]]:
    """Some taps at a time, and what they read: (C, taps, outH, outW). One large product is faster than many small ones."""
    cells = len(x) * prod(window.output)
    at_once = max(1, MOST_CELLS // max(1, cells))
    gathered = window.gather(x)
    while some := list(islice(gathered, at_once)):
        yield [tap for tap, _ in some], np.stack([read for _, read in some], axis=1)


def check_channels(x: Array, weight: Array, groups: int) -> None:
    """Whether a kernel (O, C/groups, kH, kW) fits a picture (C, H, W).

    Raises:
        ImpossibleError: with the counts that do not fit.
    """
    out_channels, per_group = weight.shape[:2]
    if groups < 1:
        raise ImpossibleError(f"groups {groups} < 1")
    if len(x) % groups or out_channels % groups:
        raise ImpossibleError(f"groups {groups} must divide {len(x)} input and {out_channels} output channels")
    if per_group * groups != len(x):
        raise ImpossibleError(
            f"kernel with {per_group} input channels × groups {groups} = {per_group * groups}, "
            f"but the input has {len(x)}"
        )


def conv_transpose2d(x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    """Transposed convolution: every input cell stamps the weighted kernel (C, O/groups, kH, kW) on the output.

    Raises:
        ImpossibleError: when the channel counts do not fit the groups.
    """
    check_channels(x, swap_transposed(weight, groups), groups)
    down, across = _Stamped.of(window.rows), _Stamped.of(window.columns)
    filters = weight.shape[1] * groups
    whole = np.zeros((filters, down.room, across.room), dtype=np.result_type(x, weight, np.float32))
    parts_in, parts_out = np.split(np.arange(len(x)), groups), np.split(np.arange(filters), groups)
    for i in range(window.rows.kernel):
        for j in range(window.columns.kernel):
            for inputs, outputs in zip(parts_in, parts_out, strict=True):
                stamp = np.tensordot(weight[inputs, :, i, j], x[inputs], axes=(0, 0))
                whole[outputs[0] : outputs[-1] + 1, down.slice(i), across.slice(j)] += stamp
    out = whole[:, down.kept, across.kept]
    return out if bias is None else out + bias[:, None, None]


@dataclass(frozen=True, slots=True)
class _Stamped:
    """An axis of a transposed convolution: each tap is stamped on a slice of the output before its ends are cut off."""

    axis: Axis

    @classmethod
    def of(cls, axis: AnyAxis) -> _Stamped:
        """Of an axis that is transposed."""
        if not isinstance(axis, Axis) or not axis.transposed:
            raise ValueError("not a transposed axis")
        return cls(axis)

    @property
    def room(self) -> int:
        """Cells that all stamps and the cells kept take."""
        axis = self.axis
        return max((axis.size - 1) * axis.stride + axis.extent, axis.padding[0] + axis.outputs)

    @property
    def kept(self) -> slice:
        """The output among them."""
        return slice(self.axis.padding[0], self.axis.padding[0] + self.axis.outputs)

    def slice(self, tap: int) -> slice:
        """Where the inputs stamp the tap."""
        first = tap * self.axis.dilation
        return slice(first, first + (self.axis.size - 1) * self.axis.stride + 1, self.axis.stride)


def swap_transposed(weight: Array, groups: int) -> Array:
    """(C, O/groups, kH, kW) -> (O, C/groups, kH, kW): the layout of a convolution, group by group.

    Raises:
        ImpossibleError: when groups does not divide the input channels.
    """
    if groups < 1 or len(weight) % groups:
        raise ImpossibleError(f"groups {groups} must divide {len(weight)} input channels")
    return np.concatenate([part.swapaxes(0, 1) for part in np.split(weight, groups)])


def max_pool2d(x: Array, window: Window) -> Array:
    """The largest of each window; padding never wins."""
    return _folded(np.maximum, window.gather(x, fill=-np.inf))


def avg_pool2d(x: Array, window: Window, count_include_pad: bool = True) -> Array:
    """The mean of each window; `count_include_pad` as in torch."""
    return np.asarray(_folded(np.add, window.gather(x)) / window.divisors(count_include_pad))


def _folded(operation: np.ufunc, gathered: Iterator[tuple[tuple[int, int], Array]]) -> Array:
    """Tap after tap into one array: all of them at once would take many times the memory."""
    _, first = next(gathered)
    out = first.copy()
    for _, cells in gathered:
        operation(out, cells, out=out)
    return out


def adaptive_pool2d(x: Array, window: Window, reduce: np.ufunc) -> Array:
    """`reduce` (np.add, np.maximum) over each window of two adaptive axes: first along the rows, then along the columns."""
    for dimension, axis in ((1, window.rows), (2, window.columns)):
        starts = [axis.position(output, 0) or 0 for output in range(axis.outputs)]
        parts = [
            reduce.reduce(x.take(range(start, start + axis.counted(output)), dimension), axis=dimension)
            for output, start in enumerate(starts)
        ]
        x = np.stack(parts, axis=dimension)
    return x


def conv_taps(x: Array, weight: Array, window: Window, cell: tuple[int, int, int], groups: int = 1) -> list[Tap]:
    """The taps of output `cell` (channel, row, column), channel by channel in reading order; weight as for `conv2d`."""
    out_channel, row, column = cell
    per_group = weight.shape[1]
    first = out_channel // (len(weight) // groups) * per_group
    where = window.cells(row, column)
    return [
        Tap(
            input=None if at is None else (channel, *at),
            value=0.0 if at is None else float(x[(channel, *at)]),
            weight=float(tap_weight),
        )
        for channel, plane in zip(range(first, first + per_group), weight[out_channel], strict=True)
        for at, tap_weight in zip(where, plane.flat, strict=True)
    ]


def pool_taps(x: Array, window: Window, cell: tuple[int, int, int]) -> list[Tap]:
    """The taps of a pool's output `cell` (channel, row, column), each of weight 1."""
    channel, row, column = cell
    return [
        Tap(None if at is None else (channel, *at), 0.0 if at is None else float(x[(channel, *at)]), 1.0)
        for at in window.cells(row, column)
    ]
