"""How the pictures of a run become inputs of its net: known to whoever uses the net elsewhere, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnntui.core.arithmetic import number
from cnntui.core.layers import Shape
from cnntui.runs.checkpoints import State
from cnntui.runs.spec import DATA_SETS, Spec

if TYPE_CHECKING:
    from cnntui.core.windows import Array


@dataclass(frozen=True)
class Preparation:
    """What the trainer does to uint8 pictures (B, C, h, w), each step in its turn.

    They grow by the largest whole factor that fits, shrink by averaging areas where they are too large, get a border of
    zeros up to the input's size, are scaled to 0..1, lose the mean and are divided by the deviation of the training
    pictures, by channel. Grey ones fill every channel of the input.

    Args:
        input: (C, H, W) of the net.
        picture: (C, h, w) of the data; None where it is not known.
        mean, deviation: by channel of the pictures, of 0..1; empty where they are not known.
        data: the name of the data.
        from_files: whether the pictures are from a directory: each was brought to (h, w) when it was read.
    """

    input: Shape
    picture: Shape | None = None
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    data: str = ""
    from_files: bool = False

    @classmethod
    def of(cls, spec: Spec, state: State) -> Preparation:
        """Of a run, as far as a checkpoint of it says."""
        name = state.data or spec.data
        return cls(spec.input, state.shape, tuple(state.mean), tuple(state.deviation), name, spec.data not in DATA_SETS)

    @property
    def is_known(self) -> bool:
        """Whether all of it is known."""
        return self.picture is not None and bool(self.mean) and len(self.mean) == len(self.deviation)

    @property
    def factor(self) -> int:
        """By which they grow, bilinearly; 1: not at all."""
        _, height, width = self._picture
        return max(1, min(self.input[1] // height, self.input[2] // width))

    @property
    def area(self) -> tuple[int, int] | None:
        """The (height, width) that they shrink to; None where they are not too large."""
        _, height, width = self._picture
        target = min(self.input[1], height * self.factor), min(self.input[2], width * self.factor)
        return target if target != (height * self.factor, width * self.factor) else None

    @property
    def border(self) -> tuple[int, int, int, int]:
        """The zeros at their left, right, top and bottom; an odd one is at the right, or the bottom."""
        _, height, width = self._picture
        tall, wide = self.area or (height * self.factor, width * self.factor)
        down, right = self.input[1] - tall, self.input[2] - wide
        return right // 2, right - right // 2, down // 2, down - down // 2

    def prepared(self, pictures: Array) -> Array:
        """Pictures (..., C, h, w) of 0..255 as inputs of the net (..., C, H, W), float64.

        Raises:
            ValueError: when they are not of the data's shape, or it is not known how they are prepared.
        """
        from cnntui.runs.fitting import prepared  # with numpy, which what is only said of it does without

        return prepared(self, pictures)

    @property
    def _picture(self) -> Shape:
        return self.picture or self.input

    @property
    def words(self) -> str:
        """All of it in one line, without an end."""
        _, height, width = self._picture
        steps = [f"pictures of {height}×{width}" if self.picture else "pictures"]
        if self.factor > 1:
            steps.append(f"grown {self.factor} times (bilinear)")
        if self.area:
            steps.append(f"shrunk to {self.area[0]}×{self.area[1]} (averaging areas)")
        if any(self.border):
            steps.append(f"padded with zeros to {self.input[1]}×{self.input[2]}")
        steps += ["scaled to 0..1", "then less the mean and over the deviation of the training pictures, by channel"]
        line = ", ".join(steps)
        if self.mean and self.deviation:
            mean, deviation = (", ".join(number(v, 6) for v in values) for values in (self.mean, self.deviation))
            line += f": mean {mean}, deviation {deviation}"
        if self.picture and self.picture[0] < self.input[0]:
            line += f"; grey, the same in all {self.input[0]} channels"
        return line
