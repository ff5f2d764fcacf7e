"""Small screens over a run: a learning rate to type, halve or double; other runs to draw over it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, SelectionList
from textual.widgets.selection_list import Selection

from cnntui.labs.watching import MOST_OTHERS, rate_problem
from cnntui.ui.screens.dialogs import Ask


class AskRate(Ask):
    """A learning rate; up and down double and halve what stands there."""

    BINDINGS = [
        Binding("up", "times(2.0)", "Double", show=False, priority=True),
        Binding("down", "times(0.5)", "Halve", show=False, priority=True),
    ]

    def __init__(self, present: float) -> None:
        super().__init__("Learning rate from the next step on; ↑ doubles, ↓ halves", f"{present:.6g}", rate_problem)

    def action_times(self, factor: float) -> None:
        """Twice or half of it, if it is a rate."""
        line = self.query_one(Input)
        if rate_problem(line.value) is None:
            line.value = f"{float(line.value) * factor:.6g}"
            line.cursor_position = len(line.value)


class ChooseSeveral(ModalScreen[tuple[str, ...] | None]):
    """Several of many, at most MOST_OTHERS. Gives their ids in the order of the list, or None."""

    CSS = """
    ChooseSeveral { align: center middle; }
    ChooseSeveral > Vertical { width: 90; max-width: 95%; height: auto; max-height: 90%; }
    ChooseSeveral > Vertical { border: round $accent; padding: 0 1; }
    ChooseSeveral Label { color: $accent; text-style: bold; width: 1fr; }
    ChooseSeveral SelectionList { height: auto; max-height: 18; border: none; padding: 0; background: $background; }
    """
    BINDINGS = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("enter", "done", "Take these", priority=True),
    ]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], chosen: Sequence[str]) -> None:
        super().__init__()
        self.heading = title
        self.choices = choices
        self.chosen = chosen

    def compose(self) -> ComposeResult:
        """A heading and the list."""
        width = max((len(name) for name, _ in self.choices), default=0)
        with Vertical():
            yield Label(self.heading, markup=False)
            yield SelectionList[str](
                *(
                    Selection(Content.from_text(f"{name:<{width}}  {about}", markup=False), name, name in self.chosen)
                    for name, about in self.choices
                )
            )

    def on_selection_list_selection_toggled(self, event: SelectionList.SelectionToggled[str]) -> None:
        """No more than can be told apart."""
        if len(event.selection_list.selected) > MOST_OTHERS:
            event.selection_list.deselect(event.selection)
            self.app.notify(f"{MOST_OTHERS} runs are as many as can be told apart", timeout=3, markup=False)

    def action_done(self) -> None:
        """Take what is ticked."""
        if self.is_current:
            ticked = self.query_one(SelectionList).selected
            self.dismiss(tuple(name for name, _ in self.choices if name in ticked))
