"""Stories on the pad."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from cnntui.core.windows import Array
from cnntui.labs.drawing import PadState, rotated
from cnntui.ui.screens.frame import Frame
from cnntui.ui.widgets.draw_pad import DrawPad, Place
from tests.ui.helpers import MeteredApp

BOTH = pytest.mark.parametrize("size", [(120, 40), (80, 24)])


class Body(Horizontal):
    """The pad, and what it tells."""

    DEFAULT_CSS = "Body { height: 1fr; } Body > DrawPad { width: 60; }"

    def __init__(self, state: PadState, as_glyphs: bool) -> None:
        super().__init__()
        self.pad = DrawPad(state, as_glyphs)
        self.told: list[Array] = []
        self.done = 0

    def compose(self) -> ComposeResult:
        yield self.pad

    @on(DrawPad.Changed)
    def keep(self, event: DrawPad.Changed) -> None:
        self.told.append(event.picture)

    @on(DrawPad.Done)
    def count(self) -> None:
        self.done += 1


class PadScreen(Frame):
    def __init__(self, body: Widget) -> None:
        super().__init__()
        self._body = body

    def body(self) -> Widget:
        return self._body


class PadApp(MeteredApp):
    def __init__(self, state: PadState, as_glyphs: bool = False, color: str = "truecolor") -> None:
        super().__init__("convolve", color=color)
        self.body = Body(state, as_glyphs)

    def _open(self, mode: str) -> Screen[Any]:
        return PadScreen(self.body)


@asynccontextmanager
async def opened(
    size: tuple[int, int] = (120, 40), state: PadState | None = None, **given: Any
) -> AsyncIterator[tuple[DrawPad, Body, PadApp, Pilot[None]]]:
    app = PadApp(state or PadState.blank((1, 28, 28)), **given)
    async with app.run_test(size=size) as pilot:
        app.body.pad.focus()
        await pilot.pause()
        yield app.body.pad, app.body, app, pilot


def screen_lines(pad: DrawPad) -> list[str]:
    return [pad.render_line(y).text for y in range(pad.content_size.height)]


async def drag(pilot: Pilot[None], pad: DrawPad, way: list[tuple[int, int]], button: int = 1) -> None:
    """Through columns and lines of the pad."""
    await pilot.mouse_down(pad, offset=way[0], button=button)
    for at in way[1:]:
        await pilot.hover(pad, offset=at)
    await pilot.mouse_up(pad, offset=way[-1])
    await pilot.pause()


@BOTH
async def test_a_line_drawn_by_keys_is_told_undone_and_done_again(size: tuple[int, int]) -> None:
    async with opened(size) as (pad, body, _, pilot):
        await pilot.press("space", "right", "shift+down")
        assert pad.state.cursor == (18, 15)
        assert pad.state.picture[0, 14:19, 15].min() == 255
        assert "pen down" in "".join(screen_lines(pad))
        assert body.told
        assert body.told[-1] is pad.state.picture
        drawn = pad.state.picture
        await pilot.press("space", "up")
        assert pad.state.picture is drawn  # the pen was lifted
        await pilot.press("u", "u", "u")
        assert not pad.state.picture.any()
        assert pad.state.cursor == (14, 14)
        await pilot.pause()
        assert not body.told[-1].any()
        await pilot.press("U", "U", "U")
        assert np.array_equal(pad.state.picture, drawn)


async def test_several_steps_between_two_refreshes_are_told_once() -> None:
    async with opened() as (pad, body, _, pilot):
        for _ in range(5):
            pad.action_dot()
            pad.action_shift(0, 1)
        await pilot.pause()
        assert len(body.told) == 1
        assert body.told[0] is pad.state.picture


@BOTH
async def test_a_drag_draws_and_the_right_button_takes_away(size: tuple[int, int]) -> None:
    async with opened(size) as (pad, body, _, pilot):
        a_pixel = 2 if size == (120, 40) else 1
        line = 14 if size == (120, 40) else 7
        await drag(pilot, pad, [(1 + 5 * a_pixel, line), (1 + 12 * a_pixel, line), (1 + 20 * a_pixel, line)])
        assert pad.state.picture[0, 14, 5:21].min() == 255
        assert pad.state.picture[0, 14, :3].max() == 0
        assert body.told[-1] is pad.state.picture
        await drag(pilot, pad, [(1 + 11 * a_pixel, line), (1 + 13 * a_pixel, line)], button=3)
        assert pad.state.picture[0, 14, 11:14].max() == 0
        assert pad.state.picture[0, 14, 5:8].min() == 255
        await pilot.press("u")
        assert pad.state.picture[0, 14, 5:21].min() == 255
        await pilot.press("u")  # a whole drag is one thing
        assert not pad.state.picture.any()


async def test_a_drag_goes_on_outside_and_ends_with_the_button() -> None:
    async with opened() as (pad, _, _, pilot):
        await pilot.mouse_down(pad, offset=(21, 14))
        await pilot.hover(offset=(100, 15))
        assert pad.state.cursor == (14, 27)
        await pilot.mouse_up(offset=(100, 15))
        before = pad.state
        await pilot.hover(pad, offset=(5, 5))
        assert pad.state is before
        await pilot.click(pad, offset=(5, 30))  # on the hints
        assert pad.state is before


async def test_what_is_done_to_the_whole_picture() -> None:
    async with opened() as (pad, _, _, pilot):
        await pilot.press("space", "shift+down", "space")
        drawn = pad.state.picture
        await pilot.press("ctrl+left", "ctrl+up")
        assert np.array_equal(pad.state.picture[:, :-1, :-1], drawn[:, 1:, 1:])
        await pilot.press("u", "u", "r", "r")
        assert np.array_equal(pad.state.picture, rotated(drawn, 30))
        await pilot.press("R", "R")
        assert np.array_equal(pad.state.picture, drawn)
        await pilot.press("i")
        assert np.array_equal(pad.state.picture, 255 - drawn)
        await pilot.press("u", "n")
        assert 10 < (pad.state.picture - drawn).std() < 32
        await pilot.press("u", "c")
        mass = pad.state.picture[0]
        assert abs((mass.sum(1) * np.arange(28)).sum() / mass.sum() - 14) <= 0.5
        await pilot.press("x")
        assert not pad.state.picture.any()


async def test_brush_eraser_and_a_dot() -> None:
    async with opened() as (pad, _, _, pilot):
        await pilot.press("plus", "plus", "enter")
        assert pad.state.brush == 4
        wide = int((pad.state.picture > 0).sum())
        await pilot.press("e", "minus", "minus", "enter")
        assert "eraser 2" in "".join(screen_lines(pad))
        assert pad.state.picture[0, 14, 14] == 0
        assert 0 < (pad.state.picture > 0).sum() < wide
        await pilot.press("pageup")
        assert pad.state.cursor == (13, 15)


async def test_escape_tells_the_last_picture_and_then_that_it_is_over() -> None:
    async with opened() as (pad, body, _, pilot):
        pad.action_pen()
        await pilot.press("escape")
        assert body.done == 1
        assert body.told[-1] is pad.state.picture
        assert not pad.state.pen


async def test_a_shown_picture_is_not_told() -> None:
    async with opened() as (pad, body, _, pilot):
        pad.show(PadState.of(np.full((1, 28, 28), 90.0)))
        await pilot.press("right")
        await pilot.pause()
        assert not body.told


@BOTH
@pytest.mark.parametrize("color", ["truecolor", "256"])
async def test_a_step_with_the_pen_down_stays_within_its_bytes(size: tuple[int, int], color: str) -> None:
    """At most 400 bytes a key, with the usual brush."""
    async with opened(size, color=color) as (_, _, app, pilot):
        await pilot.press("space")
        sent = []
        for key in ["right"] * 8 + ["down"] * 8 + ["left"] * 16 + ["up"] * 4:
            await pilot.pause()
            app.sent = 0
            await pilot.press(key)
            await pilot.pause()
            sent.append(app.sent)
        assert min(sent) > 0
        assert max(sent) <= 400, sent


@BOTH
async def test_without_colour_ink_and_cursor_are_glyphs(size: tuple[int, int]) -> None:
    async with opened(size, as_glyphs=True) as (pad, _, _, pilot):
        await pilot.press("space", *["shift+down"] * 2, "space", *["right"] * 8)
        lines = screen_lines(pad)
        if size == (120, 40):
            assert lines[18][1 + 2 * 14 : 3 + 2 * 14] == "@@"
            assert "··" in lines[22]
        else:
            assert lines[9][1 + 14] == "#"
            assert lines[11][1 + 22] == "+"


@pytest.mark.parametrize(
    ("shape", "room", "place"),
    [
        ((28, 28), (58, 31), Place(2, 1, False, 1)),
        ((28, 28), (58, 16), Place(1, 1, True, 1)),
        ((8, 8), (58, 31), Place(6, 3, False, 1)),
        ((8, 8), (58, 16), Place(4, 2, False, 1)),
        ((32, 32), (58, 31), Place(1, 1, True, 1)),
        ((224, 224), (58, 31), Place(1, 1, True, 4)),
    ],
)
def test_the_largest_that_fits(shape: tuple[int, int], room: tuple[int, int], place: Place) -> None:
    assert Place.of(shape, *room) == place
    wide, tall = place.extent(shape)
    assert wide <= room[0]
    assert tall <= room[1]
    assert place.pixel(wide - 1, tall - 1) <= (shape[0] - 1, shape[1] - 1)


@BOTH
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8), (3, 224, 224), (1, 5, 7)])
@pytest.mark.parametrize("as_glyphs", [False, True])
async def test_pictures_of_other_sizes(size: tuple[int, int], shape: tuple[int, int, int], as_glyphs: bool) -> None:
    async with opened(size, PadState.blank(shape), as_glyphs=as_glyphs) as (pad, _, _, pilot):
        await pilot.press("space", "shift+right", "home")
        assert pad.state.picture.max() > 200
        for corner in ("shift+up", "shift+left", "shift+down", "shift+right"):
            await pilot.press(*[corner] * 8)
        height, width = shape[1:]
        lines = screen_lines(pad)
        assert all(len(line) == pad.content_size.width for line in lines)
        row, column = pad.state.cursor
        assert row >= height - pad.state.unit
        assert column >= width - pad.state.unit
