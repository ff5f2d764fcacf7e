"""A net's name and totals, and how far it is from its goal."""

from __future__ import annotations

from cnntui.core.layers import shape_text
from cnntui.core.receptive_field import field_text
from cnntui.labs.build import BuildState
from cnntui.labs.columns import in_short
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, PaintedState


class Totals(PaintedState[BuildState]):
    """Name, input, parameters, MACs and the receptive field of the last map; below, the goal where there is one."""

    DEFAULT_CSS = """
    Totals { height: 1; margin: 0 1; }
    Totals.-goal { height: 2; }
    """

    def show(self, state: BuildState) -> None:
        """A goal needs a line of its own."""
        self.set_class(state.goal is not None, "-goal")
        super().show(state)

    def paint(self, canvas: Canvas) -> None:
        """One line, or two."""
        colors, analysis = self.palette, self.state.analysis
        network = analysis.network
        x = canvas.put(0, 0, network.name, ink(colors.accent, bold=True))
        x = canvas.put(x, 0, f" · {shape_text(network.input)}", ink(colors.dim))
        field = [f"field {field_text(analysis.last_field)}"] if analysis.last_field else []
        whole = [f"{analysis.params:,} parameters", f"{analysis.macs:,} MACs", *field]
        short = [f"{in_short(analysis.params)} parameters", f"{in_short(analysis.macs)} MACs", *field]
        for parts in (whole, short, short[:1]):
            totals = "   ".join(parts)
            if x + 2 + len(totals) <= canvas.width:
                break
        canvas.put(max(x + 2, canvas.width - len(totals)), 0, totals, ink(colors.text, bold=True))
        if self.state.goal:
            x = canvas.put(0, 1, "goal  ", ink(colors.dim))
            for condition in self.state.goal.conditions:
                reached, actual = condition.reached(analysis)
                mark, color = ("✓", colors.negative) if reached else ("✗", colors.error)
                x = canvas.put(x, 1, f"{mark} {condition.text()}", ink(color, bold=not reached))
                x = canvas.put(x, 1, f" · {actual}   ", ink(colors.dim))
