"""Stories on the Train screen: on a run that left fixed numbers, and on real ones."""

from __future__ import annotations

import itertools
import json
import math
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from cnntui.core.nets import load_net
from cnntui.core.network import sequential
from cnntui.core.notation import parse
from cnntui.labs.curves import stretches
from cnntui.labs.train import HELP, TrainState
from cnntui.labs.watching import ACCURACY, CLASSES, CONFUSION, DATA, FILTERS, LOSS, MAPS, MISREAD, RATE
from cnntui.runs.control import Command, receive, send
from cnntui.runs.events import Answer, Event, Notice, Probe, Ranks, Resume, Train
from cnntui.runs.events import Test as EpochTested
from cnntui.runs.launch import LaunchError
from cnntui.runs.ranks import gain
from cnntui.runs.reader import MOST_MAPS, RunReader
from cnntui.runs.spec import Settings, Status, read_json
from cnntui.ui.app import CnntuiApp
from cnntui.ui.screens.dialogs import Choose
from cnntui.ui.views.train import KINDS, WATCHING, TrainView
from cnntui.ui.widgets.painted import Painted
from cnntui.ui.widgets.panel import Pane
from cnntui.ui.widgets.run_line import RunLine
from cnntui.ui.widgets.setup import Setup
from tests.ui.helpers import MeteredApp, burst, make_live, write_run


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


def panel(view: TrainView, number: int) -> str:
    """What is read in the pane that shows this panel."""
    (pane,) = [pane for pane in view.query(Pane) if pane.number == number and pane.display]
    return text(pane)


def note(view: TrainView) -> str:
    return str(view.query_one("#note", Static).content)


def append(run: Path, *events: Event, attempt: int = 1) -> None:
    """More of what a trainer would have written."""
    log = run / f"events.{attempt}.jsonl"
    seq = len(log.read_bytes().splitlines()) if log.exists() else 0
    with log.open("ab") as file:
        for event in events:
            seq += 1
            file.write(msgspec.json.encode(msgspec.structs.replace(event, seq=seq, attempt=attempt)) + b"\n")


def sent(run: Path) -> list[Command]:
    """The commands that wait for the trainer of a run."""
    return [command for _, command in receive(run) if command is not None]


def lines_of(pilot: Pilot[None]) -> list[str]:
    """The lines of the dialog."""
    return [str(option.prompt) for option in pilot.app.screen.query_one(OptionList).options]


async def polled(view: TrainView, pilot: Pilot[None]) -> None:
    view.poll_now()
    await app_idle(pilot)


async def test_a_finished_run_shows_its_whole_story(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path))) as (view, _):
        line = text(view.query_one(RunLine))
        assert "mnist-3conv on mnist   cpu   finished" in line
        assert "epoch 3/3" in line
        assert "test 98.33 % of 10,000" in line
        chart = panel(view, LOSS)
        assert "train 0.0455  ● test 0.0228" in chart
        maps = panel(view, MAPS)
        assert "picture 107: a 7, read as 7 ✓" in maps
        assert "conv1  6 of 32 maps" in maps
        assert "step 300" in maps
        assert "100.00 %     980 of 980" in panel(view, CLASSES)
        assert "picture 1,242: a 4, rea" in panel(view, MISREAD)
        assert not view.clock.awake, "an ended run is not polled"


async def test_layers_and_pictures_are_looked_through(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path))) as (view, pilot):
        await pilot.press("right", "right", "up")
        assert "maxpool1 " in panel(view, MAPS)
        assert "picture 106: a 6, read as 6 ✓" in panel(view, MAPS)
        await pilot.press("left", "left", "left")
        assert "maxpool3 " in panel(view, MAPS), "round and round"
        await pilot.press("m")
        assert "@" in panel(view, MAPS), "glyphs instead of colours"
        assert "▀" not in panel(view, MAPS)


async def test_a_crashed_run_says_by_which_signal(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path, state="crashed"))) as (view, _):
        assert "✗ crashed" in text(view.query_one(RunLine))
        assert note(view) == "crashed: killed by SIGKILL   space resumes from step 200"


async def test_nan_is_a_gap_and_no_exception(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path, nan=True))) as (view, pilot):
        assert view.run_view is not None
        assert len(list(stretches(view.run_view.train_loss))) == 2
        chart = panel(view, LOSS).splitlines()
        drawn = {x for line in chart[2:-1] for x, glyph in enumerate(line) if 0x2800 < ord(glyph) < 0x2900}
        columns = sorted(drawn)
        assert max(after - before for before, after in itertools.pairwise(columns)) > 4, "nothing is drawn there"
        await pilot.press("g")
        assert "log" not in panel(view, LOSS), "linear now"


