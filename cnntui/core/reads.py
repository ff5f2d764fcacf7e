"""Which numbers a layer reads for one of its own, layer by layer, and which of the next layers' numbers read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import product

import numpy as np

from cnntui.core.activations import ACTIVATIONS
from cnntui.core.analysis import Analysis, Row
from cnntui.core.arithmetic import MINUS
from cnntui.core.forward import LRN_ALPHA, LRN_BETA, LRN_K, LRN_SIZE, Trace, norm, window
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
    Shape,
    Subsample,
    TransposedConv,
    Upsample,
    shape_text,
)
from cnntui.core.merges import Add, Cat, Mul
from cnntui.core.network import INPUT
from cnntui.core.parameters import kernel
from cnntui.core.pointwise import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    Softmax,
)
from cnntui.core.steps import Kind, Source, Step, Term, Unit
from cnntui.core.windows import Array, swap_transposed

PADDING = Term(None, 1.0, 0.0)
MOST_NAMES = 40  # of the layers there are


def checked_unit(analysis: Analysis, node: str, unit: Unit) -> Unit:
    """The unit, if it is there; the node `input` is the picture.

    Raises:
        ValueError: when the node or the unit is not there, saying what is.
    """
    shapes = {INPUT: analysis.network.input} | {row.node.name: row.output or () for row in analysis.rows}
    if node not in shapes:
        there = list(shapes)
        more = f", … {len(there) - MOST_NAMES} more" if len(there) > MOST_NAMES else ""
        near = get_close_matches(node, there[MOST_NAMES:])
        like = f"; like it: {', '.join(near)}" if near else ""
        raise ValueError(f"no layer is called {node!r}; there are {', '.join(there[:MOST_NAMES])}{more}{like}")
    shape = shapes[node]
    if len(unit) != len(shape):
        wanted = "channel, row, column" if len(shape) == 3 else "one number"
        raise ValueError(f"{node} is {shape_text(shape)}: a unit of it is {wanted}, not {_at(unit)}")
    if not all(0 <= n < size for n, size in zip(unit, shape, strict=True)):
        ranges = ", ".join(f"{name} 0 to {size - 1}" for name, size in zip(_sides(shape), shape, strict=True))
        raise ValueError(f"{node} has no unit {_at(unit)}: it has {ranges}")
    return unit


def _at(unit: Unit) -> str:
    return ",".join(map(str, unit)).replace("-", MINUS)


def _sides(shape: Shape) -> tuple[str, ...]:
    return ("channels", "rows", "columns") if len(shape) == 3 else ("units",)


def bare_step(trace: Trace, row: Row, unit: Unit) -> Step:
    """What a layer made of what it read, for one unit; its equations are not written yet."""
    name, layer = row.node.name, row.node.layer
    step = Step(name, layer.op, unit, float(trace.values[name][unit]), "copy")
    if (name, unit[0]) in trace.silenced:
        return replace(step, silenced=True)
    tensors = trace.parameters.get(name, {})
    read = row.node.inputs
    x = trace.values[read[0]]

    def term(place: Unit, which: int = 0) -> Term:
        return Term(Source(read[which], place), 1.0, float(trace.values[read[which]][place]))

    match layer:
        case Conv() | DepthwiseConv() | TransposedConv():
            return _weighed(replace(step, kind="sum"), layer, tensors, x, read[0])
        case Linear():
            values, weights = x.tolist(), tensors["weight"][unit[0]].tolist()
            terms = (Term(Source(read[0], (n,)), w, v) for n, (w, v) in enumerate(zip(weights, values, strict=True)))
            return _biased(replace(step, kind="sum", terms=tuple(terms)), tensors)
        case MaxPool():
            pooled = [term((unit[0], *at)) for at in window(layer, x).cells(*unit[1:]) if at]
            winner = int(np.argmax([each.value for each in pooled]))
            return replace(step, kind="max", terms=tuple(pooled), winner=winner)
        case GlobalAvgPool():
            pooled = [term((unit[0], *at)) for at in np.ndindex(*x.shape[1:])]
            return replace(step, kind="mean", terms=tuple(pooled), divisor=len(pooled))
        case AvgPool() | AdaptiveAvgPool() | Subsample():
            return _mean(replace(step, kind="mean"), layer, tensors, x, read[0])
        case Upsample() | Pad():
            cell = next((at for at in window(layer, x).cells(*unit[1:]) if at), None)
            return replace(step, terms=(term((unit[0], *cell)) if cell else PADDING,))
        case Flatten():
            return replace(step, terms=(term(_unravelled(unit[0], x.shape)),))
        case Cat():
            which, first = 0, unit[0]
            while first >= len(trace.values[read[which]]):
                first -= len(trace.values[read[which]])
                which += 1
            return replace(step, terms=(term((first, *unit[1:]), which),))
        case Add():
            return replace(step, kind="sum", terms=tuple(term(unit, i) for i in range(len(read))))
        case Mul():
            places = [_shrunk(unit, trace.values[other].shape) for other in read]
            return replace(step, kind="product", terms=tuple(term(at, i) for i, at in enumerate(places)))
        case Softmax():
            return replace(step, kind="softmax", terms=tuple(term((c, *unit[1:])) for c in range(len(x))))
        case LocalResponseNorm():
            around = tuple(term((c, *unit[1:])) for c in _neighbours(unit[0], len(x)))
            facts = (("k", LRN_K), ("alpha", LRN_ALPHA / LRN_SIZE), ("beta", LRN_BETA))
            return replace(step, kind="norm", terms=around, facts=facts)
        case BatchNorm() | LayerNorm() | InstanceNorm() | GroupNorm():
            by = norm(layer, tensors, x)
            names = ("mean", "variance", "weight", "bias") if tensors else ("mean", "variance")
            return replace(
                step,
                kind="norm",
                terms=(term(unit),),
                facts=tuple((each, float(getattr(by, each)[unit])) for each in names),
            )
    kind: Kind = "function" if layer.op in ACTIVATIONS else "copy"
    return replace(step, kind=kind, terms=(term(unit),))


def _biased(step: Step, tensors: Mapping[str, Array]) -> Step:
    if "bias" not in tensors:
        return step
    return replace(step, bias=float(tensors["bias"][step.unit[0]]), has_bias=True)


def _weighed(
    step: Step, layer: Conv | DepthwiseConv | TransposedConv, tensors: Mapping[str, Array], x: Array, read: str
) -> Step:
    """A convolution's: every channel that the filter sees. Transposed, of what is stamped on the unit."""
    filter_, *at = step.unit
    weight = kernel(layer, tensors, len(x))
    if isinstance(layer, TransposedConv):
        weight = swap_transposed(weight, layer.groups)
    cells = window(layer, x).cells(*at)
    taps = [(tap, cell) for tap, cell in enumerate(cells) if cell or not isinstance(layer, TransposedConv)]
    seen = channels_seen(layer, filter_, len(x))
    terms: list[Term] = []
    for channel in seen:
        plane = weight[filter_, channel if weight.shape[1] == len(x) else channel - seen[0]].reshape(-1)
        for tap, cell in taps:
            source = Source(read, (channel, *cell)) if cell else None
            value = float(x[(channel, *cell)]) if cell else 0.0
            terms.append(Term(source, float(plane[tap]), value))
    return _biased(replace(step, terms=tuple(terms), per_channel=len(taps)), tensors)


