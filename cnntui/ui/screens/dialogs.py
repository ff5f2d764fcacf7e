"""Small screens over the others: choose one of a list, type a line, read the keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import wrap

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.input import Selection
from textual.widgets.option_list import Option


class Names(OptionList):
    """A list that goes to what is typed."""

    def __init__(self, *options: Option) -> None:
        super().__init__(*options)
        self._typed = ""

    def on_key(self, event: events.Key) -> None:
        """The first name that begins with what was typed, else the first that holds it."""
        if not event.is_printable or not event.character:
            return
        event.stop()
        event.prevent_default()
        ids = [option.id or "" for option in self.options]
        for typed in (self._typed + event.character, event.character):
            found = [i for i, name in enumerate(ids) if name.startswith(typed)]
            found = found or [i for i, name in enumerate(ids) if typed in name]
            if found:
                self._typed, self.highlighted = typed, found[0]
                return


class Choose(ModalScreen[str | None]):
    """One of several things, each with a line about it. Gives its id, or None."""

    CSS = """
    Choose { align: center middle; }
    Choose > Vertical { width: 76; max-width: 95%; height: auto; max-height: 90%; border: round $accent; padding: 0 1; }
    Choose Label { color: $accent; text-style: bold; }
    Choose OptionList { height: auto; max-height: 18; border: none; padding: 0; background: $background; }
    """
    BINDINGS = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], current: str | None = None) -> None:
        super().__init__()
        self.heading = title
        self.choices = choices
        self.current = current

    def compose(self) -> ComposeResult:
        """A heading and the list."""
        width = max((len(name) for name, _ in self.choices), default=0)
        room = max(20, min(76, round(self.app.size.width * 0.95)) - width - 10)  # less borders, paddings, a scroll bar
        under = "\n" + " " * (width + 2)
        options = [
            Option(Content(under.join([f"{name:<{width}}  {lines[0]}", *lines[1:]])), id=name)
            for name, lines in ((name, wrap(about, room) or [""]) for name, about in self.choices)
        ]
        with Vertical():
            yield Label(self.heading, markup=False)
            yield Names(*options)

    def on_mount(self) -> None:
        """Start on the current one."""
        names = [name for name, _ in self.choices]
        if self.current in names:
            self.query_one(OptionList).highlighted = names.index(self.current)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one; a second enter finds the dialog gone already."""
        if self.is_current:
            self.dismiss(event.option_id)


class Ask(ModalScreen[str | None]):
    """One line of text. `check` gives what is wrong with it, or None; the line stays until it is right."""

    CSS = """
    Ask { align: center middle; }
    Ask > Vertical { width: 70; max-width: 95%; height: auto; border: round $accent; padding: 0 1; }
    Ask Label { color: $accent; text-style: bold; width: 1fr; }
    Ask #problem { color: $error; height: auto; }
    """
    BINDINGS = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(
        self,
        title: str,
        value: str,
        check: Callable[[str], str | None],
        placeholder: str = "",
        suggestions: Sequence[str] = (),
        selected: int = 0,
    ) -> None:
        super().__init__()
        self.selected = selected
        self.suggestions = suggestions
        self.heading = title
        self.value = value
        self.check = check
        self.placeholder = placeholder

    def compose(self) -> ComposeResult:
        """A heading, the line, and what is wrong with it."""
        with Vertical():
            yield Label(self.heading, markup=False)
            suggester = SuggestFromList(self.suggestions) if self.suggestions else None
            line = Input(self.value, placeholder=self.placeholder, select_on_focus=False, suggester=suggester)
            line.cursor_blink = False
            yield line
            yield Static("", id="problem", markup=False)

    def on_mount(self) -> None:
        """What is there is selected from `selected` on: typing replaces it."""
        line = self.query_one(Input)
        line.selection = Selection(self.selected, len(self.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take it, or say what is wrong."""
        event.stop()
        if not self.is_current:
            return
        problem = self.check(event.value)
        if problem is None:
            self.dismiss(event.value)
        else:
            self.query_one("#problem", Static).update(problem)


class Lines(ModalScreen[None]):
    """More than fits on the screen under it, scrolled. `write` makes the text for a width in columns."""

    CSS = """
    Lines { align: center middle; }
    Lines > VerticalScroll { width: 95%; height: auto; max-height: 90%; border: round $accent; padding: 0 1; }
    Lines Static { width: auto; }
    """
    BINDINGS = [Binding("escape,q,enter", "dismiss(None)", "Close")]

    def __init__(self, title: str, write: Callable[[int], Text]) -> None:
        super().__init__()
        self.heading = title
        self.write = write

    def compose(self) -> ComposeResult:
        """The lines."""
        width = max(20, round(self.app.size.width * 0.95) - 6)
        with VerticalScroll() as scroll:
            scroll.border_title = f"{self.heading} · esc closes"
            yield Static(self.write(width))


class Keys(ModalScreen[None]):
    """Every key that works here, from the bindings themselves, under a line on what the screen is for: one page."""

    CSS = """
    Keys { align: center middle; }
    Keys > VerticalScroll { width: 116; max-width: 98%; height: auto; max-height: 100%; }
    Keys > VerticalScroll { border: round $accent; padding: 0 1; }
    """
    BINDINGS = [Binding("escape,q,question_mark", "dismiss(None)", "Close")]

    def __init__(self, about: str, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.about = about
        self.keys = keys

    def compose(self) -> ComposeResult:
        """The line, and the table in as many columns as there is room for."""
        with VerticalScroll() as scroll:
            scroll.border_title = "every key · ↓ scrolls · esc closes"
            yield Static(Content(f"{self._table(min(116, round(self.app.size.width * 0.98)) - 5)}\n\n{self.about}"))

    def _table(self, width: int) -> str:
        keys = max((len(key) for key, _ in self.keys), default=0)
        entries = [f"{key:>{keys}}  {what}" for key, what in self.keys]
        widest = max(map(len, entries), default=1)
        columns = max(1, (width + 2) // (widest + 2))
        rows = -(-len(entries) // columns)
        return "\n".join("  ".join(entry.ljust(widest) for entry in entries[row::rows]).rstrip() for row in range(rows))
