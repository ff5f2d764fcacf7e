"""The whole network at a glance: which layers and maps have room, and what is said of each."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from cnntui.core.arithmetic import number, sum_decimals
from cnntui.core.forward import window
from cnntui.core.layers import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    DepthwiseConv,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Subsample,
    TransposedConv,
    shape_text,
)
from cnntui.core.merges import Add, Cat, Mul
from cnntui.core.network import INPUT
from cnntui.core.pointwise import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, Softmax
from cnntui.core.reads import channels_seen
from cnntui.core.windows import Array
from cnntui.labs.classes import percent
from cnntui.labs.explore import ExploreState
from cnntui.labs.rails import Rail


@dataclass(frozen=True)
class Column:
    """A layer as it is shown: so many columns wide, `across` maps beside each other, from place `first` of the order on."""

    node: str
    rail: Rail
    width: int
    across: int
    first: int
    shown: tuple[int, ...]


def columns_of(
    state: ExploreState,
    width: int,
    rows: int,
    pitch: int,
    vector: int,
    most_across: int,
    under_input: int = 0,
) -> list[Column]:
    """The layers that have room in so many columns: the input, and those around the one looked at.

    Args:
        state: what is looked at.
        width: columns that there are.
        rows: maps that fit under each other.
        pitch: columns of a map with its margin.
        vector: columns of a layer of single numbers.
        most_across: maps beside each other in the layer looked at.
        under_input: columns that are wanted for a picture under the input, of which then one map is shown.
    """
    by_name = {rail.node: rail for rail in state.rails}

    def made(node: str) -> Column:
        order, shape = state.order(node), state.shape(node)
        flat = len(shape) == 1
        wants = most_across if node == state.node and node != INPUT and not flat else 1
        across = max(1, min(wants, -(-len(order) // max(1, rows))))
        is_single = node == INPUT and under_input > 0
        page = 1 if is_single else max(1, rows) * across if not flat else len(order)
        at = order.index(min(state.channel, len(order) - 1)) if node == state.node else 0
        first = min(at // page * page, max(0, len(order) - page))  # the last page is a whole one, too
        wide = max(pitch, under_input) if is_single else vector if flat else pitch * across
        return Column(node, by_name[node], wide, across, first, tuple(order[first : first + page]))

    places = list(state.columns)
    here = places.index(state.node)
    taken = {0: made(INPUT), here: made(state.node)}
    room = width - sum(column.width for column in taken.values())
    low = high = here
    grown = True
    while grown:
        grown = False
        for place in (high + 1, low - 1):  # the layer after is what this one turns into, so it comes first
            if 0 < place < len(places) and (column := made(places[place])).width <= room:
                taken[place], room = column, room - column.width
                low, high, grown = min(low, place), max(high, place), True
    return [taken[place] for place in sorted(taken)]


# -- in words


def words_of(state: ExploreState) -> str:
    """The number looked at, and in a few words what it is made of: conv1 · channel 4 · cell 11,9 = 1.327 = Σ …"""
    unit = state.unit
    where = f"channel {unit[0]} · cell {unit[1]},{unit[2]}" if len(unit) == 3 else f"unit {unit[0]}"
    is_silenced = (state.node, unit[0]) in state.silenced
    made = "silenced" if is_silenced else _made_of(state)
    return f"{state.node} · {where} = {rounded(state.value)}" + (f" = {made}" if made else "")


def rounded(value: float) -> str:
    """About four significant digits."""
    return number(value, sum_decimals(value))


def _made_of(state: ExploreState) -> str:
    if state.node == INPUT:
        return ""
    row = state.rows[state.node]
    layer = row.node.layer
    values = [state.trace.values[name] for name in row.node.inputs]
    before = values[0]
    match layer:
        case Conv() | DepthwiseConv() | TransposedConv() | Linear():
            bias = (
                f" + bias {rounded(float(state.parameters[state.node]['bias'][state.unit[0]]))}" if layer.bias else ""
            )
            count = terms_of(state)
            return (f"Σ {count:,} products" if count != 1 else "1 product") + bias
        case MaxPool():
            return f"the largest of {terms_of(state)}"
        case AvgPool() | GlobalAvgPool() | AdaptiveAvgPool():
            return f"the mean of {terms_of(state):,}"
        case Subsample():
            return f"the mean of {terms_of(state)}, weighed"
        case Softmax():
            logit = rounded(float(before[state.unit]))
            return f"its share: e^{logit} of the sum over {len(before)}"
        case BatchNorm() | LayerNorm() | InstanceNorm() | GroupNorm() | LocalResponseNorm():
            return f"{rounded(float(before[state.unit]))} normalised"
        case Add() | Mul():
            joint = " + " if isinstance(layer, Add) else " × "
            return joint.join(rounded(_at(value, state.unit)) for value in values)
        case Cat():
            return ""
    if before.shape == state.shape(state.node):
        return f"{layer.op}({rounded(float(before[state.unit]))})"
    return ""


def _at(value: Array, unit: tuple[int, ...]) -> float:
    """A gate of one number a channel is stretched over the map."""
    at = [min(i, n - 1) for i, n in zip(unit, value.shape, strict=False)]
    return float(value[tuple(at)])


def terms_of(state: ExploreState) -> int:
    """How many numbers the one looked at is made of, with the padding that is multiplied or averaged."""
    row = state.rows[state.node]
    layer, shape = row.node.layer, row.input or ()
    if isinstance(layer, Linear):
        return shape[0]
    if isinstance(layer, GlobalAvgPool):
        return prod(shape[1:])
    if layer.window(shape) is None:
        return 1
    cells = window(layer, state.trace.values[row.node.inputs[0]]).cells(*state.unit[1:])
    is_padded = isinstance(layer, Conv | DepthwiseConv) or (isinstance(layer, AvgPool) and layer.count_include_pad)
    area = len(cells) if is_padded else sum(cell is not None for cell in cells)
    if isinstance(layer, Conv | DepthwiseConv | TransposedConv):
        return area * len(channels_seen(layer, state.unit[0], shape[0]))
    return area


def told(state: ExploreState, node: str) -> str:
    """The shape of a layer; how many maps are still, nothing but zero on this picture, and how many on every one."""
    values = state.trace.values[node]
    text = shape_text(values.shape)
    if len(values) < 2 or node == INPUT:
        return text
    dead = sum(state.is_dead(node, channel) for channel in range(len(values)))
    still = int((~values.reshape(len(values), -1).any(1)).sum()) - dead
    return text + (f" · {still} still" if still else "") + (f" · {dead} dead" if dead else "")


def moment_words(state: ExploreState) -> str:
    """Whose weights these are: step 4,690, and how many steps of learning came on top."""
    model = state.model
    words = f"step {model.step:,}" if model.step is not None and model.run is not None else model.moment
    if "best" in model.moment and model.step is not None:
        words += ", the best checkpoint"
    if state.learned is not None:
        count = len(state.learned.steps)
        words += f" + {count} step{'s' * (count > 1)} here"
    return words


def reading(state: ExploreState) -> str:
    """What the net makes of the picture: read as 7 99.8 % ✓; where its output is a map, that."""
    if not state.has_classes:
        return state.output_words
    label = state.picture.label
    mark = "" if label is None else (" ✓" if label == state.read else f" ✗ it is {state.class_name(label)}")
    return f"read as {state.class_name(state.read)} {percent(float(state.probabilities[state.read]))}{mark}"


def strip_range(count: int, at: int, room: int) -> range:
    """Which of `count` things are seen in a list of `room` lines that shows number `at`."""
    first = int(np.clip(at - room // 2, 0, max(0, count - room)))
    return range(first, min(count, first + room))
