"""The task under a lesson's text: what is asked, what is not yet right, hints, answers to choose from, a number to type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Static
from textual.widgets.input import Selection

from cnntui.ui.theme import palette

NUMBERS = r"[-−+*/×·().,%0-9eE ]*"
DONE, OPEN, WRONG = "✓", "○", "✗"


@dataclass(frozen=True)
class Asked:
    """What the box shows.

    Args:
        ask: the task.
        choices: answers to choose from; `chosen` are those that were, from 0.
        unit: of the number that is typed; None where none is.
        verdict: what is not yet right, or that it is right; `mark` is DONE, OPEN or WRONG.
        hints: those given so far; `left` is how many there are more.
        solution: the moves or the answer, once it was asked for.
    """

    ask: str
    choices: tuple[str, ...] = ()
    chosen: frozenset[int] = frozenset()
    unit: str | None = None
    verdict: str = ""
    mark: str = OPEN
    hints: tuple[str, ...] = ()
    left: int = 0
    solution: str = ""


class TaskBox(Vertical):
    """Draws a task, and hands on what is typed."""

    DEFAULT_CSS = """
    TaskBox { height: auto; max-height: 70%; border: round $accent; padding: 0 1; display: none; }
    TaskBox { overflow-y: auto; scrollbar-size-vertical: 1; }
    TaskBox.-there { display: block; }
    TaskBox.-done { border: round $success; }
    TaskBox Static { height: auto; }
    TaskBox Input { height: 1; border: none; padding: 0; margin: 0; background: $panel; display: none; }
    TaskBox Input:focus { border: none; }
    TaskBox.-number Input { display: block; }
    """

    class Resized(Message):
        """It takes more or less room."""

    class Answered(Message):
        """A number was typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__()
        self.asked: Asked | None = None

    def compose(self) -> ComposeResult:
        """The task, the line for a number, and what is said to it."""
        yield Static("", id="ask")
        answer = Input(id="answer", select_on_focus=False, restrict=NUMBERS)
        answer.cursor_blink = False
        yield answer
        yield Static("", id="said")

    def show(self, asked: Asked | None) -> None:
        """Show a task, or none."""
        if asked == self.asked:
            return
        self.asked = asked
        self.set_class(asked is not None, "-there")
        if asked is None:
            return
        self.set_class(asked.mark == DONE, "-done")
        self.set_class(asked.unit is not None, "-number")
        unit = f" ({asked.unit})" if asked.unit else ""
        self.query_one(Input).placeholder = f"number{unit}, enter · esc leaves"
        self.query_one("#ask", Static).update(self._question(asked))
        told = self._told(asked)
        said = self.query_one("#said", Static)
        said.display = bool(told)
        said.update(told)

    def on_resize(self) -> None:
        """What is above has more or less room."""
        self.post_message(self.Resized())

    def clear(self) -> None:
        """No number."""
        self.query_one(Input).value = ""

    def _question(self, asked: Asked) -> RenderableType:
        """The task; under it the answers, each with its number before it."""
        ask, colors = Text(asked.ask, style="bold"), palette(self.app)
        if not asked.choices:
            return ask
        choices = Table.grid(padding=(0, 1))
        for number, choice in enumerate(asked.choices):
            chosen = number in asked.chosen
            mark = Text(f"{'▸' if chosen else ' '}{number + 1}", f"bold {colors.accent}")
            choices.add_row(mark, Text(choice, f"bold {colors.accent}" if chosen else ""))
        return Group(ask, choices)

    def _told(self, asked: Asked) -> Text:
        colors = palette(self.app)
        style = {DONE: f"bold {colors.accent}", OPEN: colors.accent, WRONG: colors.error}[asked.mark]
        text = Text()
        lines: Sequence[tuple[str, str]] = (
            (f"{asked.mark} {asked.verdict}" if asked.verdict else "", style),
            *((f"hint: {hint}", "") for hint in asked.hints),
            (f"solution: {asked.solution}" if asked.solution else "", colors.dim),
        )
        for line, line_style in lines:
            if line:
                text.append("\n" * bool(text), "").append(line, line_style)
        return text

    def type(self, character: str) -> None:
        """A character for the number: the keys of a burst are here before the line has the focus."""
        line = self.query_one(Input)
        self.screen.set_focus(line)
        if re.fullmatch(NUMBERS, character):
            line.replace(character, *line.selection)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Check it; the next key begins another number."""
        event.stop()
        event.input.selection = Selection(0, len(event.value))
        self.post_message(self.Answered(event.value))
