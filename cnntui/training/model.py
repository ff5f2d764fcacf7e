"""Network -> torch.nn.Module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnntui.core import layers, pointwise
from cnntui.core.layers import Layer, Shape
from cnntui.core.network import Network, analyse

SAME_NAME: dict[type[Layer], str] = {
    pointwise.Identity: "Identity",
    pointwise.ReLU: "ReLU",
    pointwise.ReLU6: "ReLU6",
    pointwise.LeakyReLU: "LeakyReLU",
    pointwise.ELU: "ELU",
    pointwise.GELU: "GELU",
    pointwise.SiLU: "SiLU",
    pointwise.Hardswish: "Hardswish",
    pointwise.Tanh: "Tanh",
    pointwise.Sigmoid: "Sigmoid",
}


class Scale(nn.Module):
    """One trainable weight and one bias a channel: what LeNet's subsampling adds to the mean."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Times the weight, plus the bias."""
        return x * self.weight + self.bias


def build(network: Network) -> nn.Sequential:
    """The network as a module; its submodules are in the order of the nodes and carry their names.

    Raises:
        ValueError: `layer NAME: …` when a layer is impossible.
    """
    analysis = analyse(network)
    if analysis.error:
        raise ValueError(analysis.error)
    model = nn.Sequential()
    for row in analysis.rows:
        name = row.node.name
        # A layer called train or eval must not hide the module's own.
        model.add_module(f"{name}_" if hasattr(model, name) else name, module(row.node.layer, row.input or ()))
    return model


def module(layer: Layer, shape: Shape) -> nn.Module:
    """One layer as torch's own, for an input of `shape`."""
    match layer:
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
    if type(layer) in SAME_NAME:
        return getattr(nn, SAME_NAME[type(layer)])()  # type: ignore[no-any-return]
    raise ValueError(f"no module for the layer {layer.op}")
