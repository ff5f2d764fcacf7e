"""A data set: uint8 tensors, small enough to live on the device as a whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


class DataError(Exception):
    """Why a data set cannot be had, in one line that says what to do."""


@dataclass(frozen=True)
class DataSet:
    """Pictures (N, C, H, W) uint8 and labels (N,) int64, for training and for testing."""

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one picture."""
        _, channels, height, width = self.train_images.shape
        return channels, height, width

    def to(self, device: torch.device) -> DataSet:
        """The same on `device`."""
        return DataSet(
            self.name,
            self.train_images.to(device),
            self.train_labels.to(device),
            self.test_images.to(device),
            self.test_labels.to(device),
            self.classes,
        )

    def sha256(self) -> str:
        """A hash of every picture and label."""
        digest = hashlib.sha256()
        for tensor in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()
