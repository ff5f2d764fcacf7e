"""What every layer of a network makes of its input, and what that costs: one row a layer, problems included."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

from cnntui.core.axis import AnyAxis, ImpossibleError
from cnntui.core.layers import Flatten, Layer, Shape, Subsample, fixes
from cnntui.core.merges import Appended, Merge, Mul, Shapes, mendings
from cnntui.core.network import INPUT, Network, Node
from cnntui.core.pointwise import Dropout, Identity
from cnntui.core.receptive_field import Field, hull
from cnntui.core.vocabulary import layer_text

Fields = tuple[Field, Field]
FLOAT = 4  # bytes of a float32


@dataclass(frozen=True, slots=True)
class Fix:
    """What would work: `layers` in place of the impossible one, or, at a merge, `appended` at the ends of its branches."""

    layers: tuple[Layer, ...] = ()
    appended: Appended = ()

    @property
    def text(self) -> str:
        """In words: the layers, or `branch 2: conv 8 k1`."""
        if self.layers:
            return "; ".join(map(layer_text, self.layers))
        return ", ".join(
            f"branch {number}: {'; '.join(map(layer_text, layers))}"
            for number, layers in enumerate(self.appended, start=1)
            if layers
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a layer cannot be: the failing inequality with its numbers, and what would work."""

    message: str
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """The facts of one layer. `output` is None for an impossible layer and for those that wait for it.

    Args:
        node: the layer, its name, what it reads.
        inputs: the shapes that it reads; None where one of them waits.
        output: the shape that it makes.
        params: trainable numbers.
        buffers: numbers kept besides.
        macs: multiply-accumulates for one picture, of convolutions and linear layers.
        field: the receptive field of its outputs (rows, columns); None once each output sees the whole image.
        gated: whether a gate that sees the whole image multiplies what `field` says.
        problem: why it cannot be.
    """

    node: Node
    inputs: Shapes | None = None
    output: Shape | None = None
    params: int = 0
    buffers: int = 0
    macs: int = 0
    field: Fields | None = None
    gated: bool = False
    problem: Problem | None = None

    @property
    def input(self) -> Shape | None:
        """The first shape that it reads."""
        return self.inputs[0] if self.inputs else None


@dataclass(frozen=True)
class Analysis:
    """One row a layer, and the totals of the rows that have facts."""

    network: Network
    rows: tuple[Row, ...]

    @cached_property
    def params(self) -> int:
        """Trainable parameters."""
        return sum(row.params for row in self.rows)

    @cached_property
    def buffers(self) -> int:
        """Numbers that are kept but not trained."""
        return sum(row.buffers for row in self.rows)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and linear layers for one picture."""
        return sum(row.macs for row in self.rows)

    @cached_property
    def kept_bytes(self) -> tuple[int, ...]:
        """What training keeps of each row until the backward pass, in bytes, for one picture in float32.

        The rule is torch's autograd, without in-place layers: a convolution, a linear layer, a norm, a pool and most
        activations keep what they read, relu, tanh, sigmoid and softmax what they make; a map that several layers keep
        counts once, at the layer that made it. Besides: a maximum's place (8 bytes), a dropout's mask (1 byte).
        """
        return _kept_bytes(self.rows)

    @property
    def memory(self) -> int:
        """All of `kept_bytes`."""
        return sum(self.kept_bytes)

    @cached_property
    def failing(self) -> Row | None:
        """The first impossible layer."""
        return next((row for row in self.rows if row.problem), None)

    @property
    def error(self) -> str | None:
        """`layer NAME: what is wrong`, or None."""
        row = self.failing
        return f"layer {row.node.name}: {row.problem.message}" if row and row.problem else None

    @property
    def classes(self) -> int:
        """How many classes the output can tell apart: its numbers; 0 where it is a map, or there is none."""
        output = self.output
        return output[0] if output and prod(output[1:]) == 1 else 0

    @property
    def output(self) -> Shape | None:
        """What the network makes of its input; None when a layer is impossible."""
        return self.rows[-1].output if self.rows else self.network.input

    @property
    def last_field(self) -> Fields | None:
        """The receptive field at the last map, before anything that sees the whole image."""
        return next((row.field for row in reversed(self.rows) if row.field), None)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a layer is for its input shapes alone, wherever it stands."""

    output: Shape | None = None
    params: int = 0
    buffers: int = 0
    macs: int = 0
    window: tuple[AnyAxis, AnyAxis] | None = None
    everything: bool = False
    problem: Problem | None = None


