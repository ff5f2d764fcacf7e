"""The whole input and the whole output as pictures, side by side, with the window on both."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.binding import Binding
from textual.message import Message

from cnntui.core.arithmetic import number
from cnntui.core.shading import shade
from cnntui.core.windows import Array
from cnntui.labs.panels import Marks, Panel, Panels
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, Painted
from cnntui.ui.widgets.picture import put_picture, shrink, shrinking

GAP = 3
MOST_ZOOM = 4


@dataclass(frozen=True)
class Scale:
    """`factor` cells a pixel where the picture is too large, `zoom` pixels a cell where it is small."""

    factor: int = 1
    zoom: int = 1

    @classmethod
    def of(cls, shape: tuple[int, ...], wide: int, tall: int) -> Scale:
        """For a picture (H, W) in that many pixels."""
        return cls(shrinking(shape, tall, wide), max(1, min(wide // shape[1], tall // shape[0], MOST_ZOOM)))

    def pixels(self, cell: int) -> range:
        """Where a cell is drawn."""
        return range(cell // self.factor * self.zoom, (cell // self.factor + 1) * self.zoom)

    def cell(self, pixel: int) -> int:
        """What is drawn there."""
        return pixel // self.zoom * self.factor


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and one.__array_interface__["data"] == other.__array_interface__["data"]


class PictureView(Painted, can_focus=True):
    """Half-blocks, or glyphs without colour. Arrows move the output cell, shift moves it faster."""

    DEFAULT_CSS = "PictureView { height: 1fr; }"
    BINDINGS = [
        *(
            Binding(f"{shift}{key}", f"move({row * by}, {column * by})", "Move fast" if shift else "Move", show=False)
            for shift, by in (("", 1), ("shift+", 8))
            for key, row, column in (("up", -1, 0), ("down", 1, 0), ("left", 0, -1), ("right", 0, 1))
        ),
        Binding("enter", "open", "Every term", show=False),
        Binding("home", "move(-100000, -100000)", "First, last cell", show=False),
        Binding("end", "move(100000, 100000)", "First, last cell", show=False),
    ]

    class Moved(Message):
        """The output cell was asked to move."""

        def __init__(self, rows: int, columns: int) -> None:
            super().__init__()
            self.rows = rows
            self.columns = columns

    class Clicked(Message):
        """A cell of the output was clicked."""

        def __init__(self, row: int, column: int) -> None:
            super().__init__()
            self.row = row
            self.column = column

    class Opened(Message):
        """Every term was asked for."""

    def __init__(self, panels: Panels) -> None:
        super().__init__()
        self.panels = panels
        self.as_glyphs = False
        self._small: dict[str, tuple[Array, Scale, Array]] = {}
        self._output: tuple[int, int, Scale] = (0, 0, Scale())  # column, line, scale

    def show(self, panels: Panels, as_glyphs: bool) -> None:
        """Show another state."""
        self.panels, self.as_glyphs = panels, as_glyphs
        self.repaint()

    def paint(self, canvas: Canvas) -> None:
        """Two pictures, each under its title; below them the scale."""
        colors = self.palette
        half = (canvas.width - GAP) // 2
        x = 0
        for name in ("input", "output"):
            panel = self.panels[name]
            kernel = f" ∗ {self.panels['kernel'].title}" if name == "input" else ""
            canvas.put(
                x,
                0,
                f"{panel.title}{kernel}"[:half],
                ink(colors.accent if name == "output" else colors.text, bold=True),
            )
            if panel.values.size:
                self._put(canvas, x, name, panel, half, canvas.height - 2)
                scale = number(panel.scale, 3)
                canvas.put(x, canvas.height - 1, f"one scale −{scale} to {scale}"[:half], ink(colors.dim))
            x += half + GAP

    def _put(self, canvas: Canvas, x: int, name: str, panel: Panel, wide: int, tall: int) -> None:
        wide, tall = (wide // 2, tall) if self.as_glyphs else (wide, tall * 2)
        scale = Scale.of(panel.values.shape, max(1, wide), max(1, tall))
        small = self._shrunk(name, panel, scale)
        put_picture(canvas, x, 1, small, self.palette, self.as_glyphs)
        if name == "output":
            self._output = (x, 1, scale)
        for marked, color in ((panel.pinned, self.palette.dim), (panel.marked, self.palette.accent)):
            self._put_marks(canvas, x, small, marked, scale, color)

    def _shrunk(self, name: str, panel: Panel, scale: Scale) -> Array:
        """The shades at the size there is room for; made once for each grid."""
        kept = self._small.get(name)
        # A channel is another view each time, of the same numbers; keeping the view keeps them where they are.
        if kept is None or not _same(kept[0], panel.values) or kept[1] != scale:
            small = shrink(shade(panel.values, panel.scale), scale.factor)
            kept = (panel.values, scale, small.repeat(scale.zoom, 0).repeat(scale.zoom, 1))
            self._small[name] = kept
        return kept[2]

    def _put_marks(self, canvas: Canvas, x: int, small: Array, marked: Marks, scale: Scale, color: str) -> None:
        """The pixels of the window in the accent colour, or in brackets where there is none."""
        frame = marked.frame
        if frame is None:
            return
        height, width = small.shape
        top, left = (scale.pixels(at).start for at in frame[:2])
        bottom, right = (scale.pixels(at).stop for at in frame[2:])
        for row in range(max(0, top), min(bottom, height)):
            for column in range(max(0, left), min(right, width)):
                if self.as_glyphs:
                    canvas.put(x + 2 * column, 1 + row, "[]", ink(color, bold=True))
                else:
                    _tint(canvas, x + column, 1 + row // 2, row % 2 == 0, color)

    def on_click(self, event: events.Click) -> None:
        """The output cell under the mouse."""
        x, y, scale = self._output
        column = scale.cell((event.x - x) // (2 if self.as_glyphs else 1))
        row = scale.cell((event.y - y) * (1 if self.as_glyphs else 2))
        height, width = self.panels["output"].values.shape
        if 0 <= column < width and 0 <= row < height:
            self.post_message(self.Clicked(row, column))

    def action_move(self, rows: int, columns: int) -> None:
        """Ask for another output cell."""
        self.post_message(self.Moved(rows, columns))

    def action_open(self) -> None:
        """Ask for every term."""
        self.post_message(self.Opened())


def _tint(canvas: Canvas, x: int, y: int, upper: bool, color: str) -> None:
    """Colour the upper or the lower half of a cell that holds a half-block."""
    if 0 <= y < canvas.height and 0 <= x < canvas.width:
        glyph, style = canvas.rows[y][x]
        fore = style.color.name if style.color else None
        back = style.bgcolor.name if style.bgcolor else None
        canvas.rows[y][x] = (glyph, ink(color, back) if upper else ink(fore, color))
