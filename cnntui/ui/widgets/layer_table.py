"""The network as a table: one line a layer or a group of them, its facts beside it."""

from __future__ import annotations

from rich.text import Text
from textual.binding import Binding
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable

from cnntui.labs.build import BuildState
from cnntui.labs.columns import COLUMNS, Column
from cnntui.labs.outline import Line
from cnntui.ui.theme import Palette, palette

FOLDS = {"open": "▾ ", "folded": "▸ ", "": ""}
NUMBER, LAYER = "#", "layer"


class LayerTable(DataTable[Text]):
    """Updates the cells that changed; the selected line is the lab's."""

    DEFAULT_CSS = """
    LayerTable { height: 1fr; background: $background; scrollbar-size-vertical: 1; overflow-x: hidden; }
    LayerTable:focus { background-tint: $foreground 0%; }
    LayerTable > .datatable--header { background: $background; color: $border; text-style: none; }
    LayerTable > .datatable--cursor { background: $panel; color: $accent; text-style: bold; }
    LayerTable:focus > .datatable--cursor { background: $panel; color: $accent; }
    """

    BINDINGS = [
        Binding("home", "scroll_top", "First layer", show=False),
        Binding("end", "scroll_bottom", "Last layer", show=False),
        Binding("left", "fold(True)", "Fold", show=False),
        Binding("right", "fold(False)", "Unfold", show=False),
    ]

    class Fold(Message):
        """Shut the selected group, or open it."""

        def __init__(self, shut: bool) -> None:
            super().__init__()
            self.shut = shut

    class Resized(Message):
        """Other columns may fit."""

    def __init__(self) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._titles: list[str] = []
        self._shown: list[list[Text]] = []

    def on_resize(self) -> None:
        """Tell the view, which chooses the columns."""
        self.post_message(self.Resized())

    def action_fold(self, shut: bool) -> None:
        """Ask for it."""
        self.post_message(self.Fold(shut))

    def show(self, state: BuildState, columns: list[Column]) -> None:
        """Show a state; lines are only added or removed when their number changes."""
        titles = [NUMBER, LAYER, *(column.title for column in columns)]
        if titles != self._titles:
            self._titles, self._shown = titles, []
            self.clear(columns=True)
            for title, column in zip(titles, [None, None, *columns], strict=True):
                left = title == LAYER or (column is not None and column.align == "left")
                self.add_column(Text(title, justify="left" if left else "right"))
        lines = self._lines(state, columns)
        while self.row_count > len(lines):
            self.remove_row(self.ordered_rows[-1].key)
        for index, cells in enumerate(lines):
            if index >= self.row_count:
                self.add_row(*cells)
                continue
            before = self._shown[index] if index < len(self._shown) else []
            for at, cell in enumerate(cells):
                if at >= len(before) or before[at] != cell or before[at].style != cell.style:
                    self.update_cell_at(Coordinate(index, at), cell, update_width=True)
        self._shown = lines
        if self.cursor_row != state.selected:
            self.move_cursor(row=state.selected, scroll=True)

    def _lines(self, state: BuildState, columns: list[Column]) -> list[list[Text]]:
        colors = palette(self.app)
        first, count = state.span
        return [
            self._cells(state, line, columns, colors, _within(line, first, count) and count > 1) for line in state.lines
        ]

    def _cells(self, state: BuildState, line: Line, columns: list[Column], colors: Palette, marked: bool) -> list[Text]:
        analysis = state.analysis
        problem = state.problem_in(line)
        shown = line.row is not None and line.fold != "open"
        waits = shown and analysis.rows[line.last - 1].output is None
        style = colors.error if problem and shown else colors.dim if waits or not shown else ""
        number = "" if line.row is None or line.fold else f"{line.row + 1}"
        mark = "✗" if problem and (shown or not line.guide) else "▐" if marked else ""
        text = Text.assemble((line.guide, colors.dim), FOLDS[line.fold], line.text, style=style)
        cells = [Text(f"{mark}{number}", style=style, justify="right"), text]
        for column in columns:
            value = column.text(analysis, line.first, line.last) if shown else ""
            cells.append(Text(value, style=style, justify="left" if column.align == "left" else "right"))
        return cells


def _within(line: Line, first: tuple[int, ...], count: int) -> bool:
    depth = len(first) - 1
    return len(line.key) > depth and line.key[:depth] == first[:depth] and 0 <= line.key[depth] - first[depth] < count


def fitting(state: BuildState, names: tuple[str, ...], width: int) -> list[Column]:
    """The columns that there is room for beside the layers' words, the first first."""
    words = max((len(line.guide) + len(FOLDS[line.fold]) + len(line.text) for line in state.lines), default=0)
    room = width - words - 8  # the number, the space around both, the scroll bar
    columns: list[Column] = []
    for column in (COLUMNS[name] for name in names):
        shown = (line for line in state.lines if line.row is not None)
        needed = max((len(column.text(state.analysis, line.first, line.last)) for line in shown), default=0)
        needed = max(needed, len(column.title)) + 2
        if needed <= room:
            columns.append(column)
            room -= needed
    return columns
