"""Stories on the demonstrations of the lessons, each alone on a screen."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from cnntui.core.workings import significant
from cnntui.labs.recipes import Recipes
from cnntui.labs.stages import WordsError, stage
from cnntui.ui.screens.dialogs import Ask, Keys
from cnntui.ui.screens.frame import Frame
from cnntui.ui.stages import Holder, holder
from cnntui.ui.views.demonstration import Demonstration
from tests.ui.helpers import SIZES, MeteredApp

NAMES = ("activations", "norms", "connections", "shift")


class Stageful(Frame):
    """A screen around one stage, as a lesson has it."""

    MODE = "learn"
    AUTO_FOCUS = ""

    def __init__(self, name: str, moves: Sequence[str], shown: Sequence[str] | None) -> None:
        super().__init__()
        self.holder = holder(name)(Recipes(), shown)
        self.moves = moves
        self.changes = 0

    def body(self) -> Widget:
        return self.holder

    async def on_mount(self) -> None:
        await self.holder.begin(self.moves)
        self.holder.take_focus()

    def on_holder_changed(self, event: Holder.Changed) -> None:
        self.changes += 1


class Host(MeteredApp):
    def __init__(self, name: str, moves: Sequence[str], shown: Sequence[str] | None) -> None:
        self.asked = name, moves, shown
        super().__init__("learn")

    def _open(self, mode: str) -> Screen[Any]:
        return Stageful(*self.asked)


@asynccontextmanager
async def on_stage(
    name: str, *moves: str, shown: Sequence[str] | None = None, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Stageful, Pilot[None]]]:
    app = Host(name, moves, shown)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, Stageful)
        yield screen, pilot


def text(screen: Stageful) -> str:
    view = screen.query_one(Demonstration)
    return "\n".join(view.render_line(y).text.rstrip() for y in range(view.content_size.height))


def said(screen: Stageful) -> str:
    """The same without line ends: sentences are wrapped."""
    return " ".join(text(screen).split())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (10, 3), (40, 10), (80, 24), (300, 100)])
async def test_any_terminal_is_survived(name: str, size: tuple[int, int]) -> None:
    async with on_stage(name, size=size) as (screen, pilot):
        await pilot.press("right", "down", "u", "r")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert text(screen).strip()


@pytest.mark.parametrize("name", NAMES)
async def test_an_idle_demonstration_sends_nothing(name: str) -> None:
    async with on_stage(name) as (_, pilot):
        app = pilot.app
        assert isinstance(app, Host)
        await pilot.press("right")
        await pilot.pause(0.3)
        app.sent = 0
        await pilot.pause(0.6)
        assert app.sent == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
async def test_nothing_is_said_by_colour_alone(name: str, size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without colours the same keys end in the same sentences."""
    spoken = []
    for colours in (True, False):
        if not colours:
            monkeypatch.setenv("NO_COLOR", "1")
        async with on_stage(name, size=SIZES[size]) as (screen, pilot):
            assert pilot.app.no_color is not colours
            await pilot.press("right", "right")
            spoken.append(said(screen)[-60:])
    assert spoken[0] == spoken[1]


@pytest.mark.parametrize("name", NAMES)
async def test_every_key_is_listed_and_a_lesson_can_take_some_away(name: str) -> None:
    controls = stage(name).controls
    bound = {binding.action.split("(")[0] for binding in holder(name).VIEW.BINDINGS}  # type: ignore[attr-defined]
    bound |= {"words", "undo", "redo"}
    assert {action for actions in controls.values() for action in actions} <= bound
    for shown, there in ((None, True), ((), False), (("words",), True)):
        async with on_stage(name, shown=shown) as (_, pilot):
            await pilot.press("question_mark")
            keys = pilot.app.screen
            assert isinstance(keys, Keys)
            assert any(what == "Say it in words" for _, what in keys.keys) is there
            assert any(what == "Undo" for _, what in keys.keys) is (shown is None)
            assert keys.about
            await pilot.press("escape")
            await pilot.press("colon")
            assert isinstance(pilot.app.screen, Ask) is there


