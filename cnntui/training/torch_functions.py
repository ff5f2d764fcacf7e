"""What a function of torch is among our layers: a reader for each that has a counterpart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's readers know it by this name
from torch import Tensor

from cnntui.core import layers, merges, pointwise
from cnntui.core.layers import Layer, Pair, Shape, shape_text
from cnntui.training.reading import UnknownError

BATCH = 2  # pictures in the run: more than one, so that the first dimension is not taken for an empty one


@dataclass(frozen=True)
class Call:
    """A call of a function on `x` that made `out`; `shape` is that of the node which made x's numbers."""

    x: Any
    out: Tensor
    shape: Shape = ()
    seen: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Seen:
    """The numbers of x in their order, seen in another shape: no layer."""

    shape: tuple[int, ...]


Reader = Callable[..., Layer | Seen]


def _pair(value: Any) -> Pair:
    parts = [int(value)] if isinstance(value, int) else [int(part) for part in value]
    return parts[0], parts[-1]


def _exactly(layer: Layer, **settings: Any) -> Reader:
    """A layer that has one setting only of what the function can be told."""

    def read(call: Call, *args: Any, inplace: bool = False, **named: Any) -> Layer:
        for name, value in {**dict(zip(settings, args, strict=False)), **named}.items():
            if name not in settings or value != settings[name]:
                known = f", where {layer.op} has {settings[name]}" if name in settings else ""
                raise UnknownError(f"its {name} is {value}{known}")
        return layer

    return read


