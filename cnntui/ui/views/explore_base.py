"""What all moves on the exploring view share: the present state, how a move becomes the next, what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from textual.message import Message
from textual.widget import Widget

from cnntui.labs import cell
from cnntui.labs.explore import CELL, ExploreState, MoveError
from cnntui.labs.history import History
from cnntui.labs.subject import Subject
from cnntui.labs.wish import Wish
from cnntui.runs.places import log_traceback
from cnntui.runs.reader import RunReader, RunView

if TYPE_CHECKING:
    from cnntui.ui.clock import Clock

REMEMBERED = 3  # states that keep what was computed, so that undo is at once
F = TypeVar("F", bound=Callable[..., Any])


class Failed(Message):
    """A worker met what nobody foresaw: the traceback is in the log."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line


def sheltered(function: F) -> F:
    """What goes wrong in a worker is told in a line; it does not end the app."""

    @wraps(function)
    def tried(self: Widget, *arguments: Any) -> Any:
        try:
            return function(self, *arguments)
        except Exception as error:
            self.post_message(Failed(f"{type(error).__name__}: {error}. {log_traceback()}"))

    return tried  # type: ignore[return-value]


class ExploreBase(Widget):
    """The state and its history; subclasses turn keys into moves, the view draws what comes of them."""

    history: History[ExploreState] | None
    subject: Subject | None
    reader: RunReader | None
    run_view: RunView | None
    wish: Wish
    as_glyphs: bool
    drawing: bool
    playing: bool
    follows: bool  # the newest moment, as it comes
    term: int  # which term of the number looked at
    hidden: frozenset[str] = frozenset()  # actions that a lesson has taken away

    def draw(self) -> None:
        """Show the state."""
        raise NotImplementedError

    def note(self, text: str) -> None:
        """A line above all."""
        raise NotImplementedError

    def open(self, wish: Wish) -> None:
        """Explore something else."""
        raise NotImplementedError

    @property
    def clock(self) -> Clock:
        """The app's."""
        raise NotImplementedError

    @property
    def state(self) -> ExploreState:
        """The present one; there is one from when something was opened."""
        if self.history is None:
            raise MoveError("nothing is open yet")
        return self.history.present

    def say(self, text: str) -> None:
        """Why something was not done."""
        self.app.clear_notifications()
        self.app.notify(text, severity="warning", markup=False)

    def on_failed(self, event: Failed) -> None:
        """Say it."""
        event.stop()
        self.say(event.line)

    # -- how a move becomes a state

    def look(self, state: ExploreState, term: int | None = None) -> None:
        """Look elsewhere, by default at the term that counts most: nothing that undo takes back."""
        if self.history is not None:
            self._take(self.history.amend(state), term)

    def make(self, change: Callable[[ExploreState], ExploreState]) -> bool:
        """Change something that undo takes back; a move that cannot be is told."""
        if self.history is None:
            return False
        try:
            history = self.history.push(change(self.state))
        except MoveError as error:
            self.say(str(error))
            return False
        self._take(history)
        forget_old(history)
        return True

    def _take(self, history: History[ExploreState], term: int | None = None) -> None:
        """Another present; where the number looked at is the same, so is its term."""
        before = self.history.present if self.history is not None else None
        self.history, now = history, history.present
        if term is not None:
            self.term = term
        elif before is None or (before.node, before.unit, before.level) != (now.node, now.unit, now.level):
            self.term = cell.first(now) if now.level == CELL and not now.takes_time else 0
        self.draw()

    def action_undo(self) -> None:
        """Take the last change back."""
        if self.history is not None:
            self._take(self.history.undo())

    def action_redo(self) -> None:
        """Do it again."""
        if self.history is not None:
            self._take(self.history.redo())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Before anything is open, and while a large net is run, only something else can be opened; on the pad only time."""
        if action in self.hidden:
            return False
        if self.history is None or self.state.takes_time:
            return action in ("open",)
        return not self.drawing or action in ("scrub", "play", "pin", "glyphs")


def forget_old(history: History[ExploreState]) -> None:
    """What was computed for a state that undo reaches only after some others is computed again, if ever."""
    kept = history.past
    for _ in range(REMEMBERED):
        kept = kept.rest if kept else None
    if kept is not None:
        kept.state.forget()
