"""Moves in words: thousands of random ones in a row never break the lab; what is not understood is said."""

from __future__ import annotations

import numpy as np
import pytest

from cnntui.core.operation import AFTER, OPERATIONS
from cnntui.labs.account import account
from cnntui.labs.convolve import ConvolveState, MoveError, start
from cnntui.labs.panels import VIEWS, panels
from cnntui.labs.words import EDITS, MOVES, number_of, padding_of, pair_of, play
from tests.core.random_operations import torchs

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


def random_words(rng: np.random.Generator) -> str:
    """Any move, with arguments that mostly make sense."""

    def number(low: int = 0, high: int = 5) -> str:
        return str(int(rng.integers(low, high)))

    def pair(low: int = 0, high: int = 5) -> str:
        return number(low, high) if rng.random() < 0.5 else f"{number(low, high)}x{number(low, high)}"

    place = f"{number(0, 9)},{number(0, 9)}"
    grid = str(rng.choice(["input", "kernel"]))
    value = str(rng.choice(["-1.5", "1/3", "0", "7", "−2"]))
    return str(
        rng.choice(
            [
                f"op {rng.choice(OPERATIONS)}", f"stride {pair(1, 4)}", f"padding {pair(0, 3)}",
                f"padding {rng.choice(['same', 'valid', 'full', '1,0,2,0'])}", f"dilation {pair(1, 3)}",
                f"groups {number(1, 4)}", "depthwise", f"ceil {rng.choice(['on', 'off'])}",
                f"counted {rng.choice(['on', 'off'])}", f"output-padding {pair(0, 3)}", f"output-size {pair(1, 5)}",
                f"activation {rng.choice(['none', *AFTER])}", f"bias {value}", "divisor 9", "kernel sobel-x",
                "kernel gaussian-5", "magnitude sobel-x sobel-y", f"picture {rng.choice(['plus', 'ramp', 'square'])}",
                f"channels {number(1, 5)}", f"filters {number(1, 5)}", f"size {grid} {pair(1, 8)}",
                f"fill {grid} {value}", f"clear {grid}", f"random {grid}", f"random {grid} 3", f"transpose {grid}",
                f"rotate {grid}", f"shift {grid} {number(0, 3)},-1", f"input {place} {value}", f"weight {place} {value}",
                f"cell {place}", f"pixel {place}", f"tap {place}", "look kernel", f"channel {number()}",
                f"filter {number()}", "pin", "step", "step -3",
            ]
        )
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_hundred_random_moves_in_a_row(seed: int) -> None:
    """Whatever is done, the lab shows something true: torch's numbers, cells that exist, panels that can be drawn."""
    rng = np.random.default_rng(seed)
    state = start()
    refused = 0
    for _ in range(100):
        try:
            state = play(state, random_words(rng))
        except MoveError:
            refused += 1
        check(state)
        if state.operation.problem:
            assert state.mended, state.operation.problem
            if rng.random() < 0.5:
                state = state.mended[0][1]
                check(state)
    assert refused < 40


def check(state: ConvolveState) -> None:
    for view in VIEWS:
        try:
            shown = panels(state, view)
        except MoveError:
            continue
        for panel in shown.values():
            assert panel.title
            if panel.values.size:
                assert all(0 <= at < size for at, size in zip(panel.cursor, panel.values.shape, strict=True))
    if state.operation.problem is None:
        output = state.operation.output
        assert output is not None
        assert state.value == output[state.output_cell]
        assert state.channel in state.operation.channels_of(state.filter)
        assert state.parts
        if output.size and np.isfinite(output).all():
            np.testing.assert_allclose(output, torchs(state.operation), atol=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("strive 2", "no move is called 'strive'"),
        ("", "no move is called ''"),
        ("stride", "'stride' is not understood; write stride N or HxW"),
        ("stride 0", "'0' is not a whole number from 1 to 4096"),
        ("stride 5000", "'5000' is not a whole number from 1 to 4096"),
        ("stride " + "9" * 5000, "is not a whole number from 1 to 4096"),
        ("strid 2", "no move is called 'strid'; did you mean stride?"),
        ("kernel", "'kernel' is not understood; write kernel NAME"),
        ("kernel soble-y", "no kernel is called 'soble-y'; near are sobel-y"),
        ("bias", "'bias' is not understood; write bias B"),
        ("bias 1 2 3", "3 biases for 1 filters"),
        ("step ²", "'²' is not a whole number"),
        ("stride 1 2 3", "is not understood"),
        ("padding some", "padding 'some' is none of valid, same, full"),
        ("padding 1,2,3", "padding '1,2,3' is none of"),
        ("op fft", "no operation is called 'fft'"),
        ("activation tan", "no activation is called 'tan'"),
        ("kernel nope", "no kernel is called 'nope'"),
        ("kernel sobel-x gaussian-5", "sobel-x and gaussian-5 differ in size or divisor"),
        ("picture nope", "no picture is called 'nope'"),
        ("picture plus 9999x9999", "'9999x9999' is not a whole number"),
        ("size input 0", "'0' is not a whole number from 1 to 4096"),
        ("size input 2000", "size 2000 is not from 1 to 1024"),
        ("size output 3", "'output' is neither input nor kernel"),
        ("channels 99", "channels 99 is not from 1 to 64"),
        ("divisor 0", "divisor 0: nothing can be divided by it"),
        ("input 9,9 1", "there is no cell 9,9 in 7×7"),
        ("weight 3,0 1", "there is no cell 3,0 in 3×3"),
        ("input 0,0 one", "'one' is not a number"),
        ("ceil maybe", "'maybe' is neither on nor off"),
        ("shift input 1", "is not down,right such as 0,1"),
        ("look away", "no grid is called 'away'"),
    ],
)
def test_what_is_not_understood_is_said(words: str, message: str) -> None:
    with pytest.raises(MoveError) as error:
        play(start(), words)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_pool_refuses_what_it_has_not() -> None:
    pool = play(start(), "op max")
    for words in ("weight 0,0 1", "bias 1", "filters 2", "depthwise", "random kernel"):
        with pytest.raises(MoveError, match="a pool has no"):
            play(pool, words)
    assert play(pool, "size kernel 2").operation.kernel_size == (2, 2)


