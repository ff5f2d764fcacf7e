"""Random networks with fixed seeds, and torch as their oracle; `python -m tests.core.random_networks --count N` tries N."""

from __future__ import annotations

import argparse
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from cnntui.core import layers, merges, pointwise
from cnntui.core.analysis import Analysis, Row, analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.items import Block, Item, Items, walk
from cnntui.core.layers import Layer, Shape, Table
from cnntui.core.nets import NetFile, parse_toml, to_toml
from cnntui.core.network import INPUT, Network, Node, graph
from cnntui.core.notation import network_text, parse, parse_items
from cnntui.core.sight import sight
from cnntui.core.vocabulary import parse_layer
from cnntui.training.model import Scale, TableConv, build, module

ACTIVATIONS = (
    "relu", "relu6", "leakyrelu", "elu", "gelu", "silu", "hardswish", "tanh", "sigmoid", "softmax", "id",
    "dropout", "dropout 0.3", "dropout 0", "dropout 1",
)  # fmt: skip
NAMES = ("a", "b", "stem", "conv2", "relu1", "a.2", "add", "x-1", "train", "weight", "_", "nÜ", "gate", "mul1", "id2")
LARGEST, MOST_CHANNELS = 20, 12
CALLS: tuple[tuple[Block, Callable[[random.Random, Shape], str]], ...] = (
    (
        Block("keep", ("c", "out"), ("[ conv {c} k1 nobias; bn; relu; conv {out} k3 p1 | id ] add", "relu")),
        lambda rng, shape: f"@keep({rng.randint(1, 3)}, {shape[0]})",
    ),
    (
        Block("down", ("c", "s"), ("conv {c} k{2*s-1} s{s} p{s-1}", "a: bn", "[ from a | tanh ] mul")),
        lambda rng, shape: f"@down({rng.randint(1, 3)} * 2, {rng.randint(1, 3)})",
    ),
    (Block("dense", ("g",), ("[ id | bn; relu; conv {g} same ] cat",)), lambda rng, shape: f"@dense({rng.choice('12')})"),
    (
        Block("se", ("c", "r"), ("[ id | gap; linear {(c + r - 1) // r}; relu; linear {c}; sigmoid ] mul",)),
        lambda rng, shape: f"@se({shape[0]}, {rng.randint(1, 4)})",
    ),
    (
        Block("often", ("c", "n"), ("( a: conv {c} k1; [ from a | conv {c} k1x3 same ] add ) x{n % 3 + 1}", "elu")),
        lambda rng, shape: f"@often({shape[0]}, {rng.randint(0, 5)})",
    ),
    (
        Block("nest", ("c",), ("@keep(c // 2 + 1, c)", "[ from input; conv {c} k1 | @stem | id ] add")),
        lambda rng, shape: f"@nest({shape[0]})",
    ),
    (Block("stem", (), ("relu",)), lambda rng, shape: rng.choice(["@stem", "@stem()"])),
)  # fmt: skip
BLOCKS = tuple(block for block, _ in CALLS)


def random_network(rng: random.Random) -> Network:
    """A network that can be computed, with anything of the notation in it, no layer of it for nothing."""
    return _Maker(rng).network()


