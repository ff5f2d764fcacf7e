"""A layer in torch's own names, with only the arguments that are not torch's defaults: as `training.model` builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from cnntui.core import layers, pointwise
from cnntui.core.axis import same_padding
from cnntui.core.layers import Layer, Shape, Table
from cnntui.labs.program.calls import Argument, Leaf, Made, Number, Terms, numbers


def terms_after(layer: Layer, terms: Terms, shape: Shape) -> Terms:
    """What the channels or features are after a layer that reads `shape`."""
    match layer:
        case layers.Conv() | layers.TransposedConv():
            return (layer.out_channels,)
        case layers.Linear():
            return (layer.out_features,)
        case layers.Flatten():
            return (prod(shape),)
    return terms


def modules(layer: Layer, shape: Shape, terms: Terms, table: Callable[[Table], str]) -> list[Made]:
    """The modules of a layer, for an input of `shape` whose channels are `terms`; `table` gives the name of a table."""
    given = Number(terms)
    match layer:
        case pointwise.Identity():
            return []
        case layers.DepthwiseConv():
            return _conv(layer.conv(shape), given, given, given, table)
        case layers.Conv():
            return _conv(layer, given, layer.out_channels, layer.groups, table)
        case layers.TransposedConv():
            sizes = {"in_channels": given, "out_channels": layer.out_channels, "kernel_size": layer.kernel_size}
            made = _made(
                "nn.ConvTranspose2d",
                sizes,
                stride=(layer.stride, (1, 1)),
                padding=(layer.padding, (0, 0)),
                output_padding=(layer.output_padding, (0, 0)),
                groups=(layer.groups, 1),
                bias=(layer.bias, True),
                dilation=(layer.dilation, (1, 1)),
            )
        case layers.MaxPool():
            made = _made("nn.MaxPool2d", {"kernel_size": layer.kernel_size}, **_pool(layer))
        case layers.AvgPool():
            counted = (layer.count_include_pad, True)
            made = _made("nn.AvgPool2d", {"kernel_size": layer.kernel_size}, **_pool(layer), count_include_pad=counted)
        case layers.GlobalAvgPool():
            return [_made("nn.AdaptiveAvgPool2d", {"output_size": "1"}), _made("nn.Flatten")]
        case layers.AdaptiveAvgPool():
            made = _made("nn.AdaptiveAvgPool2d", {"output_size": layer.output_size})
        case layers.Subsample():
            return [_made("nn.AvgPool2d", {"kernel_size": layer.kernel_size}), _made("Scale", {"channels": given})]
        case layers.Upsample():
            made = _made("nn.Upsample", scale_factor=(layer.scale_factor, ""))
        case layers.Pad():
            made = _made("nn.ZeroPad2d", {"padding": layer.padding})
        case layers.Flatten():
            made = _made("nn.Flatten")
        case layers.Linear():
            made = _made(
                "nn.Linear", {"in_features": given, "out_features": layer.out_features}, bias=(layer.bias, True)
            )
        case pointwise.BatchNorm():
            made = _made(f"nn.BatchNorm{2 if len(shape) == 3 else 1}d", {"num_features": given})
        case pointwise.LayerNorm():
            made = _made(
                "nn.LayerNorm", {"normalized_shape": (given, *numbers(shape[1:])) if len(shape) == 3 else given}
            )
        case pointwise.InstanceNorm():
            made = _made("nn.InstanceNorm2d", {"num_features": given})
        case pointwise.GroupNorm():
            made = _made("nn.GroupNorm", {"num_groups": layer.num_groups, "num_channels": given})
        case pointwise.LocalResponseNorm():
            made = _made("nn.LocalResponseNorm", {"size": "5"})
        case pointwise.Softmax():
            made = _made("nn.Softmax", dim=("1", ""))
        case pointwise.Dropout():
            made = _made("nn.Dropout", p=(layer.p, 0.5))
        case _:
            made = _made(f"nn.{type(layer).__name__}")  # one of pointwise.AS_IN_TORCH
    return [made]


def _conv(
    layer: layers.Conv, given: Number, out: Number | int, groups: Number | int, table: Callable[[Table], str]
) -> list[Made]:
    before: list[Made] = []
    padding = layer.padding
    if isinstance(padding, str):
        top, left = (same_padding(k, d) for k, d in zip(layer.kernel_size, layer.dilation, strict=True))
        padding = (top[0], left[0])
        if padding != (top[1], left[1]):  # torch would pad in a copy, and warn of it
            before, padding = [_made("nn.ZeroPad2d", {"padding": (*left, *top)})], (0, 0)
    options = {
        "stride": (layer.stride, (1, 1)),
        "padding": (padding, (0, 0)),
        "dilation": (layer.dilation, (1, 1)),
        "groups": (groups, 1),
        "bias": (layer.bias, True),
    }
    if layer.table:
        sizes = {"in_channels": given, "table": table(layer.table), "kernel_size": str(layer.kernel_size)}
        return [*before, _made("TableConv", sizes, **options)]
    sizes = {"in_channels": given, "out_channels": out, "kernel_size": layer.kernel_size}
    return [*before, _made("nn.Conv2d", sizes, **options)]


def _pool(layer: layers.Pool) -> dict[str, tuple[Any, Any]]:
    return {
        "stride": (layer.stride or layer.kernel_size, layer.kernel_size),
        "padding": (layer.padding, (0, 0)),
        "ceil_mode": (layer.ceil_mode, False),
    }


def _made(name: str, given: Mapping[str, Any] | None = None, **options: tuple[Any, Any]) -> Made:
    """A call with what is `given` by its place, and by name those of the options that are not their defaults."""
    first = [Argument(key, _leaf(value)) for key, value in (given or {}).items()]
    return Made(name, [*first, *(Argument(key, _leaf(v), _leaf(default)) for key, (v, default) in options.items())])


def _leaf(value: Any) -> Leaf:
    match value:
        case bool() | float():
            return repr(value)
        case int():
            return Number((value,))
        case (int(), *_):
            return numbers(value)
    leaf: Leaf = value
    return leaf
