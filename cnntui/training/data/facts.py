"""What there is to tell of a data set: how many of each class, and what its pictures look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cnntui.training.data.fitting import Fitting
from cnntui.training.data.sets import DataSet

EACH = 4  # sample pictures of a class
MOST = 64  # of all classes together
LARGEST = 32  # their longer side


@dataclass(frozen=True)
class Facts:
    """As `events.Data` tells them. `samples` are uint8 (N, C, H, W), the first test pictures of each class."""

    train_counts: list[int]
    test_counts: list[int]
    mean: list[float]
    deviation: list[float]
    samples: np.ndarray
    sample_labels: list[int]


def facts(data: DataSet, fit: Fitting) -> Facts:
    """The facts of `data`; at most 64 samples, averaged down to at most 32×32."""
    classes = len(data.classes)
    each = max(1, min(EACH, MOST // classes))
    labels = data.test_labels.cpu()
    chosen = torch.cat([(labels == c).nonzero().flatten()[:each] for c in range(min(classes, MOST))])
    samples = _shrunk(data.test_images[chosen.to(data.test_images.device)].cpu())
    return Facts(
        _counts(data.train_labels, classes),
        _counts(data.test_labels, classes),
        fit.mean,
        fit.deviation,
        samples.numpy(),
        labels[chosen].tolist(),
    )


def _counts(labels: Tensor, classes: int) -> list[int]:
    counts: list[int] = torch.bincount(labels.cpu(), minlength=classes).tolist()
    return counts


def _shrunk(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    longer = max(height, width)
    if longer <= LARGEST or not len(images):
        return images
    size = (max(1, round(height * LARGEST / longer)), max(1, round(width * LARGEST / longer)))
    return nn.functional.adaptive_avg_pool2d(images.float(), size).round().to(torch.uint8)
