"""The network as a table: one line a layer or a group of them, its facts beside it. Sends the lines that changed."""

from __future__ import annotations

from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cnntui.labs.build import BuildState
from cnntui.labs.columns import COLUMNS, Column
from cnntui.labs.outline import Key, Line
from cnntui.ui.theme import ink, palette

FOLDS = {"open": "▾ ", "folded": "▸ ", "": ""}
GAP = 2
SHORTEST = 20  # columns that the layers' words are left, before a fact of them goes
Piece = tuple[str, Style]


@dataclass(frozen=True, slots=True)
class Layout:
    """The chosen columns and how wide each part is."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]
    number: int
    words: int


class LayerTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Draws the lines of a lab. The selected one is the lab's; a click asks for another."""

    DEFAULT_CSS = """
    LayerTable { height: 1fr; background: $background; scrollbar-size-vertical: 1; overflow-x: hidden; }
    """

    class Clicked(Message):
        """A line was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    class Resized(Message):
        """Other columns may fit."""

    def __init__(self, state: BuildState) -> None:
        super().__init__()
        self._state = state
        self._layout_ = Layout((), (), 1, 1)
        self._wanted: tuple[tuple[str, ...], int] = ((), 0)
        self._painted: dict[int, list[Piece]] = {}

    def show(self, state: BuildState, names: tuple[str, ...]) -> None:
        """Show a state, with as many of these columns as there is room for."""
        same_lines = state.lines is self._state.lines
        self._state = state
        wanted = (names, self.size.width)
        if not same_lines or wanted != self._wanted:
            self._wanted = wanted
            layout = _laid_out(state, names, self.size.width)
            if layout != self._layout_:
                self._layout_ = layout
                self._painted.clear()
                self.refresh()
            self.virtual_size = Size(self.size.width, len(state.lines) + 1)
        self._scroll_to_selected()
        self._refresh_changed()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that are shown."""
        return self._layout_.columns

    def cells(self, index: int) -> list[str]:
        """What a line says: its number, its words, its facts."""
        return [text for text, _ in self._cells(index)]

    def _scroll_to_selected(self) -> None:
        room = max(1, self.size.height - 1)
        top, at = round(self.scroll_y), self._state.selected
        if at < top or at >= top + room:
            self.scroll_to(y=at if at < top else at - room + 1, animate=False, force=True)

    def _refresh_changed(self) -> None:
        """Only the lines on the screen that look otherwise than they did."""
        top = round(self.scroll_y)
        for y in range(1, self.size.height):
            index = top + y - 1
            pieces = self._pieces(index)
            if self._painted.get(index) != pieces:
                self._painted[index] = pieces
                self.refresh(Region(0, y, self.size.width, 1))

    def on_resize(self) -> None:
        """Tell the view, which chooses the columns."""
        self.post_message(self.Resized())

    def on_click(self, event: events.Click) -> None:
        """Ask for the line under the mouse."""
        index = round(self.scroll_y) + event.y - 1
        if event.y > 0 and index < len(self._state.lines):
            self.post_message(self.Clicked(index))

    def notify_style_update(self) -> None:
        """Another theme: nothing painted counts any more."""
        self._painted.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """The heading, or a line of the lab."""
        pieces = self._heading() if y == 0 else self._pieces(round(self.scroll_y) + y - 1)
        base = self.rich_style
        strip = Strip([Segment(text, base + style) for text, style in pieces if text])
        return strip.adjust_cell_length(self.size.width, base + pieces[-1][1] if pieces else base).simplify()

    def _heading(self) -> list[Piece]:
        layout, dim = self._layout_, ink(palette(self.app).dim)
        titles = zip((column.title for column in layout.columns), layout.columns, layout.widths, strict=True)
        return [
            (f"{'#':>{layout.number}} {'layer':<{layout.words}}", dim),
            *((_placed(title, column, width), dim) for title, column, width in titles),
        ]

    def _pieces(self, index: int) -> list[Piece]:
        """A line's parts, each as wide as its column; none below the last line."""
        state, layout, colors = self._state, self._layout_, palette(self.app)
        if index >= len(state.lines):
            return []
        (number, style), (words, _), *facts = self._cells(index)
        guide = len(state.lines[index].guide)
        words = words if len(words) <= layout.words else f"{words[: max(0, layout.words - 1)]}…"[: layout.words]
        ground = Style()
        if index == state.selected:
            style = ink(colors.accent, self.app.current_theme.panel, bold=True)
            ground = ink(None, self.app.current_theme.panel)
        pieces = [
            (f"{number:>{layout.number}} ", style),
            (words[:guide], ink(colors.dim) + ground),
            (f"{words[guide:]:<{max(0, layout.words - guide)}}", style),
        ]
        for (fact, _), column, width in zip(facts, layout.columns, layout.widths, strict=True):
            pieces.append((_placed(fact, column, width), style))
        return pieces

    def _cells(self, index: int) -> list[Piece]:
        state, colors = self._state, palette(self.app)
        line = state.lines[index]
        problem = state.problem_in(line)
        shown = line.row is not None and line.fold != "open"
        waits = shown and state.analysis.rows[line.last - 1].output is None
        style = ink(colors.error if problem and shown else colors.dim if waits or not shown else colors.text)
        first, count = state.span
        marked = count > 1 and _within(line.key, first, count)
        mark = "✗" if problem and (shown or not line.guide) else "▐" if marked else ""
        number = "" if line.row is None or line.fold else f"{line.row + 1}"
        facts = [
            column.text(state.analysis, line.first, line.last) if shown else "" for column in self._layout_.columns
        ]
        return [(f"{mark}{number}", style), (_words(line), style), *((fact, style) for fact in facts)]


def _words(line: Line) -> str:
    return f"{line.guide}{FOLDS[line.fold]}{line.text}"


def _within(key: Key, first: Key, count: int) -> bool:
    depth = len(first) - 1
    return len(key) > depth and key[:depth] == first[:depth] and 0 <= key[depth] - first[depth] < count


def _placed(text: str, column: Column, width: int) -> str:
    """In a column, behind a gap."""
    return " " * GAP + (f"{text:<{width}}" if column.align == "left" else f"{text:>{width}}")


def _laid_out(state: BuildState, names: tuple[str, ...], width: int) -> Layout:
    """As many columns as fit, the first first; then the words have the rest."""
    number = max(3, len(f"✗{len(state.analysis.rows)}"))
    longest = max((len(_words(line)) for line in state.lines), default=0)
    room = width - number - GAP
    words = min(longest, max(SHORTEST, room // 2))
    room -= words
    shown = [line for line in state.lines if line.row is not None]
    columns: list[Column] = []
    widths: list[int] = []
    for column in (COLUMNS[name] for name in names):
        texts = (column.text(state.analysis, line.first, line.last) for line in shown)
        needed = max([len(column.title), *map(len, texts)])
        if needed + GAP <= room:
            columns.append(column)
            widths.append(needed)
            room -= needed + GAP
    return Layout(tuple(columns), tuple(widths), number, max(0, min(longest, words + room)))
