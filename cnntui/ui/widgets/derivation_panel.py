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
        if line is None or line.row is None:
            self._write(canvas, 0, "select a layer: how its numbers come about is written out here", colors.dim)
            return
        rows = state.analysis.rows[line.first : line.last]
        if line.fold:
            params, macs = sum(row.params for row in rows), sum(row.macs for row in rows)
            words = f"{len(rows)} layers with {params:,} parameters and {macs:,} MACs: → opens them"
            self._write(canvas, 0, words, colors.text)
            return
        canvas.put(0, 0, f"the numbers of {rows[0].node.name}", ink(colors.text))
        y = 2
        for name, text in derivation(state.analysis, line.first):
            canvas.put(0, y, name, ink(colors.dim))
            y = self._write(canvas, y + 1, text, colors.text, indent=2)
        if y == 2:
            waits = rows[0].output is None
            words = "it waits for its input" if waits else "number by number: the shape stays, nothing to count"
            self._write(canvas, y, words, colors.dim)

    def _write(self, canvas: Canvas, y: int, text: str, color: str, indent: int = 0) -> int:
        """Over as many lines as it needs; what stands behind the last = stands out. Returns the line below."""
        for part in wrap(text, max(8, canvas.width - indent)):
            start, equals, result = part.rpartition("= ")
            x = canvas.put(indent, y, f"{start}{equals}", ink(color))
            canvas.put(x, y, result, ink(self.palette.accent, bold=True) if equals else ink(color))
            y += 1
        return y