def channels_seen(layer: Conv | DepthwiseConv | TransposedConv, filter_: int, channels: int) -> Sequence[int]:
    """The input channels that an output channel is made of."""
    if isinstance(layer, DepthwiseConv):
        return (filter_,)
    if isinstance(layer, Conv) and layer.table:
        return layer.table.inputs[filter_]
    size = channels // layer.groups
    first = filter_ // (layer.out_channels // layer.groups) * size
    return range(first, first + size)


def _mean(
    step: Step, layer: AvgPool | AdaptiveAvgPool | Subsample, tensors: Mapping[str, Array], x: Array, read: str
) -> Step:
    at, (channel, row, column) = window(layer, x), step.unit
    padded = isinstance(layer, AvgPool) and layer.count_include_pad
    weight = float(tensors["1.weight"][channel, 0, 0]) if isinstance(layer, Subsample) else 1.0
    terms = [
        Term(Source(read, (channel, *cell)), weight, float(x[(channel, *cell)])) if cell else PADDING
        for cell in at.cells(row, column)
        if cell or padded
    ]
    made = replace(step, terms=tuple(terms), divisor=at.divisor(row, column, not isinstance(layer, AvgPool) or padded))
    if not isinstance(layer, Subsample):
        return made
    bias = float(tensors["1.bias"][channel, 0, 0])
    return replace(made, bias=bias, has_bias=True, facts=(("weight", weight), ("bias", bias)))


def _unravelled(n: int, shape: Shape) -> Unit:
    return tuple(int(i) for i in np.unravel_index(n, shape))


def _shrunk(unit: Unit, shape: Shape) -> Unit:
    """Where a gate holds the factor of a unit."""
    return tuple(0 if size == 1 else n for n, size in zip(unit, shape, strict=False))


def _neighbours(channel: int, channels: int) -> range:
    return range(max(0, channel - LRN_SIZE // 2), min(channels, channel + (LRN_SIZE - 1) // 2 + 1))


# -- the other way


def users(trace: Trace, row: Row, node: str, unit: Unit) -> Iterator[Unit]:
    """The units of a layer that read a unit of `node`: those among whose terms it is, in reading order."""
    silenced = {channel for name, channel in trace.silenced if name == row.node.name}
    for user in dict.fromkeys(
        each for which, read in enumerate(row.node.inputs) if read == node for each in _users(trace, row, which, unit)
    ):
        if user[0] not in silenced:
            yield user


def _users(trace: Trace, row: Row, which: int, unit: Unit) -> Iterator[Unit]:
    layer, x = row.node.layer, trace.values[row.node.inputs[which]]
    full = trace.values[row.node.name].shape
    match layer:
        case Linear():
            yield from ((n,) for n in range(full[0]))
        case GlobalAvgPool():
            yield unit[:1]
        case Flatten():
            yield (int(np.ravel_multi_index(unit, x.shape)),)
        case Cat():
            before = sum(len(trace.values[other]) for other in row.node.inputs[:which])
            yield (unit[0] + before, *unit[1:])
        case Mul():
            sizes = (*x.shape, *(1 for _ in full[x.ndim :]))
            places = (*unit, *(0 for _ in full[x.ndim :]))
            sides = (
                (n,) if size == whole else range(whole) for n, size, whole in zip(places, sizes, full, strict=True)
            )
            yield from product(*sides)
        case Softmax():
            yield from ((c, *unit[1:]) for c in range(full[0]))
        case LocalResponseNorm():
            yield from ((c, *unit[1:]) for c in range(full[0]) if unit[0] in _neighbours(c, full[0]))
        case _ if layer.window(x.shape) and len(unit) == 3:
            at = window(layer, x)
            filters: Sequence[int] = unit[:1]
            if isinstance(layer, Conv | DepthwiseConv | TransposedConv):
                filters = [f for f in range(full[0]) if unit[0] in channels_seen(layer, f, len(x))]
            down, across = at.rows.readers(unit[1]), at.columns.readers(unit[2])
            yield from ((f, y, x_) for f in filters for y, _ in down for x_, _ in across)
        case _:
            yield unit
