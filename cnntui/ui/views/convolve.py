"""The convolution view: input, kernel and output side by side, a window that slides, and the arithmetic below."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Label

from cnntui.core.arithmetic import number
from cnntui.core.images import GridError, grid_from_text
from cnntui.labs.convolve import ConvolveState, MoveError, start
from cnntui.labs.history import History
from cnntui.labs.panels import PICTURES, VIEWS, Panels, looked_at, moved, panels, view_at_first
from cnntui.labs.words import number_of
from cnntui.ui.clock import Clock
from cnntui.ui.views.convolve_moves import ConvolveMoves
from cnntui.ui.widgets.cell_grid import CellGrid
from cnntui.ui.widgets.equation import MENDING_KEYS, EquationView
from cnntui.ui.widgets.grids import BETWEEN, NARROW, NARROW_BETWEEN, fitted
from cnntui.ui.widgets.picture_view import PictureView
from cnntui.ui.widgets.settings_line import SettingsLine
from cnntui.ui.widgets.timeline import Timeline

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

SPEEDS = (1, 2, 4, 8)
GRIDS = ("input", "kernel", "output")


class ConvolveView(ConvolveMoves):
    """Draws one convolution lab and turns keys into its moves."""

    DEFAULT_CSS = """
    ConvolveView { layout: vertical; width: 1fr; height: 1fr; }
    ConvolveView > #grids { height: auto; align: center top; padding: 0; }
    ConvolveView .grid { width: auto; height: auto; }
    ConvolveView .title { color: $foreground; height: 1; }
    ConvolveView .title.-focused { color: $accent; text-style: bold; }
    ConvolveView .between { width: 5; height: 3; content-align: center bottom; color: $accent; }
    ConvolveView.-narrow .between { width: 2; }
    ConvolveView > Timeline { margin: 0 0 0 1; }
    ConvolveView > EquationView { margin: 0 0 0 1; }
    ConvolveView > SettingsLine { margin: 0 0 1 1; }
    ConvolveView.-picture > #grids { display: none; }
    ConvolveView.-picture > EquationView { height: auto; max-height: 5; }
    ConvolveView > PictureView { display: none; margin: 0 1; }
    ConvolveView.-picture > PictureView { display: block; }
    """

    BINDINGS = [
        Binding("space", "play", "Play"),
        Binding("n", "step(1)", "Step", show=False),
        Binding("b", "step(-1)", "Step back", show=False),
        Binding("greater_than_sign", "speed(1)", "Faster, slower", show=False),
        Binding("less_than_sign", "speed(-1)", "Faster, slower", show=False),
        Binding("l", "loop", "Loop or once", show=False),
        Binding("j", "jump", "Jump to a cell", show=False),
        Binding("t", "pin", "Pin the cell", show=False),
        Binding("k", "kernels", "Kernel"),
        Binding("i", "pictures", "Input"),
        Binding("o", "operations", "Operation"),
        Binding("s", "stride(1)", "Stride", show=False),
        Binding("S", "stride(-1)", "Stride", show=False),
        Binding("p", "padding(1)", "Padding", show=False),
        Binding("P", "padding(-1)", "Padding", show=False),
        Binding("d", "dilation(1)", "Dilation", show=False),
        Binding("D", "dilation(-1)", "Dilation", show=False),
        Binding("g", "groups", "Groups", show=False),
        Binding("plus", "bias", "Bias", show=False),
        Binding("a", "activations", "Activation", show=False),
        *(Binding(key, f"mend({place})", "Take what works", show=False) for place, key in enumerate(MENDING_KEYS)),
        Binding("v", "view(1)", "View"),
        Binding("V", "view(-1)", "View", show=False),
        Binding("left_square_bracket", "channel(-1)", "Channel", show=False),
        Binding("right_square_bracket", "channel(1)", "Channel", show=False),
        Binding("left_curly_bracket", "filter(-1)", "Filter", show=False),
        Binding("right_curly_bracket", "filter(1)", "Filter", show=False),
        Binding("e", "edits", "Edit"),
        *(
            Binding(f"ctrl+{key}", f"shift({rows}, {columns})", "Shift the grid", show=False)
            for key, rows, columns in (("left", 0, -1), ("right", 0, 1), ("up", -1, 0), ("down", 1, 0))
        ),
        Binding("u", "undo", "Undo"),
        Binding("r", "redo", "Redo", show=False),
        Binding("w", "exports", "Save"),
        Binding("colon", "words", "Say it in words", show=False),
        # At once: what comes in the same burst is for the next grid.
        Binding("tab", "app.focus_next", "Next grid", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", "Grid before", show=False, priority=True),
    ]

    HELP = (
        "A window slides over the input. Each output cell is the sum of the products under it. Tab goes from grid to grid: "
        "on the output, arrows move the window; on the input, they follow a cell to the outputs it reaches; on the kernel, "
        "a weight to the cells it meets. Typing a number changes a cell (enter sets it); a copied block can be pasted."
    )

    class Changed(Message):
        """The lab is in another state, or shown in another view."""

        def __init__(self, state: ConvolveState) -> None:
            super().__init__()
            self.state = state

    def __init__(self, state: ConvolveState | None = None) -> None:
        super().__init__(state or start())
        self.view = "cells"
        self.speed = 2
        self.playing = False
        self.loop = True

    def compose(self) -> ComposeResult:
        """The settings, three grids with their titles, where the window is, the arithmetic."""
        yield SettingsLine(self.state)
        shown = panels(self.state)
        with Horizontal(id="grids"):
            for name, between in zip(GRIDS, ("∗", "=", ""), strict=True):
                with Vertical(classes="grid"):
                    yield Label("", classes="title", id=f"{name}-title", markup=False)
                    yield CellGrid(shown[name], id=name)
                if between:
                    yield Label(between, classes="between")
        yield Timeline(self.state)
        yield EquationView(self.state)

    def on_mount(self) -> None:
        """Draw the first state; the output has the focus, so that arrows step at once."""
        for part in (*self.query(SettingsLine), *self.query(EquationView)):
            part.hidden = self.hidden
        for grid in self.query(CellGrid):
            grid.locked = "numbers" in self.hidden
        if not self.guest:
            self.focus_looked_at()
            self.call_after_refresh(self._show_large)

    def on_resize(self) -> None:
        """Fit the cells to the room."""
        self.set_class(self.size.width < NARROW, "-narrow")
        self.call_after_refresh(self._draw)

    # -- drawing

    def _draw(self) -> None:
        """Show the state on every widget; each sends only what changed."""
        if not self.display:
            return  # a lesson turned its page meanwhile: the widgets are going
        state = self.state
        try:
            shown = panels(state, self.view)
        except MoveError as error:
            self.app.notify(str(error), severity="warning", markup=False)
            self.view = "cells"
            shown = panels(state)
        self.set_class(self.view in PICTURES, "-picture")
        if self.view in PICTURES:
            self.query_one(PictureView).show(shown, self.view == "ascii" or self.app.no_color)
        else:
            self._draw_grids(shown)
        self.query_one(SettingsLine).show_view(state, self.view)
        self.query_one(Timeline).show(state, SPEEDS[self.speed] if self.playing else None, self.loop)
        self.query_one(EquationView).show(state)

    def _draw_grids(self, shown: Panels) -> None:
        between = NARROW_BETWEEN if self.has_class("-narrow") else BETWEEN
        titles = {name: shown[name].title + self._told(name, shown) for name in GRIDS}
        room = (self.size.width - 2 * between, self.size.height - 5 - min(6, 2 + self.state.operation.kernel_size[0]))
        if min(room) <= 0:
            return
        fits = fitted(shown, titles, *room)
        for name in GRIDS:
            grid = self.query_one(f"#{name}", CellGrid)
            grid.show(shown[name], fits[name])
            label = self.query_one(f"#{name}-title", Label)
            title = titles[name] + grid.part(CellGrid.measure(shown[name], fits[name]).width - len(titles[name]))
            if str(label.content) != title:
                label.update(title)

    def _told(self, name: str, shown: Panels) -> str:
        """The cell under the cursor of a grid that has the focus: what is typed, or its exact value."""
        grid, panel = self.query_one(f"#{name}", CellGrid), shown[name]
        if not (grid.has_focus and panel.editable and panel.values.size):
            return ""
        row, column = panel.cursor
        typed = grid.typing + "▏" if grid.typing else number(panel.values[row, column], 6)
        return f"  {row},{column}: {typed}"

    # -- moves

    def begin(self, state: ConvolveState, view: str = "") -> None:
        """A state with nothing before it, in a view, else in the one for its size. Nothing slides, nothing is half typed."""
        self.playing = False
        self._run()
        for grid in self.query(CellGrid):
            grid.typing = ""
        self.history = History(state)
        self._set_view(view or view_at_first(state, "cells"))
        self._draw()

    def changed(self, before: ConvolveState) -> None:
        """Draw the new state; the focus follows what is looked at."""
        state = self.state
        if state.operation.input.shape != before.operation.input.shape:
            self._show_large()
        else:
            self._draw()
        self.post_message(self.Changed(state))
        if state.looking != before.looking:
            self._follow()

    def _show_large(self) -> None:
        """A large input is first seen as a picture, a small one as cells."""
        if (view := view_at_first(self.state, self.view)) != self.view:
            self._set_view(view)
        self._draw()

    def focus_looked_at(self) -> None:
        """Give the focus to what is looked at."""
        if self.view in PICTURES:
            self.query_one(PictureView).focus()
            return
        at = next((name for name in GRIDS if looked_at(self.view, name) == self.state.looking), "output")
        self.query_one(f"#{at}", CellGrid).focus()

    def _follow(self, held: bool = False) -> None:
        """The same, unless the focus is elsewhere: in the text of a lesson. `held`: it was here a moment ago."""
        if self.display and (held or self.has_focus_within or (self.screen.focused is None and not self.guest)):
            self.focus_looked_at()

    def on_cell_grid_moved(self, event: CellGrid.Moved) -> None:
        """The cursor of a grid: on the output it is the window."""
        event.stop()
        height, width = event.grid.panel.values.shape
        row, column = min(max(0, event.row), height - 1), min(max(0, event.column), width - 1)
        if row >= 0 and column >= 0:
            self.look(moved(self.state, self.view, str(event.grid.id), row, column))

    def on_cell_grid_typed(self, event: CellGrid.Typed) -> None:
        """A number for a cell; what is no number stays in the cell to be mended."""
        event.stop()
        try:
            value = number_of(event.text)
        except MoveError as error:
            self.app.notify(f"{error}, or press esc", severity="error", markup=False)
            return
        change = ConvolveState.set_input if event.grid.id == "input" else ConvolveState.set_weight
        if self.make(lambda state: change(state, event.row, event.column, value)):
            event.grid.accept()
            if event.then is not None:
                self.on_cell_grid_moved(event.then)

    def on_cell_grid_refused(self, event: CellGrid.Refused) -> None:
        """Numbers are typed elsewhere."""
        event.stop()
        self.app.clear_notifications()
        where = "tab goes to the input and the kernel: there numbers can be typed (in the view of cells)"
        self.app.notify("here no numbers are typed" if "numbers" in self.hidden else where)

    def on_cell_grid_typing(self, event: CellGrid.Typing) -> None:
        """The title has room for all that is typed."""
        event.stop()
        self._draw()

    def on_cell_grid_pasted(self, event: CellGrid.Pasted) -> None:
        """A block of numbers, from the cell on."""
        event.stop()
        try:
            block = grid_from_text(event.text)
        except GridError as error:
            self.app.notify(f"nothing pasted: {error}", severity="error", markup=False)
            return
        self.make(lambda state: state.pasted(str(event.grid.id), event.row, event.column, block))

    def on_cell_grid_opened(self, event: CellGrid.Opened) -> None:
        """Every term."""
        event.stop()
        self.show_all_terms()

    def on_picture_view_opened(self, event: PictureView.Opened) -> None:
        """Every term."""
        event.stop()
        self.show_all_terms()

    def on_picture_view_moved(self, event: PictureView.Moved) -> None:
        """The window, over the whole picture."""
        event.stop()
        row, column = self.state.cell
        self.look(self.state.look("output", row + event.rows, column + event.columns))

    def on_picture_view_clicked(self, event: PictureView.Clicked) -> None:
        """The window, to where the mouse is."""
        event.stop()
        self.look(self.state.look("output", event.row, event.column))

    def on_timeline_sought(self, event: Timeline.Sought) -> None:
        """A place on the bar."""
        event.stop()
        state = self.state
        self.look(state.step(round(event.share * (state.steps - 1)) - state.index))

    def on_descendant_focus(self) -> None:
        """What has the focus is what is looked at; its title stands out and tells the cell under the cursor."""
        focused = next((name for name in GRIDS if self.query_one(f"#{name}").has_focus), None)
        for name in GRIDS:
            self.query_one(f"#{name}-title").set_class(name == focused, "-focused")
        at = looked_at(self.view, focused) if focused else self.state.looking
        if at != self.state.looking and not (self.view == "im2col" and focused == "input"):
            self.look(replace(self.state, looking=at))
        else:
            self._draw()

    @property
    def edited(self) -> str:
        """The grid that editing is about: the kernel where it has the focus, else the input."""
        return "kernel" if self.view == "cells" and self.query_one("#kernel").has_focus else "input"

    def action_view(self, by: int) -> None:
        """Cells, pictures, pictures in glyphs, patches, matrix."""
        names = list(VIEWS)
        for distance in range(1, len(names)):
            name = names[(names.index(self.view) + by * distance) % len(names)]
            try:
                panels(self.state, name)
            except MoveError as error:
                self.app.notify(str(error), severity="warning", markup=False)
                continue
            self._set_view(name)
            break
        self._draw()

    def show_view(self, name: str) -> None:
        """One of VIEWS that is to be had."""
        if name != self.view:
            self._set_view(name)
            self._draw()

    def _set_view(self, name: str) -> None:
        held = self.has_focus_within
        if name in PICTURES and not self.query(PictureView):
            self.mount(PictureView(panels(self.state)), after="#grids")
        self.view = name
        self.set_class(name in PICTURES, "-picture")
        if name in PICTURES and self.state.looking != "output":
            self.history = self.history.amend(replace(self.state, looking="output"))
        self.call_after_refresh(self._follow, held)
        self.post_message(self.Changed(self.state))

    # -- time

    @property
    def clock(self) -> Clock:
        """The app's."""
        return cast("CnntuiApp", self.app).clock

    def action_step(self, cells: int) -> None:
        """One cell on, or back, in the grid that is looked at."""
        state = self.state
        if self.playing and not self.loop and state.index == state.steps - 1:
            self.action_play()
            return
        self.look(state.step(cells))

    def action_play(self) -> None:
        """Let the window slide, or stop it."""
        if not self.playing and not self.clock.moving:
            self.app.notify("motion is off (TEXTUAL_ANIMATIONS=none): n and b step", markup=False)
            return
        self.playing = not self.playing
        if self.playing and not self.loop and self.state.index == self.state.steps - 1:
            self.history = self.history.amend(self.state.to(0, 0))
        self._run()
        self._draw()

    def _run(self) -> None:
        if self.playing:
            self.clock.listen(self, lambda: self.action_step(1), every=1 / SPEEDS[self.speed])
        else:
            self.clock.ignore(self)

    def action_speed(self, by: int) -> None:
        """Faster or slower."""
        self.speed = min(max(0, self.speed + by), len(SPEEDS) - 1)
        self._run()
        self._draw()

    def action_loop(self) -> None:
        """Round and round, or once."""
        self.loop = not self.loop
        self._draw()

    def action_channel(self, by: int) -> None:
        """Another input channel; not while a number is half typed."""
        if not self._typing():
            super().action_channel(by)

    def action_filter(self, by: int) -> None:
        """Another filter; likewise."""
        if not self._typing():
            super().action_filter(by)

    def _typing(self) -> bool:
        typing = any(grid.typing for grid in self.query(CellGrid))
        if typing:
            self.app.notify("enter sets the typed number first, esc forgets it", markup=False)
        return typing

    def rest(self) -> None:
        """Stand still: the screen is covered or left."""
        self.clock.ignore(self)

    def wake(self) -> None:
        """Go on sliding, if it was."""
        self._run()
