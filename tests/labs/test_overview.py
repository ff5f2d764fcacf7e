"""The net at a glance: what has room, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnntui.core.nets import load_net
from cnntui.core.network import INPUT
from cnntui.labs.classes import percent
from cnntui.labs.explore import LAYER, ExploreState
from cnntui.labs.opened import Picture
from cnntui.labs.overview import (
    Column,
    columns_of,
    reading,
    strip_range,
    terms_of,
    told,
    words_of,
)
from tests.core.readding import decimal
from tests.labs.states import BRANCHED, exploring

PITCHES = ((14, 1), (18, 2))  # columns of a map, maps beside each other: as on a small screen, and on a large one
VECTOR = 14
SMALL = ("lenet5", "lenet-20-50", "mnist-2conv", "mnist-3conv", "mnist-gap", "rgb-gap", "lenet5-1998")
NETS = (*SMALL, BRANCHED, "flatten; linear 3", "conv 40 same", "[ conv 4 same | id | maxpool 3 s1 p1 ] cat; gap")


def opened(net: str) -> ExploreState:
    return exploring(load_net(net).network if net in SMALL else net)


def laid_out(state: ExploreState, width: int, rows: int, pitch: int, across: int) -> list[Column]:
    return columns_of(state, width, rows, pitch, VECTOR, across)


@pytest.mark.parametrize("net", NETS)
def test_columns_have_room_at_any_width(net: str) -> None:
    state = opened(net)
    for pitch, across in PITCHES:
        least = pitch + max(pitch * across, VECTOR)  # the input, and the layer looked at
        for width in range(40, 251, 7):
            for rows in (1, 3, 7):
                for node in state.columns:
                    check_columns(state.look(node), width, rows, pitch, across, least)


def check_columns(state: ExploreState, width: int, rows: int, pitch: int, across: int, least: int) -> None:
    columns = laid_out(state, width, rows, pitch, across)
    names = [column.node for column in columns]
    assert names[0] == INPUT
    assert state.node in names
    taken = sum(column.width for column in columns)
    assert taken <= max(width, least)
    order = [state.columns.index(name) for name in names]
    assert order == sorted(set(order))
    assert np.diff(order[1:]).max(initial=1) == 1  # those beside the input are neighbours
    for column in columns:
        shape = state.shape(column.node)
        assert len(set(column.shown)) == len(column.shown) > 0
        assert set(column.shown) <= set(range(shape[0]))
        if len(shape) == 1:
            assert len(column.shown) == shape[0]
        else:
            assert len(column.shown) <= rows * column.across
            assert column.width == pitch * column.across
    (here,) = [column for column in columns if column.node == state.node]
    assert state.channel in here.shown


def test_a_layer_wider_than_the_screen_is_turned_over_page_by_page() -> None:
    state = exploring("conv 40 same; relu")
    seen = []
    for channel in range(40):
        (here,) = [c for c in laid_out(state.look("conv1", (channel, 0, 0)), 120, 3, 18, 2) if c.node == "conv1"]
        assert channel in here.shown
        seen.append(here.shown)
    assert len(set(seen)) == 7  # pages of six
    assert seen[0] == tuple(range(6))
    assert seen[36] == seen[39] == tuple(range(34, 40)), "the last page is a whole one"


def test_the_page_follows_the_order() -> None:
    state = exploring("conv 40 same; relu").toggled("by_strength")
    order = state.order("conv1")
    for place in (0, 7, 39):
        (here,) = [c for c in laid_out(state.look("conv1", (order[place], 0, 0)), 120, 3, 18, 2) if c.node == "conv1"]
        first = min(place // 6 * 6, 34)
        assert here.shown == tuple(order[first : first + 6])


def test_rails_leave_out_what_only_hands_on() -> None:
    state = exploring(BRANCHED)
    drawn = state.rails
    assert tuple(rail.node for rail in drawn) == state.columns
    by_name = {rail.node: rail for rail in drawn}
    assert by_name["add1"].joins
    assert by_name["conv2"].forks
    assert not by_name["linear1"].goes_on


WORDS = {
    "conv1": "conv1 · channel 2 · cell 3,4 = {} = Σ 9 products + bias ",
    "bn1": " normalised",
    "relu1": " = relu(",
    "add1": " + ",
    "maxpool1": " = the largest of 4",
    "linear1": " = Σ 144 products + bias ",
}


@pytest.mark.parametrize("node", WORDS)
def test_a_number_in_words(node: str) -> None:
    state = exploring(BRANCHED)
    unit = (2, 3, 4) if len(state.shape(node)) == 3 else (2,)
    words = words_of(state.look(node, unit))
    assert WORDS[node].split("{}")[0] in words
    if node == "conv1":
        value = words.split(" = ")[1]
        assert float(decimal(value)) == pytest.approx(float(state.trace.values["conv1"][unit]), rel=1e-3)


def test_more_kinds_in_words() -> None:
    state = exploring("conv 4 k5x3; avgpool 2; [ id | gap; sigmoid ] mul; tconv 2 k2 s2; dwconv k3; gap; softmax")
    said = {node: words_of(state.look(node)) for node in state.columns}
    assert "Σ 15 products" in said["conv1"]
    assert "the mean of 4" in said["avgpool1"]
    assert " × " in said["mul1"]
    assert "Σ 4 products" in said["tconv1"]  # of a kernel as large as its stride each unit meets one tap a channel
    assert "Σ 9 products" in said["dwconv1"]
    rows = state.shape("dwconv1")
    assert f"the mean of {rows[1] * rows[2]}" in said["gap2"]
    assert "of the sum over 2" in said["softmax1"]
    assert said[INPUT].startswith("input · channel 0 · cell ")


def test_as_many_terms_as_the_arithmetic_has() -> None:
    state = exploring(
        "conv 6 same g2; bn; tconv 4 k3 s2 g2; dwconv; maxpool 3 p1; avgpool 2 p1; gap; linear 3", (2, 9, 9)
    )
    checked = 0
    for node in state.columns[1:]:
        for corner in (0, 1, 2):
            here = state.look(node, tuple(corner * (n - 1) // 2 for n in state.shape(node)))
            step = here.explanation.steps[-1]
            if step.node == node and step.kind in ("sum", "mean", "max"):
                assert terms_of(here) == len(step.terms), node
                checked += 1
    assert checked == 21


def test_what_is_still_is_told() -> None:
    state = exploring("conv 3 same nobias; relu")
    black = state.show(Picture(np.zeros((1, 12, 12)), "black"))
    assert told(black, "relu1").endswith(" · 3 still")
    assert "still" not in told(black, INPUT)
    quiet = state.silence("conv1", 1)
    assert told(quiet, "conv1").endswith(" · 1 still")


def test_what_is_read() -> None:
    state = exploring(BRANCHED)
    share = percent(float(state.probabilities.max()))
    assert reading(state) == f"read as {state.read} {share}"
    right = state.show(replace(state.picture, label=state.read))
    assert reading(right) == f"read as {state.read} {share} ✓"
    wrong = (state.read + 1) % 5
    assert reading(state.show(replace(state.picture, label=wrong))) == f"read as {state.read} {share} ✗ it is {wrong}"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1e-9, "<0.1 %"),
        (0.00049, "<0.1 %"),
        (0.0005, "0.1 %"),
        (0.5, "50.0 %"),
        (0.9994, "99.9 %"),
        (0.99949, "99.9 %"),
        (0.99951, ">99.9 %"),
        (0.99996, ">99.9 %"),
        (1 - 2**-53, ">99.9 %"),
        (1, "100 %"),
    ],
)
def test_shares_round_to_neither_nothing_nor_all(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_strip_shows_where_one_is() -> None:
    for count in (1, 5, 40):
        for room in (1, 3, 12):
            for at in range(count):
                seen = strip_range(count, at, room)
                assert at in seen
                assert len(seen) == min(count, room)


def test_below_the_overview_all_is_said_as_well() -> None:
    state = exploring(BRANCHED).look("relu1", (0, 0, 0), level=LAYER)
    assert words_of(state).startswith("relu1 · channel 0 · cell 0,0 = ")
