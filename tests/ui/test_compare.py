"""Stories on the Compare screen: on a sweep that left fixed numbers, trained, going, failed, waiting, vanished."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Label, OptionList, Static

from cnntui.labs.wish import Picked
from cnntui.runs.places import SWEEP
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Spec, Status, read_json
from cnntui.runs.sweeps.conductor import conducting
from cnntui.runs.sweeps.directory import prepare, read_sweep
from cnntui.runs.sweeps.file import ready
from cnntui.runs.sweeps.plan import Choices, Design
from cnntui.ui.app import CnntuiApp
from cnntui.ui.screens.dialogs import Choose
from cnntui.ui.screens.train_dialogs import ChooseSeveral
from cnntui.ui.theme import DARK_16
from cnntui.ui.views.compare import CompareView
from cnntui.ui.views.explore import ExploreView
from cnntui.ui.views.train import TrainView
from cnntui.ui.widgets.compare_account import CompareAccount
from cnntui.ui.widgets.compare_curves import CompareCurves
from cnntui.ui.widgets.compare_head import CompareHead, CompareNotes
from cnntui.ui.widgets.compare_table import CompareTable
from cnntui.ui.widgets.painted import Painted
from tests.ui.helpers import MeteredApp, write_run
from tests.ui.swept import DEPTHS, GOING, KILLED, TRAINED, WAITING, design, write_log, write_swept

MIXED = {"depth 4": (TRAINED, TRAINED, GOING), "depth 8": (TRAINED, KILLED, WAITING)}
LABELS = [f"depth {depth}" for depth in DEPTHS]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs are kept."""
    monkeypatch.setenv("CNNTUI_RUNS", str(tmp_path))
    return tmp_path


async def settled(pilot: Pilot[None]) -> None:
    for _ in range(2):
        await pilot.pause()
        await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Wait for another process, as long as a busy machine may take."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        await pilot.pause(0.1)


@asynccontextmanager
async def opened(app: CnntuiApp, size: tuple[int, int] = (120, 40)) -> AsyncIterator[tuple[CompareView, Pilot[None]]]:
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        yield app.screen.query_one(CompareView), pilot


async def pressed(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settled(pilot)


def text(view: CompareView, kind: type[Painted]) -> str:
    widget = view.query_one(kind)
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.content_size.height))


def row(view: CompareView, label: str) -> str:
    return next(line for line in text(view, CompareTable).splitlines() if label in line)


def empty(view: CompareView) -> str:
    assert view.has_class("-empty")
    return str(view.query_one("#empty", Static).content)


async def test_a_sweep_shows_what_made_a_difference(root: Path) -> None:
    async with opened(CnntuiApp("compare", compare=Picked(write_swept(root)))) as (view, pilot):
        assert "depth  4 configurations × 3 seeds on digits   How many" in text(view, CompareHead)
        assert "12 runs: 12 trained" in text(view, CompareHead)
        assert "80 %" in text(view, CompareTable).splitlines()[0]
        assert "3/3      93.15 ± 0.42 %  baseline" in row(view, "depth 2")
        assert row(view, "depth 2").startswith("▸ b"), "the baseline is what one begins at"
        assert "+3.98 [+2.79, +5.17] ▲" in row(view, "depth 4")
        assert "−5.65 [−6.80, −4.50] ▼" in row(view, "depth 1")
        bars = {label: row(view, label).partition("━")[2] for label in LABELS}
        assert sorted(LABELS, key=lambda label: bars[label].rindex("┃")) == ["depth 1", "depth 2", "depth 8", "depth 4"]
        assert "▲ better, ▼ worse than depth 2" in text(view, CompareNotes)
        assert "b 93.15 (92.78 to 93.61, 3 seeds)" in text(view, CompareCurves)
        await pressed(pilot, "down")
        assert "depth          2 → 4" in text(view, CompareAccount)
        assert not view.clock.awake, "what is over is not read again"


