"""The settings of a convolution with their keys, and how the output's size comes about."""

from __future__ import annotations

from cnntui.core.layers import shape_text
from cnntui.labs.convolve import ConvolveState
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, Painted


class SettingsLine(Painted):
    """The settings with their keys, and how the output's size comes about."""

    DEFAULT_CSS = "SettingsLine { height: 2; }"

    def __init__(self, state: ConvolveState) -> None:
        super().__init__()
        self.state = state
        self.speed: int | None = None

    def show(self, state: ConvolveState, speed: int | None) -> None:
        """Show other settings; `speed` in steps a second, None while nothing plays."""
        self.state, self.speed = state, speed
        self.repaint()

    def paint(self, canvas: Canvas) -> None:
        """Two lines."""
        colors, state = self.palette, self.state
        x = 0
        for key, name, value in (
            ("s", "stride", state.stride),
            ("p", "padding", state.padding),
            ("d", "dilation", state.dilation),
            ("o", "operation", state.op),
        ):
            x = canvas.put(x, 0, key, ink(colors.accent, bold=True))
            shown = value if isinstance(value, str) else shape_text(tuple(dict.fromkeys(value)))
            x = canvas.put(x, 0, f" {name} ", ink(colors.dim))
            x = canvas.put(x, 0, f"{shown}   ", ink(colors.text, bold=True))
        playing = f"▶ {self.speed} a second" if self.speed else "❚❚ paused"
        canvas.put(x, 0, playing, ink(colors.accent if self.speed else colors.dim))
        window = state.window
        if window is None:
            return
        rows, columns = window.rows.formula(), window.columns.formula()
        text = f"size {rows}"
        if rows != columns and window.rows.size > 1:
            text = f"rows {rows}   columns {window.columns.outputs}"
        elif rows != columns:
            text = f"columns {columns}"
        canvas.put(0, 1, text, ink(colors.dim))
