"""The convolution lab: a window over the user's numbers, what is looked at, and the moves from state to state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cnntui.core import images
from cnntui.core.kernels import MOST_TAPS, Kernel, KernelError, kernels_directory, load_kernels, read_kernel
from cnntui.core.layers import Pair, shape_text
from cnntui.core.mending import dividing, mended
from cnntui.core.operation import (
    AFTER,
    MAGNITUDE,
    OPERATIONS,
    Cell,
    Operation,
    Part,
    Product,
    refitted,
)
from cnntui.core.windows import Array, swap_transposed
from cnntui.labs.stages import WordsError
from cnntui.runs.places import kernels_root

LOOKING = ("output", "input", "kernel")
PLACES = {"output": "cell", "input": "pixel", "kernel": "tap"}  # where one is in each
MOST_CELLS, MOST_CHANNELS = 1024, 64  # a side of the input; channels and filters
CUSTOM = "custom"


class MoveError(WordsError):
    """A move that this state does not allow, and why."""


@dataclass(frozen=True, eq=False)
class ConvolveState:
    """An operation, and what of it one looks at.

    Args:
        name: of the kernel.
        filter, cell: the output cell: whose sum, and where (row, column).
        channel, pixel: the input cell.
        tap: the weight of that filter and channel (row, column), in the order in which it slides.
        looking: which of LOOKING is followed: what an output cell is made of, where an input cell goes, what a weight
            touches.
        pinned: an output cell that stays in view.
        seed: of the last random numbers.
    """

    operation: Operation
    name: str = CUSTOM
    filter: int = 0
    cell: Pair = (0, 0)
    channel: int = 0
    pixel: Pair = (0, 0)
    tap: Pair = (0, 0)
    looking: str = "output"
    pinned: Pair | None = None
    seed: int = 0

    # -- what follows from it

    @property
    def output_cell(self) -> Cell:
        """The output cell as (channel, row, column)."""
        return (0 if self.operation.activation == MAGNITUDE else self.filter, *self.cell)

    @property
    def value(self) -> float | None:
        """The output cell's value."""
        output = self.operation.output
        return None if output is None else float(output[self.output_cell])

    @property
    def parts(self) -> tuple[Part, ...]:
        """The arithmetic of the output cell, line by line."""
        return self.operation.parts(self.output_cell)

    @cached_property
    def reached(self) -> list[Product]:
        """Where the input cell goes, in this filter."""
        return self.operation.reached((self.channel, *self.pixel), self.filter)

    def touched(self) -> Iterator[Product]:
        """What the weight touches, output cell by output cell."""
        if not self.operation.pool and self.operation.problem is None:
            yield from self.operation.touched(self.filter, self.channel, *self.tap)

    @cached_property
    def mended(self) -> list[tuple[str, ConvolveState]]:
        """The nearest settings that work, each in words, when these do not."""
        offers = self.operation.once("mended", None, lambda: mended(self.operation))
        return [(words, replace(self, operation=other).settled()) for words, other in offers]

    def _weight_at(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Where a weight that is shown is kept; in impossible groups, one that is there."""
        first, second, *place = self.operation.weight_at(self.filter, self.channel_of_group, row, column)
        shape = self.operation.weight.shape
        return first % shape[0], second % shape[1], place[0], place[1]

    @property
    def kernel_plane(self) -> Array:
        """The weights of this filter and channel in the order in which they slide; of a pool, none."""
        operation = self.operation
        if operation.pool:
            return np.zeros(operation.kernel_size)
        plane = operation.weight[self._weight_at(0, 0)[:2]]
        return np.asarray(plane[::-1, ::-1] if operation.op == "true-conv" else plane)

    @property
    def channel_of_group(self) -> int:
        """The channel, counted from the first that this filter reads."""
        return 0 if self.operation.problem else self.channel - self.operation.channels_of(self.filter).start

    @property
    def filters(self) -> int:
        """How many filters there are; of a pool, channels."""
        return max(1, self.operation.filters)

    @property
    def shape(self) -> Pair:
        """Rows and columns of the grid that is looked at; (0, 0) where there is none."""
        if self.looking == "input":
            return self.operation.input.shape[1], self.operation.input.shape[2]
        if self.looking == "kernel":
            return self.operation.kernel_size
        output = self.operation.output
        return (0, 0) if output is None else (output.shape[1], output.shape[2])

    @property
    def place(self) -> Pair:
        """Where in that grid."""
        place: Pair = getattr(self, PLACES[self.looking])
        return place

    @property
    def steps(self) -> int:
        """How many cells that grid has."""
        return self.shape[0] * self.shape[1]

    @property
    def index(self) -> int:
        """The number of the cell in reading order, from 0."""
        return self.place[0] * self.shape[1] + self.place[1]

    # -- moves: where one looks

    def settled(self) -> ConvolveState:
        """The same with everything looked at inside what there is."""
        operation = self.operation
        settled = replace(
            self,
            pixel=_inside(self.pixel, operation.input.shape[1:]),
            tap=_inside(self.tap, operation.kernel_size),
            channel=_clamped(self.channel, len(operation.input)),
            filter=_clamped(self.filter, self.filters),
        )
        if operation.window is None:
            return settled
        channels = operation.channels_of(settled.filter)
        return replace(
            settled,
            cell=_inside(self.cell, operation.window.output),
            channel=min(max(channels.start, settled.channel), channels.stop - 1),
            pinned=_inside(self.pinned, operation.window.output) if self.pinned else None,
        )

    def look(self, at: str, row: int | None = None, column: int | None = None) -> ConvolveState:
        """Follow an output cell, an input cell or a weight; beyond the border is the border.

        Raises:
            MoveError: when there is no such grid.
        """
        if at not in LOOKING:
            raise MoveError(f"no grid is called {at!r}; there are {', '.join(LOOKING)}")
        state = replace(self, looking=at)
        return state if row is None or column is None else state.to(row, column)

    def to(self, row: int, column: int) -> ConvolveState:
        """Another cell of the grid that is looked at; beyond the border is the border."""
        change: dict[str, Any] = {PLACES[self.looking]: (row, column)}
        return replace(self, **change).settled()

    def to_cell(self, row: int, column: int) -> ConvolveState:
        """Another output cell."""
        return replace(self, cell=(row, column)).settled()

    def step(self, cells: int = 1) -> ConvolveState:
        """That many cells on in reading order, in the grid that is looked at, round and round."""
        if not self.steps:
            return self
        return self.to(*divmod((self.index + cells) % self.steps, self.shape[1]))

    def to_filter(self, filter_: int) -> ConvolveState:
        """Another filter, round and round; the input channel follows where the filter does not read it."""
        filter_ %= max(1, self.filters)
        channel = self.channel
        if self.operation.problem is None and channel not in self.operation.channels_of(filter_):
            channel = self.operation.channels_of(filter_).start
        return replace(self, filter=filter_, channel=channel).settled()

    def to_channel(self, channel: int) -> ConvolveState:
        """Another input channel, round and round; the filter follows where it does not read that channel."""
        channel %= len(self.operation.input)
        filter_ = self.filter
        if self.operation.problem is None and channel not in self.operation.channels_of(filter_):
            filter_ = self.operation.filters_of(channel)[0]
        return replace(self, channel=channel, filter=filter_).settled()

    def pin(self) -> ConvolveState:
        """Keep the output cell in view; once more lets it go."""
        return replace(self, pinned=None if self.pinned == self.cell else self.cell)

    # -- moves: settings

    def with_(self, **settings: Any) -> ConvolveState:
        """Other settings of the operation, by their names there."""
        return replace(self, operation=replace(self.operation, **settings)).settled()

    def with_op(self, op: str) -> ConvolveState:
        """Another operation over the same input; a transposed convolution is followed from the input, as it stamps.

        Raises:
            MoveError: when there is none of that name.
        """
        if op not in OPERATIONS:
            raise MoveError(f"no operation is called {op!r}; there are {', '.join(OPERATIONS)}")
        before = self.operation
        settings: dict[str, Any] = {"op": op}
        if (op == "transposed") != before.transposed and before.groups >= 1 and len(before.weight) % before.groups == 0:
            settings["weight"] = swap_transposed(before.weight, before.groups)
        state = self.with_(**settings)
        if op == "transposed" and self.looking == "output":
            return state.look("input")
        if before.transposed and self.looking == "input":
            return state.look("output")
        return state

    def with_groups(self, groups: int) -> ConvolveState:
        """Another number of groups, with weights that fit where it divides both channel counts."""
        operation = self.operation
        channels, filters = len(operation.input), self.filters
        if groups < 1 or channels % groups or filters % groups:
            return self.with_(groups=groups)
        layout = (channels, filters // groups) if operation.transposed else (filters, channels // groups)
        return self.with_(groups=groups, weight=refitted(operation.weight, layout))

    def next_groups(self) -> ConvolveState:
        """The next number that divides both channel counts, round and round."""
        channels, filters = len(self.operation.input), self.filters
        return self.with_groups(next((g for g in dividing(channels, filters) if g > self.operation.groups), 1))

    def with_filters(self, filters: int) -> ConvolveState:
        """More or fewer filters. A new one is the first one turned by a quarter, and so on round.

        Raises:
            MoveError: when that is out of range, or a pool has none.
        """
        self._refuse_pool("filters")
        _check("filters", filters, MOST_CHANNELS)
        operation = self.operation
        if operation.transposed:
            if filters % operation.groups:
                raise MoveError(f"filters {filters} is not a multiple of {operation.groups} groups")
            layout = (len(operation.weight), filters // operation.groups)
        else:
            layout = (filters, operation.weight.shape[1])
        weight = refitted(operation.weight, layout)
        if operation.kernel_size[0] == operation.kernel_size[1] and not operation.transposed:
            for new in range(len(operation.weight), filters):
                weight[new] = np.rot90(operation.weight[0], -new, axes=(1, 2))
        bias = None if operation.bias is None else np.resize(operation.bias, filters)
        return replace(self, name=CUSTOM if len(self.operation.weight) < filters else self.name).with_(
            weight=weight, bias=bias
        )

    def with_channels(self, channels: int) -> ConvolveState:
        """More or fewer input channels; new ones are random, each with the weights of the channels before.

        Raises:
            MoveError: when that is out of range.
        """
        _check("channels", channels, MOST_CHANNELS)
        before = self.operation.input
        height, width = before.shape[1:]
        drawn = np.random.default_rng([self.seed, len(before)]).integers(
            0, 10, (max(0, channels - len(before)), height, width)
        )
        return self._with_input(np.concatenate([before[:channels], drawn.astype(float)]))

    def depthwise(self) -> ConvolveState:
        """A filter of its own for each input channel.

        Raises:
            MoveError: for a pool, which is that already.
        """
        self._refuse_pool("filters")
        channels = len(self.operation.input)
        bias = self.operation.bias
        weight = refitted(self.operation.weight, (channels, 1))
        return self.with_(groups=channels, weight=weight, bias=None if bias is None else np.resize(bias, channels))

    def with_bias(self, *values: float) -> ConvolveState:
        """The bias of this filter, or of every one; zeros everywhere are no bias at all.

        Raises:
            MoveError: when a pool has none, or there are not as many as filters.
        """
        self._refuse_pool("bias")
        old = self.operation.bias
        biases = np.zeros(self.filters) if old is None else np.resize(old, self.filters)
        if len(values) == 1:
            biases[self.filter] = values[0]
        elif len(values) == self.filters:
            biases[:] = values
        else:
            raise MoveError(f"{len(values)} biases for {self.filters} filters")
        return self.with_(bias=biases if biases.any() else None)

    def with_activation(self, name: str | None) -> ConvolveState:
        """An activation after it, or none.

        Raises:
            MoveError: when there is none of that name.
        """
        if name not in (None, *AFTER):
            raise MoveError(f"no activation is called {name!r}; there are none, {', '.join(AFTER)}")
        return self.with_(activation=name)

    # -- moves: what slides over what

    def _with_input(self, grid: Array) -> ConvolveState:
        """Another input; the weights follow the number of channels, a depthwise operation the number of filters too."""
        operation = self.operation
        channels, before = len(grid), len(operation.input)
        if channels == before:
            return self.with_(input=grid)
        weight, bias = operation.weight, operation.bias
        if operation.groups == before > 1 and not operation.transposed:
            filters, groups = len(weight) // before * channels, channels
            bias = None if bias is None else np.resize(bias, filters)
            weight = refitted(weight, (filters, 1))
        else:
            filters, groups = weight.shape[1] * operation.groups if operation.transposed else len(weight), 1
            weight = refitted(weight, (channels, filters) if operation.transposed else (filters, channels))
        return self.with_(input=grid, weight=weight, groups=groups, bias=bias)

    def use_input(self, grid: Array) -> ConvolveState:
        """Slide over another input (C, H, W).

        Raises:
            MoveError: when it is too large for the lab.
        """
        for side in grid.shape[1:]:
            _check("size", side, MOST_CELLS)
        _check("channels", len(grid), MOST_CHANNELS)
        return replace(self, pinned=None)._with_input(grid)

    def use_picture(self, name: str, size: Pair | None = None) -> ConvolveState:
        """Slide over a built-in picture, perhaps at another size (height, width).

        Raises:
            MoveError: when there is none of that name, or the size is out of range.
        """
        for side in size or ():
            _check("size", side, MOST_CELLS)
        try:
            return self.use_input(images.picture(name, size))
        except images.GridError as error:
            raise MoveError(str(error)) from None

    def use_kernel(self, kernel: Kernel) -> ConvolveState:
        """Slide another kernel: one filter, the same for every channel."""
        return self.use_kernels([kernel])

    def use_kernels(self, kernels: list[Kernel]) -> ConvolveState:
        """Slide one or more kernels of one size, a filter each.

        Raises:
            MoveError: when their sizes or divisors differ.
        """
        first = kernels[0]
        grids = [np.array(kernel.weights, dtype=float) for kernel in kernels]
        for kernel, grid in zip(kernels, grids, strict=True):
            if grid.shape != grids[0].shape or kernel.divisor != first.divisor:
                raise MoveError(f"{first.name} and {kernel.name} differ in size or divisor, so they cannot be together")
        channels = len(self.operation.input)
        weight = np.repeat(np.stack(grids)[:, None], channels, axis=1)
        op = "conv" if self.operation.pool else self.operation.op
        if op == "transposed":
            weight = weight.swapaxes(0, 1)
        activation = self.operation.activation
        if len(kernels) == 1 and activation == MAGNITUDE:
            activation = None
        state = replace(self, name=" + ".join(kernel.name for kernel in kernels), filter=0)
        return state.with_(op=op, weight=weight, divisor=first.divisor, groups=1, bias=None, activation=activation)

    # -- moves: editing

    def set_input(self, row: int, column: int, value: float) -> ConvolveState:
        """Change one cell of the input channel.

        Raises:
            MoveError: when there is no such cell.
        """
        return self.with_(input=_changed(self.operation.input, (self.channel, row, column), value))

    def set_weight(self, row: int, column: int, value: float) -> ConvolveState:
        """Change one weight of this filter and channel; row and column as it slides.

        Raises:
            MoveError: when there is no such weight, or a pool has none.
        """
        self._refuse_pool("weights")
        operation = self.operation
        height, width = operation.weight.shape[2:]
        if not (0 <= row < height and 0 <= column < width):
            raise MoveError(f"there is no cell {row},{column} in {height}×{width}")
        weight = operation.weight.copy()
        weight[self._weight_at(row, column)] = value
        return replace(self, name=CUSTOM).with_(weight=weight)

    def _refuse_pool(self, what: str) -> None:
        if self.operation.pool:
            raise MoveError(f"a pool has no {what}")

    def _plane_edited(self, which: str, edit: Callable[[Array], Array]) -> ConvolveState:
        """The shown channel of the input, or the shown weights, made anew with the same shape."""
        if which == "input":
            grid = self.operation.input.copy()
            grid[self.channel] = edit(grid[self.channel])
            return self.with_(input=grid)
        self._refuse_pool("weights")
        operation = self.operation
        weight = operation.weight.copy()
        for (row, column), value in np.ndenumerate(edit(self.kernel_plane)):
            weight[self._weight_at(row, column)] = value
        return replace(self, name=CUSTOM).with_(weight=weight)

    def _all_edited(self, which: str, edit: Callable[[Array], Array]) -> ConvolveState:
        """Every channel of the input, or all weights, made anew, perhaps with another height and width."""
        if which == "input":
            return self.with_(input=np.ascontiguousarray(edit(self.operation.input)))
        name = self.name if self.operation.pool else CUSTOM
        return replace(self, name=name).with_(weight=np.ascontiguousarray(edit(self.operation.weight)))

    def filled(self, which: str, value: float) -> ConvolveState:
        """`which` ("input" or "kernel"; its shown channel) with one number everywhere."""
        return self._plane_edited(which, lambda plane: np.full(plane.shape, value))

    def random(self, which: str, seed: int | None = None) -> ConvolveState:
        """Random whole numbers, from 0 to 9 for the input, from −2 to 2 for a kernel; without a seed the next one."""
        seed = self.seed + 1 if seed is None else seed
        low, high = (0, 10) if which == "input" else (-2, 3)
        rng = np.random.default_rng(seed)
        state = self._plane_edited(which, lambda plane: rng.integers(low, high, plane.shape).astype(float))
        return replace(state, seed=seed)

    def resized(self, which: str, height: int, width: int) -> ConvolveState:
        """Another size: what is there stays in the corner, new cells are 0.

        Raises:
            MoveError: when it is out of range.
        """
        most = MOST_CELLS if which == "input" else MOST_TAPS
        for size in (height, width):
            _check("size", size, most)

        def resize(array: Array) -> Array:
            grown = np.zeros((*array.shape[:-2], height, width))
            kept = array[..., :height, :width]
            grown[..., : kept.shape[-2], : kept.shape[-1]] = kept
            return grown

        return self._all_edited(which, resize)

    def transposed(self, which: str) -> ConvolveState:
        """Rows become columns."""
        return self._all_edited(which, lambda array: array.swapaxes(-1, -2))

    def rotated(self, which: str) -> ConvolveState:
        """A quarter turn clockwise."""
        return self._all_edited(which, lambda array: np.rot90(array, -1, axes=(-2, -1)))

    def shifted(self, which: str, rows: int, columns: int) -> ConvolveState:
        """Everything moved down and to the right; what leaves is gone, what comes in is 0."""

        def shift(array: Array) -> Array:
            moved = np.zeros_like(array)
            height, width = array.shape[-2:]
            down, across = _overlap(rows, height), _overlap(columns, width)
            moved[..., down[0], across[0]] = array[..., down[1], across[1]]
            return moved

        return self._all_edited(which, shift)

    def pasted(self, which: str, row: int, column: int, block: Array) -> ConvolveState:
        """A block of numbers (H, W) with its corner at a cell of the shown channel; the grid grows where it must.

        Raises:
            MoveError: when that would be too large.
        """
        plane = self.operation.input[0] if which == "input" else self.kernel_plane
        height, width = max(plane.shape[0], row + len(block)), max(plane.shape[1], column + block.shape[1])
        state = self if plane.shape == (height, width) else self.resized(which, height, width)

        def paste(plane: Array) -> Array:
            plane = plane.copy()
            plane[row : row + len(block), column : column + block.shape[1]] = block
            return plane

        return state._plane_edited(which, paste)


def _clamped(at: int, size: int) -> int:
    return min(max(0, at), max(0, size - 1))


def _inside(place: Pair, shape: Pair | tuple[int, ...]) -> Pair:
    return _clamped(place[0], shape[0]), _clamped(place[1], shape[1])


def _check(what: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise MoveError(f"{what} {value} is not from 1 to {most}")


def _overlap(by: int, size: int) -> tuple[slice, slice]:
    """Where cells arrive that are moved by `by`, and where they come from."""
    by = min(max(-size, by), size)
    return slice(max(0, by), size + min(0, by)), slice(max(0, -by), size - max(0, by))


def _changed(array: Array, at: Cell, value: float) -> Array:
    if any(not 0 <= i < size for i, size in zip(at, array.shape, strict=True)):
        raise MoveError(f"there is no cell {at[-2]},{at[-1]} in {shape_text(array.shape[-2:])}")
    changed = array.copy()
    changed[at] = value
    return changed


def start(kernel: str = "sobel-x", picture: str = "square") -> ConvolveState:
    """How the lab opens."""
    blank = ConvolveState(Operation(images.picture(picture), np.ones((1, 1, 1, 1))))
    return blank.use_kernel(read_kernel(kernels_directory() / f"{kernel}.toml"))


def known_kernels() -> tuple[dict[str, Kernel], list[KernelError]]:
    """The kernels that come with cnntui and the user's own, by name, and what is wrong with the rest."""
    return load_kernels([kernels_root()])
