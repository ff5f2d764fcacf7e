"""Shifted pictures: torch makes the maps, and loops over cells compare them."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional

from cnntui.core.windows import Array
from cnntui.labs.demos.shift import ShiftState, moved, told, told_of_invariance
from cnntui.labs.stages import WordsError, stage
from cnntui.labs.words import kernel_named

STAGE = stage("shift")


def played(*moves: str) -> ShiftState:
    state = STAGE.start()
    for move in moves:
        state = STAGE.play(state, move)
    assert isinstance(state, ShiftState)
    return state


def by_torch(state: ShiftState, picture: Array) -> Array:
    kernel = kernel_named(state.kernel.name)
    weight = torch.tensor(kernel.weights, dtype=torch.float64)[None, None] / kernel.divisor
    out = functional.conv2d(torch.tensor(picture), weight, stride=state.stride, padding=state.padding)
    out = functional.relu(out) if state.relu else out
    if state.pool == "max":
        out = functional.max_pool2d(out, state.pool_size)
    elif state.pool == "avg":
        out = functional.avg_pool2d(out, state.pool_size)
    return np.asarray(out[0])


def shifted(picture: Array, down: int, right: int) -> Array:
    made = np.zeros_like(picture)
    for _, row, column in np.ndindex(picture.shape):
        if 0 <= row - down < picture.shape[1] and 0 <= column - right < picture.shape[2]:
            made[0, row, column] = picture[0, row - down, column - right]
    return made


SETTINGS = [
    (kernel, stride, padding, pool)
    for kernel, stride, padding, pool in product(
        ("sobel-x", "gaussian-5"), (1, 2), (0, 1, 2), ("none", "max 2", "avg 2", "max 3")
    )
]


@pytest.mark.parametrize(("kernel", "stride", "padding", "pool"), SETTINGS)
def test_maps_and_comparisons_agree_with_torch(kernel: str, stride: int, padding: int, pool: str) -> None:
    rng = np.random.default_rng([stride, padding, len(pool)])
    setting = ["picture rings 17x18", f"kernel {kernel}", f"stride {stride}", f"padding {padding}", f"pool {pool}"]
    setting += ["relu on"] * int(rng.integers(2))
    for _ in range(6):
        down, right = (int(n) for n in rng.integers(-6, 7, 2))
        state = played(*setting, f"by {down},{right}")
        picture = shifted(state.picture, down, right)
        assert (state.shifted == picture).all()
        before, after = by_torch(state, state.picture), by_torch(state, picture)
        assert state.after.output == pytest.approx(after)
        step = stride * (int(pool[-1]) if pool != "none" else 1)
        assert STAGE.fact(state, "step", ()) == step
        assert STAGE.fact(state, "whole", ()) is (down % step == 0 and right % step == 0)
        by = state.output_by
        assert all(abs(moved_by * step - n) <= step / 2 for moved_by, n in zip(by, (down, right), strict=True))
        compared = differing = 0
        for row, column in np.ndindex(after.shape):
            there = row - by[0], column - by[1]
            if 0 <= there[0] < after.shape[0] and 0 <= there[1] < after.shape[1]:
                compared += 1
                differing += abs(after[row, column] - before[there]) > 1e-9
        assert STAGE.fact(state, "compared", ()) == compared
        assert STAGE.fact(state, "differing", ()) == differing
        if compared:
            assert STAGE.fact(state, "same", ()) == pytest.approx(1 - differing / compared)
        assert STAGE.fact(state, "pooled_same", ()) == pytest.approx((abs(after - before) <= 1e-9).mean())


@pytest.mark.parametrize(("stride", "pool", "step"), [(1, "none", 1), (2, "none", 2), (1, "max 2", 2), (2, "avg 2", 4)])
def test_without_padding_whole_steps_move_the_map_exactly(stride: int, pool: str, step: int) -> None:
    for down, right in product((-step, 0, step), repeat=2):
        state = played("picture house 20", "padding 0", f"stride {stride}", f"pool {pool}", f"by {down},{right}")
        assert STAGE.fact(state, "same", ()) == 1
        assert STAGE.fact(state, "largest_difference", ()) == 0
    if step > 1:
        state = played("picture house 20", "padding 0", f"stride {stride}", f"pool {pool}", "by 0,1")
        assert STAGE.fact(state, "whole", ()) is False
        assert STAGE.fact(state, "same", ()) != 1
        assert STAGE.fact(state, "differing.border", ()) == 0


def test_with_padding_whole_steps_differ_only_at_the_border() -> None:
    for stride, pool, size in ((1, "none", 16), (2, "none", 17), (1, "max 2", 16)):
        for by in ("2,0", "-2,2", "0,-4"):
            state = played(f"picture rings {size}", "padding 1", f"stride {stride}", f"pool {pool}", f"by {by}")
            assert state.differs.any()
            assert (state.at_border == state.differs).all()
            assert told(state).endswith("differ, all at the border.")


def test_a_pool_keeps_more_of_a_shifted_map_than_no_pool() -> None:
    bare, pooled = (played("picture square 16", f"pool {pool}", "by 0,1") for pool in ("none", "max 4"))
    assert pooled.unchanged / pooled.after.output.size > bare.unchanged / bare.after.output.size


def test_what_is_said() -> None:
    assert told(played()).startswith("The picture stands where it was.")
    assert told(played("by 1,-2")) == (
        "The picture is shifted by 1 down, 2 left, the old output as much. "
        "All 56 compared cells are equal: the map moves with the picture."
    )
    assert "the old output by 1 right, a cell for 2 of the picture." in told(played("stride 2", "by 0,2"))
    odd = told(played("stride 2", "by 0,1"))
    assert "a step of 2, so the output cannot be shifted by 1 right: it is compared with a shift of 0." in odd
    assert "No cell is left to compare." in told(played("padding 0", "by 8,8"))
    assert STAGE.fact(played("padding 0", "by 8,8"), "same", ()) is None
    assert told_of_invariance(played()) == "If the output is not shifted, 81 of its 81 cells (100 %) are as before."


def test_what_leaves_is_gone() -> None:
    grid = np.arange(12.0).reshape(1, 3, 4)
    assert moved(grid, (1, -2)).tolist() == [[[0, 0, 0, 0], [2, 3, 0, 0], [6, 7, 0, 0]]]
    assert not moved(grid, (3, 0)).any()
    assert not moved(grid, (0, -9)).any()


def test_the_shift_ends_at_the_border_and_a_new_picture_begins_anew() -> None:
    state = played().shift(99, -99)
    assert state.by == (8, -8)
    assert state.next_picture().by == (0, 0)
    assert state.next_picture().name == "square"
    assert state.next_kernel(-1).kernel.name == "sharpen"
    assert played("kernel emboss").next_kernel().kernel.name == "sobel-x"
    pools = [state := state.next_pool() for _ in range(4)]
    assert [(each.pool, each.pool_size) for each in pools] == [("max", 2), ("avg", 2), ("max", 3), ("none", 2)]


def test_every_fact_has_words_and_an_answer() -> None:
    for name in STAGE.facts:
        assert STAGE.fact(played(), name, ()) is not None


@pytest.mark.parametrize(
    ("move", "wrong"),
    [
        ("picture sqare", "no picture is called 'sqare'"),
        ("picture square 40", "size 40 is not from 4 to 32"),
        ("kernel soble-x", "no kernel is called 'soble-x'; near are"),
        ("stride 9", "stride 9 is not from 1 to 4"),
        ("pool min 2", "no pool is called 'min'"),
        ("pool max 9", "pool 9 is not from 2 to 8"),
        ("by 1", "'1' is not DOWN,RIGHT, such as 0,2 or -1,0"),
        ("by 1,x", "'x' is not a whole number"),
        ("relu yes", "'yes' is neither on nor off"),
    ],
)
def test_a_move_that_is_not_allowed_says_what_to_write(move: str, wrong: str) -> None:
    with pytest.raises(WordsError, match=re.escape(wrong)):
        played(move)


def test_a_pool_that_does_not_fit_says_why() -> None:
    with pytest.raises(WordsError, match="kernel 8"):
        played("picture square 8", "stride 2", "pool max 8")