async def test_keys_look_at_it_from_all_sides(root: Path) -> None:
    async with opened(CnntuiApp("compare", compare=Picked(write_swept(root)))) as (view, pilot):
        await pressed(pilot, "down", "b")
        assert "baseline" in row(view, "depth 4")
        assert "−3.98 [−5.17, −2.79] ▼" in row(view, "depth 2")
        await pressed(pilot, "up", "x")
        assert row(view, "depth 2").startswith("▸ ○")
        assert "b 93" not in text(view, CompareCurves)
        await pressed(pilot, "m")
        assert "test loss, log" in text(view, CompareCurves)
        await pressed(pilot, "m")
        assert "smoothed 0.9" in text(view, CompareCurves)
        await pressed(pilot, "m", "g")
        assert "test errors, log" in text(view, CompareCurves)
        await pressed(pilot, "x", "full_stop", "less_than_sign", "full_stop")
        assert "epoch 2  b" in text(view, CompareCurves)
        await pressed(pilot, "escape", "s")
        assert [line[4:11] for line in text(view, CompareTable).splitlines()[1:]] == [
            "depth 4",
            "depth 8",
            "depth 2",
            "depth 1",
        ]
        assert view.state is not None
        await pressed(pilot, "right", "right")
        assert "▸    2  ✓ trained" in text(view, CompareAccount)
        await pilot.click(CompareTable, offset=(6, 1))
        assert view.state.group.label == "depth 4"


async def test_a_narrow_screen_has_one_pane_and_tab_turns_it(root: Path) -> None:
    app = CnntuiApp("compare", compare=Picked(write_swept(root, MIXED)))
    async with opened(app, (80, 24)) as (view, pilot):
        assert "✗ 1 failed  … 1 going  · 1 waiting" in text(view, CompareHead)
        assert "1/3 ✗ 1 · 1" in row(view, "depth 8")
        assert "[−6.80, −4.50] ▼" in row(view, "depth 1"), "marks first, then intervals"
        assert view.query_one(CompareCurves).display
        assert not view.query_one(CompareAccount).display
        await pressed(pilot, "tab")
        assert not view.query_one(CompareCurves).display
        assert "adam, lr 0.003" in text(view, CompareAccount)


def crossed() -> Design:
    """Whose labels begin alike and end alike."""
    vary: dict[str, Choices] = {
        "norm": {"none": "", "batch norm": "bn"},
        "lr": {"0.0003": 0.0003, "0.003": 0.003, "0.03": 0.03},
    }
    plain = design()
    base = {"norm": "", **{name: plain.baseline[name] for name in ("data", "epochs", "lr")}}
    net = "( conv 16 same; {norm}; relu ) x4; gap; linear 10"
    return replace(plain, net=net, baseline=base, vary=vary, crossed=True)


async def test_rows_are_told_apart_on_a_narrow_screen_and_the_selected_one_has_its_whole_name(root: Path) -> None:
    app = CnntuiApp("compare", compare=Picked(write_swept(root, plan=crossed())))
    async with opened(app, (80, 24)) as (view, pilot):
        table = text(view, CompareTable).splitlines()
        assert table[0].split()[:3] == ["norm,", "lr", "trained"]
        assert [line[2:24].rstrip() for line in table[1:]] == [
            "a none, 0.0003", "b none, 0.003", "c none, 0.03",
            "d batch norm, 0.0003", "e batch norm, 0.003", "f batch norm, 0.03",
        ]  # fmt: skip
        await pressed(pilot, "down", "down", "right")
        assert "d norm: batch norm, lr 0.0003  enter: seed 1" in text(view, CompareCurves).splitlines()[0]
    async with opened(CnntuiApp("compare", compare=Picked(root / "depth"))) as (view, _):
        assert "norm: batch norm, lr 0.0003 " in row(view, "d norm"), "here is room"


async def test_failed_runs_are_shown_and_never_averaged_over(root: Path) -> None:
    async with opened(CnntuiApp("compare", compare=Picked(write_swept(root, MIXED)))) as (view, pilot):
        assert "1/3 ✗ 1 failed · 1 waiting  95.00" in row(view, "depth 8")
        assert "✗ depth 8, seed 1, is in no mean: crashed: killed by SIGKILL" in text(view, CompareNotes)
        await pressed(pilot, "down", "down")
        assert "✗ seed 1 crashed: killed by SIGKILL" in text(view, CompareAccount)
        await pressed(pilot, "right")
        account = text(view, CompareAccount)
        assert "✗ crashed" in account
        assert "· waiting" in account
        assert "stderr.log" in account


async def test_a_sweep_that_goes_on_is_followed_to_its_end(root: Path) -> None:
    directory = write_swept(root, {"depth 4": (TRAINED, TRAINED, GOING)})
    app = MeteredApp("compare", compare=Picked(directory))
    async with opened(app) as (view, pilot):
        assert "2/3 … 1 going" in row(view, "depth 4")
        assert "98 %" in text(view, CompareHead)
        assert app.clock.awake
        app.sent = 0
        view.poll_now()
        await settled(pilot)
        assert app.sent == 0, "nothing is new"
        run = directory / read_sweep(directory).configurations[2].runs[2]
        (run / "events.1.jsonl").unlink()
        write_log(run, "depth 4", 2)
        view.poll_now()
        await settled(pilot)
        assert "3/3      97.13 ± 0.58 %" in row(view, "depth 4")
        assert "12 runs: 12 trained" in text(view, CompareHead)
        assert not app.clock.awake
        assert 0 < app.sent <= 6000
        app.sent = 0
        await pilot.pause(0.3)
        assert app.sent == 0, "asleep"


