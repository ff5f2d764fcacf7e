"""Where torch says that the input moves one unit: the support of its gradient, by structure alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cnntui.core import layers, merges, pointwise
from cnntui.core.analysis import Row, analyse
from cnntui.core.network import INPUT, Network
from tests.core.random_networks import everything_of, gates_of, stand_in

WHOLE = (
    layers.Linear, layers.GlobalAvgPool, pointwise.LayerNorm, pointwise.InstanceNorm, pointwise.GroupNorm,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Supports:
    """A network of the same geometry in which no gradient vanishes: weights of 1, means for maxima, no bends.

    What reads everything by convention reads the leaf `whole` instead of the picture.
    """

    x: Tensor
    whole: Tensor
    values: dict[str, Tensor]

    @classmethod
    def of(cls, network: Network) -> Supports:
        """The stand-ins of every layer, run on ones."""
        analysis = analyse(network)
        everything = everything_of(analysis)
        x = torch.ones(1, *network.input, dtype=torch.float64, requires_grad=True)
        whole = torch.ones(1, dtype=torch.float64, requires_grad=True)
        values = {INPUT: x}
        for row in analysis.rows:
            reads = [values[each] for each in row.node.inputs]
            match row.node.layer:
                case merges.Cat():
                    made = torch.cat(reads, 1)
                case merges.Merge():  # a product as a sum; gates over the whole image are left out
                    gates = [
                        gate and everything[each] for each, gate in zip(row.node.inputs, gates_of(row), strict=True)
                    ]
                    start = torch.zeros(1, *(row.output or ()), dtype=torch.float64)
                    made = sum((read for read, gate in zip(reads, gates, strict=True) if not gate), start)
                case _:
                    made = _stood_in(row, reads[0], whole)
            values[row.node.name] = made
        return cls(x, whole, values)

    def seen(self, node: str, unit: tuple[int, ...]) -> set[tuple[int, int]] | None:
        """The (row, column) that can move a unit; None: the whole image."""
        value = self.values[node][(0, *unit)]
        if not value.requires_grad:
            return set()
        to_x, to_whole = torch.autograd.grad(
            value, (self.x, self.whole), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        if to_whole.item():
            return None
        return {(int(y), int(x)) for y, x in torch.nonzero(to_x[0].sum(0))}


def _stood_in(row: Row, x: Tensor, whole: Tensor) -> Tensor:
    layer, shape = row.node.layer, row.output or ()
    one_cell = isinstance(layer, layers.AdaptiveAvgPool) and layer.output_size == (1, 1)
    if isinstance(layer, WHOLE) or one_cell or (isinstance(layer, pointwise.Softmax) and len(shape) == 1):
        return whole * torch.ones(1, *shape, dtype=torch.float64)
    if isinstance(layer, pointwise.Softmax):
        return x.sum(1, keepdim=True).expand_as(x)
    if isinstance(layer, pointwise.LocalResponseNorm):
        padded = torch.nn.functional.pad(x, (0, 0, 0, 0, 2, 2))
        return torch.stack([padded[:, c : c + 5].sum(1) for c in range(x.shape[1])], 1)
    made: Tensor = stand_in(row)(x)
    return made
