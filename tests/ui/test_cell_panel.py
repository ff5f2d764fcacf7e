"""One number taken apart, on a screen: everything is to be read at both sizes, with colours and without."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console, RenderableType
from textual._compositor import CompositorUpdate
from textual.app import App, ComposeResult
from textual.screen import Screen

from cnntui.core.notation import parse
from cnntui.labs.cell import anatomy, channel, first, moved, source
from cnntui.labs.explore import ExploreState
from cnntui.ui.compositor import TightCompositor
from cnntui.ui.theme import THEMES
from cnntui.ui.widgets.cell_panel import CellPanel, CellView
from tests.labs.test_handover import of, opened

SIZES = {"80x24": (62, 18), "120x40": (90, 33)}
both = pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
either = pytest.mark.parametrize("plain", [False, True], ids=["colours", "plain"])


class Host(App[None]):
    """The panel alone."""

    def __init__(self, view: CellView) -> None:
        super().__init__()
        self.view, self.sent = view, 0

    def compose(self) -> ComposeResult:
        yield CellPanel(self.view)

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    @property
    def lines(self) -> list[str]:
        panel = self.query_one(CellPanel)
        height = panel.content_size.height
        return ["".join(segment.text for segment in panel.render_line(y)).rstrip() for y in range(height)]


class Tight(Screen[None]):
    """Sends what changed, as the screens of the app do."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = TightCompositor()


class Metered(Host):
    """Counts what a terminal would get."""

    def get_default_screen(self) -> Screen[Any]:
        return Tight()

    meter = Console(file=io.StringIO(), color_system="truecolor", force_terminal=True, width=300)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if isinstance(renderable, CompositorUpdate):
            self.sent += len(renderable.render_segments(self.meter).encode())
        super()._display(screen, renderable)


async def drawn(state: ExploreState, index: int, size: tuple[int, int], plain: bool = False) -> list[str]:
    app = Host(CellView(anatomy(state, index), plain))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        return app.lines


def everywhere(lines: list[str], *parts: str) -> None:
    text = "\n".join(lines)
    for part in parts:
        assert part in text, text


@both
@either
async def test_a_window(size: tuple[int, int], plain: bool) -> None:
    state = of("conv 4 k3 p1; relu; conv 6 k5 p2; bn; relu", (1, 9, 9), "relu2", (3, 4, 0))
    index = first(state)
    lines = await drawn(state, index, size, plain)
    whole = anatomy(state, index)
    assert lines[0] == f"relu2[3,4,0] = {whole.value}"
    everywhere(lines, "channel 3 of conv2 at row 4, column 0", whole.chosen[:40], "weights", "·", "each channel adds")
    # Each line of the arithmetic is there with what it comes to.
    everywhere(lines, *(f"= {part.equation.result}" for part in whole.parts))
    everywhere(lines, "bn1 (", "relu2 relu(")
    if size[0] >= 90:
        everywhere(lines, "products")
    assert any("[" in line and "×" in line for line in lines) or not plain


@both
async def test_three_small_grids_stand_side_by_side(size: tuple[int, int]) -> None:
    state = of("conv 2 k3", (1, 9, 9), "conv1", (1, 4, 4))
    lines = await drawn(state, 4, size)
    everywhere(lines, "input ±1", "weights ±", "products ±")
    title = next(line for line in lines if "products ±" in line)
    assert title.index("input") < title.index("weights") < title.index("products")
    row = next(line for line in lines if " × " in line and " = " in line)
    assert row.index("×") < title.index("products")


@both
@either
async def test_a_list(size: tuple[int, int], plain: bool) -> None:
    network = parse("flatten; linear 12; relu; linear 10", (1, 96, 96), "net")
    state = opened(network).look("linear1", (3,))
    lines = await drawn(state, first(state), size, plain)
    everywhere(lines, "from ", "value", "weight", "product", "smaller terms, together", "input[0,")
    assert lines[0].startswith("linear1[3] = ")
    everywhere([" ".join(lines)], "a weighted sum of 9,216 numbers and a bias")
    end = anatomy(state, moved(state, first(state), 10_000, 0)).listing
    assert end is not None
    assert end.cursor == 9215
    lines = await drawn(state, moved(state, first(state), 10_000, 0), size, plain)
    everywhere(lines, "other terms, together", "> " if plain else "▸ ")


@both
async def test_a_softmax_over_a_thousand(size: tuple[int, int]) -> None:
    state = of("gap; linear 1000; softmax", (3, 4, 4), "softmax1", (521,))
    lines = await drawn(state, first(state), size)
    everywhere(lines, "logit", "share", "▸ class 521", "e^", "other terms")


