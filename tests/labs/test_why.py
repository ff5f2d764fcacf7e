"""Pictures of reasons against torch's autograd, and against covering patches by hand; patches that excite a unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cnntui.core.analysis import analyse
from cnntui.core.explanation import Unit
from cnntui.core.forward import forward
from cnntui.core.network import INPUT
from cnntui.core.notation import parse
from cnntui.core.sight import unit_sight
from cnntui.labs import explore
from cnntui.labs.changes import Dead
from cnntui.labs.excitement import cropped, dead_channels, gathered, strongest
from cnntui.labs.explore import LAYER, OVERVIEW, ExploreState, MoveError
from cnntui.labs.opened import Picture, open_net
from cnntui.labs.overview import told
from cnntui.labs.why import CARRIED, GRADIENT, OCCLUSION, about, asked_number, heat, is_due, occluded, reasons, rival_of
from cnntui.runs.test_pictures import About, Gallery
from tests.core.test_forward import judged

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
]
SHAPE = (2, 9, 8)
SMALL = "conv 4 same; bn; relu; [ id | conv 4 p1; relu ] add; maxpool 2; flatten; linear 5"


def begun(text: str = SMALL, shape: tuple[int, int, int] = SHAPE, seed: int = 0, **facts: object) -> ExploreState:
    """A net with torch's weights on a random picture, in the overview."""
    network = parse(text, shape, "net")
    _, _, trace = judged(analyse(network), seed)
    model = replace(open_net(network), parameters=trace.parameters)
    rng = np.random.default_rng(seed)
    picture = Picture(rng.integers(0, 256, shape).astype(float), "random", label=2)
    return ExploreState(model, picture, **facts)  # type: ignore[arg-type]


def slopes(text: str, state: ExploreState, seed: int, node: str | None, unit: Unit, less: Unit | None) -> np.ndarray:
    """Torch's gradient of a number, less another one of the same node, with respect to the input."""
    model, _, _ = judged(analyse(parse(text, state.input.shape, "net")), seed)
    x = torch.from_numpy(state.input)[None].requires_grad_()
    values = dict(model.trace(x))
    made = values[node] if node else list(values.values())[-1]
    result = made[0][unit] - (made[0][less] if less else 0)
    (found,) = torch.autograd.grad(result, x)
    return np.asarray(found[0].numpy())


def labelled(state: ExploreState, label: int | None) -> ExploreState:
    return replace(state, picture=replace(state.picture, label=label), known={})


