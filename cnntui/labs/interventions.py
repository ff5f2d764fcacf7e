"""Which number is set by hand: the weight under the cursor, a bias, a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from cnntui.core.explanation import Step
from cnntui.core.forward import window
from cnntui.core.layers import Conv, DepthwiseConv, Linear, Subsample, TransposedConv
from cnntui.core.network import INPUT
from cnntui.labs.explore import ExploreState, MoveError

WEIGHED = (Conv, DepthwiseConv, TransposedConv, Linear)


@dataclass(frozen=True)
class Settable:
    """A number that can be set: a pixel (node `input`, no name), or one of a layer's tensors; and what it is now."""

    node: str
    name: str
    index: tuple[int, ...]
    value: float

    @property
    def words(self) -> str:
        """What it is called."""
        where = ",".join(map(str, self.index))
        return f"input[{where}]" if self.node == INPUT else f"{self.node}.{self.name}[{where}]"


def weight_or_pixel(state: ExploreState, term: int) -> Settable:
    """The weight of a term of the number looked at; the pixel that is looked at, or that the term is.

    Raises:
        MoveError: where there is neither.
    """
    if state.node == INPUT:
        return Settable(INPUT, "", state.unit, state.value)
    step = _mixing(state)
    layer = state.rows[step.node].node.layer
    if isinstance(layer, WEIGHED):
        index = _weight_at(state, step, term)
        return _tensor(state, step.node, "weight", index)
    if isinstance(layer, Subsample):
        return _tensor(state, step.node, "1.weight", (step.unit[0], 0, 0))
    source = step.terms[term].source if term < len(step.terms) else None
    if source is not None and source.node == INPUT:
        return Settable(INPUT, "", source.unit, step.terms[term].value)
    raise MoveError(f"{step.node} has no weight to set: step into a term, or set a pixel of the input")


def bias(state: ExploreState) -> Settable:
    """The bias of the number looked at, or of the layer before its activation.

    Raises:
        MoveError: where there is none.
    """
    if state.node != INPUT:
        for step in state.explanation.steps:
            for name in ("bias", "1.bias"):
                tensor = state.parameters.get(step.node, {}).get(name)
                if tensor is not None:
                    whole = tensor.shape == state.shape(step.node)  # a layer norm has one for each number
                    return _tensor(
                        state, step.node, name, step.unit if whole else (step.unit[0], *(0,) * (tensor.ndim - 1))
                    )
    raise MoveError(f"{state.node} has no bias")


def _mixing(state: ExploreState) -> Step:
    steps = state.explanation.steps
    if not steps or not steps[-1].terms:
        what = f"{state.node} {state.part_word(state.node)} {state.unit[0]}"
        raise MoveError(f"{what} is silenced: z lets it speak again")
    return steps[-1]


def _tensor(state: ExploreState, node: str, name: str, index: tuple[int, ...]) -> Settable:
    return Settable(node, name, index, float(state.parameters[node][name][index]))


def _weight_at(state: ExploreState, step: Step, term: int) -> tuple[int, ...]:
    """Where the weight of a term is kept: the terms go channel by channel, the taps of each in reading order."""
    row = state.rows[step.node]
    layer, filter_ = row.node.layer, step.unit[0]
    if isinstance(layer, Linear):
        return filter_, term
    if isinstance(layer, DepthwiseConv):
        layer = layer.conv(row.input or ())
    if not isinstance(layer, Conv | TransposedConv):
        raise TypeError(layer)
    if isinstance(layer, TransposedConv):  # only the taps that are stamped on the unit are terms
        cells = window(layer, state.trace.values[row.node.inputs[0]]).cells(*step.unit[1:])
        stamped = [tap for tap, cell in enumerate(cells) if cell]
        channel, at = divmod(term, len(stamped))
        place = divmod(stamped[at], layer.kernel_size[1])
        inputs, outputs = (row.input or ())[0] // layer.groups, layer.out_channels // layer.groups
        return filter_ // outputs * inputs + channel, filter_ % outputs, *place
    channel, tap = divmod(term, prod(layer.kernel_size))
    place = divmod(tap, layer.kernel_size[1])
    if layer.table is not None:
        return sum(map(len, layer.table.inputs[:filter_])) + channel, *place
    return filter_, channel, *place
