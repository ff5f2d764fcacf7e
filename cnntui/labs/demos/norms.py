"""The four normalisations on one small tensor: over which numbers each takes its mean, and what that makes of a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cnntui.core.arithmetic import number
from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import Layer, Pair, shape_text
from cnntui.core.mending import dividing
from cnntui.core.parameters import EPSILON
from cnntui.core.pointwise import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from cnntui.core.windows import Array
from cnntui.core.workings import Line, worked
from cnntui.labs.convolve import MoveError
from cnntui.labs.demos import known, plural

KINDS = ("batch", "layer", "instance", "group")
SHAPE = (2, 4, 3, 3)  # pictures, channels, rows, columns
LARGEST = 99  # a number from −99 to 99
Place = tuple[int, int, int, int]

AXES = {"batch": "N, H, W", "layer": "C, H, W", "instance": "H, W", "group": "C/G, H, W"}
ABOUT = {
    "batch": "a mean for each channel",
    "layer": "a mean for each picture",
    "instance": "a mean for each channel of each picture",
    "group": "a mean for some channels of a picture",
}
WHOSE = {"affine": "a weight and a bias for each channel", "each": "a weight and a bias for each number of a picture"}


def drawn(seed: int) -> Array:
    """SHAPE random whole numbers; the channels differ in height and in spread, the pictures in height."""
    rng = np.random.default_rng(seed)
    pictures, channels, _, _ = SHAPE
    middle = rng.integers(-2, 7, (1, channels, 1, 1)) + rng.integers(-2, 3, (pictures, 1, 1, 1))
    reach = rng.integers(1, 4, (1, channels, 1, 1))
    return np.asarray(middle + reach * rng.integers(-1, 2, SHAPE) + rng.integers(0, 2, SHAPE), dtype=float)


@dataclass(frozen=True, eq=False)
class NormsState:
    """A tensor, a normalisation, and the number that is looked at.

    Args:
        kind: one of KINDS.
        parts: groups of channels, where the kind is `group`.
        place: picture, channel, row, column.
        tensor: SHAPE.
        after: whether one looks at what the normalisation has made.
        channels, size: of the layer whose parameters are counted.
    """

    kind: str = "batch"
    parts: int = 2
    place: Place = (0, 0, 0, 0)
    tensor: Array = field(default_factory=lambda: drawn(0))
    after: bool = False
    channels: int = SHAPE[1]
    size: Pair = SHAPE[2:]

    # -- what follows from it

    @cached_property
    def numbers(self) -> Array:
        """Which mean each picture and channel has: (N, C), from 0."""
        pictures, channels = np.indices(SHAPE[:2])
        of = {
            "batch": channels,
            "layer": pictures,
            "instance": pictures * SHAPE[1] + channels,
            "group": pictures * self.parts + channels * self.parts // SHAPE[1],
        }
        return np.asarray(of[self.kind])

    @property
    def groups(self) -> int:
        """How many different means there are."""
        return int(self.numbers.max()) + 1

    def mates(self, place: Place) -> Array:
        """All numbers whose mean is taken together with that one: (n,)."""
        return np.asarray(self.tensor[self.numbers == self.numbers[place[:2]]].reshape(-1))

    @cached_property
    def normalised(self) -> Array:
        """(x − mean) / √(variance + ε): SHAPE."""
        made = np.empty(SHAPE)
        for which in range(self.groups):
            own = self.numbers == which
            x = self.tensor[own]
            made[own] = (x - x.mean()) / np.sqrt(x.var() + EPSILON)
        return made

    @property
    def value(self) -> float:
        """The number looked at."""
        return float(self.tensor[self.place])

    @property
    def layer(self) -> Layer:
        """The layer of that kind."""
        layers: dict[str, Callable[[], Layer]] = {
            "batch": BatchNorm, "layer": LayerNorm, "instance": InstanceNorm, "group": lambda: GroupNorm(self.parts),
        }  # fmt: skip
        return layers[self.kind]()

    @property
    def counted(self) -> tuple[int, int, int]:
        """The shape of one picture of the layer that is counted."""
        return self.channels, *self.size

    @property
    def params(self) -> int:
        """Its trainable parameters."""
        return self.layer.params(self.counted)

    @property
    def lines(self) -> tuple[Line, ...]:
        """How the number is made, line by line, re-adding: its mean, its variance, itself."""
        over = self.mates(self.place)
        given = {
            "s": float(over.sum()),
            "q": float(np.square(over - over.mean()).sum()),
            "n": float(over.size),
            "x": self.value,
            "e": EPSILON,
        }
        steps = (("mean", "s / n"), ("variance", "q / n"), ("result", "(x − mean) / √(variance + e)"))
        return worked(steps, given, "x")

    # -- moves

    def with_kind(self, kind: str, parts: int | None = None) -> NormsState:
        """Another kind, of group normalisation with so many groups.

        Raises:
            ValueError: when there is none of that name, or the groups do not divide the channels.
        """
        known(kind, KINDS, "normalisation")
        if parts is not None and kind != "group":
            raise MoveError(f"{kind} normalisation has no groups; write kind {kind}, or kind group {parts}")
        return replace(self, kind=kind, parts=self.parts if parts is None else parts)._possible()

    def next_kind(self, by: int = 1) -> NormsState:
        """The next kind, round and round."""
        return self.with_kind(KINDS[(KINDS.index(self.kind) + by) % len(KINDS)])

    def next_groups(self) -> NormsState:
        """Group normalisation with the next number of groups that divides the channels, round and round."""
        possible = dividing(SHAPE[1], self.channels)
        return self.with_kind("group", next((g for g in possible if g > self.parts), 1))

    def _possible(self) -> NormsState:
        """This state, if its layer is possible both on the tensor that is drawn and on the one that is counted."""
        try:
            for shape in (SHAPE[1:], self.counted):
                self.layer.output(shape)
        except ImpossibleError as error:
            raise MoveError(str(error)) from None
        return self

    def with_counted(self, channels: int, size: Pair) -> NormsState:
        """Count the parameters of a layer of so many channels and cells.

        Raises:
            MoveError: when the layer is impossible there.
        """
        return replace(self, channels=channels, size=size)._possible()

    def to(self, *place: int) -> NormsState:
        """Another number; beyond the border is the border."""
        picture, channel, row, column = (min(max(0, i), size - 1) for i, size in zip(place, SHAPE, strict=True))
        return replace(self, place=(picture, channel, row, column))

    def moved(self, rows: int, columns: int) -> NormsState:
        """So many cells down and to the right, on into the next picture and the next channel."""
        picture, channel, row, column = self.place
        down = min(max(0, picture * SHAPE[2] + row + rows), SHAPE[0] * SHAPE[2] - 1)
        across = min(max(0, channel * SHAPE[3] + column + columns), SHAPE[1] * SHAPE[3] - 1)
        return self.to(down // SHAPE[2], across // SHAPE[3], down % SHAPE[2], across % SHAPE[3])

    def with_value(self, value: float) -> NormsState:
        """Another number at this place.

        Raises:
            MoveError: when it is out of range.
        """
        if abs(value) > LARGEST:
            raise MoveError(f"{number(value)} is not from {number(-LARGEST)} to {LARGEST}")
        tensor = self.tensor.copy()
        tensor[self.place] = value
        return replace(self, tensor=tensor)

    def random(self, seed: int) -> NormsState:
        """Other numbers."""
        return replace(self, tensor=drawn(seed))

    def seen(self, after: bool) -> NormsState:
        """Look at the numbers before, or after the normalisation."""
        return replace(self, after=after)


def named(state: NormsState) -> str:
    """The kind with its groups."""
    return f"group {state.parts}" if state.kind == "group" else state.kind


def told(state: NormsState) -> str:
    """Over what the mean is taken, in a sentence."""
    own = state.numbers == state.numbers[state.place[:2]]
    pictures, channels = (np.flatnonzero(own.any(axis)).tolist() for axis in (1, 0))
    return (
        f"Mean and variance are taken over {plural(state.mates(state.place).size, 'number')}: "
        f"{_listed('channel', channels, SHAPE[1])} of {_listed('picture', pictures, SHAPE[0])}. "
        f"There are {plural(state.groups, 'such mean')} in all, a letter each."
    )


def _listed(what: str, these: list[int], of: int) -> str:
    """`channel 2`, `channels 2 and 3`, `all 4 channels`."""
    if len(these) == 1:
        return f"{what} {these[0]}"
    if len(these) == of:
        return f"both {what}s" if of == 2 else f"all {of} {what}s"
    return f"{what}s {', '.join(map(str, these[:-1]))} and {these[-1]}"


def told_of_params(state: NormsState) -> str:
    """What the layer learns, in a sentence."""
    shape, kind = shape_text(state.counted), state.kind
    if not state.params:
        return f"On pictures of {shape}, {kind} normalisation has no parameters, as torch makes it by default."
    for_each = WHOSE["each" if kind == "layer" else "affine"]
    return f"On pictures of {shape}, {kind} normalisation has {plural(state.params, 'parameter')}: {for_each}."
