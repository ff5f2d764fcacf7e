"""What the screen writes is parsed and added up; what it folds away is counted; every direction tells the truth."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from cnntui.core.operation import OPERATIONS
from cnntui.labs.account import Line, account
from cnntui.labs.convolve import ConvolveState, start
from cnntui.labs.words import play
from tests.core.random_operations import random_operation
from tests.core.readding import decimal, readd


def random_state(seed: int) -> ConvolveState:
    rng = np.random.default_rng([91, seed])
    operation = random_operation(rng, OPERATIONS[seed % len(OPERATIONS)])
    state = ConvolveState(operation)
    for grid in ("output", "input", "kernel"):
        state = state.look(grid, *(int(n) for n in rng.integers(0, 12, 2)))
    return state.to_filter(int(rng.integers(0, 9))).look("output")


def rendered(lines: list[Line]) -> str:
    return "\n".join("".join(piece.text for piece in line) for line in lines)


def entries(lines: list[Line]) -> Iterator[tuple[tuple[int, int], str]]:
    """The output cell and the equation of every product that is listed."""
    for line in lines:
        for place, factors, result in zip(line, line[1:], line[2:], strict=False):
            if found := re.match(r" *→(\d+),(\d+): ", place.text):
                yield (int(found[1]), int(found[2])), (factors.text + result.text).strip().replace("·", "0")


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
            labels = [f"output {','.join(map(str, state.cell))} =", *(f"{name} " for name in names)]
            written = equations(rendered(account(state, width)), labels)
            assert len(written) == len(state.parts)
            for line, part in zip(written, state.parts, strict=True):
                assert line.count("×") == str(part.equation).count("×")
                assert line.endswith(f"{part.equation.relation} {part.equation.result}")
                readd(line)


@pytest.mark.parametrize("seed", range(200))
def test_what_is_folded_is_counted_and_nothing_is_cut_off(seed: int) -> None:
    state = random_state(seed)
    total = sum(len(part.equation.terms) for part in state.parts if part.taps)
    last = state.parts[-1].equation
    for width, height in ((78, 3), (78, 6), (118, 9)):
        lines = account(state, width, height)
        assert len(lines) <= height
        text = rendered(lines)
        assert all(len(line.rstrip()) <= width for line in text.splitlines()), text
        assert text.rstrip().endswith(f"{last.relation} {last.result}"), "the result is always there"
        if "more lines" in text:
            continue
        hidden = sum(map(int, re.findall(r"… (\d+) more", text)))
        shown = sum(piece.kind in ("positive", "negative", "zero", "padding") for line in lines for piece in line)
        if state.operation.op in ("conv", "true-conv") and total:
            bare = sum(len(part.equation.terms) - len(part.taps) for part in state.parts if part.taps)
            outer = sum(len(part.equation.terms) for part in state.parts if not part.taps)
            assert total - bare <= shown + hidden <= total + outer, text


@pytest.mark.parametrize("seed", range(120))
def test_where_an_input_cell_goes_and_what_a_weight_touches(seed: int) -> None:
    """Every product that is listed multiplies as printed, and is one that the output cell is made of."""
    state = random_state(seed)
    operation = state.operation
    for looking in ("input", "kernel"):
        looked = state.look(looking)
        lines = account(looked, 100)
        listed = list(entries(lines))
        for (row, column), equation in listed:
            if "max" in operation.op:
                continue
            factors, divided, rest = equation.partition(" / ")
            readd(f"({factors}){divided}{rest}" if divided else equation)
            made = float(decimal(equation.split()[-1]))
            taps = operation.taps(looked.filter, row, column)
            products = [tap.product / operation.cell_divisor(row, column) for tap in taps]
            assert any(made == pytest.approx(product, rel=1e-3, abs=1e-6) for product in products)
        if looking == "input":
            assert f"{len(looked.reached)} output cell" in rendered(lines)
            assert len(listed) == len(looked.reached)
        elif not operation.pool:
            assert len(listed) == operation.uses(*looked.tap) == len(list(looked.touched()))


def test_a_maximum_tells_who_wins() -> None:
    state = play(play(start("sobel-x", "ramp"), "op max"), "size kernel 1x3")
    text = rendered(account(play(state, "pixel 0,2"), 80))
    assert "is under 3 output cells, and the largest in 1:" in text
    assert "→0,0: 3 is the largest" in text
    assert "→0,1: 3 < 4" in text


def test_the_divisor_is_not_forgotten() -> None:
    state = play(start("box"), "pixel 3,3")
    assert "→3,3: (1×1) / 9 = 0.1111" in rendered(account(state, 100))
    pool = play(play(start(), "op avg"), "pixel 3,3")
    assert "→3,3: 1 / 9 = 0.1111" in rendered(account(pool, 100))


def test_padding_has_the_sign_of_the_grid() -> None:
    state = play(play(start(), "padding 1"), "cell 0,0")
    assert rendered(account(state, 100)).startswith("output 0,0 = (−1×·) + (0×·) + (1×·)")
    assert "max(0, 0," in rendered(account(play(state, "op max"), 100)), "padding never wins, and is left out"


def test_a_cell_that_nothing_is_stamped_on() -> None:
    state = start()
    for words in ("op transposed", "stride 3", "size kernel 1", "cell 0,1"):
        state = play(state, words)
    assert rendered(account(state, 80)) == "output 0,1 = (−1×·)  = 0 "
