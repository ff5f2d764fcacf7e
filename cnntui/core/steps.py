"""One number of one layer: the terms that it is made of, and the arithmetic of it in print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal

from cnntui.core import formulas
from cnntui.core.activations import ACTIVATIONS
from cnntui.core.arithmetic import (
    EXACT_DECIMALS,
    TIMES,
    Equation,
    applied,
    brief,
    channel_sums,
    maximum,
    mean,
    number,
    plain_sum,
    read,
    sum_decimals,
    weighted_sum,
)
from cnntui.core.windows import Tap

Unit = tuple[int, ...]
"""(channel, row, column) in a map, (n,) in a vector."""
Kind = Literal["sum", "mean", "max", "function", "norm", "softmax", "copy", "product"]
FEW = 16  # products that are added up in one line
MOST_EXTRA = 5  # digits that a result gets, each step back, so that what is made of it re-adds


@dataclass(frozen=True, slots=True)
class Source:
    """A unit of a node; the node `input` is the picture."""

    node: str
    unit: Unit

    def __str__(self) -> str:
        return f"{self.node}[{','.join(map(str, self.unit))}]"


@dataclass(frozen=True, slots=True)
class Term:
    """What one unit contributes. `source` None: padding, whose value is 0; `weight` is 1 where there is none."""

    source: Source | None
    weight: float
    value: float

    @property
    def product(self) -> float:
        """Weight times value."""
        return self.weight * self.value


@dataclass(frozen=True)
class Step:
    """What one layer made of what it read, for one unit.

    In a sum and a mean, `value` is the products of the terms over `divisor`, plus `bias`.

    Args:
        node: the layer's name.
        op: what it is: conv, relu.
        unit: which of its numbers.
        value: that number.
        kind: what is done with the terms. A norm's are the number itself (lrn: with its neighbours); a softmax's all logits.
        per_channel: how many of the terms, one after another, are of one input channel.
        terms: in reading order: channel, row, column. Of a maximum without padding, which never wins; none when silenced.
        bias: 0 where there is none, which `has_bias` tells.
        divisor: of means.
        facts: of norms, by name: the mean, variance, weight, bias that were used.
        winner: of a maximum the index of the term that won: the first of the largest.
        silenced: whether its channel was set to zero.
        equations: printed. Where many products are added up, one for each channel and then their sum; else a single one.
    """

    node: str
    op: str
    unit: Unit
    value: float
    kind: Kind
    terms: tuple[Term, ...] = ()
    per_channel: int = 0
    bias: float = 0.0
    has_bias: bool = False
    divisor: float = 1.0
    facts: tuple[tuple[str, float], ...] = ()
    winner: int | None = None
    silenced: bool = False
    equations: tuple[Equation, ...] = ()

    @property
    def channels(self) -> list[tuple[Term, ...]]:
        """The terms of each input channel; of a vector all in one."""
        size = self.per_channel or len(self.terms)
        return [self.terms[i : i + size] for i in range(0, len(self.terms), size)]

    @property
    def own(self) -> Term:
        """The term that stands at the same place as the unit, of what acts number by number, a norm and a softmax."""
        same = (term for term in self.terms if term.source and term.source.unit == self.unit)
        return self.terms[0] if len(self.terms) == 1 else next(same)


def written(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Steps with their equations, the outermost first: each one's result, as printed, is what the one before it reads.

    A result gets digits until what is made of it re-adds as well: each step back as many more, since a norm multiplies
    the rounding of what it reads.
    """
    for extra in range(MOST_EXTRA + 1):
        made: list[Step] = []
        argument: str | None = None
        for outside in range(len(steps) - 1, -1, -1):
            equations = _equations(steps[outside], argument, outside * extra, (outside + 1) * extra)
            argument = equations[-1].result
            made.append(replace(steps[outside], equations=equations))
        following = (step.equations[-1] for step in made if step.kind in ("function", "norm"))
        if all(equation.relation == "=" for equation in following):
            break
    return tuple(reversed(made))


def _equations(step: Step, argument: str | None, extra: int, digits: int) -> tuple[Equation, ...]:
    """The lines of one step, its result with `extra` digits more than four.

    Its argument is what the step behind it has printed; None: it is printed here, with so many `digits` more.
    """
    numbers = (
        step.value,
        step.bias,
        *(f for _, f in step.facts),
        *(x for t in step.terms for x in (t.weight, t.value)),
    )
    if not all(map(isfinite, numbers)):
        terms = (
            f"({brief(t.weight)}{TIMES}{brief(t.value)})" if step.kind == "sum" else brief(t.value) for t in step.terms
        )
        return (Equation(tuple(terms), "≈", number(step.value), function=step.op),)
    if step.silenced:
        return (Equation(("silenced",), "=", "0"),)
    match step.kind:
        case "sum":
            return _sums(step, extra)
        case "mean":
            scale = dict(step.facts).get("weight")
            return (mean(taps(step.terms), int(step.divisor), scale, step.bias, extra=extra),)
        case "max":
            return (maximum(taps(step.terms), extra),)
        case "product":
            return (formulas.product([term.value for term in step.terms], extra),)
        case "softmax":
            return (formulas.softmax(step.own.value, [term.value for term in step.terms], step.value),)
        case "copy":
            source = step.terms[0].source
            result = argument if argument is not None else _printed(step.value, extra)
            return (Equation((str(source) if source else "padding",), "=", result),)
        case "function":
            argument = argument if argument is not None else _printed(step.own.value, digits)
            return (applied(step.op, argument, ACTIVATIONS[step.op], step.value, extra),)
    facts = dict(step.facts)
    if step.op == "lrn":
        around = [term.value for term in step.terms]
        by = facts["alpha"], facts["beta"], facts["k"]
        return (formulas.local_response(step.own.value, around, *by, step.value, extra),)
    argument = argument if argument is not None else _printed(step.own.value, digits)
    affine = (facts["weight"], facts["bias"]) if "weight" in facts else None
    return (formulas.normalised(argument, facts["mean"], facts["variance"], affine, step.value, extra),)


def _printed(value: float, extra: int) -> str:
    """A number by itself: in full where it is short."""
    in_full = number(value, EXACT_DECIMALS)
    return in_full if read(in_full) == value else number(value, sum_decimals(value) + extra)


def _sums(step: Step, extra: int) -> tuple[Equation, ...]:
    if step.op == "add":
        return (plain_sum([term.value for term in step.terms], extra=extra),)
    if not step.terms:
        return (plain_sum([step.bias], extra=extra),)
    channels = step.channels
    if len(step.terms) <= FEW or len(channels) in (1, len(step.terms)):
        return (weighted_sum(taps(step.terms), step.bias, extra=extra),)
    return tuple(channel_sums([taps(channel) for channel in channels], step.bias, extra=extra))


def taps(terms: Sequence[Term]) -> list[Tap]:
    """Terms as arithmetic takes them."""
    return [Tap((0, 0, 0) if term.source else None, term.value, term.weight) for term in terms]