class _Maker:
    """Writes a network from left to right, and knows the shape where it is."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.tables: dict[str, Table] = {}
        self.named: list[tuple[str, Shape]] = []

    def network(self) -> Network:
        """One that is most often small."""
        rng = self.rng
        shape: Shape = (rng.randint(1, 6), rng.randint(1, LARGEST), rng.randint(1, LARGEST))
        texts, after = self.sequence(shape, rng.randint(1, 5), 0)
        if len(after) == 3 and rng.random() < 0.4:
            texts += self.tail(after)
        blocks = BLOCKS if rng.random() < 0.5 or "@" in "".join(texts) else ()
        return parse("\n".join(texts), shape, "random", blocks, self.tables)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def sequence(self, shape: Shape, length: int, depth: int) -> tuple[list[str], Shape]:
        """Items one after another, and the shape that they make."""
        texts: list[str] = []
        for _ in range(length):
            kind = self.rng.random()
            if kind < 0.55 or depth > 2:
                text, shape = self.layer(shape)
            elif kind < 0.8:
                text, shape = self.branches(shape, depth)
            elif kind < 0.9:
                text, shape = self.repeat(shape, depth)
            else:
                text, shape = self.call(shape)
            texts.append(self.maybe_named(text, shape))
        return texts, shape

    def maybe_named(self, text: str, shape: Shape) -> str:
        free = [name for name in NAMES if name not in {taken for taken, _ in self.named}]
        if not free or not self.chance(0.2):
            return text
        name = self.rng.choice(free)
        self.named.append((name, shape))
        return f"{name}: {text}"

    def layer(self, shape: Shape, keeping: bool = False) -> tuple[str, Shape]:
        """A layer that is possible here, and maybe keeps the shape."""
        while True:
            text = self.words(shape)
            try:
                after = parse_layer(text, self.tables).output(shape)
            except ImpossibleError:
                continue
            small = len(after) == len(shape) == 1 or (
                len(after) == 3 and after[0] <= MOST_CHANNELS and max(after[1:]) <= LARGEST
            )
            if small and (not keeping or after == shape):
                return text, after

    def words(self, shape: Shape) -> str:
        """A layer that may be possible here."""
        rng, channels = self.rng, shape[0]
        if len(shape) == 1:
            return rng.choice([f"linear {rng.randint(1, 8)}", "linear 3 nobias", "bn", "ln", "gn 1", self.activation()])
        bias = rng.choice(["", "nobias"])
        kernel, stride, padding, dilation = self.pair(1, 5), self.stride(), self.pair(0, 2), self.pair(1, 2)
        groups = rng.choice([g for g in range(1, channels + 1) if channels % g == 0])
        filters = groups * rng.randint(1, max(1, 8 // groups))
        mode, slide = rng.choice(["", "ceil"]), f"k{kernel} s{stride} p{padding} d{dilation} {bias}"
        match rng.randrange(16):
            case 0 | 1:
                return f"conv {filters} {slide} g{groups}"
            case 2 | 3:
                return f"conv {rng.choice([channels, filters])} k{kernel} d{dilation} g{groups} same {bias}"
            case 4:
                return f"conv {channels} k3 p1"
            case 5:
                return f"dwconv {slide}"
            case 6:
                return f"dwconv k{kernel} d{dilation} same {bias}"
            case 7:
                return f"tconv {filters} {slide} g{groups} op{self.pair(0, 1)}"
            case 8:
                return f"maxpool {kernel} {rng.choice(['', f's{stride}'])} p{padding} {mode}"
            case 9:
                return (
                    f"avgpool {kernel} {rng.choice(['', f's{stride}'])} p{padding} {mode} {rng.choice(['', 'nopad'])}"
                )
            case 10:
                return rng.choice([f"adaptiveavgpool {self.pair(1, 9)}", "maxpool 3 s1 p1", "avgpool 3x1 s1 p1x0"])
            case 11:
                return rng.choice([f"upsample {rng.randint(1, 3)}", f"subsample {self.pair(1, 3)}"])
            case 12:
                return f"pad {','.join(str(rng.randint(0, 2)) for _ in range(4))}"
            case 13:
                return f"conv {self.table(channels)}"
            case 14:
                return rng.choice(["bn", "bn", "ln", "in", "lrn", f"gn {groups}"])
            case _:
                return self.activation()

    def activation(self) -> str:
        return self.rng.choice(ACTIVATIONS)

    def pair(self, low: int, high: int) -> str:
        first, second = (self.rng.randint(low, high) for _ in range(2))
        return str(first) if self.chance(0.4) else f"{first}x{second}"

    def stride(self) -> str:
        return "1" if self.chance(0.5) else self.pair(1, 3)

    def table(self, channels: int) -> str:
        """Rows that between them see every channel."""
        filters = self.rng.randint(1, 6)
        rows = [set(self.rng.sample(range(channels), self.rng.randint(1, channels))) for _ in range(filters)]
        rows[-1] |= set(range(channels)).difference(*rows)
        name = f"t{len(self.tables)}"
        self.tables[name] = Table(name, tuple(tuple(sorted(row)) for row in rows))
        return f"{filters} k{self.pair(1, 3)} p1 table {name}"

    def repeat(self, shape: Shape, depth: int) -> tuple[str, Shape]:
        """A group of any layers, or some that keep the shape several times over."""
        if self.chance(0.3):
            texts, after = self.sequence(shape, self.rng.randint(1, 3), depth + 1)
            return f"( {self.joined(texts)} )", after
        outside = len(self.named)
        if len(shape) == 3 and self.chance(0.5):
            texts = self.branch(shape, shape, depth + 1)
        else:
            texts = [self.maybe_named(self.layer(shape, True)[0], shape) for _ in range(self.rng.randint(1, 3))]
        del self.named[outside:]  # what is there several times has no one name outside
        return f"( {self.joined(texts)} ) x{self.rng.randint(2, 3)}", shape

    def call(self, shape: Shape) -> tuple[str, Shape]:
        """A block."""
        while len(shape) == 3:
            text = self.rng.choice(CALLS)[1](self.rng, shape)
            after = analyse(Network("", shape, parse_items(text, BLOCKS))).output
            if after is not None and after[0] <= MOST_CHANNELS:
                return text, after
        return "@stem()", shape

    def branches(self, shape: Shape, depth: int) -> tuple[str, Shape]:
        """Branches that meet."""
        rng = self.rng
        count = rng.choice([2, 2, 2, 3, 3, 4])
        if len(shape) == 3 and self.chance(0.3):
            gates = [False, *[True] * (count - 1), *[False] * self.chance(0.2)]
            rng.shuffle(gates)
            found = [self.gate(shape) if gate else self.branch(shape, shape, depth + 1) for gate in gates]
            return f"[ {' | '.join(map(self.joined, found))} ] mul", shape
        wanted = shape
        if self.chance(0.4):
            outside = len(self.named)
            _, wanted = self.sequence(shape, 1, 3)
            del self.named[outside:]
        merge = rng.choice(["add", "add", "cat", "mul"])
        reading = rng.randrange(count)  # one branch at least reads what is at hand
        ends = [wanted] * count
        if merge == "cat":
            ends = [(rng.randint(1, 3), *wanted[1:]) for _ in range(count)]
        texts = [self.joined(self.branch(shape, end, depth + 1, i != reading)) for i, end in enumerate(ends)]
        after = (sum(end[0] for end in ends), *wanted[1:]) if merge == "cat" else wanted
        return f"[ {' | '.join(texts)} ] {merge}", after

    def branch(self, shape: Shape, wanted: Shape, depth: int, anywhere: bool = False) -> list[str]:
        """Items from here, or from what has a name, to the wanted shape."""
        texts: list[str] = []
        sources = [each for each in self.named if len(each[1]) == len(wanted)]
        if anywhere and sources and self.chance(0.5):
            name, shape = self.rng.choice(sources)
            texts = [f"from {name}"]
        elif anywhere and len(wanted) == 1 and len(shape) == 3:
            texts = ["gap"]
            shape = shape[:1]
        made, shape = self.sequence(shape, self.rng.choice([0, 0, 1, 1, 2]), depth)
        return [*texts, *made, *self.towards(shape, wanted)] or ["id"]

    def towards(self, shape: Shape, wanted: Shape) -> list[str]:
        """The layers between the two."""
        if shape == wanted:
            return []
        if len(shape) == 1:
            return [f"linear {wanted[0]}"]
        projection, resizing = f"conv {wanted[0]} k1", f"adaptiveavgpool {wanted[1]}x{wanted[2]}"
        if shape[1:] == wanted[1:]:
            return [projection]
        return self.rng.choice([[projection, resizing], [resizing, projection]])

    def gate(self, shape: Shape) -> list[str]:
        """A branch with one number for each channel, cell, row or column."""
        channels, height, width = shape
        squeeze = f"{self.rng.randint(1, 3)}"
        return self.rng.choice(
            [
                ["gap", f"linear {squeeze}", "relu", f"linear {channels}", "sigmoid"],
                ["gap", "sigmoid"],
                ["gap", "linear 1"],
                ["adaptiveavgpool 1", f"conv {channels} k1", "sigmoid"],
                ["conv 1 k3 p1", "sigmoid"],
                [f"adaptiveavgpool 1x{width}", f"conv {channels} k1x3 same"],
                [f"adaptiveavgpool {height}x1", "sigmoid"],
                [f"conv 1 k{height}x{width}"],
            ]
        )

    def joined(self, texts: list[str]) -> str:
        return self.rng.choice(["; ", ";", "\n"]).join(texts)

    def tail(self, shape: Shape) -> list[str]:
        """From a map to a vector."""
        texts = ["gap"] if self.chance(0.5) else ["flatten"]
        if texts == ["flatten"] and shape[1] * shape[2] > 16:
            texts.insert(0, "adaptiveavgpool 3x2")
        texts.append(f"linear {self.rng.randint(1, 8)}")
        after: Shape = (int(texts[-1].split()[1]),)
        made, _ = self.sequence(after, self.rng.randint(0, 3), 1)
        return texts + made


def random_nodes(rng: random.Random) -> tuple[Shape, tuple[Node, ...]]:
    """Nodes that read any earlier ones, mostly not series-parallel, by names that may belong to others by default."""
    shape: Shape = (2, rng.randint(3, 6), rng.randint(3, 6))
    names = [f"{op}{number}" for op in ("conv", "relu", "add", "mul", "x.", "N") for number in range(1, 5)]
    rng.shuffle(names)
    nodes: list[Node] = []
    recent = rng.choice([2, 4, 99])
    for name in names[: rng.randint(2, 18)]:
        above = [INPUT, *(node.name for node in nodes)][-recent:]
        if rng.random() < 0.5:
            layer: Layer = rng.choice([merges.Add(), merges.Mul()])
            nodes.append(Node(name, layer, tuple(rng.choices(above, k=rng.choice([2, 2, 3])))))
        else:
            text = rng.choice(["relu", "tanh", "conv 2 k3 same", "conv 2 k1", "dwconv k3 p1", "bn", "id"])
            nodes.append(Node(name, parse_layer(text), (rng.choice(above),)))
    needed = {nodes[-1].name}
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return shape, tuple(node for node in nodes if node.name in needed)


# Torch as the oracle.


def agrees_with_torch(network: Network) -> None:
    """Shapes, parameters, buffers and multiply-accumulates of every node are those of its module."""
    analysis = analyse(network)
    assert analysis.error is None
    model = build(network).eval()
    x = torch.zeros(2, *network.input)
    with torch.no_grad():
        values = {INPUT: x, **dict(model.trace(x))}
    for row, part in zip(analysis.rows, model.children(), strict=True):
        name, read, made = row.node.name, values[row.node.inputs[0]], values[row.node.name]
        assert row.inputs == tuple(tuple(values[each].shape[1:]) for each in row.node.inputs), f"{name}: inputs"
        assert row.output == tuple(made.shape[1:]), f"{name}: {row.output}, but torch makes {tuple(made.shape[1:])}"
        params = sum(p.numel() for p in part.parameters())
        assert row.params == params, f"{name}: {row.params} parameters, but torch has {params}"
        buffers = sum(value.numel() for value in part.state_dict().values()) - params
        assert row.buffers == buffers, f"{name}: {row.buffers} buffers, but torch has {buffers}"
        macs = _macs(part, read, made)
        assert row.macs == macs, f"{name}: {row.macs} MACs, but torch's module makes {macs}"
    assert analysis.params == sum(p.numel() for p in model.parameters())
    assert analysis.output == tuple(made.shape[1:])


def _macs(part: nn.Module, read: Tensor, made: Tensor) -> int:
    match part:
        case nn.ConvTranspose2d():
            kernel = part.kernel_size[0] * part.kernel_size[1]
            return part.in_channels * part.out_channels // part.groups * kernel * read.shape[2] * read.shape[3]
        case nn.Conv2d():
            kernel = part.kernel_size[0] * part.kernel_size[1]
            return part.in_channels * part.out_channels // part.groups * kernel * made.shape[2] * made.shape[3]
        case TableConv():
            return part.weight.numel() * made.shape[2] * made.shape[3]
        case nn.Linear():
            return part.in_features * part.out_features
    return 0


def everything_of(analysis: Analysis) -> dict[str, bool]:
    """Of each node, whether its units see the whole image, gates left out."""
    seen = {INPUT: False}
    for row in analysis.rows:
        reads = [seen[name] for name in row.node.inputs]
        if isinstance(row.node.layer, merges.Mul):
            reads = [
                everything for everything, gate in zip(reads, gates_of(row), strict=True) if not (everything and gate)
            ]
        one_cell = isinstance(row.node.layer, layers.AdaptiveAvgPool) and row.node.layer.output_size == (1, 1)
        whole = (
            isinstance(row.node.layer, pointwise.LayerNorm | pointwise.InstanceNorm | pointwise.GroupNorm) or one_cell
        )
        seen[row.node.name] = any(reads) or whole or len(row.output or ()) == 1
    return seen


def gates_of(row: Row) -> list[bool]:
    return [shape != row.output for shape in row.inputs or ()]


def stand_in(row: Row) -> nn.Module:
    """A layer that reads the same cells and lets no gradient vanish: weights of 1, means for maxima, no bends."""
    layer, shape = row.node.layer, row.input or ()
    match layer:
        case layers.MaxPool():
            return nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
        case _ if type(layer).__module__ == pointwise.__name__:
            return nn.Identity()
    part = module(layer, shape).double()
    for inner in part.modules():
        if isinstance(inner, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | TableConv | Scale):
            nn.init.ones_(inner.weight)
    return part


def sees_where_its_gradient_is(network: Network, rng: random.Random, units: int = 6) -> int:
    """What random units see is where the gradient of their stand-ins is not zero. Returns how many were looked at."""
    analysis = analyse(network)
    everything = everything_of(analysis)
    x = torch.ones(1, *network.input, dtype=torch.float64, requires_grad=True)
    values = {INPUT: x}
    candidates = []
    for index, row in enumerate(analysis.rows):
        name, reads = row.node.name, [values[each] for each in row.node.inputs]
        assert (row.field is None) == everything[name], f"{name}: field {row.field}"
        match row.node.layer:
            case merges.Cat():
                values[name] = torch.cat(reads, 1)
            case merges.Merge():
                # The product as a sum: its gradient vanishes nowhere. Gates over the whole image are left out.
                gates = [gate and everything[each] for each, gate in zip(row.node.inputs, gates_of(row), strict=True)]
                assert row.gated or row.field is None or not any(gates), f"{name}: a gate is forgotten"
                counted = [read for read, gate in zip(reads, gates, strict=True) if not gate]
                start = torch.zeros(1, *(row.output or ()), dtype=torch.float64)
                values[name] = sum(counted, start)
            case _:
                values[name] = stand_in(row)(reads[0])
        if everything[name]:
            assert sight(analysis, index) is None, f"{name} sees everything"
        else:
            candidates.append(index)
    looked = 0
    for index in rng.choices(candidates, k=units) if candidates else ():
        row = analysis.rows[index]
        value = values[row.node.name]
        y, x_ = rng.randrange(value.shape[2]), rng.randrange(value.shape[3])
        unit = value[0, :, y, x_].sum()
        gradient = torch.zeros_like(x)
        if unit.requires_grad:
            gradient = torch.autograd.grad(unit, x, retain_graph=True, allow_unused=True, materialize_grads=True)[0]
        touched = {(int(r), int(c)) for r, c in torch.nonzero(gradient[0].abs().sum(0))}
        found = sight(analysis, index, (y, x_))
        assert found is not None, f"{row.node.name}: None"
        cells = {(r, c) for rows, columns in found.boxes for r in rows for c in columns}
        assert cells == touched, f"{row.node.name} {y},{x_} sees {sorted(cells)}, but torch {sorted(touched)}"
        assert all(cell in found for cell in touched)
        assert found.rows == {r for r, _ in touched}
        assert found.columns == {c for _, c in touched}
        looked += 1
    return looked


def the_recursion_is_exact_far_from_borders(network: Network) -> None:
    """On a large picture the middle units see from the low to the high of their closed form, no more and no less.

    Not where a map grows or where windows are chosen for a size: there the closed form is a mean.
    """
    analysis = analyse(Network("large", (network.input[0], 151, 147), network.items))
    exact = {INPUT: True}
    for index, row in enumerate(analysis.rows):
        if row.output is None:  # it was made for another size
            break
        grows = isinstance(row.node.layer, layers.TransposedConv | layers.Upsample | layers.AdaptiveAvgPool)
        gate = isinstance(row.node.layer, merges.Merge) and any(gates_of(row))
        exact[row.node.name] = all(exact[name] for name in row.node.inputs) and not grows and not gate
        if not exact[row.node.name] or row.field is None:
            continue
        units = row.output[1] // 2, row.output[2] // 2
        found = sight(analysis, index, units)
        assert found is not None
        for unit, field, cells in zip(units, row.field, (found.rows, found.columns), strict=True):
            if field.aligned and field.size < 60:
                low = field.start + unit * field.jump - (field.size - 1) / 2
                assert (low, low + field.size - 1) == (min(cells), max(cells)), f"{row.node.name}: {field}"


def keeps_what_torch_saves(network: Network, batch: int = 7) -> None:
    """`kept_bytes` of every row is what torch's autograd saves while the network trains, for one picture."""
    analysis = analyse(network)
    model = build(network).train()
    x = torch.rand(batch, *network.input)
    ours = {tensor.untyped_storage().data_ptr() for tensor in [x, *model.parameters(), *model.buffers()]}
    saved: list[Tensor] = []  # alive to the end, as are the values: no address is given out twice

    def note(tensor: Tensor) -> None:
        saved.append(tensor.detach())

    values: list[Tensor] = []
    until: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(note, lambda _: torch.empty(0)):
        for _, value in model.trace(x):
            values.append(value)
            until.append(len(saved))
    owner: dict[int, int] = {}
    for index, value in enumerate(values):
        owner.setdefault(value.untyped_storage().data_ptr(), index)
    torchs = [0] * len(values)
    seen = set(ours)
    for number, tensor in enumerate(saved):
        storage = tensor.untyped_storage()
        if storage.data_ptr() in seen or tensor.numel() < 2:
            continue
        seen.add(storage.data_ptr())
        during = next(index for index, end in enumerate(until) if number < end)
        layer = analysis.rows[during].node.layer
        if storage.data_ptr() in owner:
            torchs[owner[storage.data_ptr()]] += storage.nbytes() // batch
        elif isinstance(layer, pointwise.Dropout):
            torchs[during] += tensor.numel() // batch  # a GPU's mask; the CPU's has four bytes for each
        elif not _is_statistic(layer, tensor):
            torchs[during] += storage.nbytes() // batch
    for row, kept, expected in zip(analysis.rows, analysis.kept_bytes, torchs, strict=True):
        assert kept == expected, f"{row.node.name} on {row.inputs}: {kept} bytes, but torch saves {expected}"
    assert analysis.memory == sum(torchs)