async def test_a_sweep_that_was_killed_is_followed_when_it_is_run_again_elsewhere(root: Path) -> None:
    directory = write_swept(root, {"depth 4": (TRAINED, TRAINED, KILLED)})
    app = MeteredApp("compare", compare=Picked(directory))
    async with opened(app) as (view, pilot):
        assert "2/3 ✗ 1 failed" in row(view, "depth 4")
        assert app.clock.awake
        app.sent = 0
        view.poll_now()
        await settled(pilot)
        assert app.sent == 0, "nothing is new"
        write_log(directory / read_sweep(directory).configurations[2].runs[2], "depth 4", 2, attempt=2)
        await until(pilot, lambda: "3/3 " in row(view, "depth 4"))
        await until(pilot, lambda: not app.clock.awake)


async def test_a_hidden_screen_reads_nothing(root: Path) -> None:
    app = CnntuiApp("compare", compare=Picked(write_swept(root, MIXED)))
    async with opened(app) as (view, pilot):
        assert app.clock.awake
        await pressed(pilot, "f2")
        assert not app.clock.awake
        await pressed(pilot, "f7")
        assert app.clock.awake
        assert view.state is not None


# -- what is compared


async def test_the_seventh_key_opens_the_sweep_that_was_run_last(root: Path) -> None:
    write_swept(root)
    async with CnntuiApp("convolve").run_test(size=(120, 40)) as pilot:
        await pressed(pilot, "f7")
        view = pilot.app.screen.query_one(CompareView)
        assert "12 trained" in text(view, CompareHead)


async def test_without_runs_it_is_said_what_to_do(root: Path) -> None:
    async with opened(CnntuiApp("compare")) as (view, pilot):
        assert "cnntui sweep depth" in empty(view)
        assert not view.clock.awake
        await pressed(pilot, "down", "enter", "b", "y", "space", "r")
        assert [note.message for note in pilot.app._notifications] == ["there is no run yet: train one first"]


async def test_a_ready_sweep_is_made_by_a_key(root: Path) -> None:
    async with opened(CnntuiApp("compare")) as (view, pilot):
        await pressed(pilot, "o")
        names = [option.id for option in pilot.app.screen.query_one(OptionList).options]
        assert names == ready()
        pilot.app.screen.query_one(OptionList).highlighted = names.index("width")
        await pressed(pilot, "enter")
        assert "15 runs: 0 trained  · 15 waiting   space starts it" in text(view, CompareHead)
        assert "0/3 · 3 waiting" in row(view, "width 16")
    assert len(read_sweep(root / "width").directories(root / "width")) == 15


async def test_space_trains_a_sweep_and_stops_it(root: Path) -> None:
    directory = prepare(replace(design(1, {"1": 1, "2": 2}), baseline={**design().baseline, "epochs": 3000}).plan())
    async with opened(CnntuiApp("compare", compare=Picked(directory))) as (view, pilot):
        assert "space starts it" in text(view, CompareHead)
        await pressed(pilot, "space")
        await until(pilot, lambda: "going" in text(view, CompareHead) and "slot" in text(view, CompareHead))
        assert view.clock.awake
        await pressed(pilot, "space")
        assert conducting(directory).state == "running"  # type: ignore[union-attr]  # asked twice
        await until(pilot, lambda: view.state is not None and view.state.result.view.state == "training")
        await pressed(pilot, "space", "space")
        await until(pilot, lambda: "space goes on" in text(view, CompareHead))
        assert conducting(directory).state == "stopped"  # type: ignore[union-attr]
        assert view.clock.awake, "somebody may have it go on elsewhere"
        assert "stopped   space goes on" in text(view, CompareHead)
        assert "failed" not in text(view, CompareHead)


