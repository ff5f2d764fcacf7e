"""Training pictures moved and mirrored at random, a batch at once, on whatever device it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from cnntui.runs.spec import DIGITS

DARK = (*DIGITS, "fashion-mnist")  # drawn on a background of zeros
MIRRORED = ("cifar10", "fashion-mnist")  # where left and right mean the same
SMALL = 32


def resolve(augment: str, data: str) -> str:
    """What `augment` (none, auto, shift, flip) is for the data set called `data`: none, shift or flip.

    Raises:
        ValueError: when digits would be mirrored.
    """
    if augment == "auto":
        return "flip" if data in MIRRORED else "shift"
    if augment == "flip" and data in DIGITS:
        raise ValueError(f"augment 'flip' would mirror the digits of {data}: take 'shift'")
    return augment


def reach(side: int) -> int:
    """By how many pixels a picture of that height or width may be moved: an eighth, but 2 below 32 pixels."""
    return side // 8 if side >= SMALL else min(2, side // 8)


@dataclass(frozen=True)
class Augment:
    """Moves each picture by up to `reach` pixels up or down and left or right; `flip` mirrors half of them as well.

    What comes in from outside is 0, or with `reflect` the picture mirrored at its border, as suits photographs. It is for
    raw pictures, not yet normalised: their background is 0. Every shape is static and nothing waits for the device, so
    that it can be captured in a CUDA graph; there `generator` is to be None, the device's own.
    """

    kind: str
    reflect: bool = False
    generator: torch.Generator | None = None

    @classmethod
    def of(cls, augment: str, data: str, generator: torch.Generator | None = None) -> Augment:
        """What the setting `augment` means for the data set called `data`.

        Raises:
            ValueError: as `resolve`.
        """
        return cls(resolve(augment, data), data not in DARK, generator)

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W) of any dtype -> the same, each picture moved by its own amounts."""
        if self.kind == "none":
            return images
        count, _, height, width = images.shape
        down, right = reach(height), reach(width)
        if self.kind == "flip":
            mirrored = self._random(2, count, images.device).bool().view(-1, 1, 1, 1)
            images = torch.where(mirrored, images.flip(3), images)
        if self.reflect:
            wide = _reflected(_reflected(images, 2, down), 3, right)
        else:
            wide = F.pad(images, (right, right, down, down))
        # Every place of the window is a view of the wide picture: (B, C, 2·down + 1, 2·right + 1, H, W).
        windows = wide.unfold(2, height, 1).unfold(3, width, 1)
        top = self._random(2 * down + 1, count, images.device)
        left = self._random(2 * right + 1, count, images.device)
        return windows[torch.arange(count, device=images.device), :, top, left]

    def _random(self, below: int, count: int, device: torch.device) -> Tensor:
        return torch.randint(below, (count,), device=device, generator=self.generator)


def _reflected(x: Tensor, axis: int, by: int) -> Tensor:
    """Longer by `by` at both ends of an axis, without repeating the border. F.pad cannot do it with uint8."""
    size = x.shape[axis]
    before = x.narrow(axis, 1, by).flip(axis)
    after = x.narrow(axis, size - 1 - by, by).flip(axis)
    return torch.cat([before, x, after], axis)
