"""A network run on one picture, in numpy: what every layer makes of it, as torch does in evaluation mode."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod

import numpy as np

from cnntui.core.activations import ACTIVATIONS
from cnntui.core.analysis import Analysis, Row
from cnntui.core.layers import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    DepthwiseConv,
    Flatten,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    Pad,
    Subsample,
    TransposedConv,
    Upsample,
)
from cnntui.core.merges import Add, Cat, Mul
from cnntui.core.network import INPUT
from cnntui.core.parameters import EPSILON, Parameters, kernel
from cnntui.core.pointwise import (
    BatchNorm,
    Dropout,
    GroupNorm,
    Identity,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    Softmax,
)
from cnntui.core.windows import (
    Array,
    Window,
    adaptive_pool2d,
    avg_pool2d,
    conv2d,
    conv_transpose2d,
    max_pool2d,
)

PASSING = (Flatten, Dropout, Identity)  # layers that only hand on what they read
LRN_SIZE, LRN_ALPHA, LRN_BETA, LRN_K = 5, 1e-4, 0.75, 1.0
Channel = tuple[str, int]


@dataclass(frozen=True, eq=False)
class Trace:
    """A network that was run: `values` by node, the input among them, (C, H, W) or (N,).

    The channels in `silenced`, (node, channel), were set to zero before anything read them.
    """

    analysis: Analysis
    parameters: Parameters
    values: Mapping[str, Array]
    silenced: frozenset[Channel] = frozenset()

    @property
    def output(self) -> Array:
        """What the last node makes."""
        rows = self.analysis.rows
        return self.values[rows[-1].node.name if rows else INPUT]

    @property
    def scores(self) -> Array:
        """One number a class: the output, laid flat."""
        return self.output.reshape(-1)

    @property
    def probabilities(self) -> Array:
        """Of the classes: the output's softmax, or the output itself where the net ends in one."""
        return softmax(self.scores) if last_softmax(self.analysis) is None else self.scores


def last_softmax(analysis: Analysis) -> Row | None:
    """The softmax over the classes in which a net ends, whatever only hands on its numbers behind it."""
    rows = {row.node.name: row for row in analysis.rows}
    row = analysis.rows[-1] if analysis.rows else None
    while row is not None and isinstance(row.node.layer, PASSING):
        row = rows.get(row.node.inputs[0])
    if row is None or not isinstance(row.node.layer, Softmax) or row.output is None:
        return None
    return row if prod(row.output[1:]) == 1 else None  # else it is one of each pixel


def forward(analysis: Analysis, parameters: Parameters, x: Array, silenced: Collection[Channel] = ()) -> Trace:
    """Run a network on an input (C, H, W).

    Raises:
        ValueError: when the net is impossible or the input has another shape.
    """
    if analysis.error:
        raise ValueError(analysis.error)
    if x.shape != analysis.network.input:
        raise ValueError(f"an input of {x.shape} for a net that takes {analysis.network.input}")
    if parameters:
        x = x.astype(next(tensor.dtype for own in parameters.values() for tensor in own.values()))
    values: dict[str, Array] = {INPUT: x}
    for row in analysis.rows:
        name = row.node.name
        made = run_layer(row, parameters.get(name, {}), [values[read] for read in row.node.inputs])
        off = [channel for node, channel in silenced if node == name]
        if off:
            made = made.copy()
            made[off] = 0
        values[name] = made
    return Trace(analysis, parameters, values, frozenset(silenced))


def run_layer(row: Row, tensors: Mapping[str, Array], inputs: Sequence[Array]) -> Array:
    """What one layer makes of its inputs."""
    layer, x = row.node.layer, inputs[0]
    match layer:
        case Conv() | DepthwiseConv():
            groups = layer.groups if isinstance(layer, Conv) else len(x)
            return conv2d(x, kernel(layer, tensors, len(x)), tensors.get("bias"), window(layer, x), groups)
        case TransposedConv():
            return conv_transpose2d(x, tensors["weight"], tensors.get("bias"), window(layer, x), layer.groups)
        case Linear():
            made = tensors["weight"] @ x
            return np.asarray(made + tensors["bias"] if layer.bias else made)
        case MaxPool():
            return max_pool2d(x, window(layer, x))
        case AvgPool():
            return avg_pool2d(x, window(layer, x), layer.count_include_pad)
        case Subsample():
            return np.asarray(avg_pool2d(x, window(layer, x)) * tensors["1.weight"] + tensors["1.bias"])
        case GlobalAvgPool():
            return np.asarray(x.mean((1, 2)))
        case AdaptiveAvgPool():
            at = window(layer, x)
            return np.asarray(adaptive_pool2d(x, at, np.add) / at.divisors())
        case Upsample():
            return x.repeat(layer.scale_factor, 1).repeat(layer.scale_factor, 2)
        case Pad():
            left, right, top, bottom = layer.padding
            return np.pad(x, ((0, 0), (top, bottom), (left, right)))
        case Flatten():
            return x.reshape(-1)
        case Identity() | Dropout():
            return x
        case Softmax():
            return softmax(x)
        case BatchNorm() | LayerNorm() | InstanceNorm() | GroupNorm():
            return normalised(layer, tensors, x)
        case LocalResponseNorm():
            return np.asarray(x / neighbours(x) ** LRN_BETA)
        case Cat():
            return np.concatenate(inputs)
        case Add():
            return reduce(np.add, inputs)
        case Mul():
            most = max(each.ndim for each in inputs)
            return reduce(np.multiply, (each[:, None, None] if each.ndim < most else each for each in inputs))
    return np.asarray(ACTIVATIONS[layer.op](x))


