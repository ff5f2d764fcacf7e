"""The Explore screen in words: what can be asked of a trained net, of a picture in it, and of where one looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnntui.labs.explore import ExploreState
from cnntui.labs.net_facts import NET_FACTS
from cnntui.labs.stages import Fact, Index, Stage, WordsError
from cnntui.labs.stages.exploring import MOVES, REASONS, Exploring, class_of, layer_of
from cnntui.labs.stages.given import of_net


def _loss(lab: ExploreState) -> Fact:
    label = lab.picture.label
    if label is None or label >= len(lab.probabilities):
        return None
    return float(-np.log(max(float(lab.probabilities[label]), 1e-300)))


def _right(lab: ExploreState) -> Fact:
    return None if lab.picture.label is None or not lab.has_classes else lab.read == lab.picture.label


def _changed(lab: ExploreState) -> Fact:
    """The numbers that are others than they were, each counted once however often it was set."""
    before: dict[object, float] = {}
    now: dict[object, float] = {}
    for change in lab.changes:
        place = (change.node, change.name, change.index)
        before.setdefault(place, change.before)
        now[place] = change.value
    return sum(now[place] != before[place] for place in now)


OF_LAB: dict[str, tuple[str, Callable[[ExploreState], Fact]]] = {
    "node": ("the layer looked at", lambda lab: lab.node),
    "channel": ("the channel looked at", lambda lab: lab.channel),
    "channels": ("the channels of the layer looked at", lambda lab: lab.channels),
    "unit": ("the place looked at", lambda lab: lab.unit),
    "value": ("the number looked at", lambda lab: lab.value),
    "level": ("the level", lambda lab: lab.level),
    "read": ("the class that is read", lambda lab: lab.read),
    "label": ("the label", lambda lab: lab.picture.label),
    "right": ("read right", _right),
    "loss": ("the loss of this picture", _loss),
    "picture": ("the test picture", lambda lab: lab.picture.number),
    "silenced": ('the silenced channels; silenced["conv1"]: those of conv1', lambda lab: len(lab.silenced)),
    "changed": ("the numbers set by hand", _changed),
    "shifted": ("the shift of the picture", lambda lab: lab.picture.shift[1:] if lab.picture.shift else (0, 0)),
    "why": ("the picture of reasons", lambda lab: next(word for word, kind in REASONS.items() if kind == lab.why)),
    "asked": ("the class that is asked about", lambda lab: lab.asked),
    "moments": ("the moments that are kept", lambda lab: len(lab.moments)),
    "moment": ("the moment", lambda lab: lab.moment),
    "step": ("the step of the training", lambda lab: lab.model.step),
    "dead": ("the dead channels", lambda lab: len(lab.dead.channels)),
}
OF_LAYER: dict[str, tuple[str, str, Callable[[ExploreState, str], Any]]] = {  # one of them, all of them
    "maps": ("the number", "the numbers", lambda lab, layer: lab.trace.values[layer]),
    "weight": ("the weight", "the weights", lambda lab, layer: lab.parameters.get(layer, {}).get("weight")),
    "bias": ("the bias", "the biases", lambda lab, layer: lab.parameters.get(layer, {}).get("bias")),
}
PARTS = ("shape", "largest", "smallest")
FACTS = {
    **NET_FACTS,
    **{name: what for name, (what, _) in OF_LAB.items()},
    "opened": "something is open",
    "test_accuracy": "the test accuracy",
    "misread": "the misread pictures that are known",
    "probability": "the probability of the class",
    "visited": "looked at",
    "patches": "the layer whose patches were looked at",
    "patches.channel": "the channel whose patches were looked at",
    **{f"LAYER.{name}": one for name, (one, _, _) in OF_LAYER.items()},
    **{f"LAYER.{name}.{part}": f"the {part} of {all_}" for name, (_, all_, _) in OF_LAYER.items() for part in PARTS},
}


def fact(state: Exploring, name: str, index: Index = ()) -> Fact:
    """A fact of what is open; None while nothing is.

    Raises:
        WordsError: when there is no such fact.
    """
    lab = state.lab
    if name == "silenced" and len(index) == 1:
        layer = str(index[0])
        return None if lab is None else sum(node == layer_of(lab, layer) for node, _ in lab.silenced)
    if name in OF_LAB:
        _no_index(name, index)
        return None if lab is None else OF_LAB[name][1](lab)
    match name:
        case "opened":
            return lab is not None
        case "test_accuracy":
            return state.accuracy
        case "misread":
            return None if state.subject is None else len(state.subject.misread)
        case "probability":
            if len(index) != 1:
                raise WordsError("probability is of one class: write probability[7]")
            return None if lab is None else float(lab.probabilities[class_of(lab, index[0])])
        case "visited":
            if len(index) != 1:
                raise WordsError('visited is of one layer: write visited["conv1"]')
            return (layer_of(lab, str(index[0])) if lab else index[0]) in state.visited
        case "patches":
            return state.patches[0] if state.patches else None
        case "patches.channel":
            return state.patches[1] if state.patches else None
    found = next((one for one in _parts(name) if one[1] in OF_LAYER), None)
    if found is not None:
        return _of_layer(lab, *found, index)
    return of_net("explore", FACTS, lab.analysis if lab else state.net, name, index)


def _no_index(name: str, index: Index) -> None:
    if index:
        raise WordsError(f"{name} has no index: write {name} alone")


def _parts(name: str) -> list[tuple[str, str, str]]:
    """The ways to read LAYER.weight and LAYER.weight.shape, as layer, what, and what of it."""
    layer, _, last = name.rpartition(".")
    before, _, what = layer.rpartition(".")
    return [(layer, last, ""), (before, what, last)]


def _of_layer(lab: ExploreState | None, layer: str, what: str, part: str, index: Index) -> Fact:
    if part not in ("", *PARTS):
        raise WordsError(f"{what} has no {part}: it has shape, largest, smallest, and {what}[...]")
    if lab is None:
        return None
    values = OF_LAYER[what][2](lab, layer_of(lab, layer))
    if values is None:
        raise WordsError(f"{layer} has no {what}")
    match part:
        case "shape":
            return tuple(values.shape)
        case "largest":
            return float(values.max())
        case "smallest":
            return float(values.min())
    is_there = len(index) == values.ndim and all(
        isinstance(i, int) and 0 <= i < n for i, n in zip(index, values.shape, strict=True)
    )
    if not is_there:
        shape = ",".join(str(n - 1) for n in values.shape)
        raise WordsError(f"{layer}.{what} is asked for one number: {layer}.{what}[{shape}] is the last")
    return float(values[index])


STAGE = Stage(
    "explore",
    "a trained net, from the whole of it down to one number",
    Exploring,
    MOVES,
    FACTS,
    fact,
    controls={
        "into": ("enter", "back", "ascend"),
        "jump": ("jump",),
        "pictures": ("picture", "misread", "input"),
        "draw": ("draw",),
        "shift": ("shift",),
        "why": ("why", "ask"),
        "set": ("set",),
        "silence": ("silence",),
        "undo": ("undo", "redo", "restore"),
        "order": ("sort",),
        "scale": ("scale",),
        "glyphs": ("glyphs",),
        "moments": ("scrub", "play", "pin"),
        "patches": ("patches",),
        "learn": ("learn",),
        "convolve": ("convolve",),
        "open": ("open",),
    },
    effects=frozenset({"run", "net", "train", "patches"}),
)
