"""Why a net reads what it reads: which pixels move a score, which carry it, and what covering them does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cnntui.core.backward import backward, of_unit
from cnntui.core.forward import forward, last_softmax
from cnntui.core.network import INPUT
from cnntui.core.shading import scale_of
from cnntui.core.windows import Array
from cnntui.labs.explore import OVERVIEW, ExploreState

GRADIENT, CARRIED, OCCLUSION = "gradient", "gradient × input", "occlusion"
KINDS = ("", GRADIENT, CARRIED, OCCLUSION)
MEANS = {  # what is above zero, what is below, and what the whole picture is
    GRADIENT: ("raises it", "lowers it", "what a little more light on a pixel does"),
    CARRIED: ("for it", "against it", "what a pixel carries: its slope × its value"),
    OCCLUSION: ("it falls", "it rises", "what covering a patch with background does"),
}
PATCHES = 14  # of a picture's side: how many patches lie along it


@dataclass(frozen=True, eq=False)
class Heat:
    """A picture (H, W) of what the pixels have to do with a number, its scale, and in words which number.

    `is_whole` is False while there are patches left to cover.
    """

    kind: str
    about: str
    values: Array
    scale: float
    is_whole: bool = True

    @property
    def means(self) -> tuple[str, str, str]:
        """What is above zero, what is below, and what the picture shows."""
        return MEANS[self.kind]


def about(state: ExploreState) -> str:
    """The number that is asked about: in the overview a class, against the label where that is another; else the unit."""
    if asks_unit(state):
        return f"why {state.node}[{','.join(map(str, state.unit))}]"
    rival = rival_of(state)
    asked = state.class_name(state.asked)
    return f"why {asked}" + (f" rather than {state.class_name(rival)}" if rival is not None else "")


def rival_of(state: ExploreState) -> int | None:
    """The class that the one asked about is held against: the label, or where that is asked about, what the net reads."""
    label = state.picture.label
    if label is None or label >= len(state.probabilities):
        return None
    return label if label != state.asked else state.read if state.read != label else None


def asks_unit(state: ExploreState) -> bool:
    """Whether it is the unit looked at that is asked about; in the overview it is a class, where the output has any."""
    return not state.has_classes or (state.level != OVERVIEW and state.node != INPUT)


def heat(state: ExploreState) -> Heat | None:
    """The picture of reasons that is asked for; None where none is, or while it is not known yet.

    Gradient: Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2013. Times the input: Shrikumar et al.,
    2016. Channels are added up. Gradients of a net that is not too large are computed here, anything else by `reasons`.
    """
    found: Heat | None = state.known.get(key(state))
    if found is None and state.why in (GRADIENT, CARRIED) and not state.is_heavy:
        found = state.known[key(state)] = _sloped(state)
    return found


def is_due(state: ExploreState) -> bool:
    """Whether there is something for `reasons` to find."""
    if not state.why:
        return False
    found = heat(state)
    return found is None or not found.is_whole


def reasons(state: ExploreState) -> Iterator[None]:
    """Find the picture that is asked for; after each step, such as a row of patches that was covered, `heat` knows more.

    After the last it is whole: whoever draws it at each step has then drawn all of it.
    """
    wanted = key(state)
    if state.why != OCCLUSION:
        state.known[wanted] = _sloped(state)
        yield
        return
    values = None
    for values in occluded(state):
        state.known[wanted] = _made(state, values, is_whole=False)
        yield
    if values is not None:
        state.known[wanted] = _made(state, values)
        yield


def key(state: ExploreState) -> tuple[object, ...]:
    """By what a picture is kept while what was computed is the same."""
    asked = (state.node, state.unit) if asks_unit(state) else (state.asked, rival_of(state))
    return (state.why, *asked)


def _sloped(state: ExploreState) -> Heat:
    slopes = _slopes(state)
    return _made(state, (slopes if state.why == GRADIENT else slopes * state.input).sum(0))


def _made(state: ExploreState, values: Array, is_whole: bool = True) -> Heat:
    """With its own scale."""
    return Heat(state.why, about(state), values, scale_of(values), is_whole)


def _slopes(state: ExploreState) -> Array:
    """The gradient of the number asked about with respect to the input (C, H, W)."""
    if asks_unit(state):
        found = of_unit(state.trace, state.node, state.unit)
    else:
        found = backward(state.trace, {_scores(state): _contrast(state)})
    return found.values.get(INPUT, np.zeros_like(state.input))


def _scores(state: ExploreState) -> str:
    """The node that holds the scores: the last, or what the last softmax reads, since that flattens near 0 and 1."""
    ends = last_softmax(state.analysis)
    return state.analysis.rows[-1].node.name if ends is None else ends.node.inputs[0]


def _contrast(state: ExploreState) -> Array:
    """The gradient of the score asked about, less the rival's, with respect to the scores."""
    scores = state.trace.values[_scores(state)]
    start = np.zeros(scores.size)
    start[state.asked] = 1
    rival = rival_of(state)
    if rival is not None:
        start[rival] = -1
    return start.reshape(scores.shape)


def asked_number(state: ExploreState, x: Array) -> float:
    """The number asked about, for another input (C, H, W)."""
    trace = forward(state.analysis, state.parameters, x, state.silenced)
    if asks_unit(state):
        return float(trace.values[state.node][state.unit])
    return float((trace.values[_scores(state)] * _contrast(state)).sum())


def occluded(state: ExploreState, patch: int | None = None) -> Iterator[Array]:
    """By how much the number falls where a patch of the input is covered with background; patch by patch (H, W).

    Patches overlap by half, but of a large net, and each pixel shows the mean over those that cover it (Zeiler, Fergus:
    Visualizing and Understanding Convolutional Networks, 2013). Each array that is given knows one row of patches more; of
    a large net one patch.
    """
    x = state.input
    _, height, width = x.shape
    size = patch or max(1, 2 * -(-max(height, width) // PATCHES))
    step = size if state.is_heavy else max(1, size // 2)
    cover = state.background
    whole = asked_number(state, x)
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for top in range(0, max(1, height - size + step), step):
        for left in range(0, max(1, width - size + step), step):
            under = (slice(top, top + size), slice(left, left + size))
            if (x[:, *under] == cover[:, *under]).all():
                fall = 0.0  # there is nothing to cover
            else:
                covered = x.copy()
                covered[:, *under] = cover[:, *under]
                fall = whole - asked_number(state, covered)
            total[under] += fall
            count[under] += 1
            if state.is_heavy:
                yield total / np.maximum(count, 1)
        yield total / np.maximum(count, 1)
