"""Network -> torch.nn.Module."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import reduce
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cnntui.core import layers, merges, pointwise
from cnntui.core.analysis import Analysis, analyse
from cnntui.core.layers import Layer, Shape
from cnntui.core.network import INPUT, Network
from cnntui.core.parameters import module_names


class Scale(nn.Module):
    """One trainable weight and one bias a channel: what LeNet's subsampling adds to the mean."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Times the weight, plus the bias."""
        return x * self.weight + self.bias


class TableConv(nn.Module):
    """A convolution whose outputs each see the input channels of their row in a table: LeNet's C3."""

    def __init__(self, layer: layers.Conv, table: layers.Table, in_channels: int) -> None:
        super().__init__()
        self.layer, self.shape = layer, (layer.out_channels, in_channels, *layer.kernel_size)
        self.fans = [len(row) * layer.kernel_size[0] * layer.kernel_size[1] for row in table.inputs]
        pairs = [(output, channel) for output, row in enumerate(table.inputs) for channel in row]
        self.weight = nn.Parameter(torch.empty(len(pairs), *layer.kernel_size))
        self.bias = nn.Parameter(torch.empty(layer.out_channels)) if layer.bias else None
        outputs, channels = torch.tensor(pairs).T
        self.register_buffer("outputs", outputs, persistent=False)
        self.register_buffer("channels", channels, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As torch's Conv2d: uniform within one over the root of what each output sees."""
        bounds = self.weight.new_tensor(self.fans).rsqrt()
        with torch.no_grad():
            self.weight.uniform_(-1, 1).mul_(bounds[self.get_buffer("outputs"), None, None])
            if self.bias is not None:
                self.bias.uniform_(-1, 1).mul_(bounds)

    def forward(self, x: Tensor) -> Tensor:
        """The convolution with a kernel that is zero outside the table."""
        at = (self.get_buffer("outputs"), self.get_buffer("channels"))
        kernel = self.weight.new_zeros(self.shape).index_put(at, self.weight)
        layer = self.layer
        return nn.functional.conv2d(x, kernel, self.bias, layer.stride, layer.padding, layer.dilation)


class Merging(nn.Module):
    """Where branches meet."""

    def __init__(self, merge: merges.Merge) -> None:
        super().__init__()
        self.merge = merge

    def forward(self, *inputs: Tensor) -> Tensor:
        """The sum, the product, or the channels side by side."""
        match self.merge:
            case merges.Cat():
                return torch.cat(inputs, 1)
            case merges.Add():
                return reduce(torch.add, inputs)
            case _:
                most = max(x.dim() for x in inputs)
                return reduce(torch.mul, (x[..., None, None] if x.dim() < most else x for x in inputs))


class Net(nn.Module):
    """A network's layers, run in the order of its nodes; submodules carry the names of the nodes."""

    def __init__(self, analysis: Analysis) -> None:
        super().__init__()
        self._frozen: list[str] = []
        modules = module_names(analysis.network)
        last = {name: index for index, row in enumerate(analysis.rows) for name in row.node.inputs}
        self._plan: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]] = []
        for index, row in enumerate(analysis.rows):
            node = row.node
            own = modules[node.name]
            is_merge = isinstance(node.layer, merges.Merge)
            self.add_module(own, Merging(node.layer) if is_merge else module(node.layer, row.input or ()))  # type: ignore[arg-type]
            done = tuple(name for name in dict.fromkeys(node.inputs) if last[name] == index)
            self._plan.append((node.name, own, node.inputs, done))

    def freeze(self, nodes: Collection[str]) -> None:
        """Train the layers of these nodes no more; their batch norms keep their statistics from here on."""
        self._frozen = [own for name, own, _, _ in self._plan if name in nodes]
        for own in self._frozen:
            self._modules[own].requires_grad_(False)  # type: ignore[union-attr]
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As torch's, but for the batch norms that are frozen: they take no statistics of a batch."""
        super().train(mode)
        for own in self._frozen:
            if isinstance(norm := self._modules[own], _BatchNorm):
                norm.eval()
        return self

    def trace(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Each node's name and what it makes of a batch, in order; what nothing reads any more is let go."""
        values = {INPUT: x}
        for name, own, inputs, done in self._plan:
            values[name] = self._modules[own](*(values[read] for read in inputs))  # type: ignore[misc]
            for read in done:
                del values[read]
            yield name, values[name]

    def forward(self, x: Tensor) -> Tensor:
        """What the last node makes of a batch."""
        made = x
        for _, made in self.trace(x):  # noqa: B007
            pass
        return made


def build(network: Network) -> Net:
    """The network as a module; its submodules are in the order of the nodes and carry their names.

    Raises:
        ValueError: `layer NAME: …` when a layer is impossible.
    """
    analysis = analyse(network)
    if analysis.error:
        raise ValueError(analysis.error)
    return Net(analysis)


def module(layer: Layer, shape: Shape) -> nn.Module:
    """One layer as torch's own, for an input of `shape`."""
    match layer:
        case layers.Conv(table=layers.Table() as table):
            return TableConv(layer, table, shape[0])
        case layers.Conv():
            return nn.Conv2d(
                shape[0],
                layer.out_channels,
                layer.kernel_size,
                layer.stride,
                layer.padding,
                layer.dilation,
                layer.groups,
                layer.bias,
            )
        case layers.MaxPool():
            return nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode)
        case layers.AvgPool():
            return nn.AvgPool2d(
                layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode, layer.count_include_pad
            )
        case layers.GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case layers.Flatten():
            return nn.Flatten()
        case layers.Linear():
            return nn.Linear(shape[0], layer.out_features, layer.bias)
        case pointwise.BatchNorm():
            return nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])
        case pointwise.Dropout():
            return nn.Dropout(layer.p)
        case layers.DepthwiseConv():
            return module(layer.conv(shape), shape)
        case layers.TransposedConv():
            return nn.ConvTranspose2d(
                shape[0],
                layer.out_channels,
                layer.kernel_size,
                layer.stride,
                layer.padding,
                layer.output_padding,
                layer.groups,
                layer.bias,
                layer.dilation,
            )
        case layers.AdaptiveAvgPool():
            return nn.AdaptiveAvgPool2d(layer.output_size)
        case layers.Subsample():
            return nn.Sequential(nn.AvgPool2d(layer.kernel_size), Scale(shape[0]))
        case layers.Upsample():
            return nn.Upsample(scale_factor=layer.scale_factor)
        case layers.Pad():
            return nn.ZeroPad2d(layer.padding)
        case pointwise.LayerNorm():
            return nn.LayerNorm(shape)
        case pointwise.InstanceNorm():
            return nn.InstanceNorm2d(shape[0])
        case pointwise.GroupNorm():
            return nn.GroupNorm(layer.num_groups, shape[0])
        case pointwise.LocalResponseNorm():
            return nn.LocalResponseNorm(5)
        case pointwise.Softmax():
            return nn.Softmax(dim=1)
        case _ if isinstance(layer, pointwise.AS_IN_TORCH):
            return getattr(nn, type(layer).__name__)()  # type: ignore[no-any-return]
    raise ValueError(f"no module for the layer {layer.op}")
