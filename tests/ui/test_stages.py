"""Stories on the stages of lessons: a net is trained in words and with keys, looked into, compared."""

from __future__ import annotations

import subprocess
import types
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen

from cnntui.core.notation import parse
from cnntui.labs.recipes import Recipe, Recipes
from cnntui.labs.stages import WordsError, stage
from cnntui.runs import launch
from cnntui.runs.launch import LaunchError
from cnntui.runs.listing import run_directories
from cnntui.runs.spec import Settings
from cnntui.ui.app import CnntuiApp
from cnntui.ui.stages import Holder, holder
from cnntui.ui.views import train_moves
from tests.training.forks import CONTEXT, Forks, forks, nothing

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
        monkeypatch.setattr(launch, "subprocess", types.SimpleNamespace(run=start, **kept))
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
        held.take_focus()
        await pilot.press("space")
        while not facts(held, "test_accuracy")[0]:
            await pilot.pause(0.1)
        await held.begin(["run small"])
        assert facts(held, "started", "trained") == [True, False], "who comes back finds it going on"
        await held.perform("pause")
        assert facts(held, "state") == ["paused"]
        await held.perform("stop")
        assert facts(held, "state", "trained") == ["stopped", False]
        with pytest.raises(WordsError, match="the run has ended: there is nothing to pause"):
            await held.perform("pause")
        await held.begin(["watch small"])
        assert facts(held, "started") == [False], "what was stopped is not what was trained"


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
