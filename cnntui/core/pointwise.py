"""Layers that keep the shape: activations and normalisations, with torch's names and defaults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import Layer, Shape


@dataclass(frozen=True, slots=True)
class Identity(Layer):
    """x, as it is."""

    op: ClassVar[str] = "id"


@dataclass(frozen=True, slots=True)
class ReLU(Layer):
    """max(0, x)."""

    op: ClassVar[str] = "relu"
    saves: ClassVar[str] = "output"


@dataclass(frozen=True, slots=True)
class ReLU6(Layer):
    """min(max(0, x), 6)."""

    op: ClassVar[str] = "relu6"
    saves: ClassVar[str] = "input"


@dataclass(frozen=True, slots=True)
class LeakyReLU(Layer):
    """x where positive, else 0.01 x."""

    op: ClassVar[str] = "leakyrelu"
    saves: ClassVar[str] = "input"


@dataclass(frozen=True, slots=True)
class ELU(Layer):
    """x where positive, else exp(x) − 1."""

    op: ClassVar[str] = "elu"
    saves: ClassVar[str] = "input"


@dataclass(frozen=True, slots=True)
class GELU(Layer):
    """x times the normal distribution's cumulative function of x."""

    op: ClassVar[str] = "gelu"
    saves: ClassVar[str] = "input"


@dataclass(frozen=True, slots=True)
class SiLU(Layer):
    """x times its sigmoid."""

    op: ClassVar[str] = "silu"
    saves: ClassVar[str] = "input"


@dataclass(frozen=True, slots=True)
class Hardswish(Layer):
    """x · relu6(x + 3) / 6."""

    op: ClassVar[str] = "hardswish"
    saves: ClassVar[str] = "input"


@dataclass(frozen=True, slots=True)
class Tanh(Layer):
    """The hyperbolic tangent."""

    op: ClassVar[str] = "tanh"
    saves: ClassVar[str] = "output"


@dataclass(frozen=True, slots=True)
class Sigmoid(Layer):
    """1 / (1 + exp(−x))."""

    op: ClassVar[str] = "sigmoid"
    saves: ClassVar[str] = "output"


@dataclass(frozen=True, slots=True)
class Softmax(Layer):
    """exp(x) over its sum over the channels: torch.nn.Softmax."""

    op: ClassVar[str] = "softmax"
    saves: ClassVar[str] = "output"


@dataclass(frozen=True, slots=True)
class BatchNorm(Layer):
    """A channel normalised over the batch: torch.nn.BatchNorm2d.

    BatchNorm1d on vectors. A weight and a bias a channel.
    """

    op: ClassVar[str] = "bn"
    saves: ClassVar[str] = "input"

    def params(self, shape: Shape) -> int:
        """2C; the running mean and variance are buffers."""
        return 2 * shape[0]

    def buffers(self, shape: Shape) -> int:
        """The running mean and variance of each channel, and how many batches were seen."""
        return 2 * shape[0] + 1


@dataclass(frozen=True, slots=True)
class LayerNorm(Layer):
    """Normalised over all of (C, H, W): torch.nn.LayerNorm.

    A weight and a bias for each number. The mean is over the whole map.
    """

    op: ClassVar[str] = "ln"
    saves: ClassVar[str] = "input"

    def params(self, shape: Shape) -> int:
        """2·C·H·W."""
        return 2 * prod(shape)

    def sees_everything(self) -> bool:
        """The mean and the variance do."""
        return True


@dataclass(frozen=True, slots=True)
class InstanceNorm(Layer):
    """Each channel normalised by itself: torch.nn.InstanceNorm2d.

    It has no parameters by default.
    """

    op: ClassVar[str] = "in"
    saves: ClassVar[str] = "input"

    def output(self, shape: Shape) -> Shape:
        """As its input, which is a map of more than one cell."""
        if len(shape) != 3:
            raise ImpossibleError(f"in needs channels×height×width, but its input is a vector of {prod(shape)}")
        if prod(shape[1:]) < 2:
            raise ImpossibleError(f"in over {prod(shape[1:])} cell a channel < 2: a single cell has no variance")
        return shape

    def sees_everything(self) -> bool:
        """The mean and the variance do."""
        return True


@dataclass(frozen=True, slots=True)
class GroupNorm(Layer):
    """Normalised over groups of channels: torch.nn.GroupNorm.

    A weight and a bias a channel.
    """

    op: ClassVar[str] = "gn"
    saves: ClassVar[str] = "input"
    num_groups: int

    def output(self, shape: Shape) -> Shape:
        """As its input, where the groups divide its channels."""
        if self.num_groups < 1 or shape[0] % self.num_groups:
            raise ImpossibleError(f"groups {self.num_groups} must divide {shape[0]} channels")
        return shape

    def variants(self, shape: Shape) -> Iterator[tuple[Layer, ...]]:
        """Fewer groups, which divide."""
        for groups in range(max(min(self.num_groups, shape[0]), 1), 0, -1):
            yield (replace(self, num_groups=groups),)

    def params(self, shape: Shape) -> int:
        """2C."""
        return 2 * shape[0]

    def sees_everything(self) -> bool:
        """The mean and the variance do."""
        return True


@dataclass(frozen=True, slots=True)
class LocalResponseNorm(Layer):
    """Over 5 neighbouring channels: torch.nn.LocalResponseNorm.

    As in AlexNet's paper.
    """

    op: ClassVar[str] = "lrn"
    saves: ClassVar[str] = "input"

    def output(self, shape: Shape) -> Shape:
        """As its input, which is a map."""
        if len(shape) != 3:
            raise ImpossibleError(f"lrn needs channels×height×width, but its input is a vector of {prod(shape)}")
        return shape

    def extra_bytes(self, shape: Shape) -> int:
        """The squares with two channels of zeros on either side, the sums plus 1, and their root."""
        channels, height, width = shape
        return 4 * (3 * channels + 4) * height * width


@dataclass(frozen=True, slots=True)
class Dropout(Layer):
    """Some numbers 0 while it is trained: torch.nn.Dropout.

    Each with probability `p`.
    """

    op: ClassVar[str] = "dropout"
    p: float = 0.5

    def output(self, shape: Shape) -> Shape:
        """As its input."""
        if not 0 <= self.p <= 1:
            raise ImpossibleError(f"dropout {self.p:g} is not a probability from 0 to 1")
        return shape

    def variants(self, shape: Shape) -> Iterator[tuple[Layer, ...]]:
        """The default."""
        yield (Dropout(),)

    def extra_bytes(self, shape: Shape) -> int:
        """Which numbers were kept: a byte each (torch's fused kernel on a GPU; four on a CPU)."""
        return prod(shape) if 0 < self.p < 1 else 0


# Called as in torch.nn, and made without arguments.
AS_IN_TORCH = (Identity, ReLU, ReLU6, LeakyReLU, ELU, GELU, SiLU, Hardswish, Tanh, Sigmoid)
