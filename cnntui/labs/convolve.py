"""The convolution lab: a window over the user's numbers, and every number's arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cnntui.core import images
from cnntui.core.arithmetic import Equation, maximum, mean, weighted_sum
from cnntui.core.axis import Axis, ImpossibleError
from cnntui.core.kernels import Kernel, kernels_directory, load_kernels, read_kernel
from cnntui.core.layers import AvgPool, Conv, Layer, MaxPool, Pair, fixes
from cnntui.core.windows import (
    Array,
    Tap,
    Window,
    avg_pool2d,
    conv2d,
    conv_taps,
    max_pool2d,
    pool_taps,
    swap_transposed,
)

OPERATIONS = ("conv", "true-conv", "max", "avg", "transposed")
POOLS = ("max", "avg")


class MoveError(ValueError):
    """A move that this state does not allow, and why."""


@dataclass(frozen=True)
class ConvolveState:
    """Input (C, H, W), weight as torch has it, the settings, and the output cell (channel, row, column) looked at.

    What slides is `weight / divisor`. A pool has no weights: its `weight` only gives the window's size.
    """

    input: Array
    weight: Array
    op: str = "conv"
    name: str = "custom"
    divisor: float = 1
    bias: Array | None = None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    cell: tuple[int, int, int] = (0, 0, 0)

    # -- what follows from it

    @cached_property
    def _found(self) -> tuple[Window, Array] | str:
        """The window and the output, or why there is none."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._compute()

    def _compute(self) -> tuple[Window, Array] | str:
        try:
            if self.op in POOLS:
                self._layer.output(self.input.shape)
            window = self._window()
            if self.op == "max":
                return window, max_pool2d(self.input, window)
            if self.op == "avg":
                return window, avg_pool2d(self.input, window)
            sliding = conv2d(self.input, self.sliding, None, window, self.groups) / self.divisor
            return window, sliding if self.bias is None else sliding + self.bias[:, None, None]
        except ImpossibleError as error:
            return str(error)

    def _window(self) -> Window:
        sizes = self.input.shape[1:]
        axes = [
            Axis(n, k, s, (p, p), d, transposed=self.op == "transposed")
            for n, k, s, p, d in zip(sizes, self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        ]
        return Window(*axes)

    @property
    def window(self) -> Window | None:
        """The geometry, or None when it is impossible."""
        return None if isinstance(self._found, str) else self._found[0]

    @property
    def output(self) -> Array | None:
        """(O, outH, outW), or None when the settings are impossible."""
        return None if isinstance(self._found, str) else self._found[1]

    @property
    def problem(self) -> str | None:
        """The inequality that fails, with its numbers."""
        return self._found if isinstance(self._found, str) else None

    @cached_property
    def mended(self) -> list[tuple[str, ConvolveState]]:
        """The nearest settings that work, each in words, when these do not."""
        if self.problem is None:
            return []
        offers = []
        for (layer,) in (fix for fix in fixes(self._layer, self.input.shape) if len(fix) == 1):
            if isinstance(layer, Conv | MaxPool | AvgPool):
                state = self._with_layer(layer)
                if state.problem is None:
                    offers.append((_difference(self, state), state))
        return offers

    @property
    def _layer(self) -> Layer:
        if self.op in POOLS:
            kind = MaxPool if self.op == "max" else AvgPool
            stride = None if self.stride == self.kernel_size else self.stride
            return kind(self.kernel_size, stride, self.padding)
        return Conv(len(self.weight), self.kernel_size, self.stride, self.padding, self.dilation, self.groups)

    def _with_layer(self, layer: Conv | MaxPool | AvgPool) -> ConvolveState:
        height, width = layer.kernel_size
        state = replace(self, weight=self.weight[:, :, :height, :width], stride=layer.stride or layer.kernel_size)
        if not isinstance(layer.padding, str):
            state = replace(state, padding=layer.padding)
        if isinstance(layer, Conv):
            state = replace(state, dilation=layer.dilation, groups=layer.groups)
        return state._settled()

    @property
    def kernel_size(self) -> Pair:
        """Height and width of the kernel."""
        height, width = self.weight.shape[-2:]
        return height, width

    @cached_property
    def sliding(self) -> Array:
        """The weights in the order in which they meet the input: flipped for a true convolution, (O, C/groups, ...)."""
        if self.op == "true-conv":
            return self.weight[:, :, ::-1, ::-1]
        if self.op == "transposed":
            return swap_transposed(self.weight, self.groups)
        return self.weight

    @cached_property
    def cells(self) -> int:
        """How many output cells one channel has."""
        return 0 if self.output is None else self.output.shape[1] * self.output.shape[2]

    @property
    def index(self) -> int:
        """The number of the current output cell in reading order, from 0."""
        return 0 if self.output is None else self.cell[1] * self.output.shape[2] + self.cell[2]

    @cached_property
    def taps(self) -> list[Tap]:
        """What the current output cell is made of; empty when the settings are impossible."""
        if self.window is None:
            return []
        if self.op in POOLS:
            return pool_taps(self.input, self.window, self.cell)
        return conv_taps(self.input, self.sliding, self.window, self.cell, self.groups)

    @cached_property
    def equation(self) -> Equation | None:
        """The arithmetic of the current output cell, which re-adds as printed."""
        if self.window is None:
            return None
        if self.op == "max":
            return maximum(self.taps)
        if self.op == "avg":
            return mean(self.taps, int(self.cell_divisor))
        return weighted_sum(self.taps, self.cell_bias, self.cell_divisor)

    @property
    def cell_bias(self) -> float:
        """What is added to the current cell's products."""
        return 0.0 if self.bias is None else float(self.bias[self.cell[0]])

    @property
    def cell_divisor(self) -> float:
        """By what the current cell's products are divided: the kernel's divisor, or an average pool's count."""
        if self.op == "avg" and self.window is not None:
            return self.window.divisor(self.cell[1], self.cell[2])
        return self.divisor

    @property
    def value(self) -> float | None:
        """The current output cell."""
        return None if self.output is None else float(self.output[self.cell])

    # -- moves

    def _settled(self) -> ConvolveState:
        """The same with the cell inside the output."""
        if self.output is None:
            return self
        cell = [min(max(0, at), size - 1) for at, size in zip(self.cell, self.output.shape, strict=True)]
        return self if tuple(cell) == self.cell else replace(self, cell=(cell[0], cell[1], cell[2]))

    def to_cell(self, row: int, column: int) -> ConvolveState:
        """Look at another output cell; beyond the border is the border."""
        return replace(self, cell=(self.cell[0], row, column))._settled()

    def step(self, cells: int = 1) -> ConvolveState:
        """That many output cells on in reading order, round and round."""
        if self.output is None:
            return self
        row, column = divmod((self.index + cells) % self.cells, self.output.shape[2])
        return self.to_cell(row, column)

    def set_input(self, row: int, column: int, value: float) -> ConvolveState:
        """Change one input cell (of channel 0).

        Raises:
            MoveError: when there is no such cell.
        """
        return replace(self, input=_changed(self.input, (0, row, column), value))

    def set_weight(self, row: int, column: int, value: float) -> ConvolveState:
        """Change one weight (of filter 0, channel 0).

        Raises:
            MoveError: when there is no such weight, or a pool has none.
        """
        if self.op in POOLS:
            raise MoveError("a pool has no weights")
        return replace(self, weight=_changed(self.weight, (0, 0, row, column), value), name="custom")

    def use_kernel(self, kernel: Kernel) -> ConvolveState:
        """Slide another kernel."""
        weight = np.array(kernel.weights, dtype=float)[None, None]
        op = "conv" if self.op in POOLS else self.op
        return replace(self, weight=weight, name=kernel.name, divisor=kernel.divisor, op=op)._settled()

    def use_picture(self, name: str) -> ConvolveState:
        """Slide over a built-in picture.

        Raises:
            MoveError: when there is none of that name.
        """
        try:
            return replace(self, input=images.picture(name))._settled()
        except images.GridError as error:
            raise MoveError(str(error)) from None

    def with_stride(self, stride: int) -> ConvolveState:
        """Cells between two windows, at least 1."""
        return replace(self, stride=(max(1, stride),) * 2)._settled()

    def with_padding(self, padding: int) -> ConvolveState:
        """Cells of padding on every side, at least 0."""
        return replace(self, padding=(max(0, padding),) * 2)._settled()

    def with_dilation(self, dilation: int) -> ConvolveState:
        """Cells between two taps, at least 1."""
        return replace(self, dilation=(max(1, dilation),) * 2)._settled()

    def with_op(self, op: str) -> ConvolveState:
        """Another operation over the same input.

        Raises:
            MoveError: when there is none of that name.
        """
        if op not in OPERATIONS:
            raise MoveError(f"no operation is called {op!r}; there are {', '.join(OPERATIONS)}")
        return replace(self, op=op)._settled()


def _difference(before: ConvolveState, after: ConvolveState) -> str:
    """The settings that differ, in words: `kernel 5, padding 0`."""
    return ", ".join(
        f"{name.removesuffix('_size')} {'×'.join(map(str, dict.fromkeys(value)))}"
        for name in ("kernel_size", "stride", "padding", "dilation")
        if (value := getattr(after, name)) != getattr(before, name)
    )


def _changed(array: Array, at: tuple[int, ...], value: float) -> Array:
    if any(not 0 <= i < size for i, size in zip(at, array.shape, strict=True)):
        raise MoveError(f"there is no cell {at[-2]},{at[-1]} in {array.shape[-2]}×{array.shape[-1]}")
    changed = array.copy()
    changed[at] = value
    return changed


def start(kernel: str = "sobel-x", picture: str = "square") -> ConvolveState:
    """How the lab opens."""
    blank = ConvolveState(images.picture(picture), np.ones((1, 1, 1, 1)))
    return blank.use_kernel(read_kernel(kernels_directory() / f"{kernel}.toml"))


# -- moves and facts in words, for lessons


def _at(text: str) -> tuple[int, int]:
    row, column = (int(part) for part in text.split(","))
    return row, column


_MOVES: dict[str, Callable[..., ConvolveState]] = {
    "stride": lambda s, n: s.with_stride(int(n)),
    "padding": lambda s, n: s.with_padding(int(n)),
    "dilation": lambda s, n: s.with_dilation(int(n)),
    "op": lambda s, name: s.with_op(name),
    "picture": lambda s, name: s.use_picture(name),
    "kernel": lambda s, name: s.use_kernel(_kernel(name)),
    "cell": lambda s, at: s.to_cell(*_at(at)),
    "step": lambda s, n="1": s.step(int(n)),
    "input": lambda s, at, value: s.set_input(*_at(at), float(value)),
    "weight": lambda s, at, value: s.set_weight(*_at(at), float(value)),
}


def _kernel(name: str) -> Kernel:
    kernels, _ = load_kernels()
    if name not in kernels:
        raise MoveError(f"no kernel is called {name!r}; there are {', '.join(kernels)}")
    return kernels[name]


def play(state: ConvolveState, words: str) -> ConvolveState:
    """A move in words: `stride 2`, `kernel sobel-x`, `weight 0,2 1`, `cell 1,1`, `step`.

    Raises:
        MoveError: when there is no such move, or it is not allowed.
    """
    verb, *arguments = words.split()
    if verb not in _MOVES:
        raise MoveError(f"no move is called {verb!r}; there are {', '.join(_MOVES)}")
    try:
        return _MOVES[verb](state, *arguments)
    except MoveError:
        raise
    except (TypeError, ValueError):
        raise MoveError(
            f"{words!r} is not understood; write it like 'stride 2', 'cell 0,1' or 'weight 0,1 -1'"
        ) from None


Fact = float | str | tuple[int, ...] | None


def fact(state: ConvolveState, name: str) -> Fact:
    """A fact in words: `output.shape`, `output.value`, `output 0,1`, `input 0,1`, `weight 0,1`, `cell`, `stride` ...

    Raises:
        MoveError: when there is no such fact.
    """
    verb, *arguments = name.split()
    output = state.output
    simple: dict[str, Fact] = {
        "output.shape": None if output is None else output.shape[-2:],
        "output.value": state.value,
        "output.cells": state.cells,
        "output.largest": None if output is None else float(output.max()),
        "output.smallest": None if output is None else float(output.min()),
        "input.shape": state.input.shape[-2:],
        "kernel": state.name,
        "kernel.shape": state.kernel_size,
        "op": state.op,
        "stride": state.stride[0],
        "padding": state.padding[0],
        "dilation": state.dilation[0],
        "cell": state.cell[1:],
        "equation": str(state.equation),
    }
    grids = {"output": output, "input": state.input, "weight": state.weight[0]}
    try:
        if verb in simple and not arguments:
            return simple[verb]
        if verb in grids and len(arguments) == 1:
            grid = grids[verb]
            return None if grid is None else float(grid[(0, *_at(arguments[0]))])
    except (ValueError, IndexError):
        pass
    raise MoveError(
        f"no fact is called {name!r}; there are {', '.join(simple)}, and output, input, weight with ROW,COLUMN"
    )
