"""A network as it is written: layers, branches, repeats and blocks, one inside another. Notation reads and writes these."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace

from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import Layer
from cnntui.core.merges import Merge
from cnntui.core.pointwise import Identity

MOST_LAYERS = 20_000


@dataclass(frozen=True, slots=True)
class Item:
    """What stands in a sequence: its name, if it was given one, and how many layers it comes to."""

    name: str | None = field(default=None, kw_only=True)
    size: int = field(init=False, compare=False, repr=False, default=1)
    steps: int = field(init=False, compare=False, repr=False, default=1)  # layers, and what goes back to one

    def _sized(self, size: int, steps: int) -> None:
        if steps > MOST_LAYERS:
            raise ImpossibleError(f"that makes {steps:,} layers > {MOST_LAYERS:,}")
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "steps", steps)


Items = tuple[Item, ...]


def total(items: Items) -> int:
    """The layers of a sequence."""
    return sum(item.size for item in items)


def steps(items: Items) -> int:
    """The steps of writing a sequence out."""
    return sum(item.steps for item in items)


@dataclass(frozen=True, slots=True)
class Single(Item):
    """One layer."""

    layer: Layer


@dataclass(frozen=True, slots=True)
class From(Item):
    """Go on from a layer that has a name, or from the input."""

    source: str

    def __post_init__(self) -> None:
        self._sized(0, 1)


@dataclass(frozen=True, slots=True)
class Branches(Item):
    """Several sequences over one input, and the layer where they meet, which takes the item's name."""

    branches: tuple[Items, ...]
    merge: Merge

    def __post_init__(self) -> None:
        self._sized(sum(map(total, self.branches)) + 1, sum(map(steps, self.branches)) + 1)


@dataclass(frozen=True, slots=True)
class Repeat(Item):
    """A sequence some times over: the same layers, each time with weights of their own. Once: a group."""

    items: Items
    times: int = 1

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ImpossibleError(f"x{self.times}: a repeat of {self.times} < 1")
        self._sized(total(self.items) * self.times, steps(self.items) * self.times)


@dataclass(frozen=True, slots=True)
class Call(Item):
    """A block of the file by its name, with its arguments, and the layers that these make of it."""

    block: str
    arguments: tuple[int, ...]
    items: Items

    def __post_init__(self) -> None:
        self._sized(total(self.items), steps(self.items))


@dataclass(frozen=True, slots=True)
class Block:
    """A block as its file defines it: texts of layers in which `{4*c}` stands for a whole number."""

    name: str
    arguments: tuple[str, ...]
    layers: tuple[str, ...]


def sequences(item: Item) -> tuple[Items, ...]:
    """The sequences inside an item that can be edited: branches, or what is repeated."""
    if isinstance(item, Branches):
        return item.branches
    return (item.items,) if isinstance(item, Repeat) else ()


def walk(items: Items) -> Iterator[Item]:
    """Every item, those inside after the one that holds them; what is repeated, once."""
    for item in items:
        yield item
        inner = (item.items,) if isinstance(item, Call) else sequences(item)
        for sequence in inner:
            yield from walk(sequence)


def renamed(items: Items, names: Mapping[str, str]) -> Items:
    """With other names, and what goes back to them by `from` too."""

    def one(item: Item) -> Item:
        match item:
            case From(source):
                return From(names.get(source, source))
            case Branches(branches):
                item = replace(item, branches=tuple(renamed(branch, names) for branch in branches))
            case Repeat(inside):
                item = replace(item, items=renamed(inside, names))
        return replace(item, name=names.get(item.name, item.name)) if item.name else item

    return tuple(map(one, items))


def named_anew(items: Items, taken: Container[str]) -> Items:
    """With other names in place of those that are taken: a-2 for a."""
    names: dict[str, str] = {}
    for name in (item.name for item in walk(items) if item.name):
        copy, new = 1, name
        while new in taken or (new in names.values() and names.get(name) != new):
            copy += 1
            new = f"{name}-{copy}"
        names[name] = new
    return renamed(items, names)


Path = tuple[int, ...]
"""Where an item stands: its place in the sequence, then the number of the sequence inside it, the place there, and on."""


def found(items: Items, path: Path) -> Item:
    """The item at a path."""
    item = items[path[0]]
    return item if len(path) == 1 else found(sequences(item)[path[1]], path[2:])


def siblings(items: Items, path: Path) -> Items:
    """The sequence in which the item at a path stands."""
    return items if len(path) == 1 else siblings(sequences(items[path[0]])[path[1]], path[2:])


def edited(items: Items, path: Path, change: Callable[[Items, int], Items]) -> Items:
    """Anew, with the sequence that holds `path` changed; `change` is given it, and the place in it.

    A branch that is emptied passes its input on, a group that is emptied goes.
    """
    at = path[0]
    if len(path) == 1:
        return change(items, at)
    item = items[at]
    if isinstance(item, Branches):
        branch = edited(item.branches[path[1]], path[2:], change)
        kept = (*item.branches[: path[1]], branch or (Single(Identity()),), *item.branches[path[1] + 1 :])
        return (*items[:at], Branches(kept, item.merge, name=item.name), *items[at + 1 :])
    if isinstance(item, Repeat):
        inside = edited(item.items, path[2:], change)
        made = (Repeat(inside, item.times, name=item.name),) if inside else ()
        return (*items[:at], *made, *items[at + 1 :])
    raise ImpossibleError("what is inside a block is edited where the block is defined")


def spliced(items: Items, path: Path, new: Items, count: int = 1) -> Items:
    """With `new` in place of the item at a path and the `count - 1` after it."""
    return edited(items, path, lambda sequence, at: (*sequence[:at], *new, *sequence[at + count :]))
