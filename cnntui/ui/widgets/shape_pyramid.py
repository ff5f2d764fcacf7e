"""The maps of a network from first to last, drawn to scale: width for width, darker for more channels."""

from __future__ import annotations

from math import log2

from cnntui.core.layers import Shape, shape_text
from cnntui.labs.build import BuildState
from cnntui.labs.outline import stages
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, PaintedState

SHADES = "░▒▓█"


class ShapePyramid(PaintedState[BuildState]):
    """One bar a shape, the selected layer's in the accent."""

    DEFAULT_CSS = "ShapePyramid { width: 1fr; height: 1fr; }"

    def paint(self, canvas: Canvas) -> None:
        """Title, bars, and what the scale is."""
        colors, state = self.palette, self.state
        canvas.put(0, 0, "the maps, to scale", ink(colors.text))
        found = stages(state.analysis, state.lines)
        room = max(1, canvas.height - 4)
        chosen = next((i for i, s in enumerate(found) if s.first <= state.selected <= s.last), len(found) - 1)
        start = max(0, min(chosen - room // 2, len(found) - room))
        shown = found[start : start + room]
        label = max(len(shape_text(stage.shape)) for stage in shown)
        width = max(4, canvas.width - label - 2)
        widest = max(stage.shape[2] for stage in found if len(stage.shape) == 3)
        deepest = max(stage.shape[0] for stage in found if len(stage.shape) == 3)
        for y, stage in enumerate(shown, start=2):
            here = found[chosen] is stage
            name = shape_text(stage.shape)
            canvas.put(label - len(name), y, name, ink(colors.accent if here else colors.text, bold=here))
            bar, glyph = self._bar(stage.shape, width, widest, deepest)
            x = label + 2 + (width - bar) // 2
            canvas.put(x, y, glyph * bar, ink(colors.accent if here else colors.negative))
        canvas.put(0, canvas.height - 1, f"darker: more channels, █ {deepest:,}", ink(colors.dim))

    @staticmethod
    def _bar(shape: Shape, width: int, widest: int, deepest: int) -> tuple[int, str]:
        """Columns, and a glyph for the channels; a vector is a thin line."""
        if len(shape) != 3:
            return 1, "│"
        depth = log2(shape[0] + 1) / log2(deepest + 1)
        return max(1, round(shape[2] / widest * width)), SHADES[min(3, int(depth * 4))]
