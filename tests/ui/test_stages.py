"""Stories on the stages of lessons: a net is trained in words and with keys, looked into, compared."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
import types
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from cnntui.core.notation import parse
from cnntui.labs.recipes import Recipe, Recipes
from cnntui.labs.stages import WordsError, stage
from cnntui.runs import launch
from cnntui.runs.launch import LaunchError
from cnntui.runs.listing import run_directories
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Settings
from cnntui.runs.sweeps import conductor
from cnntui.runs.sweeps.plan import Choices, Design
from cnntui.ui.app import CnntuiApp
from cnntui.ui.screens.dialogs import Choose
from cnntui.ui.screens.patches import Patches
from cnntui.ui.stages import Holder, holder
from cnntui.ui.stages.train import TrainHolder
from cnntui.ui.stages.waiting import settled
from cnntui.ui.views import train_moves
from cnntui.ui.views.explore import ExploreView
from cnntui.ui.widgets import train_card
from cnntui.ui.widgets.train_card import TrainCard
from tests.training.forks import CONTEXT, Forks, forks, nothing
from tests.ui.explored import trained, write_explored

NET = parse("conv 8 same; relu; maxpool 2; flatten; linear 10", (1, 8, 8), "small")
QUICK = Settings(data="digits", epochs=2, batch_size=128, lr=0.01, device="cpu")


class Stage(Screen[None]):
    """Holds a holder, as a lesson does, and counts what it tells."""

    AUTO_FOCUS = ""

    def __init__(self, held: Holder) -> None:
        super().__init__()
        self.held = held
        self.told = 0

    def compose(self) -> ComposeResult:
        yield self.held

    def on_holder_changed(self, event: Holder.Changed) -> None:
        self.told += 1


@asynccontextmanager
async def staged(name: str, recipes: Recipes) -> AsyncIterator[tuple[Holder, Stage, Pilot[None]]]:
    app = CnntuiApp("convolve")
    async with app.run_test(size=(120, 40)) as pilot:
        screen = Stage(holder(name)(recipes))
        await app.push_screen(screen)
        await pilot.pause()
        assert screen.focused is None, "a lesson decides where the focus is"
        yield screen.held, screen, pilot


def facts(held: Holder, *names: str) -> list[object]:
    there = stage(type(held).__name__.removesuffix("Holder").lower())
    return [there.fact(held.state, name, ()) for name in names]


def recipes(**settings: Settings) -> Recipes:
    return Recipes({name: Recipe(name, NET, one) for name, one in (settings or {"small": QUICK}).items()})


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs are kept."""
    monkeypatch.setenv("CNNTUI_RUNS", str(tmp_path))
    return tmp_path


@pytest.fixture
def trainers(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forks]:
    """Trainers that start at once, and end with the test."""
    CONTEXT.Process(target=nothing).start()  # the server that forks is there before the app takes the terminal
    with forks() as opened:

        def start(command: list[str], **_: Any) -> None:
            opened.start(Path(command[-2]), int(command[-1]))

        kept = {name: getattr(subprocess, name) for name in ("DEVNULL", "CalledProcessError")}

        def begin(sweep: Path, turn: int, slots: int | None, need: int | None) -> None:
            opened.conduct(sweep, turn, slots or 2)
            while conductor.conducting(sweep) is None:
                time.sleep(0.02)

        monkeypatch.setattr(launch, "subprocess", types.SimpleNamespace(run=start, **kept))
        monkeypatch.setattr(conductor, "_start", begin)
        yield opened


async def test_a_net_is_trained_in_words(trainers: Forks) -> None:
    async with staged("train", recipes()) as (held, screen, _):
        await held.begin(["run small", "epochs 3", "panel confusion"])
        assert facts(held, "net", "epochs", "lr", "started", "panel") == ["small", 3, 0.01, False, "confusion"]
        assert facts(held, "test_accuracy", "epoch") == [None, None]
        before = screen.told
        await held.perform("start")
        assert facts(held, "trained", "epoch", "state") == [True, 3, "finished"]
        assert facts(held, "test_accuracy")[0] > 0.5  # type: ignore[operator]
        assert screen.told > before
        with pytest.raises(WordsError, match="the run was trained to its end: there is nothing to resume"):
            await held.perform("resume")
        await held.perform("lr 0.1")
        assert facts(held, "started", "lr") == [False, 0.1], "another setting is for another run"
        await held.begin(["run small", "epochs 3"])
        assert facts(held, "started") == [False], "a page begins with the settings"
        await held.begin(["watch small"])
        assert facts(held, "started") == [False], "that one was of other settings"


