"""What one unit sees of the input, in closed form: the recursion over windows, and the hull where branches meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

from cnntui.core.axis import AdaptiveAxis, AnyAxis

FAR = 10**100  # pixels: there the numbers stop growing


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field along one axis, in input pixels.

    `size` pixels from first to last; units lie `jump` apart; unit 0 is centred at `start`, pixel 0 at 0, borders
    ignored (Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks, Distill 2019).
    Where branches meet it is their hull. `aligned` is False once units differ in what they see, and this is their middle:
    where branches of other jumps or centres have met, or behind a map that was made larger.

    `variance`, in pixels squared, is that of the influence of the pixels before any training, were all weights of a
    window equal: `Σ (d·jump)²·(k²-1)/12` along the widest branch (after Luo et al.: Understanding the Effective
    Receptive Field in Deep Convolutional Neural Networks, NIPS 2016).
    """

    size: float = 1
    jump: float = 1
    start: float = 0.0
    aligned: bool = field(default=True, compare=False)
    variance: float = field(default=0.0, compare=False)

    @property
    def deviation(self) -> float:
        """The square root of the variance, in pixels."""
        return sqrt(self.variance)

    def through(self, axis: AnyAxis) -> Field:
        """The field one window later: `size += (k-1)·d·jump`, `start += ((k-1)·d/2 - p)·jump`, `jump *= s`.

        Transposed, where an output reads at most `⌊(k-1)·d/s⌋ + 1` inputs: `size += ⌊(k-1)·d/s⌋·jump`,
        `start += (p - (k-1)·d/2)/s·jump`, `jump /= s`. An adaptive pool counts with its longest window.
        """
        if isinstance(axis, AdaptiveAxis):
            stride = axis.size / axis.outputs
            middle = (axis.counted(0) - 1) / 2
            alike = axis.size % axis.outputs == 0
            return replace(self._moved(axis.kernel, 1, middle, stride), aligned=self.aligned and alike)
        reach = (axis.kernel - 1) * axis.dilation
        if axis.transposed:
            middle = (axis.padding[0] - reach / 2) / axis.stride
            larger = self._moved(reach // axis.stride + 1, 1, middle, 1 / axis.stride)
            return replace(larger, aligned=self.aligned and axis.stride == 1)
        return self._moved(axis.kernel, axis.dilation, reach / 2 - axis.padding[0], axis.stride)

    def _moved(self, taps: int, apart: int, middle: float, stride: float) -> Field:
        return Field(
            min(_whole(self.size + (taps - 1) * apart * self.jump), FAR),
            min(_whole(self.jump * stride), FAR),
            self.start + middle * self.jump,
            self.aligned,
            self.variance + (apart * self.jump) ** 2 * (taps**2 - 1) / 12,
        )


def hull(fields: Sequence[Field]) -> Field:
    """What units see where branches meet: from the lowest low to the highest high."""
    first = fields[0]
    if all(other == first for other in fields):
        widest = max(fields, key=lambda one: one.variance)
        return replace(first, variance=widest.variance, aligned=all(one.aligned for one in fields))
    low = min(one.start - (one.size - 1) / 2 for one in fields)
    high = max(one.start + (one.size - 1) / 2 for one in fields)
    jump = max(one.jump for one in fields)
    centred = all(one.jump == first.jump and one.start == first.start for one in fields)
    return Field(
        _whole(high - low + 1),
        jump,
        (low + high) / 2,
        centred and all(one.aligned for one in fields),
        max(one.variance for one in fields),
    )


def field_text(fields: tuple[Field, Field]) -> str:
    """The size as the screens print it: 5, or rows×columns where they differ."""
    return "×".join(dict.fromkeys(pixels_text(axis.size) for axis in fields))


def pixels_text(pixels: float) -> str:
    """A length in pixels: whole where it is, else with as many decimals as matter."""
    return f"{pixels:.0f}" if abs(pixels) > 999 or pixels == int(pixels) else f"{pixels:.4g}"


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value
