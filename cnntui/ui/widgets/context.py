"""Beside a layer and a number: the picture with the pixels that it sees, and what the net reads the picture as."""

from __future__ import annotations

import numpy as np

from cnntui.core.network import INPUT
from cnntui.core.sight import Sight
from cnntui.core.windows import Array
from cnntui.labs.explore import ExploreState
from cnntui.labs.why import heat
from cnntui.ui.theme import ink
from cnntui.ui.widgets.class_bars import before, put_class_bars
from cnntui.ui.widgets.heat import put_heat
from cnntui.ui.widgets.maps import PLAIN, Marked, put_map, put_scale_text
from cnntui.ui.widgets.painted import Canvas, PaintedState

FEWEST = 4  # lines that are kept for the classes
TALL = 24  # lines from which on there is air


class ContextColumn(PaintedState[ExploreState]):
    """The input, the pixels framed that the number looked at can be moved by; under it the classes."""

    DEFAULT_CSS = "ContextColumn { height: 1fr; }"

    def __init__(self, state: ExploreState, plain: bool = False) -> None:
        super().__init__(state)
        self.plain = plain

    def show(self, state: ExploreState, plain: bool = False) -> None:
        """Show another state."""
        self.plain = plain
        super().show(state)

    def paint(self, canvas: Canvas) -> None:
        """Two lines of title, the picture, its scale; the picture of reasons; what it is read as, and the bars."""
        state, colors = self.state, self.palette
        seen = state.sight
        first, second = sight_words(seen, state.input.shape, canvas.width < 24)
        canvas.put(0, 0, first[: canvas.width], ink(colors.text, bold=True))
        canvas.put(0, 1, second[: canvas.width], ink(colors.dim))
        marked = PLAIN if seen is None else Marked(None, frozenset(_cells(seen)))
        found = heat(state)
        y = self._put_input(canvas, marked, found is not None)
        air = canvas.height > TALL
        if found is not None:
            y += put_heat(canvas, 0, y, found, canvas.width, canvas.height - y - 1 - air, colors, self.plain, marked)
        y += air
        now, was = verdict(state, canvas.width)
        canvas.put(0, y, _cut(now, canvas.width), ink(colors.text, bold=True))
        if was:
            y += 1
            canvas.put(0, y, _cut(was, canvas.width), ink(colors.dim))
        if state.has_classes and y + 1 < canvas.height - (found is not None):
            put_class_bars(canvas, 0, y + 1, canvas.width, canvas.height - y - 1, state, colors, self.plain)

    def _put_input(self, canvas: Canvas, marked: Marked, is_small: bool) -> int:
        """The picture, small where another one is drawn, and its scale under or beside it; returns the line below."""
        state, colors = self.state, self.palette
        picture, which = flat(state)
        scale, classes = state.scale(INPUT), min(len(state.probabilities), 10)
        if is_small:
            wide, tall = (14, 7) if canvas.height > TALL else (10, 5)
            wide, tall = put_map(canvas, 0, 2, picture, scale, wide, tall, colors, self.plain, marked)
            put_scale_text(canvas, wide + 1, 2, scale, colors)
            return 2 + tall
        room = canvas.height // 2 - 2
        if canvas.height > TALL:
            room = max(1, canvas.height - 2 - 1 - 2 - max(FEWEST, classes))
        _, tall = put_map(canvas, 0, 2, picture, scale, canvas.width, max(1, room), colors, self.plain, marked)
        end = put_scale_text(canvas, 0, 2 + tall, scale, colors)
        canvas.put(end + 1, 2 + tall, _cut(which, canvas.width - end - 1), ink(colors.dim))
        return 3 + tall


def flat(state: ExploreState) -> tuple[Array, str]:
    """The input as one map (H, W), and which one in words: the channel looked at, or the mean of all."""
    x = state.input
    if len(x) == 1:
        return x[0], ""
    if state.node == INPUT:
        return x[state.channel], f"channel {state.channel} of 0–{len(x) - 1}"
    return np.asarray(x.mean(0)), f"mean of {len(x)} channels"


def verdict(state: ExploreState, room: int) -> tuple[str, str]:
    """reads 7 ✗ is 1; and what it was before something was changed, or at the pinned moment. Of a map what it is."""
    if not state.has_classes:
        what, _, shape = state.output_words.partition(": ")
        return what, shape
    words, label, was = f"reads {state.class_name(state.read)}", state.picture.label, before(state)
    if label is not None:
        words += " ✓" if label == state.read else f" ✗ is {state.class_name(label)}"
    if was is None:
        return words, ""
    then = state.class_name(int(was.argmax()))
    if state.pinned is not None:
        forms: tuple[str, ...] = (f"at {state.pinned_words}: {then}", f"pinned: {then}")
    else:
        forms = (f"was {then} before your changes", f"before changes: {then}", f"before: {then}")
    return words, next((form for form in forms if len(form) <= room), forms[-1])


def sight_words(seen: Sight | None, shape: tuple[int, ...], narrow: bool) -> tuple[str, str]:
    """sees 5×5 pixels / rows 3–7, columns 8–12; where it is narrow y 3–7, x 8–12."""
    height, width = shape[1:]
    if seen is None:
        return f"sees all {height}×{width}" + ("" if narrow else " pixels"), ""
    rows, columns = seen.hull
    if not rows:
        return "sees no pixel", "padding alone"
    down, across = ("y", "x") if narrow else ("rows", "columns")
    where = f"{down} {_span(rows)}, {across} {_span(columns)}"
    if not seen.gaps:
        return f"sees {len(rows)}×{len(columns)} pixel{'s' if len(rows) * len(columns) > 1 else ''}", where
    return f"sees {len(_cells(seen))} pixels", where


def _cells(seen: Sight) -> set[tuple[int, int]]:
    return {(row, column) for rows, columns in seen.boxes for row in rows for column in columns}


def _span(indices: range) -> str:
    return f"{indices[0]}–{indices[-1]}" if len(indices) > 1 else f"{indices[0]}"


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: max(0, room - 1)]}…"


class ClassColumn(PaintedState[ExploreState]):
    """The class bars alone, beside the pad."""

    DEFAULT_CSS = "ClassColumn { height: 1fr; }"

    def __init__(self, state: ExploreState) -> None:
        super().__init__(state)
        self.plain = False

    def show(self, state: ExploreState, plain: bool = False) -> None:
        """Show another state."""
        self.plain = plain
        super().show(state)

    def paint(self, canvas: Canvas) -> None:
        """From the top."""
        put_class_bars(canvas, 0, 1, canvas.width, canvas.height - 1, self.state, self.palette, self.plain)
