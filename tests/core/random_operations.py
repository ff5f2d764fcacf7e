"""Random operations with fixed seeds, and torch as their oracle; `python -m tests.core.random_operations N` tries N."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from cnntui.core.activations import ACTIVATIONS
from cnntui.core.operation import ADAPTIVE, MAGNITUDE, OPERATIONS, Operation

Rng = np.random.Generator
NAMES = {"leakyrelu": "leaky_relu"}


def random_operation(rng: Rng, op: str | None = None, possible: bool = True) -> Operation:
    """Any operation with any settings; `possible` makes most of them possible, and tries again where they are not."""
    while True:
        made = _random(rng, op or str(rng.choice(OPERATIONS)), possible)
        if not possible or made.problem is None:
            return made


def _random(rng: Rng, op: str, possible: bool) -> Operation:
    def pair(low: int, high: int) -> Any:
        first, second = (int(n) for n in rng.integers(low, high, 2))
        return (first, first) if rng.random() < 0.4 else (first, second)

    worse = 0 if possible else 1
    one_dimensional = rng.random() < 0.15
    groups = int(rng.integers(1, 4))
    in_channels = groups * int(rng.integers(1, 4)) + worse * int(rng.integers(0, 2))
    out_channels = groups * int(rng.integers(1, 4)) + worse * int(rng.integers(0, 2))
    if rng.random() < 0.15:
        groups, out_channels = in_channels, in_channels * int(rng.integers(1, 3))  # depthwise
    height, width = pair(1, 13 - 5 * worse)
    kernel = pair(1, 6 + 2 * worse)
    if one_dimensional:
        height, kernel = 1, (1, kernel[1])
    layout = (
        (in_channels, max(1, out_channels // groups))
        if op == "transposed"
        else (out_channels, max(1, in_channels // groups))
    )
    weight = rng.normal(size=(*layout, *kernel))
    (top, bottom), (left, right) = ((int(a), int(b)) for a, b in rng.integers(0, 4, (2, 2)))
    padding: Any = ((top, bottom), (left, right))
    if op in ("max", "avg", "transposed") and (possible or rng.random() < 0.7):
        padding = ((top, top), (left, left))
    if op not in ("max", "avg", *ADAPTIVE, "transposed") and rng.random() < 0.3:
        padding = str(rng.choice(["same", "valid", "full"]))
    return Operation(
        rng.normal(size=(in_channels, height, width)),
        weight,
        op,
        divisor=float(rng.choice([1, 1, 9, 16])),
        bias=rng.normal(size=out_channels + worse * int(rng.integers(0, 2))) if rng.random() < 0.4 else None,
        stride=(1, 1) if padding == "same" and possible else pair(1 - worse, 4),
        padding=padding,
        dilation=(1, 1) if op in ("max", "avg") and possible else pair(1, 4),
        groups=groups,
        ceil_mode=bool(rng.random() < 0.4),
        count_include_pad=bool(rng.random() < 0.5),
        output_padding=pair(0, 3),
        output_size=pair(1 - worse, 6),
        activation=str(rng.choice([*ACTIVATIONS, MAGNITUDE])) if rng.random() < 0.4 else None,
    )  # fmt: skip


def torchs(operation: Operation) -> Any:
    """What torch computes, (O, outH, outW)."""
    x, weight = (
        torch.from_numpy(array.copy()) for array in (operation.input[None], operation.weight / operation.divisor)
    )
    bias = None if operation.bias is None else torch.from_numpy(operation.bias)
    (top, bottom), (left, right) = operation.sides
    match operation.op:
        case "conv" | "true-conv":
            weight = weight.flip(2, 3) if operation.op == "true-conv" else weight
            padded = F.pad(x, (left, right, top, bottom))
            y = F.conv2d(padded, weight, bias, operation.stride, 0, operation.dilation, operation.groups)
            if operation.padding == "same":  # torch's own word for it gives the same
                same = F.conv2d(
                    x,
                    weight,
                    bias,
                    1,
                    "same",
                    operation.dilation,
                    operation.groups,
                )
                torch.testing.assert_close(same, y)
        case "transposed":
            y = F.conv_transpose2d(
                x,
                weight,
                bias,
                operation.stride,
                (top, left),
                operation.output_padding,
                operation.groups,
                operation.dilation,
            )
        case "max":
            y = F.max_pool2d(
                x, operation.weight.shape[2:], operation.stride, (top, left), ceil_mode=operation.ceil_mode
            )
        case "avg":
            y = F.avg_pool2d(
                x,
                operation.weight.shape[2:],
                operation.stride,
                (top, left),
                operation.ceil_mode,
                operation.count_include_pad,
            )
        case "adaptive-max":
            y = F.adaptive_max_pool2d(x, operation.output_size)
        case _:
            y = F.adaptive_avg_pool2d(x, operation.output_size)
    if operation.activation == MAGNITUDE:
        y = y.square().sum(1, keepdim=True).sqrt()
    elif operation.activation:
        y = getattr(F, NAMES.get(operation.activation, operation.activation))(y)
    return y[0].numpy()


def agree(operation: Operation) -> None:
    """Output, a random cell's taps, and the three directions of looking against torch and against each other."""
    expected = torchs(operation)
    assert operation.output is not None
    assert operation.output.shape == expected.shape, (operation.output.shape, expected.shape)
    np.testing.assert_allclose(operation.output, expected, atol=1e-5)


if __name__ == "__main__":
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for seed in range(tries):
        agree(random_operation(np.random.default_rng(seed)))
    print(f"{tries} operations agree with torch")
