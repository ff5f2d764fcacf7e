"""A grid of numbers: shaded about a fixed zero, with a window over it, a cursor in it, and editing by typing."""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message

from cnntui.core.arithmetic import number, short
from cnntui.core.shading import glyphs, scale_of, shade
from cnntui.core.windows import Array
from cnntui.ui.theme import heat, ink, readable_on
from cnntui.ui.widgets.painted import Canvas, Painted

TYPED = frozenset("0123456789.-/")
Place = tuple[int, int]


@dataclass(frozen=True)
class Grid:
    """What a grid shows: values (H, W), a border of padding, the marked cells (padding may be among them).

    `window` is the frame around the marked cells: top, left, bottom, right, inclusive. A `blank` grid has no values: the
    window of a pool.
    """

    values: Array
    padding: Place = (0, 0)
    marked: frozenset[Place] = frozenset()
    window: tuple[int, int, int, int] | None = None
    weights: bool = False
    blank: bool = False

    @property
    def rows(self) -> range:
        """Row numbers, the padding's included."""
        return range(-self.padding[0], self.values.shape[0] + self.padding[0])

    @property
    def columns(self) -> range:
        """Column numbers, the padding's included."""
        return range(-self.padding[1], self.values.shape[1] + self.padding[1])


def cell_texts(values: Array) -> list[list[str]]:
    """Each number in at most two decimals."""
    return [[number(value, 2) for value in row] for row in values]


