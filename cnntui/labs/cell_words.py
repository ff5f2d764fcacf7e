"""What one number of a network is, in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, prod

from cnntui.core.activations import ACTIVATIONS
from cnntui.core.arithmetic import MINUS, number, sum_decimals
from cnntui.core.explanation import Step
from cnntui.core.network import INPUT
from cnntui.labs.cell_terms import arranged, channel_name, contribution, is_last, map_read, name_of
from cnntui.labs.classes import percent
from cnntui.labs.contrast import contrast, contrast_words
from cnntui.labs.explore import ExploreState


def pixel_words(state: ExploreState) -> str:
    """A number of the input."""
    channel_, row, column = state.unit
    of = f" of channel {channel_}" if state.shape(INPUT)[0] > 1 else ""
    return f"the pixel at row {row}, column {column}{of}, as the net is given it: here it begins."


def meaning(state: ExploreState, steps: Sequence[Step]) -> list[str]:
    """What the number is, then what the layers behind make of it."""
    step = steps[-1]
    where = _place(state, step)
    if step.silenced:
        return [f"{where}: silenced, so it is 0, whatever it reads.", *_effects(steps)]
    said = [f"{where}: {_made(state, step)}.", *_effects(steps)]
    if step.kind == "sum" and len(step.terms) > 2:
        most = max(step.terms, key=lambda term: abs(contribution(step, term)))
        by = contribution(step, most)
        if by and isfinite(by):
            sign = MINUS if by < 0 else "+"
            said.append(
                f"The largest, {sign}{number(abs(by), sum_decimals(by))}, comes from {name_of(state, most.source)}."
            )
    against = contrast(state, step)
    if against is not None:
        said.insert(1, contrast_words(state, step, against))
    if is_last(state, step) and step.kind == "sum" and state.unit == step.unit and len(step.unit) == 1:
        share = percent(float(state.probabilities[step.unit[0]]))
        said.append(f"Softmax over all {state.channels} scores makes it {share}.")
    return said


def _place(state: ExploreState, step: Step) -> str:
    if len(step.unit) == 3:
        return f"channel {step.unit[0]} of {step.node} at row {step.unit[1]}, column {step.unit[2]}"
    if is_last(state, step):
        what = "probability" if step.kind == "softmax" else "score"
        return f"the {what} of class {state.class_name(step.unit[0])}"
    return f"unit {step.unit[0]} of {step.node}"


def _made(state: ExploreState, step: Step) -> str:
    count = len(step.terms)
    bias = " and a bias" if step.has_bias else ""
    place = arranged(state, step)
    cells = f"{place[0]}×{place[1]} cells" if place else ""
    if place and step.kind in ("max", "mean"):
        read = map_read(state, step)
        what = "largest" if step.kind == "max" else "mean"
        tail = ", times a weight, plus a bias" if step.has_bias else ""
        return f"the {what} of {cells} of {channel_name(state, step, 0, read)}{tail}"
    match step.kind:
        case "sum" if step.op == "add":
            return f"the sum of {count} numbers, one of each branch"
        case "sum" if not count:
            return "no input reaches it: the bias alone"
        case "sum" if place:
            maps = count // prod(place)
            of = f"in each of {maps} maps" if maps > 1 else "of one map"
            return f"a weighted sum of {cells} {of}; {count:,} product{'s' * (count > 1)}{bias}"
        case "sum":
            return f"a weighted sum of {count:,} number{'s' * (count > 1)}{bias}"
        case "product":
            return f"the product of {count} numbers, one of each branch"
        case "softmax":
            return f"e to its logit, over the sum of all {count} such powers"
        case "norm" if step.op == "lrn":
            return f"the number before it, made smaller by the squares of {count} neighbouring channels"
        case "norm":
            return "the number before it, less a mean, over a deviation"
        case "copy" if step.terms[0].source is None:
            return "padding, a 0 beyond the border"
        case "copy":
            return "copied as it is"
    return f"{step.op} of one number"


def _effects(steps: Sequence[Step]) -> list[str]:
    """What each layer that follows does with it."""
    said = []
    for before, step in reversed(list(zip(steps[1:], steps[:-1], strict=True))):
        read, made = before.equations[-1].result, step.equations[-1].result
        if step.silenced:
            said.append(f"{step.node} is silenced here: 0.")
        elif step.op == "relu" and before.value > 0:
            said.append(f"{step.node} lets {read} through.")
        elif step.op == "relu":
            said.append(f"{step.node} stops it: {read} becomes 0.")
        elif step.op in ACTIVATIONS or step.kind == "norm":
            said.append(f"{step.node} makes {made} of {read}.")
    return said
