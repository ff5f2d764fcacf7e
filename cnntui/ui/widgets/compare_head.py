"""Above and below the table: what is compared, how far it is, and what must be known to read it."""

from __future__ import annotations

from datetime import UTC, datetime

from cnntui.labs.classes import whole_percent
from cnntui.labs.compare import CompareState
from cnntui.labs.compare_words import Line, heading, marks, seconds_left, standing, told
from cnntui.labs.plain import duration
from cnntui.ui.theme import ink
from cnntui.ui.widgets.compare_words import put_line, put_lines
from cnntui.ui.widgets.painted import Canvas, PaintedState

LEAST_BAR = 10


class CompareHead(PaintedState[CompareState | None]):
    """Two lines: the sweep, or the runs; how many there are and how far they are."""

    DEFAULT_CSS = "CompareHead { height: 2; margin: 0 1; }"

    def paint(self, canvas: Canvas) -> None:
        """The bar of progress goes as soon as all is over."""
        if self.state is None:
            return
        colors = self.palette
        put_line(canvas, 0, 0, heading(self.state.comparison), colors)
        line, done = standing(self.state.comparison)
        x = put_line(canvas, 0, 1, line, colors) + 2
        if done is None:
            return
        left = seconds_left(self.state.comparison, datetime.now(UTC))
        time = f"about {duration(left)} left" if left is not None else ""
        after = f" {whole_percent(done)}{', ' * bool(time)}{time}"
        room = min(40, canvas.width - x - len(after))
        if room >= LEAST_BAR:
            full = round(done * room)
            x = canvas.put(x, 1, "━" * full, ink(colors.accent))
            x = canvas.put(x, 1, "─" * (room - full), ink(colors.dim))
            canvas.put(x, 1, after, ink(colors.text))
        elif x + len(time) <= canvas.width:
            canvas.put(x, 1, time, ink(colors.text))


class CompareNotes(PaintedState[CompareState | None]):
    """What failed, what is missing, what cannot be compared; where it is `roomy`, what the marks say."""

    DEFAULT_CSS = "CompareNotes { height: 0; margin: 0 1; }"

    def __init__(self) -> None:
        super().__init__(None)
        self.roomy = False

    def lines(self, state: CompareState) -> list[Line]:
        """A line each."""
        return told(state.comparison) + (marks(state.comparison) if self.roomy else [])

    def paint(self, canvas: Canvas) -> None:
        """As many as there is room for."""
        if self.state is not None:
            put_lines(canvas, 0, self.lines(self.state), self.palette)