@pytest.mark.parametrize("seed", range(6))
def test_a_class_as_torch_says(seed: int) -> None:
    state = labelled(begun(seed=seed), None)
    read = state.read
    rival = (read + 1) % 5
    for label, less in ((None, None), (read, None), (rival, (rival,))):
        own = labelled(state, label)
        wanted = slopes(SMALL, own, seed, None, (read,), less)
        gradient, carried = heat(own.reasoned(GRADIENT)), heat(own.reasoned(CARRIED))
        assert gradient is not None and carried is not None
        assert gradient.about == carried.about == (f"why {read} rather than {rival}" if less else f"why {read}")
        np.testing.assert_allclose(gradient.values, wanted.sum(0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(carried.values, (wanted * own.input).sum(0), rtol=1e-9, atol=1e-12)
        assert carried.scale == np.abs(carried.values).max()


def test_a_softmax_at_the_end_is_asked_before_it() -> None:
    text = f"{SMALL}; softmax"
    state = labelled(begun(text), None)
    found = heat(state.reasoned(GRADIENT))
    assert found is not None
    wanted = slopes(text, state, 0, "linear1", (state.read,), None)
    np.testing.assert_allclose(found.values, wanted.sum(0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("end", "node"), [("linear 5; softmax; dropout; id", "linear1"), ("linear 5; dropout", "linear1")]
)
def test_it_is_asked_before_what_only_hands_on(end: str, node: str) -> None:
    text = f"{SMALL.removesuffix('linear 5')}{end}"
    state = labelled(begun(text), None)
    found = heat(state.reasoned(GRADIENT))
    assert found is not None
    wanted = slopes(text, state, 0, node, (state.read,), None)
    np.testing.assert_allclose(found.values, wanted.sum(0), rtol=1e-9, atol=1e-12)


def test_of_a_map_the_unit_is_asked_about() -> None:
    text = "conv 3 same; relu; conv 2 same"
    state = begun(text).look("conv2", (1, 4, 3))
    assert state.level == OVERVIEW and about(state) == "why conv2[1,4,3]"
    found = heat(state.reasoned(GRADIENT))
    assert found is not None
    np.testing.assert_allclose(
        found.values, slopes(text, state, 0, "conv2", (1, 4, 3), None).sum(0), rtol=1e-9, atol=1e-12
    )
    for _ in reasons(state.reasoned(OCCLUSION)):
        pass
    covered = heat(state.reasoned(OCCLUSION))
    assert covered is not None and covered.is_whole and covered.values.any()
    pixel = heat(state.look(INPUT, (1, 2, 5)).reasoned(GRADIENT))
    assert pixel is not None and pixel.values.sum() == pixel.values[2, 5] == 1, "a pixel is moved by itself"


@pytest.mark.parametrize(("node", "unit"), [("conv1", (1, 0, 7)), ("relu1", (3, 4, 2)), ("linear1", (4,))])
def test_a_unit_as_torch_says(node: str, unit: Unit) -> None:
    state = begun(level=LAYER).look(node, unit)
    found = heat(state.reasoned(CARRIED))
    assert found is not None
    wanted = slopes(SMALL, state, 0, node, unit, None) * state.input
    np.testing.assert_allclose(found.values, wanted.sum(0), rtol=1e-9, atol=1e-12)
    assert found.about == f"why {node}[{','.join(map(str, unit))}]"
    # Another unit is another picture, and the class in the overview a third.
    other = heat(state.reasoned(CARRIED).look("conv1", (0, 3, 3)))
    assert other is not None and (other.values != found.values).any()
    overview = heat(replace(state.reasoned(CARRIED), level=OVERVIEW))
    assert overview is not None and overview.about.startswith(f"why {state.read}")


def test_what_the_pixels_of_a_linear_net_carry_is_the_difference_of_its_scores() -> None:
    state = begun("conv 3 same nobias; flatten; linear 4 nobias", seed=4)
    label = (state.read + 1) % 4
    found = heat(labelled(state, label).reasoned(CARRIED))
    assert found is not None
    scores = state.trace.scores
    assert found.values.sum() == pytest.approx(float(scores[state.read] - scores[label]), rel=1e-9)


def test_a_silenced_channel_and_the_input_itself() -> None:
    state = begun("conv 1 same; relu; flatten; linear 3").silence("conv1", 0)
    found = heat(state.reasoned(GRADIENT))
    assert found is not None and not found.values.any() and found.scale == 1
    at_input = begun(level=LAYER).look(INPUT, (0, 1, 1))
    assert about(at_input).startswith("why ") and "input" not in about(at_input)


# -- the one that is asked about, and its rival


def test_who_is_asked_about() -> None:
    state = begun()
    read = state.read
    label = (read + 2) % 5
    misread = labelled(state, label)
    assert (misread.asked, rival_of(misread)) == (read, label)
    assert (misread.ask(label).asked, rival_of(misread.ask(label))) == (label, read)
    third = (read + 1) % 5
    assert rival_of(misread.ask(third)) == label
    assert about(misread.ask(third)) == f"why {third} rather than {label}"
    right = labelled(state, read)
    assert rival_of(right) is None and about(right) == f"why {read}"
    assert rival_of(right.ask(third)) == read
    assert rival_of(labelled(state, None)) is None
    assert rival_of(labelled(state, 77)) is None, "a label that the net has no class for"


# -- covering


def test_covering_by_hand() -> None:
    state = labelled(begun("conv 3 same; relu; flatten; linear 3", (1, 5, 6)), None)
    pixels = state.picture.pixels.copy()
    pixels[0, 1:5, 0:3] = 0
    state = replace(state, picture=Picture(pixels, "with background"), known={})
    x, read = state.input, state.read
    total, count = np.zeros((5, 6)), np.zeros((5, 6))
    for top in range(4):
        for left in range(5):
            covered = x.copy()
            covered[0, top : top + 2, left : left + 2] = 0
            fall = state.trace.scores[read] - forward(state.analysis, state.parameters, covered).scores[read]
            total[top : top + 2, left : left + 2] += fall
            count[top : top + 2, left : left + 2] += 1
    *_, last = occluded(state, 2)
    np.testing.assert_allclose(last, total / count, rtol=1e-9, atol=1e-12)
    assert not last[2:4, 0:2].any(), "there is nothing but background to cover"


@pytest.mark.parametrize("patch", [1, 2, 3, 4, 5, 40])
def test_every_pixel_is_covered(patch: int) -> None:
    """A net that adds all pixels up falls wherever a patch lies; a patch may be larger than the picture."""
    state = begun("conv 1 k1 nobias; gap; linear 2", (1, 7, 9))
    state = replace(state, picture=Picture(state.picture.pixels + 1, "no background"), known={})
    *_, last = occluded(state, patch)
    assert (last != 0).all()
    if patch == 40:
        cover = asked_number(state, state.background)
        np.testing.assert_allclose(last, asked_number(state, state.input) - cover)


def test_a_large_net_is_covered_patch_by_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    state = begun()
    monkeypatch.setattr(explore, "HEAVY", 0)
    found = list(occluded(state, 3))
    assert len(found) == 3 * 3 + 3, "beside each other; each, and each row"
    x, under = state.input, (slice(None), slice(0, 3), slice(3, 6))
    x = x.copy()
    x[under] = 0
    fall = asked_number(state, state.input) - asked_number(state, x)
    np.testing.assert_allclose(found[1][:3, 3:6], fall)
    assert heat(state.reasoned(GRADIENT)) is None and is_due(state.reasoned(GRADIENT)), "that is for a worker"
    list(reasons(state.reasoned(GRADIENT)))
    assert heat(state.reasoned(GRADIENT)) is not None and not is_due(state.reasoned(GRADIENT))


def test_one_pixel() -> None:
    state = labelled(begun("flatten; linear 2 nobias", (1, 1, 1)), None).reasoned(OCCLUSION)
    assert is_due(state) and heat(state) is None
    assert len(list(reasons(state))) == 2, "its patch, and that it was the last"
    found = heat(state)
    assert found is not None and found.values.shape == (1, 1)
    assert found.values[0, 0] == pytest.approx(float(state.trace.scores[state.read]))


def test_what_was_left_off_is_taken_up_again() -> None:
    state = begun().reasoned(OCCLUSION)
    next(reasons(state))
    part = heat(state)
    assert part is not None and not part.is_whole
    assert is_due(state), "whoever looked elsewhere meanwhile sees all of it in the end"
    steps = [found for _ in reasons(state) if (found := heat(state))]
    assert [step.is_whole for step in steps] == [False] * (len(steps) - 1) + [True], "the last step shows that it was"
    found = heat(state)
    assert found is not None and not is_due(state)
    *_, last = occluded(state)
    np.testing.assert_array_equal(found.values, last)
    assert not is_due(state.reasoned("")) and heat(state.reasoned("")) is None


# -- what excites a unit


def gallery(count: int = 12, shape: tuple[int, int, int] = SHAPE) -> Gallery:
    rng = np.random.default_rng(7)
    facts = About(
        name="random", sha256="0" * 64, shape=shape, classes=list("abcde"), mean=[0.0] * 2, deviation=[1.0] * 2
    )
    return Gallery(facts, rng.integers(0, 256, (count, *shape)).astype(np.uint8), np.arange(count) % 5)


@pytest.mark.parametrize(("node", "channel"), [("conv1", 2), ("add1", 0), ("maxpool1", 3), ("linear1", 4)])
def test_the_strongest_patches_against_torch(node: str, channel: int) -> None:
    state, pictures = begun().look(node), gallery()
    *_, (excitement, of) = gathered(state, pictures)
    found = strongest(state.model, pictures, excitement, node, channel, of)
    assert found is not None and found.count == found.of == 12 and len(found.patches) == 9
    model, _, _ = judged(state.analysis, 0)
    with torch.no_grad():
        made = dict(model.trace(torch.from_numpy(pictures.pictures / 255.0)))[node][:, channel].reshape(12, -1)
    np.testing.assert_allclose(
        [patch.value for patch in found.patches], made.amax(1).sort(descending=True).values[:9].numpy(), rtol=1e-6
    )
    for patch in found.patches:
        there = state.show(Picture(pictures.picture(patch.picture).astype(float), "")).look(node, patch.unit)
        assert there.value == pytest.approx(patch.value)
        assert patch.label == pictures.label(patch.picture)
        assert patch.unit[0] == channel


def test_patches_are_cropped_to_what_the_unit_sees() -> None:
    analysis = analyse(parse("conv 2 k5 p2; maxpool 2; conv 2 same; flatten; linear 2", (1, 20, 16), "net"))
    x = np.arange(320.0).reshape(20, 16)
    sizes = {"conv1": (5, 5), "maxpool1": (6, 6), "conv2": (10, 10)}
    for index, row in enumerate(analysis.rows[:3]):
        name = row.node.name
        _, height, width = row.output or (0, 0, 0)
        for y in range(height):
            for column in range(width):
                part = cropped(x, analysis, name, (0, y, column))
                assert part.shape == sizes[name]
                seen = unit_sight(analysis, index, (0, y, column))
                assert seen is not None
                rows, columns = seen.hull
                np.testing.assert_array_equal(
                    part[np.isfinite(part)], x[rows.start : rows.stop, columns.start : columns.stop].ravel()
                )
    np.testing.assert_array_equal(cropped(x, analysis, "linear1", (1,)), x)


def test_dead_is_not_still() -> None:
    state = begun("conv 4 same; relu; flatten; linear 3").look("relu1")
    state.parameters["conv1"]["weight"][1] = 0
    state.parameters["conv1"]["bias"][1] = -1
    *_, (excitement, of) = gathered(state, gallery())
    assert ("relu1", 1) in dead_channels(excitement).channels and dead_channels(None) == Dead()
    found = strongest(state.model, gallery(), excitement, "relu1", 1, of)
    assert found is not None and found.is_dead and not found.patches
    assert found.words == "channel 1 is dead: over 12 test pictures it never rose above 0"
    dead = Dead(frozenset({("relu1", 1)}))
    state = replace(state, known={})
    assert told(state, "relu1").endswith("1 still")
    known = state.knowing(dead)
    assert told(known, "relu1").endswith("· 1 dead") and known.is_dead("relu1", 1) and known.knowing(dead) is known
    # A channel that is not still now is alive at this moment, whatever was found at another one.
    assert not state.knowing(Dead(frozenset({("relu1", 0)}))).is_dead("relu1", 0)
    assert not any(("conv1", channel) in dead_channels(excitement).channels for channel in range(4))


def test_units_are_excited_as_the_net_is_now() -> None:
    state = begun("conv 4 same; relu; conv 2 same; flatten; linear 3").look("conv2")
    state = replace(state, model=replace(state.model, step=7))
    silenced, changed = state.silence("relu1", 2), state.changed("conv1", "bias", (1,), 5.0)
    for now, step in ((state, 7), (silenced, -1), (changed, -1)):
        *_, (excitement, _) = gathered(now, gallery())
        assert excitement.step == step
        x = [now.model.preparation.prepared(picture.astype(float)) for picture in gallery().pictures]
        made = [forward(now.analysis, now.parameters, each, now.silenced).values["conv2"].max((1, 2)) for each in x]
        np.testing.assert_allclose(excitement.layers["conv2"].largest, np.max(made, 0))


def test_the_input_is_not_excited() -> None:
    with pytest.raises(MoveError, match="choose a layer's channel"):
        next(gathered(begun(), gallery()))


# -- the pinned moment


def test_the_pinned_moment_stays_as_it_is() -> None:
    state = begun().look("conv1", (1, 2, 3))
    other = replace(state.model, parameters=begun(seed=9).model.parameters, step=1_200, moment="snapshot")
    assert state.then is None and state.pinned_words == ""
    pinned = state.pin()
    assert pinned.then == pytest.approx(state.value)
    trace = pinned.pinned_trace
    later = pinned.at(1, other)
    assert later.then == pytest.approx(state.value) and later.value != pytest.approx(state.value)
    assert later.pinned_trace is trace, "it is not computed anew at every moment"
    assert later.pin().pinned is None and later.pin().pinned_trace is None and later.pin().then is None
    assert later.pin().pin().pinned_words == "step 1,200"
    shown = later.show(Picture(np.zeros(SHAPE), "black"))
    assert shown.pinned_trace is not trace, "another picture goes through both nets"
