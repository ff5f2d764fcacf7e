"""The activations in words."""

from __future__ import annotations

from collections.abc import Callable

from cnntui.core.activations import ACTIVATIONS
from cnntui.labs.demos import asked, known, switched
from cnntui.labs.demos.activations import DEEPEST, FARTHEST, LEAST, MOST, SAMPLES, ActivationsState
from cnntui.labs.stages import Fact, Index, Stage, Words
from cnntui.labs.words import number_of, whole

MOVES = {
    "show": Words(
        "NAME ...", f"draw these curves: {', '.join(ACTIVATIONS)}", lambda s, name, *more: s.show(name, *more)
    ),
    "choose": Words("NAME", "the function that is spoken of", lambda s, name: s.choose(name)),
    "at": Words("X", f"another x, from {LEAST:g} to {MOST:g}", lambda s, x: s.to(number_of(x))),
    "slope": Words("on or off", "draw the slopes, too", lambda s, on: s.with_slopes(switched(on))),
    "bias": Words("B", f"added to every sum, at most {FARTHEST:g} either way", lambda s, b: s.with_bias(number_of(b))),
    "depth": Words("N", f"layers whose slopes are multiplied, 1 to {DEEPEST}", lambda s, n: s.with_depth(whole(n, 1))),
}


def _function(state: ActivationsState, name: str | int | None) -> str:
    return state.chosen if name is None else known(name, ACTIVATIONS, "activation")


FACTS: dict[str, Callable[..., Fact]] = {
    "at": lambda s: s.at,
    "value": lambda s, name=None: s.value(_function(s, name)),
    "slope": lambda s, name=None: s.slope(_function(s, name)),
    "product": lambda s, name=None: s.product(_function(s, name)),
    "shown": lambda s, name=None: ", ".join(s.shown) if name is None else _function(s, name) in s.shown,
    "chosen": lambda s: s.chosen,
    "slopes": lambda s: s.slopes,
    "bias": lambda s: s.bias,
    "depth": lambda s: s.depth,
    "dead": lambda s, name="relu": s.flat(_function(s, name)) / SAMPLES,
    "mean_slope": lambda s, name=None: s.mean_slope(_function(s, name)),
    "sums": lambda s: SAMPLES,
}


def fact(state: ActivationsState, name: str, index: Index = ()) -> Fact:
    """A fact of the state; see `STAGE.facts`."""
    return asked(FACTS, state, name, index)


STAGE = Stage(
    name="activations",
    about="activations as curves: value and slope at a place, what many layers leave of it, dead units",
    start=ActivationsState,
    moves=MOVES,
    facts={
        "at": "x",
        "value": "the value at x",
        "slope": "the slope at x",
        "product": "what the layers leave of a gradient of 1",
        "shown": "the functions drawn",
        "chosen": "the chosen function",
        "slopes": "the slopes are drawn",
        "bias": "the bias",
        "depth": "the number of layers",
        "dead": "the share of sums where the function is flat",
        "mean_slope": "the mean slope over the sums",
        "sums": "the number of sums in the sample",
    },
    fact=fact,
    controls={
        "functions": ("draw",),
        "slope": ("slope",),
        "bias": ("bias",),
        "depth": ("depth",),
        "undo": ("undo", "redo"),
        "words": ("words",),
    },
)
