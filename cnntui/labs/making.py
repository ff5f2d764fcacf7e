"""One map and all that makes it: what it reads, the weights on that, what each part comes to, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from math import floor, isfinite, log10

import numpy as np

from cnntui.core.activations import ACTIVATIONS
from cnntui.core.analysis import Row
from cnntui.core.arithmetic import MINUS, number
from cnntui.core.axis import AnyAxis
from cnntui.core.explanation import Source
from cnntui.core.forward import PASSING, Trace, norm, window
from cnntui.core.layers import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    DepthwiseConv,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Subsample,
    TransposedConv,
)
from cnntui.core.merges import Add, Cat, Mul
from cnntui.core.network import INPUT
from cnntui.core.parameters import kernel
from cnntui.core.pointwise import (
    AS_IN_TORCH,
    BatchNorm,
    Dropout,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    Softmax,
)
from cnntui.core.shading import scale_of
from cnntui.core.windows import Array, Window, swap_transposed
from cnntui.labs.explore import ExploreState

Place = tuple[int, int]
MEASURING = (LayerNorm, InstanceNorm, GroupNorm)  # norms that read the whole picture
FOLLOWING = (
    *AS_IN_TORCH,
    BatchNorm,
    *MEASURING,
    LocalResponseNorm,
    Softmax,
    Dropout,
)  # channel c of them is of channel c
POOLS = (MaxPool, AvgPool, AdaptiveAvgPool, GlobalAvgPool)
SLIDING = (Conv, DepthwiseConv, TransposedConv, Subsample)


class Kind(Enum):
    """How the ingredients become one map."""

    KERNELS = "kernels slid over maps, added up"
    PRODUCTS = "a weight for each number, all added up"
    TERMS = "maps added up"
    FACTORS = "maps multiplied"
    ONE = "one map"


@dataclass(frozen=True, eq=False)
class Ingredient:
    """A map that is read, the weights on it, and what it adds.

    Args:
        node, channel: whose map it is; no channel: a whole vector.
        values: (H, W); in a vector (N,), or () for a single number of it.
        weights: the slice of the kernel (kH, kW), or a weight for each of the values.
        partial: what it adds to each number of the map (outH, outW); of a linear unit the product of each of the values,
            which are added up as well.
        words: what there is to say of it beside its name.
    """

    node: str
    channel: int | None
    values: Array
    weights: Array | None = None
    partial: Array | None = None
    words: str = ""

    @property
    def name(self) -> str:
        """relu1 channel 3."""
        if self.channel is None:
            return self.node
        return f"{self.node} {'channel' if self.values.ndim else 'unit'} {self.channel}"

    @property
    def strength(self) -> float:
        """How much it adds on the average, whatever its sign; 0 where that is no number."""
        counts = self.values if self.partial is None else self.partial
        return float(np.nan_to_num(np.abs(counts).mean()))


@dataclass(frozen=True, eq=False)
class Step:
    """A map on the way from the sum to what the next layer reads: of which node, in words, and its scale.

    `function` is what makes it of the step before, number by number, as it is printed; None where that is not all.
    """

    node: str
    words: str
    values: Array
    scale: float
    function: Callable[[Array], Array] | None = None


@dataclass(frozen=True, eq=False)
class Making:
    """All that makes one map.

    Args:
        trace, by_strength: of what run, in what order.
        node, channel: the map looked at.
        row: the layer whose ingredients these are: that of `node`, or the one before its norm and activation; None: input.
        ingredients: in order.
        steps: from the sum to the activation and the pool that follow; `looked` is the one of `node`.
        bias: what is added to the sum, if anything is.
        value_scale, weight_scale, partial_scale: what full colour stands for in all maps that are read, in all weights,
            in all partial maps.
        window: what is slid over the maps.
    """

    trace: Trace
    by_strength: bool
    one_scale: bool
    node: str
    channel: int
    row: Row | None
    kind: Kind
    ingredients: tuple[Ingredient, ...]
    steps: tuple[Step, ...]
    looked: int
    bias: float | None
    value_scale: float
    weight_scale: float
    partial_scale: float
    window: Window | None

    @property
    def is_sum(self) -> bool:
        """Whether its ingredients are added up."""
        return self.kind in (Kind.KERNELS, Kind.PRODUCTS, Kind.TERMS)

    @property
    def decimals(self) -> int:
        """That show three digits of the largest number that comes out."""
        return decimals(self.steps[0].scale)

    def is_of(self, state: ExploreState) -> bool:
        """Whether that is what the state looks at."""
        return (
            self.trace is state.trace
            and (self.node, self.channel) == (state.node, state.channel)
            and (self.by_strength, self.one_scale) == (state.by_strength, state.one_scale)
        )

    def seen(self, place: Place | None) -> frozenset[Place] | None:
        """The cells of the maps that are read which the number at a place is made of; None: all of them."""
        layer = self.row.node.layer if self.row else None
        if place is None or isinstance(layer, (*MEASURING, GlobalAvgPool)):
            return None
        if self.window is None:
            return frozenset({place})
        return frozenset(cell for cell in self.window.cells(*place) if cell is not None)

    def at(self, step: int, place: Place | None) -> Place | None:
        """Where the number at a place is in the map of a step: itself, or the first window of a pool that reads it."""
        values = self.steps[step].values
        if place is None or values.ndim < 2:
            return None
        if values.shape == self.steps[self.looked].values.shape:
            return place
        layer = next(row.node.layer for row in self.trace.analysis.rows if row.node.name == self.steps[step].node)
        axes = layer.window((1, *self.steps[step - 1].values.shape))
        found = [_reader(axis, at) for axis, at in zip(axes, place, strict=True)] if axes else []
        return (found[0], found[1]) if len(found) == 2 and found[0] is not None and found[1] is not None else None

    def added(self, ingredient: Ingredient, place: Place | None) -> float | None:
        """What an ingredient adds to the number at a place, or multiplies it by; None: it does neither."""
        counts = ingredient.values if self.kind is Kind.FACTORS else ingredient.partial
        if counts is None:
            return None
        if self.kind is Kind.PRODUCTS:
            return float(counts.sum())
        if place is None or counts.ndim == 0:
            return float(counts)
        return float(counts[min(place[0], len(counts) - 1), min(place[1], counts.shape[1] - 1)])


def _reader(axis: AnyAxis, index: int) -> int | None:
    return next((output for output in range(axis.outputs) if index in axis.reads(output)), None)


def making(state: ExploreState, last: Making | None = None) -> Making:
    """What makes the map looked at; `last`, where it is that still."""
    if last is not None and last.is_of(state):
        return last
    with np.errstate(over="ignore", invalid="ignore"):
        return _made(state)


def _made(state: ExploreState) -> Making:
    rows = _back(state)
    row = rows[0] if rows else None
    kind, ingredients, window_ = _ingredients(state, row)
    if state.by_strength:
        ingredients = sorted(ingredients, key=lambda each: -each.strength)
    summed = [each.partial for each in ingredients if each.partial is not None]
    total = None
    if summed and kind is Kind.PRODUCTS:
        total = np.asarray(sum(partial.sum() for partial in summed))
    elif summed:
        total = np.sum(summed, axis=0)
    sum_scale = 1.0
    if row is not None and total is not None:
        sum_scale = scale_of(np.append(total, state.trace.values[row.node.name][state.channel]))
    bias = _bias(state, row)
    first = _first(state, row, total, bias, sum_scale)
    after = [_step(state, each) for each in (*rows[1:], *_after(state))]
    looked = len(first) + len(rows) - 2 if rows else 0
    weights = [each.weights.reshape(-1) for each in ingredients if each.weights is not None]
    return Making(
        trace=state.trace,
        by_strength=state.by_strength,
        one_scale=state.one_scale,
        node=state.node,
        channel=state.channel,
        row=row,
        kind=kind,
        ingredients=tuple(ingredients),
        steps=(*first, *after),
        looked=looked,
        bias=bias,
        value_scale=max((state.scale(each.node) for each in ingredients), default=1.0),
        weight_scale=scale_of(np.concatenate(weights)) if weights else 1.0,
        partial_scale=scale_of(np.concatenate([each.reshape(-1) for each in summed])) if summed else 1.0,
        window=window_,
    )


# -- which layers


def _back(state: ExploreState) -> list[Row]:
    """From the layer whose ingredients are shown to the one looked at, without those that only hand on what they read."""
    rows: list[Row] = []
    name = state.node
    while name != INPUT:
        row = state.rows[name]
        if rows and isinstance(row.node.layer, PASSING) and not isinstance(row.node.layer, Flatten):
            name = row.node.inputs[0]
            continue
        rows.insert(0, row)
        if not isinstance(row.node.layer, FOLLOWING):
            break
        name = row.node.inputs[0]
    if len(rows) > 1 and isinstance(rows[0].node.layer, Flatten):  # channels are others there
        rows.pop(0)
    return rows


def _after(state: ExploreState) -> Iterator[Row]:
    """The norms, activations and the pool that alone read on from the layer looked at."""
    name = state.node
    while True:
        readers = [row for row in state.analysis.rows if name in row.node.inputs]
        if name == INPUT or len(readers) != 1 or not isinstance(readers[0].node.layer, (*FOLLOWING, *POOLS)):
            return
        name = readers[0].node.name
        if not isinstance(readers[0].node.layer, PASSING):
            yield readers[0]
        if isinstance(readers[0].node.layer, POOLS):
            return


# -- what they are made of


def _ingredients(state: ExploreState, row: Row | None) -> tuple[Kind, list[Ingredient], Window | None]:
    if row is None:
        return Kind.ONE, [], None
    layer, values, channel = row.node.layer, state.trace.values, state.channel
    reads = [(name, values[name]) for name in row.node.inputs]
    name, x = reads[0]
    match layer:
        case Conv() | DepthwiseConv() | TransposedConv() | Subsample():
            return Kind.KERNELS, _slices(state, row, x), window(layer, x)
        case Linear():
            return Kind.PRODUCTS, _products(state, row, x), None
        case Add():
            parts = [_own(read, made, channel) for read, made in reads]
            return Kind.TERMS, [Ingredient(e.node, e.channel, e.values, partial=e.values) for e in parts], None
        case Mul():
            return Kind.FACTORS, [_own(read, made, min(channel, len(made) - 1)) for read, made in reads], None
        case Cat():
            return Kind.ONE, [_piece(reads, channel)], None
        case Flatten():
            source = state.origin(Source(row.node.name, (channel,)))
            return Kind.ONE, [_own(source.node, values[source.node], source.unit[0])], None
    if x.ndim == 1:
        return Kind.ONE, [Ingredient(name, None, x)], None
    slides = layer.window(x.shape) is not None
    return Kind.ONE, [_own(name, x, channel)], window(layer, x) if slides else None


def _own(node: str, values: Array, channel: int, words: str = "") -> Ingredient:
    return Ingredient(node, channel, np.asarray(values[channel]), words=words)


def _piece(reads: Sequence[tuple[str, Array]], channel: int) -> Ingredient:
    """The one branch that a channel of a cat is of."""
    for branch, (name, made) in enumerate(reads, start=1):
        if channel < len(made):
            return _own(name, made, channel, f"branch {branch} of {len(reads)}")
        channel -= len(made)
    raise IndexError(channel)


def _slices(state: ExploreState, row: Row, x: Array) -> list[Ingredient]:
    """Each input channel that a filter reads, its slice of the kernel, and what the one over the other comes to."""
    layer, tensors, channel = row.node.layer, state.parameters.get(row.node.name, {}), state.channel
    per_filter: Sequence[int]
    match layer:
        case Subsample():
            size = layer.kernel_size
            weights = np.full((1, *size), tensors["1.weight"][channel].item() / (size[0] * size[1]))
            per_filter = [channel]
        case DepthwiseConv():
            weights, per_filter = tensors["weight"][channel], [channel]
        case Conv() | TransposedConv():
            whole = kernel(layer, tensors, len(x))
            whole = swap_transposed(whole, layer.groups) if isinstance(layer, TransposedConv) else whole
            weights, each = whole[channel], len(x) // layer.groups
            group = channel // (len(whole) // layer.groups)
            per_filter = range(group * each, (group + 1) * each)
            if isinstance(layer, Conv) and layer.table:
                per_filter = layer.table.inputs[channel]
                weights = weights[list(per_filter)]
        case _:
            raise TypeError(layer)
    parts = partials(x[list(per_filter)], weights, window(layer, x))
    return [
        Ingredient(row.node.inputs[0], number, x[number], slice_, part)
        for number, slice_, part in zip(per_filter, weights, parts, strict=True)
    ]


def partials(maps: Array, weights: Array, window_: Window) -> Array:
    """Each map (n, H, W) under its slice of a kernel (n, kH, kW): (n, outH, outW). A convolution is their sum."""
    made = np.zeros((len(maps), *window_.output), np.result_type(maps, weights, np.float32))
    for (i, j), cells in window_.gather(maps):
        made += weights[:, i, j, None, None] * cells
    return made


def _products(state: ExploreState, row: Row, x: Array) -> list[Ingredient]:
    """A linear unit: each map that was laid flat before it, with its weights as a map; or one vector."""
    weights = state.parameters[row.node.name]["weight"][state.channel]
    before = state.origin(Source(row.node.inputs[0], (0,))).node
    shape = state.shape(before)
    products = weights * x
    if len(shape) == 1:
        return [Ingredient(before, None, x, weights, products)]
    maps = (array.reshape(shape) for array in (x, weights, products))
    return [Ingredient(before, number, *parts) for number, parts in enumerate(zip(*maps, strict=True))]


def _bias(state: ExploreState, row: Row | None) -> float | None:
    tensors = state.parameters.get(row.node.name, {}) if row else {}
    if row is None or not isinstance(row.node.layer, (*SLIDING, Linear)):
        return None
    bias = tensors.get("1.bias" if isinstance(row.node.layer, Subsample) else "bias")
    return None if bias is None else float(bias[state.channel].item())


# -- what follows


def _first(state: ExploreState, row: Row | None, total: Array | None, bias: float | None, scale: float) -> list[Step]:
    """The sum, and the sum with its bias; or the one map that a layer without a sum makes."""
    name = row.node.name if row else INPUT
    made = np.asarray(state.trace.values[name][state.channel])
    silenced = ", silenced" if (name, state.channel) in state.trace.silenced else ""
    if total is None:
        words = "Π" if row and isinstance(row.node.layer, Mul) else name
        return [Step(name, words + silenced, made, state.scale(name))]
    steps = [Step(name, "Σ", total, scale)]
    if bias is None and not silenced:
        return steps
    told = 0.0 if bias is None else told_as(bias, decimals(scale) + 2)
    words = f"+ bias {number(told)}" if bias is not None else ""
    function = None if silenced else lambda x: np.asarray(x + told)
    return [*steps, Step(name, (words + silenced).lstrip(", "), made, scale, function)]


def _step(state: ExploreState, row: Row) -> Step:
    """A layer that follows, in words; of a batch norm its factor and what it adds."""
    layer, name, channel = row.node.layer, row.node.name, state.channel
    words, function = name, ACTIVATIONS.get(layer.op)
    if isinstance(layer, BatchNorm):
        x, scale = state.trace.values[row.node.inputs[0]], state.scale(name)
        by = norm(layer, state.parameters[name], x)
        first = (channel,) + (0,) * (x.ndim - 1)
        exact = float(by.weight[first] / by.deviation[first])
        factor = told_as(exact, decimals(exact) + 1)
        offset = told_as(float(by.bias[first] - by.mean[first] * exact), decimals(scale) + 1)
        words = f"{name}: ×{number(factor)} {MINUS if offset < 0 else '+'} {number(abs(offset))}"

        def function(x: Array) -> Array:
            return np.asarray(x * factor + offset)

    if (name, channel) in state.trace.silenced:
        words, function = f"{words}, silenced", None
    return Step(name, words, np.asarray(state.trace.values[name][channel]), state.scale(name), function)


# -- numbers as they are printed


def decimals(magnitude: float) -> int:
    """How many show three digits of a number of that magnitude."""
    return max(0, min(8, 2 - floor(log10(abs(magnitude))))) if magnitude and isfinite(magnitude) else 2


def told_as(value: float, places: int) -> float:
    """The number that is printed."""
    return round(value, places)
