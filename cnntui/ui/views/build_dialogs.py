"""The dialogs of the building view: open, save, input, goal, columns, another net beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.text import Text
from textual.widget import Widget

from cnntui.core.analysis import Row, analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import Shape, shape_text
from cnntui.core.merges import MERGES
from cnntui.core.nets import load_net, parse_input, zoo
from cnntui.core.vocabulary import NotationError, layer_text
from cnntui.labs.build import EDIT_ERRORS, BuildState, empty, open_net
from cnntui.labs.columns import COLUMNS, chosen
from cnntui.labs.formats import NET, save
from cnntui.labs.goal import EXAMPLE
from cnntui.labs.history import History
from cnntui.labs.whatif import Pair, difference
from cnntui.ui.screens.dialogs import Ask, Choose, Lines
from cnntui.ui.theme import palette

A_FILE = "a file …"
A_MODEL = "your own …"


class BuildDialogs(Widget):
    """What is asked before a move can be made."""

    history: History[BuildState]
    columns: tuple[str, ...]

    @property
    def state(self) -> BuildState:
        """The lab's present state."""
        raise NotImplementedError

    def make(self, move: Callable[[BuildState], BuildState]) -> bool:
        """A move that undo takes back; a refused one says why."""
        raise NotImplementedError

    def look(self, move: Callable[[BuildState], BuildState]) -> None:
        """A move of the eye, which undo need not take back."""
        raise NotImplementedError

    def draw(self) -> None:
        """Draw the present state."""
        raise NotImplementedError

    def _ask(
        self,
        title: str,
        value: str,
        move: Callable[[BuildState, str], BuildState],
        placeholder: str = "",
        suggestions: tuple[str, ...] = (),
    ) -> None:
        """A line of text that a move is made of; the question stays until the move can be made."""

        def given(text: str | None) -> None:
            if text is not None:
                self.make(lambda state: move(state, text))

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
        self._ask("A new net. Its input: channels, height, width", shape, lambda _, text: empty(text))

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
                self.columns = chosen(text) if text.strip() else self.columns
                self.draw()

        names = ", ".join(COLUMNS)
        title = f"Columns, in order, as many as fit: {names}"
        self.app.push_screen(Ask(title, ", ".join(self.columns), lambda text: refused(lambda: chosen(text))), given)

    def action_open(self) -> None:
        """A net of the zoo, a file, or the user's own."""

        def named(name: str | None) -> None:
            if name == A_FILE:
                self.app.push_screen(Ask("Open which file? .toml or .onnx", "", _given, "my-net.toml"), self._read)
            elif name == A_MODEL:
                title = "Open which nn.Module? torchvision:NAME, module:callable or file.py:callable, then its input"
                self.app.push_screen(Ask(title, "", _given, "mynets.py:Net 3,32,32"), self._read)
            elif name:
                self.make(lambda _: open_net(name))

        choices = [(name, load_net(name).idea) for name in zoo()]
        more = [(A_FILE, "a net's .toml, or .onnx"), (A_MODEL, "any nn.Module: torchvision:NAME, module:callable")]
        self.app.push_screen(Choose("Open which net?", [*choices, *more], self.state.network.name), named)

    def _read(self, text: str | None) -> None:
        """Open a file at once, other people's networks when their process has answered."""
        if text is None:
            return
        net, shape = _named(text)
        if net.endswith(".toml"):
            self.make(lambda _: open_net(net, shape))
            return
        self.app.notify(f"reading {net} …", markup=False)
        self.run_worker(partial(self._read_elsewhere, net, shape), thread=True, exclusive=True, group="reading")

    def _read_elsewhere(self, net: str, shape: Shape | None) -> None:
        """In a thread: what comes of it is a move, or why there is none."""

        def move(_: BuildState) -> BuildState:
            if isinstance(found, BuildState):
                return found
            raise found

        found: BuildState | NotationError | ImpossibleError
        try:
            found = open_net(net, shape)
        except EDIT_ERRORS as error:
            found = error
        self.app.call_from_thread(self.make, move)

    def action_compare(self) -> None:
        """Another net beside this one."""

        def named(name: str | None) -> None:
            if name:
                other = analyse(load_net(name).network)
                pairs = difference(self.state.analysis, other)
                mine = self.state.network.name
                self.app.push_screen(Lines(f"{mine} and {name}", lambda width: self._beside_another(pairs, width)))

        choices = [(name, load_net(name).idea) for name in zoo()]
        self.app.push_screen(Choose("Compare with which net?", choices), named)

    def _beside_another(self, pairs: list[Pair], width: int) -> Text:
        """Layer beside layer; what differs stands out."""
        colors = palette(self.app)
        half = (width - 3) // 2
        lines = []
        for pair in pairs:
            left, right = _told(pair.left, half), _told(pair.right, half)
            lines.append(Text(f"{left:<{half}} {pair.mark} {right}", style=colors.dim if pair.same else colors.text))
        return Text("\n").join(lines)

    def action_save(self) -> None:
        """Write the net's file, or what else its ending says."""

        def check(text: str) -> str | None:
            path = Path(text).expanduser()
            if path.exists() and path != self.state.path:
                return f"{path} is there already: give another name"
            return refused(lambda: save(self.state, path))

        def saved(text: str | None) -> None:
            if text:
                path = Path(text).expanduser()
                error = self.state.analysis.error
                then = ""
                if path.suffix == NET:
                    self.look(lambda state: state.saved(path))
                    then = f"; it cannot be trained yet: {error}" if error else f"; train it with: cnntui train {path}"
                bad = then and error
                self.app.notify(f"saved {path}{then}", severity="warning" if bad else "information", markup=False)

        proposal = str(self.state.path or f"{self.state.network.name}{NET}")
        title = f"Save as: a net ends in {NET}; .py PyTorch source, .md and .csv its facts"
        self.app.push_screen(Ask(title, proposal, check), saved)


def _given(text: str) -> str | None:
    """What is wrong with a name, as far as that can be seen at once."""
    try:
        net, shape = _named(text)
    except NotationError as error:
        return str(error)
    if net.endswith(".toml"):
        return refused(lambda: open_net(net, shape))
    return None if net else "give a name"


def _named(text: str) -> tuple[str, Shape | None]:
    """What is to be opened, and its input where that stands behind it."""
    net, _, shape = text.strip().partition(" ")
    return str(Path(net).expanduser()) if net else "", parse_input(shape) if shape else None


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
    facts = f"{shape_text(row.output or ()):>12} {row.params:>11,}"
    return f"{layer_text(row.node.layer):<{max(1, width - len(facts))}.{max(1, width - len(facts) - 1)}}{facts}"
