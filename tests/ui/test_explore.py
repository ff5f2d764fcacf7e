"""Stories on the Explore screen, on a run that was trained on drawn digits."""

from __future__ import annotations

import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from cnntui.core.forward import forward
from cnntui.core.network import INPUT
from cnntui.core.notation import parse
from cnntui.labs import explore
from cnntui.labs.build import open_net
from cnntui.labs.explore import CELL, LAYER, OVERVIEW
from cnntui.labs.subject import FIRST_NET
from cnntui.labs.why import CARRIED, GRADIENT, OCCLUSION
from cnntui.labs.wish import Wish
from cnntui.runs.spec import Status, process_facts
from cnntui.ui.app import CnntuiApp
from cnntui.ui.views.build import BuildView
from cnntui.ui.views.convolve import ConvolveView
from cnntui.ui.views.explore import ExploreView
from cnntui.ui.views.train import TrainView
from cnntui.ui.widgets.overview_panel import OverviewPanel
from tests.core.readding import readd
from tests.ui.explored import CHECKPOINTS, FALSE_SEVEN, NAME, SNAPSHOTS, STEPS, write_explored, write_snapshot
from tests.ui.helpers import MeteredApp

SIZES = [(120, 40), (80, 24)]
BOTH = pytest.mark.parametrize("size", SIZES)
MOMENTS = sorted({*SNAPSHOTS, *CHECKPOINTS})
KEYS = (
    *(
        "up",
        "down",
        "left",
        "right",
        "shift+up",
        "enter",
        "escape",
        "backspace",
        "home",
        "end",
        "j",
        "n",
        "b",
        "m",
        "i",
    ),
    *("left_square_bracket", "right_square_bracket", "left_curly_bracket", "right_curly_bracket", "d", "D", "y", "1"),
    *("9", "e", "plus", "pageup", "pagedown", "z", "u", "r", "minus", "s", "g", "v", "comma", "full_stop", "space"),
    *("less_than_sign", "greater_than_sign", "t", "x", "ctrl+left", "question_mark"),
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The last run there is."""
    monkeypatch.setenv("CNNTUI_RUNS", str(tmp_path))
    return write_explored(tmp_path)


@asynccontextmanager
async def opened(
    wish: Wish | None = None, size: tuple[int, int] = (120, 40), **given: Any
) -> AsyncIterator[tuple[ExploreView, MeteredApp, Pilot[None]]]:
    app = MeteredApp("explore", explore=wish, **given)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        yield app.screen.query_one(ExploreView), app, pilot


async def settled(pilot: Pilot[None]) -> None:
    """Until what was opened is polled and drawn."""
    for _ in range(4):
        await pilot.pause()
        await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()


async def answer(pilot: Pilot[None], text: str) -> None:
    """Type a line into the dialog that is open."""
    pilot.app.screen.query_one(Input).value = text
    await press(pilot, "enter")


def screen(app: CnntuiApp) -> str:
    """What is read on the whole screen."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


def note(view: ExploreView) -> str:
    return str(view.query_one("#note", Static).content)


def said(app: CnntuiApp) -> str:
    """The notifications that are shown."""
    return "\n".join(notification.message for notification in app._notifications)


def make_live(run: Path, step: int) -> None:
    """The run as if it were still training, in this very process."""
    (run / "exit.json").unlink(missing_ok=True)
    status = Status(
        state="training", phase="training", epoch=1, step=step, steps=STEPS, device="cpu", **process_facts()
    )
    (run / "status.json").write_bytes(msgspec.json.encode(status))


def tell(run: Path, *steps: int, name: str = "events.1.jsonl") -> None:
    """More snapshots, as the trainer of a run that goes on would write and tell of them."""
    events = [write_snapshot(run, step) for step in steps]
    log = run / name
    seq = len(log.read_bytes().splitlines())
    with log.open("ab") as file:
        for number, event in enumerate(events, seq):
            file.write(msgspec.json.encode(msgspec.structs.replace(event, seq=number)) + b"\n")


async def tick(app: CnntuiApp, pilot: Pilot[None]) -> None:
    """As if the time of every listener had come."""
    for callback, _, _ in list(app.clock._listeners.values()):
        callback()
    await settled(pilot)


# -- from the whole net to one product


@BOTH
async def test_the_last_run_opens_on_its_strongest_map(run: Path, size: tuple[int, int]) -> None:
    """Somebody trained a net, quits, comes back and presses e: there it is, at its best, on the first test picture."""
    async with opened(size=size) as (view, app, _):
        shown = screen(app)
        assert view.state.model.title == NAME
        assert "digits" in shown
        assert "test:0: read as 0" in shown
        assert f"step {STEPS} epoch 3" in shown
        assert f"{len(MOMENTS)}/{len(MOMENTS)}" in shown
        assert "conv1" in shown
        assert "6×28×28" in shown
        assert (view.state.level, view.state.node) == (OVERVIEW, "conv1")
        assert note(view) == ""
        assert not app.clock.awake, "a run that has ended is not polled"


@BOTH
async def test_six_keys_to_the_arithmetic_and_back(run: Path, size: tuple[int, int]) -> None:
    """A student asks what one number of the second convolution is made of: six keys from the overview, and as few back."""
    async with opened(size=size) as (view, app, pilot):
        await press(pilot, "right", "right", "right", "enter", "enter")
        state = view.state
        assert (state.node, state.level) == ("conv2", CELL)
        step = state.explanation.steps[-1]
        assert len(step.terms) == 6 * 9
        assert "step in" in screen(app) or "⏎" in screen(app)
        shown = screen(app)
        assert f"{state.node}[{','.join(map(str, state.unit))}]" in shown
        await press(pilot, "enter")
        assert (view.state.node, view.state.level) == ("maxpool1", CELL)
        assert len(view.state.path) == 1
        while view.state.node != INPUT:
            await press(pilot, "enter")
        assert "it begins" in " ".join(screen(app).split())
        depth = len(view.state.path)
        assert depth == 3  # conv2 ← maxpool1 ← conv1, through its relu ← pixel
        await press(pilot, "enter")
        assert "a pixel is made of nothing else" in said(app)
        await press(pilot, *["escape"] * depth)
        assert (view.state.node, view.state.unit) == ("conv2", state.unit)
        assert not view.state.path
        await press(pilot, "backspace")
        assert view.state.level == LAYER
        await press(pilot, "escape", "escape", "escape")
        assert (view.state.level, view.state.node) == (OVERVIEW, "conv2")


async def test_what_is_printed_of_a_cell_readds(run: Path) -> None:
    """A teacher adds up on a pocket calculator what the screen says of a class's score."""
    async with opened(size=(120, 60)) as (view, _, pilot):
        await press(pilot, "end", "enter", "enter")
        assert view.state.node == "linear1"
        for equation in view.state.explanation.steps[-1].equations:
            readd(str(equation))


async def test_arrows_choose_in_each_level_what_is_there(run: Path) -> None:
    """Layers and maps in the overview, cells in a map, terms in a cell."""
    async with opened() as (view, _, pilot):
        await press(pilot, "home")
        assert view.state.node == INPUT
        await press(pilot, "right", "down", "down", "down", "down", "down", "down", "down")
        assert (view.state.node, view.state.channel) == ("conv1", 5)
        await press(pilot, "up", "left_square_bracket")
        assert view.state.channel == 3
        await press(pilot, "enter")
        at = view.state.unit
        await press(pilot, "down" if at[1] < 27 else "up")
        assert abs(view.state.unit[1] - at[1]) == 1
        at = view.state.unit
        await press(pilot, "right_curly_bracket")
        assert (view.state.node, view.state.level, view.state.unit) == ("relu1", LAYER, at)
        await press(pilot, "left_curly_bracket", "enter")
        at, term = view.state.unit, view.term
        column = term % 5
        await press(pilot, "right" if column < 4 else "left")
        assert (view.state.unit, abs(view.term - term)) == (at, 1)
        await press(pilot, "end")
        assert view.state.node == "linear1"


async def test_sorted_by_strength_on_one_scale_in_glyphs(run: Path) -> None:
    """s, g and v change how the net is shown, not what it computes."""
    async with opened() as (view, app, pilot):
        trace = view.state.trace
        await press(pilot, "s", "g", "v")
        assert view.state.by_strength
        assert view.state.one_scale
        assert view.as_glyphs
        assert view.state.trace is trace
        assert "▀▀▀" not in screen(app)
        await press(pilot, "v")
        assert "▀▀▀" in screen(app)


async def test_no_color_draws_glyphs(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked for no colour sees the maps nevertheless."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened() as (_, app, pilot):
        assert app.no_color
        for _ in range(3):
            assert "▀▀▀" not in screen(app)
            await press(pilot, "enter")


# -- jumps


async def test_a_jump_is_checked_in_the_dialog(run: Path) -> None:
    """j takes a layer's number or name, or a unit; what is not there is told where it was typed."""
    async with opened() as (view, app, pilot):
        await press(pilot, "j")
        await answer(pilot, "conv9")
        assert "no layer 'conv9'" in screen(app)
        await answer(pilot, "conv2 8,0,0")
        assert "conv2 has 8×12×12 numbers: there is no 8,0,0" in screen(app)
        await answer(pilot, "conv2 1,2")
        assert "there is no 1,2" in screen(app)
        await answer(pilot, "conv2 x")
        assert "'x' is no unit" in screen(app)
        await answer(pilot, "conv2 7,11,3")
        assert (view.state.node, view.state.unit, view.state.level) == ("conv2", (7, 11, 3), CELL)
        await press(pilot, "escape", "escape", "j")
        await answer(pilot, "flatten1")
        assert view.state.node == "maxpool2"
        await press(pilot, "j")
        await answer(pilot, "0")
        assert view.state.node == INPUT
        await press(pilot, "j", "escape")
        assert view.state.node == INPUT


# -- what goes in


async def test_test_pictures_are_turned_over(run: Path) -> None:
    """n and b go round the test set; m goes to what was misread, the surest mistake first; u takes it back."""
    async with opened() as (view, app, pilot):
        await press(pilot, "n", "n")
        assert view.state.picture.number == 2
        await press(pilot, "b", "b", "b")
        assert view.state.picture.number == 19
        assert view.subject is not None
        mistakes = [mistake.picture for mistake in view.subject.misread]
        await press(pilot, "m")
        assert view.state.picture.number == mistakes[0] == FALSE_SEVEN
        assert "✗ it is 7" in screen(app)
        await press(pilot, *["m"] * len(mistakes))
        assert view.state.picture.number == mistakes[0]
        await press(pilot, *["u"] * (6 + len(mistakes)))
        assert view.state.picture.number == 0


async def test_a_chosen_test_picture(run: Path) -> None:
    """i offers a number, checked as it is typed, and the misread ones by name."""
    async with opened() as (view, app, pilot):
        await press(pilot, "i")
        assert "a 7, read as 1 (" in screen(app)
        pilot.app.screen.query_one(OptionList).highlighted = 0
        await press(pilot, "enter")
        await answer(pilot, "20")
        assert "test picture 20: there are 0 to 19" in screen(app)
        await answer(pilot, "one")
        assert "'one' is not a whole number" in screen(app)
        await answer(pilot, "-1")
        assert "test picture -1" in screen(app)
        await answer(pilot, "13")
        assert view.state.picture.number == 13
        await press(pilot, "i", *f"test {FALSE_SEVEN}", "enter")
        assert view.state.picture.number == FALSE_SEVEN


async def test_a_picture_file(run: Path, tmp_path: Path) -> None:
    """A photographed digit, dark on light, is made what the net's pictures are; what is no picture is told in the dialog."""
    one = np.full((60, 60), 255, np.uint8)
    one[8:52, 28:33] = 0
    Image.fromarray(one).save(tmp_path / "one.png")
    (tmp_path / "none.png").write_text("no picture")
    async with opened() as (view, app, pilot):
        await press(pilot, "i", *"file", "enter")
        await answer(pilot, str(tmp_path / "absent.png"))
        assert "No such file" in screen(app)
        assert view.state.picture.number == 0
        await answer(pilot, str(tmp_path / "none.png"))
        assert view.state.picture.number == 0
        await answer(pilot, str(tmp_path / "one.png"))
        assert view.state.picture.title == str(tmp_path / "one.png")
        assert view.state.picture.label is None
        assert view.state.read == 1


@BOTH
async def test_a_digit_is_drawn_and_read_stroke_by_stroke(run: Path, size: tuple[int, int]) -> None:
    """d gives an empty pad; with each stroke the bars move; esc leads to the net that read it, u back to before."""
    async with opened(size=size) as (view, app, pilot):
        await press(pilot, "d")
        assert view.drawing
        assert "pen" in screen(app)
        seen = [view.state.probabilities.copy()]
        await press(pilot, "up", "up", "up", "up", "up", "up", "up", "up", "space")
        for _ in range(3):
            await press(pilot, "shift+down")
            seen.append(view.state.probabilities.copy())
        for before, after in pairwise(seen):
            assert not np.array_equal(before, after)
        assert view.state.picture.title == "drawn"
        await press(pilot, "n")  # noise, on the pad
        assert view.drawing
        read = view.state.read
        await press(pilot, "escape")
        assert not view.drawing
        assert view.has_focus
        assert f"drawn: read as {read}" in screen(app)
        await press(pilot, "right")
        assert view.state.node == "relu1"
        await press(pilot, "u")
        assert view.state.picture.number == 0


async def test_drawing_on_the_misread_seven(run: Path) -> None:
    """D draws on the picture that is looked at: it stays a seven, and a bar on top of it changes how it is read."""
    async with opened() as (view, _, pilot):
        await press(pilot, "m", "D")
        assert view.drawing
        assert view.state.picture.label == 7
        assert view.state.read == 1
        sure = view.state.probabilities[1]
        await press(pilot, *["shift+up"] * 2, "up", "up", "shift+left", "left", "left", "space", *["shift+right"] * 3)
        assert view.state.probabilities[1] < sure
        await press(pilot, "escape")
        assert view.state.picture.label == 7


async def test_time_goes_on_on_the_pad(run: Path) -> None:
    """While drawing one scrubs through the training: the bars are that moment's."""
    async with opened() as (view, _, pilot):
        await press(pilot, "d", "space", "shift+down")
        now = view.state.probabilities.copy()
        await press(pilot, "less_than_sign", "less_than_sign")
        assert view.drawing
        assert view.state.model.step == 0
        assert not np.array_equal(view.state.probabilities, now)


# -- interventions


async def test_a_weight_is_set(run: Path) -> None:
    """e sets the weight under the cursor: the sum, the score and the bars follow as the arithmetic says; u takes it back."""
    async with opened() as (view, app, pilot):
        await press(pilot, "j")
        await answer(pilot, "linear1 3")
        await press(pilot, "right")
        state, term = view.state, view.state.explanation.terms[view.term]
        await press(pilot, "e")
        assert f"linear1.weight[3,{view.term}]" in screen(app)
        await answer(pilot, "two")
        assert "'two'" in screen(app)
        await answer(pilot, str(term.weight + 1))
        assert view.state.value == pytest.approx(state.value + term.value, rel=1e-5)
        assert view.state.probabilities[3] > state.probabilities[3]
        assert f"linear1.weight[3,{view.term}]" in screen(app)
        assert "u undo" in screen(app)
        await press(pilot, "u")
        assert np.array_equal(view.state.probabilities, state.probabilities)
        await press(pilot, "r")
        assert view.state.value == pytest.approx(state.value + term.value, rel=1e-5)
        await press(pilot, "minus")
        assert view.state.touched == []
        assert np.array_equal(view.state.probabilities, state.probabilities)
        await press(pilot, "u")
        assert len(view.state.touched) == 1


async def test_a_bias_and_a_pixel_are_set(run: Path) -> None:
    """+ sets the bias behind the number, e on the input the pixel."""
    async with opened() as (view, app, pilot):
        before = view.state
        await press(pilot, "j")
        await answer(pilot, "linear1 5")
        await press(pilot, "plus")
        assert "linear1.bias[5], now" in screen(app)
        await answer(pilot, "40")
        assert view.state.read == 5
        await press(pilot, "j")
        await answer(pilot, "0 0,3,4")
        await press(pilot, "plus")
        assert "input has no bias" in said(app)
        await press(pilot, "e")
        assert "input[0,3,4], now" in screen(app)
        await answer(pilot, "−1.5")
        assert view.state.value == -1.5
        assert len(view.state.touched) == 2
        await press(pilot, "n")
        assert len(view.state.touched) == 1, "a pixel was of the picture before"
        await press(pilot, "b", "minus")
        assert np.array_equal(view.state.probabilities, before.probabilities)


async def test_a_silenced_map(run: Path) -> None:
    """z switches a map off, and on again; the input has nothing to switch off."""
    async with opened() as (view, app, pilot):
        before = view.state.probabilities
        await press(pilot, "z")
        node, channel = view.state.node, view.state.channel
        assert view.state.silenced == {(node, channel)}
        assert not np.array_equal(view.state.probabilities, before)
        assert f"{node} channel {channel} silenced" in screen(app)
        await press(pilot, "enter", "enter", "enter")
        assert "silenced" in said(app)
        await press(pilot, "e")
        assert "z lets it speak again" in said(app)
        await press(pilot, "z")
        assert np.array_equal(view.state.probabilities, before)
        await press(pilot, "home", "z")
        assert "the input is not silenced" in said(app)


async def test_what_was_changed_stays_changed_through_time(run: Path) -> None:
    """A map switched off stays off while one scrubs, and each moment's own weights are behind the others."""
    async with opened() as (view, _, pilot):
        await press(pilot, "z", "comma")
        assert len(view.state.silenced) == 1
        assert view.state.moment == len(MOMENTS) - 2


# -- why


@pytest.mark.parametrize("level", [OVERVIEW, LAYER])
async def test_why_did_it_call_this_seven_a_one(run: Path, level: str) -> None:
    """m shows the mistake, y draws what speaks for it, in three ways and then none; a digit asks about that class."""
    async with opened() as (view, app, pilot):
        await press(pilot, "m", *(["enter"] if level == LAYER else []))
        for kind in (GRADIENT, CARRIED, OCCLUSION):
            await press(pilot, "y")
            await settled(pilot)
            assert view.state.why == kind
            if level == OVERVIEW:
                assert "why 1 rather than 7" in " ".join(screen(app).split())
        await press(pilot, "y")
        assert view.state.why == ""
        await press(pilot, "7")
        assert view.state.asked == 7
        assert view.state.why == CARRIED
        if level == OVERVIEW:
            assert "why 7 rather than 1" in " ".join(screen(app).split())
        assert view.state.level == level


async def test_a_class_that_is_not_there(tmp_path: Path) -> None:
    """A net of three classes is asked about the seventh."""
    net = parse("conv 4; gap; linear 3", (1, 12, 12), "three")
    async with opened(Wish(network=net)) as (view, app, pilot):
        await press(pilot, "6")
        assert "there is no class 6: the net has 3" in said(app)
        assert view.state.target is None


# -- time


@BOTH
async def test_scrubbing_through_the_training(run: Path, size: tuple[int, int]) -> None:
    """, and . go through the moments that were kept; < and > by five; the ends are ends."""
    async with opened(size=size) as (view, app, pilot):
        trained = view.state.probabilities
        assert view.state.model.step == STEPS
        await press(pilot, "full_stop")
        assert view.state.model.step == STEPS
        for step in reversed(MOMENTS[:-1]):
            await press(pilot, "comma")
            assert view.state.model.step == step
            assert f"step {step} " in screen(app)
        await press(pilot, "comma")
        assert view.state.model.step == 0
        assert "step 0 epoch 0" in screen(app)
        assert view.state.probabilities.max() < 0.5
        await press(pilot, "greater_than_sign", "greater_than_sign")
        assert view.state.model.step == STEPS
        assert np.allclose(view.state.probabilities, trained)


async def test_the_training_plays(run: Path) -> None:
    """space plays from the first moment to the last and stays there; space stops it on the way."""
    async with opened() as (view, app, pilot):
        app.animation_level = "full"
        app.clock.listen = lambda key, callback, every=0.0: app.clock._listeners.update({key: (callback, every, 0.0)})  # type: ignore[method-assign]
        await press(pilot, "space")
        assert view.playing
        seen = []
        for _ in range(len(MOMENTS) + 1):
            seen.append(view.state.model.step)
            await tick(app, pilot)
        assert seen[: len(MOMENTS)] == MOMENTS
        assert not view.playing
        assert not app.clock._listeners
        await press(pilot, "space")
        await tick(app, pilot)
        await press(pilot, "space")
        assert not view.playing
        assert view.state.model.step == MOMENTS[1]
        await tick(app, pilot)
        assert view.state.model.step == MOMENTS[1]


async def test_who_wants_no_motion_steps_by_hand(run: Path) -> None:
    """With TEXTUAL_ANIMATIONS=none space is one step."""
    async with opened() as (view, app, pilot):
        app.animation_level = "none"
        await press(pilot, "less_than_sign", "space")
        assert not view.playing
        assert view.state.model.step == MOMENTS[4]
        assert not app.clock.awake


async def test_a_pinned_moment_is_compared(run: Path) -> None:
    """t keeps this moment beside the others, until t again."""
    async with opened() as (view, app, pilot):
        await press(pilot, "less_than_sign", "less_than_sign", "t")
        assert "⇄ step 0" in screen(app)
        await press(pilot, "greater_than_sign")
        assert view.state.then is not None
        assert "then (step 0)" in screen(app)
        for _ in range(2):
            await press(pilot, "enter")
            assert "step 0" in screen(app)
        await press(pilot, "t")
        assert view.state.pinned is None
        assert "⇄" not in screen(app)


# -- elsewhere


async def test_a_number_is_taken_to_convolve(run: Path) -> None:
    """c opens the same window, kernel and input on Convolve: the same number; undo there gives back what was."""
    async with opened() as (view, app, pilot):
        await app.switch_mode("convolve")
        await settled(pilot)
        lab = app.screen.query_one(ConvolveView)
        before = lab.state
        await app.switch_mode("explore")
        await press(pilot, "j")
        await answer(pilot, "conv1 2,11,9")
        value = view.state.value
        await press(pilot, "c")
        await settled(pilot)
        output = lab.state.operation.output
        assert output is not None
        assert lab.state.cell == (11, 9)
        assert output[0, 11, 9] == pytest.approx(max(value, 0.0))  # with the relu that follows
        await press(pilot, "u")
        assert (lab.state.name, lab.state.cell) == (before.name, before.cell)
        assert np.array_equal(lab.state.operation.input, before.operation.input)
        await app.switch_mode("explore")
        await settled(pilot)
        assert (view.state.node, view.state.unit) == ("conv1", (2, 11, 9))
        await press(pilot, "escape", "escape", "home", "c")
        assert "a pixel is made of nothing else" in said(app)


async def test_another_run_or_a_net_is_opened(run: Path, tmp_path: Path) -> None:
    """o lists the runs and asks for a net; what cannot be opened is told, and what was there stays."""
    write_explored(tmp_path / "more")
    (tmp_path / "more" / NAME).rename(tmp_path / "20261122-100000-other-def456")
    async with opened(Wish(str(run))) as (view, app, pilot):
        await press(pilot, "o")
        assert "20261122-100000-other-def456" in screen(app)
        await press(pilot, *"20261122", "enter")
        await settled(pilot)
        assert view.state.model.title == "20261122-100000-other-def456"
        await press(pilot, "o", "home", "enter")
        await answer(pilot, "conv 4 k9; relu; maxpool 2; flatten; linear 10")
        await settled(pilot)
        assert view.state.model.moment == "untrained, seed 0"
        assert "an untrained net has one moment" in screen(app)
        state = view.state
        for wrong, says in (("konv 3", "konv"), ("no-such", "no-such"), ("conv 4 k99", "99")):
            await press(pilot, "o", "home", "enter")
            await answer(pilot, wrong)
            await settled(pilot)
            assert note(view).startswith("not opened: ")
            assert says in note(view)
            assert view.state is state
        await press(pilot, "comma", "space", "n", "m")
        assert view.state is state
        await press(pilot, "o", "escape", "right")
        assert view.state.node == "relu1"


async def test_from_build(run: Path) -> None:
    """f puts a picture through the net on the Build screen, untrained; changed there, it is another net here."""
    app = MeteredApp("build", build=open_net("conv 4 k5; relu; maxpool 2; flatten; linear 10", (1, 28, 28)))
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await press(pilot, "f")
        await settled(pilot)
        view = app.screen.query_one(ExploreView)
        assert view.state.columns == ("input", "conv1", "relu1", "maxpool1", "linear1")
        await press(pilot, "d")
        assert view.drawing
        await app.switch_mode("build")
        await settled(pilot)
        build = app.screen.query_one(BuildView)
        build.make(lambda state: state.select(1).rewrite("tanh"))
        await press(pilot, "f")
        await settled(pilot)
        assert "tanh1" in view.state.columns
        assert not view.drawing
        await press(pilot, "right")
        assert view.state.node == "tanh1", "the keys are the net's again"


async def test_an_impossible_net_from_build(run: Path) -> None:
    """A net that cannot be is not explored: it is said why, and another can be opened from there."""
    app = MeteredApp("build", build=open_net("conv 4 k5; maxpool 2", (1, 28, 28)))
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        app.screen.query_one(BuildView).make(lambda state: state.select(0).rewrite("conv 4 k99"))
        await press(pilot, "f")
        await settled(pilot)
        if not app.screen.query(ExploreView):
            await app.explore(Wish(network=app.screen.query_one(BuildView).state.network))
            await settled(pilot)
        view = app.screen.query_one(ExploreView)
        assert view.history is None
        assert "99" in note(view)
        assert "press o to choose" in note(view)
        await press(pilot, *KEYS[:-1])
        assert view.history is None
        await press(pilot, "o")
        pilot.app.screen.query_one(OptionList).highlighted = 1
        await press(pilot, "enter")
        await settled(pilot)
        assert view.state.model.title == NAME
        assert note(view) == ""


async def test_from_train(run: Path) -> None:
    """e on the Train screen opens the run that is watched."""
    app = MeteredApp("train", run=run)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        assert app.screen.query_one(TrainView)
        await press(pilot, "e")
        await settled(pilot)
        view = app.screen.query_one(ExploreView)
        assert view.state.model.run == run
        await press(pilot, "right", "enter")
        at = view.state
        await app.switch_mode("train")
        await settled(pilot)
        await press(pilot, "e")
        await settled(pilot)
        assert view.state is at, "the same run is where it was left"


async def test_without_runs_the_first_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who never trained anything sees an untrained net read a drawn seven."""
    monkeypatch.setenv("CNNTUI_RUNS", str(tmp_path))
    async with opened() as (view, app, pilot):
        assert view.state.model.title == FIRST_NET
        assert "a drawn seven" in screen(app)
        await press(pilot, "n")
        assert "there are no test pictures here" in said(app)
        await press(pilot, "m")
        assert "once a run has been tested" in said(app)
        await press(pilot, "i")
        assert "number" not in [option.id for option in app.screen.query_one(OptionList).options]


# -- runs that go on, and runs that are damaged


async def test_a_run_that_goes_on_is_followed(tmp_path: Path) -> None:
    """Whoever looks at the newest moment sees the net learn; who looks back stays there, and comes back with >."""
    run = write_explored(tmp_path, last=15)
    make_live(run, 15)
    async with opened(Wish(str(run))) as (view, app, pilot):
        assert view.follows
        assert app.clock.awake
        assert view.state.model.step == 15
        assert "live" in screen(app)
        at = (view.state.node, view.state.unit)
        tell(run, 30)
        await tick(app, pilot)
        assert view.state.model.step == 30
        assert (view.state.node, view.state.unit) == at
        await press(pilot, "comma")
        assert not view.follows
        tell(run, 60)
        await tick(app, pilot)
        assert view.state.model.step == 15
        assert [moment.step for moment in view.state.moments] == [0, 2, 6, 15, 30, 60]
        await press(pilot, "greater_than_sign")
        assert view.state.model.step == 60
        assert view.follows
        await press(pilot, "c")
        await settled(pilot)
        assert not app.clock.awake, "behind another screen nothing is polled"
        tell(run, 100)
        await app.switch_mode("explore")
        await settled(pilot)
        assert view.state.model.step == 100


async def test_a_run_without_weights_yet(tmp_path: Path) -> None:
    """A run that has just begun is shown as it begins; when it tells weights they are there."""
    run = write_explored(tmp_path, last=0)
    (run / "snapshots" / "step-0.safetensors").unlink()
    make_live(run, 0)
    async with opened(Wish(str(run))) as (view, app, pilot):
        assert view.state.model.moment == "untrained, seed 0"
        assert view.state.moments == ()
        tell(run, 2)
        await tick(app, pilot)
        assert view.state.model.step == 2


async def test_the_weights_of_a_file_stay_the_weights_of_that_file(tmp_path: Path) -> None:
    """Who opened a run that goes on with weights of their own is not taken away from them when it tells newer ones."""
    run = write_explored(tmp_path, last=15)
    make_live(run, 15)
    async with opened(Wish(str(run), weights=run / "snapshots" / "step-2.safetensors")) as (view, app, pilot):
        parameters = view.state.model.parameters
        assert view.state.moment is None, "a file is no moment"
        tell(run, 30)
        await tick(app, pilot)
        assert view.state.model.parameters is parameters
        assert len(view.state.moments) == 5


async def test_a_run_that_says_nothing_of_its_data_yet_can_be_asked_again(tmp_path: Path) -> None:
    """e on a run in its first second says what is missing; pressed again later it opens."""
    run = write_explored(tmp_path, last=15)
    log = (run / "events.1.jsonl").read_bytes()
    (run / "events.1.jsonl").write_bytes(b"")
    make_live(run, 0)
    app = MeteredApp("explore", explore=Wish(str(run)))
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        view = app.screen.query_one(ExploreView)
        assert view.history is None
        assert "does not say yet how its pictures are prepared" in note(view)
        (run / "events.1.jsonl").write_bytes(log)
        await app.explore(Wish(str(run)))
        await settled(pilot)
        assert view.history is not None
        assert view.state.model.step == 15


async def test_a_run_that_is_deleted_under_the_screen(tmp_path: Path) -> None:
    """What was read stays on the screen; what is gone is told in one line."""
    run = write_explored(tmp_path, last=30)
    make_live(run, 30)
    async with opened(Wish(str(run))) as (view, app, pilot):
        state = view.state
        shutil.rmtree(run)
        await press(pilot, "comma")
        assert "there is no such file" in said(app)
        assert view.state.model is state.model
        await tick(app, pilot)
        await tick(app, pilot)
        await press(pilot, "comma", "space", "n", "y", "enter", "enter", "enter", "escape", "t")
        assert view.state.probabilities.any()
        assert note(view) == ""


async def test_a_torn_snapshot_is_told_and_does_not_stop_the_rest(run: Path) -> None:
    """A file that a full disk cut short: that moment cannot be seen, the others can."""
    torn = run / "snapshots" / "step-60.safetensors"
    torn.write_bytes(torn.read_bytes()[:1000])
    async with opened() as (view, app, pilot):
        await press(pilot, "j")
        await answer(pilot, "conv1")
        for _ in range(2):
            await press(pilot, "comma")
        assert view.state.model.step == 100
        at = view.state
        await press(pilot, "comma")
        assert "step-60.safetensors holds no weights that can be read here" in said(app)
        assert view.state is at
        await press(pilot, "less_than_sign")
        assert view.state.model.step == 6


async def test_a_torn_snapshot_stops_what_plays(run: Path) -> None:
    """Playing does not try the same file for ever."""
    (run / "snapshots" / "step-6.safetensors").write_bytes(b"")
    async with opened() as (view, app, pilot):
        app.animation_level = "full"
        app.clock.listen = lambda key, callback, every=0.0: app.clock._listeners.update({key: (callback, every, 0.0)})  # type: ignore[method-assign]
        await press(pilot, "space")
        for _ in range(6):
            await tick(app, pilot)
        assert not view.playing
        assert view.state.model.step == 2
        assert "step-6.safetensors" in said(app)


async def test_weights_of_another_net_in_a_snapshot(run: Path) -> None:
    """Somebody copied a file into the run: it is told that it is another net's."""
    from safetensors.numpy import save_file

    save_file({"conv1.weight": np.zeros((2, 1, 3, 3), np.float32)}, run / "snapshots" / "step-120.safetensors")
    async with opened() as (view, app, pilot):
        await press(pilot, "comma")
        assert "the weights are not of this net" in said(app)
        assert view.state.model.step == STEPS


# -- all keys, all sizes


async def test_keys_before_anything_is_open(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever types ahead while a run is opened does no harm."""
    going = threading.Event()

    def slow(*given: Any) -> Any:
        going.wait(20)
        return forward(*given)

    monkeypatch.setattr("cnntui.labs.explore.forward", slow)
    app = MeteredApp("explore")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        view = app.screen.query_one(ExploreView)
        assert view.history is None
        assert note(view) == "opening …"
        for key in KEYS[:-1]:
            await pilot.press(key)
        assert view.history is None
        going.set()
        await settled(pilot)
        assert view.state.model.title == NAME
        assert view.state.touched == []


BRANCHES = "[ conv 4 same | id ] cat; gap; linear 3; softmax"
PLACES = [("last", 0), ("last", 1), ("last", 2), (BRANCHES, 1), ("flatten", 2)]


@pytest.mark.parametrize(("word", "depth"), PLACES)
async def test_every_key_at_every_level(run: Path, word: str, depth: int) -> None:
    """No key breaks anything, on the screen of a run, of branches, of next to nothing."""
    async with opened(Wish(word, shape=None if word == "last" else (1, 12, 12)), size=(80, 24)) as (view, app, pilot):
        await press(pilot, *["enter"] * depth)
        start = view.state
        for key in KEYS:
            view.look(start)
            await pilot.press(key)
            await pilot.pause()
            while len(app.screen_stack) > 1 or view.drawing:
                await pilot.press("escape")
                await pilot.pause()
        await settled(pilot)
        assert app.failure == ""
        assert view.state.node in screen(app)


@BOTH
async def test_resized_to_next_to_nothing_and_back(run: Path, size: tuple[int, int]) -> None:
    """A window that is made tiny shows what it can, at every level; made large again, it is as it was."""
    async with opened(size=size) as (_, app, pilot):
        for keys in ((), ("enter",), ("enter",), ("escape", "escape", "y"), ("d",)):
            await press(pilot, *keys)
            await settled(pilot)
            before = screen(app)
            for small in ((40, 10), (20, 5), (300, 90)):
                await pilot.resize_terminal(*small)
                await settled(pilot)
                assert screen(app)
            await pilot.resize_terminal(*size)
            await settled(pilot)
            assert screen(app) == before


async def test_a_large_net_is_run_by_a_worker(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are taken while a net computes for seconds: it is never run between two keys."""
    monkeypatch.setattr(explore, "HEAVY", 1000)
    threads: list[str] = []

    def watched(*given: Any) -> Any:
        threads.append(threading.current_thread().name)
        return forward(*given)

    monkeypatch.setattr("cnntui.labs.explore.forward", watched)
    async with opened() as (view, app, pilot):
        assert view.state.is_ready
        assert note(view) == ""
        assert "% ✓" in screen(app)
        for keys in (("n",), ("right", "down"), ("z",), ("u",), ("comma",), ("enter", "enter"), ("m",), ("minus",)):
            await press(pilot, *keys)
            await settled(pilot)
            assert view.state.is_ready
        assert view.state.picture.number == FALSE_SEVEN
        assert threads
        assert threading.main_thread().name not in threads


async def test_a_large_net_takes_no_move_before_it_was_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it computes only something else can be opened; a click on a map waits, too."""
    async with opened() as (view, app, pilot):
        going = threading.Event()

        def slow(*given: Any) -> Any:
            going.wait(20)
            return forward(*given)

        monkeypatch.setattr(explore, "HEAVY", 1000)
        monkeypatch.setattr("cnntui.labs.explore.forward", slow)
        await pilot.press("n")
        await pilot.pause()
        assert note(view) == "computing …"
        waiting = view.state
        await pilot.press("n", "right", "z", "enter")
        await pilot.pause()
        assert view.state is waiting
        going.set()
        await settled(pilot)
        assert note(view) == ""
        assert view.state is waiting
        assert "test:1: read as 1" in screen(app)


async def test_a_click_looks_at_a_map_and_a_second_goes_in(run: Path) -> None:
    """The mouse does in the overview what arrows and enter do; where a lesson has taken enter away, it does not either."""
    async with opened() as (view, _, pilot):
        for node, channel, hidden in (("relu1", 1, frozenset[str]()), ("conv1", 0, frozenset({"enter"}))):
            panel = view.query_one(OverviewPanel)
            view.hidden = hidden
            for level in (OVERVIEW, OVERVIEW if hidden else LAYER):
                places = [(x, y) for x, y, *which in panel._places if which == [node, channel]]
                await pilot.click(panel, offset=(places[0][0].start + 4, places[0][1].start + 1))
                await settled(pilot)
                assert (view.state.node, view.state.channel, view.state.level) == (node, channel, level)
            await press(pilot, "escape")


# -- bytes


async def test_an_idle_screen_sends_nothing(run: Path) -> None:
    """At no level does anything move by itself."""
    async with opened() as (_, app, pilot):
        for key in ("right", "enter", "enter", "y"):
            await press(pilot, key)
            await settled(pilot)
            app.sent = 0
            await pilot.pause(0.3)
            assert app.sent == 0
            assert not app.clock.awake


async def test_a_key_costs_few_bytes(run: Path) -> None:
    """Over a slow line the next map and the next moment come at once."""
    async with opened() as (_, app, pilot):

        async def cost(key: str) -> int:
            app.sent = 0
            await press(pilot, key)
            await settled(pilot)
            return app.sent

        maps = [await cost("down") for _ in range(3)]
        layers = [await cost("right") for _ in range(4)]
        await press(pilot, "home", "right")
        scrubs = [await cost("comma") for _ in range(6)]
        assert max(maps) < 600
        assert max(layers) < 17_500
        assert max(scrubs) < 16_000


# -- what a reviewer and a newcomer ran into


async def test_undo_leads_to_a_term_that_is_there(run: Path) -> None:
    """A term is of one number; undo that leads to a number of fewer terms does not keep it."""
    async with opened() as (view, _, pilot):
        await press(pilot, "j")
        await answer(pilot, "conv1 0,5,5")
        await press(pilot, "n", "j")
        await answer(pilot, "conv2 0,5,5")
        view.term = len(view.state.explanation.terms) - 1
        await press(pilot, "u")
        assert view.state.node == "conv1"
        assert view.term < len(view.state.explanation.terms)
        await press(pilot, "enter")
        assert view.state.node == INPUT
        await press(pilot, "escape", "e", "escape", "w", "escape")
        assert view.state.node == "conv1"


async def test_undo_far_back_gives_the_same_numbers(run: Path) -> None:
    """What was computed is forgotten after some changes, and computed again."""
    async with opened() as (view, _, pilot):
        first = view.state
        before = first.probabilities.copy()
        for _ in range(8):
            await press(pilot, "n")
        assert "trace" not in first.__dict__
        for _ in range(8):
            await press(pilot, "u")
        assert view.state is first
        assert np.array_equal(view.state.probabilities, before)


async def test_playing_ends_when_something_else_is_opened(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A net without moments is not played, and nothing ticks."""
    monkeypatch.setattr("cnntui.ui.clock.Clock.moving", True)
    async with opened() as (view, app, pilot):
        await press(pilot, "space")
        assert view.playing
        await app.explore(Wish("mnist-2conv"))
        await settled(pilot)
        assert not view.playing
        assert not app.clock.awake
        assert not said(app)


async def test_a_file_that_cannot_be(run: Path) -> None:
    """Whatever is typed for a path is answered in the dialog."""
    async with opened() as (_, app, pilot):
        await press(pilot, "i")
        app.screen.query_one(OptionList).highlighted = [
            option.id for option in app.screen.query_one(OptionList).options
        ].index("file")
        await press(pilot, "enter")
        for text, message in (
            ("", "type the path"),
            ("~nosuchuser/x.png", "home"),
            ("nothing.png", "nothing.png"),
            ("a\0b", "null"),
        ):
            app.screen.query_one(Input).value = text.replace("\0", "\x00")
            await press(pilot, "enter")
            assert message in str(app.screen.query_one("#problem", Static).content)


async def test_a_run_that_ends_tells_what_it_misread(tmp_path: Path) -> None:
    """Opened while it trained, tested since: m leads to the misread pictures, and nothing is called live."""
    run = write_explored(tmp_path)
    log, ended = run / "events.1.jsonl", (run / "exit.json").read_bytes()
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(line for line in lines if b'"kind":"classes"' not in line))
    status = (run / "status.json").read_bytes()
    make_live(run, STEPS)
    async with opened(Wish(str(run))) as (view, app, pilot):
        assert "live" in screen(app)
        await press(pilot, "m")
        assert "once a run has been tested" in said(app)
        with log.open("ab") as file:
            file.writelines(line for line in lines if b'"kind":"classes"' in line)
        (run / "exit.json").write_bytes(ended)
        (run / "status.json").write_bytes(status)
        await tick(app, pilot)
        assert "live" not in screen(app)
        await press(pilot, "m")
        assert view.state.picture.number == FALSE_SEVEN


async def test_a_pad_that_is_left_empty_gives_the_picture_back(run: Path) -> None:
    """d, then escape: as if nothing had been."""
    async with opened() as (view, app, pilot):
        before = view.state.picture
        await press(pilot, "d")
        assert "space play" not in screen(app), "on the pad space is the pen"
        await press(pilot, "escape")
        assert view.state.picture is before


async def test_what_nobody_foresaw_in_a_worker_is_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app goes on; the traceback is in the log, and the line says where."""
    async with opened() as (view, app, pilot):
        monkeypatch.setattr("cnntui.labs.learned.learner", lambda *_: 1 / 0)
        await press(pilot, "w")
        assert "ZeroDivisionError" in said(app)
        assert "cnntui.log" in said(app)
        assert view.history is not None


async def test_a_lesson_of_another_net_is_dropped(run: Path) -> None:
    """What was asked of one net is not shown, nor done, to the next."""
    async with opened() as (view, app, pilot):
        await press(pilot, "right", "enter", "enter")
        learner_of = view.Lesson(view.subject, None, "of the old net")
        await app.explore(Wish("mnist-2conv"))
        await settled(pilot)
        view.post_message(learner_of)
        await settled(pilot)
        assert "of the old net" not in said(app)


async def test_a_moment_that_is_gone_keeps_its_weights_and_its_step(run: Path) -> None:
    """Snapshots are thinned: what is looked at stays, and says its own step."""
    async with opened() as (view, app, pilot):
        await press(pilot, "less_than_sign")
        step, parameters = view.state.model.step, view.state.model.parameters
        (run / "snapshots" / f"step-{step}.safetensors").unlink()
        view.take_moments(tuple(moment for moment in view.state.moments if moment.step != step))
        await settled(pilot)
        assert view.state.moment is None
        assert view.state.model.parameters is parameters
        assert f"step {step}" in screen(app).splitlines()[-2]
        nearest = max(moment.step for moment in view.state.moments if moment.step < (step or 0))
        await press(pilot, "comma")
        assert view.state.model.step == nearest


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_net_that_makes_maps(size: tuple[int, int]) -> None:
    """It reads nothing as anything: no bars, no percent; y asks about the number looked at."""
    async with opened(Wish("conv 3 same; relu; conv 1 same", shape=(1, 28, 28)), size) as (view, app, pilot):
        assert "the output is a map: 1×28×28" in screen(app)
        for keys in (("y",), ("right", "y"), ("y",), ("7",), ("enter",), ("enter",), ("t",), ("z",)):
            await press(pilot, *keys)
            assert "read as" not in screen(app) and "the output is a map" in screen(app)
            if keys == ("right", "y"):
                unit = ",".join(map(str, view.state.unit))
                assert f"why {view.state.node}[{unit}]" in screen(app)
        assert not any(f"{share} %" in screen(app) for share in range(101))
