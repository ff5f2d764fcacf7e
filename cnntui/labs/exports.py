"""The convolution lab written out: a TOML file that reopens it, code that reproduces its output, its output as CSV."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np

from cnntui.core.images import GridError, as_grid
from cnntui.core.layers import Pair
from cnntui.core.notation import printable
from cnntui.core.operation import AFTER, MAGNITUDE, OPERATIONS, PADDINGS, Operation
from cnntui.core.windows import Array
from cnntui.labs.convolve import CUSTOM, LOOKING, ConvolveState
from cnntui.labs.words import MOST


class SavedError(ValueError):
    """A saved state that cannot be opened, and why."""


class _Saved(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    input: list[list[list[float]]]
    weight: list[list[list[list[float]]]]
    op: str = "conv"
    kernel: str = CUSTOM
    divisor: float = 1
    bias: list[float] | None = None
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] | str = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    groups: int = 1
    ceil_mode: bool = False
    count_include_pad: bool = True
    output_padding: Pair = (0, 0)
    output_size: Pair = (1, 1)
    activation: str | None = None
    filter: int = 0
    cell: Pair = (0, 0)
    channel: int = 0
    pixel: Pair = (0, 0)
    tap: Pair = (0, 0)
    looking: str = "output"
    pinned: Pair | None = None


SETTINGS = (
    "op", "divisor", "stride", "padding", "dilation", "groups", "ceil_mode", "count_include_pad", "output_padding",
    "output_size", "activation",
)  # fmt: skip
LOOKED_AT = ("filter", "cell", "channel", "pixel", "tap", "looking", "pinned")


def to_toml(state: ConvolveState) -> str:
    """The file that `from_toml` reads back to an equal state."""
    operation = state.operation
    saved = _Saved(
        [],
        [],
        kernel=state.name,
        bias=None if operation.bias is None else operation.bias.tolist(),
        **{name: getattr(operation, name) for name in SETTINGS},
        **{name: getattr(state, name) for name in LOOKED_AT},
    )
    settings: dict[str, Any] = msgspec.to_builtins(saved)
    # A list of numbers is written alike in JSON and TOML, and so is a plain string.
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items() if value not in (None, [])
    ]
    grids = (f"{name} = {_nested(getattr(operation, name))}" for name in ("weight", "input"))
    return "\n".join([*lines, *grids]) + "\n"


def from_toml(text: str) -> ConvolveState:
    """A state that was saved.

    Raises:
        SavedError: with the key that is wrong.
    """
    try:
        saved = msgspec.toml.decode(text, type=_Saved)
        _check_numbers(saved)
        operation = Operation(
            as_grid(saved.input, (3,)),
            as_grid(saved.weight, (4,)),
            bias=None if saved.bias is None else np.array(saved.bias),
            **{name: getattr(saved, name) for name in SETTINGS},
        )
    except (msgspec.DecodeError, GridError) as error:
        raise SavedError(f"not a saved state: {error}") from None
    except RecursionError:
        raise SavedError("not a saved state: lists in lists in lists") from None
    for what, value, known in (
        ("op", saved.op, OPERATIONS),
        ("looking", saved.looking, LOOKING),
        ("activation", saved.activation, (None, *AFTER)),
        ("padding", saved.padding if isinstance(saved.padding, str) else "valid", PADDINGS),
    ):
        if value not in known:
            raise SavedError(f"{what} = {value!r} is none of {', '.join(map(str, known))}")
    if saved.divisor == 0:
        raise SavedError("divisor = 0: nothing can be divided by it")
    state = ConvolveState(operation, printable(saved.kernel), **{name: getattr(saved, name) for name in LOOKED_AT})
    return state.settled()


def _check_numbers(saved: _Saved) -> None:
    """Every setting in the range that words allow."""
    for name in ("stride", "padding", "dilation", "groups", "output_padding", "output_size", *LOOKED_AT):
        value = getattr(saved, name)
        if not isinstance(value, str) and any(not 0 <= number <= MOST for number in _flat(value)):
            raise SavedError(f"{name} = {value!r} is not from 0 to {MOST}")
    for name in ("divisor", "bias"):
        if any(not np.isfinite(number) for number in _flat(getattr(saved, name))):
            raise SavedError(f"{name} = {getattr(saved, name)!r} is not finite")


def _flat(value: Any) -> list[Any]:
    if value is None:
        return []
    return [number for part in value for number in _flat(part)] if isinstance(value, list | tuple) else [value]


def csv(grid: Array) -> str:
    """A grid (H, W) as CSV, every digit kept."""
    return "\n".join(",".join(_literal(value) for value in row) for row in grid) + "\n"


def _literal(value: float) -> str:
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else repr(float(value))


def _nested(array: Array, indent: int = 0) -> str:
    """Nested lists, a row a line: the same in TOML, JSON and Python."""
    if array.ndim == 1:
        return "[" + ", ".join(map(_literal, array)) + "]"
    space = " " * (indent + 4)
    inside = ",\n".join(space + _nested(part, indent + 4) for part in array)
    return f"[\n{inside},\n{' ' * indent}]"


# -- code

TORCH_NAMES = {"leakyrelu": "leaky_relu"}
NUMPY_ACTIVATIONS = {
    "relu": "np.maximum(y, 0)",
    "relu6": "np.clip(y, 0, 6)",
    "leakyrelu": "np.where(y > 0, y, 0.01 * y)",
    "elu": "np.where(y > 0, y, np.expm1(np.minimum(y, 0)))",
    "gelu": "y * 0.5 * (1 + np.vectorize(math.erf)(y / 2**0.5))",
    "silu": "y / (1 + np.exp(-y))",
    "hardswish": "y * np.clip(y + 3, 0, 6) / 6",
    "tanh": "np.tanh(y)",
    "sigmoid": "1 / (1 + np.exp(-y))",
    MAGNITUDE: "np.sqrt(np.square(y).sum(axis=0, keepdims=True))",
}


def pytorch(state: ConvolveState) -> str:
    """A program that computes the same output `y` (filters, height, width) with torch.

    Raises:
        SavedError: when the settings are impossible.
    """
    operation = _possible(state)
    (top, bottom), (left, right) = operation.sides
    even = top == bottom and left == right
    lines = [
        "import torch",
        "import torch.nn.functional as F",
        "",
        *_given(operation, "torch.tensor", ", dtype=torch.float64"),
    ]
    arguments = ["x"]
    kernel = tuple(operation.weight.shape[2:])
    if not operation.pool:
        if operation.op == "true-conv":
            lines.append("weight = weight.flip(2, 3)  # a true convolution flips the kernel")
        if operation.divisor != 1:
            lines.append(f"weight = weight / {_literal(operation.divisor)}")
        arguments += ["weight", "bias" if operation.bias is not None else "None"]
        arguments += [f"stride={operation.stride}", f"dilation={operation.dilation}", f"groups={operation.groups}"]
    match operation.op:
        case "conv" | "true-conv":
            if operation.padding == "same":
                arguments.append('padding="same"')
            elif even:
                arguments.append(f"padding={(top, left)}")
            else:
                lines.append(f"x = F.pad(x, {(left, right, top, bottom)})  # left, right, top, bottom")
            call = "conv2d"
        case "transposed":
            arguments += [f"padding={(top, left)}", f"output_padding={operation.output_padding}"]
            call = "conv_transpose2d"
        case "max" | "avg":
            arguments += [
                str(kernel),
                f"stride={operation.stride}",
                f"padding={(top, left)}",
                f"ceil_mode={operation.ceil_mode}",
            ]
            if operation.op == "avg":
                arguments.append(f"count_include_pad={operation.count_include_pad}")
            call = f"{operation.op}_pool2d"
        case _:
            arguments.append(str(operation.output_size))
            call = f"{operation.op.replace('-', '_')}_pool2d"
    lines.append(f"y = F.{call}({', '.join(arguments)})")
    if operation.activation == MAGNITUDE:
        lines.append("y = y.square().sum(0, keepdim=True).sqrt()  # the length of the gradient")
    elif operation.activation:
        lines.append(f"y = F.{TORCH_NAMES.get(operation.activation, operation.activation)}(y)")
    return "\n".join([*lines, "print(y)"]) + "\n"


def numpy(state: ConvolveState) -> str:
    """A program that computes the same output `y` with nothing but loops over NumPy arrays.

    Raises:
        SavedError: when the settings are impossible.
    """
    operation = _possible(state)
    body = (
        _numpy_adaptive
        if operation.op.startswith("adaptive")
        else _numpy_stamped
        if operation.transposed
        else _numpy_slid
    )
    imports = ["import math", ""] if operation.activation == "gelu" else []
    lines = [*imports, "import numpy as np", "", *_given(operation, "np.array", ", dtype=float"), *body(operation)]
    if operation.activation:
        lines.append(f"y = {NUMPY_ACTIVATIONS[operation.activation]}")
    return "\n".join([*lines, "print(y)"]) + "\n"


def _possible(state: ConvolveState) -> Operation:
    if state.operation.problem:
        raise SavedError(f"there is no output: {state.operation.problem}")
    return state.operation


def _given(operation: Operation, make: str, dtype: str) -> list[str]:
    """The lines with the numbers."""
    lines = [f"x = {make}({_nested(operation.input)}{dtype})  # channels, height, width"]
    if not operation.pool:
        layout = "channels, filters of a group" if operation.transposed else "filters, channels of a group"
        lines.append(f"weight = {make}({_nested(operation.weight)}{dtype})  # {layout}, rows, columns")
        if operation.bias is not None:
            lines.append(f"bias = {make}({_nested(operation.bias)}{dtype})")
    return [*lines, ""]


def _numpy_slid(operation: Operation) -> list[str]:
    window = operation.window
    output = operation.output
    if window is None or output is None:
        return []
    (top, bottom), (left, right) = operation.sides
    kernel, (s, t), (d, e) = operation.weight.shape[2:], operation.stride, operation.dilation
    # A last window under `ceil` may hang over the padding.
    sizes = operation.input.shape[1:]
    needed = [(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(window.output, (s, t), (d, e), kernel, strict=True)]
    over = [max(0, n - size - sum(p)) for n, size, p in zip(needed, sizes, operation.sides, strict=True)]
    margins = f"((0, 0), ({top}, {bottom + over[0]}), ({left}, {right + over[1]}))"
    fill = ", constant_values=-np.inf" if operation.op == "max" else ""
    read = f"i * {s} : i * {s} + {d * (kernel[0] - 1) + 1} : {d}, j * {t} : j * {t} + {e * (kernel[1] - 1) + 1} : {e}"
    lines = [f"x = np.pad(x, {margins}{fill})"]
    filters = len(operation.input) if operation.pool else len(operation.weight)
    if operation.op == "avg":
        counted = f"((0, 0), ({top}, {bottom}), ({left}, {right}))" if operation.count_include_pad else None
        ones = f"np.ones((1, {sizes[0]}, {sizes[1]}))"
        if counted:
            lines.append(
                f"counted = np.pad(np.pad({ones}, {counted}, constant_values=1), ((0, 0), (0, {over[0]}), (0, {over[1]})))"
            )
        else:
            lines.append(f"counted = np.pad({ones}, {margins})")
        value = f"x[o, {read}].sum() / counted[0, {read}].sum()"
    elif operation.op == "max":
        value = f"x[o, {read}].max()"
    else:
        if operation.op == "true-conv":
            lines.append(
                "weight = weight[:, :, ::-1, ::-1]  # frameworks do not flip the kernel: a true convolution does"
            )
        per_group, of_group = operation.weight.shape[1], filters // operation.groups
        channels = f"o // {of_group} * {per_group} : o // {of_group} * {per_group} + {per_group}"
        value = f"(weight[o] * x[{channels}, {read}]).sum()" + _finish(operation)
    return [
        *lines,
        f"y = np.zeros(({filters}, {window.output[0]}, {window.output[1]}))",
        "for o, i, j in np.ndindex(y.shape):",
        f"    y[o, i, j] = {value}",
    ]


def _finish(operation: Operation) -> str:
    divided = f" / {_literal(operation.divisor)}" if operation.divisor != 1 else ""
    return divided + (" + bias[o]" if operation.bias is not None else "")


def _numpy_stamped(operation: Operation) -> list[str]:
    window = operation.window
    if window is None:
        return []
    (top, _), (left, _) = operation.sides
    (height, width), (s, t), (d, e) = operation.weight.shape[2:], operation.stride, operation.dilation
    channels, of_group = operation.weight.shape[:2]
    per_group = channels // operation.groups
    rows, columns = window.output
    tall = max(top + rows, (operation.input.shape[1] - 1) * s + d * (height - 1) + 1)
    wide = max(left + columns, (operation.input.shape[2] - 1) * t + e * (width - 1) + 1)
    stamp = f"i * {s} : i * {s} + {d * (height - 1) + 1} : {d}, j * {t} : j * {t} + {e * (width - 1) + 1} : {e}"
    filters = f"c // {per_group} * {of_group} : c // {per_group} * {of_group} + {of_group}"
    finish = _finish(operation).replace("bias[o]", "bias[:, None, None]")
    return [
        f"y = np.zeros(({operation.groups * of_group}, {tall}, {wide}))",
        "for c, i, j in np.ndindex(x.shape):  # every input cell stamps the kernel, weighted",
        f"    y[{filters}, {stamp}] += x[c, i, j] * weight[c]",
        f"y = y[:, {top} : {top + rows}, {left} : {left + columns}]{finish}",
    ]


def _numpy_adaptive(operation: Operation) -> list[str]:
    height, width = operation.input.shape[1:]
    rows, columns = operation.output_size
    read = (
        f"i * {height} // {rows} : -(-(i + 1) * {height} // {rows}), "
        f"j * {width} // {columns} : -(-(j + 1) * {width} // {columns})"
    )
    call = "max" if operation.op == "adaptive-max" else "mean"
    return [
        f"y = np.zeros(({len(operation.input)}, {rows}, {columns}))",
        "for o, i, j in np.ndindex(y.shape):",
        f"    y[o, i, j] = x[o, {read}].{call}()",
    ]
