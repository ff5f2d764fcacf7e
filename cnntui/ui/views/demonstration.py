"""A demonstration: one painted lab that has the focus, with keys for its moves, undo, and every move in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import Any, Generic, TypeVar

from textual.binding import Binding
from textual.message import Message

from cnntui.labs.history import History
from cnntui.labs.stages import Stage, WordsError
from cnntui.ui.screens.dialogs import Ask
from cnntui.ui.theme import Palette, ink
from cnntui.ui.widgets.painted import Canvas, Painted

S = TypeVar("S")
Setting = tuple[str, str, str]  # key, name, value


class Demonstration(Painted, Generic[S], can_focus=True):
    """Paints the state of a demonstration and turns keys into its moves; `hidden` are actions that a lesson took away."""

    DEFAULT_CSS = "Demonstration { width: 1fr; height: 1fr; }"

    BINDINGS = [
        Binding("u", "undo", "Undo"),
        Binding("r", "redo", "Redo", show=False),
        Binding("colon", "words", "Say it in words", show=False),
    ]
    HELP = ""

    class Changed(Message):
        """The lab is in another state."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.history: History[S] = History(stage.start())
        self.hidden: frozenset[str] = frozenset()

    @property
    def state(self) -> S:
        """The lab's present state."""
        return self.history.present

    @property
    def plain(self) -> bool:
        """Whether there are no colours."""
        return bool(self.app.no_color)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In a lesson, what it leaves."""
        return action not in self.hidden

    # -- moves

    def put(self, history: History[S]) -> None:
        """Show what the history holds now."""
        self.history = history
        self.repaint()
        self.post_message(self.Changed())

    def make(self, move: Callable[[S], S], undone: bool = True) -> None:
        """A move, which undo takes back if `undone`; a refused one says why."""
        try:
            state = move(self.state)
        except ValueError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return
        self.put(self.history.push(state) if undone else self.history.amend(state))

    def begin(self, moves: Sequence[str]) -> None:
        """The start, and these moves, with nothing before them.

        Raises:
            WordsError: when one is not allowed.
        """
        state = self.stage.start()
        for move in moves:
            state = self.stage.play(state, move)
        self.put(History(state))

    def perform(self, move: str) -> None:
        """A move in words.

        Raises:
            WordsError: when it is not allowed.
        """
        self.put(self.history.push(self.stage.play(self.state, move)))

    def action_undo(self) -> None:
        """One move back."""
        self.put(self.history.undo())

    def action_redo(self) -> None:
        """One move forward again."""
        self.put(self.history.redo())

    def action_words(self) -> None:
        """Type any move."""

        def check(text: str) -> str | None:
            try:
                self.stage.play(self.state, text)
            except WordsError as error:
                return str(error)
            return None

        suggestions = [f"{verb} {words.arguments}".rstrip() for verb, words in self.stage.moves.items()]
        title = f"What is to be done? There are {', '.join(self.stage.moves)}"
        self.app.push_screen(
            Ask(title, "", check, suggestions=suggestions), lambda text: None if text is None else self.perform(text)
        )


def put_heading(canvas: Canvas, name: str, about: str, colors: Palette) -> None:
    """The first line: what is seen."""
    canvas.put(0, 0, "─" * canvas.width, ink(colors.dim))
    x = canvas.put(1, 0, f" {name}: ", ink(colors.accent, bold=True))
    if len(about) + 2 <= canvas.width - x:
        canvas.put(x, 0, f"{about} ", ink(colors.text))


def put_sentence(canvas: Canvas, y: int, text: str, colors: Palette, most: int = 3) -> int:
    """A sentence over the whole width in at most so many lines; returns the line behind it."""
    for line in wrap(text, max(10, canvas.width - 2))[:most]:
        canvas.put(1, y, line, ink(colors.text))
        y += 1
    return y


def put_settings(canvas: Canvas, x: int, y: int, settings: Sequence[Setting], colors: Palette) -> int:
    """Each setting behind the key that changes it; what does not fit is left out. Returns the column behind them."""
    for key, name, value in settings:
        if x + len(key) + len(name) + len(value) + 2 > canvas.width:
            break
        x = canvas.put(x, y, key, ink(colors.accent, bold=True))
        x = canvas.put(x, y, f" {name} ", ink(colors.dim))
        x = canvas.put(x, y, f"{value}   ", ink(colors.text, bold=True))
    return x


def actions(*bindings: tuple[str, str, str] | tuple[str, str, str, bool]) -> list[Any]:
    """Bindings (key, action, what it does, and whether it stands in the last line)."""
    return [Binding(key, action, what, show=bool(more and more[0])) for key, action, what, *more in bindings]
