"""A widget that sends the terminal only the cells that changed."""

from __future__ import annotations

from typing import Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from cnntui.ui import theme

Cell = tuple[str, Style]
NO_GLYPH = "\N{REPLACEMENT CHARACTER}"
S = TypeVar("S")


class Canvas:
    """Cells to write on, each one column wide; what lies outside is clipped."""

    def __init__(self, width: int, height: int, base: Style) -> None:
        self.width = width
        self.height = height
        self.base = base
        self.rows: list[list[Cell]] = [[(" ", base)] * width for _ in range(height)]

    def put(self, x: int, y: int, text: str, style: Style | None = None) -> int:
        """Write text from column `x` of line `y`; returns the column behind it. What a terminal would obey becomes `�`."""
        if not text.isprintable():
            text = "".join(glyph if glyph.isprintable() else NO_GLYPH for glyph in text)
        if 0 <= y < self.height:
            row = self.rows[y]
            ink = self.base if style is None else self.base + style
            for column, glyph in enumerate(text, start=x):
                if 0 <= column < self.width:
                    row[column] = (glyph, ink)
        return x + len(text)


class Painted(Widget):
    """Subclasses paint on a canvas; `repaint` compares with what is there and refreshes the difference."""

    DEFAULT_CSS = "Painted { height: auto; width: 1fr; }"

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._painted: list[list[Cell]] = []
        self._strips: list[Strip] = []
        self._stale = True

    @property
    def palette(self) -> theme.Palette:
        """The palette of the theme in use."""
        return theme.palette(self.app)

    def paint(self, canvas: Canvas) -> None:
        """Draw everything."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Paint anew and send what changed."""
        width, height = self.content_size
        if not self.is_mounted or width <= 0 or height <= 0:
            self._stale = True
            return
        rows = self._paint()
        if self._stale or len(rows) != len(self._painted) or any(map(_other_width, rows, self._painted)):
            self._keep(rows, [[] for _ in rows])
            self.refresh()
            return
        changed = [_runs(before, after) for before, after in zip(self._painted, rows, strict=True)]
        self._keep(rows, changed)
        regions = [Region(x, y, end - x, 1) for y, runs in enumerate(changed) for x, end in runs]
        if regions:
            self.refresh(*regions)

    def _paint(self) -> list[list[Cell]]:
        canvas = Canvas(*self.content_size, self.rich_style)
        self.paint(canvas)
        return canvas.rows

    def _keep(self, rows: list[list[Cell]], changed: list[list[tuple[int, int]]]) -> None:
        """Cut the strips where the changes begin and end, since whole segments are what is sent."""
        keep = self._strips if len(self._strips) == len(rows) and not self._stale else None
        self._strips = [
            keep[y] if keep and not runs and rows[y] == self._painted[y] else _strip(row, runs)
            for y, (row, runs) in enumerate(zip(rows, changed, strict=True))
        ]
        self._painted = rows
        self._stale = False

    def render_line(self, y: int) -> Strip:
        """The painted line."""
        if self._stale or len(self._strips) != self.content_size.height:
            self._stale = True
            rows = self._paint()
            self._keep(rows, [[] for _ in rows])
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.content_size.width, self.rich_style)

    def notify_style_update(self) -> None:
        """The theme or a style changed: nothing painted counts any more."""
        super().notify_style_update()
        self._stale = True

    def on_resize(self) -> None:
        """The size changed: nothing painted counts any more."""
        self._stale = True
        self.refresh()


class PaintedState(Painted, Generic[S]):
    """Paints one lab's state."""

    def __init__(self, state: S) -> None:
        super().__init__()
        self.state = state

    def show(self, state: S) -> None:
        """Show another state."""
        self.state = state
        self.repaint()


def _other_width(before: list[Cell], after: list[Cell]) -> bool:
    return len(before) != len(after)


def _runs(before: list[Cell], after: list[Cell]) -> list[tuple[int, int]]:
    """The columns (from, to) that differ."""
    if before == after:
        return []
    runs: list[tuple[int, int]] = []
    start: int | None = None
    for x, (old, new) in enumerate(zip(before, after, strict=True)):
        if old != new:
            start = x if start is None else start
        elif start is not None:
            runs.append((start, x))
            start = None
    if start is not None:
        runs.append((start, len(after)))
    return runs


def _strip(row: list[Cell], runs: list[tuple[int, int]]) -> Strip:
    """Cells of one style as one segment, cut at the runs."""
    cuts = {x for run in runs for x in run}
    segments: list[Segment] = []
    text: list[str] = []
    ink: Style | None = None
    for x, (glyph, style) in enumerate(row):
        if text and ((style is not ink and style != ink) or x in cuts):
            segments.append(Segment("".join(text), ink))
            text = []
        ink = style
        text.append(glyph)
    if text:
        segments.append(Segment("".join(text), ink))
    return Strip(segments, len(row))
