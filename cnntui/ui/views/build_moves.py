"""What can be done on the building view: moves and undo, and the dialogs to open, to save, to choose."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.text import Text
from textual.widget import Widget
from textual.worker import get_current_worker

from cnntui.core.analysis import Analysis, Row, analyse
from cnntui.core.layers import Shape, shape_text
from cnntui.core.merges import MERGES
from cnntui.core.nets import load_net, parse_input, zoo
from cnntui.core.network import Network
from cnntui.core.vocabulary import NotationError, layer_text
from cnntui.labs.build import EDIT_ERRORS, BuildState, empty, open_net
from cnntui.labs.columns import COLUMNS, SCREEN, chosen, in_short
from cnntui.labs.formats import NET, left, path_of, save
from cnntui.labs.goal import EXAMPLE
from cnntui.labs.history import History
from cnntui.labs.whatif import difference
from cnntui.ui.screens.dialogs import Ask, Choose, Lines
from cnntui.ui.theme import palette

A_FILE = "a file …"
LEFT = "what you left"
A_MODEL = "your own …"
WHICH_MODULE = "Open which nn.Module? torchvision:NAME, module:callable or file.py:callable, then its input"


class BuildMoves(Widget):
    """Turns keys into moves of the lab; the view that draws it says how a state is drawn."""

    history: History[BuildState]
    columns: tuple[str, ...]
    saved_to: set[Path]
    kept: Network  # as it is in a file, or was opened
    hidden: frozenset[str] = frozenset()  # actions that a lesson has taken away
    guest = False  # beside a lesson's text, from which it takes no focus by itself; what is not saved there is not kept

    @property
    def state(self) -> BuildState:
        """The lab's present state."""
        return self.history.present

    def make(self, move: Callable[[BuildState], BuildState]) -> bool:
        """A move that undo takes back; a refused one says why."""
        try:
            state = move(self.state)
        except EDIT_ERRORS as error:
            self.tell(self.state, str(error))
            return False
        self.take(state)
        return True

    def take(self, state: BuildState) -> None:
        """A state that a move has made of this one; undo takes another net or goal back."""
        changed = state.net is not self.state.net or state.goal != self.state.goal
        self._show(self.history.push(state) if changed else self.history.amend(state))

    def look(self, move: Callable[[BuildState], BuildState]) -> None:
        """A move of the eye, which undo need not take back."""
        self._show(self.history.amend(move(self.state)))

    def _show(self, history: History[BuildState]) -> None:
        self.history = history
        self.draw()
        self.changed()

    def draw(self) -> None:
        """Draw the present state."""
        raise NotImplementedError

    def changed(self) -> None:
        """Tell that the state may be another."""
        raise NotImplementedError

    def tell(self, state: BuildState, wrong: str | None = None) -> None:
        """Say what is wrong."""
        raise NotImplementedError

    def action_add(self) -> None:
        """Write layers."""
        raise NotImplementedError

    # -- moves

    def action_select(self, by: int) -> None:
        """Another line."""
        self.look(lambda state: state.select(state.selected + by))

    def action_shut(self, shut: bool) -> None:
        """Shut the selected group, or the one around; or open it."""
        self.look(lambda state: state.fold(shut))

    def action_delete(self) -> None:
        """Without the selected layers."""
        if self.state.lines:
            self.make(BuildState.delete)

    def action_duplicate(self) -> None:
        """The selected layers once more."""
        if self.state.lines:
            self.make(BuildState.duplicate)

    def action_move(self, by: int) -> None:
        """The selected layers up or down."""
        self.make(lambda state: state.move(by))

    def action_mark(self) -> None:
        """Select several: from here to where the cursor goes."""
        self.look(BuildState.mark)

    def action_unwrap(self) -> None:
        """The selected group's layers in its place."""
        self.make(BuildState.unwrap)

    def action_fold(self) -> None:
        """Shut or open the selected group."""
        self.look(BuildState.fold)

    def action_fold_all(self) -> None:
        """Shut or open all."""
        self.look(BuildState.fold_all)

    def action_undo(self) -> None:
        """Take the last change back."""
        self._show(self.history.undo())

    def action_redo(self) -> None:
        """Make it again."""
        self._show(self.history.redo())

    # -- dialogs

    def _ask(
        self,
        title: str,
        value: str,
        move: Callable[[BuildState, str], BuildState],
        placeholder: str = "",
        suggestions: tuple[str, ...] = (),
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """A line of text that a move is made of; the question stays until the move can be made."""

        def given(text: str | None) -> None:
            if text is not None and self.make(lambda state: move(state, text)):
                then()

        def check(text: str) -> str | None:
            return refused(lambda: move(self.state, text))

        self.app.push_screen(Ask(title, value, check, placeholder, suggestions), given)

    def action_input(self) -> None:
        """Another input shape."""
        shape = ",".join(map(str, self.state.network.input))
        self._ask("Input: channels, height, width", shape, BuildState.with_input)

    def action_new(self) -> None:
        """An empty net."""
        shape = ",".join(map(str, self.state.network.input))
        title = "A new net. Its input: channels, height, width"
        self._ask(title, shape, lambda _, text: empty(text), then=self.action_add)

    def action_goal(self) -> None:
        """Something to reach."""
        goal = self.state.goal
        self._ask(
            "Goal, checked while you build (empty: none)", goal.text() if goal else "", BuildState.with_goal, EXAMPLE
        )

    def action_wrap(self) -> None:
        """The selected layers in a group."""
        if self.state.lines:
            count = self.state.span[1]
            what = f"{count} layers" if count > 1 else "this layer"
            title = f"Wrap {what} (m marks several): x2, x3, …; {', '.join(MERGES)} beside id; @NAME, a block"
            self._ask(title, "", BuildState.wrap, "x2", ("x2", "x3", *MERGES, "@block"))

    def action_columns(self) -> None:
        """Which facts are shown."""

        def given(text: str | None) -> None:
            if text is not None:
                self.columns = chosen(text) if text.strip() else SCREEN
                self.draw()

        names = ", ".join(COLUMNS)
        title = f"Columns, in order, as many as fit: {names}"
        self.app.push_screen(Ask(title, ", ".join(self.columns), lambda text: refused(lambda: chosen(text))), given)

    def action_open(self) -> None:
        """A net of the zoo, a file, or the user's own."""

        def named(name: str | None) -> None:
            if name == LEFT:
                self.make(lambda _: replace(open_net(str(left())), path=None))
            elif name == A_FILE:
                self._ask_for("Open which file? .toml or .onnx", "my-net.toml", "")
            elif name == A_MODEL:
                self._ask_for(WHICH_MODULE, "mynets.py:Net 3,32,32", "")
            elif name:
                self.make(lambda _: open_net(name))

        kept = [(LEFT, "unsaved, the last time")] if left().exists() else []
        more = [
            *kept,
            (A_FILE, "a net's .toml, or .onnx"),
            (A_MODEL, "any nn.Module: torchvision:NAME, module:callable"),
        ]
        choices = [(name, load_net(name).idea) for name in zoo()]
        self.app.push_screen(Choose("Open which net?", [*more, *choices], self.state.network.name), named)

    def _ask_for(self, title: str, example: str, typed: str) -> None:
        """A net that has no place in the list."""

        def given(text: str | None) -> None:
            if text is None:
                return
            net, shape = _named(text)
            if net.endswith(".toml"):
                self.make(lambda _: open_net(net, shape))
                return
            self.app.notify(f"reading {net} …", markup=False)
            reading = partial(self._read, net, shape, partial(self._ask_for, title, example, text))
            self.run_worker(reading, thread=True, exclusive=True, group="reading")

        self.app.push_screen(Ask(title, typed, _wrong, example), given)

    def _read(self, net: str, shape: Shape | None, again: Callable[[], None]) -> None:
        """In a thread: what comes of it is a move; or why there is none, and the question again."""
        worker = get_current_worker()
        try:
            found = open_net(net, shape, lambda: worker.is_cancelled)
        except EDIT_ERRORS as error:
            if not worker.is_cancelled:
                self.app.call_from_thread(self._refuse, str(error), again)
            return
        if not worker.is_cancelled:
            self.app.call_from_thread(self.make, lambda _: found)

    def _refuse(self, error: str, again: Callable[[], None]) -> None:
        again()
        self.app.notify(error, severity="error", timeout=12, markup=False)

    def action_compare(self) -> None:
        """Another net beside this one."""

        def named(name: str | None) -> None:
            if name:
                other = analyse(load_net(name).network)
                mine = self.state.analysis
                title = f"{mine.network.name} and {name}"
                self.app.push_screen(Lines(title, lambda width: self._beside_another(mine, other, width)))

        choices = [(name, load_net(name).idea) for name in zoo()]
        self.app.push_screen(Choose("Compare with which net?", choices), named)

    def _beside_another(self, mine: Analysis, other: Analysis, width: int) -> Text:
        """Layer beside layer; what differs stands out."""
        colors = palette(self.app)
        half = (width - 3) // 2
        heads = [f"{one.network.name}, {in_short(one.params)} parameters"[:half] for one in (mine, other)]
        lines = [Text(f"{heads[0]:<{half}}   {heads[1]}", style=colors.accent)]
        for pair in difference(mine, other):
            left, right = _told(pair.left, half), _told(pair.right, half)
            lines.append(Text(f"{left:<{half}} {pair.mark} {right}", style=colors.dim if pair.same else colors.text))
        return Text("\n").join(lines)

    def action_save(self) -> None:
        """Write the net's file, or what else its ending says."""

        def own() -> set[Path]:
            return self.saved_to | ({self.state.path} if self.state.path else set())

        def check(text: str) -> str | None:
            return refused(lambda: save(self.state, path_of(text), own()))

        def saved(text: str | None) -> None:
            if not text:
                return
            path = path_of(text)
            self.saved_to.add(path)
            error, then = self.state.analysis.error, ""
            if path.suffix == NET:
                self.look(lambda state: state.saved(path))
                self.kept = self.state.network
                then = f"; it cannot be trained yet: {error}" if error else f"; train it with: cnntui train {path}"
            bad = then and error
            self.app.notify(f"saved {path}{then}", severity="warning" if bad else "information", markup=False)

        proposal = str(self.state.path or f"{self.state.network.name}{NET}")
        title = f"Save as: a net ends in {NET}; .py PyTorch source, .md and .csv its facts"
        self.app.push_screen(Ask(title, proposal, check), saved)


def _wrong(text: str) -> str | None:
    """What is wrong with a net's name, as far as that can be seen at once."""
    try:
        net, shape = _named(text)
    except NotationError as error:
        return str(error)
    return refused(lambda: open_net(net, shape)) if net.endswith(".toml") else None


def _named(text: str) -> tuple[str, Shape | None]:
    """What is to be opened, and its input where that stands behind it."""
    net, space, shape = text.strip().rpartition(" ")
    if space and re.fullmatch(r"[\d,x×]+", shape):
        return str(path_of(net)), parse_input(shape)
    return str(path_of(text)), None


def refused(attempt: Callable[[], object]) -> str | None:
    """What is wrong with a move, or None."""
    try:
        attempt()
    except EDIT_ERRORS as error:
        return str(error)
    return None


def _told(row: Row | None, width: int) -> str:
    if row is None:
        return ""
    facts = f" {shape_text(row.output or ())} {in_short(row.params):>5}"
    words = layer_text(row.node.layer)
    room = max(1, width - len(facts))
    return f"{words if len(words) <= room else words[: room - 1] + '…':<{room}}{facts}"