async def test_garbage_in_the_log_is_counted(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    with (run / "events.1.jsonl").open("a") as log:
        log.write("garbage\n")
    async with opened(CnntuiApp("train", run=run)) as (view, _):
        assert "1 record of the log could not be read" in str(view.query_one("#note", Static).content)


def spread(view: TrainView) -> int:
    """How far the shades of the first layer lie apart."""
    assert view.run_view is not None
    assert view.run_view.probe is not None
    pictures = next(iter(view.query(Pane))).panels[MAPS].pictures
    shades = pictures.of(view.run_view, view.run_view.probe, view.run_view.probe.maps["conv1"])
    assert shades is not None
    return int(np.ptp(shades))


async def test_another_run_with_the_same_last_step_shows_its_own_maps(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two")
    np.save(two / "maps" / "300-conv1.npy", np.full((10, 8, 28, 28), 128, dtype=np.uint8))
    async with opened(CnntuiApp("train", run=one)) as (view, pilot):
        assert spread(view) > 0
        view.follow(RunReader(two))
        await app_idle(pilot)
        assert spread(view) == 0


async def test_missing_maps_are_no_exception(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    for path in (run / "maps").iterdir():
        path.unlink()
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press("right")
        assert "picture 107: " in panel(view, MAPS)
        assert "maps are not there any more" in panel(view, MAPS)


async def test_choosing_settings_before_the_start() -> None:
    async with opened(CnntuiApp("train")) as (view, pilot):
        setup = view.query_one(Setup)
        assert "lenet5  1×32×32   61,706 parameters   416,520 MACs" in text(setup)
        await pilot.press("down", "down", "right", "down", "left", "left")
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
        await pilot.press("down", "down", "right")
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
        await pilot.pause(1.2)
        assert view.run_view is not None
        assert view.run_view.trained
        assert "of 360" in text(view.query_one(RunLine))
        assert "conv1" in panel(view, MAPS)
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
        assert note(view) == "s once more stops this run, after a checkpoint"
        await pilot.press("q")
    assert app.going_run == run, "the command line tells how to come back"
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
    """A poll a second: without new maps at most 3 KB, with them at most 20 KB."""
    run = make_live(write_run(tmp_path))
    log = run / "events.1.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    probe = next(msgspec.json.decode(line, type=Probe) for line in lines if '"kind":"probe"' in line)
    steps = [line for line in lines if '"kind":"train"' in line]
    log.write_text(
        "".join([*(line for line in lines if line not in steps and '"kind":"test"' not in line), *steps[:30]])
    )
    app = MeteredApp("train", run=run)
    async with opened(app) as (view, pilot):
        app.clock.ignore(view)

        async def second(more: str) -> int:
            with log.open("a") as file:
                file.write(more)
            app.sent = 0
            await polled(view, pilot)
            return app.sent

        without = [await second(line) for line in steps[30:50]]
        assert 0 < sum(without) / len(without) <= 3000, without
        maps = []
        random = np.random.default_rng(0)
        for at, line in enumerate(steps[50:], start=1):
            before = np.load(run / "maps" / probe.maps["conv1"])
            noisy = before + random.integers(-8, 9, before.shape)  # another shade nearly everywhere
            np.save(run / "maps" / f"{at}-conv1.npy", noisy.clip(0, 255).astype(np.uint8))
            probe = msgspec.structs.replace(probe, seq=1000 + at, maps={**probe.maps, "conv1": f"{at}-conv1.npy"})
            maps.append(await second(line + msgspec.json.encode(probe).decode() + "\n"))
        assert 3000 < sum(maps) / len(maps) <= 20_000, maps


async def test_a_screen_on_which_nothing_happens_sends_nothing(tmp_path: Path) -> None:
    app = MeteredApp("train", run=write_run(tmp_path))
    async with opened(app) as (view, pilot):
        app.sent = 0
        await polled(view, pilot)
        assert app.sent == 0
        assert not app.clock.awake


async def test_several_viewers_see_the_same(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    one, two = RunReader(run).poll(), RunReader(run).poll()
    assert one == two
    send(run, "pause")
    assert RunReader(run).poll() == one


# -- panels


async def test_digits_choose_what_the_pane_in_focus_shows(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path))) as (view, pilot):
        assert [pane.number for pane in view.query(Pane)] == [LOSS, MAPS, CLASSES, MISREAD]
        assert panel(view, LOSS).startswith("▸ 1 loss")
        await pilot.press("tab", "7")
        assert panel(view, CONFUSION).startswith("▸ 7 confusion")
        assert panel(view, LOSS).startswith("─ 1 loss")
        await pilot.press("6")
        assert [pane.number for pane in view.query(Pane)] == [LOSS, CLASSES, CONFUSION, MISREAD], "two change places"
        await pilot.press("shift+tab", "shift+tab", "5")
        assert view.looking.panes == (LOSS, CLASSES, CONFUSION, FILTERS)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (LOSS, "train 0.0455"),
        (ACCURACY, "98.33 % right, 1.67 % wrong"),
        (RATE, "learning rate 0.0001  at step 300"),
        (MAPS, "a 7, read as 7 ✓"),
        (FILTERS, "8 of 8 filters 3×3"),
        (CLASSES, "980 of 980"),
        (CONFUSION, "most often: 7 read as 2, 24 times"),
        (MISREAD, "a 4, read as 9 (97 %)"),
        (DATA, "mnist: 60,000 to train, 10,000 to test"),
    ],
)
async def test_every_panel_fills_the_screen(tmp_path: Path, number: int, words: str, size: tuple[int, int]) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path)), size) as (view, pilot):
        await pilot.press(str(number), "z")
        assert words in panel(view, number)
        (pane,) = [pane for pane in view.query(Pane) if pane.display]
        assert pane.size.width == size[0] - 2
        await pilot.press("escape")
        assert len([pane for pane in view.query(Pane) if pane.display]) == (4 if size[0] == 120 else 2)


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (40, 12), (300, 100)])
@pytest.mark.parametrize("live", [True, False])
async def test_no_size_is_an_exception(tmp_path: Path, size: tuple[int, int], live: bool) -> None:
    run = write_run(tmp_path, nan=True)
    if live:
        make_live(run)
    async with opened(CnntuiApp("train", run=run), size) as (view, pilot):
        for number in KINDS:
            await burst(pilot, str(number), "z", "m", "down", "right")  # drawn as large as it can be
            await burst(pilot, "comma", "z")
        view.follow(None)
        await pilot.press("down", "down")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_keys_before_the_first_data_are_no_exception(tmp_path: Path, size: tuple[int, int]) -> None:
    """A run whose trainer has not written a line yet: every key of the screen, in every panel."""
    run = make_live(write_run(tmp_path))
    for path in run.glob("events.*"):
        path.unlink()
    keys = [key for key, *_ in WATCHING if key not in ("d", "n", "v", "l", "p", "s")]
    async with opened(CnntuiApp("train", run=run), size) as (view, pilot):
        for number in KINDS:
            await burst(pilot, str(number))
            for first in range(0, len(keys), 3):
                await burst(pilot, *keys[first : first + 3])
        await app_idle(pilot)
        view.run_view = None
        await pilot.press(*(key for key, *_ in WATCHING if key not in ("d", "n", "v")))
        assert view.reader is not None


