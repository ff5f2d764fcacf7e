"""Loss against steps, train and test, drawn by plotext; only the cells that changed are sent."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

from rich.text import Text
from textual_plotext import Plot

from cnntui.runs.reader import RunView
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, Painted

Points = tuple[tuple[float, float], ...]


class LossChart(Painted):
    """Both losses; a value that is not finite is a gap."""

    DEFAULT_CSS = "LossChart { height: 1fr; min-height: 5; }"

    def __init__(self) -> None:
        super().__init__()
        self.train: Points = ()
        self.test: Points = ()
        self.steps: int | None = None
        self.logarithmic = False

    def show(self, view: RunView, logarithmic: bool) -> None:
        """Show the curves of a run."""
        self.train, self.test, self.logarithmic = view.train_loss, view.test_loss, logarithmic
        self.steps = view.status.steps if view.status else None
        self.repaint()

    def paint(self, canvas: Canvas) -> None:
        """A line that says which is which, then the chart."""
        colors = self.palette
        brief = canvas.width < 56
        what = "loss" if brief else "loss by step, log" if self.logarithmic else "loss by step"
        x = canvas.put(0, 0, f"{what}  ", ink(colors.dim))
        x = canvas.put(x, 0, "─ train", ink(colors.positive))
        if self.train:
            x = canvas.put(x, 0, f" {self.train[-1][1]:.{3 if brief else 4}f}", ink(colors.text))
        x = canvas.put(x + 2, 0, "● test", ink(colors.negative))
        if self.test:
            canvas.put(x, 0, f" {self.test[-1][1]:.{3 if brief else 4}f}", ink(colors.text))
        if canvas.height < 5 or canvas.width < 16:
            return
        drawn = [point for point in (*self.train, *self.test) if self._shown(point[1])]
        if not drawn:
            canvas.put(0, 2, "the first steps are still to come", ink(colors.dim))
            return
        chart = Text.from_ansi(self._plot(canvas.width, canvas.height - 1).build())
        for y, line in enumerate(chart.split("\n"), start=1):
            x = 0
            for segment in line.render(self.app.console, end=""):
                x = canvas.put(x, y, segment.text, segment.style)

    def _shown(self, value: float) -> bool:
        return isfinite(value) and (value > 0 or not self.logarithmic)

    def _plot(self, width: int, height: int) -> Any:
        colors = self.palette
        plot = Plot()
        plot.plotsize(width, height)
        plot._set_size(width, height)
        for stretch in self._stretches(self.train):
            plot.plot(*zip(*stretch, strict=True), marker="braille", color=_rgb(colors.positive))
        for stretch in self._stretches(self.test):
            plot.plot(*zip(*stretch, strict=True), marker="braille", color=_rgb(colors.negative))
            plot.scatter(*zip(*stretch, strict=True), marker="●", color=_rgb(colors.negative))
        last = max(1, self.steps or 0, *(int(x) for x, _ in (*self.train, *self.test)))
        plot.xlim(0, last)
        ticks = sorted({round(last * quarter / 4) for quarter in range(5)})
        plot.xticks(ticks, [f"{tick:,}" for tick in ticks])
        if self.logarithmic:
            plot.yscale("log")
        for paint in (plot.axes_color, plot.canvas_color):
            paint(_rgb(colors.background))
        plot.ticks_color(_rgb(colors.dim))
        plot.xaxes(True, False)
        plot.yaxes(True, False)
        return plot

    def _stretches(self, points: Points) -> Iterator[list[tuple[float, float]]]:
        """The points between two gaps."""
        stretch: list[tuple[float, float]] = []
        for point in points:
            if self._shown(point[1]):
                stretch.append(point)
            elif stretch:
                yield stretch
                stretch = []
        if stretch:
            yield stretch


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
