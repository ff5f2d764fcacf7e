"""The Convolve screen in words: facts against torch, against counting one by one, and against numbers worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntui.core.axis import ImpossibleError
from cnntui.labs.stages import WordsError, stage
from cnntui.labs.stages.convolve import GRIDS, STAGE, fact
from tests.core.random_operations import torchs
from tests.labs.test_words import random_words

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


def scene(*moves: str) -> Any:
    state = STAGE.start()
    for move in moves:
        state = STAGE.play(state, move)
    return state


def asked(name: str, *moves: str, index: tuple[int | str, ...] = ()) -> Any:
    return fact(scene(*moves), name, index)


@pytest.mark.parametrize("seed", range(5))
def test_all_facts_of_random_states_are_true(seed: int) -> None:
    rng = np.random.default_rng(seed)
    state = STAGE.start()
    for _ in range(40):
        try:
            state = STAGE.play(state, random_words(rng))
        except WordsError:
            continue
        found = {name: fact(state, name) for name in STAGE.facts if name not in GRIDS}
        operation = state.lab.operation
        assert found["ok"] == (operation.problem is None)
        if operation.problem:
            assert found["output.sum"] is found["terms"] is found["products"] is found["patches.shape"] is None
            continue
        assert_counted(state, found)
        output = torchs(operation)
        for name, value in (("mean", output.mean()), ("sum", output.sum()), ("largest", output.max())):
            assert found[f"output.{name}"] == pytest.approx(float(value), abs=1e-9), name
        assert found["terms.inside"] == sum(
            tap.input is not None for tap in operation.taps(state.lab.filter, *state.lab.cell)
        )


def assert_counted(state: Any, found: dict[str, Any]) -> None:
    """The closed forms against making every product and every matrix."""
    lab, operation = state.lab, state.lab.operation
    assert found["tap.met"] == len(list(lab.touched()))
    if operation.pool:
        assert found["products"] == 0 and found["matrix.weights"] is None
        return
    rows, columns = operation.kernel_size
    products = [
        product
        for filter_ in range(operation.filters)
        for channel in operation.channels_of(filter_)
        for i in range(rows)
        for j in range(columns)
        for product in operation.touched(filter_, channel, i, j)
    ]
    assert found["products"] == len(products)
    matrix, there = operation.tied_matrix(lab.filter)
    assert found["matrix.shape"] == matrix.shape
    assert found["matrix.weights"] == there.sum()
    if operation.transposed:
        return
    try:
        assert found["patches.shape"] == operation.patches(lab.filter).shape
    except ImpossibleError as error:
        pytest.fail(str(error))


def test_figures_worked_by_hand() -> None:
    seven = ("picture ramp 8x8", "kernel box")
    assert asked("output.shape", *seven) == (6, 6)
    assert asked("terms", *seven) == 9
    assert asked("products", *seven) == 6 * 6 * 9
    assert asked("patches.shape", *seven) == (36, 9)
    assert asked("matrix.shape", *seven) == (36, 64)
    assert asked("matrix.weights", *seven) == 36 * 9
    assert asked("kernel.sum", *seven) == pytest.approx(1)
    assert asked("kernel.covers", *seven, "dilation 2") == (5, 5)
    assert asked("terms.inside", *seven, "padding 1", "cell 0,0") == 4
    assert asked("params", *seven, "filters 4", "bias 1") == 4 * 9 + 4
    assert asked("padding.word", *seven, "padding same") == "same"
    assert asked("padding.word", *seven, "padding 1x2") == "1x2"


def test_the_yes_and_no_of_it() -> None:
    assert asked("kernel.symmetric", "kernel gaussian-3") is True
    assert asked("kernel.symmetric", "kernel sobel-x") is False
    assert asked("flipped", "op true-conv") is True
    assert asked("pool", "op max") is True
    assert asked("magnitude", "magnitude sobel-x sobel-y") is True
    assert asked("pinned") is False
    assert asked("pinned", "cell 1,2", "pin") == (1, 2)
    identity = ("size kernel 3", "clear kernel", "weight 1,1 1", "padding same")
    assert asked("output.same_as_input", *identity) is True
    assert asked("output.same_as_input", *identity, "weight 1,1 2") is False
    assert asked("output.same_as_input", *identity, "padding valid") is False


def test_cells_are_asked_by_their_place() -> None:
    moves = ("picture ramp 5x5", "kernel sobel-x", "size input 5x5")
    one = asked("output", *moves, index=(0, 1))
    assert one == fact(scene(*moves, "cell 0,1"), "value")
    assert asked("input", *moves, index=(0, 3)) == asked("input", *moves, index=(0, 0, 3))
    assert [asked("weight", "kernel sobel-x", index=(1, column)) for column in range(3)] == [-2, 0, 2]
    assert [asked("weight", "kernel sobel-x", "op true-conv", index=(1, column)) for column in range(3)] == [2, 0, -2]
    assert asked("weight", "magnitude sobel-x sobel-y", index=(1, 0, 1)) in (-2, 2)
    assert asked("output", *moves, index=(9, 9)) is None
    assert asked("weight", "op max", index=(0, 0)) is None


def test_the_view_is_part_of_the_scene() -> None:
    assert asked("view") == "cells"
    assert asked("view", "view im2col") == "im2col"
    assert asked("view", "view matrix", "op max") == "cells"  # which has no matrix
    assert asked("view", "picture ramp 64x64") == "picture"
    assert asked("view", "picture ramp 64x64", "picture ramp 5x5") == "cells"
    with pytest.raises(WordsError, match="a pool is no product"):
        scene("op max", "view matrix")


@pytest.mark.parametrize(
    ("move", "said"),
    [
        ("strid 2", "no move of convolve is called 'strid'; did you mean stride?"),
        ("stride", "'stride' is not understood; write stride N or HxW"),
        ("stride x", "not a whole number"),
        ("shift input 1", "not down,right"),
        ("view cell", "no view is called 'cell'; did you mean cells?"),
        ("kernel sobel", "no kernel is called 'sobel'; near are sobel-"),
    ],
)
def test_what_is_wrong_with_a_move_is_said(move: str, said: str) -> None:
    with pytest.raises(WordsError, match=said.replace("?", r"\?")):
        scene(move)


@pytest.mark.parametrize(
    ("name", "index", "said"),
    [
        ("outptu.mean", (), "did you mean output.mean?"),
        ("output", (1,), "write output[ROW,COLUMN]"),
        ("stride", (1,), "stride has no"),
    ],
)
def test_what_is_no_fact_is_said(name: str, index: tuple[int | str, ...], said: str) -> None:
    with pytest.raises(WordsError) as error:
        fact(STAGE.start(), name, index)
    assert said in str(error.value)


def test_it_is_found_by_its_name() -> None:
    assert stage("convolve") is STAGE
