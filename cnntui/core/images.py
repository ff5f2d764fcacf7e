"""Built-in test pictures, and grids read from files: all as (C, H, W) float64."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cnntui.core.arithmetic import MINUS
from cnntui.core.npy import read_npy
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


def rings(height: int, width: int) -> Array:
    """A zone plate: rings that get finer outwards, from 0 to 9, so that every frequency and direction occurs."""
    rows, columns = np.indices((height, width)) + 0.5
    squared = ((rows / height - 0.5) ** 2 + (columns / width - 0.5) ** 2) * 2
    finest = min(height, width) / 4  # periods from the centre to the border: four cells a period there
    return np.asarray(np.round(4.5 + 4.5 * np.cos(2 * np.pi * finest * squared)))[None]


def house(height: int, width: int) -> Array:
    """A house, a tree and a sun in grey levels from 0 to 1: edges of every direction, a texture, flat ground."""
    from PIL import Image, ImageDraw

    scale = 4
    tall, wide = height * scale, width * scale
    canvas = Image.new("L", (wide, tall), 150)
    draw = ImageDraw.Draw(canvas)

    def at(*points: float) -> list[tuple[float, float]]:
        return [(x * wide, y * tall) for x, y in zip(points[::2], points[1::2], strict=True)]

    draw.rectangle(at(0, 0.78, 1, 1), fill=70)
    draw.ellipse(at(0.72, 0.06, 0.92, 0.26), fill=250)
    draw.rectangle(at(0.16, 0.46, 0.58, 0.84), fill=210)
    for brick in range(6):
        y = 0.48 + 0.06 * brick
        draw.line(at(0.16, y, 0.58, y), fill=175, width=scale)
    draw.polygon(at(0.1, 0.47, 0.37, 0.18, 0.64, 0.47), fill=40)
    draw.rectangle(at(0.24, 0.56, 0.34, 0.68), fill=20)
    draw.rectangle(at(0.43, 0.6, 0.53, 0.84), fill=95)
    draw.rectangle(at(0.78, 0.58, 0.83, 0.84), fill=60)
    draw.ellipse(at(0.68, 0.34, 0.93, 0.64), fill=105)
    small = np.asarray(canvas.resize((width, height), Image.Resampling.BOX), dtype=float)
    return np.round(small / 255, 2)[None]


PICTURES: dict[str, tuple[Callable[[int, int], Array], int, int]] = {
    "square": (square, 7, 7),
    "checkerboard": (checkerboard, 5, 5),
    "plus": (plus, 7, 7),
    "ramp": (ramp, 1, 5),
    "seven": (seven, 12, 12),
    "rings": (rings, 32, 32),
    "house": (house, 96, 96),
}


def picture(name: str, size: tuple[int, int] | None = None) -> Array:
    """A built-in picture, at the size at which it is shown first or another (height, width).

    Raises:
        GridError: when there is none of that name.
    """
    if name not in PICTURES:
        raise GridError(f"no picture is called {name!r}; there are {', '.join(PICTURES)}")
    draw, height, width = PICTURES[name]
    return draw(*(size or (height, width)))


def grid_from_json(text: str, dimensions: tuple[int, ...] = (2, 3)) -> Array:
    """An array from nested lists.

    Raises:
        GridError: when it is not JSON, not rectangular, not numbers, or has the wrong number of dimensions.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise GridError(f"{text[:40]!r} is not written like [[1,2],[3,4]] ({error.msg})") from None
    except (RecursionError, ValueError):
        raise GridError(f"{text[:40]!r} is not written like [[1,2],[3,4]]") from None
    return as_grid(data, dimensions)


