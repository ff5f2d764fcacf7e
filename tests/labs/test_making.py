"""What makes a map: its parts add up to what the network computes, and the numbers to what is printed."""

from __future__ import annotations

import random
import re
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np
import pytest

from cnntui.core.arithmetic import MINUS
from cnntui.core.forward import forward, run_layer
from cnntui.core.layers import Conv, Layer
from cnntui.core.nets import load_net
from cnntui.core.network import INPUT
from cnntui.labs.explore import ExploreState
from cnntui.labs.making import Kind, Making, making
from cnntui.labs.making_words import heading, printed
from tests.core.random_networks import random_network
from tests.labs.exploring import exploring, with_weights

NETS = 60


def of(state: ExploreState, node: str, *unit: int) -> Making:
    return making(state.look(node, unit))


def made_of(made: Making) -> np.ndarray:
    """The map of the layer whose ingredients these are, from them alone."""
    parts = made.ingredients
    if made.kind is Kind.PRODUCTS:
        return np.asarray(sum(float((e.values * e.weights).sum()) for e in parts) + (made.bias or 0))
    if made.kind in (Kind.KERNELS, Kind.TERMS):
        return np.asarray(sum(e.partial for e in parts if e.partial is not None) + (made.bias or 0))
    assert made.kind is Kind.FACTORS
    product = np.ones(())
    for each in parts:
        product = product * each.values
    return product


def close(one: np.ndarray, other: np.ndarray) -> bool:
    scale = float(np.abs(other).max()) or 1.0
    return one.shape == other.shape and bool(np.abs(one - other).max() <= 1e-9 * scale)


def check(state: ExploreState, rng: random.Random) -> set[type[Layer]]:
    """Every layer of a net, at a random number: parts, steps, what is printed; returns the kinds of layer."""
    values, kinds = state.trace.values, set()
    for node in state.columns[1:]:
        unit = tuple(rng.randrange(n) for n in state.shape(node))
        made = of(state, node, *unit)
        assert made.row is not None
        kinds.add(type(made.row.node.layer))
        own = values[made.row.node.name][unit[0]]
        if made.kind is not Kind.ONE:
            assert close(made_of(made), np.asarray(own)), node
        for each in made.ingredients:
            whole = values[each.node]
            assert np.array_equal(each.values, whole if each.channel is None else whole[each.channel]), node
        assert made.steps[made.looked].node == node
        for step in made.steps:
            if step.words != "Σ":
                assert np.array_equal(step.values, values[step.node][unit[0]]), (node, step.words)
        place = (unit[1], unit[2]) if len(unit) == 3 else None
        assert made.at(made.looked, place) == place
        readds(made, place)
    return kinds


def parsed(text: str) -> Decimal:
    return Decimal(text.replace(MINUS, "-"))


def readds(made: Making, place: tuple[int, int] | None) -> None:
    """Where it says =, the parts as they are printed are the sum as it is printed, to half of its last digit."""
    told = printed(made, place)
    assert len(told.steps) == len(made.steps)
    value = told.steps[made.looked][1]
    exact = made.steps[made.looked].values
    digits = len(value.partition(".")[2])
    assert abs(float(parsed(value)) - float(exact[place] if place else exact)) <= 0.51 * 10**-digits
    if not told.parts or made.kind is Kind.FACTORS:
        return
    for each, part in zip(made.ingredients, told.parts, strict=True):
        added = made.added(each, place)
        assert added is not None
        assert abs(added - float(parsed(part))) <= 0.51 * 10 ** -len(part.partition(".")[2])
    relation, total = told.steps[0]
    half = Decimal(5).scaleb(-len(total.partition(".")[2]) - 1)
    assert (abs(sum(map(parsed, told.parts)) - parsed(total)) <= half) == (relation == "="), told
    if len(made.steps) > 1 and (bias := re.fullmatch(r"\+ bias (\S+)", made.steps[1].words)):
        relation, result = told.steps[1]
        half = Decimal(5).scaleb(-len(result.partition(".")[2]) - 1)
        assert (abs(parsed(total) + parsed(bias[1]) - parsed(result)) <= half) == (relation == "="), told


def test_random_networks() -> None:
    rng = random.Random(7)
    kinds: set[type[Layer]] = set()
    for seed in range(NETS):
        network = random_network(rng)
        if network.nodes:
            kinds |= check(exploring(network, seed=seed), rng)
    names = {kind.op for kind in kinds}
    assert {"conv", "dwconv", "tconv", "linear", "maxpool", "avgpool", "add", "mul", "cat", "upsample", "pad"} <= names


