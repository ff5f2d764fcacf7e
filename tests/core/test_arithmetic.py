"""What is printed re-adds: the rendered text is parsed back, multiplied and added."""

from __future__ import annotations

import numpy as np
import pytest

from cnntui.core.arithmetic import brief, maximum, mean, number, short, weighted_sum
from cnntui.core.windows import Tap
from tests.core.readding import decimal, readd


@pytest.mark.parametrize("seed", range(200))
def test_random_sums_readd(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(10):
        size = int(rng.integers(1, 50))
        spread = 10.0 ** rng.integers(-4, 5)
        weights, values = rng.normal(size=(2, size)) * spread
        match seed % 4:
            case 0:
                weights, values = weights.round(), values.round(2)
            case 1:
                values = values.round(1)
            case 2:
                values = np.float32(values).astype(float)
        bias = float(rng.normal()) if rng.random() < 0.5 else 0.0
        divisor = float(rng.choice([1, 9, 16, 256]))
        taps = [Tap((0, 0, i), float(v), float(w)) for i, (w, v) in enumerate(zip(weights, values, strict=True))]
        written = weighted_sum(taps, bias, divisor)
        assert written.relation == "="
        assert len(written.terms) == size + (bias != 0 and divisor == 1)
        readd(str(written))
        true = sum(w * v for w, v in zip(weights, values, strict=True)) / divisor + bias
        assert float(decimal(written.result)) == pytest.approx(true, rel=2e-3, abs=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "(0.45×2) = 1",
        "(0.4×1) + (0.05×1) = 0",
        "max(1, 2) = 1",
        "relu(−1) = 1",
        "√(1² + 1²) = 2",
        "(1 + 2) / 3 × 2 + 1 = 2",
        "(3 − 1) / √(4 + 0.00001) × 2 + −1 = 2",
        "(3 − 1) / √(4 + 0.00001) = 2",
        "e^1 / (e^1 + e^0) = 0.5",
        "padding = 1",
        "2 / (1 + 0.5 × (2² + (−2)²))^0.5 = 1",
        "1.5 + 2 = 3",
    ],
)
def test_what_does_not_readd_is_noticed(text: str) -> None:
    """The judge can say no."""
    with pytest.raises(AssertionError):
        readd(text)


def test_what_is_not_zero_is_never_written_as_zero() -> None:
    assert brief(0) == "0"
    assert brief(1 / 3) == "0.333333"
    assert brief(-1e-7) == "−1.00e−07"


def test_whole_numbers_are_printed_in_full() -> None:
    taps = [Tap((0, 0, 0), 1, -1), Tap((0, 0, 1), 0.5, 2), Tap(None, 0, 3)]
    assert str(weighted_sum(taps)) == "(−1×1) + (2×0.5) + (3×0) = 0"
    assert str(weighted_sum(taps, bias=-0.25)) == "(−1×1) + (2×0.5) + (3×0) + −0.25 = −0.25"
    assert str(weighted_sum([Tap((0, 0, 0), 3, 1)], divisor=16)) == "((1×3)) / 16 = 0.1875"


def test_pools() -> None:
    taps = [Tap((0, 0, 0), 1, 1), Tap((0, 0, 1), 5, 1), Tap(None, 0, 1)]
    assert str(maximum(taps)) == "max(1, 5) = 5"
    assert str(mean(taps, 4)) == "(1 + 5 + 0) / 4 = 1.5"
    readd(str(mean([Tap((0, 0, 0), 0.1 + 0.2, 1), Tap((0, 0, 1), 1 / 3, 1)], 3)))


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.0, None, "0"),
        (-0.0, None, "0"),
        (-2.50, None, "−2.5"),
        (1e-9, 3, "0"),
        (-0.0004, 3, "0"),
        (100, 2, "100"),
        (1e14, None, "100000000000000"),
        (-1e30, 2, "−1.0000e+30"),
        (float("inf"), 2, "inf"),
        (float("nan"), 2, "nan"),
    ],
)
def test_numbers(value: float, decimals: int | None, text: str) -> None:
    assert number(value, decimals) == text


@pytest.mark.parametrize(
    ("value", "room", "text"),
    [
        (0, 1, "0"),
        (-3, 2, "−3"),
        (1 / 3, 4, "0.33"),
        (1 / 3, 3, ".33"),
        (1 / 3, 2, ".3"),
        (1 / 3, 1, None),
        (-2.667, 5, "−2.67"),
        (-2.667, 3, "−3"),
        (12345.678, 3, "1e4"),
        (0.0001, 4, "1e−4"),
        (0.0001, 2, None),
    ],
)
def test_short_numbers_never_make_something_of_nothing_or_nothing_of_something(
    value: float, room: int, text: str | None
) -> None:
    assert short(value, room) == text


@pytest.mark.parametrize("value", [1e20, 1e200, 1e308])
def test_numbers_that_are_too_large_to_print_are_about_right(value: float) -> None:
    written = weighted_sum([Tap((0, 0, 0), value, 2.0), Tap((0, 0, 1), 1.0, 3.0)])
    assert written.relation == "≈"
    assert "e+" in written.result
