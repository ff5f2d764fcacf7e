"""Curves of the groups, each the mean of its seeds, over a ground that reaches from the least seed to the greatest."""

from __future__ import annotations

from math import isfinite

import numpy as np

from cnntui.labs.bands import ACCURACY, METRICS, SMOOTHING, TRAIN_LOSS, Band
from cnntui.labs.compare import CompareState
from cnntui.labs.compare_names import shortened
from cnntui.labs.compare_words import Line as WordLine
from cnntui.labs.compare_words import letter
from cnntui.labs.curves import loss_text
from cnntui.labs.results import rounded
from cnntui.ui.theme import Palette, ink, tint
from cnntui.ui.widgets.chart import Area, Axes, Line, put_chart
from cnntui.ui.widgets.compare_words import color_of, put_title
from cnntui.ui.widgets.painted import Canvas, PaintedState

FEW = 6  # groups whose bands and lines are all drawn in full colour
LEGEND = 2  # lines of values
FRAME = 8  # columns of the title line beside the words
BLANK = " \N{BRAILLE PATTERN BLANK}"


class CompareCurves(PaintedState[CompareState | None]):
    """A title line, the values at the end or at the cursor, the chart. `alone`: the differences are a key away."""

    DEFAULT_CSS = "CompareCurves { height: 1fr; width: 1fr; }"

    def __init__(self) -> None:
        super().__init__(None)
        self.alone = self.plain = False

    def paint(self, canvas: Canvas) -> None:
        """Draw what there is, or say why there is nothing."""
        state, colors = self.state, self.palette
        if state is None:
            return
        line, color = whose(state, canvas.width - len(title(state))), color_of(state.selected, colors)
        put_title(canvas, title(state), about(state), colors, "tab differences" if self.alone else "", line, color)
        bands = {i: band for i, band in state.bands.items() if band.mean}
        if not bands:
            canvas.put(1, 2, nothing(state), ink(colors.dim))
            return
        top = 1 + self._put_legend(canvas, state, bands, colors)
        focus = [i for i in (state.comparison.baseline, state.selected) if i in bands]
        # The last one is drawn over the others.
        order = [*(i for i in bands if i not in focus), *dict.fromkeys(focus)]
        full = focus if len(bands) > FEW else order
        lines = [
            Line(
                bands[i].mean,
                color_of(i, colors) if i in full else colors.dim,
                letter(i),
                end=letter(i),
                dotted=_lonely(bands[i]),
            )
            for i in order
        ]
        form = "{:.4g} %" if state.metric == ACCURACY else "{:,.6g}"
        most = 100.0 if state.metric == ACCURACY else float("inf")
        axes = Axes(0, state.epochs, state.logarithmic, state.cursor, form, most=most, whole=state.epochs > 2)
        within = [y for i in full for points in (bands[i].low, bands[i].high) for _, y in points if _shown(y, state)]
        area = put_chart(canvas, top, canvas.height - top, lines, axes, colors, self.plain, within)
        if area is not None:
            several = [i for i in full if bands[i].seeds > 1]
            grounds = [(bands[i], tint(color_of(i, colors), colors, i == state.selected)) for i in several]
            put_bands(canvas, area, axes, grounds, colors, colors.weak is not None or self.plain)

    def _put_legend(self, canvas: Canvas, state: CompareState, bands: dict[int, Band], colors: Palette) -> int:
        """The selected group's value, then those of the others; returns the lines used."""
        cursor, groups = state.cursor, state.comparison.groups
        where = "at the end" if all(groups[i].summary for i in bands) else "so far"
        x = canvas.put(1, 1, f"{where if cursor is None else f'epoch {cursor:.4g}'}  ", ink(colors.accent))
        y, used = 1, 1
        for i in dict.fromkeys([state.selected, *bands]):
            if i not in bands or (found := bands[i].at(cursor)) is None:
                continue
            chosen = i == state.selected
            words = _value(found[0], state)
            if chosen and bands[i].seeds > 1:
                words += f" ({_value(found[1], state)} to {_value(found[2], state)}, {bands[i].seeds} seeds)"
            if x + 2 + len(words) > canvas.width:
                x, y = 1, y + 1
            if y > min(LEGEND, canvas.height - 8):
                break
            used = y
            x = canvas.put(x, y, f"{letter(i)} ", ink(color_of(i, colors), bold=True))
            x = canvas.put(x, y, f"{words}   ", ink(colors.text, bold=chosen))
        return used


def title(state: CompareState) -> str:
    """Which curve, and on which scale."""
    name = "test errors" if state.metric == ACCURACY and state.logarithmic else METRICS[state.metric]
    return f"{name}, log" if state.logarithmic else name


