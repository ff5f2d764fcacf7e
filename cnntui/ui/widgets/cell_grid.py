"""A grid of numbers: shaded about a fixed zero, with a window over it, a cursor in it, and editing by typing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message

from cnntui.core.arithmetic import number, short
from cnntui.core.layers import Pair
from cnntui.core.shading import glyphs, shade
from cnntui.labs.panels import Frame, Marks, Panel
from cnntui.ui.theme import heat, ink, readable_on
from cnntui.ui.widgets.painted import Canvas, Painted

TYPED = frozenset("0123456789.-/")
WIDEST = 9
SAMPLE = 1024  # cells of a large grid whose numbers are measured
HEAVY, LIGHT = "┏━┓┃┗┛", "┌─┐│└┘"


@dataclass(frozen=True)
class Fit:
    """How a grid is laid out: columns a cell, lines a row, rows and columns shown (None: all of them).

    From 2 lines a row on, one is left between rows, and frames are drawn on it; at 1 the window's cells are tinted.
    """

    cell_width: int = 4
    pitch: int = 1
    rows: int | None = None
    columns: int | None = None

    @property
    def open(self) -> bool:
        """Whether there are lines between the rows."""
        return self.pitch > 1


def lines_of(panel: Panel) -> Pair:
    """Rows and columns of a panel, its padding's included."""
    (top, bottom), (left, right) = panel.sides
    return panel.values.shape[0] + top + bottom, panel.values.shape[1] + left + right


