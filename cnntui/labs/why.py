"""Why a net reads what it reads: which pixels move a score, which carry it, and what covering them does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cnntui.core.backward import backward, of_unit
from cnntui.core.forward import forward
from cnntui.core.network import INPUT
from cnntui.core.shading import scale_of
from cnntui.core.windows import Array
from cnntui.labs.explore import OVERVIEW, ExploreState

GRADIENT, CARRIED, OCCLUSION = "gradient", "gradient × input", "occlusion"
KINDS = ("", GRADIENT, CARRIED, OCCLUSION)
MEANS = {
    GRADIENT: "orange: lighter here raises it; blue: lowers it",
    CARRIED: "orange speaks for it, blue against it: their sum is what the pixels carry",
    OCCLUSION: "orange: covered, it falls by so much; blue: it rises",
}
PATCHES = 14  # of a picture's side: how many patches lie along it


@dataclass(frozen=True, eq=False)
class Heat:
    """A picture (H, W) of what the pixels have to do with a number, its scale, and in words which number."""

    kind: str
    about: str
    values: Array
    scale: float


def about(state: ExploreState) -> str:
    """The number that is asked about: in the overview a class, against the label where that is another; else the unit."""
    if asks_unit(state):
        return f"{state.node}[{','.join(map(str, state.unit))}]"
    rival = rival_of(state)
    asked = state.class_name(state.asked)
    return f"why {asked}" + (f" rather than {state.class_name(rival)}" if rival is not None else "")


def rival_of(state: ExploreState) -> int | None:
    """The class that the one asked about is held against: the label, or where that is asked about, what the net reads."""
    label = state.picture.label
    if label is None or label >= len(state.probabilities):
        return None
    return label if label != state.asked else state.read if state.read != label else None


def heat(state: ExploreState) -> Heat | None:
    """The picture of reasons that is asked for; None where none is, or before the first patches were covered.

    Gradient: Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2013. Times the input: Shrikumar et al.,
    2016. Channels are added up.
    """
    if not state.why or not state.analysis.rows:
        return None
    key = (state.why, about(state))
    if key not in state.known and state.why != OCCLUSION:
        slopes = _slopes(state)
        state.known[key] = made(
            state.why, about(state), (slopes if state.why == GRADIENT else slopes * state.input).sum(0)
        )
    return state.known.get(key)


def _slopes(state: ExploreState) -> Array:
    """The gradient of the number asked about with respect to the input."""
    if asks_unit(state):
        return of_unit(state.trace, state.node, state.unit).values.get(INPUT, np.zeros_like(state.input))
    return backward(state.trace, {state.analysis.rows[-1].node.name: _contrast(state)}).values[INPUT]


def asks_unit(state: ExploreState) -> bool:
    """Whether it is the unit looked at that is asked about; in the overview it is a class."""
    return state.level != OVERVIEW and state.node != INPUT


def made(kind: str, words: str, values: Array) -> Heat:
    """With its own scale."""
    return Heat(kind, words, values, scale_of(values))


def _contrast(state: ExploreState) -> Array:
    """The gradient of the score asked about, less the rival's, with respect to the output."""
    start = np.zeros(state.trace.output.size)
    start[state.asked] = 1
    rival = rival_of(state)
    if rival is not None:
        start[rival] = -1
    return start.reshape(state.trace.output.shape)


def asked_number(state: ExploreState, x: Array) -> float:
    """The number asked about, for another input."""
    trace = forward(state.analysis, state.parameters, x, state.silenced)
    if asks_unit(state):
        return float(trace.values[state.node][state.unit])
    return float((trace.output * _contrast(state)).sum())


def occlusion(state: ExploreState) -> Iterator[None]:
    """Cover the picture patch by patch; after each row of patches `heat` knows more."""
    key = (OCCLUSION, about(state))
    if key not in state.known:
        for values in occluded(state):
            state.known[key] = made(OCCLUSION, about(state), values)
            yield


def occluded(state: ExploreState, patch: int | None = None) -> Iterator[Array]:
    """By how much the number falls where a patch of the input is covered with background; patch by patch (H, W).

    Patches overlap by half, and each pixel shows the mean over those that cover it (Zeiler, Fergus: Visualizing and
    Understanding Convolutional Networks, 2013). Each array that is given knows one row of patches more.
    """
    x = state.input
    _, height, width = x.shape
    size = patch or max(1, 2 * -(-max(height, width) // PATCHES))
    step = max(1, size // 2)
    cover = state.background
    whole = asked_number(state, x)
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for top in range(0, max(1, height - step), step):
        for left in range(0, max(1, width - step), step):
            under = (slice(top, top + size), slice(left, left + size))
            if (x[:, *under] == cover[:, *under]).all():
                fall = 0.0  # there is nothing to cover
            else:
                covered = x.copy()
                covered[:, *under] = cover[:, *under]
                fall = whole - asked_number(state, covered)
            total[under] += fall
            count[under] += 1
        yield total / np.maximum(count, 1)
