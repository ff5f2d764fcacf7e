"""The building view: the network with its facts, an editor under it, and beside it a picture of what is selected."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from cnntui.core.items import MOST_LAYERS
from cnntui.core.network import Network
from cnntui.core.vocabulary import matching, usage
from cnntui.labs.build import EDIT_ERRORS, BuildState, open_net
from cnntui.labs.columns import SCREEN
from cnntui.labs.formats import leave
from cnntui.labs.history import History
from cnntui.ui.views.build_moves import BuildMoves
from cnntui.ui.widgets.derivation_panel import DerivationPanel
from cnntui.ui.widgets.editor import Editor
from cnntui.ui.widgets.layer_table import LayerTable
from cnntui.ui.widgets.receptive_field_map import ReceptiveFieldMap
from cnntui.ui.widgets.shape_pyramid import ShapePyramid
from cnntui.ui.widgets.totals import Totals
from cnntui.ui.widgets.ways_panel import WaysPanel

NARROW, TINY = 100, 64  # columns of the view below which the picture is narrower, or is not there
BESIDE = {"field": ReceptiveFieldMap, "derivation": DerivationPanel, "ways": WaysPanel, "shapes": ShapePyramid}
NOTHING = "none"
OFFERED = 4  # layers that are offered while one is typed
PAGE = 10
# At once, in the order in which they are pressed: over a slow link many keys come together.
KEYS = (
    ("a", "add", "Add", True),
    ("A", "add(True)", "Add before", False),
    ("enter", "edit", "Edit", True),
    ("x,delete", "delete", "Delete", True),
    ("d", "duplicate", "Duplicate", False),
    ("shift+up,K", "move(-1)", "Move up", False),
    ("shift+down,J", "move(1)", "Move down", False),
    ("up", "select(-1)", "Select", False),
    ("down", "select(1)", "Select", False),
    ("pageup", f"select(-{PAGE})", "Select", False),
    ("pagedown", f"select({PAGE})", "Select", False),
    ("home", f"select(-{MOST_LAYERS})", "First layer", False),
    ("end", f"select({MOST_LAYERS})", "Last layer", False),
    ("left", "shut(True)", "Fold", False),
    ("right", "shut(False)", "Unfold", False),
    ("m", "mark", "Mark several", False),
    ("b", "wrap", "Wrap", True),
    ("e", "unwrap", "Open in place", False),
    ("space", "fold", "Fold", True),
    ("z", "fold_all", "Fold all", False),
    ("u", "undo", "Undo", True),
    ("r", "redo", "Redo", False),
    ("v", "beside(1)", "View", True),
    ("V", "beside(-1)", "View", False),
    ("c", "columns", "Columns", False),
    ("g", "goal", "Goal", True),
    ("equals_sign", "compare", "Compare with another net", False),
    ("n", "new", "New net", False),
    ("i", "input", "Input", False),
    ("o", "open", "Open", True),
    ("w", "save", "Save", True),
    ("t", "train", "Train it", True),
    ("f", "explore", "Explore it", True),
)
ACTIONS = frozenset(action.partition("(")[0] for _, action, _, _ in KEYS) | {"take"}
ARROWS = ("select", "shut")  # which the picture has keys of its own for
HINTS = (("add", "a adds a layer"), ("edit", "enter edits one"), ("new", "n begins a new net"))


class BuildView(BuildMoves, Widget):
    """Draws one building lab and turns keys into its moves."""

    DEFAULT_CSS = """
    BuildView { layout: vertical; height: 1fr; }
    BuildView > Horizontal { height: 1fr; }
    BuildView LayerTable { width: 1fr; }
    BuildView .beside { width: 34; margin: 1 0 0 1; display: none; }
    BuildView .beside.-shown { display: block; }
    BuildView.-narrow .beside { width: 28; margin: 1 0 0 1; }
    BuildView.-tiny .beside.-shown { display: none; }
    BuildView > #problem { height: auto; max-height: 5; margin: 0 1; }
    BuildView > Editor { display: none; height: 3; border: round $accent; }
    BuildView > Editor:focus { border: round $accent; }
    """

    BINDINGS = [
        *(Binding(key, action, what, show=shown, priority=True) for key, action, what, shown in KEYS),
        *(Binding(str(n), f"take({n - 1})", "Take what is offered", show=False, priority=True) for n in range(1, 6)),
        Binding("escape", "leave", "Leave the editor", show=False),
    ]

    HELP = (
        "A network with its shapes, parameters, MACs (1 MAC = 2 FLOPs) and receptive field, live. Layers are written like "
        "conv 16 k3 s1 same, maxpool 2, linear 10; several with ; between; [ conv 8 p1 | id ] add branches; ( bn; relu ) x3 "
        "repeats. tab goes to the picture of what a unit sees: the arrows move the unit there. field: pixels from the first "
        "to the last that a unit sees, ~ where units differ, +gate where a gate sees all. σ: how far the pixels that matter "
        "spread before training."
    )

    class Changed(Message):
        """The lab may be in another state, or have another picture beside the table."""

    class TrainRequested(Message):
        """Train the net on the screen."""

        def __init__(self, network: Network) -> None:
            super().__init__()
            self.network = network

    class ExploreRequested(Message):
        """Put a picture through the net on the screen."""

        def __init__(self, network: Network) -> None:
            super().__init__()
            self.network = network

    def __init__(self, state: BuildState | None = None) -> None:
        super().__init__()
        self.history = History(state or open_net("lenet5"))
        self._drawn = self.state
        self.saved_to: set[Path] = set()
        self.kept = self.state.network
        self.columns = SCREEN
        self.view = next(iter(BESIDE))
        self._draft: Callable[[BuildState, str], BuildState] | None = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In the editor only escape is a command; on the picture the arrows move the unit."""
        if action in self.hidden:
            return False
        if self._draft is not None:
            return action not in ACTIONS
        return not (action in ARROWS and self.query_one(ReceptiveFieldMap).has_focus)

    def compose(self) -> ComposeResult:
        """Totals, table and picture, what is wrong, the editor."""
        yield Totals(self.state)
        with Horizontal():
            yield LayerTable(self.state)
            for kind in BESIDE.values():
                panel = kind(self.state)
                panel.add_class("beside")
                yield panel
        yield Static("", id="problem", markup=False)
        yield Editor()

    def on_mount(self) -> None:
        """Draw the first state."""
        self.query_one(WaysPanel).hidden = self.hidden
        if not self.guest:
            self.query_one(LayerTable).focus()
        self.show_view(self.view)

    def on_unmount(self) -> None:
        """What nobody saved is kept for the next time."""
        if not self.guest and self.history.past is not None and self.state.network != self.kept:
            leave(self.state)

    def begin(self, state: BuildState, view: str) -> None:
        """A state with nothing before it, and what is beside it: one of BESIDE or NOTHING. What is half written is left."""
        self.workers.cancel_group(self, "reading")
        held = self.has_focus_within
        self._draft = None
        self.query_one(Editor).display = False
        if held:
            self.screen.set_focus(self.query_one(LayerTable))
        self.refresh_bindings()
        self.kept = state.network
        self.show_view(view)
        self._show(History(state))

    def changed(self) -> None:
        """Tell it."""
        self.post_message(self.Changed())

    def on_resize(self) -> None:
        """A narrow screen has a narrow picture, a tiny one none."""
        self.set_class(self.size.width < NARROW, "-narrow")
        self.set_class(self.size.width < TINY, "-tiny")
        if self._draft is None:
            self.tell(self._drawn)

    def on_layer_table_resized(self, event: LayerTable.Resized) -> None:
        """Other columns may fit."""
        event.stop()
        self._draw_table()

    def draw(self, state: BuildState | None = None) -> None:
        """Draw a state: the present one, or what would come of what is being typed."""
        if not self.display:
            return  # a lesson turned its page meanwhile: the widgets are going
        self._drawn = state = state or self.state
        self.query_one(Totals).show(state)
        self._draw_table()
        self._draw_beside(state)
        self.tell(state)

    def _draw_table(self) -> None:
        self.query_one(LayerTable).show(self._drawn, self.columns)

    def _draw_beside(self, state: BuildState) -> None:
        if self.view in BESIDE:
            self.query_one(BESIDE[self.view]).show(state)

    def tell(self, state: BuildState, wrong: str | None = None, offers: str = "") -> None:
        """Under the table: what is wrong and what would work, or is offered, else what the net is about."""
        colors = self.query_one(Totals).palette
        line = self.query_one("#problem", Static)
        if wrong or state.analysis.error:
            fixes = (
                ""
                if wrong or "take" in self.hidden
                else "   ".join(f"{i}: {text}" for i, text in enumerate(state.fixes, start=1))
            )
            line.styles.color = colors.error
            line.styles.max_height = 5
            line.update(f"✗ {wrong or self._located(state)}" + (f"\n  works there: {fixes}" if fixes else ""))
        else:
            line.styles.color = colors.dim
            line.styles.max_height = OFFERED + 1 if offers else 2
            line.update(offers or self._about(state))

    def _about(self, state: BuildState) -> str:
        """What several selected lines wait for; else what the net is about, as much as fits on two lines."""
        count = state.span[1]
        if state.marked:
            return f"{count} marked: b wraps them, d duplicates, x deletes, J K move, esc ends"
        about = state.net.idea if state.lines else ""
        room = 2 * (self.size.width - 2) - 12  # words do not break where the lines end
        about = about if len(about) <= room or not about else f"{about[:room].rsplit(' ', 1)[0]} …"
        hints = [hint for action, hint in HINTS if action not in self.hidden]
        return about or ", ".join([*hints, "? lists the keys"])

    def _located(self, state: BuildState) -> str:
        """The error, with the number that the table gives the layer."""
        row = state.analysis.failing
        return f"{state.analysis.rows.index(row) + 1 if row else 0}: {state.analysis.error}"

    def on_layer_table_clicked(self, event: LayerTable.Clicked) -> None:
        """A click selects; on what is selected, it edits."""
        event.stop()
        if event.index == self.state.selected:
            self.action_edit()
        elif self._draft is None:
            self.look(lambda state: state.select(event.index))

    def on_receptive_field_map_look(self, event: ReceptiveFieldMap.Look) -> None:
        """Another unit is looked from."""
        event.stop()
        self.look(lambda state: state.look(event.down, event.right))

    # -- the editor

    def _edit(self, title: str, value: str, draft: Callable[[BuildState, str], BuildState]) -> None:
        self._draft = draft
        editor = self.query_one(Editor)
        editor.display = True
        editor.border_title = title
        editor.value = value
        editor.cursor_position = len(value)
        self.screen.set_focus(editor)  # now, for the next keys may be here already
        self.refresh_bindings()

    def _offers(self, typed: str) -> str:
        """The layers that the last words could become, a line each; once the layer is known, what it takes."""
        words, width = _last_words(typed), self.size.width - 2
        known = usage(words.split(" ")[0]) if " " in words else None
        if known or " " in words:
            return known or ""
        lines = matching(words)[:OFFERED]
        return "\n".join(line if len(line) <= width else f"{line[: width - 1]}…" for line in lines)

    def action_add(self, before: bool = False) -> None:
        """Write layers after the selected one, or before it: enter adds one, and waits for the next."""
        if "add" in self.hidden:  # it follows on others
            return
        line = self.state.line
        at = f" {'before' if before else 'after'} {line.text}" if line else ""
        self._edit(f"add{at} · enter adds, tab completes, esc leaves", "", partial(BuildState.add, before=before))
        self.tell(self.state, offers=self._offers(""))

    def action_edit(self) -> None:
        """Rewrite the selected layer."""
        if "edit" in self.hidden:  # a click asks for it, too
            return
        line = self.state.line
        if line is None:
            self.action_add()
            return
        what = f"block {line.block}, for all its calls" if line.block else "enter sets"
        self._edit(f"{line.text} · {what}, esc leaves", self.state.written, BuildState.rewrite)

    def on_input_changed(self, event: Input.Changed) -> None:
        """The facts follow every keystroke that makes a layer; until then the layers that it could become are offered."""
        event.stop()
        if self._draft is None:
            return
        if not event.value.strip():
            self.draw()
            self.tell(self.state, offers=self._offers(""))
            return
        try:
            state = self._draft(self.state, event.value)
            self.draw(state)
            self.tell(state, offers=self._offers(event.value))
        except EDIT_ERRORS as error:
            offers = self._offers(event.value)
            self.tell(self.state, None if offers else str(error), offers)

    def on_editor_complete(self, event: Editor.Complete) -> None:
        """Tab completes the layer's name."""
        event.stop()
        editor = self.query_one(Editor)
        typed = _last_words(editor.value)
        if found := matching(typed):
            editor.value = f"{editor.value.removesuffix(typed)}{found[0].split()[0]} "
            editor.cursor_position = len(editor.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep what was written. Behind a layer that was added the next can be written; nothing written leaves."""
        event.stop()
        draft = self._draft
        if draft is None:
            return
        adding = draft is not BuildState.rewrite
        if adding and not event.value.strip():
            self.action_leave()
        elif self.make(lambda state: draft(state, event.value)):
            if adding:
                self.action_add()
            else:
                self.action_leave()

    def action_leave(self) -> None:
        """Leave the editor, the picture, or a selection of several."""
        if self._draft is None and self.state.marked:
            self.look(BuildState.mark)
        self._draft = None
        self.query_one(Editor).display = False
        self.screen.set_focus(self.query_one(LayerTable))
        self.refresh_bindings()
        self.draw()

    # -- what is beside the table

    def action_beside(self, by: int) -> None:
        """Another picture beside the table: what a unit sees, the numbers written out, what if, the shapes; or none."""
        names = (*BESIDE, NOTHING)
        self.show_view(names[(names.index(self.view) + by) % len(names)])
        if self.screen.focused is None:
            self.query_one(LayerTable).focus()

    def show_view(self, view: str) -> None:
        """The one of that name, of BESIDE or NOTHING."""
        self.view = view
        for name, kind in BESIDE.items():
            self.query_one(kind).set_class(name == view, "-shown")
        self.call_after_refresh(self.draw)
        self.changed()

    def action_take(self, index: int) -> None:
        """Take a fix; where nothing is wrong and other ways are shown, one of these."""
        able = self.state.other_ways
        if index < len(self.state.fixes):
            self.make(lambda state: state.mend(index))
        elif not self.state.fixes and self.query_one(WaysPanel).has_class("-shown") and index < len(able):
            self.make(lambda state: state.instead(able[index]))

    def action_train(self) -> None:
        """Train the net on the screen."""
        self.post_message(self.TrainRequested(self.state.network))

    def action_explore(self) -> None:
        """Put a picture through the net on the screen."""
        self.post_message(self.ExploreRequested(self.state.network))


def _last_words(typed: str) -> str:
    """What is being typed: behind the last separator or opening bracket."""
    return re.split(r"[;|\[(]", typed)[-1].lstrip()
