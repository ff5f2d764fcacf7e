"""The four normalisations: torch is the judge."""

from __future__ import annotations

import re
from math import sqrt

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cnntui.labs.demos.norms import KINDS, SHAPE, NormsState, told, told_of_params
from cnntui.labs.stages import WordsError, stage

STAGE = stage("norms")
KINDS_IN_WORDS = ("batch", "layer", "instance", "group 1", "group 2", "group 4")


def played(*moves: str) -> NormsState:
    state = STAGE.start()
    for move in moves:
        state = STAGE.play(state, move)
    assert isinstance(state, NormsState)
    return state


def by_torch(words: str, x: torch.Tensor) -> torch.Tensor:
    kind, *groups = words.split()
    match kind:
        case "batch":
            return functional.batch_norm(x, None, None, training=True)
        case "layer":
            return functional.layer_norm(x, x.shape[1:])
        case "instance":
            return functional.instance_norm(x)
    return functional.group_norm(x, int(groups[0]))


@pytest.mark.parametrize("words", KINDS_IN_WORDS)
@pytest.mark.parametrize("seed", range(4))
def test_every_number_agrees_with_torch(words: str, seed: int) -> None:
    state = played(f"random {seed}", f"kind {words}")
    torch.testing.assert_close(torch.tensor(state.normalised), by_torch(words, torch.tensor(state.tensor)))


@pytest.mark.parametrize("words", KINDS_IN_WORDS)
def test_a_number_is_made_of_the_mean_and_the_variance_that_are_told(words: str) -> None:
    for seed, place in enumerate(np.random.default_rng(7).integers(0, SHAPE, (12, 4))):
        state = played(f"random {seed}", f"kind {words}", "cell " + ",".join(map(str, place)))
        mean, variance, value = (float(STAGE.fact(state, name, ())) for name in ("mean", "variance", "value"))  # type: ignore[arg-type]
        assert STAGE.fact(state, "normalised", ()) == pytest.approx((value - mean) / sqrt(variance + 1e-5))
        assert value == state.tensor[tuple(place)]


@pytest.mark.parametrize("words", KINDS_IN_WORDS)
def test_the_printed_lines_re_add(words: str) -> None:
    for seed in range(5):
        state = played(f"random {seed}", f"kind {words}", "cell 1,3,2,1")
        printed: dict[str, float] = {}
        for line in state.lines:
            assert line.equation.relation == "=", str(line)
            formula = " ".join(line.equation.terms).replace("−", "-").replace("√", "sqrt")
            again = eval(re.sub("[×]", "*", formula), {"sqrt": sqrt})
            result = line.equation.result.replace("−", "-")
            decimals = len(result.partition(".")[2])
            assert again == pytest.approx(float(result), abs=0.5001 * 10**-decimals)
            printed[line.name] = float(result)
        assert printed["result"] == pytest.approx(STAGE.fact(state, "normalised", ()), abs=1e-2)


def test_over_how_many_numbers_and_how_many_means() -> None:
    pictures, channels, height, width = SHAPE
    for words, means in zip(KINDS_IN_WORDS, (4, 2, 8, 2, 4, 8), strict=True):
        state = played(f"kind {words}")
        assert STAGE.fact(state, "groups", ()) == means
        assert STAGE.fact(state, "over", ()) == pictures * channels * height * width / means


@pytest.mark.parametrize("channels", [1, 6, 64])
def test_parameters_are_those_of_torchs_layers(channels: int) -> None:
    layers = {
        "batch": nn.BatchNorm2d(channels),
        "layer": nn.LayerNorm((channels, 5, 7)),
        "instance": nn.InstanceNorm2d(channels),
        "group 1": nn.GroupNorm(1, channels),
    }
    for words, layer in layers.items():
        state = played(f"channels {channels}", "size 5x7", f"kind {words}")
        assert STAGE.fact(state, "params", ()) == sum(p.numel() for p in layer.parameters())


def test_a_number_changes_only_those_that_share_its_mean() -> None:
    for words in KINDS_IN_WORDS:
        state = played(f"kind {words}", "cell 0,1,2,0")
        other = STAGE.play(state, "set 50")
        changed = (state.normalised != other.normalised).any(axis=(2, 3))
        assert (changed == (state.numbers == state.numbers[0, 1])).all()


def test_what_is_said_and_where_one_walks() -> None:
    state = played("kind group 2", "cell 1,2,0,0")
    assert told(state) == (
        "Mean and variance are taken over 18 numbers: channels 2 and 3 of picture 1. "
        "There are 4 such means in all, a letter each."
    )
    assert "channel 2 of both pictures" in told(state.with_kind("batch"))
    assert "all 4 channels of picture 1" in told(state.with_kind("layer"))
    assert state.moved(-1, -1).place == (0, 1, 2, 2)
    assert state.moved(9, 99).place == (1, 3, 2, 2)
    assert STAGE.fact(state.next_groups(), "name", ()) == "group 4"
    assert state.next_groups().next_groups().parts == 1
    assert [state.next_kind(by).kind for by in range(4)] == ["group", "batch", "layer", "instance"]
    assert set(KINDS) == {state.next_kind(by).kind for by in range(4)}
    assert "no parameters" in told_of_params(state.with_kind("instance"))
    assert "8 parameters: a weight and a bias for each channel" in told_of_params(state)


def test_every_fact_has_words_and_an_answer() -> None:
    for name in STAGE.facts:
        assert STAGE.fact(played(), name, ()) is not None


@pytest.mark.parametrize(
    ("move", "wrong"),
    [
        ("kind bach", "did you mean batch?"),
        ("kind group 3", "groups 3 must divide 4 channels"),
        ("kind batch 2", "batch normalisation has no groups; write kind batch, or kind group 2"),
        ("cell 1,1", "'1,1' is not PICTURE,CHANNEL,ROW,COLUMN"),
        ("cell a,1,1,1", "'a' is not a whole number"),
        ("set 100", "100 is not from −99 to 99"),
        ("look up", "'up' is neither before nor after"),
        ("channels none", "'none' is not a whole number from 1"),
    ],
)
def test_a_move_that_is_not_allowed_says_what_to_write(move: str, wrong: str) -> None:
    with pytest.raises(WordsError, match=re.escape(wrong)):
        played(move)


def test_counted_channels_that_the_groups_do_not_divide_are_refused() -> None:
    with pytest.raises(WordsError, match="groups 4 must divide 6 channels"):
        played("kind group 4", "channels 6")
