"""Rails: whatever a layer reads runs into it, and nothing else does."""

from __future__ import annotations

import random

from cnntui.core.nets import load_net, zoo
from cnntui.core.network import INPUT, Network
from cnntui.core.notation import parse
from cnntui.labs.rails import Rail, drawing, rails
from tests.core.random_networks import random_network


def drawn(text: str, width: int = 11) -> list[str]:
    made = rails(sources(parse(text, (4, 16, 16), "net")))
    most = max(rail.lanes for rail in made)
    columns = [drawing(rail, rail.node, width, most) for rail in made]
    return ["".join(column[lane] for column in columns).rstrip() for lane in range(most)]


def sources(network: Network) -> dict[str, tuple[str, ...]]:
    return {INPUT: ()} | {node.name: node.inputs for node in network}


def test_a_chain_is_one_line() -> None:
    assert drawn("conv 4; relu; maxpool 2") == ["   input ──── conv1 ──── relu1 ──── maxpool1"]


def test_a_shortcut_runs_beside_what_it_skips() -> None:
    assert drawn("conv 4 same; [ conv 4 same; relu | id ] add; relu") == [
        "   input ──── conv1 ──┬─ conv2 ──── relu1 ──────────────┬ add1 ───── relu2",
        "                      └─────────────────────── id1 ─────┘",
    ]


def test_three_branches_meet() -> None:
    assert drawn("[ relu | tanh | elu ] cat; relu", 9) == [
        "   input ┬─ relu1 ───────────────────┬ cat1 ─── relu2",
        "         └────────┬─ tanh1 ──────────┤",
        "                  └────────── elu1 ──┘",
    ]


def replayed(made: tuple[Rail, ...], read: dict[str, tuple[str, ...]]) -> None:
    """Walk the lanes as they are drawn: what runs on them is what is read."""
    lanes: dict[int, str] = {}
    for rail in made:
        ends = {lanes[lane] for lane in rail.joins} | ({lanes[rail.lane]} if rail.starts else set())
        assert ends == set(read[rail.node])
        for lane, to in rail.forks:
            assert to not in lanes
            lanes[to] = lanes[lane]
        for lane in rail.joins:
            if lane not in rail.passing:
                del lanes[lane]
        lanes.pop(rail.lane, None)
        if rail.goes_on:
            lanes[rail.lane] = rail.node
        assert set(rail.passing) | {to for _, to in rail.forks} == set(lanes) - {rail.lane}
    assert not lanes


def test_any_network() -> None:
    rng = random.Random(3)
    networks = [random_network(rng) for _ in range(200)] + [load_net(name).network for name in zoo()]
    for network in networks:
        read = sources(network)
        made = rails(read)
        assert [rail.node for rail in made] == list(read)
        ends = {name for names in read.values() for name in names}
        replayed(made, read)
        for rail in made:
            lines = drawing(rail, rail.node, 12, rail.lanes)
            assert {len(line) for line in lines} == {12}
            assert rail.node[:8] in lines[rail.lane]
            assert rail.goes_on == (rail.node in ends)