@pytest.mark.parametrize(
    "text",
    [
        "conv 4 k3; bn; relu; maxpool 2; flatten; linear 5; softmax",
        "conv 4 k3x2 s2x1 p1 d1 g2 nobias; gn 2; tanh; gap; linear 3",
        "dwconv k3 same; ln; gelu; conv 6 k1; lrn; avgpool 2 ceil; flatten; dropout 0.5; linear 4 nobias",
        "tconv 6 k3 s2 p1 op1 g2; in; silu; adaptiveavgpool 3x2; flatten; linear 2",
        "subsample 2; sigmoid; upsample 2; pad 1,0,2,1; conv 3 d2; gap; softmax",
        "a: conv 4 same; [ relu; conv 4 same | from a; conv 4 k1 ] add; [ id | gap; linear 4; sigmoid ] mul; gap",
        "[ conv 2 same | maxpool 3 s1 p1; conv 3 k1 ] cat; bn; relu; flatten; linear 2",
        "bn; flatten; linear 3",
        "id; relu",
        "gap; softmax",
        "flatten; bn; tanh; linear 3",
    ],
)
def test_each_kind_of_layer(text: str) -> None:
    for seed in range(4):
        check(exploring(text, (4, 8, 7), seed), random.Random(seed))


@pytest.mark.parametrize(
    "text", ["conv 3 k3 s2 p1", "tconv 3 s2 p1", "maxpool 3 s2 p1", "avgpool 2", "pad 1,0,2,1", "relu"]
)
def test_what_a_number_reads(text: str) -> None:
    """Another number in a cell that is seen moves it, in any other cell not."""
    state = exploring(text, (2, 6, 5), 3)
    row = state.analysis.rows[0]
    tensors = state.parameters.get(row.node.name, {})
    x, made = state.trace.values[INPUT], state.trace.values[row.node.name]
    moved: dict[tuple[int, int], Any] = {}
    for cell in product(range(6), range(5)):
        other = x.copy()
        other[:, cell[0], cell[1]] += 100
        moved[cell] = run_layer(row, tensors, [other]) != made
    for unit in np.ndindex(state.shape(row.node.name)):
        seen = of(state, row.node.name, *unit).seen(unit[1:])
        assert seen == frozenset(cell for cell, by in moved.items() if by[unit]), unit


def test_silenced() -> None:
    state = exploring("conv 2; relu; conv 2 nobias").silence("conv1", 1).silence("conv2", 0)
    first, after, alone = of(state, "conv1", 1, 2, 2), of(state, "relu1", 1, 2, 2), of(state, "conv2", 0, 1, 1)
    assert [step.words.split(", ")[-1] for step in first.steps] == ["Σ", "silenced", "relu1"]
    assert first.steps[0].values.any() and not first.steps[1].values.any()
    assert [step.words for step in after.steps] == [step.words for step in first.steps]
    assert [step.words for step in alone.steps] == ["Σ", "silenced"]
    assert printed(first, (2, 2)).steps[1] == ("", "0.0000"[: len(printed(first, (2, 2)).steps[1][1])])
    ends = exploring("conv 2; relu").silence("relu1", 1)
    assert of(ends, "relu1", 1, 2, 2).steps[-1].words == "relu1, silenced"


def test_the_chain() -> None:
    state = exploring("conv 4 nobias; bn; dropout 0.1; relu; maxpool 2; conv 3 k1; [ id | relu ] add; gap", (2, 8, 8))
    for node, looked in (("conv1", 0), ("bn1", 1), ("relu1", 2)):
        made = of(state, node, 1, 2, 3)
        assert [step.node for step in made.steps] == ["conv1", "bn1", "relu1", "maxpool1"]
        assert made.looked == looked
        assert [each.name for each in made.ingredients] == ["input channel 0", "input channel 1"]
        assert made.at(3, (2, 3)) == (1, 1)
        assert made.at(0, (2, 3)) == (2, 3)
    norm = made.steps[1]
    assert norm.function is not None
    again = norm.function(made.steps[0].values)
    assert np.abs(again - norm.values).max() < 0.02 * made.steps[1].scale
    factor, sign, offset = re.fullmatch(r"bn1: ×(\S+) ([+−]) (\S+)", norm.words).groups()  # type: ignore[union-attr]
    assert again.max() == pytest.approx(
        (made.steps[0].values * float(parsed(factor)) + float(parsed((MINUS if sign == "−" else "") + offset))).max()
    )
    pool = of(state, "maxpool1", 1, 1, 1)
    assert [step.node for step in pool.steps] == ["maxpool1"] and len(pool.ingredients) == 1
    assert pool.seen((1, 1)) == frozenset({(2, 2), (2, 3), (3, 2), (3, 3)})
    forked = of(state, "conv2", 0, 0, 0)  # two layers read it
    assert [step.node for step in forked.steps] == ["conv2", "conv2"]
    assert [step.node for step in of(state, "add1", 0, 0, 0).steps] == ["add1", "gap1"]


def test_order() -> None:
    state = exploring("conv 8; relu; conv 2")
    by_number = of(state, "conv2", 1, 2, 2)
    assert [each.channel for each in by_number.ingredients] == list(range(8))
    sorted_ = of(state.toggled("by_strength"), "conv2", 1, 2, 2)
    strengths = [each.strength for each in sorted_.ingredients]
    assert strengths == sorted(strengths, reverse=True)
    assert sorted(each.channel or 0 for each in sorted_.ingredients) == list(range(8))


