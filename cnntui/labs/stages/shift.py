"""Shifts in words."""

from __future__ import annotations

from collections.abc import Callable

from cnntui.core.images import PICTURES
from cnntui.labs.convolve import MoveError
from cnntui.labs.demos import asked, switched
from cnntui.labs.demos.shift import LARGEST, MOST_PADDING, MOST_POOL, MOST_STRIDE, SIZE, SMALLEST, ShiftState, pool_text
from cnntui.labs.stages import Fact, Index, Stage, Words
from cnntui.labs.words import kernel_named, pair_of, signed, whole


def _by(state: ShiftState, text: str) -> ShiftState:
    if text.count(",") != 1:
        raise MoveError(f"{text!r} is not DOWN,RIGHT, such as 0,2 or -1,0")
    down, right = map(signed, text.split(","))
    return state.shift(down, right)


MOVES = {
    "picture": Words(
        "NAME [HxW]", f"{', '.join(PICTURES)}; a side from {SMALLEST} to {LARGEST}",
        lambda s, name, size="": s.with_picture(name, pair_of(size, 1) if size else SIZE),
    ),
    "kernel": Words("NAME", "one of kernels/", lambda s, name: s.with_(kernel=kernel_named(name))),
    "stride": Words("N", f"of the convolution, to {MOST_STRIDE}", lambda s, n: s.with_(stride=whole(n, 1))),
    "padding": Words("N", f"of the convolution, to {MOST_PADDING}", lambda s, n: s.with_(padding=whole(n))),
    "relu": Words("on or off", "behind the convolution", lambda s, on: s.with_(relu=switched(on))),
    "pool": Words(
        "none, max N or avg N", f"behind that, windows of 2 to {MOST_POOL}",
        lambda s, name, n="": s.with_pool(name, whole(n, 1) if n else None),
    ),
    "by": Words("DOWN,RIGHT", "shift the picture, from where it was", _by),
}  # fmt: skip

FACTS: dict[str, Callable[..., Fact]] = {
    "picture": lambda s: s.name,
    "kernel": lambda s: s.kernel.name,
    "stride": lambda s: s.stride,
    "padding": lambda s: s.padding,
    "relu": lambda s: s.relu,
    "pool": pool_text,
    "shift": lambda s: s.by,
    "shift.down": lambda s: s.by[0],
    "shift.right": lambda s: s.by[1],
    "step": lambda s: s.step,
    "whole": lambda s: s.whole,
    "compared": lambda s: int(s.compared.sum()),
    "differing": lambda s: int(s.differs.sum()),
    "differing.border": lambda s: int(s.at_border.sum()),
    "same": lambda s: s.same,
    "largest_difference": lambda s: float(abs(s.difference).max()),
    "pooled_same": lambda s: s.unchanged / s.after.output.size,
    "map.shape": lambda s: s.after.map.shape,
    "output.shape": lambda s: s.after.output.shape,
}


def fact(state: ShiftState, name: str, index: Index = ()) -> Fact:
    """A fact of the state; see `STAGE.facts`."""
    return asked(FACTS, state, name, index)


STAGE = Stage(
    name="shift",
    about="a picture that is shifted, and whether its map is shifted as much",
    start=ShiftState,
    moves=MOVES,
    facts={
        "picture": "the picture",
        "kernel": "the kernel",
        "stride": "the stride",
        "padding": "the padding",
        "relu": "a relu follows the convolution",
        "pool": "the pool",
        "shift": "the shift (down, right)",
        "shift.down": "the shift down",
        "shift.right": "the shift to the right",
        "step": "the step from one output cell to the next",
        "whole": "the shift is a whole number of steps",
        "compared": "the number of cells that are compared",
        "differing": "the number of cells that differ",
        "differing.border": "the number of cells that differ at the border",
        "same": "the share of equal cells",
        "largest_difference": "the largest difference",
        "pooled_same": "the share of output cells that a shift leaves as they were",
        "map.shape": "the map",
        "output.shape": "the output",
    },
    fact=fact,
    controls={
        "shift": ("shift", "home"),
        "picture": ("picture",),
        "kernel": ("kernel",),
        "stride": ("stride",),
        "padding": ("padding",),
        "relu": ("relu",),
        "pool": ("pool",),
        "undo": ("undo", "redo"),
        "words": ("words",),
    },
)
