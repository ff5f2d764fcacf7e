"""What the screen writes is parsed and added up; what it folds away is counted; every direction tells the truth."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cnntui.core.operation import OPERATIONS
from cnntui.labs.account import Line, account
from cnntui.labs.convolve import ConvolveState, start
from cnntui.labs.words import play
from tests.core.random_operations import random_operation
from tests.core.readding import decimal, readd


def random_state(seed: int, whole: bool = False) -> ConvolveState:
    rng = np.random.default_rng([91, seed])
    operation = random_operation(rng, OPERATIONS[seed % len(OPERATIONS)])
    if whole:
        operation = type(operation)(
            operation.input.round(1), operation.weight.round(1), operation.op, padding=operation.padding
        )
    state = ConvolveState(operation)
    for grid in ("output", "input", "kernel"):
        state = state.look(grid, *(int(n) for n in rng.integers(0, 12, 2)))
    return state.to_filter(int(rng.integers(0, 9))).look("output")


def rendered(lines: list[Line]) -> str:
    return "\n".join("".join(piece.text for piece in line) for line in lines)


def equations(text: str, labels: list[str]) -> list[str]:
    """The rendered lines, joined again where they were wrapped, without their labels; padding is 0."""
    found: list[str] = []
    for line in text.replace("·", "0").splitlines():
        bare = line.strip()
        label = next((label for label in labels if bare.startswith(label)), None)
        if label is not None:
            found.append(bare[len(label) :])
        else:
            found[-1] += " " + bare
    return [re.sub(r"\s+", " ", text).replace("( ", "(").strip() for text in found]


@pytest.mark.parametrize("batch", range(50))
def test_the_rendered_text_of_10000_cells_readds(batch: int) -> None:
    """At whatever width it is wrapped; with nothing folded, no term is lost."""
    for seed in range(50 * batch, 50 * batch + 50):
        state = random_state(seed)
        rng = np.random.default_rng([92, seed])
        for width in (50, 60, 78, 118):
            state = state.to(int(rng.integers(12)), int(rng.integers(12)))
            names = sorted({part.name or "sum" for part in state.parts} | {"max", "mean"}, key=len, reverse=True)
            labels = [f"output {','.join(map(str, state.cell))} =", *(f"{name}  " for name in names)]
            written = equations(rendered(account(state, width)), labels)
            assert len(written) == len(state.parts)
            for line, part in zip(written, state.parts, strict=True):
                assert line.count("×") == str(part.equation).count("×")
                assert line.endswith(f"{part.equation.relation} {part.equation.result}")
                readd(line)


@pytest.mark.parametrize("seed", range(200))
def test_what_is_folded_is_counted(seed: int) -> None:
    state = random_state(seed)
    total = sum(len(part.equation.terms) for part in state.parts if part.taps)
    for width, height in ((78, 3), (78, 6), (118, 9)):
        lines = account(state, width, height)
        assert len(lines) <= height
        text = rendered(lines)
        if "more lines" in text:
            continue
        hidden = sum(map(int, re.findall(r"… (\d+) more", text)))
        shown = sum(piece.kind in ("positive", "negative", "zero", "padding") for line in lines for piece in line)
        if state.operation.op in ("conv", "true-conv") and total:
            biases = sum(bool(part.taps) and len(part.equation.terms) > len(part.taps) for part in state.parts)
            assert shown + hidden in (total, total - biases), text
        assert all(len("".join(piece.text for piece in line)) <= width + 24 for line in lines)


@pytest.mark.parametrize("seed", range(120))
def test_where_an_input_cell_goes_and_what_a_weight_touches(seed: int) -> None:
    """Every product that is listed is one that the output cell is made of."""
    state = random_state(seed, whole=True)
    operation = state.operation
    if operation.problem or operation.sums is None:
        return
    for looking in ("input", "kernel"):
        looked = state.look(looking)
        text = rendered(account(looked, 100)).replace("·", "0")
        for row, column, weight, value, product in re.findall(
            r"(\d+),(\d+):\s+([−\d.]+)×([−\d.]+)\s*= ([−\d.]+)", text
        ):
            assert decimal(weight) * decimal(value) == decimal(product)
            taps = operation.taps(looked.filter, int(row), int(column))
            pairs = [(round(tap.weight, 3), round(tap.value, 3)) for tap in taps]
            assert (float(decimal(weight)), float(decimal(value))) in pairs
        if looking == "input":
            assert f"{len(looked.reached)} output cell" in text


def test_padding_has_the_sign_of_the_grid() -> None:
    state = play(play(start(), "padding 1"), "cell 0,0")
    assert rendered(account(state, 100)).startswith("output 0,0 = (−1×·) + (0×·) + (1×·)")
    assert "max(0, 0," in rendered(account(play(state, "op max"), 100)), "padding never wins, and is left out"


def test_a_cell_that_nothing_is_stamped_on() -> None:
    state = start()
    for words in ("op transposed", "stride 3", "size kernel 1", "cell 0,1"):
        state = play(state, words)
    assert rendered(account(state, 80)) == "output 0,1 = (−1×·)  = 0 "
