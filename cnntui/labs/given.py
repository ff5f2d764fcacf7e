"""A convolution from the words of a command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from cnntui.core.images import PICTURES, GridError, as_grid, grid_from_json, picture, read_grid
from cnntui.core.kernels import load_kernels
from cnntui.core.layers import Pair
from cnntui.core.windows import Array
from cnntui.labs.convolve import OPERATIONS, POOLS, ConvolveState


class GivenError(ValueError):
    """An argument that is not understood, with what to write."""


def convolution(
    grid: str,
    kernel: str,
    op: str = "conv",
    stride: str | None = None,
    padding: str = "0",
    dilation: str = "1",
    groups: int = 1,
    bias: str | None = None,
    at: str | None = None,
) -> ConvolveState:
    """The lab's state for `cnntui convolve`.

    Raises:
        GivenError, GridError: with one line on the argument that is wrong.
    """
    if op not in OPERATIONS:
        raise GivenError(f"--op {op!r} is none of {', '.join(OPERATIONS)}")
    pooling = op in POOLS
    x = _input(grid)
    weight, divisor = _kernel(kernel, pooling)
    step = _pair("stride", stride, 1) if stride else weight.shape[-2:] if pooling else (1, 1)
    if pooling and _pair("dilation", dilation, 1) != (1, 1):
        raise GivenError("--dilation is for convolutions")
    if groups < 1:
        raise GivenError(f"--groups {groups} < 1")
    state = ConvolveState(
        x,
        weight,
        op,
        divisor=divisor,
        stride=(step[0], step[1]),
        padding=_pair("padding", padding, 0),
        dilation=_pair("dilation", dilation, 1),
        groups=groups,
    )
    if bias is not None:
        if pooling:
            raise GivenError("--bias is for convolutions")
        filters = weight.shape[1] * groups if op == "transposed" else len(weight)
        state = replace(state, bias=_bias(bias, filters))
    return _looking_at(state, at) if at else state


def _input(text: str) -> Array:
    if text.lstrip().startswith("["):
        grid = grid_from_json(text)
        return grid if grid.ndim == 3 else grid[None]
    if text in PICTURES and not Path(text).exists():
        return picture(text)
    return read_grid(Path(text))


def _kernel(text: str, pooling: bool) -> tuple[Array, float]:
    if pooling:
        height, width = _pair("kernel", text, 1)
        return np.ones((1, 1, height, width)), 1
    if text.lstrip().startswith("["):
        weight = grid_from_json(text, (2, 3, 4))
        return weight.reshape((1,) * (4 - weight.ndim) + weight.shape), 1
    kernels, _ = load_kernels()
    if text not in kernels:
        raise GivenError(
            f"no kernel is called {text!r}; there are {', '.join(kernels)}, or give weights such as [[1,0,-1]]"
        )
    return as_grid(kernels[text].weights)[None, None], kernels[text].divisor


def _pair(name: str, text: str, least: int) -> Pair:
    parts = text.replace(",", "x").split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and int(part) >= least for part in parts):
        raise GivenError(f"--{name} {text!r} is not a whole number of at least {least}, or two such as 2x3")
    return int(parts[0]), int(parts[-1])


def _bias(text: str, filters: int) -> Array:
    try:
        values = grid_from_json(f"[[{text.strip().strip('[]')}]]")[0]
    except GridError:
        raise GivenError(f"--bias {text!r} is not a number or a list of numbers") from None
    if len(values) not in (1, filters):
        raise GivenError(f"--bias has {len(values)} numbers, but there are {filters} filters")
    return np.broadcast_to(values, (filters,))


def _looking_at(state: ConvolveState, text: str) -> ConvolveState:
    parts = text.split(",")
    if len(parts) not in (2, 3) or not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise GivenError(f"--at {text!r} is not ROW,COLUMN or FILTER,ROW,COLUMN")
    cell = [0, *map(int, parts)][-3:]
    if state.output is not None and any(i >= n for i, n in zip(cell, state.output.shape, strict=True)):
        raise GivenError(f"--at {text} is outside the output of {'×'.join(map(str, state.output.shape))}")
    return replace(state, cell=(cell[0], cell[1], cell[2]))