def _is_statistic(layer: Layer, tensor: Tensor) -> bool:
    """Means and variances of a norm; and the kernel that a table's weights are put into."""
    if isinstance(layer, layers.Conv) and layer.table:
        return tensor.shape[0] == layer.out_channels and tensor.shape[2:] == layer.kernel_size
    norms = (pointwise.BatchNorm, pointwise.LayerNorm, pointwise.InstanceNorm, pointwise.GroupNorm)
    return isinstance(layer, norms)


# The same network, written otherwise.


def counterparts(one: tuple[Node, ...], other: tuple[Node, ...]) -> dict[str, str]:
    """The nodes of `other` for those of `one`, found from the last one backward; identities stand for their input."""
    mine, theirs = ({node.name: node for node in each} for each in (one, other))

    def past(name: str, nodes: Mapping[str, Node]) -> str:
        while name != INPUT and isinstance(nodes[name].layer, pointwise.Identity):
            name = nodes[name].inputs[0]
        return name

    found: dict[str, str] = {}
    waiting = [(one[-1].name, other[-1].name)]
    while waiting:
        here, there = waiting.pop()
        here, there = past(here, mine), past(there, theirs)
        if here in found or INPUT in (here, there):
            assert found.get(here, INPUT) == there, f"{here} is {found.get(here)} and {there}"
            continue
        found[here] = there
        assert mine[here].layer == theirs[there].layer, f"{here} is not {there}"
        waiting += zip(mine[here].inputs, theirs[there].inputs, strict=True)
    assert len(set(found.values())) == len(found)
    for nodes, names in ((mine, found.keys()), (theirs, found.values())):
        left = [name for name, node in nodes.items() if not isinstance(node.layer, pointwise.Identity)]
        assert sorted(left) == sorted(names), "a layer has no counterpart"
    return found