def whose(state: CompareState, room: int) -> WordLine:
    """The whole name of the selected group where there is room for it, and which of its runs enter opens."""
    seed = f"  enter: seed {state.result.seed}" if len(state.group.results) > 1 else ""
    most = max(8, room - len(seed) - FRAME)
    name = shortened(state.group.label, most, most // 2)
    return [(f"{letter(state.selected)} ", "group"), (name, "accent"), (seed, "text")]


def nothing(state: CompareState) -> str:
    """Why there is no curve."""
    results = [result for i in state.drawn for result in state.comparison.groups[i].results]
    if not results:
        return "every curve is left out: x brings one back"
    if all(result.view.ended for result in results):
        return "no curve: nothing was trained to its end"
    if all(result.view.ended or result.view.state == "waiting" for result in results):
        return "no curve yet: the runs wait for their turn"
    return "the first steps are still to come" if state.metric == TRAIN_LOSS else "tested after each epoch: not yet"


def about(state: CompareState) -> str:
    """How it is drawn."""
    words = [f"smoothed {SMOOTHING:g}"] if state.metric == TRAIN_LOSS else []
    shown, groups = len(state.drawn), len(state.comparison.groups)
    if shown < groups - len(state.left_out):
        words.append(f"{shown} of {groups} drawn")
    words.append("by epoch")
    if any(band.seeds > 1 for band in state.bands.values()):
        words.append("mean and range of the seeds")
    return ", ".join(words)


def _value(value: float, state: CompareState) -> str:
    if not isfinite(value):
        return "not a number"
    if state.metric != ACCURACY:
        return loss_text(value)
    # What is right and what is wrong add up to 100 as they are printed.
    right = rounded((100 - value if state.logarithmic else value) / 100)
    return f"{100 - float(right):.2f}" if state.logarithmic else right


def _shown(value: float, state: CompareState) -> bool:
    return isfinite(value) and (value > 0 or not state.logarithmic)


def _lonely(band: Band) -> bool:
    """Whether there are so few points that they must be marked to be seen."""
    return len(band.mean) < 3


def put_bands(
    canvas: Canvas, area: Area, axes: Axes, bands: list[tuple[Band, str]], colors: Palette, in_glyphs: bool
) -> None:
    """Lay grounds behind the curves of a chart, to half a row; with few colours, dots beside them."""
    halves: list[list[str | None]] = [[None] * area.width for _ in range(2 * area.height)]
    for band, ground in bands:
        for column, reach in enumerate(_reaches(band, area, axes)):
            for half in reach:
                halves[half][column] = ground
    for row in range(area.height):
        for column in range(area.width):
            lower, upper = halves[2 * row][column], halves[2 * row + 1][column]
            if lower or upper:
                _shade(canvas, area.x + column, area.y + area.height - 1 - row, upper, lower, colors, in_glyphs)


def _shade(
    canvas: Canvas, x: int, y: int, above: str | None, below: str | None, colors: Palette, in_glyphs: bool
) -> None:
    if not (0 <= x < canvas.width and 0 <= y < canvas.height):
        return
    glyph, style = canvas.rows[y][x]
    if in_glyphs:
        if glyph in BLANK:
            canvas.rows[y][x] = ("·", canvas.base + ink(colors.dim))
        return
    if glyph not in BLANK:
        canvas.rows[y][x] = (glyph, style + ink(None, above or below))
    elif above == below:
        canvas.rows[y][x] = (" ", canvas.base + ink(None, above))
    elif above:
        canvas.rows[y][x] = ("▀", canvas.base + ink(above, below))
    else:
        canvas.rows[y][x] = ("▄", canvas.base + ink(below))


def _reaches(band: Band, area: Area, axes: Axes) -> list[range]:
    """For each column, the half rows from the bottom that lie between the least and the greatest seed."""
    places = np.linspace(axes.left, axes.right, area.width)
    x = np.array([x for x, _ in band.low])
    low, high = (np.interp(places, x, [y for _, y in points], np.nan, np.nan) for points in (band.low, band.high))
    bottom, top = area.low, area.high
    if axes.logarithmic:
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high, bottom, top = np.log10(low), np.log10(high), np.log10(bottom), np.log10(top)
    steps = 2 * area.height - 1
    found = []
    for least, greatest in zip(low, high, strict=True):
        if np.isnan(least) or np.isnan(greatest) or greatest < bottom:
            found.append(range(0))
            continue
        first, last = (round(steps * float(np.clip((y - bottom) / (top - bottom), 0, 1))) for y in (least, greatest))
        found.append(range(first, last + 1))
    return found
