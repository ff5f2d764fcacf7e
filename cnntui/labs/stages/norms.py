"""The normalisations in words."""

from __future__ import annotations

from collections.abc import Callable

from cnntui.labs.convolve import MoveError
from cnntui.labs.demos import asked
from cnntui.labs.demos.norms import AXES, KINDS, LARGEST, SHAPE, NormsState, named
from cnntui.labs.stages import Fact, Index, Stage, Words
from cnntui.labs.words import number_of, pair_of, whole


def _place(state: NormsState, text: str) -> NormsState:
    parts = text.split(",")
    if len(parts) != len(SHAPE):
        raise MoveError(f"{text!r} is not PICTURE,CHANNEL,ROW,COLUMN, such as 0,2,1,1")
    return state.to(*map(whole, parts))


def _seen(state: NormsState, text: str) -> NormsState:
    if text not in ("before", "after"):
        raise MoveError(f"{text!r} is neither before nor after")
    return state.seen(text == "after")


MOVES = {
    "kind": Words(
        "NAME [G]", f"{', '.join(KINDS)}; of group, how many groups",
        lambda s, name, groups="": s.with_kind(name, whole(groups, 1) if groups else None),
    ),
    "cell": Words("PICTURE,CHANNEL,ROW,COLUMN", "the number that is looked at", _place),
    "set": Words("VALUE", f"another number there, at most {LARGEST} either way", lambda s, v: s.with_value(number_of(v))),
    "random": Words("SEED", "other numbers", lambda s, seed: s.random(whole(seed))),
    "look": Words("before or after", "the numbers before or after the normalisation", _seen),
    "channels": Words(
        "N", "channels of the layer whose parameters are counted", lambda s, n: s.with_counted(whole(n, 1), s.size)
    ),
    "size": Words(
        "N or HxW", "height and width of its pictures", lambda s, n: s.with_counted(s.channels, pair_of(n, 1))
    ),
}  # fmt: skip

FACTS: dict[str, Callable[..., Fact]] = {
    "kind": lambda s: s.kind,
    "axes": lambda s: AXES[s.kind],
    "over": lambda s: s.mates(s.place).size,
    "groups": lambda s: s.groups,
    "mean": lambda s: float(s.mates(s.place).mean()),
    "variance": lambda s: float(s.mates(s.place).var()),
    "value": lambda s: s.value,
    "normalised": lambda s: float(s.normalised[s.place]),
    "cell": lambda s: s.place,
    "shape": lambda s: s.tensor.shape,
    "params": lambda s: s.params,
    "channels": lambda s: s.channels,
    "size": lambda s: s.size,
    "name": named,
}


def fact(state: NormsState, name: str, index: Index = ()) -> Fact:
    """A fact of the state; see `STAGE.facts`."""
    return asked(FACTS, state, name, index)


STAGE = Stage(
    name="norms",
    about="batch, layer, instance and group normalisation on one small tensor",
    start=NormsState,
    moves=MOVES,
    facts={
        "kind": "the kind of normalisation",
        "axes": "the axes over which the mean is taken",
        "over": "how many numbers the mean is taken over",
        "groups": "how many different means there are",
        "mean": "the mean",
        "variance": "the variance",
        "value": "the number before",
        "normalised": "the number after",
        "cell": "the place of the number",
        "shape": "the shape of the tensor",
        "params": "the layer's parameters",
        "channels": "the channels of the layer that is counted",
        "size": "the size of the pictures of the layer that is counted",
        "name": "the normalisation",
    },
    fact=fact,
    controls={
        "kind": ("kind",),
        "groups": ("groups",),
        "numbers": ("change",),
        "after": ("look",),
        "undo": ("undo", "redo"),
        "words": ("words",),
    },
)
