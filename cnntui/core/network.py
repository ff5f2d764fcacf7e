"""A network: named layers, each reading earlier ones. A small graph, in an order in which it can be computed."""

from __future__ import annotations

import re
from collections import ChainMap, Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field, replace

from cnntui.core.axis import ImpossibleError
from cnntui.core.items import MOST_LAYERS, Block, Branches, Call, From, Item, Items, Repeat, Single, steps, walk
from cnntui.core.layers import Conv, Layer, Shape, Table
from cnntui.core.merges import Merge
from cnntui.core.pointwise import Identity

INPUT = "input"
DEEPEST = 40  # brackets inside brackets, blocks inside blocks
Scope = ChainMap[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    """A layer under its name, with the names of what it reads."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """An immutable graph: `items` as written, `nodes` as computed; `input` is (C, H, W).

    `blocks` and `defined`, its tables (those in use among them), are those that its items can name. A layer that was given
    no name is called by what it is and how many came before: conv2. Names given inside a block, or a repeat of two and more,
    are its own each time.

    Raises:
        ImpossibleError: when a name is used twice or is not there, or the input is not three positive numbers.
    """

    name: str
    input: Shape
    items: Items
    blocks: tuple[Block, ...] = ()
    defined: tuple[Table, ...] = ()
    nodes: tuple[Node, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.input) != 3 or min(self.input) < 1:
            raise ImpossibleError(f"input {list(self.input)} is not channels, height, width, each at least 1")
        if (size := steps(self.items)) > MOST_LAYERS:
            raise ImpossibleError(f"that makes {size:,} layers > {MOST_LAYERS:,}")
        object.__setattr__(self, "nodes", _expanded(self.items))
        used = (layer.table for layer in self.layers if isinstance(layer, Conv) and layer.table)
        object.__setattr__(self, "defined", tuple({table.name: table for table in (*self.defined, *used)}.values()))

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order."""
        return tuple(node.layer for node in self.nodes)

    @property
    def tables(self) -> dict[str, Table]:
        """Its connection tables by name."""
        return {table.name: table for table in self.defined}

    @property
    def wiring(self) -> list[tuple[Layer, tuple[int, ...]]]:
        """What it computes, whatever its layers are called: each with the places of those that it reads, -1 the input."""
        place = {INPUT: -1} | {node.name: index for index, node in enumerate(self.nodes)}
        return [(node.layer, tuple(place[name] for name in node.inputs)) for node in self.nodes]


def _expanded(items: Items) -> tuple[Node, ...]:
    """Every repeat and block written out, every layer named.

    Raises:
        ImpossibleError: as `Network`.
    """
    expansion = _Expansion({item.name for item in walk(items) if item.name})
    end = expansion.sequence(items, INPUT, ChainMap({INPUT: INPUT}))
    if expansion.nodes and expansion.nodes[-1].name != end:
        raise ImpossibleError(f"a net ends in its last layer: behind the last from, which leads to {end}, write id")
    return tuple(expansion.nodes)


class _Expansion:
    """Items to nodes, one after another. `given` are the names that are taken from the start."""

    def __init__(self, given: Container[str]) -> None:
        self.nodes: list[Node] = []
        self._counts: Counter[str] = Counter()
        self._copies: Counter[str] = Counter()
        self._taken = {INPUT}
        self._given = given

    def sequence(self, items: Items, previous: str, scope: Scope) -> str:
        """Add the nodes of items that read `previous`; returns the name of the node that the last of them gives."""
        for item in items:
            previous = self._item(item, previous, scope)
            if item.name is not None and not isinstance(item, Single | Branches):
                self._enter(item.name, previous, scope)
        return previous

    def _item(self, item: Item, previous: str, scope: Scope) -> str:
        if isinstance(item, Single):
            return self._node(item.layer, (previous,), item.name, scope)
        if isinstance(item, Branches):
            ends = tuple(self.sequence(branch, previous, scope) for branch in item.branches)
            return self._node(item.merge, ends, item.name, scope)
        if isinstance(item, Repeat):
            for _ in range(item.times):
                previous = self.sequence(item.items, previous, scope.new_child() if item.times > 1 else scope)
            return previous
        if isinstance(item, Call):
            return self.sequence(item.items, previous, ChainMap({INPUT: previous}))
        if isinstance(item, From):
            if item.source not in scope:
                raise ImpossibleError(f"from {item.source}: no layer above was given that name")
            return scope[item.source]
        raise TypeError(item)

    def _node(self, layer: Layer, inputs: tuple[str, ...], given: str | None, scope: Scope) -> str:
        if given is None:
            name = self._automatic(layer.op)
        else:
            name = self._unique(given)
            self._enter(given, name, scope)
        self._taken.add(name)
        self.nodes.append(Node(name, layer, inputs))
        return name

    def _automatic(self, op: str) -> str:
        while True:
            self._counts[op] += 1
            name = f"{op}{self._counts[op]}"
            if name not in self._given:
                return name

    def _unique(self, name: str) -> str:
        """The name, or where a repeat or a block has brought it before, name.2, name.3."""
        unique = name
        while unique in self._taken:
            copy = self._copies[name] = max(self._copies[name], 1) + 1
            unique = f"{name}.{copy}"
        return unique

    @staticmethod
    def _enter(name: str, node: str, scope: Scope) -> None:
        if name in scope:
            raise ImpossibleError(f"the name {name} is used twice")
        scope[name] = node


def sequential(name: str, shape: Shape, layers: Iterable[Layer], names: Iterable[str | None] = ()) -> Network:
    """Layers one after another, with the names that some of them have.

    Raises:
        ImpossibleError: as `Network`.
    """
    given = list(names)
    items = (Single(layer, name=given[i] if i < len(given) else None) for i, layer in enumerate(layers))
    return Network(name, shape, tuple(items))


def graph(name: str, shape: Shape, nodes: Iterable[Node], named: Container[str] | None = None) -> Network:
    """The network of nodes in an order in which they can be computed: the last one is its output.

    Branches that part at one layer and meet at another are written as such; what else is read from afar by `from`. The
    nodes in `named` keep their names, as do those that others go back to; None: all whose name says more than their op.

    Raises:
        ImpossibleError: as `Network`.
    """
    given = tuple(nodes)
    if not given:
        return Network(name, shape, ())
    writer = _Writer(given)
    try:
        items = writer.to(given[-1].name, INPUT)
    except _TooDeepError:
        items = writer.flat()
    if named is None:
        named = {node.name for node in given if not re.fullmatch(rf"{node.layer.op}\d*", node.name)}
    return Network(name, shape, writer.renamed(items, named))


class _TooDeepError(Exception):
    """Branches inside branches, deeper than they should be read."""


class _Writer:
    """Nodes to items. A merge's branches part at its immediate dominator: the last node that all ways to it pass."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._order = {INPUT: -1} | {node.name: index for index, node in enumerate(nodes)}
        self._above: dict[str, str] = {}
        for node in nodes:
            self._above[node.name] = self._meeting(node.inputs)
        self._written: set[str] = set()
        self._sources: set[str] = set()

    def _meeting(self, names: tuple[str, ...]) -> str:
        """The last node that all ways to these pass (Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm, 2001)."""
        first, *others = names
        for other in others:
            while first != other:
                if self._order[first] > self._order[other]:
                    first = self._above[first]
                else:
                    other = self._above[other]
        return first

    def flat(self) -> Items:
        """All nodes one after another, by name wherever the one before is not what is read."""
        items: list[Item] = []
        previous = INPUT
        for node in self._nodes.values():
            reads = [From(name) for name in node.inputs]
            if isinstance(node.layer, Merge):
                items.append(Branches(tuple((read,) for read in reads), node.layer, name=node.name))
                self._sources.update(node.inputs)
            elif node.inputs[0] == previous:
                items.append(Single(node.layer, name=node.name))
            else:
                items += reads[0], Single(node.layer, name=node.name)
                self._sources.add(node.inputs[0])
            previous = node.name
        return tuple(items)

    def to(self, name: str, start: str, depth: int = 0) -> Items:
        """The items that lead from `start`, whose value is at hand, to `name`, inside so many brackets."""
        if depth > DEEPEST // 2:
            raise _TooDeepError
        parts: list[Item] = []
        while name != start:
            if name in self._written or name == INPUT:
                self._sources.add(name)
                parts.append(From(name))
                break
            self._written.add(name)
            parts.append(self._item(self._nodes[name], depth))
            name = self._above[name]
        return tuple(reversed(parts))

    def _item(self, node: Node, depth: int) -> Item:
        if not isinstance(node.layer, Merge):
            return Single(node.layer, name=node.name)
        above = self._above[node.name]
        branches = tuple(self.to(name, above, depth + 1) or (Single(Identity()),) for name in node.inputs)
        return Branches(branches, node.layer, name=node.name)

    def renamed(self, items: Items, named: Container[str]) -> Items:
        """With the names in `named` and those that `from` needs, and no others."""

        def one(item: Item) -> Item:
            if isinstance(item, Branches):
                item = replace(item, branches=tuple(self.renamed(branch, named) for branch in item.branches))
            kept = item.name is None or item.name in named or item.name in self._sources
            return item if kept else replace(item, name=None)

        return tuple(map(one, items))
