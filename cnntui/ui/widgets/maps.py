"""Maps in half-blocks, or in glyphs, as large as there is room for: one way of drawing them for every level of Explore."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from textual.color import Color

from cnntui.core.arithmetic import MINUS, number
from cnntui.core.shading import glyphs, shade
from cnntui.core.windows import Array
from cnntui.ui.theme import Palette, heat, ink
from cnntui.ui.widgets.painted import Canvas
from cnntui.ui.widgets.picture import shrink
from cnntui.ui.widgets.picture_view import Scale

Place = tuple[int, int]
UNSEEN = 0.45  # how much of a colour is left beside what is seen
STRIP = 10  # numbers of a vector beside each other
MOST_HIDDEN = 1 / 3  # of what is beside the seen cells, by their frame


@dataclass(frozen=True)
class Marked:
    """What stands out in a map: the cell looked at, and the cells that count; the others are drawn darker if it `dims`."""

    cursor: Place | None = None
    seen: Collection[Place] | None = field(default=None, compare=False)
    dims: bool = True


PLAIN = Marked()


def room_of(wide: int, tall: int, plain: bool) -> Place:
    """Pixels (across, down) that have room in so many columns and lines."""
    return (wide // 2, tall) if plain else (wide, tall * 2)


def as_map(values: Array) -> Array:
    """A map as it is; a vector, or a single number, in rows."""
    if values.ndim == 2:
        return values
    flat = values.reshape(-1)
    across = min(len(flat), STRIP)
    missing = -len(flat) % across
    return np.pad(flat, (0, missing), constant_values=np.nan).reshape(-1, across)


def extent(shape: tuple[int, ...], wide: int, tall: int, plain: bool) -> Place:
    """Columns and lines that a map (H, W) takes there."""
    scale = Scale.of(shape, *(max(1, n) for n in room_of(wide, tall, plain)))
    height, width = (-(-n // scale.factor) * scale.zoom for n in shape)
    return (2 * width, height) if plain else (width, -(-height // 2))


def put_map(
    canvas: Canvas,
    x: int,
    y: int,
    values: Array,
    scale: float,
    wide: int,
    tall: int,
    colors: Palette,
    plain: bool,
    marked: Marked = PLAIN,
) -> Place:
    """Draw a map (H, W) with its corner at column x of line y, in at most so many columns and lines.

    `scale` is the magnitude of full colour. Returns the columns and lines that it took.
    """
    fit = Scale.of(values.shape, *(max(1, n) for n in room_of(wide, tall, plain)))
    shades = shrink(shade(values, scale), fit.factor)
    seen = None if marked.seen is None else {(r // fit.factor, c // fit.factor) for r, c in marked.seen}
    at = None if marked.cursor is None else (marked.cursor[0] // fit.factor, marked.cursor[1] // fit.factor)
    if plain:
        return _put_glyphs(canvas, x, y, shades, fit, colors, at, seen)
    height, width = (n * fit.zoom for n in shades.shape)
    frame = _frame(shades.shape, fit.zoom, seen) if seen else None
    dims = marked.dims or (bool(seen) and frame is None)

    def color(row: int, column: int) -> str:
        if row >= height:
            return colors.background
        place = row // fit.zoom, column // fit.zoom
        if place == at:
            return colors.accent
        found = heat(int(shades[place]), colors)
        return found if seen is None or not dims or place in seen else _dimmed(found, colors)

    for line in range(0, height, 2):
        for column in range(width):
            canvas.put(x + column, y + line // 2, "▀", ink(color(line, column), color(line + 1, column)))
    if frame:
        _put_frame(canvas, x, y, (height, width), frame, colors)
    return width, -(-height // 2)


@lru_cache(maxsize=1024)
def _dimmed(color: str, colors: Palette) -> str:
    if colors.weak:  # darker ones would be grey
        return color
    return Color.parse(colors.background).blend(Color.parse(color), UNSEEN).hex6


def _put_glyphs(
    canvas: Canvas,
    x: int,
    y: int,
    shades: Array,
    fit: Scale,
    colors: Palette,
    at: Place | None,
    seen: Collection[Place] | None,
) -> Place:
    """Two glyphs a cell; what is not seen one, and the cell looked at in brackets."""
    height, width = shades.shape
    for row, text in enumerate(glyphs(shades)):
        for column, glyph in enumerate(text):
            place = (row, column)
            pair = glyph * 2 if seen is None or place in seen else f"{glyph} "
            if seen is not None and place in seen and glyph == " ":
                pair = "··"  # nothing, but it counts
            style = ink(colors.accent, bold=True) if place == at else None
            for down in range(fit.zoom):
                for across in range(fit.zoom):
                    canvas.put(
                        x + 2 * (column * fit.zoom + across),
                        y + row * fit.zoom + down,
                        "[]" if place == at else pair,
                        style,
                    )
    return 2 * width * fit.zoom, height * fit.zoom


def _frame(shape: tuple[int, ...], zoom: int, seen: Collection[Place]) -> tuple[int, int, int, int] | None:
    """The pixels (top, left, bottom, right) just around what is seen; None: nothing is there, or would be hidden."""
    cells = [(r, c) for r, c in seen if 0 <= r < shape[0] and 0 <= c < shape[1]]
    if not cells or len(cells) == shape[0] * shape[1]:
        return None
    top, left = (min(each) * zoom - 1 for each in zip(*cells, strict=True))
    bottom, right = ((max(each) + 1) * zoom for each in zip(*cells, strict=True))
    around = 2 * (bottom - top + right - left)
    beside = (shape[0] * shape[1] - len(cells)) * zoom * zoom
    return (top, left, bottom, right) if around <= MOST_HIDDEN * beside else None


def _put_frame(canvas: Canvas, x: int, y: int, size: Place, frame: tuple[int, int, int, int], colors: Palette) -> None:
    """A line of accent pixels around what is seen, where the map (lines, columns of pixels) goes on."""
    (height, width), (top, left, bottom, right) = size, frame
    for row in range(max(0, top), min(bottom, height - 1) + 1):
        for column in range(max(0, left), min(right, width - 1) + 1):
            if row in (top, bottom) or column in (left, right):
                glyph, style = canvas.rows[y + row // 2][x + column] if y + row // 2 < canvas.height else (" ", None)
                if style is None or glyph != "▀":
                    continue
                upper, lower = style.color, style.bgcolor
                names = [upper.name if upper else None, lower.name if lower else None]
                names[row % 2] = colors.accent
                canvas.put(x + column, y + row // 2, "▀", ink(names[0], names[1]))


def scale_text(scale: float, decimals: int = 2) -> str:
    """The one scale of what is drawn, in few columns: ±1.32."""
    if scale >= 1000 or scale < 0.1:
        return f"±{scale:.0e}".replace("e-0", "e-").replace("e+0", "e").replace("-", MINUS)
    return f"±{number(scale, decimals if scale < 10 else decimals - 1 if scale < 100 else 0)}"


def put_scale_text(canvas: Canvas, x: int, y: int, scale: float, colors: Palette) -> int:
    """The same, written."""
    return canvas.put(x, y, scale_text(scale), ink(colors.dim))
