"""Random networks with branches, blocks and repeats against torch, and against themselves written otherwise."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import torch

from cnntui.core import layers, merges
from cnntui.core.analysis import analyse
from cnntui.core.items import Branches, Call, From, Repeat
from cnntui.core.network import INPUT, Network, Node, graph, sequential
from cnntui.core.notation import network_text, parse
from cnntui.core.sight import sight
from cnntui.core.vocabulary import VOCABULARY, parse_layer
from tests.core.random_networks import (
    agrees_with_torch,
    counterparts,
    described,
    keeps_what_torch_saves,
    kinds,
    random_network,
    random_nodes,
    reads_back,
    sees_where_its_gradient_is,
    the_recursion_is_exact_far_from_borders,
    written_anew_computes_the_same,
)

CHUNK = 50
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'", "ignore:Initializing zero-element")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors: more threads than one only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def of_each(chunk: int, test: Callable[[Network, random.Random], object]) -> None:
    """The test of every network of a chunk; the first one that fails is told as a file."""
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        rng = random.Random(seed)
        network = random_network(rng)
        try:
            test(network, rng)
        except Exception as error:
            error.add_note(described(network, seed))
            raise


@pytest.mark.parametrize("chunk", range(40))
def test_every_node_has_torchs_shape_parameters_buffers_and_macs(chunk: int) -> None:
    of_each(chunk, lambda network, _: agrees_with_torch(network))


@pytest.mark.parametrize("chunk", range(20))
def test_a_unit_sees_where_its_gradient_is(chunk: int) -> None:
    of_each(chunk, sees_where_its_gradient_is)


@pytest.mark.parametrize("chunk", range(8))
def test_the_recursion_is_what_the_walk_finds_far_from_borders(chunk: int) -> None:
    of_each(chunk, lambda network, _: the_recursion_is_exact_far_from_borders(network))


@pytest.mark.parametrize("chunk", range(20))
def test_training_keeps_what_torch_saves(chunk: int) -> None:
    of_each(chunk, lambda network, _: keeps_what_torch_saves(network))


@pytest.mark.parametrize("chunk", range(20))
def test_the_nodes_written_anew_compute_the_same(chunk: int) -> None:
    of_each(chunk, written_anew_computes_the_same)


@pytest.mark.parametrize("chunk", range(20))
def test_nodes_that_read_from_anywhere_are_written_as_items(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        rng = random.Random(seed)
        shape, nodes = random_nodes(rng)
        network = graph("nodes", shape, nodes)
        try:
            assert totals(network.nodes) == totals(nodes)
            made_of(network, nodes)
            written_anew_computes_the_same(network, rng)
        except Exception as error:
            error.add_note(f"seed {seed}: {nodes}\n{described(network, seed)}")
            raise


def totals(nodes: tuple[Node, ...]) -> Counter[object]:
    """The layers, but for the identities that stand for a branch without any."""
    return Counter(node.layer for node in nodes if node.layer.op != "id")


def made_of(network: Network, nodes: tuple[Node, ...]) -> None:
    """Fails unless the network is the nodes; names stay where they say more than the layer."""
    ops = {node.name: node.layer.op for node in nodes}
    for name, other in counterparts(nodes, network.nodes).items():
        assert other == name or name.startswith(ops[name]), f"{name} is called {other}"


@pytest.mark.parametrize("chunk", range(20))
def test_text_and_files_read_back(chunk: int) -> None:
    of_each(chunk, lambda network, _: reads_back(network))


def test_the_random_networks_have_everything_in_them() -> None:
    """Each layer, merge and kind of item; names that collide; gates; and few networks of only one layer."""
    networks = [random_network(random.Random(seed)) for seed in range(400)]
    ops = Counter(node.layer.op for network in networks for node in network)
    assert ops.keys() == VOCABULARY.keys() | merges.MERGES.keys()
    assert min(ops.values()) >= 5, ops
    items = Counter(kind for network in networks for kind in set(kinds(network.items)))
    assert min(items[kind] for kind in (Branches, Call, From, Repeat)) > 80
    names = Counter(node.name for network in networks for node in network)
    assert {"conv2", "a.2", "train", "a.2.2"} <= names.keys()
    analyses = list(map(analyse, networks))
    assert not any(analysis.error for analysis in analyses)
    assert sum(any(row.gated for row in analysis.rows) for analysis in analyses) > 40
    assert sum(len(analysis.output or ()) == 1 for analysis in analyses) > 80
    assert sum(bool(network.tables) for network in networks) > 20
    assert sum(len(network) > 10 for network in networks) > 200


# What the random networks have found, each by itself.


@pytest.mark.parametrize("gate", ["adaptiveavgpool 1x4", "adaptiveavgpool 4x1; conv 2 k1", "conv 2 k6x3", "conv 1 k6"])
def test_a_gate_with_one_row_or_column_is_seen_where_it_is(gate: str) -> None:
    network = parse(f"[ conv 2 k3 | {gate} ] mul; conv 2 k1", (2, 6, 6))
    sees_where_its_gradient_is(network, random.Random(0), 40)
    for unit in ((0, 0), (3, 3)):
        found = sight(analyse(network), len(network) - 1, unit)
        assert found is not None
        assert max(found.rows | found.columns) < 6


@pytest.mark.parametrize(
    "text",
    [
        "conv 2 k1; conv 4 k2 same", "conv 4 k2x3 same", "conv 2 k1; dwconv k4 same d2x1", "dwconv k2 d2 same",
        "conv 2 k1; conv 4 k2 same; relu", "conv 2 k1; [ conv 2 k2 same | conv 2 k3 same ] add",
        "conv 4 k1; lrn; relu", "lrn", "conv 2 k1; dropout 0; relu; dropout 0; conv 2", "conv 2 k1; dropout 1; conv 2",
        "subsample 2; relu", "pad 1,1,1,1; subsample 2", "maxpool 2; conv 2 k1; maxpool 2",
        "[ conv 1 k1 | conv 1 k1 | id ] mul", "[ conv 1 k1 | conv 1 k1 | conv 2 k1 ] mul",
        "[ conv 2 k1 | id ] mul", "[ id | id | conv 2 k1 ] mul", "[ id | conv 2 k1 | id ] mul",
        "conv 3 k1; [ gap; sigmoid | id | conv 1 k1 | gap; linear 1 ] mul", "a: conv 2; [ from a | from a ] mul",
        "conv 2; [ flatten | flatten; id ] mul; linear 3", "conv 2 k1; adaptiveavgpool 1; relu",
    ],
)  # fmt: skip
def test_what_training_keeps_by_itself(text: str) -> None:
    keeps_what_torch_saves(parse(text, (2, 8, 6)))


def test_lrn_needs_a_map_as_torchs_does() -> None:
    with pytest.raises(ValueError, match="Expected 3D"):
        torch.nn.LocalResponseNorm(5)(torch.zeros(2, 9))
    error = analyse(parse("flatten; lrn", (2, 3, 3))).error
    assert error == "layer lrn1: lrn needs channels×height×width, but its input is a vector of 18"


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("count", [3, 30, 120])
def test_a_dense_block_of_nodes_can_be_written_and_read(count: int, newest_first: bool) -> None:
    """Each layer reads all before it, whichever of them it names first."""
    nodes = [Node("n0", parse_layer("conv 1 k1"), (INPUT,))]
    names = ["n0"]
    for number in range(1, count):
        inputs = tuple(reversed(names)) if newest_first else tuple(names)
        nodes.append(
            Node(f"c{number}", merges.Cat(), inputs) if number > 1 else Node("c1", parse_layer("relu"), ("n0",))
        )
        nodes.append(Node(f"n{number}", parse_layer("conv 1 k1"), (f"c{number}",)))
        names.append(f"n{number}")
    network = graph("dense", (1, 3, 3), nodes)
    assert totals(network.nodes) == totals(tuple(nodes))
    assert analyse(network).params == sum(max(number, 1) + 1 for number in range(count))
    assert parse("\n".join(network_text(network)), network.input, "dense") == network


@pytest.mark.parametrize("text", ["a: conv 3; conv 5; from a", "conv 3; from input", "( a: conv 3; from input )"])
def test_a_network_does_not_end_by_going_back(text: str) -> None:
    """What is after the last layer would be the output by the notation, but no node of it: torch and we would differ."""
    with pytest.raises(ValueError, match="from"):
        parse(text, (1, 9, 9))


def test_a_long_chain_is_written_anew() -> None:
    network = sequential("long", (1, 3, 3), [layers.Conv(1, (1, 1))] * 5000)
    assert graph("long", (1, 3, 3), network.nodes) == network
