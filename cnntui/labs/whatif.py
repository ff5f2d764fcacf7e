"""The same job done otherwise: fully connected, without shared weights, in smaller kernels; and two nets side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from math import prod

from cnntui.core.analysis import Analysis, Row
from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import Conv, DepthwiseConv, Flatten, GlobalAvgPool, Layer, Linear, Shape, through


@dataclass(frozen=True, slots=True)
class Way:
    """One way to do a layer's job.

    Args:
        title: what it is.
        params: its trainable numbers.
        macs: its multiply-accumulates for one picture.
        layers: the layers that do it, or none where the notation has no such layer.
        count: how many of the net's layers, from the first on, they replace.
        first: the row that they replace first.
    """

    title: str
    params: int
    macs: int
    layers: tuple[Layer, ...] = ()
    first: int = 0
    count: int = 1


def ways(analysis: Analysis, index: int) -> list[Way]:
    """How the job of row `index` could be done: as it is first. Empty where there is no other way to tell of."""
    row = analysis.rows[index]
    if row.output is None or row.input is None:
        return []
    match row.node.layer:
        case Conv() | DepthwiseConv():
            return list(_convolutions(row, index))
        case Linear() | GlobalAvgPool() | Flatten():
            return list(_heads(analysis, index))
    return []


def _way(title: str, shape: Shape, layers: tuple[Layer, ...], first: int, count: int = 1) -> Way:
    params = macs = 0
    for layer in layers:
        params, macs = params + layer.params(shape), macs + layer.macs(shape)
        shape = layer.output(shape)
    return Way(title, params, macs, layers, first, count)


def _convolutions(row: Row, index: int) -> Iterator[Way]:
    layer, shape, output = row.node.layer, row.input or (), row.output or ()
    conv = layer.conv(shape) if isinstance(layer, DepthwiseConv) else layer
    if not isinstance(conv, Conv):
        return
    yield _way("as it is", shape, (layer,), index)
    for title, layers in _other_convolutions(conv, isinstance(layer, DepthwiseConv)):
        try:
            if through(layers, shape) == output:
                yield _way(title, shape, layers, index)
        except ImpossibleError:
            continue
    outputs, local = prod(output), conv.weights(shape) * prod(output[1:])
    # Without sharing, each output cell has the kernel of its channel for itself, and a bias.
    yield Way("locally connected", local + outputs * conv.bias, local)
    yield Way("fully connected", outputs * (prod(shape) + conv.bias), outputs * prod(shape))


def _other_convolutions(conv: Conv, depthwise: bool) -> Iterator[tuple[str, tuple[Layer, ...]]]:
    height, width = conv.kernel_size
    if depthwise:
        yield "all channels together", (replace(conv, groups=1),)
        return
    if height == width and height % 2 and height > 3 and conv.groups == 1 and conv.dilation == (1, 1):
        steps = (height - 1) // 2
        yield f"{steps} of 3×3", _stacked(conv, steps)
    if conv.groups == 1 and prod(conv.kernel_size) > 1 and conv.table is None:
        alone = DepthwiseConv(conv.kernel_size, conv.stride, conv.padding, conv.dilation, bias=False)
        yield "depthwise, then 1×1", (alone, Conv(conv.out_channels, (1, 1), bias=conv.bias))
        if (height, width) == (3, 3) and conv.dilation == (1, 1) and conv.stride == (1, 1):
            yield "rows, then columns", _separated(conv)


def _stacked(conv: Conv, steps: int) -> tuple[Layer, ...]:
    """As many 3×3 as see as far: the padding shared out, the stride in the last."""
    small = replace(conv, kernel_size=(3, 3), stride=(1, 1), table=None)
    if isinstance(conv.padding, str):
        return (small,) * steps
    down, right = (divmod(padding, steps) for padding in conv.padding)
    made = [replace(small, padding=(down[0] + (i < down[1]), right[0] + (i < right[1]))) for i in range(steps)]
    made[-1] = replace(made[-1], stride=conv.stride)
    return tuple(made)


def _separated(conv: Conv) -> tuple[Layer, ...]:
    padding = conv.padding
    down: tuple[int, int] | str = padding if isinstance(padding, str) else (padding[0], 0)
    right: tuple[int, int] | str = padding if isinstance(padding, str) else (0, padding[1])
    return replace(conv, kernel_size=(3, 1), padding=down), replace(conv, kernel_size=(1, 3), padding=right)


def _heads(analysis: Analysis, index: int) -> Iterator[Way]:
    """Where maps become a vector: `gap` or `flatten`, and the linear layer behind it."""
    rows = analysis.rows
    start = index if not isinstance(rows[index].node.layer, Linear) else index - 1
    if start < 0 or start + 1 >= len(rows):
        return
    change, linear = rows[start], rows[start + 1]
    if not isinstance(change.node.layer, GlobalAvgPool | Flatten) or not isinstance(linear.node.layer, Linear):
        return
    shape = change.input
    if shape is None or len(shape) != 3 or linear.node.inputs != (change.node.name,):
        return
    for title, first in (("flatten, then linear", Flatten()), ("gap, then linear", GlobalAvgPool())):
        yield _way(title, shape, (first, linear.node.layer), start, 2)


@dataclass(frozen=True, slots=True)
class Pair:
    """A layer of one net beside its counterpart in another; one of them may be missing."""

    left: Row | None
    right: Row | None

    @property
    def same(self) -> bool:
        """The same layer with the same facts."""
        left, right = self.left, self.right
        if left is None or right is None:
            return False
        return (left.node.layer, left.output, left.params) == (right.node.layer, right.output, right.params)

    @property
    def mark(self) -> str:
        """= for the same, ≠ for another layer, + and − for one that only the right or the left has."""
        return "=" if self.same else "+" if self.left is None else "−" if self.right is None else "≠"


def difference(left: Analysis, right: Analysis) -> list[Pair]:
    """Two nets layer by layer, aligned so that as many layers as can be stand beside an equal one."""
    ours, theirs = ([(row.node.layer, row.output, row.params) for row in one.rows] for one in (left, right))
    pairs: list[Pair] = []
    for _, i1, i2, j1, j2 in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        for step in range(max(i2 - i1, j2 - j1)):
            one = left.rows[i1 + step] if i1 + step < i2 else None
            other = right.rows[j1 + step] if j1 + step < j2 else None
            pairs.append(Pair(one, other))
    return pairs