async def test_the_cursor_reads_exact_values(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path))) as (view, pilot):
        await pilot.press("full_stop")
        assert "step 300  ─ train 0.0455" in panel(view, LOSS)
        await pilot.press("less_than_sign", "comma", "comma")
        exact = 2.3 * math.exp(-240 / 60) + 0.05 + 0.02 * math.sin(240)
        assert f"step 240  ─ train {exact:.4f}" in panel(view, LOSS)
        await pilot.press("a")
        assert "smoothed 0.6" in panel(view, LOSS)
        assert f"train {exact:.4f}" in panel(view, LOSS), "the value itself, not the smoothed one"
        await pilot.press("escape")
        assert "step 240" not in panel(view, LOSS)
        await pilot.press("r")
        assert "the last steps" in panel(view, LOSS)


async def test_errors_instead_of_accuracy(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path))) as (view, pilot):
        await pilot.press("2", "z", "g")
        shown = panel(view, ACCURACY)
        assert "errors by epoch, log" in shown
        assert "167 of 10,000" in shown


async def test_the_worst_class_first(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path))) as (view, pilot):
        await pilot.press("w")
        lines = panel(view, CLASSES).splitlines()
        assert [line[0] for line in lines[2:5]] == ["7", "3", "2"]
        assert "bars from 95 % to 100 %" in lines[1]


async def test_a_matrix_larger_than_its_pane_is_scrolled(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path)), (80, 24)) as (view, pilot):
        await pilot.press("7")
        assert "columns 1–7, rows 1–10 of 10: arrows" in panel(view, CONFUSION)
        await pilot.press("right", "right", "right", "right", "down")
        assert "columns 4–10, rows 1–10 of 10: arrows" in panel(view, CONFUSION)
        assert "998" in panel(view, CONFUSION)