async def test_a_net_is_trained_with_keys_and_stopped(trainers: Forks) -> None:
    long = Settings(data="digits", epochs=100_000, batch_size=512, device="cpu")
    async with staged("train", recipes(small=long)) as (held, _, pilot):
        await held.begin(["run small"])
        assert held.busy == ""
        held.take_focus()
        await pilot.press("space")
        waits = {held.busy}
        while not facts(held, "test_accuracy")[0]:
            await pilot.pause(0.1)
            waits.add(held.busy)
        assert "the training starts: that takes some seconds; read on, it goes on" in waits
        assert re.fullmatch(r"being trained: epoch \d+ of 100000.*; read on, it goes on", held.busy), waits
        await held.begin(["run small"])
        assert facts(held, "started", "trained") == [True, False], "who comes back finds it going on"
        await held.perform("pause")
        assert facts(held, "state") == ["paused"]
        assert held.busy == "", "what was paused waits for somebody"
        await held.perform("stop")
        assert facts(held, "state", "trained") == ["stopped", False]
        with pytest.raises(WordsError, match="the run has ended: there is nothing to pause"):
            await held.perform("pause")
        await held.begin(["watch small"])
        assert facts(held, "started") == [False], "what was stopped is not what was trained"


async def test_the_nets_of_the_lesson_are_offered_first(root: Path) -> None:
    other = Recipe("other", parse("conv 8 same; relu; gap; linear 10", (1, 8, 8), "other"), QUICK)
    begun = Recipe("begun", NET, QUICK, after="small")
    lesson = Recipes({**recipes().runs, "other": other, "begun": begun})
    async with staged("train", lesson) as (held, _, pilot):
        await held.begin(["run small", "lr 0.1"])
        held.take_focus()
        await pilot.press("e")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Choose)
        names = [name for name, _ in pilot.app.screen.choices]
        assert names[:2] == ["small", "other"] and "begun" not in names and "lenet5" in names
        await pilot.press("down", "enter")
        await pilot.pause()
        assert facts(held, "net", "lr", "params") == ["other", 0.01, 170]


async def test_a_page_opened_again_tells_of_the_run_that_was_begun_there(trainers: Forks) -> None:
    async with staged("train", recipes()) as (held, _, pilot):
        assert isinstance(held, TrainHolder)
        view = held.view
        await held.begin(["run small"])
        assert view.query_one("#note", Static).content == ""
        await held.perform("epochs 100000")
        held.take_focus()
        await pilot.press("enter")
        while not facts(held, "test_accuracy")[0]:
            await pilot.pause(0.1)
        await held.begin(["run small"])
        assert facts(held, "started", "epochs") == [True, 100000], "of other settings, and still the learner's"
        await held.perform("stop")
        await held.begin(["run small"])
        assert facts(held, "started") == [False]
        assert view.query_one("#note", Static).content == "", "it was not trained"
        await held.perform("start")
        await held.begin(["run small", "epochs 3"])
        assert facts(held, "started", "epochs") == [False, 3]
        note = str(view.query_one("#note", Static).content)
        assert re.fullmatch(r"this net was trained here before, to \d+\.\d\d %: o opens its runs", note)


async def test_what_cannot_be_started_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged("train", recipes()) as (held, _, _):
        with pytest.raises(WordsError, match="this lesson has no run called 'smal'; did you mean small"):
            await held.begin(["run smal"])
        await held.begin(["run small"])
        with pytest.raises(WordsError, match="there is no run to pause: write start before it"):
            await held.perform("pause")

        def refuse(_: object) -> Path:
            raise LaunchError("training needs torch")

        monkeypatch.setattr(train_moves, "launch", refuse)
        with pytest.raises(WordsError, match="not started: training needs torch"):
            await held.perform("start")
        assert run_directories() == []


# -- explore


