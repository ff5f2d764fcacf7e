"""The layer vocabulary: what each layer makes of a shape, and what that costs.

A layer is a frozen value with torch's argument names. It answers for one input shape, (C, H, W) or (N,): the output
shape, its parameters, its multiply-accumulates (MACs; convolutions and linear layers only, 1 MAC = 2 FLOPs) and, where
it slides a window, the two axes of that window. `output` raises ImpossibleError where torch would fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar

from cnntui.core.axis import AdaptiveAxis, AnyAxis, Axis, ImpossibleError, nearest, same_padding

Shape = tuple[int, ...]
Pair = tuple[int, int]


def shape_text(shape: Shape) -> str:
    """A shape as the screens print it: 6×28×28."""
    return "×".join(map(str, shape))


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that keeps the shape and costs nothing; the others override what they change."""

    op: ClassVar[str] = "layer"
    saves: ClassVar[str] = ""  # what torch keeps of it for the backward pass: its "input", its "output", or nothing

    def output(self, shape: Shape) -> Shape:
        """The output shape, or ImpossibleError."""
        return shape

    def params(self, shape: Shape) -> int:
        """Trainable parameters."""
        return 0

    def buffers(self, shape: Shape) -> int:
        """Numbers that it keeps but that no gradient trains: the running statistics of a batch norm."""
        return 0

    def keeps(self, shape: Shape) -> str:
        """`saves`, for an input of that shape."""
        return self.saves

    def extra_bytes(self, shape: Shape) -> int:
        """What the backward pass keeps besides its input or output, for one picture in float32: masks, indices."""
        return 0

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates for one picture."""
        return 0

    def window(self, shape: Shape) -> tuple[AnyAxis, AnyAxis] | None:
        """The axes of the window it slides (rows, columns), or None: element by element, or the whole input."""
        return None

    def sees_everything(self) -> bool:
        """Whether each output reads the whole input."""
        return False

    def variants(self, shape: Shape) -> Iterator[tuple[Layer, ...]]:
        """What could stand here instead when `output` fails, nearest first; not each of them need work."""
        return iter(())


def through(layers: Iterable[Layer], shape: Shape) -> Shape:
    """What layers one after another make of `shape`, or ImpossibleError."""
    for layer in layers:
        shape = layer.output(shape)
    return shape


def fixes(layer: Layer, shape: Shape, most: int = 3) -> list[tuple[Layer, ...]]:
    """What does work on `shape` in place of `layer`, nearest first; several changes only where no single one helps."""
    working: list[tuple[Layer, ...]] = []
    tried: set[tuple[Layer, ...]] = {(layer,)}
    waiting = [layer]
    while waiting and not working:
        following: list[Layer] = []
        for variant in (variant for one in waiting for variant in one.variants(shape)):
            if variant in tried:
                continue
            tried.add(variant)
            try:
                through(variant, shape)
            except ImpossibleError:
                following += variant if len(variant) == 1 else ()
                continue
            working.append(variant)
            if len(working) == most:
                return working
        waiting = following
    return working


def _picture(op: str, shape: Shape) -> tuple[int, int, int]:
    """The shape as channels, height, width, or ImpossibleError for a vector."""
    if len(shape) != 3:
        raise ImpossibleError(f"{op} needs channels×height×width, but its input is a vector of {shape_text(shape)}")
    return shape[0], shape[1], shape[2]


def _check_groups(groups: int, in_channels: int, out_channels: int) -> None:
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise ImpossibleError(
            f"groups {groups} must divide both {in_channels} input and {out_channels} output channels"
        )
    if out_channels < 1:
        raise ImpossibleError(f"output channels {out_channels} < 1")


@dataclass(frozen=True, slots=True)
class Table:
    """Which input channels each output channel sees: a row of their numbers, from 0, for each output channel."""

    name: str
    inputs: tuple[tuple[int, ...], ...]

    def check(self, in_channels: int, out_channels: int, groups: int) -> None:
        """Raise ImpossibleError where the table does not fit the channels."""
        if groups != 1:
            raise ImpossibleError(f"table {self.name} and groups {groups}: one of them says what each output sees")
        if len(self.inputs) != out_channels:
            raise ImpossibleError(
                f"table {self.name} has {len(self.inputs)} rows for {out_channels} output channels: one each"
            )
        largest = max(max(row) for row in self.inputs)
        if largest >= in_channels:
            raise ImpossibleError(f"table {self.name} names input channel {largest} > {in_channels - 1}, the last one")


@dataclass(frozen=True, slots=True)
class Conv(Layer):
    """Sums of products under a sliding window: torch.nn.Conv2d.

    Parameters `out * (in/g) * kh * kw (+ out)`; MACs that times the output's height and width. With a `table`, each
    output channel has a kernel slice for just the input channels that its row names.
    """

    op: ClassVar[str] = "conv"
    saves: ClassVar[str] = "input"
    out_channels: int
    kernel_size: Pair = (3, 3)
    stride: Pair = (1, 1)
    padding: Pair | str = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = True
    table: Table | None = None

    def window(self, shape: Shape) -> tuple[AnyAxis, AnyAxis]:
        """Its rows and columns."""
        _, *sizes = _picture(self.op, shape)
        rows, columns = (self._axis(sizes[dimension], dimension) for dimension in (0, 1))
        return rows, columns

    def _axis(self, size: int, dimension: int) -> Axis:
        kernel, stride, dilation = self.kernel_size[dimension], self.stride[dimension], self.dilation[dimension]
        if isinstance(self.padding, str):
            if stride != 1:
                raise ImpossibleError(f"padding same needs stride 1, not {stride}")
            padding = same_padding(kernel, dilation)
        else:
            padding = (self.padding[dimension], self.padding[dimension])
        return Axis(size, kernel, stride, padding, dilation)

    def output(self, shape: Shape) -> Shape:
        """(out_channels, outH, outW)."""
        in_channels, *_ = _picture(self.op, shape)
        _check_groups(self.groups, in_channels, self.out_channels)
        if self.table:
            self.table.check(in_channels, self.out_channels, self.groups)
        rows, columns = self.window(shape)
        return self.out_channels, rows.outputs, columns.outputs

    def keeps(self, shape: Shape) -> str:
        """Not its input where torch makes a padded copy."""
        return "" if self.extra_bytes(shape) else self.saves

    def extra_bytes(self, shape: Shape) -> int:
        """The copy, one cell larger, that torch makes where `same` pads by an odd number (ATen, Convolution.cpp)."""
        if not isinstance(self.padding, str):
            return 0
        odd = [d * (k - 1) % 2 for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        return 4 * shape[0] * (shape[1] + odd[0]) * (shape[2] + odd[1]) if any(odd) else 0

    def weights(self, shape: Shape) -> int:
        """Weights without the bias."""
        pairs = sum(map(len, self.table.inputs)) if self.table else self.out_channels * (shape[0] // self.groups)
        return pairs * prod(self.kernel_size)

    def params(self, shape: Shape) -> int:
        """Weights, and one bias an output channel."""
        return self.weights(shape) + self.out_channels * self.bias

    def macs(self, shape: Shape) -> int:
        """Each weight is used once for every output position of its channel."""
        return self.weights(shape) * prod(self.output(shape)[1:])

    def variants(self, shape: Shape) -> Iterator[tuple[Layer, ...]]:
        """Less dilation, a kernel that fits, more padding, or half the kernel's in place of `same`; stride 1, groups."""
        if isinstance(self.padding, str):
            rows, columns = (d * (k - 1) // 2 for k, d in zip(self.kernel_size, self.dilation, strict=True))
            yield (replace(self, padding=(rows, columns)),)
        elif len(shape) == 3:
            room = [n + 2 * p for n, p in zip(shape[1:], self.padding, strict=True)]
            widest = [(n - 1) // max(k - 1, 1) for n, k in zip(room, self.kernel_size, strict=True)]
            dilation = [max(1, min(d, most)) for d, most in zip(self.dilation, widest, strict=True)]
            yield (replace(self, dilation=(dilation[0], dilation[1])),)
            fitting = [(n - 1) // max(d, 1) + 1 for n, d in zip(room, self.dilation, strict=True)]
            kernel = [min(k, most) for k, most in zip(self.kernel_size, fitting, strict=True)]
            yield (replace(self, kernel_size=(max(kernel[0], 1), max(kernel[1], 1))),)
            needed = [
                max(p, -(-(d * (k - 1) + 1 - n) // 2))
                for k, d, n, p in zip(self.kernel_size, self.dilation, shape[1:], self.padding, strict=True)
            ]
            yield (replace(self, padding=(needed[0], needed[1])),)
        yield (replace(self, stride=(max(self.stride[0], 1), max(self.stride[1], 1))),)
        yield (replace(self, stride=(1, 1)),)
        yield (replace(self, out_channels=max(self.out_channels, 1)),)
        for groups in range(max(min(self.groups, shape[0], self.out_channels), 1), 0, -1):
            yield (replace(self, groups=groups),)
        if self.table:
            yield (replace(self, out_channels=len(self.table.inputs), groups=1),)
            yield (replace(self, table=None),)


@dataclass(frozen=True, slots=True)
class DepthwiseConv(Layer):
    """One filter for each channel: torch.nn.Conv2d with groups."""

    op: ClassVar[str] = "dwconv"
    saves: ClassVar[str] = "input"
    kernel_size: Pair = (3, 3)
    stride: Pair = (1, 1)
    padding: Pair | str = (0, 0)
    dilation: Pair = (1, 1)
    bias: bool = True

    def conv(self, shape: Shape) -> Conv:
        """The same as a convolution of that input."""
        channels, *_ = _picture(self.op, shape)
        return Conv(channels, self.kernel_size, self.stride, self.padding, self.dilation, channels, self.bias)

    def window(self, shape: Shape) -> tuple[AnyAxis, AnyAxis]:
        """Its rows and columns."""
        return self.conv(shape).window(shape)

    def output(self, shape: Shape) -> Shape:
        """(C, outH, outW)."""
        return self.conv(shape).output(shape)

    def keeps(self, shape: Shape) -> str:
        """As the convolution."""
        return self.conv(shape).keeps(shape)

    def extra_bytes(self, shape: Shape) -> int:
        """As the convolution."""
        return self.conv(shape).extra_bytes(shape)

    def params(self, shape: Shape) -> int:
        """C · kh · kw (+ C)."""
        return self.conv(shape).params(shape)

    def macs(self, shape: Shape) -> int:
        """As the convolution."""
        return self.conv(shape).macs(shape)

    def variants(self, shape: Shape) -> Iterator[tuple[Layer, ...]]:
        """As the convolution's."""
        if len(shape) == 3:
            for (other,) in self.conv(shape).variants(shape):
                if isinstance(other, Conv):
                    settings = {name: getattr(other, name) for name in ("kernel_size", "stride", "padding", "dilation")}
                    yield (replace(self, **settings),)


@dataclass(frozen=True, slots=True)
class TransposedConv(Layer):
    """Each input cell stamps the kernel: torch.nn.ConvTranspose2d.

    Parameters `in * (out/g) * kh * kw (+ out)`.
    """

    op: ClassVar[str] = "tconv"
    saves: ClassVar[str] = "input"
    out_channels: int
    kernel_size: Pair = (3, 3)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = True
    output_padding: Pair = (0, 0)

    def _arguments(self, shape: Shape, dimension: int) -> dict[str, Any]:
        return {
            "size": shape[1 + dimension],
            "kernel": self.kernel_size[dimension],
            "stride": self.stride[dimension],
            "padding": (self.padding[dimension],) * 2,
            "dilation": self.dilation[dimension],
            "transposed": True,
            "output_padding": self.output_padding[dimension],
        }

    def window(self, shape: Shape) -> tuple[AnyAxis, AnyAxis]:
        """Its rows and columns."""
        _picture(self.op, shape)
        return Axis(**self._arguments(shape, 0)), Axis(**self._arguments(shape, 1))

    def output(self, shape: Shape) -> Shape:
        """(out_channels, outH, outW)."""
        in_channels, *_ = _picture(self.op, shape)
        _check_groups(self.groups, in_channels, self.out_channels)
        rows, columns = self.window(shape)
        return self.out_channels, rows.outputs, columns.outputs

    def weights(self, shape: Shape) -> int:
        """Weights without the bias."""
        return shape[0] * (self.out_channels // self.groups) * prod(self.kernel_size)

    def params(self, shape: Shape) -> int:
        """Weights, and one bias an output channel."""
        return self.weights(shape) + self.out_channels * self.bias

    def macs(self, shape: Shape) -> int:
        """Each weight is used once for every input position of its channel."""
        return self.weights(shape) * prod(shape[1:])

    def variants(self, shape: Shape) -> Iterator[tuple[Layer, ...]]:
        """Each setting at the nearest value that is possible; groups that divide."""
        if len(shape) == 3:
            arguments = [self._arguments(shape, dimension) for dimension in (0, 1)]
            for setting, name in (
                ("padding", "padding"), ("output_padding", "output_padding"), ("kernel", "kernel_size"),
                ("stride", "stride"), ("dilation", "dilation"),
            ):  # fmt: skip
                rows, columns = (nearest(setting, each) for each in arguments)
                if rows is not None and columns is not None:
                    value = (rows[0], columns[0]) if setting == "padding" else (rows, columns)
                    change: dict[str, Any] = {name: value}
                    yield (replace(self, **change),)
        yield (replace(self, out_channels=max(self.out_channels, 1)),)
        for groups in range(max(min(self.groups, shape[0], self.out_channels), 1), 0, -1):
            yield (replace(self, groups=groups),)


@dataclass(frozen=True, slots=True)
class ChannelWise(Layer):
    """A window over each channel alone: there are as many channels after it as before."""

    def output(self, shape: Shape) -> Shape:
        """(C, outH, outW)."""
        axes = self.window(shape)
        return shape if axes is None else (shape[0], axes[0].outputs, axes[1].outputs)


@dataclass(frozen=True, slots=True)
class Pool(ChannelWise):
    """What maximum and average pooling share: one window a channel, by default without overlap."""

    saves: ClassVar[str] = "input"
    kernel_size: Pair
    stride: Pair | None = None
    padding: Pair = (0, 0)
    ceil_mode: bool = False

    def window(self, shape: Shape) -> tuple[AnyAxis, AnyAxis]:
        """Its rows and columns."""
        _, *sizes = _picture(self.op, shape)
        strides = self.stride or self.kernel_size
        axes = []
        for n, k, s, p in zip(sizes, self.kernel_size, strides, self.padding, strict=True):
            if p > k // 2:
                raise ImpossibleError(f"padding {p} > {k // 2}, half of kernel {k}")
            axes.append(Axis(n, k, s, (p, p), ceil=self.ceil_mode))
        return axes[0], axes[1]

    def variants(self, shape: Shape) -> Iterator[tuple[Layer, ...]]:
        """Less padding, ceil, a kernel that fits."""
        half = (self.kernel_size[0] // 2, self.kernel_size[1] // 2)
        yield (replace(self, padding=(min(self.padding[0], half[0]), min(self.padding[1], half[1]))),)
        yield (replace(self, ceil_mode=True),)
        if len(shape) == 3:
            kernel = [max(1, min(k, n)) for k, n in zip(self.kernel_size, shape[1:], strict=True)]
            yield (replace(self, kernel_size=(kernel[0], kernel[1]), padding=(0, 0)),)
            yield (replace(self, kernel_size=(kernel[0], kernel[1]), padding=(0, 0), stride=None),)
        yield (replace(self, stride=None),)


@dataclass(frozen=True, slots=True)
class MaxPool(Pool):
    """The largest of each window: torch.nn.MaxPool2d."""

    op: ClassVar[str] = "maxpool"

    def extra_bytes(self, shape: Shape) -> int:
        """Where each maximum was: 8 bytes an output."""
        return 8 * prod(self.output(shape))


@dataclass(frozen=True, slots=True)
class AvgPool(Pool):
    """The mean of each window: torch.nn.AvgPool2d."""

    op: ClassVar[str] = "avgpool"
    count_include_pad: bool = True


@dataclass(frozen=True, slots=True)
class GlobalAvgPool(Layer):
    """The mean of each channel: (C, H, W) -> (C,).

    In torch AdaptiveAvgPool2d(1), then Flatten.
    """

    op: ClassVar[str] = "gap"

    def output(self, shape: Shape) -> Shape:
        """(C,)."""
        return (_picture(self.op, shape)[0],)

    def sees_everything(self) -> bool:
        """Every mean is over the whole map."""
        return True


@dataclass(frozen=True, slots=True)
class AdaptiveAvgPool(ChannelWise):
    """Means, for an output size: torch.nn.AdaptiveAvgPool2d."""

    op: ClassVar[str] = "adaptiveavgpool"
    saves: ClassVar[str] = "input"
    output_size: Pair

    def window(self, shape: Shape) -> tuple[AnyAxis, AnyAxis]:
        """Its rows and columns."""
        _, height, width = _picture(self.op, shape)
        return AdaptiveAxis(height, self.output_size[0]), AdaptiveAxis(width, self.output_size[1])

    def keeps(self, shape: Shape) -> str:
        """A mean over everything needs nothing."""
        return "" if self.sees_everything() else self.saves

    def sees_everything(self) -> bool:
        """Only with one output."""
        return self.output_size == (1, 1)

    def variants(self, shape: Shape) -> Iterator[tuple[Layer, ...]]:
        """At least one output."""
        yield (replace(self, output_size=(max(1, self.output_size[0]), max(1, self.output_size[1]))),)


@dataclass(frozen=True, slots=True)
class Subsample(ChannelWise):
    """A mean times one weight a channel, plus a bias: LeNet, 1998.

    The mean of each window; weight and bias are trained.
    """

    op: ClassVar[str] = "subsample"
    saves: ClassVar[str] = "input"
    kernel_size: Pair

    def extra_bytes(self, shape: Shape) -> int:
        """The means, which its weights multiply."""
        return 4 * prod(self.output(shape))

    def pool(self) -> AvgPool:
        """The same without its weight and bias."""
        return AvgPool(self.kernel_size)

    def window(self, shape: Shape) -> tuple[AnyAxis, AnyAxis]:
        """Its rows and columns."""
        return self.pool().window(shape)

    def params(self, shape: Shape) -> int:
        """2C."""
        return 2 * shape[0]

    def variants(self, shape: Shape) -> Iterator[tuple[Layer, ...]]:
        """A window that fits."""
        if len(shape) == 3:
            height, width = (max(1, min(k, n)) for k, n in zip(self.kernel_size, shape[1:], strict=True))
            yield (replace(self, kernel_size=(height, width)),)


@dataclass(frozen=True, slots=True)
class Upsample(ChannelWise):
    """torch.nn.Upsample, nearest: each cell becomes a block."""

    op: ClassVar[str] = "upsample"
    scale_factor: int

    def window(self, shape: Shape) -> tuple[AnyAxis, AnyAxis]:
        """The same table as a transposed convolution whose stamps touch without overlap."""
        _, height, width = _picture(self.op, shape)
        if self.scale_factor < 1:
            raise ImpossibleError(f"scale factor {self.scale_factor} < 1")
        n = self.scale_factor
        return Axis(height, n, n, transposed=True), Axis(width, n, n, transposed=True)

    def variants(self, shape: Shape) -> Iterator[tuple[Layer, ...]]:
        """At least 1."""
        yield (replace(self, scale_factor=max(1, self.scale_factor)),)


@dataclass(frozen=True, slots=True)
class Pad(ChannelWise):
    """Zeros on the left, right, top, bottom: torch.nn.ZeroPad2d."""

    op: ClassVar[str] = "pad"
    padding: tuple[int, int, int, int]

    def window(self, shape: Shape) -> tuple[AnyAxis, AnyAxis]:
        """One tap, and cells of padding."""
        _, height, width = _picture(self.op, shape)
        left, right, top, bottom = self.padding
        return Axis(height, 1, padding=(top, bottom)), Axis(width, 1, padding=(left, right))


@dataclass(frozen=True, slots=True)
class Flatten(Layer):
    """(C, H, W) -> (C·H·W,), channel by channel, row by row."""

    op: ClassVar[str] = "flatten"

    def output(self, shape: Shape) -> Shape:
        """(N,)."""
        return (prod(shape),)


@dataclass(frozen=True, slots=True)
class Linear(Layer):
    """For each output a sum of all inputs: torch.nn.Linear."""

    op: ClassVar[str] = "linear"
    saves: ClassVar[str] = "input"
    out_features: int
    bias: bool = True

    def output(self, shape: Shape) -> Shape:
        """(out_features,)."""
        if len(shape) != 1:
            raise ImpossibleError(f"linear needs a vector, but its input is {shape_text(shape)}: put flatten before it")
        if self.out_features < 1:
            raise ImpossibleError(f"output features {self.out_features} < 1")
        return (self.out_features,)

    def params(self, shape: Shape) -> int:
        """One weight for each pair, one bias an output."""
        return (shape[0] + self.bias) * self.out_features

    def macs(self, shape: Shape) -> int:
        """One for each weight."""
        return shape[0] * self.out_features

    def sees_everything(self) -> bool:
        """Every output reads every input."""
        return True

    def variants(self, shape: Shape) -> Iterator[tuple[Layer, ...]]:
        """flatten, where the input is still a picture."""
        if len(shape) == 3:
            yield Flatten(), self
        yield (replace(self, out_features=max(self.out_features, 1)),)
