"""The convolution view: input, kernel and output side by side, a window that slides, and the arithmetic below."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import numpy as np
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Label

from cnntui.core.arithmetic import number
from cnntui.core.images import PICTURES
from cnntui.core.kernels import load_kernels
from cnntui.core.layers import shape_text
from cnntui.labs.convolve import OPERATIONS, POOLS, ConvolveState, MoveError, start
from cnntui.labs.history import History
from cnntui.ui.clock import Clock
from cnntui.ui.screens.dialogs import Choose
from cnntui.ui.widgets.cell_grid import CellGrid, Grid, Place, cell_texts
from cnntui.ui.widgets.equation import EquationView
from cnntui.ui.widgets.settings_line import SettingsLine

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

SPEEDS = (1, 2, 4, 8)
WORDS = {
    "conv": "correlation, what frameworks call convolution",
    "true-conv": "convolution proper: the kernel flipped",
    "max": "the largest of each window",
    "avg": "the mean of each window",
}


NARROW = 100
BETWEEN, NARROW_BETWEEN = 5, 2  # columns of the signs between the grids
# How roomy the cells are, best first: columns more than the numbers need, at least how many, lines a row.
FITS = (
    (3, 6, 3),
    (2, 5, 3),
    (2, 4, 2),
    (1, 4, 2),
    (0, 3, 2),
    (1, 4, 1),
    (0, 3, 1),
    (-1, 3, 1),
    (-2, 3, 1),
    (-9, 4, 1),
    (-9, 3, 1),
    (-9, 2, 1),
)


class ConvolveView(Widget):
    """Draws one convolution lab and turns keys into its moves."""

    DEFAULT_CSS = """
    ConvolveView { layout: vertical; width: 1fr; height: 1fr; }
    ConvolveView > #grids { height: auto; align: center top; padding: 0; }
    ConvolveView .grid { width: auto; height: auto; }
    ConvolveView .title { color: $foreground; height: 1; }
    ConvolveView .title.-focused { color: $accent; text-style: bold; }
    ConvolveView .between { width: 5; height: 3; content-align: center bottom; color: $accent; }
    ConvolveView.-narrow .between { width: 2; }
    ConvolveView > EquationView { margin: 1 0 0 1; }
    ConvolveView > SettingsLine { margin: 0 0 1 1; }
    """

    BINDINGS = [
        Binding("space", "play", "Play"),
        Binding("k", "kernels", "Kernel"),
        Binding("i", "pictures", "Picture"),
        Binding("s", "change('stride', 1)", "Stride +", show=False),
        Binding("S", "change('stride', -1)", "Stride −", show=False),
        Binding("p", "change('padding', 1)", "Padding +", show=False),
        Binding("P", "change('padding', -1)", "Padding −", show=False),
        Binding("d", "change('dilation', 1)", "Dilation +", show=False),
        Binding("D", "change('dilation', -1)", "Dilation −", show=False),
        Binding("o", "operation", "Next operation", show=False),
        Binding("m", "mend", "Take the nearest settings that work", show=False),
        Binding("u", "undo", "Undo"),
        Binding("r", "redo", "Redo", show=False),
        Binding("n", "step(1)", "Step"),
        Binding("b", "step(-1)", "Step back", show=False),
        Binding("greater_than_sign", "speed(1)", "Faster", show=False),
        Binding("less_than_sign", "speed(-1)", "Slower", show=False),
    ]

    HELP = (
        "A window slides over the input. Each output cell is the sum of the products under it. "
        "Tab goes from grid to grid, arrows move in it, typing a number changes a cell (enter sets it). "
        "On the output, arrows move the window."
    )

    class Changed(Message):
        """The lab is in another state."""

        def __init__(self, state: ConvolveState) -> None:
            super().__init__()
            self.state = state

    def __init__(self, state: ConvolveState | None = None) -> None:
        super().__init__()
        self.history = History(state or start())
        self.input_cursor: Place = (0, 0)
        self.weight_cursor: Place = (0, 0)
        self.speed = 2
        self.playing = False

    @property
    def state(self) -> ConvolveState:
        """The lab's present state."""
        return self.history.present

    def compose(self) -> ComposeResult:
        """Three grids with their titles, the arithmetic, the settings."""
        yield SettingsLine(self.state)
        with Horizontal(id="grids"):
            for name, between in (("input", "∗"), ("kernel", "="), ("output", "")):
                with Vertical(classes="grid"):
                    yield Label("", classes="title", id=f"{name}-title", markup=False)
                    yield CellGrid(self._grids()[name], editable=name != "output", id=name)
                if between:
                    yield Label(between, classes="between")
        yield EquationView(self.state)

    def on_mount(self) -> None:
        """Draw the first state; the output has the focus, so that arrows step at once."""
        self.query_one("#output", CellGrid).focus()
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        """Fit the cells to the room."""
        self.set_class(self.size.width < NARROW, "-narrow")
        self.call_after_refresh(self._draw)

    # -- drawing

    def _grids(self) -> dict[str, Grid]:
        state = self.state
        values = state.input[0]
        if state.window is None or state.output is None:
            blank = values[:0, :0]
            return {
                "input": Grid(values, self._padding()),
                "kernel": self._kernel_grid(),
                "output": Grid(blank),
            }
        _, row, column = state.cell
        window = state.window
        places = [
            (y, x)
            for i in range(window.rows.kernel)
            for j in range(window.columns.kernel)
            if (y := window.rows.position(row, i)) is not None and (x := window.columns.position(column, j)) is not None
        ]
        frame = (*map(min, zip(*places, strict=True)), *map(max, zip(*places, strict=True)))
        return {
            "input": Grid(values, self._padding(), frozenset(places), cast("tuple[int, int, int, int]", frame)),
            "kernel": self._kernel_grid(),
            "output": Grid(state.output[0], marked=frozenset({(row, column)}), window=(row, column, row, column)),
        }

    def _kernel_grid(self) -> Grid:
        """The weights in the order in which they meet the input; a pool has none."""
        pool = self.state.op in POOLS
        weights = self.state.sliding[0, 0]
        return Grid(np.zeros_like(weights) if pool else weights, weights=not pool, blank=pool)

    def _padding(self) -> Place:
        """How many cells of padding are drawn: none beyond what windows reach."""
        return self.state.padding if self.state.op != "transposed" else (0, 0)

    def _draw(self) -> None:
        """Show the state on every widget; each sends only what changed."""
        state, grids, titles = self.state, self._grids(), self._titles()
        cursors = {"input": self.input_cursor, "kernel": self.weight_cursor, "output": state.cell[1:]}
        self._fit(grids, titles)
        for name, grid in grids.items():
            label = self.query_one(f"#{name}-title", Label)
            if str(label.content) != titles[name]:
                label.update(titles[name])
            self.query_one(f"#{name}", CellGrid).show(grid, cursors[name])
        self.query_one(EquationView).show(state)
        self.query_one(SettingsLine).show(state, SPEEDS[self.speed] if self.playing else None)

    def _titles(self) -> dict[str, str]:
        """What stands over each grid."""
        state = self.state
        divided = f" ÷{number(state.divisor)}" if state.divisor != 1 else ""
        pool = f"{state.op} of {shape_text(state.kernel_size)}"
        kernel = pool if state.op in POOLS else f"{state.name}{divided}"
        return {
            "input": f"input {shape_text(state.input.shape[1:])}" + self._told("input"),
            "kernel": kernel + (" flipped" if state.op == "true-conv" else "") + self._told("kernel"),
            "output": f"output {shape_text(state.output.shape[1:])}" if state.output is not None else "no output",
        }

    def _told(self, name: str) -> str:
        """The cell under the cursor of a grid that is being edited: what is typed, or its exact value."""
        grid = self.query_one(f"#{name}", CellGrid)
        if not grid.has_focus or grid.grid.blank:
            return ""
        row, column = self.input_cursor if name == "input" else self.weight_cursor
        values = self.state.input[0] if name == "input" else self.state.sliding[0, 0]
        return f"  {row},{column}: {grid.typing + '▏' if grid.typing else number(values[row, column], 6)}"

    def _fit(self, grids: dict[str, Grid], titles: dict[str, str]) -> None:
        """The most generous cells with which the three grids fit: open with a frame, close, narrower, shades only."""
        between = NARROW_BETWEEN if self.has_class("-narrow") else BETWEEN
        width, height = self.size.width - 2 * between, self.size.height - 3 - min(6, 2 + self.state.kernel_size[0])
        if width <= 0 or height <= 0:
            return
        natural = {
            name: min(9, 1 + max((len(text) for row in cell_texts(grid.values) for text in row), default=1))
            for name, grid in grids.items()
        }
        for extra, least, pitch in FITS:
            cells = {
                name: max(min(cell, least) if extra <= 0 else least, cell + extra) for name, cell in natural.items()
            }
            cells["kernel"] = max(cells["kernel"], min(7, natural["kernel"]))
            sizes = {name: CellGrid.measure(grid, cells[name], pitch) for name, grid in grids.items()}
            wide = sum(max(size.width, len(titles[name])) for name, size in sizes.items())
            if wide <= width and max(size.height for size in sizes.values()) <= height:
                break
        for name in grids:
            self.query_one(f"#{name}", CellGrid).fit(cells[name], pitch)

    # -- moves

    def _make(self, move: Callable[[ConvolveState], ConvolveState]) -> bool:
        """A move that undo takes back; a refused one says why."""
        try:
            state = move(self.state)
        except MoveError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return False
        self.history = self.history.push(state)
        self._changed()
        return True

    def _look(self, state: ConvolveState) -> None:
        """Another output cell: nothing to undo."""
        self.history = self.history.amend(state)
        self._changed()

    def set_state(self, state: ConvolveState) -> None:
        """Another state altogether, which undo takes back."""
        self.history = self.history.push(state)
        self._changed()

    def _changed(self) -> None:
        self._draw()
        self.post_message(self.Changed(self.state))

    def on_cell_grid_moved(self, event: CellGrid.Moved) -> None:
        """The cursor of a grid: on the output it is the window."""
        event.stop()
        height, width = event.grid.grid.values.shape
        row, column = min(max(0, event.row), height - 1), min(max(0, event.column), width - 1)
        if event.grid.id == "output":
            self._look(self.state.to_cell(row, column))
            return
        if event.grid.id == "input":
            self.input_cursor = (row, column)
        else:
            self.weight_cursor = (row, column)
        self._draw()

    def on_cell_grid_typed(self, event: CellGrid.Typed) -> None:
        """A number for a cell; what is no number stays in the cell to be mended."""
        event.stop()
        try:
            value = float(Fraction(event.text))
        except (ValueError, ZeroDivisionError, OverflowError):
            self.app.notify(
                f"{event.text!r} is not a number; type one like −1, 0.5 or 1/9, or esc", severity="error", markup=False
            )
            return
        change = ConvolveState.set_input if event.grid.id == "input" else ConvolveState.set_weight
        if self._make(lambda state: change(state, event.row, event.column, value)):
            event.grid.accept()

    def on_cell_grid_typing(self, event: CellGrid.Typing) -> None:
        """The title has room for all that is typed."""
        event.stop()
        self._draw()

    def on_descendant_focus(self) -> None:
        """The title of the grid with the focus stands out, and tells the cell under the cursor."""
        self._draw()
        for name in ("input", "kernel", "output"):
            self.query_one(f"#{name}-title").set_class(self.query_one(f"#{name}").has_focus, "-focused")

    def action_change(self, setting: str, by: int) -> None:
        """Stride, padding or dilation, by one."""
        before = getattr(self.state, setting)[0]
        after = max(0 if setting == "padding" else 1, before + by)
        if after != before:
            self._make(lambda state: getattr(state, f"with_{setting}")(after))

    def action_operation(self) -> None:
        """The next operation."""
        shown = list(WORDS)
        op = shown[(shown.index(self.state.op) + 1) % len(shown)] if self.state.op in shown else OPERATIONS[0]
        self._make(lambda state: state.with_op(op))

    def action_mend(self) -> None:
        """The nearest settings that work."""
        if self.state.mended:
            self._make(lambda state: state.mended[0][1])

    def action_undo(self) -> None:
        """Take the last change back."""
        self.history = self.history.undo()
        self._changed()

    def action_redo(self) -> None:
        """Make it again."""
        self.history = self.history.redo()
        self._changed()

    def action_kernels(self) -> None:
        """Choose a kernel."""
        kernels, errors = load_kernels()
        for error in errors:
            self.app.notify(str(error), severity="warning", markup=False)

        def chosen(name: str | None) -> None:
            if name:
                self._make(lambda state: state.use_kernel(kernels[name]))

        self.app.push_screen(
            Choose("Which kernel?", [(k.name, k.finds) for k in kernels.values()], self.state.name),
            chosen,
        )

    def action_pictures(self) -> None:
        """Choose an input."""

        def chosen(name: str | None) -> None:
            if name:
                self.input_cursor = (0, 0)
                self._make(lambda state: state.use_picture(name))

        pictures = [(name, f"{height}×{width}") for name, (_, height, width) in PICTURES.items()]
        self.app.push_screen(Choose("Which input?", pictures), chosen)

    # -- time

    @property
    def clock(self) -> Clock:
        """The app's."""
        return cast("CnntuiApp", self.app).clock

    def action_step(self, cells: int) -> None:
        """The window one cell on, or back."""
        self._look(self.state.step(cells))

    def action_play(self) -> None:
        """Let the window slide, or stop it."""
        if not self.playing and not self.clock.moving:
            self.app.notify("motion is off (TEXTUAL_ANIMATIONS=none): n and b step", markup=False)
            return
        self.playing = not self.playing
        if self.playing:
            self.clock.listen(self, lambda: self.action_step(1), every=1 / SPEEDS[self.speed])
        else:
            self.clock.ignore(self)
        self._draw()

    def action_speed(self, by: int) -> None:
        """Faster or slower."""
        self.speed = min(max(0, self.speed + by), len(SPEEDS) - 1)
        if self.playing:
            self.clock.listen(self, lambda: self.action_step(1), every=1 / SPEEDS[self.speed])
        self._draw()

    def rest(self) -> None:
        """Stop sliding: the screen is covered or left."""
        if self.playing:
            self.action_play()