async def test_misread_pictures_are_paged_and_probed(tmp_path: Path) -> None:
    run = make_live(write_run(tmp_path))
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press("tab", "tab", "tab", "right", "down", "enter")
        assert "a 6, read as 4 (80 %)" in panel(view, MISREAD)
        (command,) = sent(run)
        assert (command.command, command.values) == ("set", {"picture": 3520.0})
        assert "picture 3,520 is asked for" in panel(view, MAPS)
        assert note(view) == "asked: the maps of test picture 3,520"
        await pilot.press("down")
        assert "▸4 → 6 (60 %)" in panel(view, MISREAD), "the next page"


async def test_the_misread_say_how_many_there_are_and_where_the_others_lie(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path)), (80, 24)) as (view, pilot):
        await pilot.press("8")
        wrong = sum(7 * (label % 4) + label // 2 + 3 * (label % 3) for label in range(10))
        assert f"\n↓ 1–4 of 12, the surest of {wrong}" in panel(view, MISREAD)
        await pilot.press("down", "down", "down")
        assert f"\n↑ ↓ 5–8 of 12, the surest of {wrong}" in panel(view, MISREAD)
    async with opened(CnntuiApp("train", run=write_run(tmp_path / "two"))) as (view, pilot):
        assert panel(view, MISREAD).splitlines()[0].endswith(f" ↓ 1–8 of {wrong}"), "no line is left under them"


async def test_the_picture_is_named_first_where_there_is_little_room(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path)), (80, 24)) as (view, _):
        assert "picture 107: a 7, read" in panel(view, MAPS).splitlines()[0]


async def test_filters_are_read_as_they_were_written(tmp_path: Path) -> None:
    """The shades have 127 steps: what they say is wrong in the second decimal."""
    run = write_run(tmp_path)
    weights = np.zeros((2, 1, 2, 3), dtype=np.float32)
    weights[0, 0, 0] = 3.0, 0.125, -0.004
    weights[1, 0, 1] = -1.237, math.nan, math.inf
    np.save(run / "maps" / "300-filters.npy", weights)
    async with opened(CnntuiApp("train", run=run)) as (_, pilot):
        await pilot.press("5", "z")
        await app_idle(pilot)
        (pane,) = [pane for pane in pilot.app.screen.query(Pane) if pane.display]
        numbers = re.findall(r"[−]?\d+\.\d\d", text(pane).split("filters 3×2")[1])
        assert sorted(numbers) == sorted(["3.00", "0.12", "0.00", *["0.00"] * 3, "−1.24", *["0.00"] * 5])
        assert "2 of 2 filters 3×2  −3 " in text(pane), "what is not finite has no scale"


@pytest.mark.parametrize(
    "damaged",
    [
        np.zeros((2, 1, 3, 3), dtype=np.uint8),
        np.zeros((2, 9), dtype=np.float32),
        np.zeros((0, 1, 3, 3), dtype=np.float32),
        np.array([None]),
    ],
)
async def test_filters_that_are_none_are_not_shown(tmp_path: Path, damaged: np.ndarray) -> None:
    run = write_run(tmp_path)
    np.save(run / "maps" / "300-filters.npy", damaged, allow_pickle=True)
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press("5")
        assert "this net has no convolution, or its weights are" in panel(view, FILTERS)


async def test_a_file_of_filters_without_end_is_not_read(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    with (run / "maps" / "300-filters.npy").open("r+b") as file:
        file.truncate(MOST_MAPS + 1)
    assert RunReader(run).poll().filters() is None


async def test_smoothed_labels_are_said_beside_the_loss(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path, label_smoothing=0.1)), (80, 24)) as (view, _):
        assert "train: labels smoothed 0.1" in panel(view, LOSS).splitlines()[0]
    async with opened(CnntuiApp("train", run=write_run(tmp_path / "two")), (80, 24)) as (view, _):
        assert "labels smoothed" not in panel(view, LOSS)


