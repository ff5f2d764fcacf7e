"""A picture in half-blocks, in the colour grammar; or in glyphs, where colour is not to be had."""

from __future__ import annotations

import numpy as np

from cnntui.core.shading import glyphs
from cnntui.core.windows import Array
from cnntui.ui.theme import Palette, heat, ink
from cnntui.ui.widgets.painted import Canvas


def put_picture(canvas: Canvas, x: int, y: int, shades: Array, colors: Palette, plain: bool) -> int:
    """Draw (H, W) shades with their corner at (x, y); returns the width in columns."""
    height, width = (int(n) for n in shades.shape)
    if plain:
        for line, text in enumerate(glyphs(shades)):
            canvas.put(x, y + line, "".join(glyph * 2 for glyph in text))
        return 2 * width
    for line in range(0, height, 2):
        for column in range(width):
            upper = heat(int(shades[line, column]), colors)
            lower = heat(int(shades[line + 1, column]), colors) if line + 1 < height else colors.background
            canvas.put(x + column, y + line // 2, "▀", ink(upper, lower))
    return width


def shrinking(shape: tuple[int, ...], tall: int, wide: int | None = None) -> int:
    """By what whole factor a picture (H, W) is made smaller to be at most `tall` high and `wide` wide."""
    return max(1, -(-shape[0] // tall), -(-shape[1] // wide) if wide else 1)


def shrink(shades: Array, factor: int) -> Array:
    """The average of whole blocks, the border repeated where the last block is not full.

    Shades about 128 average like values about zero.
    """
    if factor <= 1:
        return shades
    missing = [(0, -size % factor) for size in shades.shape]
    whole = np.pad(shades, missing, mode="edge")
    blocks = whole.reshape(whole.shape[0] // factor, factor, whole.shape[1] // factor, factor)
    return np.asarray(blocks.mean((1, 3)).round(), dtype=np.uint8)
