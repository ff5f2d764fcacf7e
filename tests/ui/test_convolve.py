"""Stories on the Convolve screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from cnntui.ui.app import CnntuiApp
from cnntui.ui.screens.dialogs import Choose, Keys
from cnntui.ui.views.convolve import ConvolveView
from cnntui.ui.widgets.cell_grid import CellGrid
from cnntui.ui.widgets.equation import EquationView
from tests.ui.helpers import MeteredApp, animation_bytes


@asynccontextmanager
async def opened(
    size: tuple[int, int] = (120, 40), app: CnntuiApp | None = None
) -> AsyncIterator[tuple[ConvolveView, Pilot[None]]]:
    app = app or CnntuiApp("convolve")
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app.screen.query_one(ConvolveView), pilot


def text(widget: EquationView | CellGrid) -> str:
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.content_size.height)).strip()


async def test_stepping_the_window_shows_what_each_output_cell_is_made_of() -> None:
    """A student opens the app and presses the right arrow until the edge is under the window."""
    async with opened() as (view, pilot):
        equation = view.query_one(EquationView)
        assert text(equation).startswith("output 0,0 = (−1×0) + (0×0) + (1×0)")
        await pilot.press("right", "down", "down")
        assert view.state.cell == (0, 2, 1)
        assert text(equation).endswith("= 4")
        grid = view.query_one("#input", CellGrid).grid
        assert grid.window == (2, 1, 4, 3)
        assert len(grid.marked) == 9
        await pilot.press("n", "n", "n", "n")
        assert view.state.cell == (0, 3, 0), "n goes on in reading order"
        await pilot.press("b")
        assert view.state.cell == (0, 2, 4)


async def test_editing_a_pixel_and_taking_it_back() -> None:
    async with opened() as (view, pilot):
        await pilot.press("shift+tab", "shift+tab")
        assert view.query_one("#input").has_focus
        await pilot.press("down", "right", "minus", "2", "full_stop", "5", "enter")
        assert view.state.input[0, 1, 1] == -2.5
        assert view.state.value == pytest.approx(1), "an output that the centre's weight of 0 keeps as it was"
        await pilot.press("1", "slash", "4", "right")
        assert view.state.input[0, 1, 1] == 0.25, "an arrow sets the number too"
        await pilot.press("u")
        assert view.state.input[0, 1, 1] == -2.5
        await pilot.press("u")
        assert view.state.input[0, 1, 1] == 0
        await pilot.press("r", "r")
        assert view.state.input[0, 1, 1] == 0.25


async def test_editing_a_weight_changes_the_whole_output() -> None:
    async with opened() as (view, pilot):
        await pilot.press("shift+tab")
        assert view.query_one("#kernel").has_focus
        await pilot.press("9", "enter")
        assert view.state.weight[0, 0, 0, 0] == 9
        assert view.state.name == "custom"
        assert view.state.output is not None
        assert view.state.output.max() > 9


async def test_a_mistyped_number_is_not_lost() -> None:
    """1..2 is no number: the screen says so, and what was typed is still there to be mended."""
    async with opened() as (view, pilot):
        grid = view.query_one("#input", CellGrid)
        grid.focus()
        await pilot.press("1", "full_stop", "full_stop", "2", "enter")
        assert grid.typing == "1..2"
        assert view.state.input[0, 0, 0] == 0
        assert any("'1..2' is not a number" in note.message for note in pilot.app._notifications)
        await pilot.press("backspace", "backspace", "5", "enter")
        assert view.state.input[0, 0, 0] == 1.5
        await pilot.press("7", "escape")
        assert view.state.input[0, 0, 0] == 1.5


async def test_the_output_cannot_be_typed_over() -> None:
    async with opened() as (view, pilot):
        await pilot.press("5", "enter")
        assert view.query_one("#output", CellGrid).typing == ""


async def test_choosing_a_kernel() -> None:
    async with opened() as (view, pilot):
        await pilot.press("k")
        assert isinstance(pilot.app.screen, Choose)
        await pilot.press("home", "enter")
        await pilot.pause()
        assert view.state.name == "identity"
        assert view.state.output is not None
        assert view.state.output.tolist() == view.state.input[:, 1:-1, 1:-1].tolist()


async def test_stride_padding_dilation_and_back() -> None:
    async with opened() as (view, pilot):
        shapes = []
        for key in ("s", "p", "d", "D", "P", "S"):
            await pilot.press(key)
            assert view.state.output is not None
            shapes.append(view.state.output.shape[1:])
        assert shapes == [(3, 3), (4, 4), (3, 3), (4, 4), (3, 3), (5, 5)]


async def test_an_impossible_dilation_says_why_and_mends_itself() -> None:
    async with opened() as (view, pilot):
        await pilot.press("d", "d", "d")
        assert view.state.problem == "kernel 3 with dilation 4 covers 9 > 7"
        shown = text(view.query_one(EquationView))
        assert shown.startswith("✗ kernel 3 with dilation 4 covers 9 > 7")
        assert "works: dilation 3" in shown
        await pilot.press("n", "m")
        assert view.state.problem is None
        assert view.state.dilation == (3, 3), "the nearest that works"


async def test_pooling() -> None:
    async with opened() as (view, pilot):
        await pilot.press("o", "o")
        assert view.state.op == "max"
        assert text(view.query_one(EquationView)).startswith("output 0,0 = max(0, 0, 0,\n")
        await pilot.press("shift+tab", "3", "enter")
        assert any("a pool has no weights" in note.message for note in pilot.app._notifications)


async def test_fractions_stay_numbers_and_the_title_tells_them_exactly() -> None:
    """At 80x24, a cell of 1/3 must not turn the grid into shades."""
    async with opened((80, 24)) as (view, pilot):
        grid = view.query_one("#input", CellGrid)
        grid.focus()
        await pilot.press("1", "slash", "3")
        assert "0,0: 1/3" in view._titles()["input"]
        await pilot.press("enter")
        await pilot.pause()
        assert "0,0: 0.333333" in view._titles()["input"]
        await pilot.press("down", "5", "enter")
        await pilot.pause()
        assert ".3" in text(grid)
        assert "5" in text(grid)
        assert not set(text(grid)) & set("#@%&~"), "numbers, not shades"


@pytest.mark.parametrize("typed", ["9" * 30, "9" * 400, "1/" + "9" * 300])
async def test_absurd_numbers_are_survived(typed: str) -> None:
    async with opened() as (view, pilot):
        grid = view.query_one("#input", CellGrid)
        grid.focus()
        grid.typing = typed
        await pilot.press("enter", "escape", "tab", "tab", "n", "o", "o")
        assert view.state.output is not None


async def test_a_mended_state_looks_at_a_cell_that_exists() -> None:
    async with opened() as (view, pilot):
        view._make(lambda state: state.to_cell(4, 4).use_picture("ramp"))
        await pilot.press("m")
        assert view.state.value is not None


async def test_playing_moves_the_window_and_stops_behind_another_screen() -> None:
    app = CnntuiApp("convolve")
    async with opened(app=app) as (view, pilot):
        await pilot.press("space")
        assert not view.playing, "motion is off in these tests, and the screen says so"
        assert any("motion is off" in note.message for note in app._notifications)
        app.animation_level = "full"
        await pilot.press("space")
        assert view.playing
        assert app.clock.awake
        start = view.state.index
        await pilot.pause(1.3)
        assert view.state.index > start
        await pilot.press("B")
        await pilot.pause()
        assert not view.playing
        assert not app.clock.awake, "nothing ticks when nothing moves"


async def test_the_mouse_may_be_used_but_need_not() -> None:
    async with opened() as (view, pilot):
        output = view.query_one("#output", CellGrid)
        await pilot.click("#output", offset=(2 * output.cell_width + 2, output.pitch * 2 + 1))
        assert view.state.cell == (0, 2, 2)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
@pytest.mark.parametrize("color", ["truecolor", "256"])
async def test_a_step_of_the_animation_stays_within_its_bytes(size: tuple[int, int], color: str) -> None:
    """12×12 input, 3×3 kernel: at most 700 bytes a step, once round the whole output."""
    sent = await animation_bytes(size, color)
    assert len(sent) == 100
    assert min(sent) > 0
    assert max(sent) <= 700, sent


async def test_an_idle_screen_sends_nothing() -> None:
    app = MeteredApp("convolve")
    async with opened(app=app) as (_, pilot):
        await pilot.pause(0.3)
        app.sent = 0
        await pilot.pause(1.0)
        assert app.sent == 0


async def test_help_lists_every_key() -> None:
    async with opened() as (_, pilot):
        await pilot.press("question_mark")
        assert isinstance(pilot.app.screen, Keys)
        listed = {what: key for key, what in pilot.app.screen.keys}
        assert listed["Play"] == "space"
        assert listed["Stride +"] == "s"
        assert listed["Build screen"] == "B, f3"
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, Keys)


@pytest.mark.parametrize("size", [(1, 1), (10, 3), (40, 10), (300, 100)])
async def test_any_terminal_is_survived(size: tuple[int, int]) -> None:
    async with opened(size) as (view, pilot):
        await pilot.press("right", "p", "k", "escape", "B", "T", "L", "C")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert view.state.padding == (1, 1)
