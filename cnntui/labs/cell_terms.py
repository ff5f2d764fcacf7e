"""The terms of one number: how they lie, in a window or a list, what each adds, and what it is called."""

from __future__ import annotations

from math import isfinite, prod

import numpy as np

from cnntui.core.arithmetic import TIMES, brief, number, weighted_sum
from cnntui.core.explanation import Source, Step, Term
from cnntui.core.forward import window
from cnntui.core.layers import GlobalAvgPool, Pair
from cnntui.core.network import INPUT
from cnntui.core.steps import taps
from cnntui.labs.explore import ExploreState

PADDING = "padding"


def arranged(state: ExploreState, step: Step) -> Pair | None:
    """Rows and columns of the window in each channel; None: the terms are a list.

    Where taps meet no cell and are no terms, whole rows and columns of them are missing, so what is left is a window too.
    """
    row = state.rows[step.node]
    layer, x = row.node.layer, state.trace.values[row.node.inputs[0]]
    size = step.per_channel or len(step.terms)
    if isinstance(layer, GlobalAvgPool):
        return x.shape[1], x.shape[2]
    if x.ndim != 3 or step.kind not in ("sum", "mean", "max") or layer.window(x.shape) is None or size == 1:
        return None
    slid = window(layer, x)
    if size == prod(slid.kernel_size):
        return slid.kernel_size
    down, across = slid.rows.reads(step.unit[1]), slid.columns.reads(step.unit[2])
    return sum(at is not None for at in down), sum(at is not None for at in across)


def contribution(step: Step, term: Term) -> float:
    """What a term adds."""
    return term.value if step.op == "add" else term.product


def sorted_terms(step: Step) -> list[int]:
    """The terms, what counts most first."""
    if step.kind == "product":
        return list(range(len(step.terms)))
    counts = np.array([contribution(step, term) for term in step.terms])
    counts = counts if step.kind == "softmax" else np.abs(counts)
    return [int(at) for at in np.argsort(-np.nan_to_num(counts, nan=np.inf), kind="stable")]


def name_of(state: ExploreState, found: Source | None) -> str:
    """Of where a term comes from: `relu1[2,4,7]`, behind the layers that only hand it on."""
    return str(state.origin(found)) if found else PADDING


def map_read(state: ExploreState, step: Step) -> str:
    """The node whose maps a window slides over, behind the layers that only hand them on."""
    return state.origin(Source(state.rows[step.node].node.inputs[0], (0,) * 3)).node


def channel_name(state: ExploreState, step: Step, at: int, read: str) -> str:
    """Of an input channel, counted among those that are read: where all of a window is padding, by that count."""
    size = step.per_channel or len(step.terms)
    found = next((t.source for t in step.terms[at * size : (at + 1) * size] if t.source), None)
    if read == INPUT and state.shape(INPUT)[0] == 1:
        return INPUT
    return f"{read}[{found.unit[0] if found else at}]"


def is_last(state: ExploreState, step: Step) -> bool:
    """Whether its numbers are those of the classes."""
    return step.node == state.analysis.rows[-1].node.name


def product_text(term: Term) -> tuple[str, str, str]:
    """Value, weight and their product, with as many digits as make them re-add."""
    if not isfinite(term.product):
        return brief(term.value), brief(term.weight), number(term.product)
    equation = weighted_sum(taps([term]))
    weight, _, value = equation.terms[0].strip("()").partition(TIMES)
    return value, weight, equation.result
