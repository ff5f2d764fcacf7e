"""The layer level and the column beside it, in a small host: what is drawn, at both sizes, and what is sent."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console, RenderableType
from rich.style import Style
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.screen import Screen

from cnntui.core.arithmetic import MINUS
from cnntui.labs.classes import percent
from cnntui.labs.explore import ExploreState
from cnntui.labs.making import making
from cnntui.labs.making_words import printed
from cnntui.labs.opened import Picture
from cnntui.ui.compositor import TightCompositor, TightUpdate
from cnntui.ui.theme import THEMES
from cnntui.ui.widgets.class_bars import put_class_bars, shown
from cnntui.ui.widgets.context import ContextColumn, verdict
from cnntui.ui.widgets.layer_panel import LayerPanel, header
from cnntui.ui.widgets.painted import Canvas, Painted
from tests.labs.exploring import exploring, with_weights
from tests.ui.helpers import digit

SIZES = {"80x18": (80, 18), "120x33": (120, 33)}
BUDGET = 2500


class TightScreen(Screen[None]):
    def __init__(self) -> None:
        super().__init__()
        self._compositor = TightCompositor()


class Host(App[None]):
    """The two widgets beside each other as in Explore; counts the bytes that a terminal would get."""

    CSS = """
    Horizontal { height: 1fr; }
    LayerPanel { width: 1fr; }
    ContextColumn { width: 29; }
    .low ContextColumn { width: 18; }
    """

    def __init__(self, state: ExploreState, plain: bool = False) -> None:
        super().__init__()
        self.state, self.plain, self.sent = state, plain, 0
        self.meter = Console(file=io.StringIO(), color_system="truecolor", force_terminal=True, width=300)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "cnntui-dark"

    def get_default_screen(self) -> Screen[Any]:
        return TightScreen()

    def compose(self) -> ComposeResult:
        with Horizontal(classes="low" if self.size.width < 100 else ""):
            yield ContextColumn(self.state, self.plain)
            yield LayerPanel(self.state, self.plain)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if isinstance(renderable, TightUpdate):
            self.sent += len(renderable.render_segments(self.meter).encode())
        super()._display(screen, renderable)

    @property
    def panel(self) -> LayerPanel:
        return self.query_one(LayerPanel)

    def show(self, state: ExploreState) -> None:
        self.panel.show(state, self.plain)
        self.query_one(ContextColumn).show(state, self.plain)


def text(widget: Painted) -> str:
    return "\n".join("".join(glyph for glyph, _ in row).rstrip() for row in widget._painted)


async def seen(state: ExploreState, size: tuple[int, int] = (120, 33), plain: bool = False) -> tuple[str, str]:
    """What the panel and the column say."""
    app = Host(state, plain)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        return text(app.panel), text(app.query_one(ContextColumn))


DIGITS = "conv 8 same; bn; relu; maxpool 2; conv 6 k5 p2; relu; maxpool 2; flatten; linear 12; relu; linear 10"


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_a_convolution(size: tuple[int, int], plain: bool) -> None:
    state = exploring(DIGITS, (1, 28, 28), label=3).look("conv2", (4, 6, 7))
    panel, column = await seen(state, size, plain)
    first, *lines = panel.splitlines()
    assert first.startswith("conv2 · channel 4 of 0–5 · 5×5 kernels over 8 maps, padded")
    assert panel.count("±") >= 4  # of the maps, the weights, the partial maps, the results
    assert all(word in panel for word in ("max", "∗", "=", "Σ", "+ bias", "relu2", "maxpool2"))
    assert f"1–{len(rows_of(lines))} of 8" in panel
    assert ("▀" in panel) != plain
    assert "sees 12×12 pixels" in column
    assert ("rows 7–18, columns 9–20" if size[0] == 120 else "y 7–18, x 9–20") in column
    assert ("✓" in column) == (state.read == 3) and ("✗" in column) == (state.read != 3)


def rows_of(lines: list[str]) -> list[str]:
    """Those that begin with a channel's number: one an ingredient."""
    return [line for line in lines if re.match(r" *\d+ ", line)]


