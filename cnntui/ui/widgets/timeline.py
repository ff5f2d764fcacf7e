"""Where in its round the window is, and how it moves."""

from __future__ import annotations

from textual import events
from textual.message import Message

from cnntui.labs.convolve import ConvolveState
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, Painted

BAR = 24
NAMES = {"output": "output cell", "input": "input cell", "kernel": "weight"}


class Timeline(Painted):
    """One line; a click on the bar goes there."""

    DEFAULT_CSS = "Timeline { height: 1; }"

    class Sought(Message):
        """A place on the bar was clicked, from 0 to 1."""

        def __init__(self, share: float) -> None:
            super().__init__()
            self.share = share

    def __init__(self, state: ConvolveState) -> None:
        super().__init__()
        self.state = state
        self.speed: int | None = None
        self.loop = True
        self._bar = 0

    def show(self, state: ConvolveState, speed: int | None, loop: bool) -> None:
        """Show another place; `speed` in steps a second, None while nothing plays."""
        self.state, self.speed, self.loop = state, speed, loop
        self.repaint()

    def paint(self, canvas: Canvas) -> None:
        """How it moves, the bar, the number of the cell: what changes with every step stands together."""
        colors, state = self.palette, self.state
        playing = f"▶ {self.speed} a second" if self.speed else "❚❚ paused"
        x = canvas.put(0, 0, f"{playing:<14}", ink(colors.accent if self.speed else colors.dim))
        x = canvas.put(x, 0, "↻  " if self.loop else "→  ", ink(colors.dim))
        if not state.steps:
            return
        self._bar = x
        done = round((state.index + 1) / state.steps * BAR)
        x = canvas.put(x, 0, "━" * done, ink(colors.accent))
        x = canvas.put(x, 0, "─" * (BAR - done), ink(colors.dim))
        which = NAMES[state.looking]
        canvas.put(x + 1, 0, f"{state.index + 1:>{len(str(state.steps))}} of {state.steps} {which}s", ink(colors.dim))

    def on_click(self, event: events.Click) -> None:
        """Go there."""
        if self._bar <= event.x < self._bar + BAR:
            self.post_message(self.Sought((event.x - self._bar) / (BAR - 1)))