async def test_what_is_started_as_the_page_is_turned_is_not_followed_on_the_next(trainers: Forks, root: Path) -> None:
    long = msgspec.structs.replace(QUICK, epochs=100_000)
    other = parse("conv 4 same; relu; flatten; linear 10", (1, 8, 8), "other")
    both = Recipes({net.name: Recipe(net.name, net, long) for net in (NET, other)})
    async with staged("train", both) as (held, _, _):
        assert isinstance(held, TrainHolder)
        await held.begin(["run small"])
        held.view.action_start()  # and the page is turned at once
        await held.begin(["run other"])
        await settled(held.view)
        assert facts(held, "started", "net") == [False, "other"]
        (own,) = run_directories()
        assert not RunReader(own).glance().ended, "what a learner starts goes on"
        playing = asyncio.create_task(held.perform("start"))
        while not held.view.launching:
            await asyncio.sleep(0)
        playing.cancel()  # as when the page is turned while a solution plays
        await held.begin(["run other"])
        assert facts(held, "started") == [False]
        assert sorted(RunReader(run).glance().ended for run in run_directories()) == [False, True]
        held._played = root / "removed"
        await held.begin(["run other"])
        assert facts(held, "started") == [False], "what was removed is not waited for"


LOOKED = Recipes({"digits": Recipe("digits", trained().analysis.network, Settings(data="digits", epochs=9))})


async def test_a_trained_net_is_looked_into_in_words(root: Path) -> None:
    run = write_explored(root)
    async with staged("explore", LOOKED) as (held, screen, pilot):
        await held.begin(["run digits", "picture 3", "look conv2 5", "level layer"])
        assert facts(held, "opened", "net", "picture", "label", "node", "channel", "level") == [
            True, "digits", 3, 3, "conv2", 5, "layer",
        ]  # fmt: skip
        assert held.state.subject.state.model.run == run
        assert facts(held, "test_accuracy", "misread", "moments", "conv1.weight.shape") == [0.95, 1, 9, (6, 1, 5, 5)]
        explore = stage("explore")
        assert explore.fact(held.state, "visited", ("conv2",))
        assert not explore.fact(held.state, "visited", ("maxpool1",))
        before = screen.told
        held.take_focus()
        await pilot.press("right_curly_bracket", "y")
        assert facts(held, "node", "why") == ["relu2", "gradient"]
        assert screen.told > before
        await held.perform("misread 1")
        assert facts(held, "picture", "label", "right") == [7, 7, False]
        await held.perform("silence conv1 2")
        await held.perform("weight conv1 0,0,1,1 0.5")
        assert facts(held, "silenced", "changed") == [1, 1]
        await held.perform("moment first")
        assert facts(held, "moment", "step") == [0, 0]
        await held.perform("patches conv2 4")
        assert isinstance(pilot.app.screen, Patches)
        assert facts(held, "patches", "patches.channel") == ["conv2", 4]
        await held.begin(["run digits"])
        await pilot.pause()
        assert not isinstance(pilot.app.screen_stack[-1], Patches), "the window is closed with the page"
        assert facts(held, "silenced", "step", "picture", "patches", "why") == [0, 150, 0, None, "none"]
        with pytest.raises(WordsError, match="there is no layer 'conv9'"):
            await held.perform("look conv9")
        with pytest.raises(WordsError, match="nothing says what to explore"):
            await held.begin([])


async def test_what_nobody_has_trained_is_trained_with_a_key(trainers: Forks) -> None:
    small = Settings(data="digits", epochs=2, lr=0.01, device="cpu")
    tuned = Recipe("tuned", NET, msgspec.structs.replace(small, seed=3, epochs=1), after="base")
    lesson = Recipes({"base": Recipe("base", NET, small), "tuned": tuned})
    async with staged("explore", lesson) as (held, screen, pilot):
        await held.begin(["run base", "look conv1 2", "picture 5"])
        card = held.query_one(TrainCard)
        assert "base: 1,370 parameters, on digits, 2 epochs" in str(card.content)
        assert "enter trains it here" in str(card.content)
        assert facts(held, "opened", "node", "conv1.params") == [False, None, 80]
        held.take_focus()
        assert held.busy == ""
        before = screen.told
        await pilot.press("enter")
        await pilot.pause()
        assert held.busy == "the training starts: that takes some seconds; read on, it goes on"
        assert not card.check_action("train", ()), "once is enough"
        while not facts(held, "opened")[0]:
            await pilot.pause(0.1)
        await pilot.pause()
        assert screen.told > before + 1, "the lesson hears how far it is"
        assert held.busy == ""
        assert not held.query(TrainCard)
        assert facts(held, "node", "channel", "picture") == ["conv1", 2, 5], "what the page wants to be seen"
        assert held.query_one(ExploreView).has_focus

        await held.begin(["run tuned"])
        assert "tuned: 1,370 parameters, on digits, 1 epoch, from the weights of base" in str(
            held.query_one(TrainCard).content
        )
        await held.perform("look conv1")
        spec = RunReader(held.state.subject.state.model.run).spec
        assert (spec.seed, spec.epochs) == (3, 1)
        assert RunReader(Path(str(spec.weights_from))).spec.seed == 0
        await held.begin(["run base"])
        assert RunReader(held.state.subject.state.model.run).spec.seed == 0