async def test_parts_and_the_rest_are_the_sum() -> None:
    """What is on the page, and what it says of the other pages, add up to Σ."""
    state = exploring(DIGITS, (1, 28, 28)).look("conv2", (4, 6, 7))
    app = Host(state)
    async with app.run_test(size=(120, 33)) as pilot:
        await pilot.pause()
        for page in (1, 1, -1):
            app.panel.turn(page)
            await pilot.pause()
            made, lines = app.panel.making, text(app.panel).splitlines()
            rows, told = rows_of(lines), printed(app.panel.making, (6, 7))
            numbers = [told.parts[int(row.split()[0])] for row in rows]
            rest = next(line for line in lines if " more " in line)
            assert 1 < len(rows) < 8
            assert all(any(line[:60].rstrip().endswith(f" {each}") for line in lines) for each in numbers)
            numbers.append(rest.split(" more ")[1].split()[0])
            total = sum(float(each.replace(MINUS, "-")) for each in numbers)
            assert total == pytest.approx(float(told.steps[0][1].replace(MINUS, "-")), abs=0.001)
            assert total == pytest.approx(float(made.steps[0].values[6, 7]), abs=0.001)


async def test_pages_follow_what_is_highlighted() -> None:
    state = exploring("conv 70 k1; relu; conv 5", (1, 10, 10)).look("conv2", (2, 3, 3))
    app = Host(state)
    async with app.run_test(size=(120, 33)) as pilot:
        await pilot.pause()
        page = app.panel.page
        assert f"1–{page} of 70, by number" in text(app.panel)
        app.panel.show(state, False, highlighted=69)
        await pilot.pause()
        assert "–70 of 70" in text(app.panel)
        app.panel.turn(-1)
        app.panel.turn(1000)
        assert app.panel.highlighted <= 69
        app.panel.turn(-1000)
        await pilot.pause()
        assert app.panel.highlighted == 0
        app.panel.show(state.toggled("by_strength"), False)
        await pilot.pause()
        strongest = app.panel.making.ingredients[0].channel
        assert "the strongest first" in text(app.panel)
        assert rows_of(text(app.panel).splitlines())[0].split()[0] == str(strongest)


NETS = {
    "one layer": ("conv 2", (1, 5, 5)),
    "an activation alone": ("relu", (2, 5, 5)),
    "single cells": ("conv 4 k1; bn; relu; conv 3 k1; maxpool 1; flatten; linear 3; softmax", (2, 1, 1)),
    "vectors": ("flatten; linear 200; relu; linear 30; [ id | linear 30; sigmoid ] mul; softmax", (1, 6, 6)),
    "branches": (
        "[ conv 4 same; bn | conv 4 k1 | id ] add; relu; [ id | gap; linear 4; sigmoid ] mul; [ id | relu ] cat",
        (4, 9, 9),
    ),
    "wide": ("conv 3 k1x21 p0x10; pad 3,3,0,0; upsample 3; avgpool 3; gap", (1, 3, 60)),
    "large": ("conv 3 k11 s4; relu; maxpool 3 s2; subsample 2; gap; linear 3", (3, 224, 224)),
    "norms": ("in; gn 2; ln; lrn; tanh; dropout 0.2; adaptiveavgpool 2x2; tconv 2 s2; flatten; linear 2", (4, 7, 7)),
}  # fmt: skip


