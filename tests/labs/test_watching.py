"""What is looked at while a run is watched: curves, classes, panes, words."""

from __future__ import annotations

from math import inf, isnan, nan

import msgspec
import pytest

from cnntui.core.nets import load_net
from cnntui.core.notation import parse
from cnntui.labs.classes import bar_floor, order, usual_mistake, whole_percent
from cnntui.labs.curves import log_ticks, loss_text, nearest, reach, smoothed, stretches, ticks, walked
from cnntui.labs.train import CHOICES, HELP, TrainState, beside, start
from cnntui.labs.watching import (
    LOSS,
    MAPS,
    MISREAD,
    MOST_OTHERS,
    Looking,
    answered,
    difference,
    layers_with_maps,
    rate_problem,
    room_for,
    toggled,
)
from cnntui.runs.events import Answer, Classes
from cnntui.runs.spec import RECIPES, Settings, new_spec

POINTS = ((1.0, 4.0), (2.0, 2.0), (3.0, nan), (4.0, 1.0))


def test_smoothing_is_an_exponential_mean_without_a_start_at_zero() -> None:
    values = [y for _, y in smoothed(POINTS, 0.5)]
    assert values[0] == 4
    assert values[1] == pytest.approx((0.25 * 4 + 0.5 * 2) / 0.75)
    assert isnan(values[2])
    assert values[3] == pytest.approx((0.125 * 4 + 0.25 * 2 + 0.5 * 1) / 0.875), "the gap does not count"
    assert smoothed(POINTS[:2], 0.0) == POINTS[:2]


def test_what_is_not_finite_cuts_a_curve() -> None:
    assert list(stretches(POINTS)) == [POINTS[:2], POINTS[3:]]
    assert list(stretches(((1, 0.0), (2, 1.0), (3, inf)), logarithmic=True)) == [((2, 1.0),)]


def test_the_cursor_walks_from_point_to_point() -> None:
    assert walked(POINTS, None, -1) == 4
    assert walked(POINTS, 4.0, -2) == 2
    assert walked(POINTS, 2.0, -10) == 1
    assert walked((), None, 1) is None
    assert nearest(POINTS, 2.4) == (2.0, 2.0)
    assert nearest((), 1) is None


def test_an_axis_halves_as_long_as_the_curve_fits() -> None:
    assert reach(1000, 300) == 500
    assert reach(1000, 501) == 1000
    assert reach(None, 0) == 1
    assert reach(100, 120) == 120, "a curve beyond its end"


def test_ticks_are_round_and_not_too_many() -> None:
    assert ticks(0, 300, 5) == [0, 100, 200, 300]
    assert ticks(0.95, 0.99, 3) == pytest.approx([0.96, 0.98])
    assert ticks(1, 1, 3) == []
    assert log_ticks(0.02, 2.2, 9) == pytest.approx([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])
    assert len(log_ticks(1e-12, 1e12, 4)) <= 4
    assert log_ticks(2.17, 2.42, 6) == pytest.approx([2.2, 2.25, 2.3, 2.35, 2.4]), "round numbers, however near"


def classes(right: list[int]) -> Classes:
    return Classes(step=1, epoch=1, counts=[100] * len(right), right=right)


def test_bars_begin_below_the_worst_class() -> None:
    assert bar_floor(classes([97, 99])) == 0.95
    assert bar_floor(classes([50, 99])) == 0.0
    assert bar_floor(classes([100])) == 0.99
    assert order(classes([97, 90, 99]), worst_first=True) == [1, 0, 2]


def test_the_usual_mistake_is_off_the_diagonal() -> None:
    assert usual_mistake([[90, 3, 1], [0, 99, 0], [7, 0, 80]]) == (7, 2, 0)
    assert usual_mistake([[90, 0], [0, 99]]) is None


def test_a_probability_is_rounded_but_only_all_is_a_hundred() -> None:
    assert [whole_percent(share) for share in (0.9897, 0.999, 0.29, 1, 0, 0.004)] == [
        "99 %",
        "99 %",
        "29 %",
        "100 %",
        "0 %",
        "0 %",
    ]


def test_a_loss_keeps_its_significant_digits() -> None:
    assert [loss_text(loss) for loss in (2.30259, 0.0455, 0.001234, 1.2e-5, 0.0)] == [
        "2.3026",
        "0.0455",
        "0.00123",
        "1.2e-05",
        "0",
    ]
    assert (loss_text(nan), loss_text(inf)) == ("nan", "inf")


