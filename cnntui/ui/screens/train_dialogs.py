"""Small screens over a run: a learning rate to type, halve or double; other runs to draw over it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from cnntui.labs.watching import MOST_OTHERS, rate_problem, toggled
from cnntui.ui.screens.dialogs import Ask


class AskRate(Ask):
    """A learning rate; up and down double and halve what stands there."""

    SCOPED_CSS = False  # so that the style of Ask is this one's, too
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


class Ticks(OptionList):
    """A list whose lines are ticked; a tick is seen without colours, too."""

    BINDINGS = [Binding("space", "tick", "Tick"), Binding("enter", "done", "Take these")]

    class Ticked(Message):
        """More is ticked, or less."""

    class Done(Message):
        """What is ticked is wanted."""

    def __init__(self, choices: Sequence[tuple[str, str]], ticked: Collection[str], most: int) -> None:
        self.choices = choices
        self.most = most
        self.ticked = tuple(ticked)
        self._width = max((len(name) for name, _ in choices), default=0)
        super().__init__(*(Option(self._line(*choice), id=choice[0]) for choice in choices))

    def _line(self, name: str, about: str) -> Content:
        tick = "[x]" if name in self.ticked else "[ ]"
        return Content.from_text(f"{tick} {name:<{self._width}}  {about}", markup=False)

    def action_tick(self) -> None:
        """Tick the line, or no longer."""
        if self.highlighted is None:
            return
        name, about = self.choices[self.highlighted]
        ticked = toggled(self.ticked, name, self.most)
        if ticked == self.ticked:
            self.app.notify(f"{self.most} runs are as many as can be told apart", timeout=3, markup=False)
        self.ticked = ticked
        self.replace_option_prompt_at_index(self.highlighted, self._line(name, about))
        self.post_message(self.Ticked())

    def action_done(self) -> None:
        """Take them."""
        self.post_message(self.Done())


class ChooseSeveral(ModalScreen[tuple[str, ...] | None]):
    """Several of many, at most `most`. Gives their ids in the order of the list, or None."""

    CSS = """
    ChooseSeveral { align: center middle; }
    ChooseSeveral > Vertical { width: 90; max-width: 95%; height: auto; max-height: 90%; }
    ChooseSeveral > Vertical { border: round $accent; padding: 0 1; }
    ChooseSeveral Label { color: $accent; text-style: bold; width: 1fr; }
    ChooseSeveral Ticks { height: auto; max-height: 18; border: none; padding: 0; background: $background; }
    ChooseSeveral Ticks { text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(
        self, title: str, choices: Sequence[tuple[str, str]], chosen: Collection[str], most: int = MOST_OTHERS
    ) -> None:
        super().__init__()
        self.most = most
        self.heading = title
        self.choices = choices
        self.chosen = chosen

    def compose(self) -> ComposeResult:
        """A heading and the list."""
        with Vertical():
            yield Label(self._title(len(self.chosen)), markup=False)
            yield Ticks(self.choices, self.chosen, self.most)

    def _title(self, count: int) -> str:
        return f"{self.heading}: {count} ticked" if count else self.heading

    def on_ticks_ticked(self, event: Ticks.Ticked) -> None:
        """Say how many."""
        event.stop()
        self.query_one(Label).update(self._title(len(self.query_one(Ticks).ticked)))

    def on_ticks_done(self, event: Ticks.Done) -> None:
        """Take what is ticked."""
        event.stop()
        if self.is_current:
            ticked = self.query_one(Ticks).ticked
            self.dismiss(tuple(name for name, _ in self.choices if name in ticked))
