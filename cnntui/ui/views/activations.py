"""The activations: curves with a cursor, a table of values and slopes, and a unit's sums on the same axis."""

from __future__ import annotations

import numpy as np

from cnntui.core.activations import ACTIVATIONS
from cnntui.core.arithmetic import number
from cnntui.core.workings import significant
from cnntui.labs.demos.activations import (
    LEAST,
    MOST,
    SAMPLES,
    ActivationsState,
    curve,
    histogram,
    told,
    told_of_sums,
)
from cnntui.runs.reader import Points
from cnntui.ui.theme import OTHERS, Palette, ink
from cnntui.ui.views.demonstration import Demonstration, actions, put_heading, put_sentence, put_settings
from cnntui.ui.widgets.chart import Area, Axes, Line, put_chart
from cnntui.ui.widgets.painted import Canvas

TABLE = 39  # columns
HEADS = (("value", 8), ("slope", 9))
PRODUCT = 9
FINE, COARSE = 0.25, 1.0  # steps of x
BIAS_STEP = 0.5
DASH = 4  # points of a slope's curve that are drawn, and as many that are not
EIGHTHS = " ▁▂▃▄▅▆▇█"
FOOT = 6  # lines: the settings, sentences


class ActivationsView(Demonstration[ActivationsState]):
    """Draws the state and turns keys into moves."""

    BINDINGS = actions(
        ("left", f"walk({-FINE})", "x"),
        ("right", f"walk({FINE})", "x"),
        ("shift+left", f"walk({-COARSE})", "x, faster"),
        ("shift+right", f"walk({COARSE})", "x, faster"),
        ("up", "choose(-1)", "Choose a function"),
        ("down", "choose(1)", "Choose a function"),
        ("space", "draw", "Draw it", True),
        ("s", "slope", "Slopes", True),
        ("left_square_bracket", "bias(-1)", "Bias", True),
        ("right_square_bracket", "bias(1)", "Bias"),
        ("minus", "depth(-1)", "Layers", True),
        ("plus", "depth(1)", "Layers"),
    )

    HELP = (
        "What an activation makes of a sum x, and how steep it is there. Left and right move x, up and down choose a "
        "function, space draws it or takes it away; dashed curves are slopes. Below stand the sums of one unit, which a "
        "bias moves. From a sum that falls where the function is flat, the unit learns nothing."
    )

    def paint(self, canvas: Canvas) -> None:
        """The curves and the sums at the left, the table at the right, sentences below."""
        state, colors = self.state, self.palette
        put_heading(canvas, "activations", f"what becomes of a sum x, here x = {number(state.at, 4)}", colors)
        foot = canvas.height - FOOT
        wide = canvas.width - TABLE
        bars = 3 if foot < 20 else 5
        chart = Canvas(max(0, wide), max(0, foot - 1), canvas.base)
        area = self._put_curves(chart, foot - 1 - bars - 1, colors)
        if area is not None:
            self._put_sums(chart, area, foot - 1 - bars - 1, bars, colors)
        for y, row in enumerate(chart.rows, start=1):
            canvas.rows[y][: chart.width] = row
        self._put_table(canvas, max(0, wide), colors)
        settings = (
            ("[ ]", "bias", number(state.bias, 4)),
            ("− +", "layers", str(state.depth)),
            ("s", "slopes", "drawn" if state.slopes else "not drawn"),
            ("space", "draws", state.chosen),
        )
        put_settings(canvas, 1, foot, settings, colors)
        y = put_sentence(canvas, foot + 1, told(state), colors, 2)
        put_sentence(canvas, y, told_of_sums(state), colors, 2)

    def _color(self, name: str, colors: Palette) -> str:
        hues = (colors.positive, colors.negative, *OTHERS[colors.background])
        shown = self.state.shown
        return hues[shown.index(name) % len(hues)] if name in shown else colors.dim

    def _put_curves(self, canvas: Canvas, height: int, colors: Palette) -> Area | None:
        state = self.state
        points = 2 * canvas.width
        lines = []
        for place, name in enumerate(state.shown):
            letter, color = chr(ord("A") + place), self._color(name, colors)
            if state.slopes:
                lines.append(Line(_dashed(curve(name, points, slope=True)), color, letter.lower()))
            lines.append(Line(curve(name, points), color, letter, end=letter))
        return put_chart(canvas, 0, height, lines, Axes(LEAST, MOST, cursor=state.at), colors, self.plain)

    def _put_sums(self, canvas: Canvas, area: Area, top: int, height: int, colors: Palette) -> None:
        """How many sums lie where, under the curves; below them, where the function is flat."""
        counts, flat = histogram(self.state, area.width)
        most = max(1, counts.max())
        for place, (count, dead) in enumerate(zip(counts.tolist(), flat.tolist(), strict=True)):
            full = -(-count * 8 * height // most)
            style = ink(colors.negative if dead else colors.positive)
            for line in range(height):
                glyph = EIGHTHS[min(8, max(0, full - 8 * line))]
                canvas.put(area.x + place, top + height - 1 - line, glyph, style)
            canvas.put(area.x + place, top + height, "╌" if dead else "━", ink(colors.dim))
        _put_spans(canvas, area.x, top + height, flat.tolist(), colors)
        unseen = SAMPLES - int(counts.sum())
        right = self.state.bias < 0  # away from the bell
        words = ["sums of a unit", *([f"{unseen} beyond {number(LEAST if right else MOST)}"] if unseen else [])]
        for line, word in enumerate(words, start=top):
            canvas.put(canvas.width - 1 - len(word) if right else area.x, line, word, ink(colors.dim))

    def _put_table(self, canvas: Canvas, x: int, colors: Palette) -> None:
        """A row for each function; what it is at x, where it is drawn or chosen."""
        state = self.state
        heads = "".join(f"{head:>{width}}" for head, width in HEADS) + f"{f'slope^{state.depth}':>{PRODUCT}}"
        canvas.put(x + 13, 1, heads, ink(colors.dim))
        for y, name in enumerate(ACTIVATIONS, start=2):
            chosen, drawn = name == state.chosen, name in state.shown
            color = ink(self._color(name, colors), bold=drawn)
            letter = chr(ord("A") + state.shown.index(name)) if drawn else " "
            at = canvas.put(x, y, "▸" if chosen else " ", ink(colors.accent, bold=True))
            canvas.put(at, y, f"{letter} {name}", color)
            if not (chosen or drawn):
                continue
            texts = (significant(state.value(name), 4), significant(state.slope(name), 4))
            row = "".join(f"{text:>{width}}" for text, (_, width) in zip(texts, HEADS, strict=True))
            row += f"{significant(state.product(name), 3):>{PRODUCT}}"
            canvas.put(x + 13, y, row, ink(colors.text, bold=chosen))

        self._put_layers(canvas, x + 1, len(ACTIVATIONS) + 3, colors)

    def _put_layers(self, canvas: Canvas, x: int, y: int, colors: Palette) -> None:
        """A row of bars: what is left of a gradient, layer by layer."""
        left = self.state.left
        room = canvas.width - x - 1
        if room < 2 or y + 1 >= canvas.height - FOOT:
            return
        canvas.put(x, y, "a gradient of 1 on its way back", ink(colors.dim))
        places = range(len(left)) if len(left) <= room else np.linspace(0, len(left) - 1, room).round().astype(int)
        most = max(map(abs, left))
        bars = "".join(EIGHTHS[max(1, round(8 * abs(left[place]) / most))] if left[place] else "·" for place in places)
        canvas.put(x, y + 1, bars, ink(self._color(self.state.chosen, colors)))

    # -- keys

    def action_walk(self, by: float) -> None:
        """Another x."""
        self.make(lambda state: state.to(state.at + by), undone=False)

    def action_choose(self, by: int) -> None:
        """Another function of the table."""
        self.make(lambda state: state.walk(by), undone=False)

    def action_draw(self) -> None:
        """Draw the chosen function, or no longer."""
        self.make(ActivationsState.toggled)

    def action_slope(self) -> None:
        """Draw the slopes, or no longer."""
        self.make(lambda state: state.with_slopes(not state.slopes))

    def action_bias(self, by: int) -> None:
        """Move the sums."""
        self.make(lambda state: state.with_bias(state.bias + by * BIAS_STEP))

    def action_depth(self, by: int) -> None:
        """More or fewer layers."""
        self.make(lambda state: state.with_depth(state.depth + by))


def _dashed(points: Points) -> Points:
    """With gaps: what is not a number is not drawn."""
    return tuple((x, y if i // DASH % 2 == 0 else float("nan")) for i, (x, y) in enumerate(points))


def _put_spans(canvas: Canvas, x: int, y: int, flat: list[bool], colors: Palette) -> None:
    """The word under each stretch of the axis that is flat, where it fits."""
    start = 0
    for place in range(1, len(flat) + 1):
        if place == len(flat) or flat[place] != flat[start]:
            word = " flat " if flat[start] else " slope "
            if place - start >= len(word) + 2:
                canvas.put(x + (start + place - len(word)) // 2, y, word, ink(colors.text))
            start = place
