"""The input picture, and on it what one unit sees."""

from __future__ import annotations

import numpy as np

from cnntui.core.images import seven
from cnntui.core.layers import shape_text
from cnntui.core.shading import ZERO, shade
from cnntui.core.windows import Array
from cnntui.labs.build import BuildState
from cnntui.ui.theme import heat, ink
from cnntui.ui.widgets.painted import Canvas, PaintedState


class ReceptiveFieldMap(PaintedState[BuildState]):
    """Half-blocks, two pixels a character; seen pixels are framed by the accent, the others step back."""

    DEFAULT_CSS = "ReceptiveFieldMap { width: 1fr; height: 1fr; }"

    def paint(self, canvas: Canvas) -> None:
        """A line that says what is seen, then the picture."""
        state, colors = self.state, self.palette
        row = state.row
        _, height, width = state.network.input
        if row is None or row.output is None:
            canvas.put(0, 0, "no unit to look from", ink(colors.dim))
            return
        sight = state.sight
        rows, columns = sight or (None, None)
        if sight is None:
            text = f"{row.node.name} sees the whole image"
        else:
            _, out_height, out_width = row.output
            unit = f"{out_height // 2},{out_width // 2}"
            text = f"unit {unit} of {row.node.name} sees {shape_text((len(sight[0]), len(sight[1])))}"
        canvas.put(0, 0, text, ink(colors.text))
        self._paint_picture(canvas, height, width, rows, columns)

    def _paint_picture(
        self, canvas: Canvas, height: int, width: int, rows: frozenset[int] | None, columns: frozenset[int] | None
    ) -> None:
        colors = self.palette
        scale = max(1, -(-width // max(1, canvas.width)), -(-height // max(1, 2 * (canvas.height - 2))))
        tall, wide = max(1, height // scale), max(1, width // scale)
        shades = shade(seven(tall, wide)[0], 9.0)
        seen_rows, seen_columns = _dots(rows, tall, scale), _dots(columns, wide, scale)
        for y in range(0, tall, 2):
            for x in range(wide):
                upper = self._color(int(shades[y, x]), bool(seen_rows[y] and seen_columns[x]))
                lower = colors.background
                if y + 1 < tall:
                    lower = self._color(int(shades[y + 1, x]), bool(seen_rows[y + 1] and seen_columns[x]))
                if self.app.no_color:
                    glyph = "#" if seen_rows[y] and seen_columns[x] else "."
                    canvas.put(
                        x, 2 + y // 2, glyph if shades[y, x] == ZERO else glyph.replace(".", "o").replace("#", "@")
                    )
                else:
                    canvas.put(x, 2 + y // 2, "▀", ink(upper, lower))
        note = f"{shape_text((height, width))} input" + (f", {scale} pixels a dot" if scale > 1 else "")
        canvas.put(0, 2 + (tall + 1) // 2, note, ink(colors.dim))

    def _color(self, shown: int, seen: bool) -> str:
        """Orange for the picture; accent behind it where it is seen, a dim ground where not."""
        colors = self.palette
        if seen:
            return heat(shown, colors) if shown > ZERO + 24 else _blend(colors.background, colors.accent, 0.55)
        return (
            _blend(colors.background, colors.positive, 0.35)
            if shown > ZERO + 24
            else _blend(colors.background, colors.dim, 0.25)
        )


def _dots(pixels: frozenset[int] | None, count: int, scale: int) -> Array:
    """Which of `count` dots hold one of the pixels; all of them for None."""
    dots = np.ones(count, dtype=bool)
    return dots if pixels is None else np.isin(np.arange(count), [pixel // scale for pixel in pixels])


def _blend(color: str, towards: str, share: float) -> str:
    from textual.color import Color

    return Color.parse(color).blend(Color.parse(towards), share).hex6