@both
@either
@pytest.mark.parametrize(
    ("text", "shape", "node", "unit"),
    [
        ("conv 2 k1", (1, 5, 5), "conv1", (0, 1, 1)),
        ("conv 9 k1; conv 2 k1", (1, 5, 5), "conv2", (0, 1, 1)),
        ("conv 2 k11 p5", (3, 24, 24), "conv1", (0, 0, 0)),
        ("conv 2 k1 p2", (1, 3, 3), "conv1", (1, 0, 0)),
        ("conv 600 k1; conv 2 k3", (1, 5, 5), "conv2", (1, 1, 1)),
        ("conv 40 k1; conv 2 k7", (1, 9, 9), "conv2", (1, 1, 1)),
        ("tconv 2 k4 s3", (2, 4, 4), "tconv1", (1, 7, 7)),
        ("maxpool 3 s2 p1", (2, 9, 9), "maxpool1", (1, 0, 0)),
        ("gap", (2, 40, 40), "gap1", (1,)),
        ("pad 1,1,1,1", (2, 4, 4), "pad1", (1, 0, 0)),
        ("[ id | relu | gap; sigmoid ] mul", (2, 4, 4), "mul1", (1, 1, 1)),
        ("gn 2", (4, 4, 4), "gn1", (1, 1, 1)),
        ("relu", (1, 4, 4), "input", (0, 1, 1)),
    ],
)
async def test_everything_has_room(
    text: str, shape: tuple[int, int, int], node: str, unit: tuple[int, ...], size: tuple[int, int], plain: bool
) -> None:
    state = of(text, shape, node, unit)
    whole = anatomy(state, first(state))
    lines = await drawn(state, first(state), size, plain)
    assert lines[0].endswith(f"= {whole.value}")
    everywhere(lines, *(f"= {part.equation.result}" for part in whole.parts[-1:]))
    if whole.chosen:
        everywhere(lines, whole.chosen[: size[0] - 2])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@both
@either
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e9])
async def test_numbers_that_are_not_finite(size: tuple[int, int], plain: bool, value: float) -> None:
    network = parse("conv 3 k3; bn; relu; maxpool 2; conv 3 k1; flatten; linear 4; softmax", (2, 8, 8), "net")
    model = opened(network).model
    model.parameters["conv1"]["weight"][:, :, 1, 1] = value
    state = ExploreState(model, opened(network).picture)
    for node in ("conv1", "relu1", "maxpool1", "linear1", "softmax1"):
        state = state.look(node, tuple(n // 2 for n in state.shape(node)))
        lines = await drawn(state, first(state), size, plain)
        assert lines[0].startswith(node)


async def test_weights_are_underlined_and_nothing_else_in_the_grids() -> None:
    state = of("conv 2 k3", (1, 9, 9), "conv1", (1, 4, 4))
    app = Host(CellView(anatomy(state, 4), True))
    async with app.run_test(size=SIZES["80x24"]) as pilot:
        await pilot.pause()
        panel = app.query_one(CellPanel)
        top = next(y for y, line in enumerate(app.lines) if "weights" in line)
        left, right = app.lines[top].index("weights"), app.lines[top].index("products")
        for y in range(top + 1, top + 4):
            x = 0
            for segment in panel.render_line(y):
                if segment.style and segment.style.underline:
                    assert left - 2 <= x < right
                x += len(segment.text)
        assert any(s.style and s.style.underline for s in panel.render_line(top + 2))


async def test_the_way_here() -> None:
    state = of("conv 3 k3; relu; flatten; linear 5; relu; linear 3", (1, 8, 8), "linear2", (2,))
    for _ in range(2):
        state = state.down(source(state, first(state)))
    lines = await drawn(state, first(state), SIZES["80x24"])
    assert lines[0].startswith("linear2[2] ← relu2[")
    assert " ← relu1[" in lines[0]
    lines = await drawn(state, first(state), (32, 18))
    assert lines[0].startswith("… ← ")


@pytest.mark.parametrize("node", ["conv2", "conv3", "linear1", "softmax1", "maxpool1"])
async def test_a_step_among_the_terms_costs_little(node: str) -> None:
    network = parse(
        "conv 16 k3; maxpool 2; conv 8 k5 p2; conv 8 k11 p5; flatten; linear 100; softmax", (1, 28, 28), "net"
    )
    state = opened(network)
    state = state.look(node, tuple(n // 2 for n in state.shape(node)))
    app = Metered(CellView(anatomy(state, first(state))))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        index, sent = first(state), []
        for rows, columns in ((1, 0), (0, 1), (-1, 0), (0, 1), (1, 0), (0, -1)):
            index = moved(state, index, rows, columns)
            app.sent = 0
            app.query_one(CellPanel).show(CellView(anatomy(state, index)))
            await pilot.pause()
            sent.append(app.sent)
        assert 0 < max(sent) < 1500
        before = app.lines
        app.query_one(CellPanel).show(CellView(anatomy(state, channel(state, index, 1))))
        await pilot.pause()
        assert (app.lines != before) == (channel(state, index, 1) != index)
