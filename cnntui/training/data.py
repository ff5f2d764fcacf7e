"""Data sets as uint8 tensors that live on the device; fitting them to a net's input happens there too, batch by batch."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from cnntui.core.layers import Shape, shape_text

DOWNLOAD_TIMEOUT = 10.0


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
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Fitting:
    """uint8 pictures -> a net's normalised input. Mean and deviation are the training pictures', by channel."""

    shape: tuple[int, int, int]
    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, data: DataSet, shape: Shape) -> Fitting:
        """How the pictures of `data` become inputs of `shape` (C, H, W).

        Raises:
            DataError: when the channels cannot be matched.
        """
        channels, height, width = shape
        if channels not in (data.shape[0], 3):
            raise DataError(
                f"the net takes {shape_text(shape)}, but the pictures of {data.name} have {data.shape[0]} "
                f"channel{'s' * (data.shape[0] > 1)}"
            )
        # In float64 and by histogram: exact, and without a float copy of all the pictures.
        levels = torch.arange(256, dtype=torch.float64) / 255
        means, deviations = [], []
        for channel in range(data.shape[0]):
            counts = torch.bincount(data.train_images[:, channel].flatten().cpu().int(), minlength=256).double()
            mean = float((levels * counts).sum() / counts.sum())
            means.append(mean)
            deviations.append(max(1e-6, float((((levels - mean) ** 2 * counts).sum() / counts.sum()).sqrt())))
        device = data.train_images.device

        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, device=device, dtype=torch.float32).view(1, -1, 1, 1)

        return cls((channels, height, width), column(means), column(deviations))

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, h, w) uint8 -> (B, C, H, W) float32."""
        channels, height, width = self.shape
        x = images.float().div_(255)
        x = resize(x, height, width)
        x = x.sub_(self.mean).div_(self.deviation)
        return x if x.shape[1] == channels else x.expand(-1, channels, -1, -1)


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


def load(name: str, root: Path, say: Callable[[str], None]) -> DataSet:
    """The data set; `auto` is MNIST, or the bundled digits where that cannot be had. `say` gets what a person should know.

    Raises:
        DataError: when it cannot be had.
    """
    if name == "digits":
        return digits()
    if name != "auto":
        return from_torchvision(name, root, say)
    try:
        return from_torchvision("mnist", root, say)
    except DataError as error:
        say(f"{error}; training on scikit-learn's bundled 8×8 digits instead, which are few: take 20 epochs or more")
        return digits()


def digits() -> DataSet:
    """scikit-learn's 1,797 scans of 8×8, split once and for all: 1,437 to train, 360 to test, each class alike."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise DataError("the bundled digits need scikit-learn: pip install 'cnntui[train]'") from None

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    parts = train_test_split(images, bunch.target, test_size=360, random_state=0, stratify=bunch.target)
    train_x, test_x, train_y, test_y = (torch.from_numpy(np.ascontiguousarray(part)) for part in parts)
    return DataSet("digits", train_x, train_y.long(), test_x, test_y.long(), tuple("0123456789"))


def from_torchvision(name: str, root: Path, say: Callable[[str], None]) -> DataSet:
    """One of torchvision's data sets from `root`, downloaded there first if need be.

    Raises:
        DataError: when it is neither there nor to be downloaded.
    """
    from torchvision import datasets

    kind = {
        "mnist": datasets.MNIST,
        "fashion-mnist": datasets.FashionMNIST,
        "kmnist": datasets.KMNIST,
        "cifar10": datasets.CIFAR10,
    }[name]
    try:
        try:
            train, test = kind(root, train=True), kind(root, train=False)
        except RuntimeError:
            _download(kind, name, root, say)
            train, test = kind(root, train=True), kind(root, train=False)
    except (RuntimeError, OSError, ValueError, EOFError, HTTPException, UnpicklingError) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())[:120] or type(error).__name__
        raise DataError(f"{name} is not in {root} and could not be downloaded ({reason})") from None
    return DataSet(
        name,
        _pictures(train.data),
        torch.as_tensor(train.targets).long(),
        _pictures(test.data),
        torch.as_tensor(test.targets).long(),
        tuple(str(c).split(" - ")[0] for c in train.classes),  # MNIST calls its first class «0 - zero»
    )


def _pictures(data: Tensor | np.ndarray) -> Tensor:
    images = torch.as_tensor(data)
    return (images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2)).contiguous()


def _download(kind: Callable[..., object], name: str, root: Path, say: Callable[[str], None]) -> None:
    """Into a directory beside, moved into place when it is whole, so that nothing half-done is ever found."""
    say(f"downloading {name} to {root}")
    root.mkdir(parents=True, exist_ok=True)
    partial = root / f".partial-{name}-{os.getpid()}"
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        kind(partial, train=True, download=True)
        kind(partial, train=False, download=True)
        for made in partial.rglob("*"):
            if made.is_file():
                target = root / made.relative_to(partial)
                target.parent.mkdir(parents=True, exist_ok=True)
                made.replace(target)
    finally:
        socket.setdefaulttimeout(before)
        shutil.rmtree(partial, ignore_errors=True)
