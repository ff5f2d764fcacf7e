"""Curves drawn by plotext: in braille dots, or in a letter each where there are no colours to tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log10

from rich.console import Console
from rich.text import Text
from textual_plotext import Plot

from cnntui.labs.curves import log_ticks, stretches, ticks
from cnntui.runs.reader import Points
from cnntui.ui.theme import Palette
from cnntui.ui.widgets.painted import Canvas

SMALLEST = (16, 4)
SIDE = "┤│"  # what plotext draws its left axis with
FOOT = 2  # lines of the axis below, and its numbers


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


@dataclass(frozen=True)
class Area:
    """Where a chart's curves were drawn: columns and rows of cells from `x`, `y`, and which values their edges are."""

    x: int
    y: int
    width: int
    height: int
    low: float
    high: float


def put_chart(
    canvas: Canvas,
    top: int,
    height: int,
    lines: Sequence[Line],
    axes: Axes,
    colors: Palette,
    plain: bool,
    within: Sequence[float] = (),
) -> Area | None:
    """Draw lines below `top`, the first ones undermost; None where there is nothing to draw or no room.

    The values of `within` have room, too.
    """
    parts = [(line, part) for line in lines for part in _parts(line, axes)]
    if not parts or canvas.width < SMALLEST[0] or height < SMALLEST[1]:
        return None
    low, high = _range([*(y for _, part in parts for _, y in part), *within], axes)
    plot = Plot()
    plot._set_size(canvas.width, height)
    _put_axes(plot, axes, low, high, (canvas.width, height), colors)
    for line, part in parts:
        across, down = zip(*part, strict=True)
        color = _rgb(line.color)
        plot.plot(across, down, marker=line.marker if plain else "braille", color=color)
        if line.dotted:
            plot.scatter(across, down, marker=line.marker, color=color)
    for line in lines:
        if line.end and (own := _parts(line, axes)):
            x, y = own[-1][-1]
            plot.text(line.end, x, y, color=_rgb(line.color))
    if axes.cursor is not None:
        plot.vline(axes.cursor, _rgb(colors.accent))
    console = Console()
    rows = list(Text.from_ansi(plot.build()).split("\n"))
    for y, row in enumerate(rows, start=top):
        x = 0
        for segment in row.render(console, end=""):
            x = canvas.put(x, y, segment.text, segment.style)
    side = 1 + next((x for x, glyph in enumerate(rows[0].plain) if glyph in SIDE), -1)
    return Area(side, top, canvas.width - side, height - FOOT, low, high)


def _put_axes(plot: Plot, axes: Axes, low: float, high: float, size: tuple[int, int], colors: Palette) -> None:
    plot.xlim(axes.left, axes.right)
    plot.ylim(
        *(map(log10, (low, high)) if axes.logarithmic else (low, high))
    )  # of plotext's numbers, the only scaled ones
    plot.yscale("log" if axes.logarithmic else "linear")
    marks = log_ticks(low, high, size[1] // 2) if axes.logarithmic else ticks(low, high, max(3, size[1] // 3))
    plot.yticks(marks, [axes.form.format(mark) for mark in marks])
    marks = [
        mark for mark in ticks(axes.left, axes.right, max(2, size[0] // 9)) if not axes.whole or mark == round(mark)
    ]
    plot.xticks(marks, [f"{mark:,.6g}" for mark in marks])
    plot.xaxes(True, False)
    plot.yaxes(True, False)
    for paint in (plot.axes_color, plot.canvas_color):
        paint(_rgb(colors.background))
    plot.ticks_color(_rgb(colors.dim))


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


@lru_cache(maxsize=64)
def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