def test_a_panel_chosen_twice_changes_places() -> None:
    looking = Looking().choose(MISREAD)
    assert looking.panes == (MISREAD, MAPS, 6, LOSS)
    assert looking.go_round(-1).panel == LOSS
    assert looking.go_round(-1).fit(2).panes[:2] == (LOSS, MAPS), "what is in focus goes on being seen"
    assert [room_for(120, 34), room_for(80, 22), room_for(20, 5)] == [4, 2, 1]


def test_a_small_screen_shows_one_panel_after_the_other() -> None:
    looking = Looking().fit(1)
    assert looking.seen == (0,)
    assert looking.go_round(1).seen == (1,)
    assert looking.go_round(-1).seen == (3,)


def test_every_layer_that_makes_maps_can_be_looked_at() -> None:
    layers = layers_with_maps(load_net("lenet5").network)
    assert layers[0] == "conv1"
    assert not any(name.startswith(("linear", "flatten")) for name in layers)


def test_an_answer_says_at_which_step() -> None:
    given = Answer(step=1234, id="a", command="pause", accepted=True, message="paused")
    assert answered(given) == "paused at step 1,234"
    assert answered(msgspec.structs.replace(given, accepted=False, message="why")) == "pause was refused: why"


@pytest.mark.parametrize("text", ["", "nan", "-1", "0", "inf", "fast", "11"])
def test_a_learning_rate_that_is_none_is_refused(text: str) -> None:
    assert rate_problem(text)
    assert rate_problem("5e-4") is None


def test_runs_are_told_apart_by_what_differs() -> None:
    network = load_net("lenet5").network
    one = new_spec(network, Settings())
    assert difference(one, new_spec(network, Settings(lr=0.01, optimizer="sgd"))) == "lr 0.01, sgd"
    assert difference(one, new_spec(load_net("vgg11").network, Settings())) == "vgg11"
    assert (
        difference(one, new_spec(network, Settings(lr=0.003, data="digits", epochs=200)))
        == "digits, 200 epochs, lr 0.003"
    )
    assert difference(one, new_spec(network, Settings(epochs=1))) == "1 epoch"
    assert difference(one, new_spec(network, Settings(weights_from="/runs/first"))) == "from first"
    frozen = new_spec(network, Settings(weights_from="/runs/first", new_head=True, frozen=True))
    tuned = new_spec(network, Settings(weights_from="/runs/first", new_head=True, backbone_lr=1e-4))
    assert difference(one, frozen) == "from first, new head, frozen"
    assert difference(frozen, tuned) == "backbone lr 0.0001"
    assert difference(tuned, frozen) == "frozen"
    assert difference(frozen, one) == "fresh weights"
    same = new_spec(network, Settings())
    assert difference(one, same) == same.run[-6:]


def test_no_more_runs_than_can_be_told_apart() -> None:
    chosen: tuple[str, ...] = ()
    for name in "abcdefg":
        chosen = toggled(chosen, name)
    assert chosen == tuple("abcdefg"[:MOST_OTHERS])
    assert toggled(chosen, "b") == ("a", "c", "d", "e")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_known_by_its_settings(recipe: str) -> None:
    assert TrainState(start().network, Settings(**RECIPES[recipe])).recipe == recipe
    state = start().cook("fast").cook(recipe)
    assert state.recipe == recipe
    assert state.settings == Settings(**RECIPES[recipe])
    assert HELP.keys() == CHOICES.keys()


@pytest.mark.parametrize(
    ("layers", "epochs", "words"),
    [
        ("conv 8; relu; dropout 0.5; flatten; linear 10", 5, "with dropout, 5 epochs"),
        ("conv 8; flatten; linear 10", 1, "without relu, 1 epoch"),
        ("conv 4; relu; flatten; linear 10", 5, "with conv 4, without conv 8, 5 epochs"),
        ("conv 8; relu; flatten; linear 10", 9, "the same layers, 9 epochs"),
        ("conv 4; tanh; gap; linear 10", 2, "conv 4; tanh; gap; linear 10, 2 epochs"),
    ],
)
def test_a_net_that_is_offered_says_what_it_has_more_and_less(layers: str, epochs: int, words: str) -> None:
    now = TrainState(parse("conv 8; relu; flatten; linear 10", (1, 8, 8), "now"))
    assert beside(now, TrainState(parse(layers, (1, 8, 8), "offered"), Settings(epochs=epochs))) == words