@pytest.mark.parametrize("size", [*SIZES.values(), (50, 9), (24, 4)])
@pytest.mark.parametrize("net", NETS)
async def test_every_layer_of(net: str, size: tuple[int, int]) -> None:
    """Every layer can be shown, in colour and plain; at the sizes that are designed for each is named and has its scale."""
    state = exploring(*NETS[net])
    app = Host(state)
    async with app.run_test(size=size) as pilot:
        for plain in (False, True):
            app.plain = plain
            for node in state.columns:
                shape = state.shape(node)
                looked = state.look(node, tuple(n // 2 for n in shape))
                app.show(looked)
                await pilot.pause()
                if size in SIZES.values():
                    assert text(app.panel).startswith(node)
                    assert "±" in text(app.panel) or not app.panel.making.ingredients or len(shape) == 1
                    assert "±" in text(app.query_one(ContextColumn))


async def test_resized() -> None:
    state = exploring(DIGITS, (1, 28, 28)).look("relu1", (2, 9, 9))
    app = Host(state)
    async with app.run_test(size=(120, 33)) as pilot:
        await pilot.pause()
        large = text(app.panel)
        await pilot.resize_terminal(80, 18)
        await pilot.pause()
        assert len(text(app.panel).splitlines()) <= 18
        await pilot.resize_terminal(120, 33)
        await pilot.pause()
        assert text(app.panel) == large


async def test_numbers_that_are_none() -> None:
    state = exploring(DIGITS, (1, 28, 28), label=1)
    weight = np.full_like(state.parameters["conv1"]["weight"], np.nan)
    broken = {**state.parameters, "conv1": {**state.parameters["conv1"], "weight": weight}}
    state = with_weights(state, broken)
    for node in state.columns:
        looked = state.look(node, (0,) * len(state.shape(node)))
        for size in SIZES.values():
            panel, column = await seen(looked, size)
            assert node in panel and "%" in column


async def test_moving_the_cell_sends_little() -> None:
    state = exploring(DIGITS, (1, 28, 28)).show(Picture(digit(7)[None], "a seven", 7))
    for node, unit in (("conv2", (4, 6, 6)), ("relu1", (3, 12, 12)), ("maxpool1", (3, 5, 5))):
        state = state.look(node, unit)
        app = Host(state)
        async with app.run_test(size=(120, 33)) as pilot:
            await pilot.pause()
            app.show(state)
            await pilot.pause()
            app.sent = 0
            app.show(state)
            await pilot.pause()
            assert app.sent == 0
            for move in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                state = state.to_cell(*move)
                app.sent = 0
                app.show(state)
                await pilot.pause()
                assert 0 < app.sent < BUDGET, (node, move)


async def test_colours_of_a_map_say_what_it_holds() -> None:
    """The cursor is in the accent colour where the number is, in the result and in no partial map of one cell."""
    state = exploring("conv 3 k3", (2, 3, 3)).look("conv1", (1, 0, 0))
    app = Host(state)
    async with app.run_test(size=(120, 33)) as pilot:
        await pilot.pause()
        accent = app.panel.palette.accent
        halves = [style for row in app.panel._painted for glyph, style in row if glyph == "▀"]
        assert halves
        assert not any(style.color is not None and style.color.name == accent for style in halves)
        app.show(exploring("conv 3 k3", (2, 8, 8)).look("conv1", (1, 2, 3)))
        await pilot.pause()
        halves = [style for row in app.panel._painted for glyph, style in row if glyph == "▀"]
        assert any(style.color is not None and style.color.name == accent for style in halves)


async def test_weights_are_underlined() -> None:
    state = exploring(DIGITS, (1, 28, 28))
    for node in ("conv2", "linear1"):
        app = Host(state.look(node, (1, 2, 2)[: len(state.shape(node))]))
        async with app.run_test(size=(120, 33)) as pilot:
            await pilot.pause()
            assert any(style.underline for row in app.panel._painted for _, style in row)


# -- the classes


def bars(state: ExploreState, wide: int, tall: int, plain: bool = False) -> list[str]:
    from cnntui.ui.theme import DARK

    canvas = Canvas(wide, tall, Style())
    taken = put_class_bars(canvas, 0, 0, wide, tall, state, DARK, plain)
    lines = ["".join(glyph for glyph, _ in row).rstrip() for row in canvas.rows]
    assert not any(lines[taken:])
    return lines[:taken]


def test_class_bars() -> None:
    state = exploring("flatten; linear 4", label=2)
    lines = bars(state, 30, 10)
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "3"]
    assert all(percent(odds) in line for odds, line in zip(state.probabilities, lines, strict=True))
    assert state.read != 2
    assert [line.endswith("✗") for line in lines] == [i == state.read for i in range(4)]
    assert [line.endswith("◂ label") for line in lines] == [i == 2 for i in range(4)]
    assert [line.endswith("◂") for line in bars(state, 17, 10)] == [i == 2 for i in range(4)]
    right = bars(exploring("flatten; linear 4", label=state.read), 30, 10)
    assert [line.endswith("✓") for line in right] == [i == state.read for i in range(4)]
    assert "✗" not in "".join(right) and "◂" not in "".join(right)
    longest = max(range(4), key=lambda i: lines[i].count("█"))
    assert longest == state.read
    assert "█" not in "".join(bars(state, 30, 10, plain=True))


def test_more_classes_than_room() -> None:
    state = exploring("flatten; linear 100", label=77)
    lines = bars(state, 28, 6)
    assert len(lines) == 6 and lines[-1].startswith("… 95 more: ")
    classes = shown(state, 6)
    assert classes[0] == state.read and 77 in classes and len(set(classes)) == 5
    asked = shown(state.ask(55), 6)
    assert {state.read, 55, 77} <= set(asked)
    assert len(bars(state, 12, 1)) == 1
    assert bars(state, 28, 100)[99].startswith("99 ")


def test_what_was_before() -> None:
    state = exploring("flatten; linear 4", label=2)
    assert "was" not in "".join(bars(state, 46, 6))
    changed = state.changed("linear1", "bias", (1,), 5.0)
    assert changed.read == 1
    before = np.asarray(state.probabilities)
    title, *lines = bars(changed, 46, 6)
    assert title == "█ now · ░ before"
    assert all(f"was {percent(odds)}" in line for odds, line in zip(before, lines, strict=True))
    narrow = bars(changed, 18, 6)
    assert "was" not in "".join(narrow) and "░" in "".join(narrow[1:])
    assert ["▲" in line for line in narrow[1:]] == [False, True, False, False]
    assert ["▼" in line for line in narrow[1:]] == [True, False, True, True]
    assert len(bars(changed, 18, 4)) == 4, "no title where a class would have to go for it"
    pinned = replace(state, pinned=("step 15", state.model.parameters))
    title, *lines = bars(with_weights(pinned, changed.parameters), 46, 6)
    assert title == "█ now · ░ step 15"
    assert all(f"was {percent(odds)}" in line for odds, line in zip(before, lines, strict=True))
    still = bars(pinned, 18, 6)
    assert "▲" not in "".join(still) and "▼" not in "".join(still)


def test_what_it_was_read_as() -> None:
    state = exploring("flatten; linear 4", label=2)
    was = state.class_name(state.read)
    changed = state.changed("linear1", "bias", (1,), 5.0)
    assert verdict(state, 28)[1] == ""
    assert verdict(changed, 28) == ("reads 1 ✗ is 2", f"was {was} before your changes")
    assert verdict(changed, 17)[1] == f"before changes: {was}"
    pinned = replace(changed, pinned=("step 200", state.model.parameters))
    assert verdict(pinned, 17)[1] == f"at step 200: {was}"
    assert verdict(pinned, 12)[1] == f"pinned: {was}"


def test_a_map_has_no_bars() -> None:
    state = exploring("conv 3 same; relu", label=2).changed("conv1", "bias", (1,), 5.0)
    assert " ".join(bars(state, 20, 6)).split() == ["the", "output", "is", "a", "map:", "3×8×8"]


async def test_a_map_is_read_as_nothing() -> None:
    state = exploring("conv 3 same; relu", label=2)
    for shown_ in (state, state.pin(), state.silence("conv1", 0)):
        column = (await seen(shown_))[1]
        assert "the output is a map" in column and "3×8×8" in column
        assert "reads" not in column and "%" not in column and "✗" not in column


def test_what_a_terminal_would_obey_is_not_written() -> None:
    canvas, sign = Canvas(12, 1, Style()), "\N{REPLACEMENT CHARACTER}"
    assert canvas.put(0, 0, "a\x1b[2J\x9b\u202eé█") == 9
    assert "".join(glyph for glyph, _ in canvas.rows[0]) == f"a{sign}[2J{sign}{sign}é█   "


async def test_three_channels_are_said() -> None:
    state = exploring("conv 2; flatten; linear 2", (3, 8, 8)).look("conv1", (0, 1, 1))
    assert "mean of 3 channels" in (await seen(state))[1]
    assert "channel 2 of 0–2" in (await seen(state.look("input", (2, 1, 1))))[1]
    unlabelled = replace(state.picture, label=None)
    column = (await seen(state.show(unlabelled)))[1]
    assert "✓" not in column and "✗" not in column


@pytest.mark.parametrize("wide", [40, 62, 90])
def test_the_header_cuts_no_word(wide: int) -> None:
    parts = ["relu2", "channel 3 of 0–63", "of conv2: 3×3 kernels over 32 maps, padded", "288 weights and a bias"]
    words = set(" ".join(parts).replace(",", "").split())
    for lines in (1, 2):
        made = header(parts, wide, lines)
        assert len(made) <= lines and all(len(line) <= wide for line in made)
        assert set(" ".join(made).replace(",", "").split()) <= words | {"·"}
        assert made[0].startswith("relu2 · channel 3")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_titles_and_steps_are_whole_words(size: tuple[int, int]) -> None:
    """No name, number or word of a title or a step is cut."""
    state = exploring("conv 8; relu; maxpool 2; flatten; linear 12; relu; linear 10", (1, 12, 12))
    for node, unit in (("conv1", (3, 4, 4)), ("linear1", (3,)), ("linear2", (3,)), ("maxpool1", (3, 1, 1))):
        for state_ in (state.look(node, unit), state.look(node, unit).silence(node, unit[0])):
            panel, _ = await seen(state_, size)
            assert "…" not in panel
            made = making(state_)
            for step in made.steps:
                assert all(re.search(rf"(?<!\S){re.escape(word)}(?!\S)", panel) for word in step.words.split()), panel
