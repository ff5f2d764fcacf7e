"""A convolution from the words of a command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cnntui.core.images import PICTURES, GridError, as_grid, grid_from_json, picture, read_grid
from cnntui.core.operation import ADAPTIVE, AFTER, OPERATIONS, POOLS, Operation
from cnntui.core.windows import Array
from cnntui.labs.convolve import CUSTOM, ConvolveState, MoveError
from cnntui.labs.exports import SavedError, from_toml
from cnntui.labs.words import kernel_named, padding_of, pair_of, whole


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
    activation: str | None = None,
    ceil: bool = False,
    nopad: bool = False,
    output_padding: str = "0",
    at: str | None = None,
) -> ConvolveState:
    """The lab's state for `cnntui convolve`.

    Raises:
        GivenError, GridError: with one line on the argument that is wrong.
    """
    if op not in OPERATIONS:
        raise GivenError(f"--op {op!r} is none of {', '.join(OPERATIONS)}")
    if activation not in (None, *AFTER):
        raise GivenError(f"--activation {activation!r} is none of {', '.join(AFTER)}")
    pooling = op in POOLS
    x = _input(grid)
    weight, divisor, name = _kernel(kernel, pooling)
    if pooling and _option("dilation", pair_of, dilation, 1) != (1, 1):
        raise GivenError("--dilation is for convolutions")
    if pooling and bias is not None:
        raise GivenError("--bias is for convolutions")
    if (ceil or nopad) and op not in ("max", "avg"):
        raise GivenError(f"--{'ceil' if ceil else 'nopad'} is for max and avg pooling")
    if name != CUSTOM and groups == 1:  # a named kernel slides over every channel
        weight = np.repeat(weight, len(x), axis=0 if op == "transposed" else 1)
    if groups < 1:
        raise GivenError(f"--groups {groups} < 1")
    size = (weight.shape[2], weight.shape[3])
    default = size if pooling else (1, 1)
    operation = Operation(
        x,
        weight,
        op,
        divisor=divisor,
        stride=_option("stride", pair_of, stride, 1) if stride else default,
        padding=_option("padding", padding_of, padding),
        dilation=_option("dilation", pair_of, dilation, 1),
        groups=groups,
        ceil_mode=ceil,
        count_include_pad=not nopad,
        output_padding=_option("output-padding", pair_of, output_padding),
        output_size=size if op in ADAPTIVE else (1, 1),
        activation=activation,
    )
    if bias is not None:
        operation = replace(operation, bias=_bias(bias, operation.filters))
    state = ConvolveState(operation, name).settled()
    return _looking_at(state, at) if at else state


def saved_state(path: Path, at: str | None = None) -> ConvolveState:
    """A state that was saved from the screen, or with `--save`.

    Raises:
        GivenError: with the path and what is wrong.
    """
    try:
        state = from_toml(path.read_text("utf-8"))
    except SavedError as error:
        raise GivenError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise GivenError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    return _looking_at(state, at) if at else state


def _option(name: str, read: Any, text: str, *arguments: int) -> Any:
    try:
        return read(text, *arguments)
    except MoveError as error:
        message = str(error)
        raise GivenError(f"--{message}" if message.startswith(name) else f"--{name} {message}") from None


def _input(text: str) -> Array:
    if text.lstrip().startswith("["):
        grid = grid_from_json(text)
        return grid if grid.ndim == 3 else grid[None]
    if text in PICTURES and not Path(text).exists():
        return picture(text)
    if "." not in text and "/" not in text and not Path(text).exists():
        raise GivenError(f"no picture or file is called {text!r}; the pictures are {', '.join(PICTURES)}")
    return read_grid(Path(text))


def _kernel(text: str, pooling: bool) -> tuple[Array, float, str]:
    """Weights, divisor, name."""
    if pooling:
        return np.ones((1, 1, *_option("kernel", pair_of, text, 1))), 1, CUSTOM
    if text.lstrip().startswith("["):
        weight = grid_from_json(text, (2, 3, 4))
        return weight.reshape((1,) * (4 - weight.ndim) + weight.shape), 1, CUSTOM
    try:
        kernel = kernel_named(text)
    except MoveError as error:
        raise GivenError(f"{error}, or give weights such as [[1,0,-1]]") from None
    return as_grid(kernel.weights)[None, None], kernel.divisor, kernel.name


def _bias(text: str, filters: int) -> Array:
    try:
        values = grid_from_json(f"[[{text.strip().strip('[]')}]]")[0]
    except GridError:
        raise GivenError(f"--bias {text!r} is not a number or a list of numbers") from None
    if "[" in text.strip().strip("[]"):
        raise GivenError(f"--bias {text!r} is not a number or a list of numbers")
    if len(values) not in (1, filters):
        raise GivenError(f"--bias has {len(values)} numbers, but there are {filters} filters")
    return np.broadcast_to(values, (filters,))


def _looking_at(state: ConvolveState, text: str) -> ConvolveState:
    try:
        places = [whole(part.strip()) for part in text.split(",")]
        if len(places) not in (2, 3):
            raise MoveError(text)
    except MoveError:
        raise GivenError(f"--at {text[:20]!r} is not ROW,COLUMN or FILTER,ROW,COLUMN") from None
    filter_, row, column = [0, *places][-3:]
    output = state.operation.output
    if output is not None and any(i >= n for i, n in zip((filter_, row, column), output.shape, strict=True)):
        raise GivenError(f"--at {text} is outside the output of {'×'.join(map(str, output.shape))}")
    return state.to_filter(filter_).look("output", row, column)
