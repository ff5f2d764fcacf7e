"""Every operation against torch, every number taken apart, every impossible setting mended."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from cnntui.core.activations import ACTIVATIONS
from cnntui.core.axis import AdaptiveAxis, Axis, nearest
from cnntui.core.mending import mended
from cnntui.core.operation import MAGNITUDE, OPERATIONS, Operation, Part, setting_text
from tests.core.random_operations import agree, random_operation
from tests.core.readding import decimal, readd

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")
BATCHES = 50


def random_cell(rng: np.random.Generator, array: Any) -> tuple[int, int, int]:
    channel, row, column = (int(rng.integers(n)) for n in array.shape)
    return channel, row, column


@pytest.mark.parametrize("batch", range(BATCHES))
def test_5000_random_operations_are_torchs(batch: int) -> None:
    for seed in range(100 * batch, 100 * batch + 100):
        agree(random_operation(np.random.default_rng(seed)))


@pytest.mark.parametrize("op", OPERATIONS)
def test_the_three_directions_are_one_table(op: str) -> None:
    """A cell's taps, where its pixels go and what its weights touch are the same products."""
    for seed in range(60):
        rng = np.random.default_rng([seed, OPERATIONS.index(op)])
        operation = random_operation(rng, op)
        assert operation.sums is not None
        filter_, row, column = cell = random_cell(rng, operation.sums)
        taps = operation.taps(*cell)
        made = sum(tap.product for tap in taps) / operation.cell_divisor(row, column) + operation.cell_bias(filter_)
        if "max" in op:
            made = max(tap.value for tap in taps if tap.input)
        assert made == pytest.approx(operation.sums[cell])

        for tap in taps:
            if tap.input:
                back = [p for p in operation.reached(tap.input) if p.output == cell]
                assert [(p.value, p.weight) for p in back] == [(tap.value, tap.weight)]
        pixel = random_cell(rng, operation.input)
        for product in operation.reached(pixel):
            assert pixel in [tap.input for tap in operation.taps(*product.output)]
        if not operation.pool:
            i, j = (int(rng.integers(n)) for n in operation.kernel_size)
            channel = int(rng.choice(list(operation.channels_of(filter_))))
            touched = list(operation.touched(filter_, channel, i, j))
            assert len(touched) == operation.uses(i, j)
            assert operation.transposed or len(touched) == operation.sums[0].size
            for product in touched:
                assert (
                    product.weight == operation.sliding[filter_, channel - operation.channels_of(filter_).start, i, j]
                )
                assert product.input is None or product in operation.reached(product.input)
            within = channel - operation.channels_of(filter_).start
            at = operation.weight_at(filter_, within, i, j)
            assert operation.weight[at] == operation.sliding[filter_, within, i, j]


@pytest.mark.parametrize("seed", range(200))
def test_the_same_as_a_product_of_matrices(seed: int) -> None:
    rng = np.random.default_rng(5000 + seed)
    operation = random_operation(rng, str(rng.choice(["conv", "true-conv", "transposed"])))
    assert operation.sums is not None
    for filter_ in range(len(operation.sums)):
        bias = operation.cell_bias(filter_)
        kernel = operation.sliding[filter_].reshape(-1)
        product = operation.patches(filter_) @ kernel / operation.divisor + bias
        np.testing.assert_allclose(product, operation.sums[filter_].reshape(-1), atol=1e-9)
        matrix, there = operation.tied_matrix(filter_)
        product = matrix @ operation.input.reshape(-1) / operation.divisor + bias
        np.testing.assert_allclose(product, operation.sums[filter_].reshape(-1), atol=1e-9)
        assert not matrix[~there].any()


# -- the printed arithmetic


def check_parts(parts: tuple[Part, ...], expected: float) -> int:
    """Every line re-adds, the last is the cell's value, and what one line found the next one uses as printed."""
    for part in parts:
        readd(str(part.equation))
        assert len(part.taps) in (0, len(part.equation.terms), len(part.equation.terms) - 1)
    last = parts[-1].equation
    assert float(decimal(last.result)) == pytest.approx(expected, rel=2e-3, abs=1e-3)
    for before, after in pairwise(parts):
        if after.name in (*ACTIVATIONS, MAGNITUDE):
            assert before.equation.result in str(after.equation)
    sums = [part for part in parts if part.name == "sum"]
    channels = [part.equation.result for part in parts if part.name.startswith("channel")]
    if sums:
        assert list(sums[0].equation.terms[: len(channels)]) == channels
    return sum(part.equation.relation == "≈" for part in parts)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_10000_random_cells_readd_as_printed(batch: int) -> None:
    about = lines = 0
    for seed in range(40 * batch, 40 * batch + 40):
        rng = np.random.default_rng(10_000 + seed)
        operation = random_operation(rng)
        if seed % 3 == 0:
            operation = Operation(
                **{**vars_of(operation), "input": operation.input.round(1), "weight": operation.weight.round()}
            )
        elif seed % 3 == 1:
            operation = Operation(
                **{
                    **vars_of(operation),
                    "input": np.float32(operation.input * 10.0 ** rng.integers(-3, 4)).astype(float),
                }
            )
        assert operation.output is not None
        for _ in range(5):
            cell = random_cell(rng, operation.output)
            parts = operation.parts(cell)
            about += check_parts(parts, float(operation.output[cell]))
            lines += len(parts)
            if operation.sums is not None and operation.activation != MAGNITUDE:
                readd(str(operation.equation(*cell)))
    assert about <= lines / 20, "almost all of them say ="