def facts(row: Row) -> Row:
    """A row without its node."""
    return replace(row, node=Node("", row.node.layer, ()))


def written_anew_computes_the_same(network: Network, rng: random.Random) -> None:
    """The nodes alone, written as items again: the same layers, totals and outputs; and text that reads back."""
    nodes = network.nodes
    again = graph(network.name, network.input, nodes)
    found = counterparts(nodes, again.nodes)
    before, after = analyse(network), analyse(again)
    assert (before.params, before.buffers, before.macs) == (after.params, after.buffers, after.macs)
    assert (before.output, before.memory, before.error) == (after.output, after.memory, None)
    theirs = {row.node.name: facts(row) for row in after.rows}
    for row in before.rows:
        assert row.node.name not in found or facts(row) == theirs[found[row.node.name]], row.node.name
    reads_back(again)
    one, two = build(network).double().eval(), build(again).double().eval()
    parts = dict(zip((node.name for node in again), two.children(), strict=True))
    for node, part in zip(network, one.children(), strict=True):
        if node.name in found:
            parts[found[node.name]].load_state_dict(part.state_dict())
    x = torch.rand(
        2, *network.input, dtype=torch.float64, generator=torch.Generator().manual_seed(rng.randrange(10**6))
    )
    with torch.no_grad():
        torch.testing.assert_close(one(x), two(x), equal_nan=True)


