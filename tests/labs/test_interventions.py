"""Numbers set by hand: the one that is found is the one that the arithmetic names, and setting it does what it says."""

from __future__ import annotations

import random

import numpy as np
import pytest

from cnntui.core.explanation import Step
from cnntui.core.layers import Conv, DepthwiseConv, Linear, TransposedConv
from cnntui.core.nets import load_net
from cnntui.core.network import INPUT
from cnntui.labs.explore import ExploreState, MoveError
from cnntui.labs.interventions import bias, weight_or_pixel
from tests.core.random_networks import random_network
from tests.labs.states import BRANCHED, exploring

WEIGHED = (Conv, DepthwiseConv, TransposedConv, Linear)
EVERY = (
    "conv 6 k3x2 s2x1 p1; relu; tconv 4 k3 s2 g2; dwconv k3 p1; conv 6 k3 g2 d2; bn; subsample 2; gelu; "
    "maxpool 2; flatten; dropout; linear 7; ln; linear 3; softmax"
)


def of(state: ExploreState, node: str, unit: tuple[int, ...]) -> Step:
    """The step that mixes, behind a number."""
    return state.look(node, unit).explanation.steps[-1]


def check_unit(state: ExploreState, rng: random.Random) -> int:
    """Of the number looked at: each of some terms has the weight that is found for it, and setting it moves the sum so."""
    step = state.explanation.steps[-1] if state.explanation.steps else None
    if step is None or not step.terms or not isinstance(state.rows[step.node].node.layer, WEIGHED):
        return 0
    before = float(state.trace.values[step.node][step.unit])
    chosen = rng.sample(range(len(step.terms)), min(3, len(step.terms)))
    for index in chosen:
        term = step.terms[index]
        found = weight_or_pixel(state, index)
        assert (found.node, found.name) == (step.node, "weight")
        assert found.value == term.weight, (step.node, index, found)
        changed = state.changed(found.node, found.name, found.index, term.weight + 0.75)
        after = float(changed.trace.values[step.node][step.unit])
        assert after - before == pytest.approx(0.75 * term.value, rel=1e-6, abs=1e-6 * (1 + abs(before)))
    return len(chosen)


def check_bias(state: ExploreState) -> int:
    """A bias that is found moves the layer's number by as much as it is moved itself."""
    try:
        found = bias(state)
    except MoveError:
        return 0
    step = next(step for step in state.explanation.steps if step.node == found.node)
    assert found.value == state.parameters[found.node][found.name][found.index]
    before = float(state.trace.values[step.node][step.unit])
    changed = state.changed(found.node, found.name, found.index, found.value - 1.25)
    after = float(changed.trace.values[step.node][step.unit])
    assert after - before == pytest.approx(-1.25, rel=1e-6, abs=1e-6 * (1 + abs(before)))
    return 1


@pytest.mark.parametrize("seed", range(20))
def test_the_weight_of_a_term_is_that_weight(seed: int) -> None:
    rng = random.Random(seed)
    state = exploring(random_network(rng), seed=seed)
    for node in state.columns[1:]:
        for _ in range(2):
            here = state.look(node, tuple(rng.randrange(n) for n in state.shape(node)))
            check_unit(here, rng)
            check_bias(here)


def test_of_every_kind_of_layer() -> None:
    state, rng = exploring(EVERY, (2, 15, 17), seed=2), random.Random(0)
    weights = biases = 0
    for node in state.columns[1:]:
        for _ in range(12):
            here = state.look(node, tuple(rng.randrange(n) for n in state.shape(node)))
            weights += check_unit(here, rng)
            biases += check_bias(here)
    assert weights > 100
    assert biases > 100


def test_of_a_table_each_filter_has_the_weights_of_what_it_sees() -> None:
    state, rng = exploring(load_net("lenet5-1998").network, seed=1), random.Random(1)
    (row,) = [row for row in state.analysis.rows if isinstance(row.node.layer, Conv) and row.node.layer.table]
    for channel in range(state.shape(row.node.name)[0]):
        assert check_unit(state.look(row.node.name, (channel, 4, 5)), rng)


def test_the_weight_of_a_mean_is_shared() -> None:
    state = exploring("subsample 3; tanh", (2, 6, 6))
    here = state.look("tanh1", (1, 1, 0))
    found = weight_or_pixel(here, 4)
    assert (found.node, found.name, found.index) == ("subsample1", "1.weight", (1, 0, 0))
    assert weight_or_pixel(here, 0) == found
    changed = here.changed(found.node, found.name, found.index, 2 * found.value)
    step, doubled = of(here, "subsample1", (1, 1, 0)), of(changed, "subsample1", (1, 1, 0))
    assert doubled.value - step.bias == pytest.approx(2 * (step.value - step.bias))
    assert bias(here).name == "1.bias"


def test_behind_a_norm_it_is_the_norms_bias() -> None:
    state = exploring(BRANCHED)
    assert (bias(state.look("relu1", (2, 3, 3))).node, bias(state.look("conv1", (2, 3, 3))).node) == ("bn1", "conv1")
    assert weight_or_pixel(state.look("relu1", (2, 3, 3)), 4).node == "conv1"


def test_pixels() -> None:
    state = exploring("maxpool 2; flatten; linear 3", (1, 4, 4))
    here = state.look(INPUT, (0, 2, 3))
    found = weight_or_pixel(here, 0)
    assert (found.words, found.value) == ("input[0,2,3]", state.input[0, 2, 3])
    assert here.changed(found.node, found.name, found.index, 4.5).value == 4.5
    pool = state.look("maxpool1", (0, 1, 1))
    for index, term in enumerate(pool.explanation.terms):
        found = weight_or_pixel(pool, index)
        assert term.source is not None
        assert (found.node, found.index, found.value) == (INPUT, term.source.unit, term.value)
    changed = pool.changed(INPUT, "", (0, 3, 3), 99.0)
    assert changed.value == 99
    assert changed.trace.values["maxpool1"][0, 1, 1] == 99


def test_what_has_none_says_so() -> None:
    state = exploring(BRANCHED)
    with pytest.raises(MoveError, match="maxpool1 has no weight to set: step into a term, or set a pixel"):
        weight_or_pixel(state.look("maxpool1", (0, 0, 0)), 0)
    with pytest.raises(MoveError, match="maxpool1 has no bias"):
        bias(state.look("maxpool1", (0, 0, 0)))
    with pytest.raises(MoveError, match="input has no bias"):
        bias(state.look(INPUT, (0, 0, 0)))
    with pytest.raises(MoveError, match="conv1 has no bias"):
        bias(exploring("conv 2 nobias").look("conv1", (0, 0, 0)))
    quiet = state.silence("conv2", 1).look("conv2", (1, 2, 2))
    with pytest.raises(MoveError, match="conv2 channel 1 is silenced: z lets it speak again"):
        weight_or_pixel(quiet, 0)


def test_a_weight_that_was_set_is_what_is_set_next() -> None:
    here = exploring(BRANCHED).look("conv1", (1, 3, 3))
    found = weight_or_pixel(here, 4)
    changed = here.changed(found.node, found.name, found.index, 0.5)
    assert weight_or_pixel(changed, 4).value == 0.5
    assert np.array_equal(here.restored().trace.output, here.trace.output)
