"""A net's name and totals."""

from __future__ import annotations

from cnntui.core.layers import shape_text
from cnntui.core.receptive_field import field_text
from cnntui.labs.build import BuildState
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, PaintedState


class Totals(PaintedState[BuildState]):
    """Name, input, parameters, MACs and the receptive field of the last map."""

    DEFAULT_CSS = "Totals { height: 1; margin: 0 1; }"

    def paint(self, canvas: Canvas) -> None:
        """One line."""
        colors, analysis = self.palette, self.state.analysis
        network = analysis.network
        x = canvas.put(0, 0, network.name, ink(colors.accent, bold=True))
        x = canvas.put(x, 0, f" · {shape_text(network.input)}", ink(colors.dim))
        parts = [f"{analysis.params:,} parameters", f"{analysis.macs:,} MACs"]
        if field := analysis.last_field:
            parts.append(f"field {field_text(field)}")
        totals = "   ".join(parts)
        canvas.put(max(x + 2, canvas.width - len(totals)), 0, totals, ink(colors.text, bold=True))