@pytest.mark.parametrize("name", NAMES)
async def test_a_move_is_typed_and_a_wrong_one_stays_to_be_mended(name: str) -> None:
    async with on_stage(name) as (screen, pilot):
        verb = next(iter(stage(name).moves))
        await pilot.press("colon")
        line = pilot.app.screen.query_one(Input)
        line.value = f"{verb} nothing-of-that-name"
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, Ask)
        await pilot.press("escape")
        with pytest.raises(WordsError):
            await screen.holder.perform("dance")


async def test_x_walks_along_the_curve_and_the_sentence_follows() -> None:
    """A student shows tanh beside relu and walks into its flat part."""
    async with on_stage("activations", "show tanh relu", "at 0") as (screen, pilot):
        assert "At x = 0, tanh gives 0 and its slope is 1." in said(screen)
        changes = screen.changes
        await pilot.press(*["shift+right"] * 3, "right")
        assert screen.changes == changes + 4
        assert screen.holder.state.at == 3.25
        slope = significant(1 - math.tanh(3.25) ** 2, 4)
        assert f"At x = 3.25, tanh gives 0.997 and its slope is {slope}." in said(screen)
        assert "▸A tanh" in text(screen)
        await pilot.press("down", "down", "space", "u")
        assert screen.holder.state.shown == ("tanh", "relu"), "undo takes the drawing back, not the walk"
        assert screen.holder.state.at == 3.25


async def test_a_bias_kills_a_unit() -> None:
    async with on_stage("activations") as (screen, pilot):
        await pilot.press(*["left_square_bracket"] * 8)
        assert screen.holder.state.bias == -4
        assert "all 1,000 sums fall where relu is flat. The unit is dead" in said(screen)
        await pilot.press("left_square_bracket")
        assert any("bias −4.5 is not from −4 to 4" in note.message for note in pilot.app._notifications)
        assert screen.holder.state.bias == -4
        await pilot.press("minus", "s")
        assert (screen.holder.state.depth, screen.holder.state.slopes) == (9, False)


async def test_the_frames_follow_the_kind_of_normalisation() -> None:
    """A student goes through the kinds: the letters say which grids share a mean, brackets where one is."""
    async with on_stage("norms") as (screen, pilot):
        for kind, letters in (("batch", "abcdabcd"), ("layer", "aaaabbbb"), ("instance", "abcdefgh")):
            assert screen.holder.state.kind == kind
            assert f"─ {kind} normalisation" in text(screen)
            frames = [line for line in text(screen).splitlines() if line.strip().startswith(("┌", "┏"))]
            assert "".join(glyph for line in frames for glyph in line if glyph.isalpha()) == letters
            assert text(screen).count("┏") == letters.count(letters[0])
            await pilot.press("k")
        await pilot.press("g")
        assert screen.holder.state.parts == 4


async def test_a_number_of_a_normalisation_is_written_out_and_changed() -> None:
    async with on_stage("norms", "kind layer", "cell 1,2,1,1") as (screen, pilot):
        before = screen.holder.state
        assert " ".join(before.lines[-1].equation.terms) in said(screen)
        await pilot.press("plus", "plus", "minus")
        assert screen.holder.state.value == before.value + 1
        assert screen.holder.state.lines[-1].equation.result in said(screen)
        await pilot.press("v")
        assert text(screen).splitlines()[1].startswith("after")
        await pilot.press("right", "right", "down")
        assert screen.holder.state.place == (1, 3, 2, 0)
        await pilot.press("u", "u", "u")
        assert (screen.holder.state.tensor == before.tensor).all()


async def test_both_tensors_are_seen_where_there_is_room() -> None:
    async with on_stage("norms", size=(80, 40)) as (screen, _):
        lines = [line.split()[0] for line in text(screen).splitlines() if "channel 0  " in line]
        assert lines == ["before", "after"]