async def test_a_sweep_is_chosen_and_runs_are_picked(root: Path) -> None:
    write_swept(root)
    (root / "depth").rename(root / "another")
    write_swept(root, plan=design(1))
    for number, lr in enumerate((0.01, 0.001)):
        write_run(root, name=f"20991120-11000{number}-mnist-3conv-{number}", lr=lr, slower=1 + number)
    async with opened(CnntuiApp("compare")) as (view, pilot):
        assert "4 runs: 4 trained" in text(view, CompareHead)
        assert "! one seed tells nothing of chance" in text(view, CompareNotes)
        await pressed(pilot, "o")
        assert isinstance(pilot.app.screen, Choose)
        assert "12 runs" in str(pilot.app.screen.query_one(OptionList).options[1].prompt)
        await pressed(pilot, "down", "enter")
        assert "12 runs: 12 trained" in text(view, CompareHead)
        await pressed(pilot, "r")
        assert isinstance(pilot.app.screen, ChooseSeveral)
        names = [option.id for option in pilot.app.screen.query_one(OptionList).options]
        assert str(names[2]).startswith("another/"), "those of sweeps come last"
        picked = [names.index(f"20991120-11000{number}-mnist-3conv-{number}") for number in (0, 1)]
        pilot.app.screen.query_one(OptionList).highlighted = picked[0]
        await pressed(pilot, "space")
        pilot.app.screen.query_one(OptionList).highlighted = picked[1]
        await pressed(pilot, "space")
        assert "takes: 2 ticked" in str(pilot.app.screen.query_one(Label).content)
        await pressed(pilot, "enter")
        assert "2 configurations on mnist" in text(view, CompareHead)
        assert "1/1       96.67 %  baseline" in row(view, "lr 0.001"), "the newer one"
        assert "lr 0.01" in text(view, CompareTable)


async def test_a_sweep_that_cannot_be_read_says_why(root: Path) -> None:
    (root / SWEEP).write_text("{}")
    async with opened(CnntuiApp("compare", compare=Picked(root))) as (view, _):
        assert "holds no sweep: no readable sweep.json in it" in empty(view)
        assert "o   choose a sweep" in empty(view)


async def test_a_sweep_that_vanishes_stays_as_it_was_seen(root: Path) -> None:
    directory = write_swept(root, MIXED)
    async with opened(CnntuiApp("compare", compare=Picked(directory))) as (view, pilot):
        shutil.rmtree(directory)
        view.poll_now()
        await settled(pilot)
        assert any("holds no sweep" in note.message for note in pilot.app._notifications)
        assert "93.15" in row(view, "depth 2")
        assert not view.clock.awake


async def test_different_data_are_not_compared_silently(root: Path) -> None:
    directory = write_swept(root)
    for run in read_sweep(directory).configurations[3].runs:
        path = directory / run / "status.json"
        status = read_json(path, Status)
        assert status is not None
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(status, data="mnist")))
    async with opened(CnntuiApp("compare", compare=Picked(directory))) as (view, _):
        assert "! these runs are of different data, digits, mnist" in text(view, CompareNotes)
        assert "on digits, mnist" in text(view, CompareHead)
        assert "+" not in row(view, "depth 8"), "no difference where there can be none"
        assert "+3.98" in row(view, "depth 4")


# -- and from there


async def test_a_run_is_explored_and_watched(root: Path) -> None:
    directory = write_swept(root)
    run = directory / read_sweep(directory).configurations[2].runs[1]
    app = CnntuiApp("compare", compare=Picked(directory))
    async with opened(app) as (view, pilot):
        await pressed(pilot, "down", "right", "enter")
        assert app.screen.query_one(ExploreView).wish.word == str(run)
        await pressed(pilot, "f7", "t")
        reader = app.screen.query_one(TrainView).reader
        assert reader is not None
        assert reader.directory == run
        await pressed(pilot, "c")
        assert app.screen.query_one(CompareView) is view
        assert view.state is not None
        assert view.state.result.view.directory == run, "its sweep, and the run in it"
        assert len(view.state.comparison.groups) == 4


async def test_what_has_only_begun_is_not_explored(root: Path) -> None:
    states = {"depth 2": (GOING, WAITING, TRAINED), "depth 4": (WAITING,) * 3}
    app = CnntuiApp("compare", compare=Picked(write_swept(root, states)))
    async with opened(app) as (view, pilot):
        await pressed(pilot, "enter", "right", "enter", "left", "down", "enter")
        assert app.current_mode == "compare"
        assert [note.message for note in app._notifications] == [
            "seed 0 is still starting: → 2 times takes seed 2",
            "seed 1 waits for its turn: → takes seed 2",
            "seed 0 waits for its turn: there is nothing to explore in this row yet",
        ]
        assert view.state is not None
        (view.state.result.view.directory / "checkpoints" / "step-23").mkdir(parents=True)
        await pressed(pilot, "enter")
        assert app.current_mode == "explore"