def test_numbers_in_words() -> None:
    assert number_of("−1/4") == -0.25
    assert pair_of("2×3") == pair_of("2x3") == pair_of("2,3") == (2, 3)
    assert padding_of("1,2,3,4") == ((3, 4), (1, 2))
    assert padding_of("2x0") == ((2, 2), (0, 0))


def test_every_edit_of_the_menu_is_a_move() -> None:
    for words, about in EDITS:
        assert about
        assert words.split()[0] in MOVES


def test_equivariance_and_its_limit() -> None:
    """Shift, then convolve, is convolve, then shift, but for the border; and but for strides."""
    state = play(start("sobel-x", "seven"), "padding same")
    shifted = play(state, "shift input 1,2")
    assert state.operation.output is not None
    assert shifted.operation.output is not None
    np.testing.assert_array_equal(shifted.operation.output[:, 2:, 3:-1], state.operation.output[:, 1:-1, 1:-3])


def test_undoing_a_shift_loses_what_left() -> None:
    state = play(play(start(), "fill input 1"), "shift input 0,1")
    back = play(state, "shift input 0,-1")
    assert back.operation.input[0, :, -1].tolist() == [0] * 7
    assert play(state, "shift input 0,100").operation.input.sum() == 0


def test_going_through_a_pool_and_back_changes_nothing() -> None:
    state = start()
    for words in ("channels 2", "filters 3", "random kernel 3"):
        state = play(state, words)
    for way in (
        ("op transposed", "op max", "op conv"),
        ("op max", "op transposed", "op avg", "op true-conv", "op conv"),
    ):
        there = state
        for words in way:
            there = play(there, words)
        np.testing.assert_array_equal(there.operation.weight, state.operation.weight)
        assert there.operation.problem is None


def test_a_pool_keeps_weights_for_every_channel() -> None:
    state = play(play(play(start(), "op max"), "channels 3"), "op conv")
    assert state.operation.problem is None


def test_depthwise_keeps_its_filters_and_biases_when_channels_are_added() -> None:
    state = start()
    for words in ("channels 2", "filters 4", "groups 2", "bias 1 2 3 4", "channels 3"):
        state = play(state, words)
    assert (state.operation.groups, state.filters) == (3, 6)
    assert state.operation.bias is not None
    assert state.operation.problem is None


def test_an_impossible_state_can_still_be_edited_where_it_is_seen() -> None:
    state = start()
    for words in ("filters 4", "random kernel 3", "filter 3", "op true-conv", "dilation 9"):
        state = play(state, words)
    assert state.operation.problem
    changed = play(state, "weight 0,1 77")
    assert changed.kernel_plane[0, 1] == 77
    for words in (
        "filters 2",
        "bias 1",
        "weight 0,0 5",
        "random kernel",
        "groups 2",
        "weight 0,0 5",
        "channels 3",
        "op transposed",
        "weight 1,1 3",
    ):
        changed = play(changed, words)
        check(changed)


def test_transposed_filters_come_in_groups() -> None:
    state = start()
    for words in ("channels 2", "op transposed", "groups 2"):
        state = play(state, words)
    with pytest.raises(MoveError, match="filters 3 is not a multiple of 2 groups"):
        play(state, "filters 3")


@pytest.mark.parametrize("value", ["1e308", "-1e300", "1e-300", "1e-9"])
def test_absurd_numbers_are_survived_in_every_operation(value: str) -> None:
    for op in OPERATIONS:
        for after in ("none", *AFTER):
            state = start()
            for words in (f"op {op}", f"fill input {value}", f"activation {after}", "pixel 3,3"):
                state = play(state, words)
            for looking in ("output", "input", "kernel"):
                assert account(play(state, f"look {looking}"), 80, 8)
                assert account(play(state, f"look {looking}"), 80)


def test_too_large_an_output_is_refused_with_its_numbers() -> None:
    state = play(play(start(), "op transposed"), "stride 4096")
    assert state.operation.problem is not None
    assert "> 16777216, the most" in state.operation.problem
    assert state.mended
    assert all(
        len(offer.operation.output.ravel()) <= 2**24
        for _, offer in state.mended[:1]
        if offer.operation.output is not None
    )


def test_a_mean_over_a_large_picture_is_not_written_out() -> None:
    state = play(play(start(), "picture house 300x300"), "op adaptive-avg")
    text = "".join(piece.text for line in account(state, 80) for piece in line)
    assert state.operation.output is not None
    assert text.startswith("output 0,0 = … 90000 terms  ≈ 0.")
    assert state.operation.output.item() == pytest.approx(state.operation.input.mean())
