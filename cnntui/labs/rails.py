"""A network drawn as rails: each layer stands on a lane, and every value that is still to be read runs on one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from cnntui.core.network import INPUT, Network

CROSSED = {"─": "┼", "┘": "┤", "┐": "┤", "└": "├", "┌": "├", "┴": "┼", "┬": "┼"}  # where another line comes down


@dataclass(frozen=True)
class Rail:
    """One layer and the lanes beside it.

    Args:
        node: the layer.
        lane: where it stands.
        passing: the lanes that go straight past it.
        joins: the lanes that end in it, beside its own.
        forks: before it the value of one lane goes on in another: (from, to).
        starts: whether something on its lane leads into it.
        goes_on: whether something after it reads it.
    """

    node: str
    lane: int
    passing: tuple[int, ...] = ()
    joins: tuple[int, ...] = ()
    forks: tuple[tuple[int, int], ...] = ()
    starts: bool = True
    goes_on: bool = True

    @property
    def lanes(self) -> int:
        """How many lanes it takes to draw it."""
        used = (self.lane, *self.passing, *self.joins, *(to for _, to in self.forks))
        return 1 + max(used)


def rails(sources: Mapping[str, Sequence[str]]) -> tuple[Rail, ...]:
    """The rails of a graph in an order in which it can be computed: what each node reads, earlier nodes.

    A layer takes the first lane of what it reads; where that is read again later, it is the value that moves to a lane of
    its own, as a shortcut runs beside the layers that it skips.
    """
    left = Counter(name for read in sources.values() for name in set(read))
    lanes: list[str | None] = []
    drawn: list[Rail] = []
    for node, read in sources.items():
        own = sorted(set(read), key=lanes.index)
        at = [lanes.index(name) for name in own]
        for name in own:
            left[name] -= 1
        lane = at[0] if at else _free(lanes)
        joins = tuple(i for i, name in zip(at[1:], own[1:], strict=True) if not left[name])
        forks: list[tuple[int, int]] = []
        crossing = [(i, name) for i, name in zip(at, own, strict=True) if left[name]]
        for i, name in crossing:
            if i == lane:
                to = _free(lanes)
                _put(lanes, to, name)
                forks.append((i, to))
        for i in joins:
            lanes[i] = None
        reads_on = tuple(i for i, _ in crossing if i != lane)
        _put(lanes, lane, node if left[node] else None)
        new = {to for _, to in forks}
        passing = tuple(i for i, name in enumerate(lanes) if name is not None and i != lane and i not in new)
        drawn.append(Rail(node, lane, passing, (*joins, *reads_on), tuple(forks), bool(read), bool(left[node])))
        while lanes and lanes[-1] is None:
            lanes.pop()
    return tuple(drawn)


def rails_of(network: Network, shown: Collection[str]) -> tuple[Rail, ...]:
    """The rails of the layers that are shown, the input first; any other one only hands on what it reads."""
    sources: dict[str, tuple[str, ...]] = {INPUT: ()}
    behind = {INPUT: INPUT}
    for node in network:
        read = tuple(behind[name] for name in node.inputs)
        if node.name in shown:
            sources[node.name], behind[node.name] = read, node.name
        else:
            behind[node.name] = read[0]
    return rails(sources)


def _free(lanes: Sequence[str | None]) -> int:
    return next((i for i, name in enumerate(lanes) if name is None), len(lanes))


def _put(lanes: list[str | None], at: int, name: str | None) -> None:
    if at == len(lanes):
        lanes.append(name)
    else:
        lanes[at] = name


def drawing(rail: Rail, title: str, width: int, most: int) -> list[str]:
    """The rail as `most` lines of `width` glyphs: two for what parts and joins before the layer, then its name."""
    lines = [["─" if lane in rail.passing else " "] * width for lane in range(max(most, rail.lanes))]
    if rail.starts:
        lines[rail.lane][:2] = "──"
    for lane, to in rail.forks:
        _connect(lines, 0, lane, to, "└" if to > lane else "┌")
        lines[to][1:] = "─" * (width - 1)
    for lane in rail.joins:
        lines[lane][0] = "─"
        ends = "┴┬" if lane in rail.passing else "┘┐"
        _connect(lines, 1, rail.lane, lane, ends[0] if lane > rail.lane else ends[1])
    name = f" {title[: max(0, width - 3)]} "[: width - 2]
    rest = width - 2 - len(name)
    lines[rail.lane][2:] = name + ("─" if rail.goes_on else " ") * rest
    return ["".join(line[:width]) for line in lines[:most]]


def _connect(lines: list[list[str]], column: int, near: int, far: int, end: str) -> None:
    """A line from one lane down, or up, to another."""
    for lane in range(min(near, far) + 1, max(near, far)):
        lines[lane][column] = CROSSED.get(lines[lane][column], "│")
    lines[near][column] = "┬" if far > near else "┴"
    lines[far][column] = end
