"""One operation that slides a window over one input: its output, and what every number of it is made of.

Convolution in all its kinds, pooling, adaptive pooling, an activation after it. Everything is read off one table
(`core.axis`): output cell x tap -> input cell, and the same table turned round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, TypeVar

import numpy as np

from cnntui.core.activations import ACTIVATIONS
from cnntui.core.arithmetic import (
    Equation,
    applied,
    channel_sums,
    maximum,
    mean,
    number,
    root_of_squares,
    weighted_sum,
)
from cnntui.core.axis import AdaptiveAxis, AnyAxis, Axis, ImpossibleError, same_padding
from cnntui.core.layers import Pair
from cnntui.core.shading import scale_of
from cnntui.core.windows import (
    Array,
    Tap,
    Window,
    adaptive_pool2d,
    avg_pool2d,
    check_channels,
    conv2d,
    conv_taps,
    conv_transpose2d,
    max_pool2d,
    pool_taps,
    swap_transposed,
)

OPERATIONS = ("conv", "true-conv", "transposed", "max", "avg", "adaptive-max", "adaptive-avg")
POOLS = ("max", "avg", "adaptive-max", "adaptive-avg")
ADAPTIVE = ("adaptive-max", "adaptive-avg")
PADDINGS = ("valid", "same", "full")
MAGNITUDE = "magnitude"
AFTER = (*ACTIVATIONS, MAGNITUDE)

T = TypeVar("T")
Cell = tuple[int, int, int]
Sides = tuple[Pair, Pair]
NONE: Sides = ((0, 0), (0, 0))
MOST_OUTPUT = 2**24
MOST_TERMS = 10_000  # of one window, that are written out
NOISE = 2 * np.finfo(float).eps


@dataclass(frozen=True, slots=True)
class Part:
    """One line of a cell's arithmetic, named; `taps` are its terms' taps, where it is a sum over a window."""

    name: str
    equation: Equation
    taps: tuple[Tap, ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """Input cell (None: padding) times weight, which goes into output cell `output` through tap `tap`."""

    output: Cell
    tap: Pair
    input: Cell | None
    value: float
    weight: float


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation on an input (C, H, W), in torch's terms.

    Args:
        weight: (O, C/groups, kH, kW); transposed (C, O/groups, kH, kW), as in torch. Of a pool only its kH, kW count.
        op: one of OPERATIONS. `conv` is correlation, `true-conv` has its kernel flipped.
        divisor: what slides is `weight / divisor`; whole weights and a divisor keep the arithmetic exact.
        bias: (O,), or None.
        padding: ((top, bottom), (left, right)), or one of PADDINGS. `same` is torch's; `full` reaches as far as one tap
            still touches the input.
        output_padding: of a transposed convolution.
        output_size: of an adaptive pool.
        activation: one of AFTER, or None. `magnitude` is the root of the sum of the squares of all filters.
    """

    input: Array
    weight: Array
    op: str = "conv"
    divisor: float = 1
    bias: Array | None = None
    stride: Pair = (1, 1)
    padding: Sides | str = NONE
    dilation: Pair = (1, 1)
    groups: int = 1
    ceil_mode: bool = False
    count_include_pad: bool = True
    output_padding: Pair = (0, 0)
    output_size: Pair = (1, 1)
    activation: str | None = None

    _kept: dict[str, tuple[Any, Any]] = field(default_factory=dict, init=False, repr=False)

    # -- geometry

    @property
    def pool(self) -> bool:
        """Whether it has no weights."""
        return self.op in POOLS

    @property
    def transposed(self) -> bool:
        """Whether it stamps instead of gathering."""
        return self.op == "transposed"

    @property
    def kernel_size(self) -> Pair:
        """Height and width of the window, the longest where they differ."""
        if self.op in ADAPTIVE and self.window:
            return self.window.kernel_size
        return self.weight.shape[2], self.weight.shape[3]

    @cached_property
    def sides(self) -> Sides:
        """The padding in cells: ((top, bottom), (left, right))."""
        if not isinstance(self.padding, str):
            return self.padding
        return self._named_padding(0), self._named_padding(1)

    def _named_padding(self, axis: int) -> Pair:
        kernel, dilation = self.weight.shape[2 + axis], self.dilation[axis]
        if self.padding == "same":
            return same_padding(kernel, dilation)
        full = dilation * (kernel - 1) if self.padding == "full" else 0
        return full, full

    @cached_property
    def _geometry(self) -> Window | str:
        """The window, or why there is none."""
        try:
            window = Window(self._axis(0), self._axis(1))
            cells = self.filters * prod(window.output)
            if cells > MOST_OUTPUT:
                raise ImpossibleError(f"output cells {cells} > {MOST_OUTPUT}, the most that are computed here")
            if not self.pool:
                check_channels(self.input, self.sliding, self.groups)
                if self.bias is not None and len(self.bias) != len(self.sliding):
                    raise ImpossibleError(f"{len(self.bias)} biases for {len(self.sliding)} filters")
        except ImpossibleError as error:
            return str(error)
        return window

    def axis_arguments(self, axis: int) -> dict[str, object]:
        """The arguments of one `Axis`: 0 is the rows, 1 the columns."""
        return {
            "size": self.input.shape[1 + axis],
            "kernel": self.weight.shape[2 + axis],
            "stride": self.stride[axis],
            "padding": self.sides[axis],
            "dilation": self.dilation[axis],
            "ceil": self.ceil_mode and self.op in ("max", "avg"),
            "transposed": self.transposed,
            "output_padding": self.output_padding[axis] if self.transposed else 0,
        }

    def _axis(self, axis: int) -> AnyAxis:
        if self.op in ADAPTIVE:
            return AdaptiveAxis(self.input.shape[1 + axis], self.output_size[axis])
        if self.padding == "same" and self.stride != (1, 1) and not self.pool:
            raise ImpossibleError(f"padding same needs stride 1, not {next(s for s in self.stride if s != 1)}")
        before, after = self.sides[axis]
        if self.pool or self.transposed:
            kind = "a pool pads" if self.pool else "a transposed convolution cuts"
            if before != after:
                raise ImpossibleError(f"{kind} both sides alike, but {before} ≠ {after}")
        kernel = self.weight.shape[2 + axis]
        if self.pool and before > kernel // 2:
            raise ImpossibleError(f"padding {before} > {kernel // 2}, half of kernel {kernel}")
        if self.pool and self.dilation[axis] != 1:
            raise ImpossibleError(f"dilation {self.dilation[axis]} ≠ 1: the windows of a pool have no gaps here")
        return Axis(**self.axis_arguments(axis))  # type: ignore[arg-type]

    @property
    def window(self) -> Window | None:
        """The geometry, or None when it is impossible."""
        return None if isinstance(self._geometry, str) else self._geometry

    @property
    def problem(self) -> str | None:
        """The inequality that fails, with its numbers."""
        return self._geometry if isinstance(self._geometry, str) else None

    @cached_property
    def sums(self) -> Array | None:
        """(O, outH, outW) before the activation, or None."""
        window = self.window
        if window is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            match self.op:
                case "max":
                    return max_pool2d(self.input, window)
                case "avg":
                    return avg_pool2d(self.input, window, self.count_include_pad)
                case "adaptive-max":
                    return adaptive_pool2d(self.input, window, np.maximum)
                case "adaptive-avg":
                    return adaptive_pool2d(self.input, window, np.add) / window.divisors()
            if self.transposed:
                sums = conv_transpose2d(self.input, self.weight, None, window, self.groups)
            else:
                sums = conv2d(self.input, self.sliding, None, window, self.groups)
            if self.divisor != 1:
                sums /= self.divisor
            if self.bias is not None:
                sums += self.bias[:, None, None]
            # What cancels exactly leaves rounding noise, which is not to be shown as a number.
            taps = prod(self.sliding.shape[1:])
            noise = NOISE * taps * np.abs(self.input).max() * np.abs(self.weight).max() / abs(self.divisor)
            if np.isfinite(noise):
                sums[np.abs(sums) <= noise] = 0
            return sums

    @cached_property
    def output(self) -> Array | None:
        """(O, outH, outW), or (1, outH, outW) for a magnitude; None when the settings are impossible."""
        if self.sums is None or self.activation is None:
            return self.sums
        with np.errstate(over="ignore", invalid="ignore"):
            if self.activation == MAGNITUDE:
                return np.asarray(np.sqrt(np.square(self.sums).sum(axis=0, keepdims=True)))
            return ACTIVATIONS[self.activation](self.sums)

    @cached_property
    def scales(self) -> tuple[float, float, float]:
        """The largest magnitudes of input, weight and output: one scale each for all their channels."""
        return (
            scale_of(self.input),
            scale_of(self.weight),
            1.0 if self.output is None else scale_of(self.output),
        )

    # -- weights

    @cached_property
    def sliding(self) -> Array:
        """The weights in the order in which they meet the input: flipped for a true convolution, (O, C/groups, ...)."""
        if self.op == "true-conv":
            return self.weight[:, :, ::-1, ::-1]
        if self.transposed:
            return swap_transposed(self.weight, self.groups)
        return self.weight

    @property
    def filters(self) -> int:
        """How many filters there are; of a pool, channels."""
        if self.pool:
            return len(self.input)
        return self.weight.shape[1] * self.groups if self.transposed else len(self.weight)

    def channels_of(self, filter_: int) -> range:
        """The input channels that a filter reads."""
        if self.pool:
            return range(filter_, filter_ + 1)
        per_group = len(self.input) // self.groups
        first = filter_ // (self.filters // self.groups) * per_group
        return range(first, first + per_group)

    def weight_at(self, filter_: int, channel: int, row: int, column: int) -> tuple[int, int, int, int]:
        """Where in `weight` the sliding weight of (filter, channel of its group, row, column) is kept."""
        height, width = self.weight.shape[2:]
        if self.op == "true-conv":
            return filter_, channel, height - 1 - row, width - 1 - column
        if self.transposed:
            group, within = divmod(filter_, self.weight.shape[1])
            return group * (len(self.weight) // self.groups) + channel, within, row, column
        return filter_, channel, row, column

    # -- what a number is made of, and where it goes

    def taps(self, filter_: int, row: int, column: int) -> list[Tap]:
        """What the sum of one filter at one place is made of; empty when the settings are impossible."""
        if self.window is None:
            return []
        if self.pool:
            return pool_taps(self.input, self.window, (filter_, row, column))
        return conv_taps(self.input, self.sliding, self.window, (filter_, row, column), self.groups)

    def cell_bias(self, filter_: int) -> float:
        """What is added to a filter's products."""
        return 0.0 if self.bias is None or self.pool else float(self.bias[filter_])

    def cell_divisor(self, row: int, column: int) -> float:
        """By what a cell's products are divided: the kernel's divisor, or an average pool's count."""
        if self.pool:
            average = self.op in ("avg", "adaptive-avg")
            return self.window.divisor(row, column, self.count_include_pad) if average and self.window else 1
        return self.divisor

    def equation(self, filter_: int, row: int, column: int) -> Equation | None:
        """The sum of one filter at one place in one line, which re-adds as printed; before the activation."""
        if self.window is None:
            return None
        taps = self.taps(filter_, row, column)
        if self.op in ("max", "adaptive-max"):
            return maximum(taps)
        if self.pool:
            if self.op == "adaptive-avg" or not self.count_include_pad:
                taps = [tap for tap in taps if tap.input is not None]
            return mean(taps, int(self.cell_divisor(row, column)))
        return weighted_sum(taps, self.cell_bias(filter_), self.divisor)

    def parts(self, cell: Cell) -> tuple[Part, ...]:
        """The arithmetic of an output cell, a line a channel, then their sum, then the activation; all re-add."""
        return self.once("parts", cell, lambda: tuple(self._parts(cell)) if self.window else ())

    def once(self, what: str, key: Any, make: Callable[[], T]) -> T:
        """The latest of its kind, made once: a screen asks again with every step."""
        if what not in self._kept or self._kept[what][0] != key:
            self._kept[what] = key, make()
        value: T = self._kept[what][1]
        return value

    def _parts(self, cell: Cell) -> Iterator[Part]:
        filter_, row, column = cell
        if self.activation != MAGNITUDE:
            sums = list(self._sum_parts(filter_, row, column))
            yield from sums
            if self.activation and self.output is not None:
                function = ACTIVATIONS[self.activation]
                argument = sums[-1].equation.result
                yield Part(self.activation, applied(self.activation, argument, function, float(self.output[cell])))
        elif self.output is not None:
            results = []
            for one in range(len(self.sums) if self.sums is not None else 0):
                sums = list(self._sum_parts(one, row, column))
                results.append(sums[-1].equation.result)
                for part in sums:
                    name = f"filter {one}" + (f", {part.name}" if part.name else "")
                    yield Part(name, part.equation, part.taps)
            yield Part(MAGNITUDE, root_of_squares(results, float(self.output[cell])))

    def _sum_parts(self, filter_: int, row: int, column: int) -> Iterator[Part]:
        size = prod(self.kernel_size)
        if size > MOST_TERMS and self.sums is not None:  # nobody reads them, and each would be written out
            result = number(float(self.sums[filter_, row, column]), 6)
            yield Part("", Equation((f"… {size} terms",), "≈", result))
            return
        taps = self.taps(filter_, row, column)
        if self.pool:
            equation = self.equation(filter_, row, column)
            if equation:
                real = tuple(tap for tap in taps if tap.input)
                yield Part("", equation, real if len(equation.terms) < len(taps) else tuple(taps))
            return
        channels = [taps[i : i + size] for i in range(0, len(taps), size)]
        if self.transposed:  # where nothing is stamped there is no term; one of them stands for an empty sum
            channels = [[tap for tap in channel if tap.input] or channel[:1] for channel in channels]
        bias = self.cell_bias(filter_)
        if len(channels) == 1:
            yield Part("", weighted_sum(channels[0], bias, self.divisor), tuple(channels[0]))
            return
        *equations, total = channel_sums(channels, bias, self.divisor)
        for channel, equation, terms in zip(self.channels_of(filter_), equations, channels, strict=True):
            yield Part(f"channel {channel}", equation, tuple(terms))
        yield Part("sum", total)

    def reached(self, pixel: Cell, filter_: int | None = None) -> list[Product]:
        """Every product into which an input cell goes, filter by filter, or of one filter."""
        window = self.window
        if window is None:
            return []
        channel, y, x = pixel
        down, across = window.rows.readers(y), window.columns.readers(x)
        value = float(self.input[pixel])
        return [
            Product((one, row, column), (i, j), pixel, value, self._weight(one, channel, i, j))
            for one in self.filters_of(channel)
            if filter_ in (None, one)
            for row, i in down
            for column, j in across
        ]

    def touched(self, filter_: int, channel: int, row: int, column: int) -> Iterator[Product]:
        """Every product that one weight makes: one for each output cell of its filter, where it is stamped at all."""
        window = self.window
        if window is None or self.pool:
            return
        weight = self._weight(filter_, channel, row, column)
        across = [window.columns.reads(p)[column] for p in range(window.columns.outputs)]
        for o in range(window.rows.outputs):
            y = window.rows.reads(o)[row]
            for p, x in enumerate(across):
                at = None if y is None or x is None else (channel, y, x)
                if at is None and self.transposed:
                    continue
                value = 0.0 if at is None else float(self.input[at])
                yield Product((filter_, o, p), (row, column), at, value, weight)

    def uses(self, row: int, column: int) -> int:
        """How many products one weight makes: as many as `touched` gives."""
        if self.window is None or self.pool:
            return 0
        if not self.transposed:
            return prod(self.window.output)
        down, across = self.window.rows, self.window.columns
        return sum(down.reads(o)[row] is not None for o in range(down.outputs)) * sum(
            across.reads(o)[column] is not None for o in range(across.outputs)
        )

    def filters_of(self, channel: int) -> list[int]:
        """The filters that read an input channel."""
        if self.pool:
            return [channel]
        return [f for f in range(self.filters) if channel in self.channels_of(f)]

    def _weight(self, filter_: int, channel: int, i: int, j: int) -> float:
        if self.pool:
            return 1.0
        return float(self.sliding[filter_, channel - self.channels_of(filter_).start, i, j])

    # -- the same as a product of matrices

    def patches(self, filter_: int) -> Array:
        """im2col: a row for each output cell, holding what its window reads (padding as 0): (outH·outW, C/groups·kH·kW).

        Raises:
            ImpossibleError: when the settings are.
        """
        return self.once("patches", filter_, lambda: self._patches(filter_))

    def _patches(self, filter_: int) -> Array:
        if self.window is None:
            raise ImpossibleError(self.problem or "")
        channels = self.channels_of(filter_)
        return _laid_flat(self.window, self.input[channels.start : channels.stop])

    def missing(self) -> Array:
        """Which cells of `patches` are padding, or nothing at all: (outH·outW, C/groups·kH·kW) booleans, of any filter."""
        return self.once("missing", None, self._missing)

    def _missing(self) -> Array:
        if self.window is None:
            raise ImpossibleError(self.problem or "")
        there = np.ones((len(self.channels_of(0)), *self.input.shape[1:]))
        return np.asarray(_laid_flat(self.window, there) == 0)

    def tied_matrix(self, filter_: int) -> tuple[Array, Array]:
        """The matrix (outH·outW, C·H·W) that times the input as a column gives the output, and where it holds a weight.

        Raises:
            ImpossibleError: when the settings are.
        """
        return self.once("matrix", filter_, lambda: self._tied_matrix(filter_))

    def _tied_matrix(self, filter_: int) -> tuple[Array, Array]:
        if self.window is None:
            raise ImpossibleError(self.problem or "")
        matrix = np.zeros((prod(self.window.output), self.input.size))
        there = np.zeros(matrix.shape, dtype=bool)
        lines = np.arange(len(matrix)).reshape(self.window.output)
        places = np.arange(self.input.size).reshape(self.input.shape)
        first = self.channels_of(filter_).start
        weights = self.sliding[filter_]
        # Gathering the places instead of the values tells which column each tap of each row stands in; -1 is padding.
        for (i, j), columns in self.window.gather(places[first : first + len(weights)], fill=-1):
            for channel, column in enumerate(columns):
                read = column >= 0
                at = lines[read], column[read].astype(int)
                matrix[at] += weights[channel, i, j]
                there[at] = True
        return matrix, there


def _laid_flat(window: Window, channels: Array) -> Array:
    """What each output cell's window reads, a row each."""
    taps = np.stack([cells for _, cells in window.gather(channels)], axis=1)
    return np.asarray(taps.reshape(-1, prod(window.output)).T)


def refitted(weight: Array, shape: Pair) -> Array:
    """Weights for other numbers of filters and channels: what is there is kept, what is missing repeats it."""
    return np.asarray(weight[np.arange(shape[0])[:, None] % len(weight), np.arange(shape[1]) % weight.shape[1]])


def setting_text(value: object) -> str:
    """A setting as it is written in words: 2, 2x1, 1,0,2,0 (left, right, top, bottom, as torch's F.pad), same."""
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        (top, bottom), (left, right) = value
        if top == bottom and left == right:
            return setting_text((top, left))
        return f"{left},{right},{top},{bottom}"
    if isinstance(value, tuple):
        return "x".join(map(str, value if len(set(value)) > 1 else value[:1]))
    return str(value)
