"""Pictures made to fit a net: their size, their channels, and the scale of their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from cnntui.core.layers import Shape, shape_text
from cnntui.training.data.sets import DataError, DataSet


@dataclass(frozen=True)
class Fitting:
    """uint8 pictures -> a net's normalised input. Mean and deviation are the training pictures', by channel, of 0..1.

    (x / 255 − mean) / deviation is one multiplication and one addition: x · scale + offset. Nothing in it depends on the
    values, so that it can be captured in a CUDA graph or compiled.
    """

    shape: tuple[int, int, int]
    mean: list[float]
    deviation: list[float]
    scale: Tensor
    offset: Tensor

    @classmethod
    def of(cls, data: DataSet, shape: Shape) -> Fitting:
        """How the pictures of `data` become inputs of `shape` (C, H, W), on the device of `data`.

        Raises:
            DataError: when the channels cannot be matched.
        """
        _match(data.name, data.shape[0], shape)
        # In float64 and by histogram: exact, and without a float copy of all the pictures.
        levels = torch.arange(256, dtype=torch.float64) / 255
        means, deviations = [], []
        for channel in range(data.shape[0]):
            counts = torch.bincount(data.train_images[:, channel].flatten().cpu(), minlength=256).double()
            mean = float((levels * counts).sum() / counts.sum())
            means.append(mean)
            deviations.append(max(1e-6, float((((levels - mean) ** 2 * counts).sum() / counts.sum()).sqrt())))
        return cls.restored(shape, means, deviations, data.train_images.device)

    @classmethod
    def restored(
        cls,
        shape: Shape,
        mean: Sequence[float],
        deviation: Sequence[float],
        device: torch.device | str = "cpu",
    ) -> Fitting:
        """The same again, from what was kept of it: no data set is needed.

        Raises:
            DataError: when the channels cannot be matched, or a deviation is not above 0.
        """
        _match("the data", len(mean), shape)
        if len(mean) != len(deviation) or not all(0 < d < float("inf") for d in deviation):
            raise DataError(f"means {list(mean)} and deviations {list(deviation)} do not normalise pictures")
        channels, height, width = shape
        columns = torch.tensor([mean, deviation], dtype=torch.float64).view(2, 1, -1, 1, 1)
        scale, offset = 1 / (255 * columns[1]), -columns[0] / columns[1]
        return cls(
            (channels, height, width), list(mean), list(deviation), scale.float().to(device), offset.float().to(device)
        )

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, h, w) uint8 -> (B, C, H, W) float32."""
        channels, height, width = self.shape
        x = resize(images.to(torch.float32, copy=True), height, width)
        x = x.mul_(self.scale).add_(self.offset)
        return x if x.shape[1] == channels else x.expand(-1, channels, -1, -1)


def _match(name: str, given: int, shape: Shape) -> None:
    """A net takes the channels that there are; or three, of which grey pictures fill each."""
    if shape[0] not in (given, 3 if given == 1 else given):
        raise DataError(
            f"the net takes {shape_text(shape)}, but the pictures of {name} have {given} channel{'s' * (given > 1)}"
        )


def resize(x: Tensor, height: int, width: int) -> Tensor:
    """Grow by the largest whole factor that fits, then a border of zeros; shrink by averaging areas.

    28×28 for a 32×32 net gets a border of two, as LeCun et al. did; 8×8 digits for a 28×28 net grow threefold.
    """
    factor = min(height // x.shape[2], width // x.shape[3])
    if factor > 1:
        x = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    over = (x.shape[2] > height, x.shape[3] > width)
    if any(over):
        target = (min(height, x.shape[2]), min(width, x.shape[3]))
        x = F.interpolate(x, size=target, mode="area")
    down, right = height - x.shape[2], width - x.shape[3]
    return F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2)) if down or right else x
