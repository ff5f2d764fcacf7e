"""Connections in words."""

from __future__ import annotations

from collections.abc import Callable

from cnntui.labs.demos import asked, known
from cnntui.labs.demos.connections import FARTHEST, KINDS, LARGEST, PADDINGS, SMALLEST, WIDEST, ConnectionsState, Counts
from cnntui.labs.stages import Fact, Index, Stage, Words
from cnntui.labs.words import pair_of, whole

MOVES = {
    "kind": Words("NAME", ", ".join(KINDS), lambda s, name: s.with_kind(name)),
    "picture": Words(
        "N or HxW", f"the picture that is drawn, a side from {SMALLEST} to {LARGEST}",
        lambda s, n: s.with_(picture=pair_of(n, 1)),
    ),
    "kernel": Words("K", f"a side of the window, to {WIDEST}", lambda s, k: s.with_(kernel=whole(k, 1))),
    "stride": Words("N", "cells between two windows", lambda s, n: s.with_(stride=whole(n, 1))),
    "padding": Words(" or ".join(PADDINGS), "whether the output keeps the size", lambda s, p: s.with_padding(p)),
    "cell": Words("ROW,COLUMN", "the output cell that is looked at", lambda s, at: s.to(*pair_of(at))),
    "size": Words(
        "N or HxW", f"of the larger picture, which is only counted, to {FARTHEST}",
        lambda s, n: s.with_(size=pair_of(n, 1)),
    ),
    "channels": Words("C", "of the larger picture", lambda s, n: s.with_(channels=whole(n, 1))),
    "filters": Words("N", "output channels of the larger layer", lambda s, n: s.with_(filters=whole(n, 1))),
}  # fmt: skip


def _counts(state: ConnectionsState, kind: str | int | None, large: bool) -> Counts:
    return state.counts(state.kind if kind is None else known(kind, KINDS, "kind"), large)


FACTS: dict[str, Callable[..., Fact]] = {
    "kind": lambda s: s.kind,
    "cell": lambda s: s.cell,
    "reached": lambda s: s.reached,
    "same_weights": lambda s: s.same_weights,
    "kernel": lambda s: s.kernel,
    "stride": lambda s: s.stride,
    "padding": lambda s: s.padding,
    "input.shape": lambda s: s.picture,
    "output.shape": lambda s: s.output,
    "large.input": lambda s: s.large,
    "large.output": lambda s: s.made(large=True),
    "inputs": lambda s: s.counts(s.kind).inputs,
    "outputs": lambda s: s.counts(s.kind).outputs,
    "places": lambda s: s.counts(s.kind).places,
    "connections": lambda s, kind=None: _counts(s, kind, False).connections,
    "weights": lambda s, kind=None: _counts(s, kind, False).weights,
    "biases": lambda s, kind=None: _counts(s, kind, False).biases,
    "large.inputs": lambda s: s.counts(s.kind, True).inputs,
    "large.outputs": lambda s: s.counts(s.kind, True).outputs,
    "large.places": lambda s: s.counts(s.kind, True).places,
    "large.connections": lambda s, kind=None: _counts(s, kind, True).connections,
    "large.weights": lambda s, kind=None: _counts(s, kind, True).weights,
    "large.biases": lambda s, kind=None: _counts(s, kind, True).biases,
}


def fact(state: ConnectionsState, name: str, index: Index = ()) -> Fact:
    """A fact of the state; see `STAGE.facts`."""
    return asked(FACTS, state, name, index)


COUNTED = {  # of the present kind, or of another: weights["full"]
    f"{prefix}{name}": f"{whose} {name}"
    for prefix, whose in (("", "the layer's"), ("large.", "the larger layer's"))
    for name in ("connections", "weights", "biases")
}
STAGE = Stage(
    name="connections",
    about="what is wired to what: fully connected, locally connected, convolution",
    start=ConnectionsState,
    moves=MOVES,
    facts={
        "kind": "the kind of layer",
        "cell": "the output cell",
        "reached": "how many input cells feed the output cell",
        "same_weights": "two output cells share weights",
        "kernel": "the kernel",
        "stride": "the stride",
        "padding": "the padding",
        "input.shape": "the picture",
        "output.shape": "the output",
        "large.input": "the larger picture",
        "large.output": "the larger layer's output",
        "inputs": "the number of input cells",
        "outputs": "the number of output cells",
        "places": "the number of places of the window",
        **COUNTED,
        "large.inputs": "the number of the larger layer's input cells",
        "large.outputs": "the number of the larger layer's output cells",
        "large.places": "the number of places in the larger layer",
    },
    fact=fact,
    controls={
        "kind": ("kind",),
        "kernel": ("kernel",),
        "padding": ("padding",),
        "size": ("size",),
        "undo": ("undo", "redo"),
        "words": ("words",),
    },
)
