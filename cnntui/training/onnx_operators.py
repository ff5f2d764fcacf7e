"""What an operator of an ONNX file is among our layers: a reader for each that has a counterpart. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnntui.core import layers, merges, pointwise
from cnntui.core.axis import same_padding
from cnntui.core.layers import Layer, Pair, Shape, shape_text
from cnntui.training.reading import UnknownError

Dims = tuple[int, ...]


@dataclass(frozen=True)
class Op:
    """An operator of the file.

    Args:
        kind: its type, Conv for one.
        source: the shape of the node that made its first input's numbers, without the batch.
        attributes: by name.
        reads: the shape of each of its inputs, the batch first; None where it is left out.
        constants: the numbers of each of its inputs, where they are constant and few.
        made: the shape of its output, the batch first.
        opset: the version of the operators that the file goes by.
    """

    kind: str
    source: Shape
    attributes: Mapping[str, Any]
    reads: Sequence[Dims | None]
    constants: Sequence[np.ndarray | None]
    made: Dims
    opset: int

    @property
    def x(self) -> Dims:
        """The shape of its first input."""
        return self._known(0)

    @property
    def weight(self) -> Dims:
        """The shape of its second input."""
        return self._known(1)

    def _known(self, index: int) -> Dims:
        shape = self.reads[index] if index < len(self.reads) else None
        if shape is None:
            raise UnknownError("the shape of what it reads is not known")
        return shape

    @property
    def picture(self) -> Dims:
        """The shape of its first input, which is (batch, C, H, W)."""
        if len(self.x) != 4:
            raise UnknownError(f"it reads {shape_text(self.x[1:])}, not channels, height and width")
        return self.x

    def has(self, index: int) -> bool:
        """Whether there is an input of that place."""
        return index < len(self.reads) and self.reads[index] is not None

    def get(self, name: str, default: Any, index: int | None = None) -> Any:
        """An attribute, or where newer operators have it as input `index`, that constant."""
        if name in self.attributes:
            return self.attributes[name]
        if index is None or not self.has(index):
            return default
        constant = self.constants[index]
        if constant is None:
            raise UnknownError(f"its {name} is computed")
        return constant.tolist()

    def demand(self, **settings: Any) -> None:
        """Attributes that are to be what they are by default."""
        for name, value in settings.items():
            given = self.get(name, value)
            same = math.isclose(given, value, rel_tol=1e-6) if isinstance(value, float) else given == value
            if not same:
                raise UnknownError(f"its {name} is {given}, not {value}")


Reader = Callable[[Op], tuple[Layer, ...]]
"""The layers that an operator is; none where it makes the same numbers in the same order."""


def _just(layer: Layer, **settings: Any) -> Reader:
    """A layer that has one setting only of what the operator can be told."""

    def read(op: Op) -> tuple[Layer, ...]:
        op.demand(**settings)
        return (layer,)

    return read


def _two(values: Sequence[int]) -> Pair:
    return int(values[0]), int(values[1])


def _pads(op: Op, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """The padding before and after, of the rows and of the columns."""
    auto = op.get("auto_pad", b"NOTSET").decode()
    if auto in ("NOTSET", "VALID"):
        top, left, bottom, right = map(int, op.get("pads", (0, 0, 0, 0)) if auto == "NOTSET" else (0, 0, 0, 0))
        return (top, bottom), (left, right)
    sides = []
    for n, k, s, d in zip(op.picture[2:], kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        small, large = total // 2, total - total // 2
        sides.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return sides[0], sides[1]


def _padded(op: Op, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[tuple[Layer, ...], Pair | str]:
    """Padding as a convolution has it: the same on both sides, `same`, or else a layer before it."""
    rows, columns = _pads(op, kernel, stride, dilation)
    if rows[0] == rows[1] and columns[0] == columns[1]:
        return (), (rows[0], columns[0])
    if stride == (1, 1) and (rows, columns) == tuple(map(same_padding, kernel, dilation)):
        return (), "same"
    return (layers.Pad((*columns, *rows)),), (0, 0)


def _window(op: Op, kernel: Sequence[int]) -> tuple[Pair, Pair, Pair]:
    if len(op.picture) != 4 or len(kernel) != 2:
        raise UnknownError("its window is not one of height and width")
    return _two(kernel), _two(op.get("strides", (1, 1))), _two(op.get("dilations", (1, 1)))


def _conv(op: Op) -> tuple[Layer, ...]:
    out, _, *sizes = op.weight
    kernel, stride, dilation = _window(op, sizes)
    before, padding = _padded(op, kernel, stride, dilation)
    groups, bias = int(op.get("group", 1)), op.has(2)
    if groups == out == op.x[1] and groups > 1:
        return (*before, layers.DepthwiseConv(kernel, stride, padding, dilation, bias))
    return (*before, layers.Conv(out, kernel, stride, padding, dilation, groups, bias))


def _transposed(op: Op) -> tuple[Layer, ...]:
    _, out, *sizes = op.weight
    kernel, stride, dilation = _window(op, sizes)
    op.demand(auto_pad=b"NOTSET")
    (top, bottom), (left, right) = _pads(op, kernel, stride, dilation)
    if "output_shape" in op.attributes or (top, left) != (bottom, right):
        raise UnknownError("its padding differs from side to side, where tconv has one for both")
    groups, extra = int(op.get("group", 1)), _two(op.get("output_padding", (0, 0)))
    return (layers.TransposedConv(out * groups, kernel, stride, (top, left), dilation, groups, op.has(2), extra),)


def _pool(op: Op) -> tuple[Layer, ...]:
    kernel, stride, dilation = _window(op, op.get("kernel_shape", ()))
    if dilation != (1, 1):
        raise UnknownError(f"its dilations are {list(dilation)}, where pools have 1")
    rows, columns = _pads(op, kernel, stride, dilation)
    uneven = rows[0] != rows[1] or columns[0] != columns[1]
    touching, ceil = None if stride == kernel else stride, bool(op.get("ceil_mode", 0))
    if op.kind == "MaxPool" and not uneven:
        return (layers.MaxPool(kernel, touching, (rows[0], columns[0]), ceil),)
    counted = bool(op.get("count_include_pad", 0)) or not any(rows + columns)
    if op.kind == "AveragePool" and not uneven:
        return (layers.AvgPool(kernel, touching, (rows[0], columns[0]), ceil, counted),)
    if op.kind == "AveragePool" and counted:
        return layers.Pad((*columns, *rows)), layers.AvgPool(kernel, touching, (0, 0), ceil)
    raise UnknownError(f"its padding of rows {rows} and columns {columns} differs from side to side")


def _global(op: Op) -> tuple[Layer, ...]:
    if len(op.x) != 4:
        raise UnknownError("it is over other things than height and width")
    return (layers.AdaptiveAvgPool((1, 1)),)


def _mean(op: Op) -> tuple[Layer, ...]:
    axes = {axis % 4 for axis in op.get("axes", (), 1)}
    if len(op.x) != 4 or axes != {2, 3}:
        raise UnknownError("gap is the mean over height and width, no other")
    return (layers.AdaptiveAvgPool((1, 1)) if op.get("keepdims", 1) else layers.GlobalAvgPool(),)


def _batchnorm(op: Op) -> tuple[Layer, ...]:
    op.demand(training_mode=0)
    return (pointwise.BatchNorm(),)


def _layernorm(op: Op) -> tuple[Layer, ...]:
    if op.get("axis", -1) % len(op.x) != 1:
        raise UnknownError("it is over some dimensions, where ln is over all of them")
    return (pointwise.LayerNorm(),)


def _instancenorm(op: Op) -> tuple[Layer, ...]:
    scale, bias = op.constants[1:3]
    if scale is None or bias is None or (scale != 1).any() or (bias != 0).any() or len(op.picture) != 4:
        raise UnknownError("it has weights, where in has none")
    return (pointwise.InstanceNorm(),)


def _groupnorm(op: Op) -> tuple[Layer, ...]:
    if op.weight != (op.x[1],):
        raise UnknownError("it has a weight a group, where gn has one a channel")
    return (pointwise.GroupNorm(int(op.get("num_groups", 1))),)


def _lrn(op: Op) -> tuple[Layer, ...]:
    op.demand(size=5, alpha=1e-4, beta=0.75, bias=1.0)
    return (pointwise.LocalResponseNorm(),)


def _clip(op: Op) -> tuple[Layer, ...]:
    low, high = op.get("min", -math.inf, 1), op.get("max", math.inf, 2)
    if low != 0 or not (high == 6 or high > 3e38):  # the largest float32 is how some say that there is no limit
        raise UnknownError(f"it clamps to {low} and {high}, where relu6 clamps to 0 and 6")
    return (pointwise.ReLU6() if high == 6 else pointwise.ReLU(),)


def _softmax(op: Op) -> tuple[Layer, ...]:
    old = op.opset < 13  # it flattened everything from its axis on
    axis = op.get("axis", 1 if old else -1) % len(op.x)
    if axis != 1 or (old and len(op.x) > 2):
        raise UnknownError("it is not over the channels, as softmax is")
    return (pointwise.Softmax(),)


def _dropout(op: Op) -> tuple[Layer, ...]:
    return (pointwise.Dropout(round(float(op.get("ratio", 0.5, 1)), 6)),)


def _gemm(op: Op) -> tuple[Layer, ...]:
    op.demand(alpha=1.0, beta=1.0, transA=0)
    if op.has(2) and math.prod(op.reads[2] or ()) != op.made[-1]:
        raise UnknownError("its bias is not one an output")
    return (layers.Linear(op.made[-1], op.has(2)),)


def _matmul(op: Op) -> tuple[Layer, ...]:
    if len(op.x) != 2 or len(op.weight) != 2:
        raise UnknownError("it multiplies other things than a vector and a matrix")
    return (layers.Linear(op.weight[1], bias=False),)


def _cat(op: Op) -> tuple[Layer, ...]:
    if op.get("axis", 1) % len(op.x) != 1:
        raise UnknownError("it is not along the channels, as cat is")
    return (merges.Cat(),) if len(op.reads) > 1 else ()


def _pad(op: Op) -> tuple[Layer, ...]:
    amounts = list(map(int, op.get("pads", (), 1)))
    if op.has(3):
        axes = [int(axis) % 4 for axis in op.get("axes", (), 3)]
        full = [0] * 8
        for place, axis in enumerate(axes):
            full[axis], full[axis + 4] = amounts[place], amounts[place + len(axes)]
        amounts = full
    mode, value = op.get("mode", b"constant").decode(), op.get("value", 0, 2)
    if mode != "constant" or value or len(amounts) != 8 or any(amounts[:2] + amounts[4:6]) or min(amounts) < 0:
        raise UnknownError(f"it is {mode} by {amounts}, where pad puts zeros around a picture")
    return (layers.Pad((amounts[3], amounts[7], amounts[2], amounts[6])),)


def _resize(op: Op) -> tuple[Layer, ...]:
    (height, width), (tall, wide) = op.picture[2:], op.made[2:]
    scale = tall // height
    mode = op.get("mode", b"nearest").decode()
    where = op.get("coordinate_transformation_mode", b"half_pixel" if op.opset >= 11 else b"asymmetric").decode()
    rounds = op.get("nearest_mode", b"round_prefer_floor" if op.opset >= 11 else b"floor").decode()
    blocks = rounds == "floor" if where == "asymmetric" else where.endswith("half_pixel") and rounds.startswith("round")
    if mode != "nearest" or not blocks or (tall, wide) != (height * scale, width * scale):
        raise UnknownError(
            f"it goes from {height}×{width} to {tall}×{wide} by {mode}, where upsample makes each cell a square block"
        )
    return (layers.Upsample(scale),)


def _reshaped(op: Op) -> tuple[Layer, ...]:
    vector = len(op.made) == 2 and op.made[1] == math.prod(op.source)
    return (layers.Flatten(),) if vector and len(op.source) == 3 else ()


def _same(op: Op) -> tuple[Layer, ...]:
    return ()


OPERATORS: Mapping[str, Reader] = {
    "Conv": _conv,
    "ConvTranspose": _transposed,
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    "GlobalAveragePool": _global,
    "ReduceMean": _mean,
    "BatchNormalization": _batchnorm,
    "LayerNormalization": _layernorm,
    "InstanceNormalization": _instancenorm,
    "GroupNormalization": _groupnorm,
    "LRN": _lrn,
    "Relu": _just(pointwise.ReLU()),
    "Clip": _clip,
    "LeakyRelu": _just(pointwise.LeakyReLU(), alpha=0.01),
    "Elu": _just(pointwise.ELU(), alpha=1.0),
    "Gelu": _just(pointwise.GELU(), approximate=b"none"),
    "HardSwish": _just(pointwise.Hardswish()),
    "Swish": _just(pointwise.SiLU(), alpha=1.0),
    "Tanh": _just(pointwise.Tanh()),
    "Sigmoid": _just(pointwise.Sigmoid()),
    "Softmax": _softmax,
    "Dropout": _dropout,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _just(merges.Add()),
    "Sum": _just(merges.Add()),
    "Mul": _just(merges.Mul()),
    "Concat": _cat,
    "Pad": _pad,
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), _reshaped),
    **dict.fromkeys(("Identity", "Cast"), _same),
}
