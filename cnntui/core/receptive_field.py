"""What one unit sees of the input: the closed recursion, and the exact set of inputs of a single unit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cnntui.core.axis import Axis


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field along one axis, in input pixels.

    `size` pixels from first to last; units lie `jump` apart; unit 0 is centred at `start`, pixel 0 at 0, borders
    ignored (Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks, Distill 2019).
    """

    size: int = 1
    jump: int = 1
    start: float = 0.0

    def through(self, axis: Axis) -> Field:
        """The field one window later: `size += (k-1)·d·jump`, `start += ((k-1)·d/2 - p)·jump`, `jump *= s`."""
        reach = (axis.kernel - 1) * axis.dilation
        return Field(
            self.size + reach * self.jump,
            self.jump * axis.stride,
            self.start + (reach / 2 - axis.padding[0]) * self.jump,
        )


def seen(axes: Iterable[Axis], unit: int) -> frozenset[int]:
    """The input indices that can move output `unit` of stacked `axes` (first layer first), clipped at every layer."""
    reached = {unit}
    for axis in reversed(list(axes)):
        reached = {where for output in reached for where in axis.reads(output) if where is not None}
    return frozenset(reached)
