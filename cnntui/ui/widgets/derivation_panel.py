"""How the selected layer's numbers come about."""

from __future__ import annotations

from textwrap import wrap

from cnntui.labs.build import BuildState
from cnntui.labs.derivation import derivation
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, PaintedState


class DerivationPanel(PaintedState[BuildState]):
    """A fact's name, and its formula with the numbers put in."""

    DEFAULT_CSS = "DerivationPanel { width: 1fr; height: 1fr; }"

    def paint(self, canvas: Canvas) -> None:
        """One fact after another."""
        colors, state = self.palette, self.state
        line = state.line
        if line is None or line.row is None or line.fold:
            canvas.put(0, 0, "select a layer: how its numbers", ink(colors.dim))
            canvas.put(0, 1, "come about is written out here", ink(colors.dim))
            return
        row = state.analysis.rows[line.row]
        canvas.put(0, 0, f"the numbers of {row.node.name}", ink(colors.text))
        y = 2
        for name, text in derivation(state.analysis, line.row):
            canvas.put(0, y, name, ink(colors.dim))
            for part in wrap(text, max(8, canvas.width - 2)):
                y += 1
                *_, last = part.rpartition("= ")
                start = canvas.put(2, y, part.removesuffix(last), ink(colors.text))
                ends = "=" in part
                canvas.put(start, y, last, ink(colors.accent if ends else colors.text, bold=ends))
            y += 1
