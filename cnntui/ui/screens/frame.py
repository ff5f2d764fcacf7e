"""What every screen has: the bar with the screens' names, the line of keys, help, and rest when it is covered."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widget import Widget

from cnntui.ui.compositor import TightCompositor
from cnntui.ui.screens.dialogs import Keys
from cnntui.ui.tabs import TABS
from cnntui.ui.theme import ink
from cnntui.ui.widgets.key_line import KeyLine, joined, listed
from cnntui.ui.widgets.painted import Canvas, Painted

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp


class Bar(Painted):
    """The screens and their keys; the one that is open stands out."""

    DEFAULT_CSS = "Bar { height: 1; background: $panel; }"

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def paint(self, canvas: Canvas) -> None:
        """One line."""
        colors = self.palette
        x = canvas.put(1, 0, "cnntui ", ink(colors.accent, bold=True))
        for mode, name, key, letter in TABS:
            if mode == self.mode:
                x = canvas.put(x + 1, 0, f" {name} ", ink(colors.on_accent, colors.accent, bold=True))
                continue
            shown, rest = (letter, name[1:]) if name.startswith(letter) else (key.upper(), f" {name}")
            if mode == "learn" and (at := cast("CnntuiApp", self.app).lesson_at):
                rest += f" {at}"  # where one comes back to
            x = canvas.put(x + 2, 0, shown, ink(colors.accent, bold=True))
            x = canvas.put(x, 0, f"{rest} ", ink(colors.text))


class Frame(Screen[None]):
    """A screen around one view."""

    CSS = """
    Frame { layout: vertical; background: $background; }
    Frame > #body { height: 1fr; }
    """
    BINDINGS = [Binding("question_mark", "keys", "Help", show=False), Binding("f1", "keys", "Help", show=False)]
    MODE = "convolve"

    def __init__(self) -> None:
        super().__init__()
        self._compositor = TightCompositor()

    def body(self) -> Widget:
        """The view."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Bar, view, keys."""
        yield Bar(self.MODE)
        view = self.body()
        view.id = view.id or "view"
        yield view
        yield KeyLine()

    def action_keys(self) -> None:
        """Every key of this screen."""
        keys: dict[str, list[str]] = {}
        for _, name, what, _ in listed(self.active_bindings):
            keys.setdefault(what, []).append(name)
        around = self.focused.ancestors_with_self if self.focused else [self.query_one("#view")]
        about = next((str(node.HELP) for node in around if getattr(node, "HELP", None)), "")
        self.app.push_screen(Keys(about, [(joined(names), what) for what, names in keys.items()]))

    def on_screen_suspend(self) -> None:
        """Nothing moves behind another screen."""
        view = self.query_one("#view")
        if rest := getattr(view, "rest", None):
            rest()

    def on_screen_resume(self) -> None:
        """What moved goes on."""
        self.query_one(Bar).repaint()
        if wake := getattr(self.query_one("#view"), "wake", None):
            wake()
