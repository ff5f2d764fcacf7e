"""The pad: a picture that is drawn by hand, and what else is done to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cnntui.core.windows import Array
from cnntui.labs.history import History

Point = tuple[float, float]  # row, column: whole numbers are the middles of pixels
Background = float | Sequence[float]

FULL = 255.0
BRUSHES = range(1, 5)
USUAL_BRUSH = 3  # of a picture of 28 pixels
USUAL_SIDE = 28
# Tuned so that digits drawn with brush 3 have MNIST's share of ink, of pixels touched and of pixels full, and its width.
RADIUS = 0.47  # pixels to where it covers half, for each size
SOFT = 1.25  # pixels over which it falls off from full to nothing
NOISE = 32.0  # of 255: seen well, and a digit is still read
TURN = 15.0


# -- what is done to a picture (C, h, w), as functions


def by_channel(background: Background, channels: int) -> Array:
    """One value, or one a channel, as (C, 1, 1).

    Raises:
        ValueError: when there are neither one nor C.
    """
    values = np.atleast_1d(np.asarray(background, dtype=float))
    if len(values) not in (1, channels):
        raise ValueError(f"a background of {len(values)} values for {channels} channels: give one, or one a channel")
    return np.broadcast_to(values, channels)[:, None, None]


def shifted(picture: Array, rows: int, columns: int, background: Background = 0.0) -> Array:
    """So many pixels down and to the right: what leaves is lost, background comes in."""
    made = np.empty_like(picture)
    made[:] = by_channel(background, len(picture))
    height, width = picture.shape[1:]
    if abs(rows) < height and abs(columns) < width:
        to, there = _overlap(rows, height), _overlap(columns, width)
        origin, beside = _overlap(-rows, height), _overlap(-columns, width)
        made[:, to, there] = picture[:, origin, beside]
    return made


def _overlap(by: int, size: int) -> slice:
    return slice(max(0, by), size + min(0, by))


def rotated(picture: Array, degrees: float, background: Background = 0.0) -> Array:
    """Counter-clockwise about the middle, bilinear; what comes in is background."""
    from PIL import Image

    fill = by_channel(background, len(picture))[:, 0, 0]
    planes = [
        Image.fromarray(plane.astype(np.float32)).rotate(degrees, Image.Resampling.BILINEAR, fillcolor=float(value))
        for plane, value in zip(picture, fill, strict=True)
    ]
    return np.stack([np.asarray(plane, dtype=float) for plane in planes])


def noisy(picture: Array, seed: int, amount: float = NOISE) -> Array:
    """With normal noise of that deviation added, kept within 0..255; the same seed, the same noise."""
    noise = np.random.default_rng(seed).normal(0.0, amount, picture.shape)
    return np.clip(picture + noise, 0.0, FULL)


def centred(picture: Array, background: Background = 0.0) -> Array:
    """Shifted by whole pixels until its centre of mass is as near as can be to the middle, (h/2, w/2).

    So were MNIST's digits placed: "translating the image so as to position this point at the center of the 28x28
    field" (LeCun, Cortes, Burges). The test pictures' centres lie at 14.0 ± 0.3, counting pixels from 0.
    """
    mass = np.abs(picture - by_channel(background, len(picture))).sum(0)
    total = mass.sum()
    if not total:
        return picture
    height, width = mass.shape
    row = (mass.sum(1) * np.arange(height)).sum() / total
    column = (mass.sum(0) * np.arange(width)).sum() / total
    return shifted(picture, round(height / 2 - row), round(width / 2 - column), background)


def coverage(shape: tuple[int, int], points: Sequence[Point], radius: float) -> Array:
    """How much of each pixel (h, w) a round brush covers that is led along the points, 0..1.

    Half where the distance from the stroke is the radius; full inside, nothing outside, and linear between.
    """
    rows, columns = np.indices(shape)
    nearest = np.full(shape, np.inf)
    for (top, left), (bottom, right) in zip(points, [*points[1:], points[-1]], strict=True):
        down, across = bottom - top, right - left
        length = down * down + across * across
        along = ((rows - top) * down + (columns - left) * across) / length if length else np.zeros(shape)
        share = np.clip(along, 0.0, 1.0)  # where on the way it is nearest
        distance = np.hypot(rows - top - share * down, columns - left - share * across)
        nearest = np.minimum(nearest, distance)
    return np.clip((radius - nearest) / SOFT + 0.5, 0.0, 1.0)


# -- the pad


@dataclass(frozen=True, eq=False)
class Drawing:
    """What undo gives back: the picture (C, h, w) and the cursor.

    `turned` is what was there before it was rotated, and by how much it was: many turns blur no more than one.
    """

    picture: Array
    row: int
    column: int
    inverted: bool = False
    turned: tuple[Array, float] | None = None


@dataclass(frozen=True, eq=False)
class PadState:
    """A picture (C, h, w) of 0..255 that is drawn on, with a brush and a cursor.

    Args:
        history: the present drawing and those before it.
        paper: the background, a value a channel.
        brush: its size, 1 to 4.
        eraser: whether it takes away.
        pen: whether it is down.
    """

    history: History[Drawing]
    paper: tuple[float, ...]
    brush: int = USUAL_BRUSH
    eraser: bool = False
    pen: bool = False

    @classmethod
    def of(cls, picture: Array, background: Background = 0.0) -> PadState:
        """A pad with that picture on it, the cursor in its middle.

        Raises:
            ValueError: when it is no picture (C, h, w), or the background is not one of it.
        """
        if picture.ndim != 3 or not picture.size:
            raise ValueError(f"a picture is (C, h, w), not {picture.shape}")
        channels, height, width = picture.shape
        paper = tuple(float(value) for value in by_channel(background, channels)[:, 0, 0])
        start = Drawing(np.clip(picture.astype(float), 0.0, FULL), height // 2, width // 2)
        usual = max(1, min(USUAL_BRUSH, round(USUAL_BRUSH * min(height, width) / USUAL_SIDE)))
        return cls(History(start), paper, usual)

    @classmethod
    def blank(cls, shape: tuple[int, int, int], background: Background = 0.0) -> PadState:
        """An empty pad (C, h, w)."""
        return cls.of(np.broadcast_to(by_channel(background, shape[0]), shape), background)

    # -- what there is

    @property
    def drawing(self) -> Drawing:
        """The present one."""
        return self.history.present

    @property
    def picture(self) -> Array:
        """(C, h, w), 0..255."""
        return self.drawing.picture

    @property
    def cursor(self) -> tuple[int, int]:
        """Row, column."""
        return self.drawing.row, self.drawing.column

    @property
    def background(self) -> tuple[float, ...]:
        """What comes in at the borders and behind the eraser: the paper, inverted with the picture."""
        return tuple(FULL - value for value in self.paper) if self.drawing.inverted else self.paper

    @property
    def unit(self) -> int:
        """Pixels that one move goes: 1, but more in large pictures."""
        side: int = min(self.picture.shape[1:])
        return max(1, round(side / USUAL_SIDE))

    @property
    def radius(self) -> float:
        """Of the brush, in pixels: where it covers half."""
        return self.brush * RADIUS * self.unit

    @property
    def reach(self) -> int:
        """How many pixels from its middle the brush leaves a trace that is seen."""
        return int(self.radius + SOFT / 4)

    # -- the pen

    def move(self, rows: int, columns: int) -> PadState:
        """The cursor so many pixels on, within the picture; with the pen down it draws along the way."""
        to = self._within(self.drawing.row + rows, self.drawing.column + columns)
        if to == self.cursor:
            return self
        if self.pen:
            return self._push(self._drawn([self.cursor, to], self.eraser))
        return self._at(replace(self.drawing, row=to[0], column=to[1]))

    def pen_down(self) -> PadState:
        """On the paper, where it leaves a dot."""
        return self if self.pen else replace(self.dot(), pen=True)

    def pen_up(self) -> PadState:
        """Off the paper."""
        return replace(self, pen=False)

    def dot(self) -> PadState:
        """A dot under the cursor."""
        return self._push(self._drawn([self.cursor], self.eraser))

    def stroke(self, points: Sequence[Point], erase: bool | None = None, further: bool = False) -> PadState:
        """A line through the points, the cursor at its end.

        Args:
            points: rows and columns; one point is a dot. They are brought into the picture.
            erase: whether it takes away; None: as the brush is set.
            further: whether it goes on with the last one and is undone with it.
        """
        if not points:
            return self
        within = [self._within(*point) for point in points]
        made = self._drawn(within, self.eraser if erase is None else erase)
        return self._at(made) if further else self._push(made)

    def _within(self, row: float, column: float) -> tuple[int, int]:
        height, width = self.picture.shape[1:]
        return max(0, min(round(row), height - 1)), max(0, min(round(column), width - 1))

    def _drawn(self, points: Sequence[tuple[int, int]], erase: bool) -> Drawing:
        """Where the brush covers a part of a pixel, that part of the way from background to ink, or the other way.

        A pixel never goes back: the soft edges of two steps that overlap do not add up, nor do they eat each other.
        """
        before = self.picture
        background = by_channel(self.background, len(before))
        ink = np.where(background.mean() < FULL / 2, FULL, 0.0)  # black on a bright ground, white on a dark one
        start, end = (ink, background) if erase else (background, ink)
        wanted = start + (end - start) * coverage((before.shape[1], before.shape[2]), points, self.radius)
        picture = np.where(end >= start, np.maximum(before, wanted), np.minimum(before, wanted))
        row, column = points[-1]
        return replace(self.drawing, picture=picture, row=row, column=column, turned=None)

    # -- brush and eraser

    def sized(self, by: int) -> PadState:
        """A thicker or thinner brush."""
        return replace(self, brush=max(BRUSHES[0], min(self.brush + by, BRUSHES[-1])))

    def toggled_eraser(self) -> PadState:
        """From drawing to erasing, and back."""
        return replace(self, eraser=not self.eraser)

    # -- the whole picture

    def shift(self, rows: int, columns: int) -> PadState:
        """The picture so many pixels down and to the right."""
        return self._changed(shifted(self.picture, rows, columns, self.background))

    def rotate(self, degrees: float) -> PadState:
        """The picture turned counter-clockwise about its middle."""
        before, turned = self.drawing.turned or (self.picture, 0.0)
        total = (turned + degrees) % 360
        picture = rotated(before, total, self.background) if total else before
        return self._push(replace(self.drawing, picture=picture, turned=(before, total)))

    def noise(self, seed: int, amount: float = NOISE) -> PadState:
        """The picture with normal noise of that deviation."""
        return self._changed(noisy(self.picture, seed, amount))

    def invert(self) -> PadState:
        """Bright to dark; the ink and the background with it."""
        made = replace(self.drawing, picture=FULL - self.picture, inverted=not self.drawing.inverted, turned=None)
        return self._push(made)

    def clear(self) -> PadState:
        """An empty paper."""
        picture = np.broadcast_to(by_channel(self.paper, len(self.picture)), self.picture.shape).copy()
        return self._push(replace(self.drawing, picture=picture, inverted=False, turned=None)).pen_up()

    def centred(self) -> PadState:
        """The picture with its centre of mass in the middle."""
        return self._changed(centred(self.picture, self.background))

    def _changed(self, picture: Array) -> PadState:
        if np.array_equal(picture, self.picture):
            return self
        return self._push(replace(self.drawing, picture=picture, turned=None))

    # -- undo

    def undo(self) -> PadState:
        """As it was before the last thing that was done to the picture."""
        return replace(self, history=self.history.undo())

    def redo(self) -> PadState:
        """As it was before undo."""
        return replace(self, history=self.history.redo())

    def _push(self, drawing: Drawing) -> PadState:
        return replace(self, history=self.history.push(drawing))

    def _at(self, drawing: Drawing) -> PadState:
        return replace(self, history=self.history.amend(drawing))