async def test_a_tiny_loss_is_not_zero(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    append(run, Train(step=301, epoch=3, loss=1.234e-5, lr=0.001, images_per_second=4000.0))
    async with opened(CnntuiApp("train", run=run)) as (view, _):
        assert "train 1.23e-05 " in panel(view, LOSS)


async def test_right_and_wrong_are_a_hundred(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    append(run, EpochTested(step=300, epoch=3, loss=0.1, accuracy=0.73056, count=10_000))
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press("2")
        assert "73.06 % right, 26.94 % wrong" in panel(view, ACCURACY)


# -- steering


async def test_a_steered_run_answers_with_the_step(tmp_path: Path) -> None:
    run = make_live(write_run(tmp_path))
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press("l")
        await pilot.pause()
        line = pilot.app.screen.query_one(Input)
        assert line.value == "0.0001"
        await pilot.press("up", "down", "down")
        assert line.value == "5e-05"
        await pilot.press("ctrl+u", *"fast", "enter")
        problem = pilot.app.screen.query_one("#problem", Static)
        assert str(problem.content) == "'fast' is not a number: write one like 0.0005 or 5e-4"
        await pilot.press("ctrl+u", *"0.002", "enter")
        await app_idle(pilot)
        assert note(view) == "asked: learning rate 0.002"
        (command,) = sent(run)
        assert command.values == {"lr": 0.002}
        message = "learning rate 0.002 from step 1235"
        append(run, Answer(step=1234, id=command.id, command="set", accepted=True, message=message))
        await polled(view, pilot)
        assert note(view) == message
        await pilot.press("k")
        command = sent(run)[-1]
        append(run, Answer(step=1240, id=command.id, command="checkpoint", accepted=False, message="the disk is full"))
        await polled(view, pilot)
        assert note(view) == "checkpoint was refused: the disk is full"
        await pilot.press("space")
        assert sent(run)[-1].command == "pause"


def pause_answers(run: Path, count: int) -> None:
    """As many answers to the oldest commands that wait, as a trainer gives them, its inbox emptied."""
    for path, command in receive(run)[:count]:
        assert command is not None
        append(run, Answer(step=250, id=command.id, command=command.command, accepted=True, message=""))
        path.unlink()


async def test_more_commands_than_answers_are_kept_are_not_waited_for(tmp_path: Path) -> None:
    run = make_live(write_run(tmp_path))
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press(*["space"] * 30)
        assert [command.command for command in sent(run)] == ["pause", "resume"] * 15, "each the other one"
        assert note(view) == "asked: resume"
        pause_answers(run, 29)
        await polled(view, pilot)
        assert len(view.asked) == 1
        assert note(view) == "asked: resume"
        pause_answers(run, 1)
        await polled(view, pilot)
        assert not view.asked
        assert note(view) == "resume at step 250"


async def test_a_command_without_an_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_live(write_run(tmp_path))
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press("k", "space")
        await polled(view, pilot)
        assert note(view) == "asked: pause"
        monkeypatch.setattr("cnntui.ui.views.train_moves.PATIENCE_SECONDS", -1.0)
        await polled(view, pilot)
        assert note(view) == "no answer to pause yet"
        assert not view.asked
        await pilot.press("space")
        assert sent(run)[-1].command == "pause", "what was given up does not count"


async def test_nothing_is_waited_for_of_a_run_that_ended(tmp_path: Path) -> None:
    run = make_live(write_run(tmp_path / "live"))
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press("space")
        finished = write_run(tmp_path / "ended")
        for name in ("status.json", "exit.json"):
            (run / name).write_bytes((finished / name).read_bytes())
        await polled(view, pilot)
        assert not view.asked
        assert note(view) == "", "nor does an answer of long ago stand there"


async def test_what_an_attempt_before_was_told_is_not_shown(tmp_path: Path) -> None:
    run = make_live(write_run(tmp_path))
    append(run, Answer(step=260, id="b", command="stop", accepted=True, message="stop at step 260"))
    (run / "attempt-2.lock").touch()
    append(run, Resume(step=200, checkpoint="step-200"), attempt=2)
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        assert note(view) == "", "it is starting"
        make_live_again(run)
        await polled(view, pilot)
        assert note(view) == ""
        append(run, Answer(step=270, id="c", command="pause", accepted=True, message=""), attempt=2)
        await polled(view, pilot)
        assert note(view) == "pause at step 270"


def make_live_again(run: Path) -> None:
    """The second attempt trains, in this very process."""
    (run / "exit.json").touch()
    make_live(run, attempt=2)


async def test_a_run_at_odds_with_its_checkpoint_is_not_offered_as_if_it_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path, state="failed")
    told = read_json(run / "status.json", Status)
    assert told is not None
    told = msgspec.structs.replace(told, message="step-200 was trained otherwise: lr 0.1, was 0.001")
    (run / "status.json").write_bytes(msgspec.json.encode(told))
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        assert note(view).startswith(
            "failed: step-200 was trained otherwise: lr 0.1, was 0.001   space tries again, once"
        )
        assert "resumes from" not in note(view)
        said: list[tuple[str, bool] | None] = []
        monkeypatch.setattr("cnntui.ui.views.train_moves.resume", lambda _: said.append(view.said))
        await pilot.press("space")
        await app_idle(pilot)
        assert said == [("trying again …", True)]


async def test_a_paused_run_says_once_why_and_has_no_speed(tmp_path: Path) -> None:
    message = "the loss is nan at step 240: paused; resume goes back to step 200"
    run = make_live(write_run(tmp_path), state="paused", message=message)
    async with opened(CnntuiApp("train", run=run)) as (view, _):
        assert note(view) == message
        assert "images/s" not in text(view.query_one(RunLine))
        assert "lr 0.0001" in text(view.query_one(RunLine))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_several_ranks_are_told_together_and_each(tmp_path: Path, size: tuple[int, int]) -> None:
    run = make_live(write_run(tmp_path), images_per_second=5200.0, rank_speeds=[2610.0, 2590.0])
    spec = json.loads((run / "spec.json").read_text())
    (run / "spec.json").write_text(json.dumps({**spec, "ranks": 2}))
    ranks = Ranks(step=270, count=2, together=5200, each=[2600, 2600], alone=6800)
    append(run, ranks, Notice(step=270, message=gain(ranks, 64)))
    async with opened(CnntuiApp("train", run=run), size) as (view, _):
        line = text(view.query_one(RunLine))
        assert "2 ranks, cpu" in line
        assert "5,200 images/s (2,600 each)   0.76 times one alone" in line
        assert "one alone does 6,800: 0.76 times as fast. Too small to gain" in note(view)


def test_what_ranks_a_run_had_its_successor_has_too_unless_x_is_pressed() -> None:
    state = TrainState(load_net("lenet5").network, Settings(data="digits", ranks=2))
    assert state.extras == ["2 ranks train it together"]
    assert state.without_extras().settings.ranks == 1


def test_what_is_frozen_and_how_the_backbone_learns_is_seen_and_goes_with_x() -> None:
    chosen = Settings(weights_from="/runs/one", new_head=True, frozen=True)
    state = TrainState(load_net("lenet5").network, chosen)
    assert state.extras == [
        "begins with the weights of one, new head",
        "backbone frozen: 850 of 61,706 parameters are trained",
    ]
    assert state.without_extras().settings == Settings()
    assert state.with_network(load_net("vgg11").network).settings == Settings()
    slower = TrainState(load_net("lenet5").network, Settings(backbone_lr=0.0001))
    assert slower.extras == ["learning rate of the backbone: 0.0001"]
    assert slower.without_extras().settings == Settings()


async def test_a_log_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    run = make_live(write_run(tmp_path))
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        assert "log" not in text(view.query_one(RunLine))
        (run / "events.1.jsonl").unlink()
        await polled(view, pilot)
        assert "its log is gone" in text(view.query_one(RunLine))
    async with opened(CnntuiApp("train", run=run)) as (view, _):
        assert "its log is gone" in text(view.query_one(RunLine))
        assert "reading the log" not in text(view.query_one(RunLine))


async def test_a_short_test_does_not_flicker(tmp_path: Path) -> None:
    run = make_live(write_run(tmp_path), phase="evaluating", progress_age=0.4)
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        assert "cpu   training   " in text(view.query_one(RunLine)) + "   "
        assert "evaluating" not in text(view.query_one(RunLine))
        (run / "exit.json").touch()
        make_live(run, phase="evaluating", progress_age=2.5)
        await polled(view, pilot)
        assert "training: testing" in text(view.query_one(RunLine))


async def test_a_layer_without_maps_is_asked_for_once(tmp_path: Path) -> None:
    run = make_live(write_run(tmp_path))
    log = run / "events.1.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    probe = next(msgspec.json.decode(line, type=Probe) for line in lines if '"kind":"probe"' in line)
    log.write_text("".join(line for line in lines if '"kind":"probe"' not in line))
    few = {name: probe.maps[name] for name in ("input", "conv1")}
    append(run, msgspec.structs.replace(probe, maps=few))
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press("right")
        assert "relu1 is asked for" in panel(view, MAPS)
        await pilot.pause(0.6)
        await pilot.press("left", "right")
        await pilot.pause(0.6)
        (command,) = sent(run)
        assert command.values == {"layer": "relu1"}
        append(run, probe)
        await polled(view, pilot)
        assert "relu1  6 of 32 maps" in panel(view, MAPS)


async def test_a_picture_is_probed_by_its_number(tmp_path: Path) -> None:
    run = make_live(write_run(tmp_path))
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press("p", *"10000", "enter")
        problem = pilot.app.screen.query_one("#problem", Static)
        assert str(problem.content) == "there are 10,000 test pictures: 0 to 9,999"
        await pilot.press("ctrl+u", *"103", "enter")
        await app_idle(pilot)
        assert "picture 103: a 3, read as 3 ✓" in panel(view, MAPS)
        assert not sent(run), "its maps are there already"


async def test_an_ended_run_is_resumed_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path, state="crashed")
    resumed: list[Path] = []

    def resume(directory: Path) -> int:
        resumed.append(directory)
        (directory / "attempt-2.lock").touch()
        append(directory, Resume(step=200, checkpoint="step-200"), attempt=2)
        return 2

    monkeypatch.setattr("cnntui.ui.views.train_moves.resume", resume)
    app = CnntuiApp("train", run=run)
    async with opened(app) as (view, pilot):
        await pilot.press("k")
        assert "this run has ended, nobody is there to do it: space resumes from step 200" in note(view)
        await pilot.press("space")
        await app_idle(pilot)
        await app_idle(pilot)
        assert resumed == [run]
        assert view.run_view is not None
        assert view.run_view.state == "starting"
        assert view.run_view.train_loss[-1][0] == 200
        assert app.clock.awake, "it is watched again"


