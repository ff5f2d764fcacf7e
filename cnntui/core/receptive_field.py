"""What one unit sees of the input: the closed recursion, and the exact set of inputs of a single unit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cnntui.core.axis import AdaptiveAxis, AnyAxis


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field along one axis, in input pixels.

    `size` pixels from first to last; units lie `jump` apart; unit 0 is centred at `start`, pixel 0 at 0, borders
    ignored (Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks, Distill 2019).
    """

    size: float = 1
    jump: float = 1
    start: float = 0.0

    def through(self, axis: AnyAxis) -> Field:
        """The field one window later: `size += (k-1)·d·jump`, `start += ((k-1)·d/2 - p)·jump`, `jump *= s`.

        Transposed, where an output reads at most `⌊(k-1)·d/s⌋ + 1` inputs: `size += ⌊(k-1)·d/s⌋·jump`,
        `start += (p - (k-1)·d/2)/s·jump`, `jump /= s`. An adaptive pool counts with its longest window.
        """
        if isinstance(axis, AdaptiveAxis):
            stride = axis.size / axis.outputs
            middle = (axis.counted(0) - 1) / 2
            return self._moved(axis.kernel - 1, middle, stride)
        reach = (axis.kernel - 1) * axis.dilation
        if axis.transposed:
            return self._moved(reach // axis.stride, (axis.padding[0] - reach / 2) / axis.stride, 1 / axis.stride)
        return self._moved(reach, reach / 2 - axis.padding[0], axis.stride)

    def _moved(self, reach: float, middle: float, stride: float) -> Field:
        return Field(_whole(self.size + reach * self.jump), _whole(self.jump * stride), self.start + middle * self.jump)


def field_text(field: tuple[Field, Field]) -> str:
    """The size as the screens print it: 5, or rows×columns where they differ."""
    return "×".join(dict.fromkeys(f"{axis.size:.3g}" for axis in field))


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value


def seen(axes: Iterable[AnyAxis], unit: int) -> frozenset[int]:
    """The input indices that can move output `unit` of stacked `axes` (first layer first), clipped at every layer."""
    reached = {unit}
    for axis in reversed(list(axes)):
        reached = {where for output in reached for where in axis.reads(output) if where is not None}
    return frozenset(reached)