def widest(panel: Panel) -> int:
    """Columns that its numbers take, in at most two decimals."""
    values = panel.values.ravel()
    if values.size > SAMPLE:
        values = np.concatenate([values[:: values.size // SAMPLE], [values.min(), values.max()]])
    return min(WIDEST, max((len(number(value, 2)) for value in values), default=1))


class CellGrid(Painted, can_focus=True):
    """One grid, or the part of it that there is room for: it follows what is marked, and the cursor."""

    DEFAULT_CSS = """
    CellGrid { width: auto; height: auto; }
    """

    BINDINGS = [
        Binding("up", "move(-1, 0)", "Move", show=False),
        Binding("down", "move(1, 0)", "Move", show=False),
        Binding("left", "move(0, -1)", "Move", show=False),
        Binding("right", "move(0, 1)", "Move", show=False),
        Binding("shift+up", "move(-8, 0)", "Move fast", show=False),
        Binding("shift+down", "move(8, 0)", "Move fast", show=False),
        Binding("shift+left", "move(0, -8)", "Move fast", show=False),
        Binding("shift+right", "move(0, 8)", "Move fast", show=False),
        Binding("home", "move_to(0, 0)", "First, last cell", show=False),
        Binding("end", "move_to(-1, -1)", "First, last cell", show=False),
        Binding("enter", "commit", "Set; every term", show=False),
        Binding("escape", "cancel", "Forget the number", show=False),
        Binding("backspace", "erase", "Erase a digit", show=False),
    ]

    class Moved(Message):
        """The cursor was asked to go to a cell (from a key or a click)."""

        def __init__(self, grid: CellGrid, row: int, column: int) -> None:
            super().__init__()
            self.grid = grid
            self.row = row
            self.column = column

    class Refused(Message):
        """A digit was typed where nothing can be typed over."""

    class Typed(Message):
        """A number was typed into a cell. The receiver calls `accept`, or leaves it to be mended.

        `then` is where the cursor wants to go once the number is set.
        """

        def __init__(self, grid: CellGrid, row: int, column: int, text: str, then: CellGrid.Moved | None) -> None:
            super().__init__()
            self.grid = grid
            self.row = row
            self.column = column
            self.text = text
            self.then = then

    class Typing(Message):
        """What is typed, and not yet set, changed."""

        def __init__(self, grid: CellGrid) -> None:
            super().__init__()
            self.grid = grid

    class Pasted(Message):
        """Text was pasted at a cell."""

        def __init__(self, grid: CellGrid, row: int, column: int, text: str) -> None:
            super().__init__()
            self.grid = grid
            self.row = row
            self.column = column
            self.text = text

    class Opened(Message):
        """Enter where there is nothing to set: show all there is about the cell."""

        def __init__(self, grid: CellGrid) -> None:
            super().__init__()
            self.grid = grid

    def __init__(self, panel: Panel, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.panel = panel
        self.typing = ""
        self.locked = False  # has a cursor where it is editable, but takes no numbers
        self.fit = Fit()
        self.corner: Pair = (0, 0)  # the first row and column shown

    @property
    def editable(self) -> bool:
        """Whether its cells can be typed over."""
        return self.panel.editable

    @property
    def cursor(self) -> Pair:
        """The cell that typing changes."""
        return self.panel.cursor

    def show(self, panel: Panel, fit: Fit) -> None:
        """Show another panel; asks for a new layout only when its size changes."""
        before = self._extent()
        if panel.cursor != self.panel.cursor:
            self.typing = ""
        self.panel, self.fit = panel, fit
        if self._extent() != before:
            self._stale = True
            self.refresh(layout=True)
        self.corner = self._followed()
        self.repaint()

    def _followed(self) -> Pair:
        """The corner moved as little as shows what is to be seen, and then by half a page at a time."""
        frame = self.panel.marked.frame
        seen = frame if frame and not self.has_focus else (*self.cursor, *self.cursor)
        row, column = self._shown()
        (top, _), (left, _) = self.panel.sides
        lines, across = lines_of(self.panel)
        return (
            _follow(self.corner[0], row, lines, seen[0] + top, seen[2] + top),
            _follow(self.corner[1], column, across, seen[1] + left, seen[3] + left),
        )

    def _shown(self) -> Pair:
        """How many rows and columns there is room for."""
        rows, columns = lines_of(self.panel)
        return min(rows, self.fit.rows or rows), min(columns, self.fit.columns or columns)

    def part(self, room: int) -> str:
        """Which part of a larger grid is shown, as far as there is room: `, rows 4 to 15, columns −2 to 7`."""
        axes = zip(("rows", "columns"), (self.rows, self.columns), lines_of(self.panel), strict=True)
        parts = {name: f"{own.start} to {own.stop - 1}" for name, own, every in axes if len(own) != every}
        ways = ["".join(f", {name} {part}" for name, part in parts.items())]
        if len(parts) > 1:
            ways.append(f", {' × '.join(parts.values())}")
        return next((said.replace("-", "−") for said in ways if len(said) <= room), "")

    @property
    def rows(self) -> range:
        """The row numbers shown; the padding's are negative, or at least the height."""
        first = self.corner[0] - self.panel.sides[0][0]
        return range(first, first + self._shown()[0])

    @property
    def columns(self) -> range:
        """The column numbers shown."""
        first = self.corner[1] - self.panel.sides[1][0]
        return range(first, first + self._shown()[1])

    @staticmethod
    def measure(panel: Panel, fit: Fit) -> Size:
        """Columns and lines that a panel takes."""
        rows, columns = lines_of(panel)
        rows, columns = min(rows, fit.rows or rows), min(columns, fit.columns or columns)
        return Size(columns * fit.cell_width + 1, rows * fit.pitch + fit.open)

    def _extent(self) -> Size:
        return self.measure(self.panel, self.fit)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As many columns as the cells need."""
        return self._extent().width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the cells need."""
        return self._extent().height

    # -- drawing

    def paint(self, canvas: Canvas) -> None:
        """The cells, then the frames."""
        panel, fit = self.panel, self.fit
        height, width = panel.values.shape
        top, left = max(0, self.rows.start), max(0, self.columns.start)
        values = panel.values[top : max(0, self.rows.stop), left : max(0, self.columns.stop)]
        shades = shade(values, panel.scale)
        room = fit.cell_width - 1
        texts = [[short(float(value), room) for value in row] for row in values]
        whole = all(text is not None for row in texts for text in row)
        longest = max((len(text or "") for row in texts for text in row), default=1)
        inset = " " * (max(0, room - longest) // 2 if fit.pitch > 2 else 0)
        signs = glyphs(shades)
        for line, row in enumerate(self.rows):
            for place, column in enumerate(self.columns):
                x, y = place * fit.cell_width, fit.pitch * line + fit.open
                if 0 <= row < height and 0 <= column < width:
                    i, j = row - top, column - left
                    # Numbers and glyphs are not mixed: one would read the other into it.
                    text = (texts[i][j] if whole else None) or signs[i][j] * room
                    if panel.blank or (panel.holes is not None and panel.holes[row, column]):
                        text = "·"
                    self._put_cell(canvas, x, y, (row, column), text + inset, int(shades[i, j]))
                else:
                    self._put_padding(canvas, x, y, (row, column), "·" + inset)
        if fit.open:
            self._put_frame(canvas, panel.pinned, LIGHT, ink(self.palette.dim))
            self._put_frame(canvas, panel.marked, HEAVY, ink(self.palette.accent))

    def _tint(self, at: Pair) -> Style | None:
        """What a frame cannot show: cells that are marked with gaps between them, or without lines to draw on."""
        colors, panel = self.palette, self.panel
        if at in panel.marked and (not self.fit.open or panel.marked.gaps):
            return ink(colors.on_accent, colors.accent)
        if at in panel.pinned and not self.fit.open:
            return ink(colors.on_accent, colors.dim)
        return None

    def _put_cell(self, canvas: Canvas, x: int, y: int, at: Pair, text: str, shown: int) -> None:
        colors, fit = self.palette, self.fit
        background = heat(shown, colors)
        plain = colors.dim if text.strip() == "·" else colors.text
        style = ink(readable_on(background) if background != colors.background else plain, background)
        style = self._tint(at) or style
        text = text.rjust(fit.cell_width - 1)
        blank = style
        if at == self.cursor and self.has_focus and self.editable:
            text = self.typing.rjust(fit.cell_width - 1)[1 - fit.cell_width :] if self.typing else text
            style = blank = ink(colors.background, colors.text, bold=True, underline=bool(self.typing))
        canvas.put(x + 1, y, text, style)
        for below in range(y + 1, y + fit.pitch - 1):
            canvas.put(x + 1, below, " " * (fit.cell_width - 1), blank)
        if self.panel.weights:
            digits = text.strip()
            canvas.put(x + 1 + text.index(digits), y, digits, style + Style(underline=True))

    def _put_padding(self, canvas: Canvas, x: int, y: int, at: Pair, text: str) -> None:
        style = self._tint(at) or ink(self.palette.accent if at in self.panel.marked else self.palette.dim)
        canvas.put(x + 1, y, text.rjust(self.fit.cell_width - 1), style)

    def _put_frame(self, canvas: Canvas, marked: Marks, box: str, style: Style) -> None:
        """A box around marked cells, on the lines and columns between the cells."""
        frame: Frame | None = marked.frame
        if frame is None:
            return
        top, left, bottom, right = frame
        rows, columns, (width, pitch) = self.rows, self.columns, (self.fit.cell_width, self.fit.pitch)
        first_y, last_y = pitch * (top - rows.start), pitch * (bottom - rows.start + 1)
        first_x, last_x = (left - columns.start) * width, (right - columns.start + 1) * width
        bar = box[1] * (last_x - first_x - 1)
        canvas.put(first_x, first_y, f"{box[0]}{bar}{box[2]}", style)
        canvas.put(first_x, last_y, f"{box[4]}{bar}{box[5]}", style)
        for y in range(max(0, first_y + 1), min(last_y, canvas.height)):
            canvas.put(first_x, y, box[3], style)
            canvas.put(last_x, y, box[3], style)

    # -- keys

    def on_focus(self) -> None:
        """The cursor appears."""
        self.repaint()

    def on_blur(self) -> None:
        """The cursor goes; a number half typed is set."""
        self._offer()
        self.repaint()

    def on_key(self, event: events.Key) -> None:
        """Digits, sign, point and slash edit the cell."""
        character = event.character
        if not character or not (character in TYPED or (character == "e" and self.typing)):
            return
        if self.editable and not self.locked:
            event.stop()
            event.prevent_default()
            self._type(self.typing + character)
        elif character.isdigit():
            self.post_message(self.Refused())

    def on_paste(self, event: events.Paste) -> None:
        """A number goes on being typed; a block of them goes where the cursor is."""
        event.stop()
        text = event.text.strip()
        if self.locked:
            self.post_message(self.Refused())
        elif self.editable and text and set(text) <= TYPED:
            self._type(self.typing + text)
        elif self.editable:
            self.post_message(self.Pasted(self, *self.cursor, event.text))

    def _type(self, text: str) -> None:
        self.typing = text
        self.repaint()
        self.post_message(self.Typing(self))

    def action_commit(self) -> None:
        """Offer the typed text as the cell's new value; without any, open the cell."""
        if self.typing:
            self._offer()
        else:
            self.post_message(self.Opened(self))

    def _offer(self, then: Moved | None = None) -> None:
        if self.typing:
            self.post_message(self.Typed(self, *self.cursor, self.typing, then))
        elif then is not None:
            self.post_message(then)

    def accept(self) -> None:
        """The typed text became the value."""
        self._type("")

    def action_cancel(self) -> None:
        """Forget the typed text."""
        self.accept()

    def action_erase(self) -> None:
        """One typed glyph less."""
        self._type(self.typing[:-1])

    def action_move(self, rows: int, columns: int) -> None:
        """Ask for the neighbouring cell."""
        self._offer(self.Moved(self, self.cursor[0] + rows, self.cursor[1] + columns))

    def action_move_to(self, row: int, column: int) -> None:
        """Ask for a cell; -1 is the last."""
        height, width = self.panel.values.shape
        if height and width:
            self._offer(self.Moved(self, row % height, column % width))

    def on_click(self, event: events.Click) -> None:
        """Ask for the cell under the mouse."""
        line = (event.y - self.fit.open) // self.fit.pitch
        row, column = line + self.rows.start, (event.x - 1) // self.fit.cell_width + self.columns.start
        height, width = self.panel.values.shape
        if 0 <= row < height and 0 <= column < width:
            self._offer(self.Moved(self, row, column))


def _follow(corner: int, room: int, total: int, first: int, last: int) -> int:
    """Where `room` of `total` lines begin, so that `first` to `last` are among them."""
    if room >= total:
        return 0
    if last - first >= room:
        last = first
    if not corner <= first <= last < corner + room:
        corner = first - max(0, (room - (last - first + 1)) // 2)
    return min(max(0, corner), total - room)
