"""Activations as curves: torch is the judge of every value and slope."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from cnntui.core.activations import ACTIVATIONS
from cnntui.labs.demos.activations import LEAST, MOST, SAMPLES, ActivationsState, curve, histogram, told, told_of_sums
from cnntui.labs.stages import WordsError, stage

STAGE = stage("activations")
TORCH = {name: getattr(functional, "leaky_relu" if name == "leakyrelu" else name) for name in ACTIVATIONS}


def played(*moves: str) -> ActivationsState:
    state = STAGE.start()
    for move in moves:
        state = STAGE.play(state, move)
    assert isinstance(state, ActivationsState)
    return state


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes_agree_with_torch(name: str) -> None:
    for at in (*np.random.default_rng(1).uniform(LEAST, MOST, 20), 0.0, 3.0, -3.0):
        x = torch.tensor(float(at), dtype=torch.float64, requires_grad=True)
        y = TORCH[name](x)
        y.backward()
        state = played(f"show {name}", f"at {at}")
        assert STAGE.fact(state, "value", (name,)) == pytest.approx(y.item(), abs=1e-12)
        assert x.grad is not None
        assert STAGE.fact(state, "slope", (name,)) == pytest.approx(x.grad.item(), abs=1e-12)
        assert STAGE.fact(state, "value", ()) == STAGE.fact(state, "value", (name,))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_slopes_of_layers_multiply(name: str) -> None:
    state = played(f"show {name}", "at -0.5", "depth 7")
    assert STAGE.fact(state, "product", (name,)) == pytest.approx(state.slope(name) ** 7)
    assert len(state.left) == 8
    assert state.left[0] == 1
    assert state.left[-1] == pytest.approx(state.product(name))


def test_many_sigmoids_leave_nothing_and_many_relus_all() -> None:
    state = played("show sigmoid relu", "at 2", "depth 20")
    assert STAGE.fact(state, "product", ("relu",)) == 1
    product = STAGE.fact(state, "product", ("sigmoid",))
    assert isinstance(product, float)
    assert 0 < product < 1e-12


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_flat_sums_are_those_through_which_torch_sends_no_gradient(name: str) -> None:
    for bias in (-4.0, -1.5, 0.0, 2.0):
        state = played(f"bias {bias}")
        sums = torch.tensor(state.sums, requires_grad=True)
        TORCH[name](sums).sum().backward()
        assert sums.grad is not None
        assert STAGE.fact(state, "dead", (name,)) == (sums.grad == 0).sum().item() / SAMPLES
        assert STAGE.fact(state, "mean_slope", (name,)) == pytest.approx(sums.grad.mean().item())


def test_a_bias_far_below_zero_kills_a_relu_and_nothing_else_does() -> None:
    shares = [STAGE.fact(played(f"bias {bias}"), "dead", ()) for bias in range(4, -5, -1)]
    assert shares == sorted(shares, key=float)  # type: ignore[arg-type]
    assert shares[-1] == 1
    assert 0.4 < shares[4] < 0.6  # type: ignore[operator]
    assert "all 1,000 sums fall where relu is flat. The unit is dead" in told_of_sums(played("bias -4"))
    assert "none of 1,000 sums" in told_of_sums(played("bias -4", "choose elu"))


def test_the_histogram_holds_every_sum_of_the_range() -> None:
    for bias in (-4.0, 0.0, 3.5):
        state = played(f"bias {bias}")
        counts, flat = histogram(state, 40)
        assert counts.sum() == ((state.sums >= LEAST) & (state.sums <= MOST)).sum()
        assert flat.tolist() == [True] * 20 + [False] * 20


def test_a_curve_goes_through_the_values() -> None:
    for slope in (False, True):
        for x, y in curve("gelu", 9, slope):
            state = played(f"at {x}")
            assert y == pytest.approx(state.slope("gelu") if slope else state.value("gelu"))


def test_what_is_shown_and_what_is_said() -> None:
    state = played("show relu tanh", "choose tanh", "at -1", "slope off", "depth 1")
    assert STAGE.fact(state, "shown", ()) == "relu, tanh"
    assert STAGE.fact(state, "shown", ("tanh",)) is True
    assert STAGE.fact(state, "shown", ("gelu",)) is False
    assert STAGE.fact(state, "slopes", ()) is False
    assert told(state) == (
        "At x = −1, tanh gives −0.7616 and its slope is 0.42. Back through 1 layer with that slope, "
        "a gradient of 1 becomes 0.42."
    )
    assert state.toggled().shown == ("relu",)
    assert state.walk(1).chosen == "sigmoid"
    assert state.walk(2).chosen == "relu"


def test_every_fact_has_words_and_an_answer() -> None:
    for name in STAGE.facts:
        assert STAGE.fact(played(), name, ()) is not None


@pytest.mark.parametrize(
    ("move", "wrong"),
    [
        ("show rellu", "did you mean relu?"),
        ("show", "write show NAME ..."),
        ("bias 9", "bias 9 is not from −4 to 4"),
        ("depth 0", "'0' is not a whole number from 1"),
        ("depth 900", "depth 900 is not from 1 to 100"),
        ("slope maybe", "'maybe' is neither on nor off"),
        ("at here", "'here' is not a number"),
        ("walk 2", "no move of activations is called 'walk'"),
    ],
)
def test_a_move_that_is_not_allowed_says_what_to_write(move: str, wrong: str) -> None:
    with pytest.raises(WordsError, match=wrong.replace("?", r"\?").replace(".", r"\.")):
        played(move)


@pytest.mark.parametrize(
    ("name", "index"), [("valu", ()), ("value", ("rellu",)), ("value", ("relu", "elu")), ("at", (1,))]
)
def test_what_cannot_be_asked_says_so(name: str, index: tuple[int | str, ...]) -> None:
    with pytest.raises(WordsError, match=r"no fact|did you mean|cannot be asked"):
        STAGE.fact(played(), name, index)
