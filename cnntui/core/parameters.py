"""The numbers that a network has learned: which tensors each layer has, by torch's names, and how they begin."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt

import numpy as np

from cnntui.core.analysis import Analysis, Row
from cnntui.core.layers import Conv, DepthwiseConv, Layer, Linear, Shape, Subsample, Table, TransposedConv
from cnntui.core.network import Network
from cnntui.core.pointwise import BatchNorm, GroupNorm, LayerNorm
from cnntui.core.windows import Array

Tensors = Mapping[str, Array]
"""By torch's full names: `conv1.weight`, `bn1.running_mean`."""
Parameters = Mapping[str, Mapping[str, Array]]
"""By node, then by the name within the layer: `parameters["conv1"]["weight"]`."""

EPSILON = 1e-5  # what torch's normalisations add to a variance
LARGE = 500_000_000  # multiply-accumulates, or parameters, from which on float32 has to do

# What a torch module, and the one that holds a network's, call their own: a layer of that name gets a line behind it.
_WORDS = """
    T_destination trace add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval
    extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia
    named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer
    register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory
    state_dict to to_empty train training type xpu zero_grad
"""
RESERVED = frozenset(_WORDS.split())


def module_names(network: Network) -> dict[str, str]:
    """Node -> what its torch module is called: no dots, and nothing that would hide a module's own names."""
    names: dict[str, str] = {}
    taken = set(RESERVED)
    for node in network:
        own = node.name.replace(".", "_")
        own += "_" if own.startswith("_") else ""
        while own in taken:
            own += "_"
        taken.add(own)
        names[node.name] = own
    return names


def tensor_shapes(layer: Layer, shape: Shape) -> dict[str, Shape]:
    """The tensors of one layer for an input of `shape`, by torch's names; those that an average keeps included."""
    shapes: dict[str, Shape]
    match layer:
        case Conv(table=None):
            shapes = {"weight": (layer.out_channels, shape[0] // layer.groups, *layer.kernel_size)}
        case Conv():
            slices = sum(map(len, layer.table.inputs)) if layer.table else 0
            shapes = {"weight": (slices, *layer.kernel_size)}
        case DepthwiseConv():
            return tensor_shapes(layer.conv(shape), shape)
        case TransposedConv():
            shapes = {"weight": (shape[0], layer.out_channels // layer.groups, *layer.kernel_size)}
        case Linear():
            shapes = {"weight": (layer.out_features, shape[0])}
            return shapes | ({"bias": (layer.out_features,)} if layer.bias else {})
        case Subsample():
            return {"1.weight": (shape[0], 1, 1), "1.bias": (shape[0], 1, 1)}
        case BatchNorm():
            return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), shape[:1])
        case GroupNorm():
            return dict.fromkeys(("weight", "bias"), shape[:1])
        case LayerNorm():
            return dict.fromkeys(("weight", "bias"), shape)
        case _:
            return {}
    return shapes | ({"bias": (layer.out_channels,)} if layer.bias else {})


def named(analysis: Analysis, tensors: Tensors) -> Parameters:
    """The tensors of a file for each node, in float64; in float32 where the network is a large one.

    Raises:
        ValueError: naming the first tensor that is missing or has another shape.
    """
    dtype = _precision(analysis)
    modules = module_names(analysis.network)
    parameters: dict[str, dict[str, Array]] = {}
    for row in analysis.rows:
        own: dict[str, Array] = {}
        for name, shape in _shapes(row).items():
            full = f"{modules[row.node.name]}.{name}"
            if full not in tensors:
                raise ValueError(f"the weights are not of this net: {full} is missing")
            if tensors[full].shape != shape:
                there, wanted = ("×".join(map(str, one)) or "one number" for one in (tensors[full].shape, shape))
                raise ValueError(f"the weights are not of this net: {full} is {there}, not {wanted}")
            own[name] = tensors[full].astype(dtype)
        if own:
            parameters[row.node.name] = own
    return parameters


def _precision(analysis: Analysis) -> type[np.floating]:
    return np.float32 if max(analysis.macs, analysis.params) > LARGE else np.float64


def _shapes(row: Row) -> dict[str, Shape]:
    return tensor_shapes(row.node.layer, row.input) if row.input else {}


def untrained(analysis: Analysis, seed: int = 0) -> Parameters:
    """How a network begins: drawn as torch draws, from numpy's random numbers.

    Convolutions and linear layers: uniform within 1/√(what each output reads); norms: weight 1, bias 0.
    """
    rng = np.random.default_rng(seed)
    dtype = _precision(analysis)
    parameters: dict[str, dict[str, Array]] = {}
    for row in analysis.rows:
        own: dict[str, Array] = {}
        for name, shape in _shapes(row).items():
            if isinstance(row.node.layer, Conv | DepthwiseConv | TransposedConv | Linear):
                bound = _bounds(row, name == "weight")
                own[name] = (rng.uniform(-1, 1, shape) * bound).astype(dtype)
            else:
                own[name] = np.full(shape, float(name.endswith(("weight", "var"))), dtype)
        if own:
            parameters[row.node.name] = own
    return parameters


def _bounds(row: Row, is_weight: bool) -> Array | float:
    """1/√fan-in, by output where a table says what each sees (torch: Conv2d.reset_parameters)."""
    layer, shape = row.node.layer, row.input or ()
    if isinstance(layer, Conv) and layer.table:
        fans = np.array([len(seen) * prod(layer.kernel_size) for seen in layer.table.inputs])
        if is_weight:
            fans = np.repeat(fans, [len(seen) for seen in layer.table.inputs])[:, None, None]
        return np.asarray(1 / np.sqrt(fans))
    weight = tensor_shapes(layer, shape)["weight"]
    return 1 / sqrt(prod(weight[1:]))


def kernel(layer: Conv | DepthwiseConv | TransposedConv, tensors: Mapping[str, Array], channels: int) -> Array:
    """The weights of a convolution over so many channels, (O, C/groups, kH, kW): a table's with zeros where it has none.

    Transposed, they are as torch keeps them: (C, O/groups, kH, kW).
    """
    weight = tensors["weight"]
    if not isinstance(layer, Conv) or layer.table is None:
        return weight
    dense = np.zeros((layer.out_channels, channels, *layer.kernel_size), weight.dtype)
    dense[pairs(layer.table)] = weight
    return dense


def pairs(table: Table) -> tuple[Array, Array]:
    """The output and the input channel of each kernel slice that a table has, in the order of the weights."""
    outputs, inputs = np.array([(o, c) for o, row in enumerate(table.inputs) for c in row]).T
    return outputs, inputs
