"""What if: the selected layer's job done otherwise, as numbers and bars."""

from __future__ import annotations

from math import log

from cnntui.labs.build import BuildState
from cnntui.labs.columns import in_short
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, PaintedState


class WaysPanel(PaintedState[BuildState]):
    """One way a pair of lines: its name and parameters, a bar and its MACs."""

    DEFAULT_CSS = "WaysPanel { width: 1fr; height: 1fr; }"

    hidden: frozenset[str] = frozenset()  # actions whose keys are not told

    def paint(self, canvas: Canvas) -> None:
        """The ways, the present one in the accent."""
        colors, state = self.palette, self.state
        found, able = state.ways, state.other_ways
        row = state.row
        if not found or row is None:
            for y, words in enumerate(
                ("what if: select a conv,", "or a linear, gap or flatten", "where maps become a vector")
            ):
                canvas.put(0, y, words, ink(colors.dim))
            return
        canvas.put(0, 0, f"what if: the job of {row.node.name}", ink(colors.text))
        canvas.put(0, 1, "parameters, log bars; MACs", ink(colors.dim))
        most, keys = max(way.params for way in found), not state.fixes and "take" not in self.hidden
        y = 3
        for way in found:
            now = way.layers and way not in able
            style = ink(colors.accent, bold=True) if now else ink(colors.text)
            number = f"{able.index(way) + 1}" if way in able and keys else ""
            canvas.put(0, y, number, ink(colors.accent, bold=True))
            title = canvas.put(2, y, way.title, style)
            macs = in_short(way.macs)
            canvas.put(max(title + 1, canvas.width - len(macs)), y, macs, ink(colors.dim))
            params = f"{way.params:,}"
            room = canvas.width - 3 - len(f"{most:,}")
            bar = round(log(way.params + 1) / log(most + 2) * room)
            canvas.put(2, y + 1, "━" * max(bar, 1), ink(colors.accent if now else colors.negative))
            canvas.put(canvas.width - len(params), y + 1, params, style)
            y += 2
        if able and keys:  # else the numbers are those of the fixes
            canvas.put(0, y + 1, f"{'1' if len(able) == 1 else f'1 to {len(able)}'} takes it instead", ink(colors.dim))