def reads_back(network: Network) -> None:
    """Text -> network and file -> network give an equal one, with equal nodes."""
    lines = network_text(network)
    for text in ("\n".join(lines), "; ".join(lines)):
        again = parse(text, network.input, network.name, network.blocks, network.tables)
        assert again == network
        assert again.nodes == network.nodes
        assert network_text(again) == lines
    net = NetFile(network, 1998, "an idea", "a source")
    filed = parse_toml(to_toml(net))
    assert filed == net
    assert filed.network.nodes == network.nodes


def kinds(items: Items) -> Iterator[type[Item]]:
    """What of the notation is in it."""
    for item in walk(items):
        yield type(item)


def check(seed: int) -> Network:
    """All of the above, of the network of this seed; the caller sees an AssertionError."""
    rng = random.Random(seed)
    network = random_network(rng)
    for test in (
        lambda: reads_back(network),
        lambda: agrees_with_torch(network),
        lambda: sees_where_its_gradient_is(network, rng),
        lambda: the_recursion_is_exact_far_from_borders(network),
        lambda: keeps_what_torch_saves(network),
        lambda: written_anew_computes_the_same(network, rng),
    ):
        try:
            test()
        except Exception as error:
            error.add_note(described(network, seed))
            raise
    shape, nodes = random_nodes(rng)
    written_anew_computes_the_same(graph("nodes", shape, nodes), rng)
    return network


def described(network: Network, seed: int) -> str:
    """The network as a file, to be tried by hand."""
    return f"seed {seed}:\n{to_toml(NetFile(network))}"


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    sizes = []
    for seed in range(chosen.seed, chosen.seed + chosen.count):
        try:
            sizes.append(len(check(seed)))
        except Exception:
            traceback.print_exc()
            sys.exit(1)
    print(f"{chosen.count} networks of {sum(sizes) / len(sizes):.1f} layers agree with torch")
