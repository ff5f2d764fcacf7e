"""What makes a map, in words, and its numbers as they are printed."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from cnntui.core.arithmetic import MINUS
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
from cnntui.labs.making import Kind, Making, Place, decimals, told_as

LARGE = 1e7  # from here on numbers are not written out
GUARD = 4  # digits that what is added up may have more


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


# -- numbers


@dataclass(frozen=True)
class Printed:
    """The number at a place as it comes about: each ingredient's part, and each step's relation (=, ≈) and value."""

    parts: tuple[str, ...]  # none where nothing is added up or multiplied
    steps: tuple[tuple[str, str], ...]


def printed(making: Making, place: Place | None) -> Printed:
    """Parts that add up to the sum as they are printed, and each step as it follows from the one before; else it says ≈.

    The number has four digits of its map's scale; what is added up to it gets more until it re-adds.
    """
    added = [each for ingredient in making.ingredients if (each := making.added(ingredient, place)) is not None]
    plain = _printed(making, place, added, 0, 0)
    found = plain
    for guard in range(1, 1 + GUARD):
        if all(relation != "≈" for relation, _ in found.steps):
            return found
        for more in range(guard + 1):
            found = _printed(making, place, added, more, guard - more)
            if all(relation != "≈" for relation, _ in found.steps):
                return found
    return plain


def _printed(making: Making, place: Place | None, added: list[float], more: int, guard: int) -> Printed:
    """With so many digits more in the sum, and in its parts so many more than that."""
    own = making.decimals
    of_sum = own + 1 + (making.bias is not None) + more
    of_parts = of_sum + 1 + guard
    parts = [told_as(value, of_parts) for value in added]
    steps: list[tuple[str, str]] = []
    before: float | None = None
    if parts:
        before = prod(parts) if making.kind is Kind.FACTORS else sum(parts)
    for index, step in enumerate(making.steps):
        at = making.at(index, place)
        digits = of_sum if parts and not index else max(own, decimals(step.scale)) + 1
        if step.values.ndim and at is None:
            steps.append(("", ""))
            continue
        value = told_as(float(step.values[at] if at is not None else step.values), digits)
        again = before
        if before is not None and index:
            with np.errstate(over="ignore", invalid="ignore"):
                again = float(step.function(np.array(before))) if step.function else None
        relation = ""
        if again is not None:
            relation = "=" if abs(again - value) <= 0.5 * 10.0**-digits * (1 + 1e-9) else "≈"
        steps.append((relation, fixed(value, digits)))
        before = value
    return Printed(tuple(fixed(value, of_parts) for value in parts), tuple(steps))


def fixed(value: float, places: int) -> str:
    """With so many decimals, the zeros at its end too; a very large one as a power of ten."""
    if abs(value) >= LARGE:
        return f"{value:.2e}".replace("e+", "e").replace("-", MINUS)
    return f"{value:z.{places}f}".replace("-", MINUS)
