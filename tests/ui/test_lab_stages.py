"""Convolve and Build on the stage of a lesson: set up in words, obeyed, and with only the keys that the lesson leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Input

from cnntui.core.network import Network
from cnntui.labs.formats import left
from cnntui.labs.recipes import Recipes
from cnntui.labs.stages import WordsError, stage
from cnntui.labs.stages.build import VIEWS
from cnntui.labs.wish import Wish
from cnntui.ui.app import CnntuiApp
from cnntui.ui.commands import KeyCommands
from cnntui.ui.screens.frame import Frame
from cnntui.ui.stages import Holder, holder
from cnntui.ui.views.build import BESIDE, NOTHING
from cnntui.ui.views.compare import CompareView
from cnntui.ui.views.explore import ExploreView
from cnntui.ui.views.train import TrainView
from cnntui.ui.widgets.editor import Editor
from cnntui.ui.widgets.key_line import listed
from cnntui.ui.widgets.layer_table import LayerTable
from cnntui.ui.widgets.picture_view import PictureView
from cnntui.ui.widgets.ways_panel import WaysPanel


class Reader(Widget, can_focus=True):
    """Text beside the stage."""

    DEFAULT_CSS = "Reader { width: 40; }"


class Lesson(Horizontal):
    """Text and a stage, and how often the stage has changed."""

    def __init__(self, name: str, shown: Sequence[str] | None) -> None:
        super().__init__()
        self.stage = holder(name)(Recipes(), shown)
        self.changes = 0

    def compose(self) -> ComposeResult:
        yield Reader()

    async def on_mount(self) -> None:
        self.query_one(Reader).focus()
        await self.mount(self.stage)  # as a page comes: the focus is there already

    def on_holder_changed(self, event: Holder.Changed) -> None:
        self.changes += 1


class LessonScreen(Frame):
    AUTO_FOCUS = ""

    def __init__(self, lesson: Lesson) -> None:
        super().__init__()
        self.lesson = lesson

    def body(self) -> Lesson:
        return self.lesson


class Host(CnntuiApp):
    """The app with nothing but a lesson; what a stage asks it for is kept."""

    def __init__(self, name: str, shown: Sequence[str] | None) -> None:
        super().__init__("convolve")
        self.lesson = Lesson(name, shown)
        self.asked: list[Network | Wish] = []

    def _open(self, mode: str) -> LessonScreen:
        return LessonScreen(self.lesson)

    async def offer(self, network: Network) -> None:
        self.asked.append(network)

    async def explore(self, wish: Wish) -> None:
        self.asked.append(wish)


@asynccontextmanager
async def staged(
    name: str, *moves: str, shown: Sequence[str] | None = None, focus: bool = True
) -> AsyncIterator[tuple[Any, Pilot[None]]]:
    app = Host(name, shown)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await app.lesson.stage.begin(moves)
        await pilot.pause()
        if focus:
            app.lesson.stage.take_focus()
            await pilot.pause()
        yield app.lesson.stage, pilot


def asked(found: Holder, name: str, index: tuple[int | str, ...] = ()) -> Any:
    """A fact of what is on the stage."""
    app: Any = found.app
    return stage(type(app.lesson.stage).__name__.removesuffix("Holder").lower()).fact(found.state, name, index)


def keys(found: Holder) -> set[str]:
    """What is listed, on the last line and under ?."""
    return {what for _, _, what, _ in listed(found.screen.active_bindings)}


def changes(found: Holder) -> int:
    app: Any = found.app
    return int(app.lesson.changes)


# -- Convolve


async def test_convolve_begins_where_the_moves_lead_and_changes_are_told() -> None:
    async with staged("convolve", "picture seven", "kernel box", "stride 2") as (found, pilot):
        assert (asked(found, "stride"), asked(found, "kernel")) == (2, "box")
        await pilot.press("u")
        assert asked(found, "stride") == 2  # nothing before it
        before = changes(found)
        await pilot.press("s")
        assert asked(found, "stride") == 3 and changes(found) > before
        await found.perform("padding 1")
        await pilot.pause()
        await pilot.press("u")
        assert (asked(found, "stride"), asked(found, "padding")) == (3, 0)
        with pytest.raises(WordsError, match="did you mean stride"):
            await found.perform("strid 1")
        await found.begin(["kernel sobel-x"])
        await pilot.pause()
        assert (asked(found, "stride"), asked(found, "kernel")) == (1, "sobel-x")


async def test_the_view_of_convolve_is_seen_and_set() -> None:
    async with staged("convolve", "view im2col") as (found, pilot):
        assert asked(found, "view") == found.view.view == "im2col"
        before = changes(found)
        await pilot.press("v")
        await pilot.pause()
        assert asked(found, "view") == "matrix" and changes(found) > before
        await found.perform("picture seven 64x64")
        await pilot.pause()
        assert asked(found, "view") == "picture"
        await found.begin(["op max"])
        await pilot.pause()
        assert asked(found, "view") == "cells" and not found.app._notifications
        await found.begin(["view picture"])  # of a small input, which is else shown as cells
        await pilot.pause()
        assert found.view.view == "picture"


async def test_convolve_takes_no_focus_but_when_told() -> None:
    async with staged("convolve", focus=False) as (found, pilot):
        reader = found.screen.query_one(Reader)
        assert reader.has_focus
        await found.perform("pixel 1,1")
        await found.perform("picture seven 64x64")
        await pilot.pause()
        assert reader.has_focus
        await pilot.press("s")
        assert asked(found, "stride") == 1  # whose keys are elsewhere
        found.screen.set_focus(None)
        await found.perform("tap 0,0")
        await found.begin(["pixel 0,0", "view picture"])
        await pilot.pause()
        assert found.screen.focused is None
        found.take_focus()
        await pilot.pause()
        assert found.view.query_one(PictureView).has_focus
        await found.begin(["tap 0,0"])
        await pilot.pause()
        assert found.view.query_one("#kernel").has_focus  # within the view it goes where one looks


async def test_keys_that_are_hidden_do_nothing_and_are_not_listed() -> None:
    async with staged("convolve", shown=["stride", "view"]) as (found, pilot):
        await pilot.press("s", "p", "d", "plus", "a", "i", "colon")
        assert (asked(found, "stride"), asked(found, "padding"), asked(found, "dilation")) == (2, 0, 1)
        assert len(found.app.screen_stack) == 1  # no dialog
        assert {"Stride", "View", "Jump to a cell"} <= keys(found)
        assert not {"Padding", "Kernel", "Input", "Say it in words", "Undo"} & keys(found)
        palette = {text.partition("  ")[0] for text, _, _ in KeyCommands(found.screen)._found()}
        assert "Stride" in palette and not {"Padding", "Say it in words"} & palette
        await pilot.press("shift+tab", "7", "enter")
        await pilot.pause()
        assert asked(found, "looking") == "kernel" and asked(found, "kernel") == "sobel-x"
        for screen in found.app.screen_stack[1:]:
            screen.dismiss()


async def test_numbers_are_typed_where_they_are_left() -> None:
    async with staged("convolve", "tap 0,0", shown=["numbers"]) as (found, pilot):
        await pilot.press("7", "enter")
        await pilot.pause()
        assert asked(found, "weight", (0, 0)) == 7


async def test_half_a_number_is_forgotten_with_its_page() -> None:
    async with staged("convolve", "tap 0,0") as (found, pilot):
        await pilot.press("7")
        await found.begin(["tap 0,0"])
        await pilot.press("right")
        await pilot.pause()
        assert asked(found, "kernel") == "sobel-x"


async def test_a_dialog_that_takes_words_takes_only_its_own() -> None:
    async with staged("convolve", "op max", shown=["kernel"]) as (found, pilot):
        await pilot.press("k")
        await pilot.pause()
        found.app.screen.query_one(Input).value = "stride 3"
        await pilot.press("enter")
        await pilot.pause()
        assert asked(found, "stride") == 1
        found.app.screen.query_one(Input).value = "size kernel 2"
        await pilot.press("enter")
        await pilot.pause()
        assert asked(found, "kernel.shape") == (2, 2)


async def test_a_control_that_is_none_is_named() -> None:
    with pytest.raises(WordsError, match="convolve has no control 'strid'; did you mean stride"):
        holder("convolve")(Recipes(), ["strid"])


# -- Build


async def test_build_begins_where_the_moves_lead_and_changes_are_told() -> None:
    async with staged("build", "input 3,32,32", "layers conv 8 p1; relu", "view ways") as (found, pilot):
        assert asked(found, "output") == (8, 32, 32) and found.view.query_one(WaysPanel).display
        await pilot.press("u")
        assert asked(found, "layers") == 2  # nothing before it
        before = changes(found)
        await pilot.press("x")
        await pilot.pause()
        assert asked(found, "layers") == 1 and changes(found) > before
        await found.perform("add maxpool 2")
        await pilot.pause()
        assert asked(found, "output") == (3, 16, 16)
        await pilot.press("u", "u")
        assert asked(found, "layers") == 2
        before = changes(found)
        await pilot.press("v")
        await pilot.pause()
        assert asked(found, "view") == "shapes" and changes(found) > before
        with pytest.raises(WordsError, match="type a layer"):
            await found.perform("add")
        await found.begin(["net mnist-gap"])
        await pilot.pause()
        assert (asked(found, "net"), asked(found, "view")) == ("mnist-gap", "field")


async def test_looking_elsewhere_is_nothing_to_undo_and_is_told() -> None:
    async with staged("build") as (found, pilot):
        before = changes(found)
        await pilot.press("down")
        await found.perform("unit 0,0")
        await pilot.pause()
        assert asked(found, "unit") == (0, 0) and asked(found, "selected") == "tanh1" and changes(found) > before
        await pilot.press("u")
        assert asked(found, "unit") == (0, 0)


async def test_build_takes_no_focus_but_when_told() -> None:
    async with staged("build", focus=False) as (found, pilot):
        reader = found.screen.query_one(Reader)
        assert reader.has_focus
        await found.perform("view none")
        await found.perform("delete")
        await pilot.pause()
        assert reader.has_focus
        before = asked(found, "layers")
        await pilot.press("x", "a", "t")
        await pilot.pause()
        assert asked(found, "layers") == before and not found.app.asked  # whose keys are elsewhere
        assert reader.has_focus
        found.take_focus()
        await pilot.pause()
        assert found.view.query_one(LayerTable).has_focus


async def test_what_is_built_in_a_lesson_is_not_kept_for_the_screen() -> None:
    async with staged("build") as (found, pilot):
        await pilot.press("x", "x")
        assert found.view.history.past is not None
    assert not left().exists()


async def test_what_is_half_written_is_left_with_its_page() -> None:
    async with staged("build") as (found, pilot):
        await pilot.press("a", *"bn")
        assert found.view.query_one(Editor).has_focus
        await found.begin(["select 2"])
        await pilot.pause()
        assert not found.view.query_one(Editor).display and found.view.query_one(LayerTable).has_focus
        await pilot.press("x")
        assert asked(found, "layers") == 11


async def test_a_net_goes_on_to_the_other_screens() -> None:
    async with staged("build") as (found, pilot):
        await pilot.press("t", "f")
        await pilot.pause()
        network = found.state.lab.network
        assert found.app.asked == [network, Wish(network=network)]


async def test_keys_that_are_hidden_build_nothing_and_are_not_listed() -> None:
    async with staged("build", "layers conv 4 k99", shown=["delete", "undo"]) as (found, pilot):
        await pilot.press("a", "enter", "d", "n", "o", "w", "t", "f", "g", "1", "v")
        await pilot.click(LayerTable, offset=(8, 1))  # a click on what is selected would edit it
        await pilot.pause()
        assert asked(found, "layers") == 1 and asked(found, "ok") is False and not found.app.asked
        assert not found.view.query_one(Editor).display and len(found.app.screen_stack) == 1
        assert "works there" not in str(found.view.query_one("#problem").content)
        assert {"Delete", "Undo", "Select"} <= keys(found)
        assert not {"Add", "Edit", "Train it", "Open", "View", "Take what is offered"} & keys(found)
        assert not any("Add" in text for text, _, _ in KeyCommands(found.screen)._found())
        await pilot.press("x")
        assert asked(found, "layers") == 0


def test_the_views_are_called_as_in_words() -> None:
    assert (*BESIDE, NOTHING) == VIEWS


@pytest.mark.parametrize("name", ["convolve", "build"])
def test_controls_name_actions_that_the_view_has(name: str) -> None:
    view = holder(name)(Recipes()).view  # type: ignore[attr-defined]
    there = {binding.action.partition("(")[0] for binding in type(view).BINDINGS} | {"numbers"}
    for control, actions in stage(name).controls.items():
        assert set(actions) <= there, control


@pytest.mark.parametrize(
    ("view", "action"), [(TrainView, "start"), (TrainView, "open"), (ExploreView, "open"), (CompareView, "open")]
)
def test_the_other_screens_hide_what_a_lesson_takes_away_too(view: type[Any], action: str) -> None:
    there = view()
    assert there.check_action(action, ()) is True
    there.hidden = frozenset({action})
    assert there.check_action(action, ()) is False