def test_the_same_while_the_cell_moves() -> None:
    state = exploring("conv 2; relu").look("conv1", (1, 2, 2))
    made = making(state)
    assert making(state.to_cell(1, 0), made) is made
    assert making(state.to_channel(-1), made) is not made
    assert making(state.to_layer(1), made) is not made
    assert making(state.silence("conv1", 0), made) is not made


def test_which_channels_a_filter_reads() -> None:
    tabled = load_net("lenet5-1998").network
    state = exploring(tabled)
    node, table = next(
        (row.node.name, row.node.layer.table)
        for row in state.analysis.rows
        if isinstance(row.node.layer, Conv) and row.node.layer.table
    )
    for channel in (0, 6, 15):
        made = of(state, node, channel, 1, 1)
        assert tuple(each.channel for each in made.ingredients) == table.inputs[channel]
        assert close(made_of(made), state.trace.values[node][channel])
    grouped = of(exploring("conv 6 k1 g2", (4, 3, 3)), "conv1", 4, 1, 1)
    assert [each.channel for each in grouped.ingredients] == [2, 3]
    alone = of(exploring("dwconv", (4, 3, 3)), "dwconv1", 2, 0, 0)
    assert [each.channel for each in alone.ingredients] == [2]


def test_a_linear_unit_after_maps() -> None:
    state = exploring("conv 3 k3; maxpool 2; dropout 0.2; flatten; id; linear 4", (1, 8, 8))
    made = of(state, "linear1", 2)
    assert [each.name for each in made.ingredients] == [f"maxpool1 channel {i}" for i in range(3)]
    weights = state.parameters["linear1"]["weight"][2].reshape(3, 3, 3)
    assert np.array_equal(np.stack([each.weights for each in made.ingredients if each.weights is not None]), weights)
    vector = of(exploring("flatten; linear 5; relu; linear 4"), "linear2", 2)
    assert [each.name for each in vector.ingredients] == ["relu1"] and vector.ingredients[0].values.shape == (5,)


def test_numbers_that_are_none() -> None:
    state = exploring("conv 2; bn; relu; flatten; linear 3", label=1)
    for value in (np.nan, np.inf, 1e30):
        weights = state.parameters["conv1"]["weight"].copy()
        weights[0, 0, 1, 1] = value
        other = {**state.parameters, "conv1": {**state.parameters["conv1"], "weight": weights}}
        with np.errstate(all="ignore"):
            broken = with_weights(state, other)
            assert forward(broken.analysis, other, broken.input).values["conv1"].shape == (2, 6, 6)
            for node in ("conv1", "relu1", "linear1"):
                unit = (0, 1, 1)[: len(broken.shape(node))]
                told = printed(of(broken, node, *unit), (1, 1) if len(unit) == 3 else None)
                assert all(relation in ("", "=", "≈") for relation, _ in told.steps)


def test_words() -> None:
    state = exploring("conv 6 k5; relu; conv 4 k3 s2 p1 nobias; maxpool 2; flatten; linear 3; softmax", (1, 16, 16))
    assert heading(of(state, "conv1", 4, 0, 0)) == [
        "conv1",
        "channel 4 of 0–5",
        "5×5 kernel over 1 map",
        "25 weights and a bias",
    ]
    assert heading(of(state, "relu1", 4, 0, 0))[2] == "of conv1: 5×5 kernel over 1 map"
    assert heading(of(state, "conv2", 0, 0, 0))[2:] == ["3×3 kernels over 6 maps, stride 2, padded", "54 weights"]
    assert heading(of(state, "maxpool1", 0, 0, 0))[2] == "the largest of each 2×2, stride 2"
    assert heading(of(state, "linear1", 0))[1:] == [
        "unit 0 of 0–2",
        "4 maps of 3×3, a weight for each number",
        "36 weights and a bias",
    ]
    assert heading(of(state, "input", 0, 1, 1)) == ["input", "channel 0", "what the net is given"]


def test_a_number_has_four_digits_and_its_bias_is_added() -> None:
    """Whatever the bias: rounded to nearest, and the lines re-add but where one in many says ≈."""
    relations = []
    for seed in range(40):
        state = exploring("conv 3; relu; flatten; linear 4", (2, 6, 6), seed)
        for node, unit in (("conv1", (1, 2, 3)), ("linear1", (2,))):
            made = of(state, node, *unit)
            told = printed(made, unit[1:] or None)
            assert made.bias is not None
            bias = re.fullmatch(r"\+ bias (\S+)", made.steps[1].words)
            assert bias is not None
            assert abs(float(parsed(bias[1])) - made.bias) <= 0.51 * 10 ** -(made.decimals + 2)
            assert len(told.steps[made.looked][1].partition(".")[2]) >= made.decimals + 1
            relations += [relation for relation, _ in told.steps[:2]]
    assert relations.count("=") >= 0.97 * len(relations)