def vars_of(operation: Operation) -> dict[str, Any]:
    return {name: value for name, value in vars(operation).items() if name in Operation.__init__.__annotations__}


# -- what cannot be


@pytest.mark.parametrize("batch", range(20))
def test_2000_impossible_operations_are_explained_and_mended(batch: int) -> None:
    """The message has the failing inequality with numbers that are really there; each offer works and is another state."""
    found = 0
    seed = 0
    while found < 100:
        rng = np.random.default_rng([batch, seed])
        seed += 1
        operation = random_operation(rng, possible=False)
        if operation.problem is None:
            continue
        found += 1
        assert inequality_holds(operation.problem), operation.problem
        offers = mended(operation)
        assert offers, operation.problem
        for words, other in offers:
            assert other.problem is None
            assert words
            assert other.output is not None
        assert len({words for words, _ in offers}) == len(offers)


def inequality_holds(message: str) -> bool:
    """Whether what the message says fails is really false of the numbers in it."""
    message = message.replace("−", "-")
    if found := re.search(r"(?:= |[a-z] )(-?\d+) (<|>|>=|≠) (\d+)", message):
        left, sign, right = int(found[1]), found[2], int(found[3])
        if part := re.search(r"(\d+) \((\d+) \+ (\d+) \+ (\d+) of padding", message):
            assert int(part[1]) == sum(int(part[i]) for i in (2, 3, 4))
        return {"<": left < right, ">": left > right, ">=": left >= right, "≠": left != right}[sign]
    if found := re.search(r"groups (\d+) must divide (\d+) input and (\d+) output", message):
        groups, *channels = map(int, found.groups())
        return any(n % groups for n in channels)
    if found := re.search(r"groups (\d+) must divide (\d+) input", message):
        return int(found[2]) % int(found[1]) != 0
    if found := re.search(r"kernel with (\d+) input channels × groups (\d+) = (\d+), but the input has (\d+)", message):
        per, groups, product, there = map(int, found.groups())
        return per * groups == product != there
    if found := re.search(r"(\d+) biases for (\d+) filters", message):
        return found[1] != found[2]
    if found := re.search(r"needs stride 1, not (\d+)", message):
        return found[1] != "1"
    return False


@pytest.mark.parametrize("seed", range(100))
def test_the_nearest_value_is_possible_and_none_is_nearer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arguments: dict[str, Any] = {
        "size": int(rng.integers(1, 6)), "kernel": int(rng.integers(1, 12)), "stride": int(rng.integers(0, 4)),
        "padding": (0, 0), "dilation": int(rng.integers(0, 4)), "ceil": False, "transposed": bool(rng.random() < 0.3),
        "output_padding": 0,
    }  # fmt: skip
    for setting in ("kernel", "dilation", "stride"):
        value = nearest(setting, arguments)
        if value is None:
            continue
        Axis(**{**arguments, setting: value})
        distance = abs(value - arguments[setting])
        for other in range(arguments[setting] - distance + 1, arguments[setting] + distance):
            with pytest.raises(ValueError):
                Axis(**{**arguments, setting: other})


@pytest.mark.parametrize(("size", "outputs"), [(7, 3), (1, 4), (5, 5), (10, 1), (3, 7)])
def test_adaptive_windows_read_both_ways(size: int, outputs: int) -> None:
    axis = AdaptiveAxis(size, outputs)
    for output in range(outputs):
        for tap, index in enumerate(axis.reads(output)):
            if index is not None:
                assert (output, tap) in axis.readers(index)
    for index in range(size):
        assert all(axis.reads(output)[tap] == index for output, tap in axis.readers(index))


def test_settings_in_words() -> None:
    assert setting_text((2, 2)) == "2"
    assert setting_text((2, 1)) == "2x1"
    assert setting_text(((1, 1), (0, 0))) == "1x0"
    assert setting_text(((1, 2), (3, 4))) == "3,4,1,2", "left, right, top, bottom: torch's F.pad"
    assert setting_text("same") == "same"


def test_what_cancels_is_zero_and_not_noise() -> None:
    row = np.array([[[0.1, 0.2, -0.3]]])
    operation = Operation(row, np.ones((1, 1, 1, 3)))
    assert 0.1 + 0.2 - 0.3 != 0
    assert operation.output is not None
    assert operation.output.tolist() == [[[0]]]
    flat = Operation(
        np.full((1, 5, 5), 0.16),
        np.random.default_rng(0).integers(-3, 4, (2, 1, 3, 3)).astype(float),
        activation=MAGNITUDE,
    )
    assert "e" not in str(flat.parts((0, 1, 1))[-1].equation)
