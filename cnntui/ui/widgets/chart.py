"""Curves drawn in braille dots, or in a letter each where there are no colours to tell them apart; no timer, no state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

import numpy as np

from cnntui.core.windows import Array
from cnntui.labs.curves import log_ticks, stretches, ticks
from cnntui.runs.reader import Points
from cnntui.ui.theme import Palette, ink
from cnntui.ui.widgets.painted import Canvas

DOTS = np.array([[1, 8], [2, 16], [4, 32], [64, 128]])  # the bits of a braille cell, by line and column
EMPTY = 0x2800
SMALLEST = (16, 4)


@dataclass(frozen=True)
class Line:
    """One curve. `marker` stands for it without colours, and at its points if there are few (`dotted`); `end` at its end."""

    points: Points
    color: str
    marker: str
    dotted: bool = False
    end: str = ""


@dataclass(frozen=True)
class Axes:
    """What a chart shows: from the left to the right value, on a logarithmic scale or not, and a cursor at a place."""

    left: float
    right: float
    logarithmic: bool = False
    cursor: float | None = None
    form: str = "{:,.6g}"  # of the values at the side
    from_zero: bool = False
    whole: bool = False  # only whole numbers along the axis
    most: float = float("inf")  # a share is at most 1, whatever room there is above the curve


def put_chart(
    canvas: Canvas, top: int, height: int, lines: Sequence[Line], axes: Axes, colors: Palette, plain: bool
) -> bool:
    """Draw lines below `top`, the first ones undermost; false where there is nothing to draw or no room."""
    shown = [line for line in lines if any(True for _ in _parts(line, axes))]
    values = [y for line in shown for part in _parts(line, axes) for _, y in part]
    if not values or canvas.width < SMALLEST[0] or height < SMALLEST[1]:
        return False
    low, high = _range(values, axes)
    marks = log_ticks(low, high, height // 2) if axes.logarithmic else ticks(low, high, max(3, height // 3))
    labels = {value: axes.form.format(value) for value in marks}
    margin = max(map(len, labels.values()), default=0) + 1
    chart = _Chart(canvas, margin, top, canvas.width - margin, height - 1, axes, low, high)
    for value, text in labels.items():
        canvas.put(margin - 1 - len(text), chart.line(value), text, ink(colors.dim))
    for y in range(top, top + height - 1):
        canvas.put(margin - 1, y, "│", ink(colors.dim))
    _put_steps(canvas, chart, top + height - 1, colors)
    if axes.cursor is not None:
        for y in range(top, top + height - 1):
            canvas.put(chart.column(axes.cursor), y, "│", ink(colors.accent))
    for line in shown:
        chart.draw(line, plain)
    return True


def _parts(line: Line, axes: Axes) -> list[Points]:
    return [
        part
        for stretch in stretches(line.points, axes.logarithmic)
        if (part := tuple(point for point in stretch if axes.left <= point[0] <= axes.right))
    ]


def _range(values: list[float], axes: Axes) -> tuple[float, float]:
    low, high = min(values), max(values)
    if axes.logarithmic:
        return (low / 1.05, high * 1.05)
    low = min(low, 0.0) if axes.from_zero else low
    room = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
    return low - room if low else 0.0, min(high + room, axes.most)


def _put_steps(canvas: Canvas, chart: _Chart, y: int, colors: Palette) -> None:
    canvas.put(chart.x - 1, y, "└" + "─" * chart.width, ink(colors.dim))
    end = 0
    for value in ticks(chart.axes.left, chart.axes.right, max(2, chart.width // 9)):
        if chart.axes.whole and value != round(value):
            continue
        text = f"{value:,.6g}"
        x = max(chart.x, min(chart.column(value) - len(text) // 2, canvas.width - len(text)))
        if x > end:
            end = canvas.put(x, y, text, ink(colors.dim)) + 1


@dataclass(frozen=True)
class _Chart:
    """Where on the canvas values lie."""

    canvas: Canvas
    x: int
    y: int
    width: int
    height: int
    axes: Axes
    low: float
    high: float

    def _across(self, values: Array) -> Array:
        """Values along the axis, in dots from the left."""
        span = (self.axes.right - self.axes.left) or 1.0
        return np.asarray((values - self.axes.left) / span * (2 * self.width - 1))

    def _down(self, values: Array) -> Array:
        """Values, in dots from above."""
        low, high = self.low, self.high
        if self.axes.logarithmic:
            values, low, high = np.log10(values), log10(low), log10(high)
        return np.asarray((high - values) / ((high - low) or 1.0) * (4 * self.height - 1))

    def column(self, value: float) -> int:
        """The column of the canvas in which a value along the axis lies."""
        dot = int(self._across(np.array(value)).round())
        return self.x + max(0, min(dot // 2, self.width - 1))

    def line(self, value: float) -> int:
        """The line of the canvas on which a value lies."""
        dot = int(self._down(np.array(value)).round())
        return self.y + max(0, min(dot // 4, self.height - 1))

    def draw(self, line: Line, plain: bool) -> None:
        """Walk along every stretch of a curve, a dot at a time."""
        dots = np.zeros((4 * self.height, 2 * self.width), dtype=bool)
        parts = _parts(line, self.axes)
        for part in parts:
            points = np.array(part)
            across, down = self._across(points[:, 0]), self._down(points[:, 1])
            way = np.concatenate([[0.0], np.maximum(np.abs(np.diff(across)), np.abs(np.diff(down))).cumsum()])
            walked = np.linspace(0, way[-1], int(way[-1]) + 2)
            rows = np.interp(walked, way, down).round().astype(int).clip(0, 4 * self.height - 1)
            columns = np.interp(walked, way, across).round().astype(int).clip(0, 2 * self.width - 1)
            dots[rows, columns] = True
        cells = dots.reshape(self.height, 4, self.width, 2).transpose(0, 2, 1, 3)
        codes = (cells * DOTS).sum((2, 3))
        style = ink(line.color)
        for row, column in np.argwhere(codes):
            glyph = line.marker if plain else chr(EMPTY + int(codes[row, column]))
            self.canvas.put(self.x + int(column), self.y + int(row), glyph, style)
        if line.dotted:
            for x, y in (point for part in parts for point in part):
                self.canvas.put(self.column(x), self.line(y), line.marker, style)
        if line.end:
            x, y = parts[-1][-1]
            self.canvas.put(self.column(x), self.line(y), line.end, ink(line.color, bold=True))