async def test_the_names_of_the_weights_tell_the_kinds_apart() -> None:
    """A student steps through the outputs of each kind: the names change from place to place, except in conv."""
    async with on_stage("connections", "cell 1,1") as (screen, pilot):

        def names() -> list[str]:
            title, *rows = text(screen).splitlines()[1:9]
            end = title.index("output") - 6
            return [word for line in rows for word in line[:end].split() if word != "·"]

        for kind, first, second in (
            ("full", [f"{n}" for n in range(295, 344)], [f"{n}" for n in range(344, 393)]),
            ("local", [f"{n}" for n in range(55, 64)], [f"{n}" for n in range(64, 73)]),
            ("conv", list("abcdefghi"), list("abcdefghi")),
        ):
            assert screen.holder.state.kind == kind
            assert names() == first
            await pilot.press("right")
            assert names() == second
            assert "[ 8]" in text(screen)
            await pilot.press("left", "k")


async def test_the_table_counts_the_layer_and_a_larger_one() -> None:
    async with on_stage("connections", "kind local", size=(79, 22)) as (screen, pilot):
        rows = {line.split()[-7]: line.split()[-6:] for line in text(screen).splitlines() if len(line.split()) >= 7}
        assert rows["local"][:3] == ["225", "225", "25"]
        assert rows["conv"][3:] == ["85,162,752", "1,728", "64"]
        await pilot.press("plus")
        assert screen.holder.state.output == (4, 4)
        await pilot.press("s")
        assert "From 1×28×28 to 32×25×25, conv has 512 weights" in said(screen)
        await pilot.press("minus", "p")
        assert "From 1×28×28 to 32×28×28, conv has 288 weights" in said(screen)
        await pilot.press(*["plus"] * 4)
        assert any("kernel 6 is not from 1 to 5" in note.message for note in pilot.app._notifications)


@pytest.mark.parametrize("size", [(80, 39), (120, 44)])
async def test_wires_and_frames_are_drawn_where_there_is_room(size: tuple[int, int]) -> None:
    async with on_stage("connections", "kind conv", "cell 0,2", size=size) as (screen, _):
        assert "every connection a line" in text(screen)
        rows = [line for line in text(screen).splitlines() if "●" in line]
        assert [line.split().index("●") for line in rows] == [2, 2]
        assert [line.count("●") for line in rows] == [3, 1]
        assert "┏" in text(screen)
        assert "weights a to i: every place shares them." in said(screen)
        assert said(screen).endswith("times as many, full 274,763,776 times.")


async def test_the_map_follows_the_picture_until_a_pool_breaks_the_step() -> None:
    """A student shifts the picture: all cells agree. With a pool of 2, a shift by one has no counterpart."""
    async with on_stage("shift", size=(79, 22)) as (screen, pilot):
        await pilot.press("right", "down")
        assert screen.holder.state.by == (1, 1)
        assert "All 64 compared cells are equal: the map moves with the picture." in said(screen)
        rows = text(screen).splitlines()
        assert rows[2].split()[-9:] == ["╱"] * 9
        assert rows[3].split()[-9:] == ["╱", *"········"]
        assert rows[2].split()[:9] == ["∙"] * 9
        await pilot.press("o")
        assert "cannot be shifted by 1 down, 1 right: it is compared with a shift of 0." in said(screen)
        assert f"{screen.holder.state.differs.sum()} of 16 compared cells differ" in said(screen)
        await pilot.press("right", "down")
        assert "All 9 compared cells are equal" in said(screen)
        await pilot.press("home", "u")
        assert screen.holder.state.pool == "none"


async def test_cells_have_numbers_where_there_is_room_and_large_pictures_are_maps() -> None:
    async with on_stage("shift", "by 0,2", size=(80, 40)) as (screen, pilot):
        lowest = f"{screen.holder.state.after.output.min():.0f}".replace("-", "−")
        assert lowest in said(screen).split()
        await pilot.press("s", "a", "p", "k", "i")
        state = screen.holder.state
        assert (state.stride, state.relu, state.padding) == (2, True, 0)
        assert (state.kernel.name, state.name) == ("sobel-y", "square")
        await screen.holder.perform("picture house 32")
        await pilot.pause()
        assert text(screen).count("▀") > 16 * 8 * 2
        assert "old map, shifted" in text(screen)
