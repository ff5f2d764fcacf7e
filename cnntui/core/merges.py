"""Where branches meet: the layers that read several others. Sums, products, and channels side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import (
    AdaptiveAvgPool,
    Conv,
    Flatten,
    GlobalAvgPool,
    Layer,
    Linear,
    Shape,
    Upsample,
    shape_text,
    through,
)

Shapes = tuple[Shape, ...]
Appended = tuple[tuple[Layer, ...], ...]


@dataclass(frozen=True, slots=True)
class Merge(Layer):
    """A layer of several inputs. `merged` takes the place of `output`."""

    def merged(self, shapes: Shapes) -> Shape:
        """The output shape, or ImpossibleError."""
        raise NotImplementedError

    def kept(self, shapes: Shapes, grads: tuple[bool, ...]) -> tuple[tuple[bool, ...], int]:
        """Which inputs the backward pass keeps, where `grads` says which have a gradient; and bytes of steps between."""
        return (False,) * len(grads), 0

    def appended(self, shapes: Shapes) -> Iterator[Appended]:
        """For each branch the layers that, put at its end, would make the branches fit; not each of them need work."""
        for wanted in dict.fromkeys((min(shapes, key=_cells), shapes[0], max(shapes, key=_cells), *shapes)):
            yield tuple(() if shape == wanted else _towards(shape, wanted) for shape in shapes)


def mendings(merge: Merge, shapes: Shapes, most: int = 3) -> list[Appended]:
    """What does work at the ends of the branches, nearest first."""
    working: list[Appended] = []
    for variant in merge.appended(shapes):
        try:
            merge.merged(tuple(through(layers, shape) for layers, shape in zip(variant, shapes, strict=True)))
        except ImpossibleError:
            continue
        if variant not in working:
            working.append(variant)
        if len(working) == most:
            break
    return working


def _all(shapes: Shapes) -> str:
    return " and ".join(map(shape_text, shapes))


def _cells(shape: Shape) -> int:
    return prod(shape[1:])


def _towards(shape: Shape, wanted: Shape) -> tuple[Layer, ...]:
    """The layers that turn one shape into the other, as far as there are such."""
    if len(wanted) == 1:
        if prod(shape) == wanted[0]:
            return (Flatten(),)
        # A vector is reached over one mean a channel, and a linear layer where the lengths differ.
        start: tuple[Layer, ...] = (GlobalAvgPool(),) if len(shape) == 3 else ()
        return start if shape[0] == wanted[0] else (*start, Linear(wanted[0]))
    if len(shape) == 1:  # it can only be a gate
        return () if shape[0] == 1 else (Linear(wanted[0]),)
    if shape[1:] == wanted[1:]:
        return (Conv(wanted[0], (1, 1)),)
    height, width = (-(-n // w) for n, w in zip(shape[1:], wanted[1:], strict=True))
    strided = Conv(wanted[0], (1, 1), (height, width))
    if strided.output(shape) == wanted:
        return (strided,)
    larger = Upsample(max(1, wanted[1] // shape[1]))
    resized = larger if larger.output(shape)[1:] == wanted[1:] else AdaptiveAvgPool((wanted[1], wanted[2]))
    return (resized,) if shape[0] == wanted[0] else (Conv(wanted[0], (1, 1)), resized)


@dataclass(frozen=True, slots=True)
class Add(Merge):
    """The sum, number by number. Torch would stretch a single channel or cell without a word; here shapes are equal."""

    op: ClassVar[str] = "add"

    def merged(self, shapes: Shapes) -> Shape:
        """As each input."""
        if len(set(shapes)) > 1:
            raise ImpossibleError(f"add needs equal shapes, but its branches make {_all(shapes)}")
        return shapes[0]


@dataclass(frozen=True, slots=True)
class Cat(Merge):
    """torch.cat along the channels: (C1+C2+…, H, W), or vectors end to end."""

    op: ClassVar[str] = "cat"

    def merged(self, shapes: Shapes) -> Shape:
        """The channels added up."""
        if len({shape[1:] for shape in shapes}) > 1:
            raise ImpossibleError(f"cat needs equal heights and widths, but its branches make {_all(shapes)}")
        return sum(shape[0] for shape in shapes), *shapes[0][1:]

    def appended(self, shapes: Shapes) -> Iterator[Appended]:
        """The sizes of one branch for all, channels as they are; or all flat."""
        for wanted in sorted({shape[1:] for shape in shapes if len(shape) == 3}, key=prod):
            pool = AdaptiveAvgPool((wanted[0], wanted[1]))
            yield tuple(() if shape[1:] == wanted else (pool,) for shape in shapes)
        yield tuple((Flatten(),) if len(shape) == 3 else () for shape in shapes)


@dataclass(frozen=True, slots=True)
class Mul(Merge):
    """The product, number by number; a branch of one number a channel is a gate for that whole channel."""

    op: ClassVar[str] = "mul"

    def merged(self, shapes: Shapes) -> Shape:
        """As the largest input. The others equal it, or have 1 (or, a vector, nothing) where they are stretched."""
        full = max(shapes, key=lambda shape: (len(shape), prod(shape)))
        for shape in shapes:
            stretched = shape if len(shape) == len(full) else (*shape, 1, 1)
            if any(n not in (1, m) for n, m in zip(stretched, full, strict=True)):
                raise ImpossibleError(
                    f"mul needs equal shapes, or a gate with 1 where it is stretched, but its branches make {_all(shapes)}"
                )
        return full

    def kept(self, shapes: Shapes, grads: tuple[bool, ...]) -> tuple[tuple[bool, ...], int]:
        """One factor after another: each where the product so far has a gradient, that product where the factor has one."""
        full = max(map(len, shapes))
        stretched = [shape if len(shape) == full else (*shape, 1, 1) for shape in shapes]
        kept, between, flows = [False] * len(grads), 0, grads[0]
        for i in range(1, len(grads)):
            kept[i] = flows
            if grads[i] and i == 1:
                kept[0] = True
            elif grads[i]:
                between += 4 * prod(map(max, *stretched[:i]))
            flows = flows or grads[i]
        return tuple(kept), between

    def gated(self, shapes: Shapes) -> tuple[bool, ...]:
        """Which branches are gates: smaller than what comes out."""
        full = self.merged(shapes)
        return tuple(shape != full for shape in shapes)


MERGES: dict[str, Merge] = {merge.op: merge for merge in (Add(), Cat(), Mul())}