async def test_a_run_that_cannot_be_resumed_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def resume(directory: Path) -> int:
        raise LaunchError("its spec was edited: epochs 3, was 5")

    monkeypatch.setattr("cnntui.ui.views.train_moves.resume", resume)
    async with opened(CnntuiApp("train", run=write_run(tmp_path, state="crashed"))) as (view, pilot):
        await pilot.press("space")
        await app_idle(pilot)
        assert note(view) == "not resumed: its spec was edited: epochs 3, was 5"


async def test_a_trained_run_is_not_resumed(tmp_path: Path) -> None:
    async with opened(CnntuiApp("train", run=write_run(tmp_path))) as (view, pilot):
        await pilot.press("space")
        assert note(view) == "trained to its end: n begins a new one with its settings"


async def test_what_a_gpu_tells_and_what_it_does_not(tmp_path: Path) -> None:
    facts = {"memory_total": 141 * 2**30, "utilization": 87, "temperature": None}
    run = make_live(write_run(tmp_path), device="cuda:0", **facts)
    async with opened(CnntuiApp("train", run=run)) as (view, _):
        line = text(view.query_one(RunLine))
        assert "512 MiB of 141.0 GiB   GPU 87 % n/a   checkpoint at 200" in line
        assert "lr 0.0001" in line


