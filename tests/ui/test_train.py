"""Stories on the Train screen: on a run that left fixed numbers, and on real ones."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from cnntui.core.network import sequential
from cnntui.core.notation import parse
from cnntui.runs.control import send
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Settings
from cnntui.ui.app import CnntuiApp
from cnntui.ui.screens.dialogs import Choose
from cnntui.ui.views.train import TrainView
from cnntui.ui.widgets.feature_map import FeatureMaps
from cnntui.ui.widgets.loss_chart import LossChart
from cnntui.ui.widgets.painted import Painted
from cnntui.ui.widgets.run_line import RunLine
from cnntui.ui.widgets.setup import Setup
from tests.ui.helpers import MeteredApp, write_run


@asynccontextmanager
async def opened(app: CnntuiApp, size: tuple[int, int] = (120, 40)) -> AsyncIterator[tuple[TrainView, Pilot[None]]]:
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()
        yield app.screen.query_one(TrainView), pilot


async def app_idle(pilot: Pilot[None]) -> None:
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def until(pilot: Pilot[None], condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        await pilot.pause(0.1)
    assert condition()


def text(widget: Painted) -> str:
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.content_size.height))


async def test_a_finished_run_shows_its_whole_story(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path))) as (view, _):
        line = text(view.query_one(RunLine))
        assert "mnist-3conv on mnist   cpu   finished" in line
        assert "epoch 3/3" in line
        assert "test 98.33 % of 10,000" in line
        chart = text(view.query_one(LossChart))
        assert "train 0.0455" in chart
        assert "test" in chart
        maps = text(view.query_one(FeatureMaps))
        assert "step 300  picture 107: a 7, read as 7 ✓" in maps
        assert "conv1" in maps
        assert "of 32 maps" in maps
        assert not view.clock.awake, "an ended run is not polled"


async def test_layers_and_pictures_are_looked_through(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path))) as (view, pilot):
        maps = view.query_one(FeatureMaps)
        await pilot.press("right", "right", "up")
        assert "maxpool1 " in text(maps)
        assert "picture 106: a 6" in text(maps)
        await pilot.press("left", "left", "left")
        assert "maxpool3 " in text(maps), "round and round"
        await pilot.press("m")
        assert "@" in text(maps), "glyphs instead of colours"
        assert "▀" not in text(maps)


async def test_a_crashed_run_says_by_which_signal(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path, state="crashed"))) as (view, _):
        assert "✗ crashed" in text(view.query_one(RunLine))
        assert str(view.query_one("#note", Static).content) == "crashed: killed by SIGKILL"


async def test_nan_is_a_gap_and_no_exception(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path, nan=True))) as (view, pilot):
        chart = view.query_one(LossChart)
        assert len(list(chart._stretches(chart.train))) == 2
        await pilot.press("g")
        assert "loss by step  " in text(chart), "linear now"


async def test_garbage_in_the_log_is_counted(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    with (run / "events.1.jsonl").open("a") as log:
        log.write("garbage\n")
    async with opened(CnntuiApp("train", run=run)) as (view, _):
        assert "1 records of the log could not be read" in str(view.query_one("#note", Static).content)


def spread(maps: FeatureMaps) -> int:
    """How far the shades of the first layer lie apart."""
    shades = maps._maps("conv1")
    assert shades is not None
    return int(np.ptp(shades))


async def test_another_run_with_the_same_last_step_shows_its_own_maps(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two")
    np.save(two / "maps" / "300-conv1.npy", np.full((10, 8, 28, 28), 128, dtype=np.uint8))
    async with opened(CnntuiApp("train", run=one)) as (view, pilot):
        maps = view.query_one(FeatureMaps)
        assert spread(maps) > 0
        view._follow(RunReader(two))
        await app_idle(pilot)
        assert spread(maps) == 0


async def test_missing_maps_are_no_exception(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    for path in (run / "maps").iterdir():
        path.unlink()
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press("right")
        assert "picture 107" in text(view.query_one(FeatureMaps))


async def test_choosing_settings_before_the_start() -> None:
    async with opened(CnntuiApp("train")) as (view, pilot):
        setup = view.query_one(Setup)
        assert "lenet5  1×32×32   61,706 parameters   416,520 MACs" in text(setup)
        await pilot.press("down", "right", "down", "left", "left")
        assert (view.state.settings.epochs, view.state.settings.batch_size) == (8, 16)
        assert "‹ 16 ›" in text(setup)
        await pilot.press("e")
        assert isinstance(pilot.app.screen, Choose)
        await pilot.press("home", "enter")
        await pilot.pause()
        assert view.state.network.name == "alexnet"
        assert "alexnet  3×224×224" in text(setup)


async def test_a_setting_from_the_command_line_keeps_its_place_among_the_choices() -> None:
    network = parse("flatten; linear 10", (1, 8, 8), "tiny")
    async with opened(CnntuiApp("train", network=network, settings=Settings(epochs=7, lr=0.002))) as (view, pilot):
        await pilot.press("down", "right")
        assert view.state.settings.epochs == 8
        await pilot.press("left", "down", "down", "left")
        assert (view.state.settings.epochs, view.state.settings.lr) == (5, 0.001)


@pytest.mark.parametrize("net", ["conv 3", ""])
async def test_a_net_that_cannot_be_trained_says_why(net: str) -> None:
    network = parse(net, (1, 8, 8), "open-ended") if net else sequential("empty", (1, 8, 8), [])
    async with opened(CnntuiApp("train", network=network)) as (view, pilot):
        await pilot.press("space")
        await app_idle(pilot)
        assert "not started: " in str(view.query_one("#note", Static).content)


async def test_what_a_net_lacks_is_named() -> None:
    network = parse("conv 3", (1, 8, 8), "open-ended")
    async with opened(CnntuiApp("train", network=network)) as (view, pilot):
        await pilot.press("space")
        await app_idle(pilot)
        assert "not started: open-ended ends in 3×6×6" in str(view.query_one("#note", Static).content)


async def test_without_torch_the_screen_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cnntui.ui.widgets.setup", "cnntui.runs.launch"):
        monkeypatch.setattr(f"{module}.can_train", lambda: False)
    async with opened(CnntuiApp("train")) as (view, pilot):
        assert "pip install 'cnntui[train]'" in text(view.query_one(Setup))
        await pilot.press("space")
        await app_idle(pilot)
        assert "not started: training needs torch" in str(view.query_one("#note", Static).content)


async def test_no_run_to_open() -> None:
    async with opened(CnntuiApp("train")) as (_, pilot):
        await pilot.press("o")
        assert any("there is no run yet" in note.message for note in pilot.app._notifications)


async def test_one_key_trains_a_real_net_to_its_end() -> None:
    """The main job: space starts, the curve and the maps come in live, the accuracy is of the whole test set."""
    network = parse("conv 8 same; relu; maxpool 2; flatten; linear 10", (1, 8, 8), "small")
    settings = Settings(data="digits", epochs=8, device="cpu")
    app = CnntuiApp("train", network=network, settings=settings)
    async with opened(app) as (view, pilot):
        await pilot.press("space")
        await until(pilot, lambda: view.run_view is not None and len(view.run_view.test_accuracy) >= 1)
        assert app.clock.awake
        await until(pilot, lambda: view.run_view is not None and view.run_view.ended and view.run_view.exit is not None)
        await pilot.pause(0.6)
        assert view.run_view is not None
        assert view.run_view.trained
        assert "of 360" in text(view.query_one(RunLine))
        assert "relu1" in text(view.query_one(FeatureMaps)) or "conv1" in text(view.query_one(FeatureMaps))
        assert app.going_run is None
        assert not app.clock.awake
        await pilot.press("n")
        assert view.reader is None
        assert view.state.settings.epochs == 8, "the settings of the run that was"
        await pilot.press("o", "enter")
        await until(pilot, lambda: view.run_view is not None)


async def test_pausing_stopping_and_leaving_a_run_that_goes_on() -> None:
    network = parse("conv 8 same; relu; maxpool 2; flatten; linear 10", (1, 8, 8), "small")
    app = CnntuiApp("train", network=network, settings=Settings(data="digits", epochs=100_000, device="cpu"))
    async with opened(app) as (view, pilot):
        await pilot.press("space")
        await until(pilot, lambda: view.run_view is not None and len(view.run_view.train_loss) >= 1)
        assert view.reader is not None
        run = view.reader.directory
        await pilot.press("space")
        await until(pilot, lambda: view.run_view is not None and view.run_view.state == "paused")
        await pilot.press("space")
        await until(pilot, lambda: view.run_view is not None and view.run_view.state == "training")
        await pilot.press("s")
        assert any("s once more stops this run" in note.message for note in app._notifications)
        await pilot.press("q")
    assert app.going_run == run.name, "the command line tells how to come back"
    reader = RunReader(run)
    before = reader.poll().train_loss[-1][0]
    deadline = time.monotonic() + 30
    while reader.poll().train_loss[-1][0] == before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert reader.poll().train_loss[-1][0] > before, "it trains on"

    again = CnntuiApp("train", run=run)
    async with opened(again) as (view, pilot):
        assert view.run_view is not None
        assert view.run_view.train_loss[0][0] < before, "attached, with the whole curve"
        await pilot.press("s", "s")
        await until(pilot, lambda: view.run_view is not None and view.run_view.ended)
        assert "stopped at step" in view.run_view.message


async def test_the_live_screen_stays_within_its_bytes(tmp_path: Path) -> None:
    """A poll a half second: without new maps at most 1,500 bytes, so 3 KB a second."""
    run = write_run(tmp_path)
    log, exit_file = run / "events.1.jsonl", run / "exit.json"
    lines = log.read_text().splitlines(keepends=True)
    exit_file.unlink()
    first = [line for line in lines if '"kind":"train"' not in line and '"kind":"test"' not in line]
    steps = [line for line in lines if '"kind":"train"' in line]
    log.write_text("".join([*first, *steps[:30]]))
    app = MeteredApp("train", run=run)
    async with opened(app) as (view, pilot):
        app.clock.ignore(view)
        sent = []
        for line in steps[30:50]:
            with log.open("a") as file:
                file.write(line)
            app.sent = 0
            view._poll_now()
            await app.workers.wait_for_complete()
            await pilot.pause()
            sent.append(app.sent)
        assert 0 < sum(sent) / len(sent) <= 1500, sent


async def test_several_viewers_see_the_same(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    one, two = RunReader(run).poll(), RunReader(run).poll()
    assert one == two
    send(run, "pause")
    assert RunReader(run).poll() == one
