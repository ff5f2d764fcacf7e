"""A picture that is shifted, and whether its map is shifted as much: equivariance, invariance, and where both break."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from cnntui.core import images
from cnntui.core.axis import AnyAxis
from cnntui.core.images import GridError
from cnntui.core.kernels import Kernel
from cnntui.core.layers import Pair
from cnntui.core.operation import Operation
from cnntui.core.windows import Array, Window, max_pool2d
from cnntui.labs.convolve import MoveError
from cnntui.labs.demos import known, plural
from cnntui.labs.words import kernel_named

KERNELS = ("sobel-x", "sobel-y", "laplacian", "gaussian-3", "sharpen")  # those at hand; any other has a name
PICTURES = ("seven", "square", "plus", "rings", "house")
SIZE = (9, 9)  # of a picture that is asked for without one
SMALLEST, LARGEST = 4, 32  # a side of the picture
POOLS = ("none", "max", "avg")
AT_HAND = (("none", 2), ("max", 2), ("avg", 2), ("max", 3))
MOST_STRIDE, MOST_PADDING, MOST_POOL = 4, 4, 8
EQUAL = 1e-9


@dataclass(frozen=True)
class Outcome:
    """What a layer makes of one picture: its map, the output behind the pool, and which output cells saw padding."""

    map: Array
    output: Array
    hanging: Array


@dataclass(frozen=True, eq=False)
class ShiftState:
    """A picture, a convolution, perhaps a pool, and by how much the picture is shifted.

    Args:
        picture: (1, H, W).
        name: of the picture.
        kernel: what slides.
        stride, padding: of the convolution.
        relu: whether a relu follows it.
        pool: one of POOLS, of windows of `pool_size` that touch.
        by: cells down and to the right.
    """

    picture: Array = field(default_factory=lambda: images.picture("seven", SIZE))
    name: str = "seven"
    kernel: Kernel = field(default_factory=lambda: kernel_named(KERNELS[0]))
    stride: int = 1
    padding: int = 1
    relu: bool = False
    pool: str = "none"
    pool_size: int = 2
    by: Pair = (0, 0)

    # -- what follows from it

    def outcome(self, picture: Array) -> Outcome:
        """What the layer makes of a picture (1, H, W).

        Raises:
            MoveError: when no window fits.
        """
        weight = np.array(self.kernel.weights, dtype=float)[None, None]
        sides = ((self.padding, self.padding), (self.padding, self.padding))
        strides, after = (self.stride, self.stride), "relu" if self.relu else None
        conv = Operation(picture, weight, divisor=self.kernel.divisor, stride=strides, padding=sides, activation=after)
        made, window = _made(conv)
        down, across = (_reaching(axis) for axis in (window.rows, window.columns))
        hanging = (down[:, None] | across)[None]
        if self.pool == "none":
            return Outcome(made[0], made[0], hanging[0])
        steps = (self.pool_size, self.pool_size)
        output, window = _made(Operation(made, np.zeros((1, 1, *steps)), self.pool, stride=steps))
        return Outcome(made[0], output[0], max_pool2d(hanging.astype(float), window)[0] > 0)

    @cached_property
    def shifted(self) -> Array:
        """The picture, shifted; what leaves is gone, what comes in is 0: (1, H, W)."""
        return moved(self.picture, self.by)

    @cached_property
    def before(self) -> Outcome:
        """Of the picture where it was."""
        return self.outcome(self.picture)

    @cached_property
    def after(self) -> Outcome:
        """Of the shifted picture."""
        return self.outcome(self.shifted)

    @property
    def step(self) -> int:
        """Cells of the picture from one output cell to the next."""
        return self.stride * (1 if self.pool == "none" else self.pool_size)

    @property
    def whole(self) -> bool:
        """Whether the shift is a whole number of steps, so that the output can be shifted as much."""
        return all(by % self.step == 0 for by in self.by)

    @property
    def output_by(self) -> Pair:
        """By how many output cells the output is shifted to be compared: the nearest whole number of steps."""
        down, right = (_steps(by, self.step) for by in self.by)
        return down, right

    @cached_property
    def expected(self) -> Array:
        """The output of the picture where it was, shifted by `output_by`; 0 where nothing came."""
        return np.asarray(moved(self.before.output[None], self.output_by)[0])

    @cached_property
    def compared(self) -> Array:
        """Which output cells have a counterpart in the unshifted output: (outH, outW)."""
        return np.asarray(moved(np.ones((1, *self.before.output.shape)), self.output_by)[0] > 0)

    @cached_property
    def difference(self) -> Array:
        """The output less what was expected; 0 where there is nothing to compare."""
        return np.asarray(np.where(self.compared, self.after.output - self.expected, 0))

    @cached_property
    def differs(self) -> Array:
        """Which output cells differ from their counterpart."""
        return np.asarray(np.abs(self.difference) > EQUAL)

    @cached_property
    def at_border(self) -> Array:
        """Which of these saw padding, there or in their counterpart."""
        there = moved(self.before.hanging[None].astype(float), self.output_by)[0] > 0
        return np.asarray(self.differs & (self.after.hanging | there))

    @property
    def same(self) -> float | None:
        """The share of the compared cells that are equal; None where none can be compared."""
        cells = int(self.compared.sum())
        return None if not cells else 1 - int(self.differs.sum()) / cells

    @property
    def unchanged(self) -> int:
        """How many output cells are as they were, the output not shifted at all."""
        return int((np.abs(self.after.output - self.before.output) <= EQUAL).sum())

    # -- moves

    def with_(self, **settings: Any) -> ShiftState:
        """Other settings by their names.

        Raises:
            MoveError: when one is out of range, or no window fits.
        """
        state: ShiftState = replace(self, **settings)
        _check("stride", state.stride, 1, MOST_STRIDE)
        _check("padding", state.padding, 0, MOST_PADDING)
        _check("pool", state.pool_size, 2, MOST_POOL)
        state.outcome(state.picture)
        return state

    def with_picture(self, name: str, size: Pair = SIZE) -> ShiftState:
        """Another built-in picture, not shifted.

        Raises:
            MoveError: when there is none of that name, or it is too large or too small.
        """
        for side in size:
            _check("size", side, SMALLEST, LARGEST)
        try:
            return self.with_(picture=images.picture(name, size), name=name, by=(0, 0))
        except GridError as error:
            raise MoveError(str(error)) from None

    def with_pool(self, pool: str, size: int | None = None) -> ShiftState:
        """Another pool, or none.

        Raises:
            ValueError: when there is none of that name, or it does not fit.
        """
        return self.with_(pool=known(pool, POOLS, "pool"), pool_size=self.pool_size if size is None else size)

    def shift(self, down: int, right: int) -> ShiftState:
        """Shift the picture by so much from where it was; at most until one row and column are left."""
        height, width = self.picture.shape[1:]
        return replace(self, by=(_within(down, height - 1), _within(right, width - 1)))

    def next_pool(self) -> ShiftState:
        """The next of the pools that are at hand, round and round."""
        now = next((i for i, (pool, size) in enumerate(AT_HAND) if (pool, size) == (self.pool, self.pool_size)), -1)
        return self.with_pool(*AT_HAND[(now + 1) % len(AT_HAND)])

    def next_kernel(self, by: int = 1) -> ShiftState:
        """The next of the kernels that are at hand, round and round."""
        return self.with_(kernel=kernel_named(_next(KERNELS, self.kernel.name, by)))

    def next_picture(self, by: int = 1) -> ShiftState:
        """The next picture of the same size, round and round."""
        height, width = self.picture.shape[1:]
        return self.with_picture(_next(PICTURES, self.name, by), (height, width))


def moved(grid: Array, by: Pair) -> Array:
    """A grid (C, H, W) moved down and to the right; what leaves is gone, what comes in is 0."""
    made = np.zeros_like(grid)
    down, right = (_overlap(n, size) for n, size in zip(by, grid.shape[1:], strict=True))
    made[:, down[0], right[0]] = grid[:, down[1], right[1]]
    return made


def _overlap(by: int, size: int) -> tuple[slice, slice]:
    """Where cells arrive that are moved by `by`, and where they come from."""
    by = _within(by, size)
    return slice(max(0, by), size + min(0, by)), slice(max(0, -by), size - max(0, by))


def _steps(by: int, step: int) -> int:
    """The nearest whole number of steps; the smaller one where two are as near."""
    steps = (abs(by) + (step - 1) // 2) // step
    return steps if by > 0 else -steps


def _made(operation: Operation) -> tuple[Array, Window]:
    if operation.output is None or operation.window is None:
        raise MoveError(str(operation.problem))
    return operation.output, operation.window


def _reaching(axis: AnyAxis) -> Array:
    return np.array([any(i is None for i in axis.reads(output)) for output in range(axis.outputs)])


def _next(names: tuple[str, ...], name: str, by: int) -> str:
    return names[(names.index(name) + by) % len(names)] if name in names else names[0]


def _within(by: int, most: int) -> int:
    return min(max(-most, by), most)


def _check(what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise MoveError(f"{what} {value} is not from {least} to {most}")


def way(by: Pair) -> str:
    """`2 down, 1 left`; `0`."""
    down, right = by
    parts = [f"{abs(down)} {'down' if down > 0 else 'up'}"] if down else []
    parts += [f"{abs(right)} {'right' if right > 0 else 'left'}"] if right else []
    return ", ".join(parts) or "0"


def pool_text(state: ShiftState) -> str:
    """`none`, `max 2`."""
    return state.pool if state.pool == "none" else f"{state.pool} {state.pool_size}"


def told(state: ShiftState) -> str:
    """Whether the output follows the picture, in a sentence or two."""
    if state.by == (0, 0):
        return (
            "The picture stands where it was. Arrows shift it: its output is then compared with the old output, "
            "shifted as much."
        )
    cells, differing = int(state.compared.sum()), int(state.differs.sum())
    if state.whole:
        much = "as much" if state.step == 1 else f"by {way(state.output_by)}, a cell for {state.step} of the picture"
        said = f"The picture is shifted by {way(state.by)}, the old output {much}."
    else:
        said = (
            f"From one output cell to the next it is a step of {state.step}, so the output cannot be shifted by "
            f"{way(state.by)}: it is compared with a shift of {way(state.output_by)}."
        )
    if not cells:
        return f"{said} No cell is left to compare."
    if not differing:
        return f"{said} All {plural(cells, 'compared cell')} are equal: the map moves with the picture."
    border = int(state.at_border.sum())
    where = "" if not border else ", all at the border" if border == differing else f", {border} of them at the border"
    return f"{said} {differing} of {plural(cells, 'compared cell')} differ{where}."


def told_of_invariance(state: ShiftState) -> str:
    """How much of the output stays as it was, in a sentence."""
    cells = state.after.output.size
    share = f"{100 * state.unchanged / cells:.0f} %"
    what = "output" if state.pool == "none" else "pooled output"
    return f"If the {what} is not shifted, {state.unchanged} of its {plural(cells, 'cell')} ({share}) are as before."