def grid_from_text(text: str) -> Array:
    """A block of numbers as it is copied out of a spreadsheet, a terminal or a notebook: CSV, TSV, NumPy text, lists.

    Raises:
        GridError: naming the line and the word that is not a number, or the rows that differ in length.
    """
    # array([[1., 2.],\n       [3., 4.]]) and tensor(...) are rows in brackets; so is JSON.
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # a terminal pastes its line ends as \r
    bare = re.sub(r"(?:np\.|torch\.)?(?:array|tensor)\(|,?\s*dtype=[\w.]+|\)", "", text)
    if "[[[" in re.sub(r"\s", "", bare):
        raise GridError("three levels of brackets: one channel at a time")
    lines = re.split(r"\]" if "[" in bare else r"[\n;]+", bare)
    rows: list[list[float]] = []
    for line in lines:
        if "[" in bare:  # what parts two rows is not a missing number
            line = line.replace("[", " ").replace("\n", " ").strip(" ,")
        line = line.replace(MINUS, "-").strip(" ").removesuffix(",")
        # Between commas or tabs there is a number, or one is missing; else blanks part them.
        parting = r" *[,\t] *" if re.search(r"[,\t]", line) else r" +"
        if line.strip():
            rows.append([_number(word, len(rows) + 1) for word in re.split(parting, line)])
    if not rows:
        raise GridError("there is no number in it")
    for line_number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise GridError(f"row {line_number} has {len(row)} numbers, but row 1 has {len(rows[0])}")
    return as_grid(rows, (2,))


def _number(word: str, row: int) -> float:
    if not word:
        raise GridError(f"row {row}: a number is missing")
    try:
        return float(Fraction(word)) if "/" in word else float(word)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise GridError(f"row {row}: {word[:20]!r} is not a number") from None


def as_grid(data: Any, dimensions: tuple[int, ...] = (2, 3)) -> Array:
    """Nested lists as an array of finite numbers.

    Raises:
        GridError: as `grid_from_json`.
    """
    try:
        given = np.array(data)
        if given.dtype.kind not in "fiu":
            raise ValueError
        grid = given.astype(float)
    except (ValueError, TypeError, OverflowError):
        raise GridError("the rows are not all of one length, or hold something that is not a number") from None
    if grid.ndim not in dimensions or not grid.size:
        wanted = " or ".join({2: "(H,W)", 3: "(C,H,W)", 4: "(O,C,kH,kW)"}[d] for d in dimensions)
        raise GridError(f"shape {grid.shape} is not {wanted}")
    if not np.isfinite(grid).all():
        raise GridError("a value is not finite")
    return grid


def read_grid(path: Path, most: int | None = None) -> Array:
    """A picture file as grey or colour from 0 to 1, or numbers from .json, .csv, .tsv, .txt or .npy: (C, H, W).

    A picture with a side longer than `most` is made smaller.

    Raises:
        GridError: with the path and what is wrong.
    """
    from PIL import UnidentifiedImageError

    try:
        grid = _read(path, most)
    except UnidentifiedImageError:
        raise GridError(f"{path}: no picture that Pillow can read") from None
    except OSError as error:
        raise GridError(f"{path}: {error.strerror or error}") from None
    except GridError as error:
        raise GridError(f"{path}: {error}") from None
    except Exception as error:  # a broken file makes a decoder raise anything at all
        raise GridError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    return grid if grid.ndim == 3 else grid[None]


def _read(path: Path, most: int | None) -> Array:
    match path.suffix.lower():
        case ".json":
            return grid_from_json(path.read_text("utf-8"))
        case ".csv" | ".tsv" | ".txt":
            return grid_from_text(path.read_text("utf-8"))
        case ".npy":
            return as_grid(read_npy(path))
    from PIL import Image

    with Image.open(path) as opened:
        image: Image.Image = opened
        if image.width * image.height > MAX_CELLS:
            raise GridError(f"{image.width}×{image.height} is more than {MAX_CELLS} pixels")
        if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
            return np.asarray(image, dtype=float) / 65535
        if image.mode == "F":
            return as_grid(np.asarray(image, dtype=float))
        if most and max(image.size) > most:
            image = image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
            image.thumbnail((most, most))
        grey = image.mode in ("1", "L", "LA")
        pixels = np.asarray(image.convert("L" if grey else "RGB"), dtype=float) / 255
    return pixels if grey else np.moveaxis(pixels, -1, 0)
