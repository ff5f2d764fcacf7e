"""Built-in test pictures, and grids read from files: all as (C, H, W) float64."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cnntui.core.windows import Array

MAX_CELLS = 4096 * 4096


class GridError(ValueError):
    """A grid that cannot be read, and why."""


def square(height: int, width: int) -> Array:
    """A filled square in the middle, two cells from the border of a 7×7 grid."""
    grid = np.zeros((1, height, width))
    top, left = round(height * 2 / 7), round(width * 2 / 7)
    grid[:, top : height - top, left : width - left] = 1
    return grid


def checkerboard(height: int, width: int) -> Array:
    """1 and 0 by turns, 1 in the corner."""
    rows, columns = np.indices((height, width))
    return np.asarray((rows + columns + 1) % 2, dtype=float)[None]


def plus(height: int, width: int) -> Array:
    """A plus sign through the middle."""
    grid = np.zeros((1, height, width))
    grid[:, height // 2, 1:-1] = 1
    grid[:, 1:-1, width // 2] = 1
    return grid


def ramp(height: int, width: int) -> Array:
    """1, 2, 3 ... from left to right."""
    return np.broadcast_to(np.arange(1.0, width + 1), (1, height, width)).copy()


def seven(height: int, width: int) -> Array:
    """A hand-drawn 7 in whole grey levels from 0 to 9."""
    from PIL import Image, ImageDraw

    scale = 8
    canvas = Image.new("L", (width * scale, height * scale))
    stroke = [(0.25, 0.27), (0.74, 0.25), (0.70, 0.36), (0.55, 0.60), (0.45, 0.84)]
    points = [(x * width * scale, y * height * scale) for x, y in stroke]
    ImageDraw.Draw(canvas).line(points, fill=255, width=max(1, round(0.1 * min(height, width) * scale)), joint="curve")
    small = np.asarray(canvas.resize((width, height), Image.Resampling.BOX), dtype=float) / 255
    return np.round(small * 9)[None]


PICTURES: dict[str, tuple[Callable[[int, int], Array], int, int]] = {
    "square": (square, 7, 7),
    "checkerboard": (checkerboard, 5, 5),
    "plus": (plus, 7, 7),
    "ramp": (ramp, 1, 5),
    "seven": (seven, 12, 12),
}


def picture(name: str) -> Array:
    """A built-in picture at the size at which it is shown first.

    Raises:
        GridError: when there is none of that name.
    """
    if name not in PICTURES:
        raise GridError(f"no picture is called {name!r}; there are {', '.join(PICTURES)}")
    draw, height, width = PICTURES[name]
    return draw(height, width)


def grid_from_json(text: str, dimensions: tuple[int, ...] = (2, 3)) -> Array:
    """An array from nested lists.

    Raises:
        GridError: when it is not JSON, not rectangular, not numbers, or has the wrong number of dimensions.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise GridError(f"{text[:40]!r} is not written like [[1,2],[3,4]] ({error.msg})") from None
    return as_grid(data, dimensions)


def as_grid(data: Any, dimensions: tuple[int, ...] = (2, 3)) -> Array:
    """Nested lists as an array of finite numbers.

    Raises:
        GridError: as `grid_from_json`.
    """
    try:
        grid = np.array(data, dtype=float)
    except (ValueError, TypeError):
        raise GridError("the rows are not all of one length, or hold something that is not a number") from None
    if grid.ndim not in dimensions or not grid.size:
        wanted = " or ".join({2: "(H,W)", 3: "(C,H,W)", 4: "(O,C,kH,kW)"}[d] for d in dimensions)
        raise GridError(f"shape {grid.shape} is not {wanted}")
    if not np.isfinite(grid).all():
        raise GridError("a value is not finite")
    return grid


def read_grid(path: Path) -> Array:
    """A picture file as grey or colour from 0 to 1, or numbers from .json, .csv, .tsv, .txt or .npy: (C, H, W).

    Raises:
        GridError: with the path and what is wrong.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        grid = _read(path)
    except UnidentifiedImageError:
        raise GridError(f"{path}: no picture that Pillow can read") from None
    except OSError as error:
        raise GridError(f"{path}: {error.strerror or error}") from None
    except (ValueError, Image.DecompressionBombError) as error:
        raise GridError(f"{path}: {error}") from None
    return grid if grid.ndim == 3 else grid[None]


def _read(path: Path) -> Array:
    match path.suffix.lower():
        case ".json":
            return grid_from_json(path.read_text("utf-8"))
        case ".csv":
            return as_grid(np.loadtxt(path, delimiter=",", ndmin=2))
        case ".tsv" | ".txt":
            return as_grid(np.loadtxt(path, ndmin=2))
        case ".npy":
            return as_grid(np.load(path, allow_pickle=False))
    from PIL import Image

    with Image.open(path) as image:
        if image.width * image.height > MAX_CELLS:
            raise GridError(f"{image.width}×{image.height} is more than {MAX_CELLS} pixels")
        if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
            return np.asarray(image, dtype=float) / 65535
        if image.mode == "F":
            return as_grid(np.asarray(image, dtype=float))
        grey = image.mode in ("1", "L", "LA")
        pixels = np.asarray(image.convert("L" if grey else "RGB"), dtype=float) / 255
    return pixels if grey else np.moveaxis(pixels, -1, 0)
