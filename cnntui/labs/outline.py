"""A network as lines: each layer, branching, repeat and block on a line of its own; what is inside below it, or folded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cnntui.core.analysis import Analysis
from cnntui.core.items import Branches, Call, Item, Items, Path, Repeat, found, total
from cnntui.core.layers import Shape
from cnntui.core.network import Network
from cnntui.core.notation import item_text

UNFOLDED = 40  # layers up to which a net is shown whole at first

Key = Path
"""Where a line's item stands, each time of a repeat apart: a `Path` whose step into a repeat is the number of the time."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the outline.

    Args:
        key: where it stands; the lines of one item share it.
        guide: the branches that run past it, as they are drawn before its text.
        text: the item in words.
        first: the first of the analysis' rows that belong to it.
        last: the row after the last; a line of one layer has one row, `from` none.
        fold: whether it holds others: "open", "folded", or "" where it holds none.
        meeting: the line on which branches meet.
        block: the name of the innermost block that it is in; its layers are edited there.
    """

    key: Key
    guide: str
    text: str
    first: int
    last: int
    fold: str = ""
    meeting: bool = False
    block: str = ""

    @property
    def row(self) -> int | None:
        """The row whose facts the line shows: the layer's, or what all that it holds comes to; None for `from`."""
        return None if self.first == self.last else self.last - 1


def outline(network: Network, folded: frozenset[Key]) -> list[Line]:
    """The lines of a network."""
    return list(_lines(network.items, (), 0, "", folded, ""))


def _lines(items: Items, prefix: Key, first: int, guide: str, folded: frozenset[Key], block: str) -> Iterator[Line]:
    for index, item in enumerate(items):
        key = (*prefix, index)
        last = first + item.size
        if isinstance(item, Branches | Repeat | Call):
            shut = key in folded
            yield Line(key, guide, _headline(item, shut), first, last, "folded" if shut else "open", block=block)
            if not shut:
                yield from _inside(item, key, first, guide, folded, block)
        else:
            yield Line(key, guide, item_text(item), first, last, block=block)
        first = last


def _inside(item: Item, key: Key, first: int, guide: str, folded: frozenset[Key], block: str) -> Iterator[Line]:
    if isinstance(item, Branches):
        for number, branch in enumerate(item.branches):
            lines = _lines(branch, (*key, number), first, f"{guide}│ ", folded, block)
            for index, line in enumerate(lines):
                yield line if index else _begun(line, guide)
            first += total(branch)
        yield Line(key, f"{guide}└ ", item.merge.op, first, first + 1, meeting=True, block=block)
    elif isinstance(item, Repeat):
        for time in range(item.times):
            yield from _lines(item.items, (*key, time), first, f"{guide}  ", folded, block)
            first += total(item.items)
    elif isinstance(item, Call):
        yield from _lines(item.items, (*key, 0), first, f"{guide}  ", folded, item.block)


def _begun(line: Line, guide: str) -> Line:
    """The first line of a branch, where it parts."""
    return Line(
        line.key, f"{guide}├ {line.guide[len(guide) + 2 :]}", line.text, line.first, line.last, line.fold,
        line.meeting, line.block,
    )  # fmt: skip


def _headline(item: Item, shut: bool) -> str:
    """A folded item in its own words, an open one in as few as will do."""
    if shut or isinstance(item, Call):
        return item_text(item)
    name = f"{item.name}: " if item.name else ""
    if isinstance(item, Branches):
        return f"{name}[ {len(item.branches)} branches ] {item.merge.op}"
    return f"{name}( … )" + (f" x{item.times}" if isinstance(item, Repeat) and item.times > 1 else "")


def foldable(items: Items, prefix: Key = ()) -> Iterator[Key]:
    """The keys of all that can be folded, the outer before the inner."""
    for index, item in enumerate(items):
        key = (*prefix, index)
        if isinstance(item, Branches):
            yield key
            for number, branch in enumerate(item.branches):
                yield from foldable(branch, (*key, number))
        elif isinstance(item, Repeat | Call):
            yield key
            for time in range(item.times if isinstance(item, Repeat) else 1):
                yield from foldable(item.items, (*key, time))


def folded_at_first(network: Network) -> frozenset[Key]:
    """All of a large net: its plan comes first, and each part opens by one key."""
    return frozenset(foldable(network.items)) if len(network) > UNFOLDED else frozenset()


def path_of(items: Items, key: Key) -> Path:
    """Where the item of a line is written: a repeat writes its layers once.

    Raises:
        LookupError: for a line inside a block, with the block's name.
    """
    return _path(items, key, into_blocks=False)


def _path(items: Items, key: Key, into_blocks: bool = True) -> Path:
    path: list[int] = []
    inside = items
    for at in range(0, len(key) - 1, 2):
        index, slot = key[at], key[at + 1]
        item = inside[index]
        if isinstance(item, Branches):
            inside = item.branches[slot]
        elif isinstance(item, Repeat) or (isinstance(item, Call) and into_blocks):
            slot, inside = 0, item.items
        else:
            raise LookupError(item.block if isinstance(item, Call) else "")
        path += [index, slot]
    return (*path, key[-1])


def key_of(items: Items, row: int, prefix: Key = ()) -> Key:
    """The key of the line of one layer, by its row; where branches meet, that of the branches."""
    for index, item in enumerate(items):
        if row >= item.size:
            row -= item.size
            continue
        if isinstance(item, Branches):
            for number, branch in enumerate(item.branches):
                if row < total(branch):
                    return key_of(branch, row, (*prefix, index, number))
                row -= total(branch)
        elif isinstance(item, Repeat | Call):
            time, row = divmod(row, total(item.items))
            return key_of(item.items, row, (*prefix, index, time))
        return (*prefix, index)
    raise LookupError(row)


def resettled(items: Items, folded: frozenset[Key], key: Key, move: Callable[[Key], Key | None]) -> frozenset[Key]:
    """The folds after an edit in the sequence that `key` stands in, in every time of a repeat alike.

    `move` is given what follows the way to that sequence, the place in it first, and gives where that is now; None: gone.
    """
    depth = len(key) - 1
    where = _path(items, key)[:depth]
    settled: set[Key] = set()
    for other in folded:
        if len(other) <= depth or _path(items, other)[:depth] != where:
            settled.add(other)
        elif (tail := move(other[depth:])) is not None:
            settled.add((*other[:depth], *tail))
    return frozenset(settled)


def item_at(network: Network, key: Key) -> Item:
    """The item of a line.

    Raises:
        LookupError: for a line inside a block, with the block's name.
    """
    return found(network.items, path_of(network.items, key))


@dataclass(frozen=True, slots=True)
class Stage:
    """A shape, and the lines of the outline that keep it."""

    shape: Shape
    first: int
    last: int


def stages(analysis: Analysis, lines: Sequence[Line]) -> list[Stage]:
    """The shapes along the main line: what is inside branches counts where they meet."""
    found = [Stage(analysis.network.input, -1, -1)]
    for index, line in enumerate(lines):
        if line.row is None or line.fold == "open" or ("│" in line.guide or "├" in line.guide):
            continue
        shape = analysis.rows[line.row].output
        if shape is None:
            break
        if shape == found[-1].shape:
            found[-1] = Stage(shape, found[-1].first, index)
        else:
            found.append(Stage(shape, index, index))
    return found