async def test_a_watched_run_is_compared_with_those_over_it(root: Path) -> None:
    one, two = (write_run(root, name=f"20261120-11000{n}-mnist-3conv-{n}", lr=lr) for n, lr in enumerate((0.01, 0.1)))
    app = CnntuiApp("train", run=one)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        train = app.screen.query_one(TrainView)
        train.others = {RunReader(two): None}
        await pressed(pilot, "c")
        view = app.screen.query_one(CompareView)
        assert view.state is not None
        assert [group.label for group in view.state.comparison.groups] == ["lr 0.01", "lr 0.1"]


async def test_the_table_is_copied_as_markdown(root: Path) -> None:
    app = CnntuiApp("compare", compare=Picked(write_swept(root)))
    async with opened(app) as (_, pilot):
        await pressed(pilot, "down", "b", "y")
        assert "| depth 4 | 7,290 | 3 of 3 | 97.13 ± 0.58 % | baseline |  |" in app.clipboard


async def test_what_is_handed_in_is_written_and_nothing_is_written_over(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    app = CnntuiApp("compare", compare=Picked(write_swept(root)))
    async with opened(app) as (_, pilot):
        await pressed(pilot, "w", "w")
        assert sorted(path.name for path in here.iterdir()) == [
            "depth-2-report.md", "depth-2.svg", "depth-report.md", "depth.svg",
        ]  # fmt: skip
        assert "depth 4: +3.98 points" in (here / "depth-report.md").read_text()
        assert (here / "depth.svg").read_text().startswith("<svg")
        assert [note.message for note in app._notifications][1] == f"{here}/depth-2.svg\n{here}/depth-2-report.md"
        monkeypatch.chdir("/proc")
        await pressed(pilot, "w")
        assert "not saved in the working directory" in [note.message for note in app._notifications][2]


# -- any size, any state


CASES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "mixed": MIXED,
    "nothing yet": dict.fromkeys(LABELS, (WAITING,) * 3),
    "all failed": dict.fromkeys(LABELS, (KILLED,) * 3),
    "the first ones": dict.fromkeys(LABELS, (GOING, WAITING, WAITING)),
}


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (80, 24)])
@pytest.mark.parametrize("case", CASES)
async def test_no_size_and_no_state_is_an_exception(root: Path, case: str, size: tuple[int, int]) -> None:
    app = CnntuiApp("compare", compare=Picked(write_swept(root, CASES[case])))
    async with opened(app, size) as (view, pilot):
        await pilot.press("m", "g", "comma", "x", "down", "v", "tab", "s", "b", "right", "m", "m", "x", "pagedown")
        await settled(pilot)
        assert view.state is not None
        assert view.state.group.label in LABELS


@pytest.mark.parametrize("size", [(20, 5), (80, 24), (120, 40)])
@pytest.mark.parametrize("seeds", [1, 2])
async def test_one_configuration_and_one_seed(root: Path, seeds: int, size: tuple[int, int]) -> None:
    directory = write_swept(root, plan=design(seeds))
    runs = tuple(directory / run for run in read_sweep(directory).configurations[2].runs)
    async with opened(CnntuiApp("compare", compare=Picked(runs=runs)), size) as (view, _):
        if size[0] >= 80:
            assert f"{seeds}/{seeds}" in row(view, "depth-4")
            assert "baseline" not in text(view, CompareTable), "there is nothing to compare with"
            assert ("±" in row(view, "depth-4")) == (seeds > 1)


async def test_without_colours_every_curve_has_its_letter(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = CnntuiApp("compare", compare=Picked(write_swept(root)))
    async with opened(app) as (view, _):
        chart = text(view, CompareCurves)
        assert "▄" not in chart
        assert all(letter * 3 in chart for letter in "abcd")
        assert "·" in chart, "the reach of the seeds"
        assert "====" in row(view, "depth 4")


async def test_with_sixteen_colours_the_bands_are_dots(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnntui.ui.theme.palette", lambda app: DARK_16)
    async with opened(CnntuiApp("compare", compare=Picked(write_swept(root)))) as (view, _):
        chart = text(view, CompareCurves)
        assert "·" in chart
        assert "▄" not in chart


async def test_a_run_of_a_newer_version_is_no_exception(root: Path) -> None:
    directory = write_swept(root)
    spec = directory / read_sweep(directory).configurations[3].runs[0] / "spec.json"
    found = read_json(spec, Spec)
    assert found is not None
    spec.write_bytes(msgspec.json.encode(msgspec.structs.replace(found, version=99)))
    async with opened(CnntuiApp("compare", compare=Picked(directory))) as (view, _):
        assert "! 1 run cannot be read any more (depth 8)" in text(view, CompareNotes)
        assert "2/2" in row(view, "depth 8")
