"""The building view: the stack with its facts, an editor under it, the receptive field beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import DataTable, Input, Static

from cnntui.core.network import Network
from cnntui.core.notation import VOCABULARY, NotationError, load_net, zoo
from cnntui.labs.build import EDIT_ERRORS, BuildState, open_file, open_net
from cnntui.labs.history import History
from cnntui.ui.screens.dialogs import Ask, Choose
from cnntui.ui.widgets.layer_table import NARROW, LayerTable
from cnntui.ui.widgets.receptive_field_map import ReceptiveFieldMap
from cnntui.ui.widgets.totals import Totals

EXAMPLES = ["conv 16 k3 same", "maxpool 2", "avgpool 2", "linear 10", "dropout 0.5", *VOCABULARY]
A_FILE = "a file …"


class BuildView(Widget):
    """Draws one building lab and turns keys into its moves."""

    DEFAULT_CSS = """
    BuildView { layout: vertical; height: 1fr; }
    BuildView > Horizontal { height: 1fr; }
    BuildView LayerTable { width: 1fr; }
    BuildView ReceptiveFieldMap { width: 34; margin: 1 0 0 1; }
    BuildView.-narrow ReceptiveFieldMap { width: 29; margin: 1 0 0 0; }
    BuildView > #problem { height: auto; max-height: 3; margin: 0 1; }
    BuildView > Input { display: none; height: 3; border: round $accent; }
    BuildView > Input:focus { border: round $accent; }
    BuildView.-editing > Input { display: block; }
    """

    BINDINGS = [
        Binding("a", "add", "Add"),
        Binding("A", "add(True)", "Add before", show=False),
        Binding("enter", "edit", "Edit"),
        Binding("x,delete", "delete", "Delete"),
        Binding("shift+up,K", "move(-1)", "Move up", show=False),
        Binding("shift+down,J", "move(1)", "Move down", show=False),
        Binding("u", "undo", "Undo"),
        Binding("r", "redo", "Redo", show=False),
        Binding("i", "input", "Input", show=False),
        Binding("o", "open", "Open"),
        Binding("w", "save", "Save"),
        Binding("t", "train", "Train it"),
        Binding("1", "mend(0)", "Take the first fix", show=False),
        Binding("2", "mend(1)", "Take the second fix", show=False),
        Binding("3", "mend(2)", "Take the third fix", show=False),
        Binding("escape", "leave", "Leave the editor", show=False),
    ]

    HELP = (
        "A stack of layers with its shapes, parameters, MACs (1 MAC = 2 FLOPs) and receptive field, live. "
        "Layers are written like conv 16 k3 s1 same, maxpool 2, linear 10; several at once with ; between. "
        "The picture shows what the middle unit of the selected layer sees of the input."
    )

    class TrainRequested(Message):
        """Train the net on the screen."""

        def __init__(self, network: Network) -> None:
            super().__init__()
            self.network = network

    def __init__(self, state: BuildState | None = None) -> None:
        super().__init__()
        self.history = History(state or open_net("lenet5"))
        self._draft: Callable[[BuildState, str], BuildState] | None = None

    @property
    def state(self) -> BuildState:
        """The lab's present state."""
        return self.history.present

    def compose(self) -> ComposeResult:
        """Totals, table and picture, what is wrong, the editor."""
        yield Totals(self.state)
        with Horizontal():
            yield LayerTable()
            yield ReceptiveFieldMap(self.state)
        yield Static("", id="problem", markup=False)
        editor = Input(
            placeholder="conv 16 k3 same",
            suggester=SuggestFromList(EXAMPLES, case_sensitive=False),
            select_on_focus=False,
        )
        editor.cursor_blink = False
        yield editor

    def on_mount(self) -> None:
        """Draw the first state."""
        self.query_one(LayerTable).focus()
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        """Other columns may fit."""
        self.set_class(self.size.width < NARROW, "-narrow")
        self.call_after_refresh(self._draw)

    def _draw(self, state: BuildState | None = None) -> None:
        state = state or self.state
        self.query_one(Totals).show(state)
        self.query_one(LayerTable).show(state)
        self.query_one(ReceptiveFieldMap).show(state)
        self._tell(state)

    def _tell(self, state: BuildState, wrong: str | None = None) -> None:
        """Under the table: what is wrong and what would work, else what the net is about."""
        colors = self.query_one(Totals).palette
        line = self.query_one("#problem", Static)
        if wrong or state.analysis.error:
            fixes = "" if wrong else "   ".join(f"{i}: {text}" for i, text in enumerate(state.fixes, start=1))
            line.styles.color = colors.error
            line.update(f"✗ {wrong or self._located(state)}" + (f"\n  works there: {fixes}" if fixes else ""))
        else:
            line.styles.color = colors.dim
            about = state.net.idea if state.texts else ""
            line.update(about or "a adds a layer, enter edits one, ? lists the keys")

    def _located(self, state: BuildState) -> str:
        """The error, with the number that the table gives the layer."""
        row = state.analysis.failing
        return f"{state.analysis.rows.index(row) + 1 if row else 0}: {state.analysis.error}"

    def _make(self, move: Callable[[BuildState], BuildState]) -> bool:
        """A move that undo takes back; a refused one says why."""
        try:
            state = move(self.state)
        except EDIT_ERRORS as error:
            self._tell(self.state, str(error))
            return False
        self.history = self.history.push(state)
        self._draw()
        return True

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Another layer is selected."""
        event.stop()
        if event.cursor_row != self.state.selected and not self.has_class("-editing"):
            self.history = self.history.amend(self.state.select(event.cursor_row))
            self.query_one(ReceptiveFieldMap).show(self.state)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter, or a click on the selected layer, edits it."""
        event.stop()
        self.action_edit()

    # -- the editor

    def _edit(self, title: str, value: str, draft: Callable[[BuildState, str], BuildState]) -> None:
        self._draft = draft
        self.add_class("-editing")
        editor = self.query_one(Input)
        editor.border_title = title
        editor.value = value
        editor.cursor_position = len(value)
        editor.focus()

    def action_add(self, before: bool = False) -> None:
        """Write a layer after the selected one, or before it."""
        where = "before" if before else "after"
        draft = partial(BuildState.add, before=before)
        self._edit(f"add {where} layer {self.state.selected + 1} · enter adds, esc leaves", "", draft)

    def action_edit(self) -> None:
        """Rewrite the selected layer."""
        if self.state.texts:
            text = self.state.texts[self.state.selected]
            self._edit(f"layer {self.state.selected + 1} · enter sets, esc leaves", text, BuildState.rewrite)
        else:
            self.action_add()

    def on_input_changed(self, event: Input.Changed) -> None:
        """The facts follow every keystroke that makes a layer."""
        event.stop()
        if self._draft is None:
            return
        if not event.value.strip():
            self._draw()
            return
        try:
            self._draw(self._draft(self.state, event.value))
        except EDIT_ERRORS as error:
            self._tell(self.state, str(error))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep what was written."""
        event.stop()
        draft = self._draft
        if draft and self._make(lambda state: draft(state, event.value)):
            self.action_leave()

    def action_leave(self) -> None:
        """Close the editor; what was not kept is forgotten."""
        if self.has_class("-editing"):
            self._draft = None
            self.remove_class("-editing")
            self.query_one(LayerTable).focus()
            self._draw()

    # -- moves

    def action_delete(self) -> None:
        """Without the selected layer."""
        if self.state.texts:
            self._make(BuildState.delete)

    def action_move(self, by: int) -> None:
        """The selected layer up or down."""
        self._make(lambda state: state.move(by))

    def action_mend(self, index: int) -> None:
        """Take a fix."""
        if index < len(self.state.fixes):
            self._make(lambda state: state.mend(index))

    def action_undo(self) -> None:
        """Take the last change back."""
        self.history = self.history.undo()
        self._draw()

    def action_redo(self) -> None:
        """Make it again."""
        self.history = self.history.redo()
        self._draw()

    def action_input(self) -> None:
        """Another input shape."""

        def check(text: str) -> str | None:
            try:
                self.state.with_input(text)
            except EDIT_ERRORS as error:
                return str(error)
            return None

        def given(text: str | None) -> None:
            if text is not None:
                self._make(lambda state: state.with_input(text))

        shape = ",".join(map(str, self.state.network.input))
        self.app.push_screen(Ask("Input: channels, height, width", shape, check), given)

    def action_open(self) -> None:
        """A net of the zoo, or a file."""

        def chosen(name: str | None) -> None:
            if name == A_FILE:
                self.app.push_screen(Ask("Open which file?", "", _readable, "my-net.toml"), opened)
            elif name:
                self._make(lambda _: open_net(name))

        def opened(path: str | None) -> None:
            if path:
                self._make(lambda _: open_file(Path(path).expanduser()))

        choices = [(name, load_net(name).idea) for name in zoo()]
        self.app.push_screen(Choose("Open which net?", [*choices, (A_FILE, "")], self.state.network.name), chosen)

    def action_save(self) -> None:
        """Write the net's file."""

        def check(text: str) -> str | None:
            path = Path(text).expanduser()
            if path.suffix != ".toml":
                return "a net's file ends in .toml"
            if path.exists() and path != self.state.path:
                return f"{path} is there already: give another name"
            try:
                self.state.save(path)
            except NotationError as error:
                return str(error)
            return None

        def saved(text: str | None) -> None:
            if text:
                path = Path(text).expanduser()
                self.history = self.history.amend(open_file(path).select(self.state.selected))
                self._draw()
                error = self.state.analysis.error
                then = f"it cannot be trained yet: {error}" if error else f"train it with: cnntui train {path}"
                self.app.notify(f"saved {path}; {then}", severity="warning" if error else "information", markup=False)

        proposal = str(self.state.path or f"{self.state.network.name}.toml")
        self.app.push_screen(Ask("Save as", proposal, check), saved)

    def action_train(self) -> None:
        """Train the net on the screen."""
        self.post_message(self.TrainRequested(self.state.network))


def _readable(text: str) -> str | None:
    try:
        open_file(Path(text).expanduser())
    except NotationError as error:
        return str(error)
    return None
