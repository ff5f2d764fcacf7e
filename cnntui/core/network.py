"""A network: named layers, each reading an earlier one, and what its analysis says of every layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cnntui.core.axis import AnyAxis, ImpossibleError
from cnntui.core.layers import Layer, Shape, fixes
from cnntui.core.receptive_field import Field, seen

INPUT = "input"


@dataclass(frozen=True, slots=True)
class Node:
    """A layer under its name, with the names of what it reads."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """An immutable graph of nodes in an order in which they can be computed; `input` is (C, H, W)."""

    name: str
    input: Shape
    nodes: tuple[Node, ...]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order."""
        return tuple(node.layer for node in self.nodes)


def sequential(name: str, shape: Shape, layers: Iterable[Layer], names: Iterable[str | None] = ()) -> Network:
    """Layers one after another; those without a name are called by what they are and how many came before: conv2.

    Raises:
        ImpossibleError: when a name is used twice, or the input is not three positive numbers.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise ImpossibleError(f"input {list(shape)} is not channels, height, width, each at least 1")
    given = list(names)
    seen: Counter[str] = Counter()
    taken = {INPUT, *(n for n in given if n)}
    nodes: list[Node] = []
    previous = INPUT
    for index, layer in enumerate(layers):
        own = given[index] if index < len(given) else None
        if own is None:
            seen[layer.op] += 1
            while f"{layer.op}{seen[layer.op]}" in taken:
                seen[layer.op] += 1
            own = f"{layer.op}{seen[layer.op]}"
        elif own == INPUT or any(node.name == own for node in nodes):
            raise ImpossibleError(f"the name {own} is used twice")
        nodes.append(Node(own, layer, (previous,)))
        previous = own
    return Network(name, shape, tuple(nodes))


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a layer cannot be: the failing inequality with its numbers, and what would work in its place."""

    message: str
    fixes: tuple[tuple[Layer, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """The facts of one layer. `output` is None for an impossible layer and for those that wait for it.

    `field` is the receptive field of its outputs (rows, columns); None once each output sees the whole image.
    """

    node: Node
    input: Shape | None
    output: Shape | None
    params: int = 0
    macs: int = 0
    field: tuple[Field, Field] | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """One row a layer, and the totals of the rows that have facts."""

    network: Network
    rows: tuple[Row, ...]

    @property
    def params(self) -> int:
        """Trainable parameters."""
        return sum(row.params for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and linear layers for one picture."""
        return sum(row.macs for row in self.rows)

    @property
    def failing(self) -> Row | None:
        """The first impossible layer."""
        return next((row for row in self.rows if row.problem), None)

    @property
    def error(self) -> str | None:
        """`layer NAME: what is wrong`, or None."""
        row = self.failing
        return f"layer {row.node.name}: {row.problem.message}" if row and row.problem else None

    @property
    def output(self) -> Shape | None:
        """What the network makes of its input; None when a layer is impossible."""
        return self.rows[-1].output if self.rows else self.network.input

    @property
    def last_field(self) -> tuple[Field, Field] | None:
        """The receptive field at the last map, before anything that sees the whole image."""
        return next((row.field for row in reversed(self.rows) if row.field), None)


def analyse(network: Network) -> Analysis:
    """The facts of every layer up to the first impossible one, and which layers wait for it."""
    known: dict[str, tuple[Shape | None, tuple[Field, Field] | None]] = {INPUT: (network.input, (Field(), Field()))}
    rows: list[Row] = []
    for node in network:
        shape, field = known[node.inputs[0]]
        row = Row(node, None, None) if shape is None else _row(node, shape, field)
        known[node.name] = (row.output, row.field)
        rows.append(row)
    return Analysis(network, tuple(rows))


def _row(node: Node, shape: Shape, field: tuple[Field, Field] | None) -> Row:
    layer = node.layer
    try:
        output = layer.output(shape)
    except ImpossibleError as error:
        return Row(node, shape, None, problem=Problem(str(error), tuple(fixes(layer, shape))))
    if len(output) != 3 or layer.sees_everything():
        field = None
    elif field is not None and (window := layer.window(shape)):
        field = (field[0].through(window[0]), field[1].through(window[1]))
    return Row(node, shape, output, layer.params(shape), layer.macs(shape), field)


def fields_of(analysis: Analysis, index: int) -> tuple[frozenset[int], frozenset[int]] | None:
    """The input rows and columns that can move the middle unit of layer `index`; None: the whole image, or unknown."""
    row = analysis.rows[index]
    if row.field is None or row.output is None:
        return None
    by_name = {other.node.name: other for other in analysis.rows}
    axes: tuple[list[AnyAxis], list[AnyAxis]] = ([], [])
    step: Row | None = row
    while step is not None:
        if step.input and (window := step.node.layer.window(step.input)):
            for chain, axis in zip(axes, window, strict=True):
                chain.insert(0, axis)
        step = by_name.get(step.node.inputs[0])
    _, height, width = row.output
    rows, columns = (seen(chain, size // 2) for chain, size in zip(axes, (height, width), strict=True))
    return rows, columns
