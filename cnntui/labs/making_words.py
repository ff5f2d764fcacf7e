"""What makes a map, in words: the header of the layer level."""

from __future__ import annotations

from cnntui.core.layers import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    DepthwiseConv,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Pad,
    Pair,
    Subsample,
    TransposedConv,
    Upsample,
    shape_text,
)
from cnntui.core.merges import Add, Cat, Mul
from cnntui.core.network import INPUT
from cnntui.core.vocabulary import layer_text
from cnntui.labs.making import Kind, Making


def heading(making: Making) -> list[str]:
    """In parts: conv2, channel 4 of 0–15, 5×5 kernels over 6 maps, 150 weights and a bias."""
    values = making.trace.values[making.node]
    last = len(values) - 1
    what = "channel" if values.ndim > 1 else "unit"
    parts = [making.node, f"{what} {making.channel}" + (f" of 0–{last}" if last else "")]
    if making.row is None:
        return [*parts, "what the net is given"]
    of = "" if making.row.node.name == making.node else f"of {making.row.node.name}: "
    parts.append(of + doing(making))
    weights = sum(each.weights.size for each in making.ingredients if each.weights is not None)
    if isinstance(making.row.node.layer, Subsample):
        weights = 1
    if weights:
        bias = "" if making.bias is None else " and a bias"
        parts.append(f"{weights:,} {'weight' if weights == 1 else 'weights'}{bias}")
    return parts


def doing(making: Making) -> str:
    """What the layer does to its ingredients."""
    if making.row is None:
        return ""
    layer, parts = making.row.node.layer, making.ingredients
    count = len(parts)
    match layer:
        case Conv() | TransposedConv():
            verb = "stamped from" if isinstance(layer, TransposedConv) else "over"
            kernels = f"{_size(layer.kernel_size)} {'kernel' if count == 1 else 'kernels'} {verb} {_maps(count)}"
            return kernels + _settings(layer)
        case DepthwiseConv():
            return f"{_size(layer.kernel_size)} kernel over its own map alone" + _settings(layer)
        case Subsample():
            return f"the mean of each {_size(layer.kernel_size)}, times one weight"
        case Linear():
            if parts and parts[0].channel is None:
                return f"a weight for each of {parts[0].values.size:,} numbers"
            return f"{_maps(count)} of {shape_text(parts[0].values.shape)}, a weight for each number"
        case MaxPool() | AvgPool():
            stride = layer.stride or layer.kernel_size
            word = "largest" if isinstance(layer, MaxPool) else "mean"
            return f"the {word} of each {_size(layer.kernel_size)}, stride {_each(stride)}"
        case GlobalAvgPool():
            return "the mean of the whole map"
        case AdaptiveAvgPool():
            return f"means over {_size(layer.output_size)} parts of the map"
        case Upsample():
            return f"each number becomes {_size((layer.scale_factor, layer.scale_factor))}"
        case Pad():
            left, right, top, bottom = layer.padding
            return f"zeros put around: left {left}, right {right}, top {top}, bottom {bottom}"
        case Flatten():
            return "maps laid flat"
        case Add():
            return f"the sum of {count} branches"
        case Mul():
            return f"the product of {count} branches"
        case Cat():
            return f"{parts[0].words}, laid side by side: {parts[0].name}" if parts else ""
    return layer_text(layer) if making.kind is Kind.ONE and making.node != INPUT else ""


def _settings(layer: Conv | DepthwiseConv | TransposedConv) -> str:
    text = f", stride {_each(layer.stride)}" if max(layer.stride) > 1 else ""
    if layer.padding == "same" or (isinstance(layer.padding, tuple) and any(layer.padding)):
        text += ", padded"
    return text + (f", dilation {_each(layer.dilation)}" if max(layer.dilation) > 1 else "")


def _each(pair: Pair | str) -> str:
    return str(pair) if isinstance(pair, str) else "×".join(map(str, pair if pair[0] != pair[1] else pair[:1]))


def _size(pair: Pair) -> str:
    return "×".join(map(str, pair))


def _maps(count: int) -> str:
    return f"{count} map" if count == 1 else f"{count:,} maps"
