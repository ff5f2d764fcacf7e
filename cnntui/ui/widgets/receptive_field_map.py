"""The input picture, and on it what one unit sees."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from textual.binding import Binding
from textual.color import Color
from textual.message import Message

from cnntui.core.images import seven
from cnntui.core.layers import shape_text
from cnntui.core.receptive_field import pixels_text
from cnntui.core.shading import ZERO, shade
from cnntui.core.sight import Indices, Sight
from cnntui.core.windows import Array
from cnntui.labs.build import BuildState
from cnntui.ui.theme import heat, ink
from cnntui.ui.widgets.painted import Canvas, PaintedState

FAST = 8
UNSEEN, AROUND, SEEN = 0, 1, 2


class ReceptiveFieldMap(PaintedState[BuildState]):
    """Half-blocks, two pixels a character. What is seen has the accent behind it, the rest of its hull a little of it."""

    DEFAULT_CSS = """
    ReceptiveFieldMap { width: 1fr; height: 1fr; }
    ReceptiveFieldMap:focus { background-tint: $foreground 4%; }
    """

    BINDINGS = [
        *(
            Binding(f"{modifier}{key}", f"look({down * step}, {right * step})", "Another unit", show=False)
            for modifier, step in (("", 1), ("shift+", FAST))
            for key, down, right in (("up", -1, 0), ("down", 1, 0), ("left", 0, -1), ("right", 0, 1))
        ),
    ]

    can_focus = True

    class Look(Message):
        """From a unit further down or right."""

        def __init__(self, down: int, right: int) -> None:
            super().__init__()
            self.down, self.right = down, right

    def on_focus(self) -> None:
        """The arrows are its own now."""
        self.repaint()

    def on_blur(self) -> None:
        """No longer."""
        self.repaint()

    def action_look(self, down: int, right: int) -> None:
        """Ask for another unit."""
        self.post_message(self.Look(down, right))

    def paint(self, canvas: Canvas) -> None:
        """Two lines that say what is seen, then the picture."""
        state, colors = self.state, self.palette
        row, unit = state.row, state.looking_from
        _, height, width = state.network.input
        if row is None or row.output is None:
            canvas.put(0, 0, "no unit to look from", ink(colors.dim))
            return
        sight = state.sight
        if unit is None or sight is None:
            text = f"{row.node.name} sees the whole image"
            canvas.put(0, 0, text if len(text) <= canvas.width else "it sees the whole image", ink(colors.text))
        else:
            seen = shape_text((len(sight.rows), len(sight.columns)))
            text = f"unit {unit[0]},{unit[1]} of {row.node.name} sees {seen}"
            canvas.put(0, 0, text if len(text) <= canvas.width else text.removeprefix("unit "), ink(colors.text))
            canvas.put(0, 1, self._about(sight), ink(colors.dim))
        self._paint_picture(canvas, height, width, sight)

    def _about(self, sight: Sight) -> str:
        """What the field says beyond its size."""
        row = self.state.row
        if row is None or row.field is None:
            return ""
        rows, columns = sight.hull
        parts = []
        if sight.gaps:
            parts.append(f"with gaps, in {len(rows)}×{len(columns)}")
        elif (len(rows), len(columns)) != (row.field[0].size, row.field[1].size):
            parts.append(f"of {pixels_text(row.field[0].size)}×{pixels_text(row.field[1].size)}, cut at the border")
        if row.gated:
            parts.append("a gate sees all")
        if not all(axis.aligned for axis in row.field):
            parts.append("unaligned")
        return ", ".join(parts) or f"jump {row.field[0].jump:.3g}, σ {row.field[0].deviation:.2g} untrained"

    def _paint_picture(self, canvas: Canvas, height: int, width: int, sight: Sight | None) -> None:
        scale = max(1, -(-width // max(1, canvas.width)), -(-height // max(1, 2 * (canvas.height - 4))))
        tall, wide = max(1, -(-height // scale)), max(1, -(-width // scale))
        shades = shade(seven(tall, wide)[0], 9.0)
        seen = _seen(sight, tall, wide, scale)
        for y in range(0, tall, 2):
            for x in range(wide):
                if self.app.no_color:
                    canvas.put(x, 2 + y // 2, _glyph(int(seen[y, x]), bool(shades[y, x] != ZERO)))
                    continue
                upper = self._color(int(shades[y, x]), int(seen[y, x]))
                lower = self.palette.background
                if y + 1 < tall:
                    lower = self._color(int(shades[y + 1, x]), int(seen[y + 1, x]))
                canvas.put(x, 2 + y // 2, "▀", ink(upper, lower))
        note = shape_text((height, width)) + (f", {scale} pixels a dot" if scale > 1 else " input")
        canvas.put(0, 2 + (tall + 1) // 2, note, ink(self.palette.dim))
        if sight is not None:
            how = "← ↑ ↓ → move it, esc back" if self.has_focus else "tab, arrows: another unit"
            color = self.palette.accent if self.has_focus else self.palette.dim
            canvas.put(0, 3 + (tall + 1) // 2, how, ink(color))

    def _color(self, shown: int, seen: int) -> str:
        """Orange for the picture; accent behind it where it is seen, a dim ground where not."""
        colors = self.palette
        drawn = shown > ZERO + 24
        if seen == SEEN:
            return heat(shown, colors) if drawn else _blend(colors.background, colors.accent, 0.55)
        if seen == AROUND:
            return (
                _blend(colors.background, colors.positive, 0.6)
                if drawn
                else _blend(colors.background, colors.accent, 0.25)
            )
        return (
            _blend(colors.background, colors.positive, 0.35) if drawn else _blend(colors.background, colors.dim, 0.25)
        )


def _glyph(seen: int, drawn: bool) -> str:
    return {UNSEEN: ".o", AROUND: "-+", SEEN: "#@"}[seen][drawn]


def _seen(sight: Sight | None, tall: int, wide: int, scale: int) -> Array:
    """For each dot whether a pixel of it is seen, or only lies within the hull."""
    if sight is None:
        return np.full((tall, wide), SEEN)
    seen = np.full((tall, wide), UNSEEN)
    rows, columns = sight.hull
    seen[np.ix_(_dots(frozenset(rows), tall, scale), _dots(frozenset(columns), wide, scale))] = AROUND
    for box in sight.boxes:
        seen[np.ix_(_dots(box[0], tall, scale), _dots(box[1], wide, scale))] = SEEN
    return seen


def _dots(pixels: Indices, count: int, scale: int) -> Array:
    """Which of `count` dots hold one of the pixels."""
    return np.isin(np.arange(count), [pixel // scale for pixel in pixels])


@lru_cache(maxsize=64)
def _blend(color: str, towards: str, share: float) -> str:
    return Color.parse(color).blend(Color.parse(towards), share).hex6
