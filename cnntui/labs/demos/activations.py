"""Activations as curves: their values and slopes at a place, what many layers leave of a slope, units that are dead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from cnntui.core.activations import ACTIVATIONS, SLOPES
from cnntui.core.arithmetic import number
from cnntui.core.windows import Array
from cnntui.core.workings import significant
from cnntui.labs.convolve import MoveError
from cnntui.labs.demos import known, plural
from cnntui.runs.reader import Points

LEAST, MOST = -6.0, 6.0  # of x
FARTHEST = 4.0  # a bias from −4 to 4
DEEPEST = 100
SAMPLES = 1000
DIGITS = 4


@lru_cache(maxsize=1)
def inputs() -> Array:
    """The sums w·x of a unit before its bias: (SAMPLES,), normally distributed with mean 0 and deviation 1."""
    return np.random.default_rng(0).standard_normal(SAMPLES)


@dataclass(frozen=True)
class ActivationsState:
    """Which functions are drawn, and where one looks.

    Args:
        shown: names of `core.activations`, in the order in which they were chosen.
        chosen: the one that is spoken of.
        at: x.
        slopes: whether the slopes are drawn, too.
        bias: added to every sum of the sample.
        depth: layers whose slopes are multiplied.
    """

    shown: tuple[str, ...] = ("relu",)
    chosen: str = "relu"
    at: float = 1.0
    slopes: bool = True
    bias: float = 0.0
    depth: int = 10

    # -- what follows from it

    def value(self, name: str) -> float:
        """What the function makes of x."""
        return float(ACTIVATIONS[name](np.array(self.at)))

    def slope(self, name: str) -> float:
        """The function's slope at x; at a kink the one that torch takes."""
        return float(SLOPES[name](np.array(self.at)))

    def product(self, name: str) -> float:
        """What is left of a gradient of 1 behind so many layers with that slope each."""
        return self.slope(name) ** self.depth

    @property
    def left(self) -> tuple[float, ...]:
        """What is left of it before the first layer, behind the first, and so on, for the chosen function."""
        return tuple(self.slope(self.chosen) ** layers for layers in range(self.depth + 1))

    @property
    def sums(self) -> Array:
        """The sample with the bias: (SAMPLES,)."""
        return inputs() + self.bias

    def flat(self, name: str) -> int:
        """How many of the sums fall where the function has the slope 0."""
        return int((SLOPES[name](self.sums) == 0).sum())

    def mean_slope(self, name: str) -> float:
        """The mean of the function's slope over all sums."""
        return float(SLOPES[name](self.sums).mean())

    # -- moves

    def show(self, *names: str) -> ActivationsState:
        """Draw these, and speak of the first.

        Raises:
            ValueError: when there is none of a name.
        """
        drawn = tuple(dict.fromkeys(known(name, ACTIVATIONS, "activation") for name in names))
        return replace(self, shown=drawn, chosen=drawn[0])

    def choose(self, name: str) -> ActivationsState:
        """Speak of another one.

        Raises:
            ValueError: when there is none of that name.
        """
        return replace(self, chosen=known(name, ACTIVATIONS, "activation"))

    def walk(self, by: int) -> ActivationsState:
        """Choose the one so many places on in the list, round and round."""
        names = list(ACTIVATIONS)
        return replace(self, chosen=names[(names.index(self.chosen) + by) % len(names)])

    def toggled(self) -> ActivationsState:
        """Draw the chosen one, or no longer; the last one stays.

        Raises:
            MoveError: when it is the last one.
        """
        if self.shown == (self.chosen,):
            raise MoveError(f"{self.chosen} is the only curve: show another one first")
        rest = tuple(name for name in self.shown if name != self.chosen)
        return replace(self, shown=rest if self.chosen in self.shown else (*self.shown, self.chosen))

    def to(self, at: float) -> ActivationsState:
        """Another x; beyond the border is the border."""
        return replace(self, at=min(max(LEAST, at), MOST))

    def with_slopes(self, on: bool) -> ActivationsState:
        """Draw the slopes, too, or not."""
        return replace(self, slopes=on)

    def with_bias(self, bias: float) -> ActivationsState:
        """Another bias.

        Raises:
            MoveError: when it is out of range.
        """
        if not -FARTHEST <= bias <= FARTHEST:
            raise MoveError(f"bias {number(bias)} is not from {number(-FARTHEST)} to {number(FARTHEST)}")
        return replace(self, bias=bias)

    def with_depth(self, depth: int) -> ActivationsState:
        """Another number of layers.

        Raises:
            MoveError: when it is out of range.
        """
        if not 1 <= depth <= DEEPEST:
            raise MoveError(f"depth {depth} is not from 1 to {DEEPEST}")
        return replace(self, depth=depth)


def curve(name: str, points: int, slope: bool = False) -> Points:
    """A function, or its slope, over the whole range."""
    x = np.linspace(LEAST, MOST, points)
    y = (SLOPES if slope else ACTIVATIONS)[name](x)
    return tuple(zip(x.tolist(), y.tolist(), strict=True))


def histogram(state: ActivationsState, columns: int) -> tuple[Array, Array]:
    """How many sums fall on each of so many columns of the range; whether the chosen function is flat in its middle."""
    counts, edges = np.histogram(state.sums, columns, (LEAST, MOST))
    return counts, SLOPES[state.chosen]((edges[1:] + edges[:-1]) / 2) == 0


def told(state: ActivationsState) -> str:
    """The present place in a sentence."""
    name = state.chosen
    value, slope = (significant(each, DIGITS) for each in (state.value(name), state.slope(name)))
    left = significant(state.product(name), DIGITS)
    return (
        f"At x = {number(state.at, DIGITS)}, {name} gives {value} and its slope is {slope}. Back through "
        f"{plural(state.depth, 'layer')} with that slope, a gradient of 1 becomes {left}."
    )


def told_of_sums(state: ActivationsState) -> str:
    """What the bias does to the unit, in a sentence."""
    flat, name = state.flat(state.chosen), state.chosen
    bias = f"With a bias of {number(state.bias, DIGITS)}"
    if flat == SAMPLES:
        return f"{bias}, all {SAMPLES:,} sums fall where {name} is flat. The unit is dead: no gradient gets through it."
    mean = significant(state.mean_slope(name), 3)
    if not flat:
        return f"{bias}, none of {SAMPLES:,} sums falls where {name} is flat. The mean slope of all of them is {mean}."
    share = significant(100 * flat / SAMPLES, DIGITS)
    return (
        f"{bias}, {flat:,} of {SAMPLES:,} sums ({share} %) fall where {name} is flat: the unit learns nothing from "
        f"them. The mean slope of all is {mean}."
    )
