"""The nearest settings that work, for an operation whose settings do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from cnntui.core.axis import nearest
from cnntui.core.layers import Pair
from cnntui.core.operation import ADAPTIVE, Operation, Sides, refitted, setting_text

NAMES = {
    "kernel_size": "kernel",
    "stride": "stride",
    "padding": "padding",
    "dilation": "dilation",
    "groups": "groups",
    "output_padding": "output padding",
    "output_size": "output size",
}


def mended(operation: Operation, most: int = 3) -> list[tuple[str, Operation]]:
    """The nearest settings that work, each in words; several changes at once only where no single one is enough."""
    if operation.problem is None:
        return []
    found: dict[str, Operation] = {}
    tried = {_signature(operation)}
    waiting = [operation]
    while waiting and not found:
        following = []
        for one in waiting:
            for other in _changed(one):
                if other.problem is None:
                    found.setdefault(_difference(operation, other), other)
                elif (signature := _signature(other)) not in tried:
                    tried.add(signature)
                    following.append(other)
        waiting = following
    return list(found.items())[:most]


def _changed(operation: Operation) -> Iterator[Operation]:
    """Each setting that could be to blame, at its nearest value that is not."""
    if operation.op in ADAPTIVE:
        height, width = operation.output_size
        yield replace(operation, output_size=(max(1, height), max(1, width)))
        return
    yield _in_range(operation)
    if operation.padding in ("same", "full"):
        yield replace(operation, stride=(1, 1))
        yield replace(operation, padding=operation.sides)
    if operation.pool:
        half = [k // 2 for k in operation.weight.shape[2:]]
        least = [min(most, *sides) for most, sides in zip(half, operation.sides, strict=True)]
        yield replace(operation, padding=_both(least), dilation=(1, 1))
    if operation.transposed:
        yield replace(operation, padding=_both([min(sides) for sides in operation.sides]))
    if operation.op in ("max", "avg"):
        yield replace(operation, ceil_mode=True)
    yield from _other_windows(operation)
    if not operation.pool:
        yield from _other_channels(operation)


def _in_range(operation: Operation) -> Operation:
    """Every setting at least at its least, and the output padding below the larger of stride and dilation."""
    (s, t), (d, e), (o, p) = operation.stride, operation.dilation, operation.output_padding
    s, t, d, e = (max(1, value) for value in (s, t, d, e))
    most = (max(s, d) - 1, max(t, e) - 1)
    return replace(operation, stride=(s, t), dilation=(d, e), output_padding=(min(o, most[0]), min(p, most[1])))


def _other_windows(operation: Operation) -> Iterator[Operation]:
    arguments = [operation.axis_arguments(axis) for axis in (0, 1)]
    for setting in ("dilation", "kernel", "padding", "stride", "output_padding"):
        rows, columns = (nearest(setting, each) for each in arguments)
        if rows is None or columns is None or (setting == "padding" and operation.padding == "same"):
            continue
        if setting == "kernel":
            yield replace(operation, weight=operation.weight[:, :, :rows, :columns])
        else:
            change: dict[str, Any] = {setting: (rows, columns)}
            yield replace(operation, **change)


def _other_channels(operation: Operation) -> Iterator[Operation]:
    """Groups that divide both, with weights for each channel and a bias for each filter."""
    channels = len(operation.input)
    filters = max(1, operation.filters)
    for groups in sorted(dividing(channels, filters), key=lambda g: (abs(g - operation.groups), g)):
        shape = (channels, filters // groups) if operation.transposed else (filters, channels // groups)
        bias = operation.bias
        if bias is not None and len(bias) != filters:
            bias = np.resize(bias, filters)
        yield replace(operation, groups=groups, weight=refitted(operation.weight, shape), bias=bias)


def dividing(channels: int, filters: int) -> list[int]:
    """The numbers of groups that divide both."""
    return [groups for groups in range(1, channels + 1) if channels % groups == 0 and filters % groups == 0]


def _both(cells: list[int]) -> Sides:
    rows, columns = cells
    return (rows, rows), (columns, columns)


def _difference(before: Operation, after: Operation) -> str:
    """The settings that differ, in words: `kernel 5, padding 0`."""
    said = []
    for name, words in NAMES.items():
        old, new = _setting(before, name), _setting(after, name)
        if old != new:
            said.append(f"{words} {setting_text(new)}")
    if before.ceil_mode != after.ceil_mode:
        said.append("ceil")
    if before.groups == after.groups and _layout(before) != _layout(after):
        said.append(f"weights for {len(after.input)} channels")
    if before.bias is not None and after.bias is not None and len(before.bias) != len(after.bias):
        said.append(f"{len(after.bias)} biases")
    return ", ".join(said)


def _signature(operation: Operation) -> tuple[Any, ...]:
    return (*(_setting(operation, name) for name in NAMES), operation.ceil_mode, _layout(operation))


def _setting(operation: Operation, name: str) -> Any:
    return operation.weight.shape[2:] if name == "kernel_size" else getattr(operation, name)


def _layout(operation: Operation) -> Pair:
    return operation.weight.shape[0], operation.weight.shape[1]
