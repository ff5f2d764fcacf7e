"""A filter of a net in the convolution lab: the number there is the number in the net."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from cnntui.core.activations import ACTIVATIONS
from cnntui.core.forward import forward
from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.labs.convolve import MOST_CHANNELS
from cnntui.labs.explore import CELL, ExploreState, MoveError
from cnntui.labs.handover import as_convolution
from cnntui.labs.opened import Picture, open_net
from tests.core.random_networks import random_network

NETWORKS, UNITS = 150, 12


def opened(network: Network, seed: int = 0, **settings: object) -> ExploreState:
    """A network with random weights and statistics on a random picture."""
    model = open_net(network, seed=seed)
    rng = np.random.default_rng(seed)
    for tensors in model.parameters.values():
        for name, tensor in tensors.items():
            if "running" in name or tensor.ndim == 1:
                tensor[...] = rng.uniform(0.5, 1.5, tensor.shape)
    picture = Picture(rng.integers(0, 256, network.input).astype(float), "random")
    return ExploreState(model, picture, level=CELL, **settings)  # type: ignore[arg-type]


def of(text: str, shape: tuple[int, int, int], node: str, unit: tuple[int, ...], seed: int = 0) -> ExploreState:
    return opened(parse(text, shape, "net"), seed).look(node, unit)


def agree(state: ExploreState) -> str:
    """Compares the two; returns the operation."""
    there = as_convolution(state)
    operation = there.operation
    assert operation.problem is None
    assert operation.sums is not None
    step = state.explanation.steps[-1]
    inside = state.trace.values[step.node][step.unit]
    assert operation.sums[(there.filter, *there.cell)] == pytest.approx(inside, rel=1e-9, abs=1e-12)
    if operation.activation:
        after = ACTIVATIONS[operation.activation](np.array(inside))
        assert there.value == pytest.approx(float(after), rel=1e-9, abs=1e-12)
    return operation.op


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_networks() -> None:
    rng, seen, refused = random.Random(5), Counter[str](), Counter[str]()
    for seed in range(NETWORKS):
        state = opened(random_network(rng), seed)
        for _ in range(UNITS):
            node = rng.choice(list(state.trace.values))
            unit = tuple(rng.randrange(size) for size in state.shape(node))
            state = state.look(node, unit)
            try:
                seen[agree(state)] += 1
            except MoveError as error:
                refused[str(error).partition(" ")[2]] += 1
                steps = state.explanation.steps
                assert not steps or steps[-1].op not in ("conv", "dwconv", "tconv", "maxpool", "avgpool", "gap"), error
    assert set(seen) == {"conv", "transposed", "max", "avg", "adaptive-avg"}
    assert min(seen.values()) >= 15
    assert len(refused) <= 3


@pytest.mark.parametrize(
    ("text", "node", "unit"),
    [
        ("conv 4 k3x5 s2x1 p1 d2x1 g2", "conv1", (3, 2, 1)),
        ("conv 6 k4 d2 g2 same nobias", "conv1", (5, 0, 11)),
        ("dwconv k3 s2 p1", "dwconv1", (2, 5, 0)),
        ("tconv 4 k4 s2 p1 g2 op1", "tconv1", (3, 0, 24)),
        ("maxpool 3 s2 p1 ceil", "maxpool1", (1, 6, 6)),
        ("avgpool 3 s2 p1 ceil nopad", "avgpool1", (1, 6, 6)),
        ("avgpool 3 s2 p1 ceil", "avgpool1", (1, 0, 6)),
        ("adaptiveavgpool 5x7", "adaptiveavgpool1", (0, 4, 2)),
        ("subsample 2", "subsample1", (3, 5, 5)),
        ("gap", "gap1", (2,)),
        ("flatten; dropout; linear 3", "linear1", (2,)),
    ],
)
def test_each_kind(text: str, node: str, unit: tuple[int, ...]) -> None:
    agree(of(text, (4, 12, 12), node, unit))


def test_what_follows_comes_along() -> None:
    network = "conv 4 k3; tanh; conv 4 k3; bn; relu; conv 2 k3"
    behind = as_convolution(of(network, (2, 9, 9), "tanh1", (1, 2, 3)))
    before = as_convolution(of(network, (2, 9, 9), "conv1", (1, 2, 3)))
    assert behind.operation.activation == before.operation.activation == "tanh"
    assert behind.value == pytest.approx(of(network, (2, 9, 9), "tanh1", (1, 2, 3)).value, rel=1e-12)
    assert behind.name == "conv1[1]"
    normed = as_convolution(of(network, (2, 9, 9), "relu1", (1, 2, 3)))
    assert (normed.name, normed.operation.activation) == ("conv2[1]", None)


def test_only_the_channels_that_are_read() -> None:
    state = of("conv 8 k1; conv 6 k3 g2", (1, 6, 6), "conv2", (4, 1, 1))
    operation = as_convolution(state).operation
    assert operation.input.shape == (4, 6, 6)
    assert operation.weight.shape == (1, 4, 3, 3)
    assert (operation.input == state.trace.values["conv1"][4:]).all()
    assert [as_convolution(state, term).channel for term in (0, 8, 9, 35)] == [0, 0, 1, 3]


def test_what_was_changed_by_hand_is_changed_there_too() -> None:
    state = of("conv 2 k3", (1, 5, 5), "conv1", (0, 1, 1)).changed("conv1", "weight", (0, 0, 1, 1), 9.0)
    assert as_convolution(state).operation.weight[0, 0, 1, 1] == 9
    agree(state)


@pytest.mark.parametrize(
    ("text", "shape", "node", "unit", "said"),
    [
        ("conv 2 k3", (1, 5, 5), "input", (0, 1, 1), "a pixel"),
        ("gap; linear 2", (3, 5, 5), "linear1", (0,), "slides no window"),
        ("conv 2 k1; softmax", (1, 5, 5), "softmax1", (0, 1, 1), "slides no window"),
        (f"conv {MOST_CHANNELS + 1} k1; conv 1 k1", (1, 3, 3), "conv2", (0, 1, 1), "65 maps > 64"),
        ("flatten; linear 2", (1, 65, 65), "linear1", (0,), "65 cells a side > 64"),
        ("maxpool 2", (1, 1030, 2), "maxpool1", (0, 1, 0), "1030 cells a side > 1024"),
    ],
)
def test_refusals(text: str, shape: tuple[int, int, int], node: str, unit: tuple[int, ...], said: str) -> None:
    with pytest.raises(MoveError, match=said) as refused:
        as_convolution(of(text, shape, node, unit))
    assert "\n" not in str(refused.value)


def test_numbers_that_are_not_finite() -> None:
    state = of("conv 2 k3", (1, 5, 5), "conv1", (0, 1, 1))
    state.parameters["conv1"]["weight"][0, 0, 0, 0] = np.nan
    again = ExploreState(state.model, state.picture, level=CELL).look("conv1", (0, 1, 1))
    assert np.isnan(forward(again.analysis, again.parameters, again.input).values["conv1"][0, 1, 1])
    with pytest.raises(MoveError, match="not finite"):
        as_convolution(again)