def _conv(
    call: Call,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Layer:
    out, _, *kernel = weight.shape
    padded = padding if padding == "same" else _pair(0 if padding == "valid" else padding)
    if groups == out == call.x.shape[1] and groups > 1:
        return layers.DepthwiseConv(_pair(kernel), _pair(stride), padded, _pair(dilation), bias is not None)
    return layers.Conv(out, _pair(kernel), _pair(stride), padded, _pair(dilation), groups, bias is not None)


def _transposed(
    call: Call,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Layer:
    _, out, *kernel = weight.shape
    return layers.TransposedConv(
        out * groups,
        _pair(kernel),
        _pair(stride),
        _pair(padding),
        _pair(dilation),
        groups,
        bias is not None,
        _pair(output_padding),
    )


def _linear(call: Call, weight: Tensor, bias: Tensor | None = None) -> Layer:
    return layers.Linear(weight.shape[0], bias is not None)


def _stride(stride: Any, kernel: Any) -> Pair | None:
    """None, as we write it, where the windows touch."""
    return None if not stride or _pair(stride) == _pair(kernel) else _pair(stride)


def _maxpool(
    call: Call,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Layer:
    if _pair(dilation) != (1, 1):
        raise UnknownError(f"its dilation is {dilation}, where maxpool has 1")
    return layers.MaxPool(_pair(kernel_size), _stride(stride, kernel_size), _pair(padding), ceil_mode)


def _avgpool(
    call: Call,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Layer:
    if divisor_override is not None:
        raise UnknownError(f"it divides by {divisor_override}, where avgpool divides by the window")
    counted = count_include_pad or _pair(padding) == (0, 0)  # without padding it says nothing
    return layers.AvgPool(_pair(kernel_size), _stride(stride, kernel_size), _pair(padding), ceil_mode, counted)


def _adaptive(call: Call, output_size: Any) -> Layer:
    return layers.AdaptiveAvgPool(_pair(call.out.shape[-2:]))


def _mean(call: Call, dim: Any = None, keepdim: bool = False) -> Layer:
    dims = {dim} if isinstance(dim, int) else set(dim or ())
    if call.x.dim() != 4 or {d % 4 for d in dims} != {2, 3}:
        raise UnknownError("gap is the mean over height and width, no other")
    return layers.AdaptiveAvgPool((1, 1)) if keepdim else layers.GlobalAvgPool()


def _upsample(
    call: Call,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Layer:
    (height, width), (tall, wide) = call.x.shape[-2:], call.out.shape[-2:]
    scale = tall // height
    if mode not in ("nearest", "nearest-exact") or (tall, wide) != (height * scale, width * scale):
        made = f"{height}×{width} to {tall}×{wide}"
        raise UnknownError(f"it goes from {made} by {mode}, where upsample makes each cell a square block")
    return layers.Upsample(scale)


def _pad(call: Call, pad: Any, mode: str = "constant", value: float | None = None) -> Layer:
    left, right, top, bottom, *more = (*map(int, pad), *(0,) * (4 - len(pad)))
    if mode != "constant" or value or any(more) or min(pad) < 0 or call.x.dim() != 4:
        raise UnknownError(f"it is {mode} {value or 0:g} by {list(pad)}, where pad puts zeros around a picture")
    return layers.Pad((left, right, top, bottom))


def _eps(call: Call, op: str, eps: float) -> None:
    if eps != 1e-5:
        call.notes.append(f"{op} has eps {eps:g} there, not 1e-05")


def _batchnorm(
    call: Call,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Layer:
    if running_mean is None or training:
        raise UnknownError("it keeps no running mean, where bn does")
    _eps(call, "bn", eps)
    return pointwise.BatchNorm()


def _layernorm(
    call: Call, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Layer:
    if tuple(normalized_shape) != tuple(call.x.shape[1:]):
        over, whole = shape_text(tuple(normalized_shape)), shape_text(tuple(call.x.shape[1:]))
        raise UnknownError(f"it is over {over} of {whole}, where ln is over all of it")
    _eps(call, "ln", eps)
    return pointwise.LayerNorm()


def _groupnorm(
    call: Call, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Layer:
    _eps(call, "gn", eps)
    return pointwise.GroupNorm(num_groups)


def _instancenorm(
    call: Call,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Layer:
    if not use_input_stats or call.x.dim() != 4:
        raise UnknownError("it is by a running mean, where in is by each picture's own")
    _eps(call, "in", eps)
    return pointwise.InstanceNorm()


def dropout(call: Call, p: float = 0.5, training: bool = True, inplace: bool = False) -> Layer:
    """A dropout, at whatever it is set to: when not training it does nothing, and returns its input."""
    return pointwise.Dropout(float(p))


def _softmax(call: Call, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Layer:
    if dim is not None and dim % call.x.dim() != 1:
        raise UnknownError(f"it is over dimension {dim}, where softmax is over the channels, dimension 1")
    return pointwise.Softmax()


def _clamp(call: Call, min: float | None = None, max: float | None = None) -> Layer:  # noqa: A002 - torch's names
    if min != 0 or max not in (6, None):
        raise UnknownError(f"it clamps to {min} and {max}, where relu6 clamps to 0 and 6")
    return pointwise.ReLU() if max is None else pointwise.ReLU6()


def _numbers(*operands: Any) -> list[float]:
    return [operand for operand in operands if isinstance(operand, int | float)]


def _add(call: Call, other: Any, alpha: float = 1) -> Layer | Seen:
    if numbers := _numbers(call.x, other):
        if numbers == [0]:  # sum() starts with it
            return Seen(call.seen)
        raise UnknownError("it adds a number, where add adds layers")
    if alpha != 1:
        raise UnknownError(f"its alpha is {alpha}, where add has 1")
    return merges.Add()


def _mul(call: Call, other: Any) -> Layer | Seen:
    if numbers := _numbers(call.x, other):
        if numbers == [1]:
            return Seen(call.seen)
        raise UnknownError("it multiplies by a number, where mul multiplies layers")
    return merges.Mul()


def _cat(call: Call, dim: int = 0) -> Layer | Seen:
    if dim % call.out.dim() != 1:
        raise UnknownError(f"it is along dimension {dim}, where cat is along the channels, dimension 1")
    return merges.Cat() if len(call.x) > 1 else Seen(call.seen)


def _same(call: Call, *_: Any, **__: Any) -> Seen:
    """The same numbers in another place, or to another precision."""
    return Seen(call.seen)


def _reshaped(call: Call, *_: Any, **__: Any) -> Layer | Seen:
    """The same numbers in the same order."""
    out = tuple(call.out.shape)
    if call.seen != tuple(call.x.shape) or call.out.dtype != call.x.dtype:
        raise UnknownError("it reshapes what was stretched, or its bytes")
    if len(call.shape) == 3 and out == (BATCH, math.prod(call.shape)):
        return layers.Flatten()
    return Seen(out)


def _indexed(call: Call, index: Any) -> Layer | Seen:
    """x[:, :, None, None] is a reshape; other indices pick numbers out."""
    parts = index if isinstance(index, tuple) else (index,)
    if not all(part is None or part is ... or part == slice(None) for part in parts):
        raise UnknownError("it picks out a part, which no layer does")
    return _reshaped(call)


def _stretched(call: Call, *_: Any, **__: Any) -> Seen:
    """Cells repeated along height and width, as mul does by itself."""
    if call.out.dim() != len(call.seen):
        raise UnknownError("it adds dimensions")
    return Seen(call.seen)


FUNCTIONS: Mapping[Callable[..., Any], Reader] = {
    F.conv2d: _conv,
    F.conv_transpose2d: _transposed,
    F.linear: _linear,
    F.max_pool2d: _maxpool,
    F.avg_pool2d: _avgpool,
    F.adaptive_avg_pool2d: _adaptive,
    F.interpolate: _upsample,
    F.pad: _pad,
    F.batch_norm: _batchnorm,
    F.layer_norm: _layernorm,
    F.group_norm: _groupnorm,
    F.instance_norm: _instancenorm,
    F.local_response_norm: _exactly(pointwise.LocalResponseNorm(), size=5, alpha=1e-4, beta=0.75, k=1.0),
    F.relu: _exactly(pointwise.ReLU()),
    F.relu6: _exactly(pointwise.ReLU6()),
    F.hardtanh: _exactly(pointwise.ReLU6(), min_val=0.0, max_val=6.0),
    F.leaky_relu: _exactly(pointwise.LeakyReLU(), negative_slope=0.01),
    F.elu: _exactly(pointwise.ELU(), alpha=1.0),
    F.gelu: _exactly(pointwise.GELU(), approximate="none"),
    F.silu: _exactly(pointwise.SiLU()),
    F.hardswish: _exactly(pointwise.Hardswish()),
    F.tanh: _exactly(pointwise.Tanh()),
    F.sigmoid: _exactly(pointwise.Sigmoid()),
    F.softmax: _softmax,
    F.dropout: dropout,
    F.dropout2d: dropout,
}
METHODS: Mapping[str, Reader] = {
    **dict.fromkeys(("add", "__add__", "__radd__", "__iadd__"), _add),
    **dict.fromkeys(("mul", "multiply", "__mul__", "__rmul__", "__imul__"), _mul),
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "mean": _mean,
    "relu": _exactly(pointwise.ReLU()),
    "tanh": _exactly(pointwise.Tanh()),
    "sigmoid": _exactly(pointwise.Sigmoid()),
    "softmax": _softmax,
    **dict.fromkeys(("clamp", "clip"), _clamp),
    **dict.fromkeys(("contiguous", "clone", "to", "float", "double", "half", "bfloat16", "cpu", "cuda"), _same),
    **dict.fromkeys(("view", "reshape", "flatten", "squeeze", "unsqueeze", "unflatten"), _reshaped),
    **dict.fromkeys(("view_as", "reshape_as"), _reshaped),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), _stretched),
    "__getitem__": _indexed,
}
"""By the names that they have in torch and as methods of a tensor, in place (`add_`) or not."""

READERS: Mapping[Callable[..., Any], Reader] = {
    getattr(space, spelled): reader
    for name, reader in METHODS.items()
    for space in (torch, Tensor)
    for spelled in (name, f"{name}_")
    if callable(getattr(space, spelled, None))
} | dict(FUNCTIONS)
