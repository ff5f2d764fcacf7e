"""Digits as they are printed: drawn with the font that is inside Pillow, each a little otherwise. They need no file."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from cnntui.core.windows import Array
from cnntui.training.data.sets import DataError, DataSet

TRAIN, TEST = 4_000, 800
SIDE = 8
FINE = 4  # pixels to a pixel, along a side: averaged in the end, as those of scikit-learn's scans were
GLYPH = 64  # the side of the square that a digit is drawn in at first
FONT_SIZE = 44.0
STROKES = 3  # bolder by less than so many pixels of that square
CORNERS = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)]) * (GLYPH / 2)
INK = [0] * 128 + [255] * 128  # which of the 256 levels a digit is measured by
NOISE = 8.0  # levels
SEED = 20_240_229


def printed() -> DataSet:
    """4,000 printed digits of 8×8 to train and 800 to test, each class alike; levels 0..255, light on dark.

    Each is made bolder, turned, slanted, bent and stretched by amounts of its own, and fills its square as a scan does. All
    comes from one seed: the same Pillow always draws the same, another may draw its font a little otherwise.

    Raises:
        DataError: when Pillow cannot draw letters of any size.
    """
    luck = np.random.default_rng(SEED)
    labels = np.concatenate([luck.permutation(np.arange(count) % 10) for count in (TRAIN, TEST)])
    drawn = np.stack([_drawn(int(label), luck) for label in labels])
    noisy = drawn + luck.normal(0, NOISE, drawn.shape) * (drawn > 0)
    images = torch.from_numpy(noisy.round().clip(0, 255).astype(np.uint8)[:, None])
    known = torch.from_numpy(labels.astype(np.int64))
    classes = tuple("0123456789")
    return DataSet("printed", images[:TRAIN], known[:TRAIN], images[TRAIN:], known[TRAIN:], classes)


def _drawn(digit: int, luck: np.random.Generator) -> Array:
    """One of them, (8, 8), 0..255."""
    angle, slant = luck.normal(0, 0.15), luck.normal(0, 0.25)  # radians; sideways, as a part of the height
    turned = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    corners = CORNERS @ np.array([(1, 0), (slant, 1)]) @ turned + luck.normal(0, 7, (4, 2)) + GLYPH / 2
    glyph = _glyph(digit, int(luck.integers(STROKES)))
    bent = glyph.transform((GLYPH, GLYPH), Image.Transform.QUAD, corners.ravel().tolist(), Image.Resampling.BILINEAR)
    left, top, right, bottom = bent.point(INK).getbbox() or (0, 0, GLYPH, GLYPH)
    full = SIDE * FINE
    height = full - int(luck.integers(3))
    width = min(full, max(FINE, round((right - left) / (bottom - top) * height * luck.uniform(0.7, 1.1))))
    place = (full - width) // 2 + int(luck.integers(-2, 3)), int(luck.integers(full - height + 1))
    fine = Image.new("L", (full, full))
    fine.paste(bent.resize((width, height), Image.Resampling.BILINEAR, (left, top, right, bottom)), place)
    return np.asarray(np.asarray(fine, float).reshape(SIDE, FINE, SIDE, FINE).mean((1, 3)))


@cache
def _glyph(digit: int, stroke: int) -> Image.Image:
    """A digit as the font has it, in the middle of a dark square."""
    font = ImageFont.load_default(size=FONT_SIZE)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise DataError("the printed digits need Pillow with FreeType: pip install --force-reinstall pillow")
    image = Image.new("L", (GLYPH, GLYPH))
    ImageDraw.Draw(image).text((GLYPH / 2, GLYPH / 2), str(digit), 255, font, anchor="mm", stroke_width=stroke)
    return image
