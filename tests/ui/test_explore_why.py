"""Stories on the Explore screen about why, what excites a unit, and two moments: on a run that really trained."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from textual.pilot import Pilot

from cnntui.core.notation import parse
from cnntui.labs.explore import CELL, LAYER, OVERVIEW, ExploreState
from cnntui.labs.why import CARRIED, GRADIENT, OCCLUSION, heat
from cnntui.labs.wish import Wish
from cnntui.runs.spec import Settings, new_spec
from cnntui.ui.app import CnntuiApp
from cnntui.ui.screens.patches import Patches, PatchGrid
from cnntui.ui.views.explore import ExploreView
from cnntui.ui.widgets.context import ContextColumn
from cnntui.ui.widgets.explore_lines import FactLine
from cnntui.ui.widgets.layer_panel import LayerPanel
from cnntui.ui.widgets.overview_panel import OverviewPanel
from cnntui.ui.widgets.painted import Painted
from tests.training.forks import forks
from tests.training.runs import over, wait

NET = parse("conv 6 same; relu; maxpool 2; conv 8 same; relu; flatten; linear 10", (1, 8, 8), "small")
HOMES = ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A run of two epochs on the digits, and the cache that holds its test pictures."""
    home = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        for name in HOMES:
            patch.setenv(name, str(home / name.lower()))
        with forks() as started:
            settings = Settings(data="digits", epochs=2, device="cpu", lr=0.01)
            view = wait(started.launch(new_spec(NET, settings)), over)
        yield view.directory, os.environ["XDG_CACHE_HOME"]


