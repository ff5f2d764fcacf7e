"""Network -> torch.nn.Module."""

from __future__ import annotations

from torch import nn

from cnntui.core import layers
from cnntui.core.layers import Layer, Shape
from cnntui.core.network import Network, analyse


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
        case layers.BatchNorm():
            return nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])
        case layers.Dropout():
            return nn.Dropout(layer.p)
        case layers.ReLU():
            return nn.ReLU()
        case layers.Tanh():
            return nn.Tanh()
    raise ValueError(f"no module for the layer {layer.op}")