async def test_without_torch_the_card_says_how_to_get_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_card, "can_train", lambda: False)
    async with staged("explore", recipes()) as (held, _, _):
        await held.begin(["run small"])
        assert "pip install" in str(held.query_one(TrainCard).content)
        with pytest.raises(WordsError, match="not trained: training needs torch"):
            await held.perform("train")
        assert run_directories() == []


# -- compare


def swept(**more: Any) -> Recipes:
    """Two rates, each with two seeds."""
    first = {"data": "digits", "epochs": 1, "batch_size": 256, "device": "cpu", "lr": 0.003, **more}
    net = "conv 8 same; relu; maxpool 2; flatten; linear 10"
    rates: dict[str, Choices] = {"lr": {"small": 0.0001, "usual": 0.003}}
    return Recipes(
        {"base": Recipe("base", NET, QUICK)}, {"rates": Design("rates", net, (1, 8, 8), (0, 1), first, rates)}
    )


async def test_a_sweep_of_the_lesson_is_trained_and_compared(trainers: Forks, root: Path) -> None:
    async with staged("compare", swept()) as (held, screen, pilot):
        await held.begin(["sweep rates", "select lr: small", "metric train-loss"])
        assert facts(held, "runs", "trained", "configurations", "seeds", "selected", "metric", "best") == [
            4, 0, 2, 2, "lr: small", "train-loss", None,
        ]  # fmt: skip
        assert held.state.lab.comparison.directory == root / "lesson-rates"
        assert held.busy == ""
        before = screen.told
        waits = set()
        going = asyncio.create_task(held.perform("go"))
        while not going.done():
            waits.add(held.busy)
            await asyncio.sleep(0.02)
        await going
        assert "being trained: 0 of 4 are; read on, it goes on" in waits
        assert held.busy == ""
        assert facts(held, "trained", "over", "best", "worst") == [4, True, "lr: usual", "lr: small"]
        assert screen.told > before
        compare = stage("compare")
        means = [compare.fact(held.state, "mean", (label,)) for label in ("lr: small", "lr: usual")]
        assert compare.fact(held.state, "difference", ("lr: small",)) == pytest.approx(means[0] - means[1])  # type: ignore[operator]
        held.take_focus()
        await pilot.press("s", "up")
        assert facts(held, "sorted", "selected") == [True, "lr: usual"]
        await held.perform("go")
        await held.begin(["sweep rates"])
        assert facts(held, "trained", "selected") == [4, "lr: usual"], "what was trained is there again"


async def test_a_sweep_from_weights_waits_for_them(trainers: Forks) -> None:
    lesson = swept(weights_from="run:base", epochs=1)
    async with staged("compare", lesson) as (held, _, _):
        await held.begin(["sweep rates", "sort"])
        assert "base: 1,370 parameters" in str(held.query_one(TrainCard).content)
        assert facts(held, "runs") == [None]
        await held.perform("select lr: small")
        assert facts(held, "runs", "sorted", "selected") == [4, True, "lr: small"]
        assert held.state.lab.group.spec.weights_from is not None


async def test_what_cannot_be_compared_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged("compare", swept()) as (held, _, _):
        with pytest.raises(WordsError, match="this lesson has no sweep called 'rate'; did you mean rates"):
            await held.begin(["sweep rate"])
        with pytest.raises(WordsError, match="nothing says what to compare"):
            await held.begin([])
        monkeypatch.setattr(launch, "can_train", lambda: False)
        with pytest.raises(WordsError, match="training needs torch: pip install"):
            await held.begin(["sweep rates"])
