"""The number of any unit of any node: what it is made of, back to the layer that mixed it; and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from math import fsum

from cnntui.core.activations import ACTIVATIONS
from cnntui.core.arithmetic import Equation, mean, plain_sum, sum_decimals, weighted_sum
from cnntui.core.forward import Trace
from cnntui.core.network import INPUT
from cnntui.core.reads import bare_step, checked_unit, users
from cnntui.core.sight import Sight, seen_by
from cnntui.core.steps import Source, Step, Term, Unit, taps, written

__all__ = ["Explanation", "Rest", "Source", "Step", "Term", "Unit", "explain", "largest", "step", "uses"]

MOST_USES = 1_000
NUMBER_BY_NUMBER = frozenset({*ACTIVATIONS, "bn", "dropout", "id", "flatten", "pad", "upsample", "cat"})


@dataclass(frozen=True)
class Explanation:
    """One number, and how it came about.

    Args:
        node: the layer; `input` is the picture.
        unit: which of its numbers.
        value: that number.
        steps: from the unit back through the layers that act number by number (activations, a batch norm, copies) to the
            first that mixes several, the last step; none of the input.
        pixels: the input cells that can move it; None: the whole image.
    """

    node: str
    unit: Unit
    value: float
    steps: tuple[Step, ...]
    pixels: Sight | None

    @property
    def terms(self) -> tuple[Term, ...]:
        """What the last step mixes."""
        return self.steps[-1].terms if self.steps else ()

    @property
    def bias(self) -> float:
        """The last step's."""
        return self.steps[-1].bias if self.steps else 0.0

    @property
    def pre_activation(self) -> float:
        """What goes into the first activation on the way back; the number itself where there is none."""
        for step in self.steps:
            if step.kind in ("function", "softmax") and step.terms:
                return step.own.value
        return self.value

    @property
    def equation(self) -> str:
        """All lines in one, the outermost first: `relu(−0.231) = 0; (0.12×0.5) + … + 0.021 = −0.231`."""
        return "; ".join(str(equation) for step in self.steps for equation in reversed(step.equations))


def explain(trace: Trace, node: str, unit: Unit) -> Explanation:
    """What a unit, (channel, row, column) or (n,), is made of.

    Raises:
        ValueError: when there is no such node or unit, saying what there is.
    """
    unit = checked_unit(trace.analysis, node, unit)
    rows = {row.node.name: row for row in trace.analysis.rows}
    steps: list[Step] = []
    source = Source(node, unit)
    while source.node != INPUT:
        made = bare_step(trace, rows[source.node], source.unit)
        steps.append(made)
        if made.op not in NUMBER_BY_NUMBER or not made.terms or made.terms[0].source is None:
            break
        source = made.terms[0].source
    pixels = seen_by(trace.analysis, node, unit)
    return Explanation(node, unit, float(trace.values[node][unit]), written(steps), pixels)


def step(trace: Trace, node: str, unit: Unit) -> Step:
    """What one layer alone made of what it read, for one unit.

    Raises:
        ValueError: when there is no such layer or unit, saying what there is.
    """
    unit = checked_unit(trace.analysis, node, unit)
    if node == INPUT:
        raise ValueError(f"{INPUT} is the picture: no layer made it")
    row = next(row for row in trace.analysis.rows if row.node.name == node)
    return written([bare_step(trace, row, unit)])[0]


def uses(trace: Trace, node: str, unit: Unit, most: int = MOST_USES) -> tuple[Source, ...]:
    """The units of the next nodes that read this one, in reading order, the first `most` of them.

    Raises:
        ValueError: as `explain`.
    """
    unit = checked_unit(trace.analysis, node, unit)
    reading = (row for row in trace.analysis.rows if node in row.node.inputs)
    return tuple(
        islice((Source(row.node.name, user) for row in reading for user in users(trace, row, node, unit)), most)
    )


# -- very many terms


@dataclass(frozen=True)
class Rest:
    """The terms that are not shown: how many, what they come to, and the equation in which they are one term."""

    count: int
    total: float
    text: str
    equation: Equation


def largest(step: Step, most: int) -> tuple[tuple[Term, ...], Rest | None]:
    """The terms of a sum or mean with the largest products, the largest first, and the rest; None where all are shown.

    `rest.text` is `… + 117 smaller terms = 0.0312`, and the equation has 0.0312 among its terms. What is not a sum has no
    rest: all of its terms.
    """
    if step.kind not in ("sum", "mean") or len(step.terms) <= most:
        return step.terms, None
    ordered = sorted(step.terms, key=lambda term: -abs(term.product))
    shown, others = tuple(ordered[:most]), ordered[most:]
    bare = step.kind == "mean" or step.op == "add"
    total = fsum(term.value if bare else term.product for term in others)
    extra = _extra(step)
    if step.kind == "mean":
        scale = dict(step.facts).get("weight")
        equation = mean(taps(shown), int(step.divisor), scale, step.bias, total, extra)
    elif bare:
        equation = plain_sum([term.value for term in shown], total, extra)
    else:
        equation = weighted_sum(taps(shown), step.bias, rest=total, extra=extra)
    printed = equation.terms[len(shown)] if total else "0"
    return shown, Rest(len(others), total, f"… + {len(others):,} smaller terms = {printed}", equation)


def _extra(step: Step) -> int:
    """The digits that its result has beyond the usual ones, because what is made of it needs them."""
    result = step.equations[-1].result if step.equations else ""
    decimals = len(result.partition(".")[2]) if "e" not in result else 0
    return max(0, decimals - sum_decimals(step.value))
