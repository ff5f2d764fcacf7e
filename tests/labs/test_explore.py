"""The exploring lab: where a move leads, what it keeps, and what it never writes to."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnntui.core.arithmetic import brief
from cnntui.core.explanation import Source, explain
from cnntui.core.forward import PASSING, forward
from cnntui.core.network import INPUT
from cnntui.core.parameters import untrained
from cnntui.labs import explore
from cnntui.labs.changes import Dead
from cnntui.labs.explore import CELL, LAYER, OVERVIEW, ExploreState, MoveError
from cnntui.labs.history import History
from cnntui.labs.opened import Picture
from cnntui.labs.overview import reading, told, words_of
from tests.core.random_networks import random_network
from tests.labs.states import exploring, moments_at

# -- where one looks


def test_it_begins_on_the_strongest_map_of_the_first_layer() -> None:
    state = exploring().at_first()
    values = np.abs(state.trace.values["conv1"])
    assert state.node == "conv1"
    assert state.channel == int(values.reshape(4, -1).mean(1).argmax())
    assert abs(state.value) == values[state.channel].max()
    assert state.level == OVERVIEW


def test_what_only_hands_on_has_no_column() -> None:
    state = exploring()
    assert state.columns == ("input", "conv1", "bn1", "relu1", "conv2", "relu2", "add1", "maxpool1", "linear1")
    assert set(state.trace.values) - set(state.columns) == {"id1", "flatten1", "dropout1"}


def test_layers_end_at_the_input_and_the_output() -> None:
    state = exploring().at_first()
    assert state.to_layer(-1).node == INPUT
    assert state.to_layer(-1).to_layer(-1).node == INPUT
    assert state.to_layer(100).node == "linear1"
    assert state.to_layer(100).to_layer(1).node == "linear1"
    assert state.to_layer(2).node == "relu1"


def test_channels_end_at_the_first_and_the_last() -> None:
    state = exploring().look("conv1", (1, 2, 3))
    assert state.to_channel(100).channel == 3
    assert state.to_channel(-100).channel == 0
    below = replace(state, level=LAYER)
    assert below.to_channel(1).unit == (2, 2, 3)
    assert state.to_channel(1).unit == state.strongest("conv1", 2)
    assert replace(state, node=INPUT, unit=(0, 0, 0)).to_channel(1).unit[0] == 0


def test_cells_end_at_the_borders() -> None:
    state = exploring().look("maxpool1", (1, 2, 3), level=LAYER)
    assert state.to_cell(1, -1).unit == (1, 3, 2)
    assert state.to_cell(-9, -9).unit == (1, 0, 0)
    assert state.to_cell(9, 9).unit == (1, 5, 5)


def test_a_vector_is_one_line() -> None:
    state = exploring().look("linear1", (1,), level=LAYER)
    assert state.to_cell(1, 0).unit == (2,)
    assert state.to_cell(0, 1).unit == (2,)
    assert state.to_cell(0, 99).unit == (4,)
    assert state.to_cell(-99, 0).unit == (0,)
    assert (state.channel, state.channels) == (1, 5)


def test_a_place_is_kept_between_layers_of_other_sizes() -> None:
    state = exploring("conv 4 same; maxpool 2; maxpool 3; flatten; linear 3").look("conv1", (3, 7, 11), level=LAYER)
    down = state.to_layer(1)
    assert (down.node, down.unit) == ("maxpool1", (3, 3, 5))
    assert down.to_layer(1).unit == (3, 1, 1)
    assert down.to_layer(-1).unit == (3, 7, 11)  # the middle of what it was pooled from, rounded down
    vector = down.to_layer(2)
    assert (vector.node, vector.level) == ("linear1", LAYER)
    assert vector.unit == (2,)  # there is no channel 3
    back = vector.to_layer(-1)
    assert back.unit == back.strongest("maxpool2", 2)


def test_every_layer_keeps_the_place_within_it() -> None:
    state = exploring("conv 2 same; maxpool 5; relu; maxpool 2").look("conv1", (1, 11, 11), level=LAYER)
    for _ in range(3):
        state = state.to_layer(1)
        _, height, width = state.shape(state.node)
        assert state.unit == (1, height - 1, width - 1)


def test_down_to_a_pixel_and_all_the_way_up() -> None:
    state = exploring().look("add1", (2, 5, 5)).deeper().deeper()
    assert state.level == CELL
    way = [state]
    while state.node != INPUT:
        source = next(t.source for t in state.explanation.terms if t.source is not None)
        state = state.down(source)
        assert state.level == CELL
        assert state.node not in ("id1", "flatten1", "dropout1")
        way.append(state)
    assert [Source(each.node, each.unit) for each in way[:-1]] == list(state.path)
    for before in reversed(way[:-1]):
        state = state.up()
        assert (state.node, state.unit, state.path) == (before.node, before.unit, before.path)
    assert state.up().level == LAYER
    assert state.up().up().level == OVERVIEW
    assert state.up().up().up().level == OVERVIEW


def test_another_layer_forgets_the_way_down() -> None:
    state = exploring().look("add1", (2, 5, 5), level=CELL).down(Source("relu2", (2, 5, 5)))
    assert state.path
    for move in (
        state.to_layer(1),
        state.to_channel(1),
        state.to_cell(1, 1),
        state.jumped("conv1"),
        state.jumped("conv1 0,0,0"),
    ):
        assert move.path == ()


def test_behind_what_only_hands_on_is_the_same_number() -> None:
    state = exploring("conv 3 same; [ id | dropout ] cat; dropout; flatten; id; linear 4")
    values = state.trace.values
    for index in range(0, len(values["id2"]), 7):
        found = state.origin(Source("id2", (index,)))
        assert found.node == "cat1"
        assert values["id2"][index] == values["cat1"][found.unit]
    assert state.origin(Source("dropout1", (1, 2, 3))) == Source("conv1", (1, 2, 3))
    assert state.origin(Source("linear1", (2,))) == Source("linear1", (2,))


def test_flattened_pixels_are_pixels() -> None:
    state = exploring("flatten; linear 4", (2, 3, 5))
    assert state.origin(Source("flatten1", (17,))) == Source(INPUT, (1, 0, 2))
    down = state.look("linear1", (1,), level=CELL).down(Source("flatten1", (29,)))
    assert (down.node, down.unit) == (INPUT, (1, 2, 4))


@pytest.mark.parametrize("net", ["flatten", "id", "relu", "flatten; linear 1", "conv 1", "softmax", "gap"])
def test_the_smallest_nets(net: str) -> None:
    state = exploring("flatten; softmax" if net == "softmax" else net, (1, 3, 4)).at_first()
    for move in (state.to_layer(1), state.to_layer(-1), state.to_channel(1), state.to_cell(1, 1), state.deeper()):
        assert words_of(move)
        assert 0 <= move.read < len(move.probabilities) or not move.has_classes
        assert move.node in move.columns
    assert state.jumped("0").node == INPUT


# -- jumps


def test_jumps() -> None:
    state = exploring().at_first()
    assert state.jumped("0").node == INPUT
    assert state.jumped(" 4 ").node == "conv2"
    assert state.jumped("maxpool1").node == "maxpool1"
    assert state.jumped("max").node == "maxpool1"
    there = state.jumped("conv2 3, 4,5")
    assert (there.node, there.unit, there.level) == ("conv2", (3, 4, 5), CELL)
    assert state.jumped("linear1 4").unit == (4,)
    assert state.jumped("relu1").level == OVERVIEW


def test_a_jump_to_what_only_hands_on_leads_to_what_it_hands_on() -> None:
    state = exploring().at_first()
    assert state.jumped("flatten1").node == "maxpool1"
    there = state.jumped("flatten1 37")
    assert (there.node, there.unit) == ("maxpool1", (1, 0, 1))
    assert there.value == state.trace.values["flatten1"][37]
    with pytest.raises(MoveError, match="flatten1 has 144 numbers"):
        state.jumped("flatten1 144")


WRONG = {
    "": "no layer '': there are input, conv1, bn1, relu1, conv2, relu2, add1, maxpool1 …",
    "  ": "no layer ''",
    "9": "no layer '9'",
    "-1": "no layer '-1'",
    "conv": "no layer 'conv'",  # two begin so
    "conv3": "no layer 'conv3'",
    "²": "no layer '²'",
    "conv1 1": "conv1 has 4×12×12 numbers: there is no 1",
    "conv1 4,0,0": "conv1 has 4×12×12 numbers: there is no 4,0,0",
    "conv1 0,-1,0": "there is no 0,-1,0",
    "conv1 0,0,12": "there is no 0,0,12",
    "linear1 5": "linear1 has 5 numbers: there is no 5",
    "linear1 1,2,3": "there is no 1,2,3",
    "conv1 a,b,c": "'a,b,c' is no unit: write channel,row,column or a number",
    "conv1 1 2 3": "'1 2 3' is no unit",
    "conv1 1,,2": "'1,,2' is no unit",
    "conv1 1.0,2,2": "'1.0,2,2' is no unit",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_jump_that_leads_nowhere(text: str) -> None:
    with pytest.raises(MoveError) as caught:
        exploring().jumped(text)
    assert WRONG[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_looking_at_what_is_not_there() -> None:
    with pytest.raises(MoveError, match="there is no layer 'x'"):
        exploring().look("x")


# -- scales and orders


def test_a_scale_a_layer_or_one_for_all() -> None:
    state = exploring()
    single = {name: state.scale(name) for name in state.columns}
    assert len(set(single.values())) > 2
    for name, scale in single.items():
        assert scale >= np.abs(state.trace.values[name]).max() * 0.999
    one = state.toggled("one_scale")
    layers = [name for name in state.columns if name != INPUT]
    assert {one.scale(name) for name in layers} == {max(single[name] for name in layers)}
    assert one.scale(INPUT) == single[INPUT]
    assert one.toggled("one_scale").scale("conv1") == single["conv1"]


def test_the_strongest_first() -> None:
    state = exploring("conv 9 same; relu; gap; linear 5", seed=4).at_first()
    assert state.order("conv1") == list(range(9))
    by = state.toggled("by_strength")
    for node in ("conv1", "relu1", "gap1", "linear1"):
        strength = np.abs(by.trace.values[node]).reshape(len(by.trace.values[node]), -1).mean(1)
        assert sorted(by.order(node)) == list(range(len(strength)))
        assert (np.diff(strength[by.order(node)]) <= 0).all()
    order = by.order("conv1")
    assert by.look("conv1", (order[0], 0, 0)).to_channel(1).channel == order[1]
    assert by.look("conv1", (order[3], 0, 0)).to_channel(-2).channel == order[1]
    assert by.look("conv1", (order[3], 0, 0)).to_channel(99).channel == order[-1]


# -- changes


def frozen(state: ExploreState) -> ExploreState:
    """Whose weights and picture cannot be written to."""
    for own in state.model.parameters.values():
        for tensor in own.values():
            tensor.setflags(write=False)
    state.picture.pixels.setflags(write=False)
    return state


def test_what_is_changed_is_changed_nowhere_else() -> None:
    state = frozen(exploring())
    weights = {node: {name: t.copy() for name, t in own.items()} for node, own in state.model.parameters.items()}
    before = state.trace.output.copy()
    changed = (
        state.changed("conv1", "weight", (2, 0, 1, 1), 3.0)
        .changed("conv1", "weight", (2, 0, 0, 0), -2.0)
        .changed("linear1", "bias", (4,), 5.0)
        .changed(INPUT, "", (0, 3, 3), 9.0)
        .silence("conv1", 0)
    )
    assert changed.parameters["conv1"]["weight"][2, 0, 1, 1] == 3
    assert changed.parameters["conv1"]["weight"][2, 0, 0, 0] == -2
    assert changed.parameters["linear1"]["bias"][4] == 5
    assert changed.input[0, 3, 3] == 9
    assert not changed.trace.values["conv1"][0].any()
    assert not np.array_equal(changed.trace.output, before)
    for node, own in state.model.parameters.items():
        for name, tensor in own.items():
            assert np.array_equal(tensor, weights[node][name])
    assert np.array_equal(state.trace.output, before)
    assert np.array_equal(changed.untouched.output, before)
    assert changed.touched == [
        changed.changes[0].text,
        changed.changes[1].text,
        changed.changes[2].text,
        changed.changes[3].text,
        "conv1 channel 0 silenced",
    ]
    assert changed.changes[3].text == f"input[0,3,3] {brief(state.input[0, 3, 3])} → 9"
    assert changed.changes[2].text.startswith("linear1.bias[4] ")


def test_the_same_number_set_twice_is_what_it_was_set_to_last() -> None:
    state = exploring().changed("linear1", "bias", (0,), 1.0).changed("linear1", "bias", (0,), 2.0)
    assert state.parameters["linear1"]["bias"][0] == 2
    assert [change.before for change in state.changes][1] == 1
    assert state.restored().parameters is state.model.parameters


def test_undo_and_redo_of_changes() -> None:
    state = exploring()
    history = History(state).push(state.changed("linear1", "bias", (0,), 1.0))
    history = history.push(history.present.silence("conv1", 1))
    both = history.present.trace.output
    history = history.push(history.present.restored())
    assert np.array_equal(history.present.trace.output, state.trace.output)
    assert history.present.touched == []
    assert np.array_equal(history.undo().present.trace.output, both)
    assert history.undo().undo().present.silenced == frozenset()
    assert history.undo().undo().undo().present is state
    assert np.array_equal(history.undo().undo().redo().present.trace.output, both)


def test_a_silenced_channel_speaks_again() -> None:
    state = exploring().silence("conv2", 3)
    assert state.silenced == {("conv2", 3)}
    assert not state.trace.values["conv2"][3].any()
    assert "silenced" in words_of(state.look("conv2", (3, 0, 0)))
    again = state.silence("conv2", 3)
    assert again.silenced == frozenset()
    assert np.array_equal(again.trace.output, exploring().trace.output)
    with pytest.raises(MoveError, match="the input is not silenced"):
        state.silence(INPUT, 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("conv1", "weight", (0, 0, 0, 0), float("nan")), "nan is not a finite number"),
        (("conv1", "weight", (0, 0, 0, 0), float("inf")), "inf is not a finite number"),
        (("relu1", "weight", (0,), 1.0), "relu1 has no weight"),
        (("nothing", "weight", (0,), 1.0), "nothing has no weight"),
        (("conv1", "gain", (0,), 1.0), "conv1 has no gain"),
        (("conv1", "bias", (4,), 1.0), "conv1.bias has no 4"),
        (("conv1", "weight", (0, 0), 1.0), "conv1.weight has no 0,0"),
        ((INPUT, "", (0, 12, 0), 1.0), "input has no 0,12,0"),
    ],
)
def test_what_cannot_be_set(change: tuple[Any, ...], says: str) -> None:
    with pytest.raises(MoveError, match=says):
        exploring().changed(*change)


def test_another_picture_keeps_the_weights_that_were_set_and_forgets_the_pixels() -> None:
    state = exploring().changed("conv1", "bias", (0,), 1.0).changed(INPUT, "", (0, 0, 0), 7.0).ask(3)
    state = state.silence("conv2", 1)
    other = state.show(Picture(np.zeros((1, 12, 12)), "black", 2))
    assert [change.node for change in other.changes] == ["conv1"]
    assert other.silenced == state.silenced
    assert not other.input.any()
    assert (other.target, other.asked) == (None, other.read)
    assert other.loss_gradients is not None
    assert state.loss_gradients is None  # noise has no label
    assert reading(other).startswith(f"read as {other.read}")


def test_looking_elsewhere_computes_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    state = exploring().at_first()
    assert state.probabilities.any()
    made = state.trace

    def never(*_: object) -> None:
        raise AssertionError("the net was run again")

    monkeypatch.setattr("cnntui.labs.explore.forward", never)
    moves: list[Callable[[ExploreState], ExploreState]] = [
        lambda s: s.to_layer(1),
        lambda s: s.to_channel(1),
        lambda s: s.to_cell(1, 0),
        ExploreState.deeper,
        ExploreState.deeper,
        lambda s: s.toggled("by_strength"),
        lambda s: s.toggled("one_scale"),
        lambda s: s.reasoned("gradient"),
        lambda s: s.ask(2),
        lambda s: s.jumped("linear1 2"),
        lambda s: s.among(moments_at(0, 1), 1),
        ExploreState.up,
    ]
    for move in moves:
        state = move(state)
        assert state.trace is made
        assert state.untouched is made


# -- moments


def test_another_moment_is_another_net_at_the_same_place() -> None:
    state = exploring().among(moments_at(0, 10, 20), 0).changed("conv1", "bias", (1,), 0.5)
    state = state.look("conv2", (2, 3, 4), level=LAYER)
    later = replace(state.model, parameters=untrained(state.analysis, seed=9), moment="snapshot, step 10", step=10)
    there = state.at(1, later)
    assert (there.node, there.unit, there.level, there.moment) == ("conv2", (2, 3, 4), LAYER, 1)
    assert there.parameters["conv1"]["bias"][1] == 0.5  # what was set by hand stays set
    wanted = {node: dict(own) for node, own in later.parameters.items()}
    wanted["conv1"]["bias"] = wanted["conv1"]["bias"].copy()
    wanted["conv1"]["bias"][1] = 0.5
    assert np.array_equal(there.trace.output, forward(state.analysis, wanted, state.input).output)
    assert there.scale("conv2") == pytest.approx(np.abs(there.trace.values["conv2"]).max())


def test_moments_that_appear_and_vanish_move_nothing() -> None:
    state = exploring().among(moments_at(0, 10), 1).look("conv2", (2, 3, 4))
    more = state.among(moments_at(0, 5, 10, 20), 2)
    assert (more.node, more.unit, more.moment, len(more.moments)) == ("conv2", (2, 3, 4), 2, 4)
    assert more.trace is state.trace
    none = more.among((), None)
    assert (none.moments, none.moment) == ((), None)
    assert none.trace is state.trace


def test_a_pinned_moment_goes_along() -> None:
    state = exploring().among(moments_at(0, 10), 0)
    assert state.pinned_trace is None
    pinned = state.pin()
    assert pinned.pinned == (state.model.moment, state.model.parameters)
    later = replace(state.model, parameters=untrained(state.analysis, seed=9), moment="snapshot, step 10", step=10)
    there = pinned.at(1, later)
    assert there.pinned_trace is not None
    assert np.array_equal(there.pinned_trace.output, state.trace.output)
    assert not np.array_equal(there.trace.output, state.trace.output)
    assert there.pin().pinned is None


# -- all of it, at random


def moved(state: ExploreState, rng: random.Random) -> ExploreState:
    """By any move that looks elsewhere."""
    by = rng.choice((-3, -1, 1, 2))
    sources = [term.source for term in state.explanation.terms if term.source is not None]
    moves: list[Callable[[], ExploreState]] = [
        lambda: state.to_layer(by),
        lambda: state.to_channel(by),
        lambda: state.to_cell(by, -by),
        lambda: state.jumped(rng.choice(list(state.trace.values))),
        lambda: state.down(rng.choice(sources)) if sources else state,
        lambda: state.toggled("by_strength"),
        state.deeper,
        state.up,
    ]
    return rng.choice(moves)()


@pytest.mark.parametrize("seed", range(40))
def test_whatever_one_does_there_is_a_number_and_words_for_it(seed: int) -> None:
    rng = random.Random(seed)
    state = exploring(random_network(rng), seed=seed).at_first()
    for _ in range(60):
        state = moved(state, rng)
        shape = state.shape(state.node)
        assert state.node in state.columns
        assert state.node == INPUT or not isinstance(state.rows[state.node].node.layer, PASSING)
        assert len(state.unit) == len(shape)
        assert all(0 <= i < n for i, n in zip(state.unit, shape, strict=True))
        assert state.value == state.explanation.value
        assert state.node in words_of(state)
        assert told(state, state.node)


def test_what_was_before_is_of_the_moment_looked_at() -> None:
    state = exploring().changed("conv1", "bias", (1,), 0.5).changed("conv1", "bias", (1,), 0.75)
    state = state.changed(INPUT, "", (0, 2, 3), 0.125).changed("linear1", "bias", (2,), 1.0)
    later = untrained(state.analysis, seed=9)
    there = state.at(0, replace(state.model, parameters=later, step=10))
    first, second, pixel, last = there.changes
    assert (first.before, second.before) == (float(later["conv1"]["bias"][1]), 0.5)
    assert last.before == float(later["linear1"]["bias"][2]) != state.changes[3].before
    assert pixel == state.changes[2]
    assert [change.value for change in there.changes] == [change.value for change in state.changes]


# -- what is computed, and when


def same(one: ExploreState, other: ExploreState) -> None:
    assert all(np.array_equal(one.trace.values[node], other.trace.values[node]) for node in one.trace.values)
    assert np.array_equal(one.probabilities, other.probabilities)


def test_what_was_forgotten_is_computed_again_and_is_the_same() -> None:
    history = History(exploring().at_first().pin())
    history = history.push(history.present.changed("conv1", "bias", (1,), 0.5))
    history = history.push(history.present.silence("relu1", 0).look("conv2", (1, 2, 3)))
    while history.past is not None:
        state = history.present
        state.run()
        whole, scale, value = state.trace, state.scale("conv2"), state.value
        before = replace(state, known={})
        state.forget()
        assert set(state.__dict__) == set(ExploreState.__dataclass_fields__) and not state.known
        assert not state.is_ready
        state.run()
        assert state.trace is not whole
        same(state, before)
        assert (state.scale("conv2"), state.value) == (scale, value)
        history.present.forget()
        history = history.undo()
    again = exploring().at_first()
    history.present.forget()
    same(history.present, again)


def test_to_forget_leaves_those_that_share_something() -> None:
    state = exploring().at_first()
    state.run()
    other = state.look("conv2", (1, 2, 3))
    known, trace = dict(other.known), other.trace
    state.forget()
    assert other.known == known and other.trace is trace


def test_what_nothing_was_changed_in_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def counted(*args: Any) -> Any:
        nonlocal count
        count += 1
        return forward(*args)

    monkeypatch.setattr(explore, "forward", counted)
    state = exploring()
    trace = state.trace
    for step in range(3):
        state = state.changed("conv1", "bias", (step,), 0.5)
        assert state.untouched is trace and state.trace is not trace
    assert count == 4
    assert state.restored().trace is trace and state.restored().untouched is trace and count == 4
    other = state.show(Picture(np.zeros((1, 12, 12)), "black"))
    assert other.untouched is not trace and count == 5
    later = state.at(0, replace(state.model, parameters=untrained(state.analysis, seed=9)))
    assert later.untouched is not trace and count == 6
    assert np.array_equal(later.untouched.output, forward(state.analysis, later.model.parameters, state.input).output)


def test_a_worker_computes_all_that_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explore, "HEAVY", 0)
    state = exploring().pin().changed("conv1", "bias", (1,), 0.5)
    assert state.takes_time
    state.run()
    assert not state.takes_time
    monkeypatch.setattr(explore, "forward", None)
    monkeypatch.setattr(explore, "scale_of", None)
    assert state.probabilities.any() and state.untouched and state.pinned_trace and state.at_first().value
    assert all(state.scale(node) for node in state.columns)
    assert state.rails is state.look("conv2").rails is state.changed("conv1", "bias", (1,), 0.25).rails


def test_a_state_waits_for_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    slow, quick = exploring(seed=1), exploring(seed=2)

    def held(analysis: Any, parameters: Any, x: Any, silenced: Any = ()) -> Any:
        if parameters is slow.model.parameters:
            begun.set()
            assert go_on.wait(60)
        return forward(analysis, parameters, x, silenced)

    monkeypatch.setattr(explore, "forward", held)
    workers = [threading.Thread(target=lambda state=state: state.trace, daemon=True) for state in (slow, quick)]
    workers[0].start()
    assert begun.wait(60)
    workers[1].start()
    workers[1].join(10)
    is_there = quick.is_ready
    go_on.set()
    workers[0].join(60)
    assert is_there and slow.is_ready


def test_what_a_unit_sees_takes_no_explanation() -> None:
    state = exploring()
    for node in state.columns:
        here = state.look(node)
        seen = here.sight
        assert "explanation" not in here.__dict__
        assert seen == explain(state.trace, node, here.unit).pixels


# -- a map at the end


@pytest.mark.parametrize("net", ["conv 3 same; relu", "conv 1 same; sigmoid", "conv 3 same; softmax"])
def test_a_map_is_no_class(net: str) -> None:
    state = exploring(net).show(Picture(np.zeros((1, 12, 12)), "black", label=7))
    channels = state.shape(state.columns[-1])[0]
    assert not state.has_classes and state.model.classes == () and not len(state.probabilities)
    assert reading(state) == f"the output is a map: {channels}×12×12"
    assert state.loss_gradients is None and state.read == -1


@pytest.mark.parametrize("net", ["flatten; linear 4", "gap", "conv 4 k12", "conv 4 k12; softmax; flatten; id"])
def test_one_number_a_class(net: str) -> None:
    state = exploring(net)
    assert state.has_classes and len(state.probabilities) == len(state.model.classes) == state.analysis.classes
    assert state.probabilities.sum() == pytest.approx(1)
    assert state.show(replace(state.picture, label=state.analysis.classes)).loss_gradients is None


# -- dead


def test_dead_is_known_of_the_weights_that_were_measured() -> None:
    state = exploring("conv 3 same nobias; relu; flatten; linear 3", seed=3)
    own = replace(state.model, step=10)
    own.parameters["conv1"]["weight"][1] = 0
    state = replace(state, model=own, known={}).knowing(Dead(frozenset({("relu1", 1)}), 10))
    assert state.is_dead("relu1", 1) and not state.is_dead("relu1", 0)
    assert told(state, "relu1").endswith(" · 1 dead")
    assert state.changed(INPUT, "", (0, 1, 1), 0.5).is_dead("relu1", 1), "the weights are the same"
    for other in (
        state.at(0, replace(own, step=20)),
        state.at(0, replace(own, step=None)),
        state.changed("linear1", "bias", (0,), 0.5),
        state.silence("conv1", 0),
    ):
        assert other.is_still("relu1", 1) and not other.is_dead("relu1", 1)
        assert "still" in told(other, "relu1") and "dead" not in told(other, "relu1")


# -- what is around a picture


def test_all_agree_on_what_is_around_a_picture() -> None:
    state = exploring("conv 3 same; flatten; linear 3", (3, 6, 6))
    how = state.model.preparation
    black = (0, 0, 0)
    for preparation, paper in (
        (how, black),
        (replace(how, mean=(0.5, 0.25, 0.75)), (128, 64, 191)),
        (replace(how, mean=(0.5, 0.25, 0.75), from_files=True), (128, 64, 191)),
        (replace(how, mean=(0.5, 0.25, 0.75), data="fashion-mnist"), black),
    ):
        own = replace(state, model=replace(state.model, preparation=preparation), known={})
        assert own.paper == paper
        wanted = preparation.prepared(np.broadcast_to(np.array(paper)[:, None, None], (3, 6, 6)))
        assert np.array_equal(own.background, wanted)
        gone = own.shifted(6, 0)
        assert np.array_equal(gone.input, own.background), "what comes in is what covers"
