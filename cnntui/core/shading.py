"""Values as shades about a fixed zero: 128 is zero everywhere, below it negative, above it positive."""

from __future__ import annotations

import numpy as np

from cnntui.core.windows import Array

ZERO = 128
RAISED = " .:+*#@"  # from zero up
LOWERED = " ,;~=%&"  # from zero down: other glyphs, so that the sign survives without colour


def scale_of(values: Array) -> float:
    """The largest magnitude that is finite; 1 where there is none but zero."""
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if finite.size else 0.0
    return largest or 1.0


def shade(values: Array, scale: float) -> Array:
    """uint8 shades of `values`, ±`scale` being 128 ± 127; what is not finite becomes zero."""
    clean = np.nan_to_num(values, nan=0.0, posinf=scale, neginf=-scale)
    return np.asarray(np.round(np.clip(clean / scale, -1, 1) * 127) + ZERO, dtype=np.uint8)


def glyphs(shades: Array) -> list[str]:
    """(H, W) shades as rows of text, one glyph a cell: `. : + * # @` rise from zero, `, ; ~ = % &` fall from it."""
    steps = len(RAISED) - 1
    levels = np.round((shades.astype(int) - ZERO) / 127 * steps).astype(int).clip(-steps, steps)
    return ["".join(RAISED[level] if level >= 0 else LOWERED[-level] for level in row) for row in levels]
