"""Pictures made inputs of a net, in numpy: what the trainer does to them on its device, number for number.

Growing, shrinking and the border are linear, rows and columns apart: a matrix for each makes all three at once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from cnntui.core.layers import shape_text
from cnntui.core.windows import Array

if TYPE_CHECKING:
    from cnntui.runs.preparation import Preparation


def prepared(how: Preparation, pictures: Array) -> Array:
    """Pictures (..., C, h, w) of 0..255, uint8 or float -> the net's normalised inputs (..., C, H, W), float64.

    Raises:
        ValueError: when they are not of the data's shape, or it is not known how they are prepared.
    """
    if not how.is_known or how.picture is None:
        raise ValueError("how the pictures become inputs of the net is not known: its run says nothing of its data yet")
    if pictures.shape[-3:] != how.picture or pictures.ndim < 3:
        raise ValueError(f"a picture of {shape_text(pictures.shape)} is not one of {shape_text(how.picture)}")
    if len(how.mean) != how.picture[0] or how.input[0] not in (how.picture[0], 3 if how.picture[0] == 1 else 0):
        raise ValueError(
            f"pictures of {shape_text(how.picture)} with {len(how.mean)} means do not fill {shape_text(how.input)}"
        )
    left, right, top, bottom = how.border
    area = how.area or (None, None)
    rows = resizing(how.picture[1], how.factor, area[0], top, bottom)
    columns = resizing(how.picture[2], how.factor, area[1], left, right)
    resized = rows @ pictures.astype(np.float64) @ columns.T
    mean, deviation = (np.array(values).reshape(-1, 1, 1) for values in (how.mean, how.deviation))
    normal = (resized / 255 - mean) / deviation
    return np.array(np.broadcast_to(normal, (*normal.shape[:-3], *how.input)))


@lru_cache(maxsize=16)
def resizing(cells: int, factor: int, area: int | None, before: int, after: int) -> Array:
    """The matrix that resizes a line of cells: grown `factor` times, averaged down to `area`, zeros on both sides."""
    matrix = _growing(cells, factor)
    if area is not None and area != len(matrix):
        matrix = _averaging(len(matrix), area) @ matrix
    return np.pad(matrix, ((before, after), (0, 0)))


def _growing(cells: int, factor: int) -> Array:
    """Linear interpolation between the centres of cells; beyond the outermost centres their values (no aligned corners)."""
    at = np.clip((np.arange(cells * factor) + 0.5) / factor - 0.5, 0, cells - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells))))


def _averaging(cells: int, area: int) -> Array:
    """The means of stretches from ⌊i·cells/area⌋ to ⌈(i+1)·cells/area⌉: torch's adaptive average."""
    place, cell = np.arange(area)[:, None], np.arange(cells)
    inside = (cell >= place * cells // area) & (cell < -(-(place + 1) * cells // area))
    return np.asarray(inside / inside.sum(1, keepdims=True))