async def test_a_long_log_is_painted_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_live(write_run(tmp_path))
    more = [Train(step=300 + i, epoch=3, loss=0.1, lr=0.001, images_per_second=4000.0) for i in range(3000)]
    append(run, *more)
    monkeypatch.setattr("cnntui.runs.reader.PIECE_BYTES", 1 << 16)
    monkeypatch.setattr("cnntui.ui.views.train.PIECE_SECONDS", 0.0)
    monkeypatch.setattr("cnntui.ui.views.train.PAINT_SECONDS", 0.0)
    lines: list[str] = []
    draw = TrainView.draw

    def noting(view: TrainView) -> None:
        draw(view)
        lines.append(text(view.query_one(RunLine)))

    monkeypatch.setattr(TrainView, "draw", noting)
    async with opened(CnntuiApp("train", run=run)) as (view, _):
        assert view.run_view is not None
        assert view.run_view.train_loss[-1][0] == 3299, "all of it, without waiting for the next second"
        shares = [int(found[1]) for line in lines if (found := re.search(r"reading the log (\d+) %", line))]
        assert len(shares) > 2
        assert shares == sorted(shares)
        assert "reading" not in lines[-1]


# -- several runs


async def test_runs_are_drawn_over_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNTUI_RUNS", str(tmp_path))
    run = make_live(write_run(tmp_path))
    names = [f"20261120-12000{i}-mnist-3conv-{i}" for i in range(1, 8)]
    for i, name in enumerate(names):
        write_run(tmp_path, name=name, slower=1.2 + i / 10, lr=0.002 + i / 1000)
    app = CnntuiApp("train", run=run)
    async with opened(app) as (view, pilot):
        await pilot.press("v")
        await pilot.pause()
        await pilot.press("home", "space", "down", "space", "enter")
        await app_idle(pilot)
        await app_idle(pilot)
        legend = panel(view, LOSS).splitlines()[2]
        assert re.fullmatch(r"a lr 0\.008 \d\.\d{4}   b lr 0\.007 \d\.\d{4}", legend)
        await pilot.press("2")
        assert "a lr 0.008 97.00 %" in panel(view, ACCURACY)
        await pilot.press("v")
        await pilot.pause()
        assert [line[:3] for line in lines_of(pilot)] == ["[x]", "[x]", *["[ ]"] * 5]
        await pilot.press("home", "down", "down", "space", *["down", "space"] * 3, "enter")
        await app_idle(pilot)
        assert len(view.others) == 5, "no more than can be told apart"
        view.action_new()
        assert not view.others