class CellGrid(Painted, can_focus=True):
    """One grid, `pitch` lines a row. From 2 on a line is left between rows, and a heavy frame drawn around the window;
    at 1 the window's cells are tinted instead."""

    DEFAULT_CSS = """
    CellGrid { width: auto; height: auto; }
    """

    BINDINGS = [
        Binding("up", "move(-1, 0)", "Move", show=False),
        Binding("down", "move(1, 0)", "Move", show=False),
        Binding("left", "move(0, -1)", "Move", show=False),
        Binding("right", "move(0, 1)", "Move", show=False),
        Binding("home", "move_to(0, 0)", "First cell", show=False),
        Binding("end", "move_to(-1, -1)", "Last cell", show=False),
        Binding("enter", "commit", "Set the typed number", show=False),
        Binding("escape", "cancel", "Forget the typed number", show=False),
        Binding("backspace", "erase", "Erase a typed digit", show=False),
    ]

    class Moved(Message):
        """The cursor was asked to go to a cell (from a key or a click)."""

        def __init__(self, grid: CellGrid, row: int, column: int) -> None:
            super().__init__()
            self.grid = grid
            self.row = row
            self.column = column

        @property
        def control(self) -> CellGrid:
            """The grid."""
            return self.grid

    class Typed(Message):
        """A number was typed into a cell. The receiver calls `accept`, or leaves it to be mended."""

        def __init__(self, grid: CellGrid, row: int, column: int, text: str) -> None:
            super().__init__()
            self.grid = grid
            self.row = row
            self.column = column
            self.text = text

        @property
        def control(self) -> CellGrid:
            """The grid."""
            return self.grid

    class Typing(Message):
        """What is typed, and not yet set, changed."""

        def __init__(self, grid: CellGrid) -> None:
            super().__init__()
            self.grid = grid

    def __init__(self, grid: Grid, editable: bool = True, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.grid = grid
        self.editable = editable
        self.cursor: Place | None = (0, 0)
        self.typing = ""
        self.cell_width = 4
        self.pitch = 1

    def show(self, grid: Grid, cursor: Place | None) -> None:
        """Show another grid; asks for a new layout only when its size changed."""
        resized = (grid.rows, grid.columns) != (self.grid.rows, self.grid.columns)
        if cursor != self.cursor:
            self.typing = ""
        self.grid, self.cursor = grid, cursor
        if resized:
            self.refresh(layout=True)
        self.repaint()

    @property
    def open(self) -> bool:
        """Whether there are lines between the rows."""
        return self.pitch > 1

    def fit(self, cell_width: int, pitch: int) -> None:
        """How wide a cell is, and how many lines a row takes."""
        if (cell_width, pitch) != (self.cell_width, self.pitch):
            self.cell_width, self.pitch = cell_width, pitch
            self._stale = True
            self.refresh(layout=True)

    @staticmethod
    def measure(grid: Grid, cell_width: int, pitch: int) -> Size:
        """Columns and lines that a grid takes."""
        return Size(len(grid.columns) * cell_width + 1, len(grid.rows) * pitch + (pitch > 1))

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As many columns as the cells need."""
        return self.measure(self.grid, self.cell_width, self.pitch).width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the cells need."""
        return self.measure(self.grid, self.cell_width, self.pitch).height

    # -- drawing

    def paint(self, canvas: Canvas) -> None:
        """The cells, then the frame."""
        grid = self.grid
        shades = shade(grid.values, scale_of(grid.values))
        room = self.cell_width - 1
        texts = [[short(float(value), room) for value in row] for row in grid.values]
        whole = all(text is not None for row in texts for text in row)
        widest = max((len(text or "") for row in texts for text in row), default=1)
        inset = max(0, room - widest) // 2 if self.pitch > 2 else 0
        signs = glyphs(shades)
        for line, row in enumerate(grid.rows):
            y = self.pitch * line + self.open
            for column_index, column in enumerate(grid.columns):
                x = column_index * self.cell_width
                inside = 0 <= row < grid.values.shape[0] and 0 <= column < grid.values.shape[1]
                if inside:
                    # Numbers and glyphs are not mixed: one would read the other into it.
                    text = (texts[row][column] if whole else None) or signs[row][column] * room
                    text, shown = "·" if grid.blank else text, int(shades[row, column])
                    self._put_cell(canvas, x, y, (row, column), text + " " * inset, shown)
                else:
                    self._put_padding(canvas, x, y, (row, column))
        if self.open and grid.window:
            self._put_frame(canvas, grid.window)

    def _put_cell(self, canvas: Canvas, x: int, y: int, at: Place, text: str, shown: int) -> None:
        colors = self.palette
        background = heat(shown, colors)
        style = ink(readable_on(background) if background != colors.background else colors.text, background)
        if at in self.grid.marked and not self.open:
            style = ink(colors.on_accent, colors.accent)
        text = text.rjust(self.cell_width - 1)
        blank = style
        if at == self.cursor and self.has_focus and self.editable:
            text = self.typing.rjust(self.cell_width - 1)[1 - self.cell_width :] if self.typing else text
            style = blank = ink(colors.background, colors.text, bold=True, underline=bool(self.typing))
        canvas.put(x + 1, y, text, style)
        for below in range(y + 1, y + self.pitch - 1):
            canvas.put(x + 1, below, " " * (self.cell_width - 1), blank)
        if self.grid.weights:
            digits = text.strip()
            canvas.put(x + 1 + text.index(digits), y, digits, style + Style(underline=True))

    def _put_padding(self, canvas: Canvas, x: int, y: int, at: Place) -> None:
        colors = self.palette
        marked = at in self.grid.marked
        style = (
            ink(colors.on_accent, colors.accent)
            if marked and not self.open
            else ink(colors.accent if marked else colors.dim)
        )
        canvas.put(x + 1, y, "·".rjust(self.cell_width - 1), style)

    def _put_frame(self, canvas: Canvas, window: tuple[int, int, int, int]) -> None:
        """A heavy box around the window, on the lines and columns between the cells."""
        top, left, bottom, right = window
        rows, columns, width = self.grid.rows, self.grid.columns, self.cell_width
        first_y, last_y = self.pitch * (top - rows.start), self.pitch * (bottom - rows.start + 1)
        first_x, last_x = (left - columns.start) * width, (right - columns.start + 1) * width
        style = ink(self.palette.accent)
        bar = "━" * (last_x - first_x - 1)
        canvas.put(first_x, first_y, f"┏{bar}┓", style)
        canvas.put(first_x, last_y, f"┗{bar}┛", style)
        for y in range(first_y + 1, last_y):
            canvas.put(first_x, y, "┃", style)
            canvas.put(last_x, y, "┃", style)

    # -- keys

    def on_focus(self) -> None:
        """The cursor appears."""
        self.repaint()

    def on_blur(self) -> None:
        """The cursor goes; a number half typed is set."""
        self.action_commit()
        self.repaint()

    def on_key(self, event: events.Key) -> None:
        """Digits, sign, point and slash edit the cell."""
        if self.editable and self.cursor and event.character and event.character in TYPED:
            event.stop()
            event.prevent_default()
            self._type(self.typing + event.character)

    def _type(self, text: str) -> None:
        self.typing = text
        self.repaint()
        self.post_message(self.Typing(self))

    def action_commit(self) -> None:
        """Offer the typed text as the cell's new value."""
        if self.typing and self.cursor:
            self.post_message(self.Typed(self, *self.cursor, self.typing))

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
        self.action_commit()
        if self.cursor:
            self.post_message(self.Moved(self, self.cursor[0] + rows, self.cursor[1] + columns))

    def action_move_to(self, row: int, column: int) -> None:
        """Ask for a cell; -1 is the last."""
        height, width = self.grid.values.shape
        self.action_commit()
        self.post_message(self.Moved(self, row % height, column % width))

    def on_click(self, event: events.Click) -> None:
        """Ask for the cell under the mouse."""
        line = (event.y - self.open) // self.pitch
        row, column = line + self.grid.rows.start, (event.x - 1) // self.cell_width + self.grid.columns.start
        height, width = self.grid.values.shape
        if 0 <= row < height and 0 <= column < width:
            self.post_message(self.Moved(self, row, column))
