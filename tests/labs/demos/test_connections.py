"""What is wired to what: torch's layers, and the gradients that flow through them, are the judges."""

from __future__ import annotations

import re
from itertools import product

import pytest
import torch
from torch import nn

from cnntui.labs.demos.connections import KINDS, ConnectionsState, told, told_of_large
from cnntui.labs.stages import WordsError, stage

STAGE = stage("connections")


def played(*moves: str) -> ConnectionsState:
    state = STAGE.start()
    for move in moves:
        state = STAGE.play(state, move)
    assert isinstance(state, ConnectionsState)
    return state


def torch_conv(channels: int, filters: int, kernel: int, stride: int, padding: str) -> nn.Conv2d:
    conv = nn.Conv2d(channels, filters, kernel, stride, padding=padding)
    nn.init.constant_(conv.weight, 1.0)
    return conv


SETTINGS = [
    (size, kernel, stride, padding)
    for size, kernel, stride, padding in product((5, 7), (1, 2, 3, 4), (1, 2), ("valid", "same"))
    if padding == "valid" or (stride == 1 and kernel % 2)  # torch warns of `same` with an even kernel
]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), SETTINGS)
def test_the_cells_that_feed_an_output_are_those_that_its_gradient_reaches(
    size: int, kernel: int, stride: int, padding: str
) -> None:
    moves = [f"picture {size}", f"kernel {kernel}"] + [f"stride {stride}"] * (stride > 1) + [f"padding {padding}"]
    conv = torch_conv(1, 1, kernel, stride, padding)
    total = 0
    state = played(*moves, "kind conv")
    height, width = state.output
    for row, column in product(range(height), range(width)):
        x = torch.ones(1, 1, size, size, requires_grad=True)
        out = conv(x)
        assert out.shape[2:] == (height, width)
        out[0, 0, row, column].backward()
        assert x.grad is not None
        reached = {(int(y), int(z)) for y, z in x.grad[0, 0].nonzero()}
        total += len(reached)
        for kind in ("conv", "local"):
            at = played(*moves, f"kind {kind}", f"cell {row},{column}")
            assert set(at.weights_of(at.cell)) == reached
            assert STAGE.fact(at, "reached", ()) == len(reached)
    for kind in ("conv", "local"):
        assert STAGE.fact(state, "connections", (kind,)) == total
    assert STAGE.fact(state, "connections", ("full",)) == size * size * height * width


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_weights_and_biases_are_those_of_torchs_layers(padding: str) -> None:
    state = played("size 6x5", "channels 3", "filters 4", "kernel 3", f"padding {padding}")
    conv = torch_conv(3, 4, 3, 1, padding)
    out = conv(torch.zeros(1, 3, 6, 5))
    assert STAGE.fact(state, "large.output", ()) == tuple(out.shape[1:])
    assert STAGE.fact(state, "large.weights", ("conv",)) == conv.weight.numel()
    assert conv.bias is not None
    assert STAGE.fact(state, "large.biases", ("conv",)) == conv.bias.numel()
    linear = nn.Linear(3 * 6 * 5, out.numel())
    assert STAGE.fact(state, "large.weights", ("full",)) == linear.weight.numel()
    assert STAGE.fact(state, "large.biases", ("full",)) == linear.bias.numel()
    places = out[0, 0].numel()
    assert STAGE.fact(state, "large.places", ()) == places
    patches = nn.functional.unfold(torch.zeros(1, 3, 6, 5), 3, padding=1 if padding == "same" else 0)
    assert STAGE.fact(state, "large.weights", ("local",)) == patches[0].numel() * 4
    assert STAGE.fact(state, "large.biases", ("local",)) == out.numel()


def test_the_figures_of_the_course() -> None:
    state = played("size 224", "channels 3", "filters 64", "kernel 3", "padding valid")
    assert STAGE.fact(state, "large.weights", ("local",)) == 85_162_752
    assert STAGE.fact(state, "large.weights", ("conv",)) == 1728
    assert "local 49,284 times as many" in told_of_large(state)
    same = played("size 28", "channels 1", "filters 1", "kernel 3", "padding same")
    assert STAGE.fact(same, "large.weights", ("full",)) == 614_656
    assert STAGE.fact(same, "large.weights", ("conv",)) == 9
    assert "full about 68,295 times" in told_of_large(same)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_every_weight_has_one_name_and_no_other(kind: str, kernel: int) -> None:
    state = played(f"kind {kind}", f"kernel {kernel}")
    height, width = state.output
    cells = list(product(range(height), range(width)))
    weights = {weight for cell in cells for weight in state.weights_of(cell).values()}
    assert weights == set(range(len(weights)))
    assert STAGE.fact(state, "weights", ()) == len(weights)
    assert len({state.label(weight) for weight in weights}) == len(weights)
    shares = [set(state.weights_of(cell).values()) for cell in cells]
    assert state.same_weights is (shares[0] == shares[1])
    assert state.same_weights is (kind == "conv")


def test_what_is_said() -> None:
    state = played("kind conv", "cell 2,3")
    assert told(state) == (
        "Output 2,3 is fed by 9 of 49 input cells, through weights a to i. "
        "Output 2,4 has weights a to i: every place shares them."
    )
    assert "weights e, f, h, i." in told(played("kind conv", "padding same", "cell 0,0"))
    assert told(played("kind local", "cell 0,4")) == (
        "Output 0,4 is fed by 9 of 49 input cells, through weights 37 to 45. Output 0,3 has others, weights 28 to 36."
    )
    assert "all 49 input cells, through weights 1 to 49." in told(played("kind full"))
    alone = played("picture 3", "kind conv")
    assert alone.neighbour is None
    assert STAGE.fact(alone, "same_weights", ()) is None
    assert told(alone).endswith("through weights a to i.")


def test_the_cell_stays_inside_and_sizes_go_round() -> None:
    state = played("cell 4,4", "kernel 5")
    assert state.cell == (2, 2)
    assert state.to(-3, 99).cell == (0, 2)
    seen = [state := state.next_size() for _ in range(3)]
    assert len({(each.size, each.channels, each.filters) for each in seen}) == 3
    assert played("size 50").next_size().size == (28, 28)


def test_every_fact_has_words_and_an_answer() -> None:
    for name in STAGE.facts:
        assert STAGE.fact(played(), name, ()) is not None


@pytest.mark.parametrize(
    ("move", "wrong"),
    [
        ("kind dense", "no kind is called 'dense'; there are full, local, conv"),
        ("picture 9", "picture 9 is not from 3 to 8"),
        ("kernel 6", "kernel 6 is not from 1 to 5"),
        ("size 2000", "size 2000 is not from 1 to 1024"),
        ("size 2", "kernel"),
        ("padding sane", "did you mean same?"),
        ("filters 0", "'0' is not a whole number from 1"),
        ("cell x", "'x' is not a whole number"),
    ],
)
def test_a_move_that_is_not_allowed_says_what_to_write(move: str, wrong: str) -> None:
    with pytest.raises(WordsError, match=re.escape(wrong)):
        played(move)


def test_same_padding_needs_stride_1() -> None:
    with pytest.raises(WordsError, match="padding same needs stride 1, not 2"):
        played("stride 2", "padding same")
