"""Beside a layer and a number: the picture with the pixels that it sees, and what the net reads the picture as."""

from __future__ import annotations

import numpy as np

from cnntui.core.network import INPUT
from cnntui.core.sight import Sight
from cnntui.core.windows import Array
from cnntui.labs.explore import ExploreState
from cnntui.ui.theme import ink
from cnntui.ui.widgets.class_bars import before, put_class_bars
from cnntui.ui.widgets.maps import PLAIN, Marked, put_map, put_scale_text
from cnntui.ui.widgets.painted import Canvas, PaintedState

FEWEST = 4  # lines that are kept for the classes


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
        """Two lines of title, the picture, its scale; what it is read as, and the bars."""
        state, colors = self.state, self.palette
        seen = state.sight
        first, second = sight_words(seen, state.input.shape, canvas.width < 24)
        canvas.put(0, 0, first[: canvas.width], ink(colors.text, bold=True))
        canvas.put(0, 1, second[: canvas.width], ink(colors.dim))
        picture, which = flat(state)
        classes = min(len(state.probabilities), 10)
        room = (
            max(1, canvas.height - 2 - 1 - 2 - max(FEWEST, classes)) if canvas.height > 24 else canvas.height // 2 - 2
        )
        marked = PLAIN if seen is None else Marked(None, frozenset(_cells(seen)))
        _, tall = put_map(
            canvas, 0, 2, picture, state.scale(INPUT), canvas.width, max(1, room), colors, self.plain, marked
        )
        y = 2 + tall
        end = put_scale_text(canvas, 0, y, state.scale(INPUT), colors)
        canvas.put(end + 1, y, which[: max(0, canvas.width - end - 1)], ink(colors.dim))
        y += 1 + (canvas.height > 24)
        canvas.put(0, y, reading(state)[: canvas.width], ink(colors.text, bold=True))
        put_class_bars(canvas, 0, y + 1, canvas.width, canvas.height - y - 1, state, colors, self.plain)


def flat(state: ExploreState) -> tuple[Array, str]:
    """The input as one map (H, W), and which one in words: the channel looked at, or the mean of all."""
    x = state.input
    if len(x) == 1:
        return x[0], ""
    if state.node == INPUT:
        return x[state.channel], f"channel {state.channel} of 0–{len(x) - 1}"
    return np.asarray(x.mean(0)), f"mean of {len(x)} channels"


def reading(state: ExploreState) -> str:
    """read as a 7 (98.2 %), against what."""
    words = f"read as {state.class_name(state.read)}"
    label = state.picture.label
    if label is not None:
        words += " ✓" if label == state.read else f" ✗ it is {state.class_name(label)}"
    if state.pinned is not None:
        return f"{words}, was: {state.pinned[0]}"
    was = before(state)
    return words if was is None else f"{words}, was {state.class_name(int(was.argmax()))}"


def sight_words(seen: Sight | None, shape: tuple[int, ...], narrow: bool) -> tuple[str, str]:
    """sees 5×5 pixels / rows 3–7, columns 8–12; where it is narrow y 3–7, x 8–12."""
    height, width = shape[1:]
    if seen is None:
        return f"sees all {height}×{width} pixels", ""
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
