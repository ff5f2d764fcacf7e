"""A story on the Explore screen: what a weight learns from a picture, steps on a copy, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.containers import Vertical
from textual.pilot import Pilot
from textual.widgets import Static

from cnntui.labs.overview import moment_words
from cnntui.labs.wish import Wish
from cnntui.ui.app import CnntuiApp
from cnntui.ui.screens.learning import LearningScreen
from cnntui.ui.views.explore import ExploreView
from tests.labs.test_learned import trained

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")
BOTH = pytest.mark.parametrize("size", [(120, 40), (80, 24)])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return trained(tmp_path, "adam")[0]


@asynccontextmanager
async def exploring(run: Path, size: tuple[int, int]) -> AsyncIterator[tuple[ExploreView, Pilot[None]]]:
    app = CnntuiApp("explore", explore=Wish(str(run)))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        yield app.screen.query_one(ExploreView), pilot


async def settled(pilot: Pilot[None]) -> None:
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settled(pilot)


def lesson(pilot: Pilot[None]) -> LearningScreen:
    screen = pilot.app.screen
    assert isinstance(screen, LearningScreen)
    return screen


def text_of(screen: LearningScreen, name: str = "learning") -> str:
    return str(screen.query_one(f"#{name}", Static).content)


def said(pilot: Pilot[None]) -> str:
    return " ".join(note.message for note in pilot.app._notifications)


@BOTH
async def test_a_weight_learns_a_picture(run: Path, size: tuple[int, int]) -> None:
    """Its gradient, its update and its new value are there; steps on a copy lower the loss; undo takes them back."""
    async with exploring(run, size) as (view, pilot):
        before = view.state
        await press(pilot, "1", "w")
        screen = lesson(pilot)
        text = text_of(screen)
        learning = screen.learner.learning
        for part in (
            "THE LOSS",
            "THE GRADIENT",
            "THE UPDATE",
            "OLD → NEW",
            learning.new,
            learning.loss[1].equation.result,
        ):
            assert part in text
        assert all(term.product.lstrip("−") in text for term in learning.terms)
        assert "it remembers what the run did at step 6" in text
        table = [line for line in text.splitlines() if line.startswith("  [")]
        assert len(table) == len(learning.terms) and max(map(len, table)) <= size[0] - 8
        assert "s takes one step" in text_of(screen, "steps")
        weight = learning.weight
        await press(pilot, "s", "enter")
        assert [line[:7] for line in text_of(screen, "steps").splitlines()] == ["step  1", "step  2"]
        assert screen.learner.learning.old != learning.old
        await press(pilot, "escape")
        state = view.state
        assert pilot.app.screen.query_one(ExploreView) is view
        assert state.learned is not None and len(state.learned.steps) == 2
        assert moment_words(state) == f"{moment_words(before)} + 2 steps here"
        assert state.probabilities[1] > before.probabilities[1]
        assert state.touched == [state.learned.text] and state.untouched.probabilities[1] == before.probabilities[1]
        now = state.parameters[weight.node][weight.name][weight.index]
        assert now != before.parameters[weight.node][weight.name][weight.index]
        await press(pilot, "w")
        assert "it remembers the steps here" in text_of(lesson(pilot))
        await press(pilot, "escape", "u")
        assert view.state.learned is None and view.state.parameters is before.parameters
        await press(pilot, "r", "minus")
        assert view.state.learned is None


async def test_more_below_and_help(run: Path) -> None:
    async with exploring(run, (80, 24)) as (_, pilot):
        await press(pilot, "1", "w")
        screen = lesson(pilot)
        steps = screen.query_one("#steps", Static)
        assert steps.border_title == "↓ more"
        await press(pilot, "end")
        assert not steps.border_title
        await press(pilot, "question_mark")
        assert "another optimizer" in text_of(screen, "steps")
        await press(pilot, "question_mark")
        assert "s takes one step" in text_of(screen, "steps")
        assert "? help" in str(screen.query_one(Vertical).border_subtitle)


async def test_optimizers_and_rates_are_tried(run: Path) -> None:
    async with exploring(run, (120, 40)) as (view, pilot):
        await press(pilot, "2", "w")
        screen = lesson(pilot)
        rate = screen.learner.lr
        names = []
        for _ in screen.learner.methods:
            names.append(screen.learner.method.name)
            assert names[-1] in text_of(screen)
            await press(pilot, "o")
        assert names == ["Adam", "SGD", "SGD, momentum 0.9"]
        await press(pilot, "plus", "plus", "minus")
        assert screen.learner.lr == pytest.approx(10 * rate)
        await press(pilot, "b")
        assert screen.learner.weight.name == "bias" and "the bias works at" in text_of(screen)
        await press(pilot, "b")
        assert "this is the bias already" in text_of(screen, "steps")
        await press(pilot, "escape")
        assert view.state.learned is None and view.history is not None and view.history.past is None


async def test_a_step_too_large_is_told(run: Path) -> None:
    async with exploring(run, (80, 24)) as (_, pilot):
        await press(pilot, "2", "w", "o")
        screen = lesson(pilot)
        screen.learner = screen.learner.faster(5)
        for _ in range(12):
            await press(pilot, "s")
        shown = text_of(screen, "steps")
        assert "it grew: the step was too large" in shown or "press − for smaller steps" in shown


async def test_where_nothing_is_learned_a_line_says_so(run: Path) -> None:
    async with exploring(run, (80, 24)) as (view, pilot):
        await press(pilot, "w")
        assert "press its digit first" in said(pilot) and not isinstance(pilot.app.screen, LearningScreen)
        await press(pilot, "2", "home", "w")
        assert "a pixel is given, not learned" in said(pilot)
        assert view.state.learned is None
