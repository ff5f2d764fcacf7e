"""Small screens over the others: choose one of a list, type a line, read the keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option


class Choose(ModalScreen[str | None]):
    """One of several things, each with a line about it. Gives its id, or None."""

    CSS = """
    Choose { align: center middle; }
    Choose > Vertical { width: 76; max-width: 95%; height: auto; max-height: 90%; border: round $accent; padding: 0 1; }
    Choose Label { color: $accent; text-style: bold; }
    Choose OptionList { height: auto; max-height: 18; border: none; padding: 0; background: $background; }
    """
    BINDINGS = [Binding("escape,q", "dismiss(None)", "Close")]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], current: str | None = None) -> None:
        super().__init__()
        self.heading = title
        self.choices = choices
        self.current = current

    def compose(self) -> ComposeResult:
        """A heading and the list."""
        width = max((len(name) for name, _ in self.choices), default=0)
        options = [
            Option(Content.from_text(f"{name:<{width}}  {about}", markup=False), id=name)
            for name, about in self.choices
        ]
        with Vertical():
            yield Label(self.heading, markup=False)
            yield OptionList(*options)

    def on_mount(self) -> None:
        """Start on the current one."""
        names = [name for name, _ in self.choices]
        if self.current in names:
            self.query_one(OptionList).highlighted = names.index(self.current)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one."""
        self.dismiss(event.option_id)


class Ask(ModalScreen[str | None]):
    """One line of text. `check` gives what is wrong with it, or None; the line stays until it is right."""

    CSS = """
    Ask { align: center middle; }
    Ask > Vertical { width: 70; max-width: 95%; height: auto; border: round $accent; padding: 0 1; }
    Ask Label { color: $accent; text-style: bold; }
    Ask #problem { color: $error; height: auto; }
    """
    BINDINGS = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(self, title: str, value: str, check: Callable[[str], str | None], placeholder: str = "") -> None:
        super().__init__()
        self.heading = title
        self.value = value
        self.check = check
        self.placeholder = placeholder

    def compose(self) -> ComposeResult:
        """A heading, the line, and what is wrong with it."""
        with Vertical():
            yield Label(self.heading, markup=False)
            line = Input(self.value, placeholder=self.placeholder, select_on_focus=False)
            line.cursor_blink = False
            yield line
            yield Static("", id="problem", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take it, or say what is wrong."""
        event.stop()
        problem = self.check(event.value)
        if problem is None:
            self.dismiss(event.value)
        else:
            self.query_one("#problem", Static).update(problem)


class Keys(ModalScreen[None]):
    """Every key that works here, from the bindings themselves, under a line on what the screen is for."""

    CSS = """
    Keys { align: center middle; }
    Keys > VerticalScroll { width: 76; max-width: 95%; height: auto; max-height: 95%; border: round $accent; padding: 0 1; }
    """
    BINDINGS = [Binding("escape,q,question_mark", "dismiss(None)", "Close")]

    def __init__(self, about: str, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.about = about
        self.keys = keys

    def compose(self) -> ComposeResult:
        """The line, and the table."""
        width = max((len(key) for key, _ in self.keys), default=0)
        table = "\n".join(f"{key:>{width}}   {what}" for key, what in self.keys)
        with VerticalScroll():
            yield Static(Content(f"esc closes, ↓ scrolls\n\n{self.about}\n\n{table}"))
