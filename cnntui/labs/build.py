"""The building lab: a network that may be wrong for a while, what is looked at in it, and the moves that change it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from cnntui.core.analysis import Analysis, Row, analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.items import (
    Block,
    Branches,
    Call,
    Item,
    Items,
    Repeat,
    Single,
    edited,
    found,
    named_anew,
    siblings,
    spliced,
    walk,
)
from cnntui.core.layers import Shape
from cnntui.core.merges import MERGES
from cnntui.core.nets import NetFile, parse_input
from cnntui.core.network import Network
from cnntui.core.notation import BLOCK_NAME, item_text, network_text, one_line, parse_items
from cnntui.core.pointwise import Identity
from cnntui.core.sight import Sight, sight
from cnntui.core.vocabulary import NotationError
from cnntui.labs.goal import Goal, parse_goal
from cnntui.labs.outline import Key, Line, foldable, folded_at_first, item_at, key_of, outline, path_of, resettled
from cnntui.labs.whatif import Way, ways
from cnntui.runs.nets import load_any

OWN = "my-"
EDIT_ERRORS = (NotationError, ImpossibleError)


@dataclass(frozen=True)
class BuildState:
    """A network and what is looked at in it.

    Args:
        net: the network with what its file says about it.
        selected: the line of the outline.
        path: the file that it was read from or saved to.
        folded: the lines that are shut.
        marked: the line at which a selection of several began, or None.
        unit: the unit (row, column) of the selected layer whose view is drawn; None for the middle one.
        goal: what is to be reached.
    """

    net: NetFile
    selected: int = 0
    path: Path | None = None
    folded: frozenset[Key] = frozenset()
    marked: Key | None = None
    unit: tuple[int, int] | None = None
    goal: Goal | None = None

    @property
    def network(self) -> Network:
        """The network."""
        return self.net.network

    @cached_property
    def analysis(self) -> Analysis:
        """The facts of every layer."""
        return analyse(self.network)

    @cached_property
    def lines(self) -> list[Line]:
        """The network as lines."""
        return outline(self.network, self.folded)

    @property
    def texts(self) -> list[str]:
        """The lines' words."""
        return [line.text for line in self.lines]

    @property
    def line(self) -> Line | None:
        """The selected line."""
        return self.lines[self.selected] if self.lines else None

    @property
    def row(self) -> Row | None:
        """The facts of the selected line: of a group, those of its last layer."""
        line = self.line
        return self.analysis.rows[line.row] if line and line.row is not None else None

    def problem_in(self, line: Line) -> Row | None:
        """The first impossible layer of those that a line holds."""
        return next((row for row in self.analysis.rows[line.first : line.last] if row.problem), None)

    @cached_property
    def ways(self) -> list[Way]:
        """How the selected layer's job could be done, as it is among them."""
        line = self.line
        return ways(self.analysis, line.row) if line and line.row is not None and not line.fold else []

    @cached_property
    def other_ways(self) -> list[Way]:
        """Those that can be taken: others than the present one, in layers of the notation."""
        layers = self.network.layers
        return [way for way in self.ways if way.layers and way.layers != layers[way.first : way.first + way.count]]

    # -- what one unit sees

    @property
    def looking_from(self) -> tuple[int, int] | None:
        """The unit whose view is drawn; None where the selected layer makes no map."""
        row = self.row
        if row is None or row.output is None or len(row.output) != 3:
            return None
        _, height, width = row.output
        y, x = self.unit or (height // 2, width // 2)
        return min(y, height - 1), min(x, width - 1)

    @cached_property
    def sight(self) -> Sight | None:
        """The input cells that the unit sees; None for the whole image."""
        line = self.line
        if line is None or line.row is None or self.looking_from is None:
            return None
        return sight(self.analysis, line.row, self.looking_from)

    def look(self, down: int, right: int) -> BuildState:
        """From a unit further down or right, as far as the map goes."""
        row, unit = self.row, self.looking_from
        if row is None or row.output is None or unit is None:
            return self
        _, height, width = row.output
        moved = (max(0, min(unit[0] + down, height - 1)), max(0, min(unit[1] + right, width - 1)))
        return self._looking(unit=moved)

    # -- where one looks

    def _looking(self, **changes: Any) -> BuildState:
        """Another look at the same lines: what was worked out stays."""
        state = replace(self, **changes)
        for name in ("analysis", "lines"):
            if name in self.__dict__:
                state.__dict__[name] = self.__dict__[name]
        return state

    def select(self, index: int) -> BuildState:
        """Select a line; beyond the ends is the end."""
        return self._looking(selected=max(0, min(index, len(self.lines) - 1)), unit=None)

    def _at(self, key: Key, meeting: bool = False) -> BuildState:
        """The line of a key selected; where it is gone or shut, the one before it in its sequence, or what holds that."""
        lines = {(line.key, line.meeting): index for index, line in enumerate(self.lines)}
        if (key, meeting) in lines:
            return self.select(lines[key, meeting])
        while len(key) > 1 or key[-1] > 0:
            key = (*key[:-1], key[-1] - 1) if key[-1] else key[:-2]
            if (key, False) in lines:
                return self.select(lines[key, False])
        return self.select(self.selected)

    def fold(self, shut: bool | None = None) -> BuildState:
        """Shut or open the selected line; shutting inside a group shuts the group. None: the other way round."""
        line = self.line
        if line is None:
            return self
        if line.fold == "" or (line.fold == "folded" and shut):
            inside = line.meeting or len(line.key) > 2
            if not shut or not inside:
                return self
            key = line.key if line.meeting else line.key[:-2]
            return replace(self, folded=self.folded | {key})._at(key)
        if shut is None:
            shut = line.fold == "open"
        return replace(self, folded=self.folded | {line.key} if shut else self.folded - {line.key})._at(line.key)

    def fold_all(self) -> BuildState:
        """All shut, or where all are shut, all open."""
        every = frozenset(foldable(self.network.items))
        state = replace(self, folded=every if self.folded & every != every else frozenset())
        return state._at(self.line.key) if self.line else state

    def mark(self) -> BuildState:
        """Begin a selection of several lines here, or leave it."""
        line = self.line
        return self._looking(marked=line.key if line and self.marked is None else None)

    @property
    def span(self) -> tuple[Key, int]:
        """The selected items: the key of the first, and how many, side by side from the marked to the selected one."""
        line = self.line
        if line is None:
            return (0,), 0
        key, mark = line.key, self.marked
        if mark is None or key[: len(mark) - 1] != mark[:-1]:
            return key, 1
        first, last = sorted((mark[-1], key[len(mark) - 1]))
        return (*mark[:-1], first), last - first + 1

    # -- moves that change the network

    def _changed(self, items: Items, key: Key | None = None, meeting: bool = False, **others: Any) -> BuildState:
        """With other items, and the line of `key` selected.

        Raises:
            ImpossibleError: when their names cannot be.
        """
        if items == self.network.items:
            return self
        net = self._own(replace(self.network, items=items))
        folded = others.pop("folded", self.folded)
        if folded:
            folded &= frozenset(foldable(items))
        state = replace(self, net=net, folded=folded, **{"marked": None, **others})
        return state._at(key, meeting) if key is not None else state.select(self.selected)

    def _own(self, network: Network) -> NetFile:
        """A changed network as the user's own: what a paper says is not true of it any more."""
        if self.path is None and not network.name.startswith(OWN):
            return NetFile(replace(network, name=f"{OWN}{network.name}"))
        return replace(self.net, network=network)

    def _spliced(
        self, key: Key, new: Items, count: int, chosen: Key, move: Callable[[Key], Key | None] | None = None
    ) -> BuildState:
        """With `new` in place of the items at `key` and the `count - 1` after it, and the line of `chosen` selected.

        `move` says where the folds of these items go (see `resettled`); those behind them go with their items.
        """
        first, behind = key[-1], key[-1] + count

        def moved(tail: Key) -> Key | None:
            if tail[0] < first:
                return tail
            if tail[0] >= behind:
                return (tail[0] + len(new) - count, *tail[1:])
            return move(tail) if move else None

        items = self.network.items
        folded = resettled(items, self.folded, key, moved)
        return self._changed(spliced(items, self._path(key), new, count), chosen, folded=folded)

    def _read(self, text: str) -> Items:
        if not text.strip():
            raise NotationError("type a layer, for example conv 16 k3 same")
        try:
            return parse_items(text, self.network.blocks, self.network.tables)
        except NotationError as error:
            # What is typed has a place of its own: `layer 1` of it is not the first of the net.
            raise NotationError(re.sub(r"^layer 1 \([^)]*\): ", "", str(error))) from None

    def _path(self, key: Key) -> tuple[int, ...]:
        """Where the item of a key is written.

        Raises:
            NotationError: inside a block, whose layers are not written here.
        """
        try:
            return path_of(self.network.items, key)
        except LookupError as block:
            raise NotationError(
                f"this is inside block {block}: enter edits the block, for all its calls; e, on its call, opens that one"
            ) from None

    def _inside(self, key: Key, count: int) -> Items:
        """The selected items."""
        path = self._path(key)
        return siblings(self.network.items, path)[path[-1] :][:count]

    def add(self, text: str, before: bool = False) -> BuildState:
        """One layer or several (`conv 16; relu`) after the selected one (or before it), the last of them selected.

        Raises:
            NotationError, ImpossibleError: when the text is no layer, or a name is taken.
        """
        new, line = self._read(text), self.line
        if line is None:
            return self._changed(new, (len(new) - 1,))
        key = (*line.key[:-1], line.key[-1] + (not before))
        return self._spliced(key, new, 0, (*key[:-1], key[-1] + len(new) - 1))

    @property
    def written(self) -> str:
        """What the editor shows of the selected line: its item in words, or the layers of the block it is in."""
        line = self.line
        if line is None:
            return ""
        if line.block:
            block = next(block for block in self.network.blocks if block.name == line.block)
            return one_line(block.layers)
        return item_text(item_at(self.network, line.key))

    def rewrite(self, text: str) -> BuildState:
        """The selected item replaced by one or several; inside a block, the layers of the block, for all its calls.

        Raises:
            NotationError, ImpossibleError: as `add`.
        """
        line = self.line
        if line is None:
            return self.add(text)
        if line.block:
            return self._rewrite_block(line, text)
        new = self._read(text)
        return self._spliced(line.key, new, 1, line.key, lambda tail: tail if len(new) == len(tail) == 1 else None)

    def _rewrite_block(self, line: Line, text: str) -> BuildState:
        network = self.network
        if not text.strip():
            raise NotationError("type the layers of the block, for example conv {c} k3 same; relu")
        blocks = tuple(
            replace(block, layers=(text.strip(),)) if block.name == line.block else block for block in network.blocks
        )
        items = parse_items("\n".join(network_text(network)), blocks, network.tables)
        defining = replace(self, net=replace(self.net, network=replace(network, blocks=blocks)))
        return defining._changed(items, line.key)

    def delete(self) -> BuildState:
        """Without the selected items."""
        key, count = self.span
        return self._spliced(key, (), count, key) if count else self

    def duplicate(self) -> BuildState:
        """The selected items once more, after themselves; names stay with the first."""
        key, count = self.span
        if not count:
            return self
        inside, first, behind = self._inside(key, count), key[-1], (*key[:-1], key[-1] + count)
        again = tuple(replace(item, name=None) for item in inside)

        def copied(tail: Key) -> Key | None:
            return (tail[0] + count, *tail[1:]) if first <= tail[0] < first + count else None

        folded = resettled(self.network.items, self.folded, key, copied)
        state = self._spliced(key, (*inside, *again), count, behind, lambda tail: tail)
        return replace(state, folded=state.folded | folded)._at(behind)

    def move(self, by: int) -> BuildState:
        """The selected items that many places on in their sequence; they stay selected."""
        key, count = self.span
        if not count:
            return self
        path = self._path(key)
        sequence, first = siblings(self.network.items, path), path[-1]
        to = max(0, min(first + by, len(sequence) - count))
        order = [*range(first), *range(first + count, len(sequence))]
        order[to:to] = range(first, first + count)
        places = {old: new for new, old in enumerate(order)}
        items = edited(self.network.items, path, lambda all_, _: tuple(all_[old] for old in order))
        folded = resettled(self.network.items, self.folded, key, lambda tail: (places[tail[0]], *tail[1:]))
        marked = (*key[:-1], to) if self.marked else None
        return self._changed(items, (*key[:-1], to + count - 1), folded=folded, marked=marked)

    def wrap(self, how: str) -> BuildState:
        """The selected items in a group (`x3`), as a block (`@NAME`), or as the first of two branches (`add`, `cat`, `mul`).

        The other branch is `id`. A block has no arguments at first.

        Raises:
            NotationError: when `how` is none of these.
        """
        key, count = self.span
        if not count:
            return self
        inside = self._inside(key, count)
        if how in MERGES:
            group: Item = Branches((inside, (Single(Identity()),)), MERGES[how])
        elif times := re.fullmatch("x([0-9]{1,6})", how):
            group = Repeat(inside, int(times.group(1)))
        elif named := re.fullmatch(f"@({BLOCK_NAME})", how):
            return self._as_block(named.group(1), inside, key)
        else:
            raise NotationError(f"{how!r} is none of x2, x3, …, {', '.join(MERGES)}, @NAME")
        return self._spliced(key, (group,), count, key, lambda tail: (key[-1], 0, tail[0] - key[-1], *tail[1:]))

    def _as_block(self, name: str, inside: Items, key: Key) -> BuildState:
        network = self.network
        if any(block.name == name for block in network.blocks):
            raise NotationError(f"there is a block {name} already")
        block = Block(name, (), tuple(map(item_text, inside)))
        defining = replace(self, net=replace(self.net, network=replace(network, blocks=(*network.blocks, block))))
        call = (Call(name, (), inside),)
        state = defining._spliced(key, call, len(inside), key, lambda tail: (key[-1], 0, tail[0] - key[-1], *tail[1:]))
        return state._same_as(network)

    def _same_as(self, network: Network) -> BuildState:
        """This, where it computes what that network does.

        Raises:
            NotationError: when `from input` means something else than before: inside a block, the block's own input.
        """
        if self.network.wiring != network.wiring:
            raise NotationError(
                "from input means a block's own input inside it: name what is read first, and go from that"
            )
        return self

    def unwrap(self) -> BuildState:
        """The selected group's layers in its place: those of a block, or of a repeat as often as it has them.

        Raises:
            NotationError: when a single layer or branches are selected.
        """
        line = self.line
        item = found(self.network.items, self._path(line.key)) if line else None
        if line is None or not isinstance(item, Call | Repeat):
            raise NotationError("only a block or a repeat opens in place: nothing of branches would be left out")
        inside = self._freed(item)
        each, first = len(item.items), line.key[-1]

        def moved(tail: Key) -> Key | None:
            return None if len(tail) == 1 else (first + tail[1] * each + tail[2], *tail[3:])

        return self._spliced(line.key, inside, 1, line.key, moved)._same_as(self.network)

    def _freed(self, item: Call | Repeat) -> Items:
        """What a group comes to, with names that are not there yet."""
        taken = _names(self.network.items) - _names(item.items)
        if isinstance(item, Repeat) and item.times == 1:
            return item.items
        freed: Items = ()
        for _ in range(item.times if isinstance(item, Repeat) else 1):
            freed += named_anew(item.items, {*taken, *_names(freed)})
        return freed

    def instead(self, way: Way) -> BuildState:
        """Another way to do a layer's job in place of the layers that do it now; the last of them hands on its name.

        Raises:
            NotationError: when these do not stand side by side where they can be changed.
        """
        key = key_of(self.network.items, way.first)
        present = self._inside(key, way.count)
        wanted = [row.node.layer for row in self.analysis.rows[way.first : way.first + way.count]]
        if [item.layer for item in present if isinstance(item, Single)] != wanted:
            raise NotationError("these layers do not stand side by side")
        *first, last = (Single(layer) for layer in way.layers)
        return self._spliced(key, (*first, replace(last, name=present[-1].name)), way.count, key)

    def with_input(self, text: str) -> BuildState:
        """Another input, `C,H,W`.

        Raises:
            NotationError, ImpossibleError: when it is none.
        """
        shape = parse_input(text)
        if shape == self.network.input:
            return self
        return replace(self, net=self._own(replace(self.network, input=shape)), unit=None)

    def with_goal(self, text: str) -> BuildState:
        """With something to reach, such as `field >= 32; params <= 20000; output 10`; empty text takes it away.

        Raises:
            NotationError: when it is no goal.
        """
        return self._looking(goal=parse_goal(text) if text.strip() else None)

    # -- what is impossible

    @property
    def fixes(self) -> list[str]:
        """What would work at the first impossible layer, in words."""
        row = self.analysis.failing
        return [fix.text for fix in row.problem.fixes] if row and row.problem else []

    def mend(self, index: int) -> BuildState:
        """The fix of that number, at the first impossible layer. A block in which that stands is opened for it.

        Raises:
            NotationError: when there is no such fix.
        """
        row = self.analysis.failing
        if row is None or row.problem is None or not 0 <= index < len(row.problem.fixes):
            raise NotationError("nothing to mend" if row is None else f"there are {len(self.fixes)} fixes")
        fix = row.problem.fixes[index]
        place = self.analysis.rows.index(row)
        state = self._opened_at(place)
        items, key = state.network.items, key_of(state.network.items, place)
        item = found(items, path_of(items, key))
        if fix.appended and isinstance(item, Branches):
            branches = tuple(
                (*branch, *(Single(layer) for layer in layers))
                for branch, layers in zip(item.branches, fix.appended, strict=True)
            )
            new: Items = (replace(item, branches=branches),)
        else:
            *first, last = (Single(layer) for layer in fix.layers)
            new = (*first, replace(last, name=item.name))
        mended = state._spliced(key, new, 1, key, lambda tail: tail)
        return mended._at(key, bool(fix.appended))

    def _opened_at(self, row: int) -> BuildState:
        """With the blocks around a layer replaced by groups of their layers."""
        state = self
        key = key_of(state.network.items, row)
        for length in range(1, len(key), 2):
            outer = found(state.network.items, path_of(state.network.items, key[:length]))
            if isinstance(outer, Call):
                group = (Repeat(state._freed(outer), 1, name=outer.name),)
                state = state._spliced(key[:length], group, 1, key[:length], lambda tail: tail)
        return state._same_as(self.network)

    def saved(self, path: Path) -> BuildState:
        """As what is in a file: the net is called after the first that it is saved to."""
        net = self.net if self.path else replace(self.net, network=replace(self.network, name=path.stem))
        return replace(self, net=net, path=path)


def _names(items: Items) -> Counter[str]:
    return Counter(item.name for item in walk(items) if item.name)


def empty(text: str) -> BuildState:
    """The lab on a net without layers, for an input `C,H,W`.

    Raises:
        NotationError, ImpossibleError: when it is none.
    """
    return BuildState(NetFile(Network(f"{OWN}net", parse_input(text), ())))


def opened(net: NetFile, path: Path | None = None) -> BuildState:
    """The lab on a network."""
    return BuildState(net, path=path, folded=folded_at_first(net.network))


def open_net(net: str, shape: Shape | None = None, stopped: Callable[[], bool] | None = None) -> BuildState:
    """The lab on a NET of the command line.

    Raises:
        NotationError, ImpossibleError: with one line that says what is wrong.
    """
    return opened(load_any(net, shape, stopped=stopped), Path(net) if net.endswith(".toml") else None)
