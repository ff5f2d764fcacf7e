"""Reverse mode through a network that was run on one picture: how much each number before a result moves it.

Layer after layer from the last to the first, the gradient of what a layer made becomes the gradient of what it read and
of its own parameters. Torch's conventions hold where a function has a kink or a maximum has ties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from cnntui.core.activations import SLOPES
from cnntui.core.adjoints import (
    adaptive_avg_pool2d_back,
    avg_pool2d_back,
    conv2d_back,
    conv_transpose2d_back,
    max_pool2d_back,
)
from cnntui.core.analysis import Row
from cnntui.core.forward import (
    LRN_ALPHA,
    LRN_BETA,
    LRN_SIZE,
    Trace,
    measured,
    neighbours,
    norm,
    softmax,
    window,
)
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
    shape_text,
)
from cnntui.core.merges import Add, Cat, Mul
from cnntui.core.network import INPUT
from cnntui.core.parameters import Parameters, kernel, pairs
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
from cnntui.core.windows import Array, avg_pool2d

Unit = tuple[int, ...]
Back = tuple[list[Array], dict[str, Array]]
"""The gradients of a layer's inputs, in their order, and of its parameters, by torch's names within the layer."""


@dataclass(frozen=True, eq=False)
class Gradients:
    """Of one result with respect to everything before it.

    `values` by node, the input among them, shaped as the values; a node on which the result does not depend is missing.
    `parameters` by node and name; running statistics have none. What a silenced channel holds is set: its gradient is 0.
    """

    values: Mapping[str, Array]
    parameters: Parameters


def backward(trace: Trace, start: Mapping[str, Array]) -> Gradients:
    """Gradients of the sum over `start`, which weighs the values of some nodes, each shaped as what the node made.

    Raises:
        ValueError: when there is no such node, or its values have another shape.
    """
    values: dict[str, Array] = {}
    for name, weights in start.items():
        _check_node(trace, name)
        made = trace.values[name]
        if np.shape(weights) != made.shape:
            raise ValueError(
                f"a gradient of {shape_text(np.shape(weights))} for {name}, which is {shape_text(made.shape)}"
            )
        values[name] = np.array(weights, np.result_type(made, np.float32))
    parameters: dict[str, Mapping[str, Array]] = {}
    for row in reversed(trace.analysis.rows):
        name = row.node.name
        if name not in values:
            continue
        values[name] = _audible(trace, name, values[name])
        inputs = [trace.values[read] for read in row.node.inputs]
        reads, own = layer_back(row, trace.parameters.get(name, {}), inputs, values[name])
        for read, gradient in zip(row.node.inputs, reads, strict=True):
            values[read] = values[read] + gradient if read in values else gradient
        if own:
            parameters[name] = own
    return Gradients(values, parameters)


def of_unit(trace: Trace, node: str, unit: Unit) -> Gradients:
    """Of one number of a node: (channel, row, column), or (index,) of a vector.

    Raises:
        ValueError: when there is no such node or number.
    """
    _check_node(trace, node)
    made = trace.values[node]
    if len(unit) != made.ndim or not all(0 <= i < n for i, n in zip(unit, made.shape, strict=True)):
        raise ValueError(f"{node} is {shape_text(made.shape)} and has no unit {unit}")
    start = np.zeros(made.shape)
    start[unit] = 1
    return backward(trace, {node: start})


def of_loss(trace: Trace, label: int, smoothing: float = 0.0) -> Gradients:
    """Of `cross_entropy` of the scores: softmax less what it should be.

    Raises:
        ValueError: when no score has that label.
    """
    scores = trace.scores
    if not 0 <= label < len(scores):
        raise ValueError(f"label {label} is not one of {len(scores)} classes from 0")
    wanted = np.full(len(scores), smoothing / len(scores))
    wanted[label] += 1 - smoothing
    rows = trace.analysis.rows
    last = rows[-1].node.name if rows else INPUT
    return backward(trace, {last: (softmax(scores) - wanted).reshape(trace.output.shape)})


def _check_node(trace: Trace, name: str) -> None:
    if name not in trace.values:
        raise ValueError(f"there is no node {name!r} in {trace.analysis.network.name}")


def _audible(trace: Trace, name: str, gradient: Array) -> Array:
    """Without the channels that were silenced."""
    off = [channel for node, channel in trace.silenced if node == name]
    if off:
        gradient = gradient.copy()
        gradient[off] = 0
    return gradient


def layer_back(row: Row, tensors: Mapping[str, Array], inputs: Sequence[Array], gradient: Array) -> Back:
    """Through one layer: `run_layer` turned round, with the gradient of what it made."""
    layer, x = row.node.layer, inputs[0]
    match layer:
        case Conv() | DepthwiseConv() | TransposedConv():
            return _convolution(layer, tensors, x, gradient)
        case Linear():
            own = {"weight": np.outer(gradient, x)} | ({"bias": gradient} if layer.bias else {})
            return [gradient @ tensors["weight"]], own
        case Subsample():
            means = avg_pool2d(x, window(layer, x))
            own = {"1.weight": (gradient * means).sum((1, 2), keepdims=True)}
            own["1.bias"] = gradient.sum((1, 2), keepdims=True)
            return [avg_pool2d_back(x.shape, window(layer, x), True, gradient * tensors["1.weight"])], own
        case BatchNorm() | LayerNorm() | InstanceNorm() | GroupNorm():
            return _norm(layer, tensors, x, gradient)
        case Cat():
            return np.split(gradient, np.cumsum([len(each) for each in inputs])[:-1]), {}
        case Add():
            return [gradient] * len(inputs), {}
        case Mul():
            return [_factor(inputs, index, gradient) for index in range(len(inputs))], {}
    return [_plain(layer, x, gradient)], {}


def _plain(layer: Layer, x: Array, gradient: Array) -> Array:
    """Through a layer of one input without parameters."""
    match layer:
        case MaxPool():
            return max_pool2d_back(x, window(layer, x), gradient)
        case AvgPool():
            return avg_pool2d_back(x.shape, window(layer, x), layer.count_include_pad, gradient)
        case GlobalAvgPool():
            return np.broadcast_to(gradient[:, None, None] / (x.size // len(x)), x.shape)
        case AdaptiveAvgPool():
            return adaptive_avg_pool2d_back(x.shape, window(layer, x), gradient)
        case Upsample():
            channels, height, width = x.shape
            blocks = gradient.reshape(channels, height, layer.scale_factor, width, layer.scale_factor)
            return np.asarray(blocks.sum((2, 4)))
        case Pad():
            left, _, top, _ = layer.padding
            return gradient[:, top : top + x.shape[1], left : left + x.shape[2]]
        case Flatten():
            return gradient.reshape(x.shape)
        case Identity() | Dropout():
            return gradient
        case Softmax():
            shares = softmax(x)
            return np.asarray(shares * (gradient - (gradient * shares).sum(0)))
        case LocalResponseNorm():
            return _lrn(x, gradient)
    return np.asarray(gradient * SLOPES[layer.op](x))


def _convolution(
    layer: Conv | DepthwiseConv | TransposedConv, tensors: Mapping[str, Array], x: Array, gradient: Array
) -> Back:
    groups = len(x) if isinstance(layer, DepthwiseConv) else layer.groups
    back = conv_transpose2d_back if isinstance(layer, TransposedConv) else conv2d_back
    of_x, of_weight = back(x, kernel(layer, tensors, len(x)), window(layer, x), groups, gradient)
    if isinstance(layer, Conv) and layer.table:
        of_weight = of_weight[pairs(layer.table)]
    return [of_x], {"weight": of_weight} | ({"bias": gradient.sum((1, 2))} if layer.bias else {})


def _norm(layer: Layer, tensors: Mapping[str, Array], x: Array, gradient: Array) -> Back:
    """Through the weight and the bias; where x itself was measured, through its mean and variance too."""
    by = norm(layer, tensors, x)
    ready = (x - by.mean) / by.deviation
    own: dict[str, Array] = {}
    if "weight" in tensors:
        shared = () if isinstance(layer, LayerNorm) else tuple(range(1, x.ndim))
        own = {"weight": (gradient * ready).sum(shared), "bias": gradient.sum(shared)}
    of_ready = gradient * by.weight
    if not isinstance(layer, BatchNorm):
        # With x̂ = (x − mean)/deviation: a shift of all x, or a stretch of them, leaves x̂ as it is, so what the gradient
        # has of either is taken out of it.
        g, x_hat = measured(layer, of_ready), measured(layer, ready)
        rest = g - g.mean(1, keepdims=True) - x_hat * (g * x_hat).mean(1, keepdims=True)
        of_ready = rest.reshape(x.shape)
    return [of_ready / by.deviation], own


def _lrn(x: Array, gradient: Array) -> Array:
    """x/d^β with d = k + α/n Σ x² over the neighbours: each x stands in its own quotient and in its neighbours' d."""
    around = neighbours(x)
    through = gradient * x * around ** (-LRN_BETA - 1)
    # Whom a channel reads before itself, those read it behind themselves.
    padded = np.pad(through, (((LRN_SIZE - 1) // 2, LRN_SIZE // 2), (0, 0), (0, 0)))
    total = reduce(np.add, (padded[i : i + len(x)] for i in range(LRN_SIZE)))
    return np.asarray(gradient * around**-LRN_BETA - 2 * LRN_ALPHA * LRN_BETA / LRN_SIZE * x * total)


def _factor(inputs: Sequence[Array], index: int, gradient: Array) -> Array:
    """Of one factor of a product: the gradient times the others, summed wherever the factor was stretched."""
    most = max(each.ndim for each in inputs)
    full = [each[:, None, None] if each.ndim < most else each for each in inputs]
    product = reduce(np.multiply, (each for i, each in enumerate(full) if i != index), gradient)
    own = full[index]
    stretched = tuple(axis for axis, n in enumerate(own.shape) if n < gradient.shape[axis])
    return np.asarray(product.sum(stretched, keepdims=True).reshape(inputs[index].shape))