@pytest.fixture
def run(trained: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to be changed at will."""
    monkeypatch.setenv("XDG_CACHE_HOME", trained[1])
    return Path(shutil.copytree(trained[0], tmp_path / trained[0].name))


@asynccontextmanager
async def opened(run: Path, size: tuple[int, int] = (120, 40)) -> AsyncIterator[tuple[ExploreView, Pilot[None]]]:
    app = CnntuiApp("explore", explore=Wish(str(run)))
    async with app.run_test(size=size) as pilot:
        await idle(pilot)
        view = app.screen.query_one(ExploreView)
        assert view.history is not None
        yield view, pilot


async def idle(pilot: Pilot[None]) -> None:
    for _ in range(2):
        await pilot.pause()
        await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await idle(pilot)


def text(widget: Painted) -> str:
    """What it shows."""
    lines = ("".join(segment.text for segment in widget.render_line(y)) for y in range(widget.content_size.height))
    return "\n".join(line.rstrip() for line in lines)


# -- why


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_y_asks_why_and_a_digit_why_that_class(run: Path, size: tuple[int, int]) -> None:
    async with opened(run, size) as (view, pilot):
        overview = view.query_one(OverviewPanel)
        bare = text(overview)
        assert "why" not in bare
        read = view.state.read
        for kind, sign in ((GRADIENT, "lowers it"), (CARRIED, "against it"), (OCCLUSION, "it rises")):
            await press(pilot, "y")
            found = heat(view.state)
            assert found is not None and found.kind == kind and found.is_whole
            last = text(overview).splitlines()[-1]
            assert last.startswith(f"why {read} · {kind}") and sign in last and "…" not in last
            assert text(overview).count("±") >= 2, "every picture has its scale"
        await press(pilot, "y")
        assert text(overview) == bare
        other = (read + 3) % 10
        await press(pilot, str(other))
        assert f"why {other} rather than {view.state.picture.label}" in text(overview)
        assert view.state.why == CARRIED


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_in_a_layer_it_is_the_unit_that_is_asked_about(run: Path, size: tuple[int, int]) -> None:
    async with opened(run, size) as (view, pilot):
        await press(pilot, "y", "y", "enter")
        column = view.query_one(ContextColumn)
        words = f"conv1[{','.join(map(str, view.state.unit))}]"
        assert words in text(column) and CARRIED in text(column)
        before = heat(view.state)
        await press(pilot, "down", "left")
        assert words not in text(column) and heat(view.state) is not before
        # Occlusion goes along with where one looks, too.
        await press(pilot, "y", "up")
        found = heat(view.state)
        assert found is not None and found.kind == OCCLUSION and found.is_whole
        await press(pilot, "enter")
        assert view.state.level == CELL and OCCLUSION in text(column)


async def test_without_colour_heat_is_glyphs(run: Path) -> None:
    async with opened(run) as (view, pilot):
        await press(pilot, "v", "y", "y")
        shown = text(view.query_one(OverviewPanel))
        assert "# " not in shown.splitlines()[-1] and "@ for it & against it" in shown
        assert "▀" not in shown and "■" not in shown


# -- what excites a unit


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_x_shows_patches_and_enter_goes_there(run: Path, size: tuple[int, int]) -> None:
    async with opened(run, size) as (view, pilot):
        await press(pilot, "right", "right", "right")  # conv2
        assert view.state.node == "conv2" and view.subject is not None and view.subject.excitement is not None
        await press(pilot, "x")
        screen = pilot.app.screen
        assert isinstance(screen, Patches) and screen.shown.found is not None
        patches = screen.shown.found.patches
        assert len(patches) == 9
        shown = text(screen.query_one(PatchGrid))
        assert f"the strongest of {screen.shown.found.count:,} test pictures, at step " in shown
        assert all(f"{patch.picture:,} · {patch.label}" in shown for patch in patches)
        await press(pilot, "right", "left", "right", "down", "up", "enter")
        state = view.state
        assert (state.picture.number, state.picture.label) == (patches[1].picture, patches[1].label)
        assert (state.node, state.unit, state.level) == ("conv2", patches[1].unit, LAYER)
        if state.model.step == view.subject.excitement.step:
            assert state.value == pytest.approx(patches[1].value, rel=1e-3)
        await press(pilot, "u")
        assert view.state.level == OVERVIEW and view.state.picture.number == 0


async def test_an_older_run_is_looked_through_now(run: Path) -> None:
    for file in (run / "maps").glob("excited-*"):
        file.unlink()
    async with opened(run) as (view, pilot):
        assert view.subject is not None and view.subject.excitement is None
        await press(pilot, "x")
        screen = pilot.app.screen
        assert isinstance(screen, Patches) and screen.shown.found is not None
        assert screen.shown.found.count == screen.shown.found.of == 200
        assert "the strongest of 200 test pictures" in text(screen.query_one(PatchGrid))
        best = screen.shown.found.patches[0]
        await press(pilot, "enter")
        assert view.state.value == pytest.approx(best.value)
        assert view.state.value == view.state.trace.values["conv1"][best.unit[0]].max()


async def test_the_input_has_no_patches(run: Path) -> None:
    async with opened(run) as (_, pilot):
        await press(pilot, "home", "x")
        assert not isinstance(pilot.app.screen, Patches)


async def test_whole_pictures_come_in_pages_where_they_would_be_too_small(run: Path) -> None:
    async with opened(run, (80, 24)) as (_, pilot):
        await press(pilot, "v", "end", "x")
        screen = pilot.app.screen
        assert isinstance(screen, Patches) and screen.shown.found is not None
        grid, patches = screen.query_one(PatchGrid), screen.shown.found.patches
        assert {patch.pixels.shape for patch in patches} == {(8, 8)}, "a linear unit sees all"
        seen = set()
        for _ in patches:
            lines = text(grid)
            assert " of 9" in lines.splitlines()[0]
            chosen = patches[screen.shown.chosen]
            assert f"{chosen.picture:,} · {chosen.label}" in lines
            seen.add(lines.splitlines()[0])
            await press(pilot, "right")
        assert len(seen) > 1 and screen.shown.chosen == len(patches) - 1


async def test_what_the_trainer_tells_next_is_taken(run: Path) -> None:
    async with opened(run) as (view, pilot):
        subject, reader, told = view.subject, view.reader, view.run_view
        assert subject is not None and subject.excitement is not None and reader is not None and told is not None
        layers = dict(subject.excitement.layers)
        silent = np.zeros_like(layers["relu1"].largest)
        layers["relu1"] = replace(layers["relu1"], largest=silent, smallest=silent)
        newer = replace(subject.excitement, layers=layers)
        view.post_message(ExploreView.Polled(reader, told, newer, view.state.moments))
        await idle(pilot)
        assert view.subject is not None and view.subject.excitement is newer
        assert view.state.dead.channels >= {("relu1", channel) for channel in range(6)}


def without_bias(state: ExploreState) -> ExploreState:
    """The same moment, in which channel 1 of the first convolution is never above 0."""
    parameters = {node: dict(own) for node, own in state.model.parameters.items()}
    parameters["conv1"]["bias"] = parameters["conv1"]["bias"].copy()
    parameters["conv1"]["bias"][1] = -1000
    return state.at(state.moment or 0, replace(state.model, parameters=parameters))


async def test_a_dead_channel_is_marked_and_told(run: Path) -> None:
    file = next((run / "maps").glob("excited-*"))
    tensors = load_file(file)
    for name in ("values", "largest", "smallest"):
        tensors[f"relu1.{name}"][1] = 0
    save_file(tensors, file)
    async with opened(run) as (view, pilot):
        await press(pilot, "right")
        alive = np.abs(view.state.trace.values["relu1"][1]).max() > 0
        assert alive and "dead" not in text(view.query_one(OverviewPanel)), "at this moment it is alive"
        view.make(lambda state: state.changed("conv1", "bias", (1,), -1000.0))
        await idle(pilot)
        assert "dead" not in text(view.query_one(OverviewPanel)), "that was found of other weights"
        view.make(lambda state: without_bias(state.restored()))
        await idle(pilot)
        shown = text(view.query_one(OverviewPanel))
        assert "1 dead" in shown and "†" in shown
        view.look(view.state.look("relu1", (1, 0, 0)))
        await press(pilot, "x")
        screen = pilot.app.screen
        assert isinstance(screen, Patches) and screen.shown.found is not None and not screen.shown.found.patches
        header = text(screen.query_one(PatchGrid)).splitlines()[0]
        assert header.startswith(
            f"channel 1 is dead: over {screen.shown.found.count:,} test pictures it never rose above 0"
        )
        await press(pilot, "enter", "right", "escape")
        assert view.is_mounted and pilot.app.screen is view.screen


# -- two moments


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_a_pinned_moment_beside_the_present_one(run: Path, size: tuple[int, int]) -> None:
    async with opened(run, size) as (view, pilot):
        await press(pilot, "less_than_sign", "t")
        then, old = view.state.when, view.state.value
        assert view.state.pinned_words == then and then.startswith("step ")
        await press(pilot, "less_than_sign")
        state = view.state
        assert state.when != then and state.then == pytest.approx(old)
        assert f"then ({then})" in text(view.query_one(OverviewPanel))
        assert f"then ({then}): " in text(view.query_one(FactLine)) and ", now " in text(view.query_one(FactLine))
        await press(pilot, "enter")
        layer = text(view.query_one(LayerPanel))
        assert then in layer and state.when in layer
        await press(pilot, "enter")
        assert f"then ({then}): " in text(view.query_one(FactLine))
        await press(pilot, "t")
        assert view.state.pinned is None and "then" not in text(view.query_one(FactLine))


async def test_playing_with_a_pin(run: Path) -> None:
    async with opened(run) as (view, pilot):
        await press(pilot, "t", "enter")
        trace, count = view.state.pinned_trace, len(view.state.moments)
        assert count > 3
        while view.state.moment != 0:
            await press(pilot, "less_than_sign")
        seen = {view.state.when}
        view.playing = True
        while view.playing:  # each frame as the clock gives it
            view._frame()
            await idle(pilot)
            seen.add(view.state.when)
        assert len(seen) == count and view.state.moment == count - 1
        assert view.state.pinned_trace is trace, "the pinned moment was run once"