def window(layer: Layer, x: Array) -> Window:
    """The window that a layer slides over a picture (C, H, W)."""
    axes = layer.window(x.shape)
    if axes is None:
        raise ValueError(f"{layer.op} slides no window")
    return Window(*axes)


def softmax(x: Array) -> Array:
    """exp(x) over its sum along the first axis."""
    powers = np.exp(x - x.max(axis=0, keepdims=True))
    return np.asarray(powers / powers.sum(axis=0, keepdims=True))


def cross_entropy(scores: Array, label: int, smoothing: float = 0.0) -> float:
    """torch.nn.functional.cross_entropy of one picture's scores (N,)."""
    logs = scores - scores.max()
    logs = logs - np.log(np.exp(logs).sum())
    return float(-(1 - smoothing) * logs[label] - smoothing * logs.mean())


# -- normalisation


@dataclass(frozen=True)
class Norm:
    """What a normalisation does to each number: (x − mean) / √(variance + ε) · weight + bias, all as large as x."""

    mean: Array
    variance: Array
    weight: Array
    bias: Array

    @property
    def deviation(self) -> Array:
        """√(variance + ε)."""
        return np.asarray(np.sqrt(self.variance + EPSILON))


def norm(layer: Layer, tensors: Mapping[str, Array], x: Array) -> Norm:
    """The mean and variance that a norm takes for each number of x, and its own weight and bias.

    A batch norm in evaluation mode takes its running averages; the others measure x itself.
    """
    tail = (1,) * (x.ndim - 1)
    weight, bias = tensors.get("weight"), tensors.get("bias")
    ones, zeros = np.ones((), x.dtype), np.zeros((), x.dtype)
    if weight is not None and bias is not None and not isinstance(layer, LayerNorm):
        weight, bias = weight.reshape(-1, *tail), bias.reshape(-1, *tail)
    if isinstance(layer, BatchNorm):
        mean, variance = tensors["running_mean"].reshape(-1, *tail), tensors["running_var"].reshape(-1, *tail)
    else:
        parts = measured(layer, x)
        mean, variance = (
            np.repeat(each, x.size // each.size).reshape(x.shape) for each in (parts.mean(1), parts.var(1))
        )
    facts = (mean, variance, ones if weight is None else weight, zeros if bias is None else bias)
    return Norm(*(np.broadcast_to(each, x.shape) for each in facts))


def measured(layer: Layer, x: Array) -> Array:
    """What a norm takes the mean of, one row a group: (groups, numbers)."""
    match layer:
        case GroupNorm():
            return x.reshape(layer.num_groups, -1)
        case InstanceNorm():
            return x.reshape(len(x), -1)
    return x.reshape(1, -1)


def normalised(layer: Layer, tensors: Mapping[str, Array], x: Array) -> Array:
    """Less the mean, over the deviation, times the weight, plus the bias."""
    by = norm(layer, tensors, x)
    return np.asarray((x - by.mean) / by.deviation * by.weight + by.bias)


def neighbours(x: Array) -> Array:
    """k + α/n times the squares summed over the n nearest channels (torch: local_response_norm)."""
    before = LRN_SIZE // 2
    squares = np.pad(x * x, ((before, (LRN_SIZE - 1) // 2), (0, 0), (0, 0)))
    total = reduce(np.add, (squares[i : i + len(x)] for i in range(LRN_SIZE)))
    return np.asarray(LRN_K + LRN_ALPHA / LRN_SIZE * total)
