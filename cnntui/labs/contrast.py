"""Why one class rather than another, down to the units: what each adds to the difference of two scores."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import isfinite

import numpy as np

from cnntui.core.arithmetic import MINUS, TIMES, number, signed, sum_decimals
from cnntui.core.explanation import Step, step
from cnntui.core.windows import Array
from cnntui.labs.cell_terms import is_last, name_of
from cnntui.labs.explore import ExploreState
from cnntui.labs.why import rival_of

MOST = 12  # digits behind the point


@dataclass(frozen=True, eq=False)
class Contrast:
    """A score and that of the class it is held against: its name, its step, and what each term adds to the difference."""

    rival: str
    other: Step
    adds: Array


def contrast(state: ExploreState, own: Step) -> Contrast | None:
    """For a score that is a weighted sum, against the label, what the net reads, or the class that is asked about."""
    if own.kind != "sum" or own.op == "add" or len(own.unit) != 1 or not is_last(state, own) or not own.terms:
        return None
    rival = rival_of(state.ask(own.unit[0]))
    if rival is None and state.target != own.unit[0]:
        rival = state.target
    if rival is None or rival == own.unit[0] or own.silenced:
        return None
    other = step(state.trace, own.node, (rival,))
    if len(other.terms) != len(own.terms) or not (isfinite(own.value) and isfinite(other.value)):
        return None
    adds = np.array([one.product - two.product for one, two in zip(own.terms, other.terms, strict=True)])
    return Contrast(state.class_name(rival), other, adds)


def contrast_words(state: ExploreState, own: Step, found: Contrast) -> str:
    """6 rather than 5: score 10.12 − 4.71 = 5.41; the most from relu3[16]: (0.0937 − −0.0213) × 11.27 = +1.296."""
    decimals = min(sum_decimals(own.value), sum_decimals(found.other.value))
    one, two = number(own.value, decimals), number(found.other.value, decimals)
    less = number(_decimal(one) - _decimal(two))
    at = int(np.abs(found.adds).argmax())
    most, against = own.terms[at], found.other.terms[at]
    said = f"{state.class_name(own.unit[0])} rather than {found.rival}: score {one} {MINUS} {two} = {less}"
    if not found.adds[at]:
        return f"{said}."
    made, relation = number(float(found.adds[at]), sum_decimals(float(found.adds[at]))), "≈"
    half = Decimal(5).scaleb(int(_decimal(made).as_tuple().exponent) - 1)
    texts = [""] * 3
    for places in (*range(4, MOST), 4):
        texts = [number(value, places) for value in (most.weight, against.weight, most.value)]
        first, second, value = map(_decimal, texts)
        if abs((first - second) * value - _decimal(made)) <= half:
            relation = "="
            break
    product = f"({texts[0]} {MINUS} {texts[1]}) {TIMES} {texts[2]} {relation} {signed(made)}"
    return f"{said}; the most from {name_of(state, most.source)}: {product}."


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace(MINUS, "-"))