@lru_cache(maxsize=4096)
def _facts(layer: Layer, shapes: Shapes) -> _Facts:
    shape = shapes[0]
    try:
        if isinstance(layer, Merge):
            return _Facts(layer.merged(shapes))
        output = layer.output(shape)
    except ImpossibleError as error:
        if isinstance(layer, Merge):
            offers = tuple(Fix(appended=appended) for appended in mendings(layer, shapes))
        else:
            offers = tuple(Fix(layers) for layers in fixes(layer, shape))
        return _Facts(problem=Problem(str(error), offers))
    everything = len(output) != 3 or layer.sees_everything()
    window = None if everything else layer.window(shape)
    return _Facts(output, layer.params(shape), layer.buffers(shape), layer.macs(shape), window, everything)


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a layer sends on: its shape, what its units see, and whether through a gate."""

    shape: Shape | None
    field: Fields | None
    gated: bool = False


def analyse(network: Network) -> Analysis:
    """The facts of every layer up to the first impossible one, and which layers wait for it."""
    sent = {INPUT: _Sent(network.input, (Field(), Field()))}
    rows: list[Row] = []
    for node in network.nodes:
        row = _row(node, [sent[name] for name in node.inputs])
        sent[node.name] = _Sent(row.output, row.field, row.gated)
        rows.append(row)
    return Analysis(network, tuple(rows))


def _row(node: Node, reads: list[_Sent]) -> Row:
    shapes = tuple(one.shape for one in reads if one.shape is not None)
    if len(shapes) < len(reads):
        return Row(node)
    facts = _facts(node.layer, shapes)
    if facts.problem:
        return Row(node, shapes, problem=facts.problem)
    field, gated = _seen(node.layer, shapes, facts, reads)
    return Row(node, shapes, facts.output, facts.params, facts.buffers, facts.macs, field, gated)


def _seen(layer: Layer, shapes: Shapes, facts: _Facts, reads: list[_Sent]) -> tuple[Fields | None, bool]:
    """What one unit sees, and whether a gate sees everything besides."""
    if isinstance(layer, Merge):
        return _met(layer, shapes, reads)
    field = reads[0].field
    if facts.everything or field is None:
        return None, False
    if facts.window:
        field = (field[0].through(facts.window[0]), field[1].through(facts.window[1]))
    return field, reads[0].gated


def _met(merge: Merge, shapes: Shapes, reads: list[_Sent]) -> tuple[Fields | None, bool]:
    """The hull of the branches. A gate over the whole image is left out, as published figures do, and remembered."""
    gates = merge.gated(shapes) if isinstance(merge, Mul) else (False,) * len(reads)
    counted = [one for one, gate in zip(reads, gates, strict=True) if not (gate and one.field is None)]
    fields = [one.field for one in counted if one.field]
    if len(fields) < len(counted):
        return None, False
    rows, columns = (hull(axis) for axis in zip(*fields, strict=True))
    return (rows, columns), len(counted) < len(reads) or any(one.gated for one in counted)


def _kept_bytes(rows: tuple[Row, ...]) -> tuple[int, ...]:
    owner = {INPUT: INPUT}  # a flattened map is the map itself, seen otherwise
    trains = {INPUT: False}  # whether a gradient flows back to it
    kept: set[str] = set()
    extra: list[int] = []
    for row in rows:
        layer, name, reads = row.node.layer, row.node.name, row.node.inputs
        passes = isinstance(layer, Flatten | Identity) or (isinstance(layer, Dropout) and layer.p == 0)
        owner[name] = owner[reads[0]] if passes else name
        flowing = tuple(trains[read] for read in reads)
        trains[name] = any(flowing) or row.params > 0
        more = 0
        if trains[name] and row.inputs and row.output:
            if isinstance(layer, Merge):
                keeps, more = layer.kept(row.inputs, flowing)
                kept.update(owner[r] for r, keep in zip(reads, keeps, strict=True) if keep)
            elif layer.keeps(row.inputs[0]) == "input" and not (isinstance(layer, Subsample) and not flowing[0]):
                kept.add(owner[reads[0]])
            elif layer.keeps(row.inputs[0]) == "output":
                kept.add(name)
            more += layer.extra_bytes(row.inputs[0])
        extra.append(more)
    return tuple(
        more + (FLOAT * prod(row.output) if row.output and row.node.name in kept else 0)
        for row, more in zip(rows, extra, strict=True)
    )