# -- before the start


async def test_what_a_new_run_takes_over_is_seen_and_can_be_dropped(tmp_path: Path) -> None:
    run = write_run(tmp_path, weights_from="/runs/20261119-mnist-abc", tensorboard="/boards/one")
    async with opened(CnntuiApp("train", run=run), (80, 24)) as (view, pilot):
        await pilot.press("n")
        setup = view.query_one(Setup)
        assert "x begins with the weights of 20261119-mnist-abc" in text(setup)
        assert view.state.settings.tensorboard is None, "two runs in one directory would be one curve"
        await pilot.press("x")
        assert view.state.settings.weights_from is None
        assert "begins with" not in text(setup)
        assert view.state.settings.epochs == 3
        await pilot.press("x")
        assert view.reader is None


async def test_another_net_begins_with_weights_of_its_own() -> None:
    settings = Settings(weights_from="/runs/one", tensorboard="/boards/one", lr=0.002)
    network = parse("flatten; linear 10", (1, 8, 8), "tiny")
    async with opened(CnntuiApp("train", network=network, settings=settings)) as (view, pilot):
        assert "begins with the weights of one" in text(view.query_one(Setup))
        assert "TensorBoard: /boards/one" in text(view.query_one(Setup))
        await pilot.press("e", "home", "enter")
        await pilot.pause()
        assert view.state.settings == Settings(tensorboard="/boards/one", lr=0.002)


async def test_a_recipe_sets_the_rows_below_it() -> None:
    async with opened(CnntuiApp("train")) as (view, pilot):
        setup = view.query_one(Setup)
        await pilot.press("down", "right")
        assert view.state.settings.schedule == "onecycle"
        assert re.search(r"recipe +‹ fast ›", text(setup))
        await pilot.press("down", "right")
        assert view.state.recipe == "own"
        assert re.search(r"recipe +own", text(setup))
        await pilot.press("up", "right", "left")
        assert view.state.settings == Settings()


async def test_each_setting_has_a_line_of_help_at_80_by_24() -> None:
    async with opened(CnntuiApp("train"), (80, 24)) as (view, pilot):
        for name in view.state.names:
            shown = " ".join(text(view.query_one(Setup)).split())
            assert HELP[name] in shown
            assert "starts it, in a process of its own" in shown or "pip install" in shown
            assert "▸ " + name.replace("_", " ") in shown
            await pilot.press("down")


async def test_digits_are_never_mirrored() -> None:
    state = TrainState(parse("flatten; linear 10", (1, 8, 8), "tiny"), Settings(data="cifar10", augment="flip"))
    assert "flip" in state.choices("augment")
    assert state.change(-3).settings.augment == "shift"
    assert "flip" not in state.change(-3).choices("augment")


async def test_what_the_screen_says_outlasts_the_next_reading(tmp_path: Path) -> None:
    run = make_live(write_run(tmp_path))
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press("s")
        await polled(view, pilot)
        assert note(view) == "s once more stops this run, after a checkpoint"
        await pilot.press("s")
        assert note(view) == "asked: stop"
        assert [command.command for command in sent(run)] == ["stop"]


async def test_an_old_answer_is_not_waited_for_again(tmp_path: Path) -> None:
    run = make_live(write_run(tmp_path))
    async with opened(CnntuiApp("train", run=run)) as (view, pilot):
        await pilot.press("k")
        (command,) = sent(run)
        append(
            run, Answer(step=250, id=command.id, command="checkpoint", accepted=True, message="checkpoint at step 250")
        )
        await polled(view, pilot)
        append(run, *(Answer(step=260 + i, id=str(i), command="pause", accepted=True, message="") for i in range(30)))
        await polled(view, pilot)
        assert note(view) == "pause at step 289"
