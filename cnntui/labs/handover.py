"""From a number of a network to the convolution lab: the operation that makes it, alone, over the maps that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnntui.core.activations import ACTIVATIONS
from cnntui.core.forward import PASSING
from cnntui.core.kernels import MOST_TAPS
from cnntui.core.layers import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    DepthwiseConv,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    Pair,
    Subsample,
    TransposedConv,
)
from cnntui.core.network import INPUT
from cnntui.core.operation import Operation
from cnntui.core.parameters import kernel
from cnntui.core.reads import channels_seen
from cnntui.core.windows import Array
from cnntui.labs.convolve import MOST_CELLS, MOST_CHANNELS, ConvolveState
from cnntui.labs.explore import ExploreState, MoveError


def as_convolution(state: ExploreState, term: int = 0) -> ConvolveState:
    """The layer that sums up the number looked at, with this one filter alone, at the same output cell.

    Behind an activation or a norm it is the layer before them; an activation that follows comes along, a norm does not.
    The input channel shown there is that of the term.

    Raises:
        MoveError: when no window makes the number, or what would slide is too large for the lab.
    """
    if not state.explanation.steps:
        raise MoveError("a pixel is made of nothing else: step up to a layer that reads it")
    step = state.explanation.steps[-1]
    row = state.rows[step.node]
    layer, unit = row.node.layer, step.unit
    name = row.node.inputs[0]
    if isinstance(layer, Linear):
        name = _map_behind(state, name)
    x = state.trace.values[name]
    made = _carried(layer, state.parameters.get(step.node, {}), x, unit)
    if made is None:
        raise MoveError(f"{step.node} slides no window over maps, and Convolve does nothing else")
    channels = list(made.channels)
    _refuse_large(step.node, len(channels), x.shape, made.weight)
    read = np.asarray(x[channels], dtype=float)
    if not (np.isfinite(read).all() and np.isfinite(made.weight).all()):
        raise MoveError(f"{step.node} meets numbers that are not finite, which Convolve does not take")
    operation = Operation(
        read,
        np.asarray(made.weight, dtype=float),
        bias=None if made.bias is None else np.array([made.bias], dtype=float),
        activation=_activation(state, step.node),
        **made.settings,
    )
    title = step.node if operation.pool else f"{step.node}[{unit[0]}]"
    shown = term // step.per_channel if step.per_channel else 0
    return ConvolveState(operation, name=title, cell=made.cell, channel=shown).settled()


@dataclass(frozen=True, eq=False)
class _Carried:
    """What becomes an `Operation`: the channels read, the weights of one filter, and the cell looked at."""

    channels: tuple[int, ...]
    weight: Array
    cell: Pair
    settings: dict[str, Any]
    bias: float | None = None


def _carried(layer: Layer, tensors: Mapping[str, Array], x: Array, unit: tuple[int, ...]) -> _Carried | None:
    """Of one layer; None where the lab has no such operation."""
    if x.ndim != 3:
        return None
    output, cell = unit[0], (unit[1], unit[2]) if len(unit) == 3 else (0, 0)
    read: tuple[int, ...] = (output,)
    if isinstance(layer, Conv | DepthwiseConv | TransposedConv):
        read = tuple(channels_seen(layer, output, len(x)))
    biases = tensors.get("bias")
    bias = None if biases is None or biases.ndim != 1 else float(biases[output])
    match layer:
        case DepthwiseConv():
            conv = layer.conv(x.shape)
            return _Carried(read, kernel(conv, tensors, len(x))[[output]], cell, _slides(conv), bias)
        case Conv():
            weight = kernel(layer, tensors, len(x))[[output]]
            chosen = weight[:, list(read)] if layer.table else weight
            return _Carried(read, chosen, cell, _slides(layer), bias)
        case TransposedConv():
            within = output % (layer.out_channels // layer.groups)
            settings = {"op": "transposed", "output_padding": layer.output_padding, **_slides(layer)}
            return _Carried(read, tensors["weight"][list(read), within : within + 1], cell, settings, bias)
        case Linear():
            # A kernel as large as the map has one place to be.
            return _Carried(tuple(range(len(x))), tensors["weight"][output].reshape(1, *x.shape), (0, 0), {}, bias)
        case MaxPool() | AvgPool():
            settings = {
                "op": "max" if isinstance(layer, MaxPool) else "avg",
                "stride": layer.stride or layer.kernel_size,
                "padding": _sides(layer.padding),
                "ceil_mode": layer.ceil_mode,
                "count_include_pad": not isinstance(layer, AvgPool) or layer.count_include_pad,
            }
            return _Carried(read, np.ones((1, 1, *layer.kernel_size)), cell, settings)
        case GlobalAvgPool() | AdaptiveAvgPool():
            size = layer.output_size if isinstance(layer, AdaptiveAvgPool) else (1, 1)
            settings = {"op": "adaptive-avg", "output_size": size}
            return _Carried(read, np.ones((1, 1, 1, 1)), cell, settings)
        case Subsample():
            # A mean times a weight is a convolution whose kernel is that weight everywhere, divided by its size.
            height, width = layer.kernel_size
            weight = np.full((1, 1, height, width), tensors["1.weight"][output].item())
            settings = {"stride": layer.kernel_size, "divisor": height * width}
            return _Carried(read, weight, cell, settings, tensors["1.bias"][output].item())
    return None


def _slides(layer: Conv | TransposedConv) -> dict[str, Any]:
    padding = layer.padding if isinstance(layer.padding, str) else _sides(layer.padding)
    return {"stride": layer.stride, "padding": padding, "dilation": layer.dilation}


def _sides(padding: Pair) -> tuple[Pair, Pair]:
    return (padding[0], padding[0]), (padding[1], padding[1])


def _map_behind(state: ExploreState, name: str) -> str:
    """The map that was laid flat into a vector; the vector itself where there is none."""
    while name != INPUT and state.trace.values[name].ndim == 1:
        row = state.rows[name]
        if not isinstance(row.node.layer, PASSING):
            break
        name = row.node.inputs[0]
    return name


def _activation(state: ExploreState, node: str) -> str | None:
    """What follows a layer: the activation through which the number looked at went, or the layer's only reader."""
    passed = [step.op for step in state.explanation.steps[:-1] if state.rows[step.node].node.inputs == (node,)]
    readers = [row.node.layer.op for row in state.analysis.rows if node in row.node.inputs]
    follows = passed or (readers if len(readers) == 1 else [])
    return follows[0] if follows and follows[0] in ACTIVATIONS else None


def _refuse_large(node: str, channels: int, shape: tuple[int, ...], weight: Array) -> None:
    if channels > MOST_CHANNELS:
        raise MoveError(f"{node} reads {channels} maps > {MOST_CHANNELS}, the most that Convolve takes")
    if max(shape[1:]) > MOST_CELLS:
        raise MoveError(
            f"{node} reads maps of {max(shape[1:])} cells a side > {MOST_CELLS}, the most that Convolve takes"
        )
    if max(weight.shape[2:]) > MOST_TAPS:
        raise MoveError(
            f"{node} has a kernel of {max(weight.shape[2:])} cells a side > {MOST_TAPS}, the most that Convolve takes"
        )
