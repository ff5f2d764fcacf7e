"""The selected group beside the baseline: what it has otherwise, its runs, and why those that failed did."""

from __future__ import annotations

from cnntui.labs.compare import CompareState
from cnntui.labs.compare_words import account
from cnntui.ui.widgets.compare_words import color_of, put_lines, put_title
from cnntui.ui.widgets.painted import Canvas, PaintedState


class CompareAccount(PaintedState[CompareState | None]):
    """Words; `alone` says that the curves are a key away."""

    DEFAULT_CSS = "CompareAccount { height: 1fr; width: 1fr; }"

    def __init__(self) -> None:
        super().__init__(None)
        self.alone = False

    def paint(self, canvas: Canvas) -> None:
        """A title line, and what there is to say."""
        if self.state is None:
            return
        colors = self.palette
        put_title(canvas, "what is different", "", colors, "tab curves" if self.alone else "")
        put_lines(canvas, 1, account(self.state, canvas.width), colors, color_of(self.state.selected, colors))
