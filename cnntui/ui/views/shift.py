"""Shifts: the shifted picture, its map, the old map shifted as much, and where the two differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnntui.core.arithmetic import short
from cnntui.core.layers import shape_text
from cnntui.core.shading import glyphs, scale_of, shade
from cnntui.core.windows import Array
from cnntui.labs.demos.shift import MOST_STRIDE, ShiftState, moved, pool_text, told, told_of_invariance, way
from cnntui.ui.theme import Palette, heat, ink, readable_on
from cnntui.ui.views.demonstration import Demonstration, actions, put_heading, put_sentence, put_settings
from cnntui.ui.widgets.maps import put_map, scale_text
from cnntui.ui.widgets.painted import Canvas

GAP = 2
TEXT = 7  # lines below: a legend, settings, sentences; one more where signs stand for numbers
WIDEST = 6  # columns a cell
LEGEND = "· equal   ≠ or a number: differs   ╱ nothing to compare with   ∙ came in"
SIGNS = "signs for numbers: . : + * # @ rise from zero, , ; ~ = % & fall from it"
EQUAL, OTHER, NOTHING, NEW = "·", "≠", "╱", "∙"


@dataclass(frozen=True)
class Pane:
    """A grid (H, W) with its title and scale.

    Where `marks` holds a glyph, that one stands instead of the number; `sign` where there is no room for numbers.
    """

    title: str
    values: Array
    scale: float
    marks: Array
    sign: str = ""


class ShiftView(Demonstration[ShiftState]):
    """Draws the state and turns keys into moves."""

    BINDINGS = actions(
        ("up", "shift(-1, 0)", "Shift"),
        ("down", "shift(1, 0)", "Shift"),
        ("left", "shift(0, -1)", "Shift"),
        ("right", "shift(0, 1)", "Shift"),
        ("home", "home", "Back to where it was", True),
        ("s", "stride", "Stride", True),
        ("o", "pool", "Pool", True),
        ("a", "relu", "Relu", True),
        ("p", "padding", "Padding"),
        ("k", "kernel(1)", "Kernel", True),
        ("K", "kernel(-1)", "Kernel"),
        ("i", "picture(1)", "Picture"),
        ("I", "picture(-1)", "Picture"),
    )

    HELP = (
        "Arrows shift the picture. Its map is compared, cell by cell, with the map from before, shifted as much. A "
        "convolution follows the picture; a stride or a pool does so only in whole steps, and at the border zeros come in."
    )

    def paint(self, canvas: Canvas) -> None:
        """Four grids, in one row or in two; sentences below."""
        state, colors = self.state, self.palette
        put_heading(
            canvas, "shift", f"picture {state.name}, kernel {state.kernel.name}, shifted by {way(state.by)}", colors
        )
        y, legend = self._put_panes(canvas, 1, canvas.height - 1 - TEXT, colors)
        for line in legend:
            canvas.put(1, y, line, ink(colors.dim))
            y += 1
        settings = (
            ("s", "stride", str(state.stride)),
            ("o", "pool", pool_text(state)),
            ("a", "relu", "on" if state.relu else "off"),
            ("p", "padding", str(state.padding)),
            ("k", "kernel", state.kernel.name),
        )
        put_settings(canvas, 1, y, settings, colors)
        y = put_sentence(canvas, y + 1, told(state), colors, 3)
        put_sentence(canvas, y, told_of_invariance(state), colors, 2)

    def panes(self) -> list[Pane]:
        """What is drawn."""
        state = self.state
        none = np.full(state.after.output.shape, "")
        came = moved(np.ones_like(state.picture), state.by)[0] == 0
        nothing = np.where(state.compared, "", NOTHING)
        pooled = "" if state.pool == "none" else ", pooled"
        scale = scale_of(np.stack([state.before.output, state.after.output]))
        told_apart = np.where(state.differs, "", np.where(state.compared, EQUAL, NOTHING))
        return [
            Pane(
                f"picture {shape_text(state.picture.shape[1:])}",
                state.shifted[0],
                scale_of(state.picture),
                np.where(came, NEW, ""),
            ),
            Pane(f"its map{pooled}", state.after.output, scale, none),
            Pane("old map, shifted", state.expected, scale, nothing),
            Pane("difference", state.difference, scale, told_apart, OTHER),
        ]

    def _put_panes(self, canvas: Canvas, y: int, room: int, colors: Palette) -> tuple[int, list[str]]:
        """In the arrangement that makes them largest; returns the line behind them, and lines on how to read them."""
        panes = self.panes()
        for cell in range(WIDEST, 1, -1):
            for rows in (1, 2):
                for first in range(cell, 1, -1):  # the picture may have more columns than its map
                    sized = list(zip(panes, (first, cell, cell, cell), strict=True))
                    legend = [LEGEND] if all(_fits(*each) for each in sized) else [LEGEND, SIGNS]
                    if end := _put_in_rows(canvas, y, room + 1 - len(legend), sized, rows, colors):
                        return end, legend
        end = self._put_maps(canvas, y, room, panes, colors)
        return end, [f"the maps and their difference on one scale: {scale_text(panes[1].scale)}"]

    def _put_maps(self, canvas: Canvas, y: int, room: int, panes: Sequence[Pane], colors: Palette) -> int:
        """Pictures that are too large for cells, in colours or glyphs alone; returns the line behind them."""
        rooms = {rows: ((canvas.width - 1) * rows // len(panes) - GAP, room // rows - 1) for rows in (1, 2)}
        rows = max(rooms, key=lambda rows: min(rooms[rows][0], 2 * rooms[rows][1]))
        across, (wide, tall) = len(panes) // rows, (max(1, each) for each in rooms[rows])
        for first in range(0, len(panes), across):
            lines = []
            for place, pane in enumerate(panes[first : first + across]):
                x = 1 + place * (wide + GAP)
                canvas.put(x, y, pane.title[:wide], ink(colors.text, bold=True))
                lines.append(put_map(canvas, x, y + 1, pane.values, pane.scale, wide, tall, colors, self.plain)[1])
            y += 1 + max(lines)
        return y

    # -- keys

    def action_shift(self, down: int, right: int) -> None:
        """Shift the picture by one cell more."""
        self.make(lambda state: state.shift(state.by[0] + down, state.by[1] + right), undone=False)

    def action_home(self) -> None:
        """The picture where it was."""
        self.make(lambda state: state.shift(0, 0), undone=False)

    def action_stride(self) -> None:
        """The next stride, round and round."""
        self.make(lambda state: state.with_(stride=state.stride % MOST_STRIDE + 1))

    def action_padding(self) -> None:
        """One cell of padding more, up to as many as the kernel reaches beyond its middle."""
        self.make(lambda state: state.with_(padding=(state.padding + 1) % (len(state.kernel.weights) // 2 + 1)))

    def action_relu(self) -> None:
        """A relu, or none."""
        self.make(lambda state: state.with_(relu=not state.relu))

    def action_pool(self) -> None:
        """The next pool."""
        self.make(ShiftState.next_pool)

    def action_kernel(self, by: int) -> None:
        """The next kernel."""
        self.make(lambda state: state.next_kernel(by))

    def action_picture(self, by: int) -> None:
        """The next picture."""
        self.make(lambda state: state.next_picture(by))


def _put_in_rows(
    canvas: Canvas, y: int, room: int, panes: Sequence[tuple[Pane, int]], rows: int, colors: Palette
) -> int | None:
    """Panes with their columns a cell in so many rows, if there is room; returns the line behind them."""
    across = len(panes) // rows
    columns = [max(_width(*each) for each in panes[i::across]) for i in range(across)]
    lines = [1 + max(len(pane.values) for pane, _ in panes[i * across : (i + 1) * across]) for i in range(rows)]
    if 1 + sum(columns) + GAP * (across - 1) > canvas.width or sum(lines) + rows - 1 > room:
        return None
    numbers = all(_fits(*each) for each in panes[1:])  # one way of writing for all that are compared
    for place, (pane, cell) in enumerate(panes):
        row, column = divmod(place, across)
        x, top = 1 + sum(columns[:column]) + GAP * column, y + sum(lines[:row]) + row
        _put_pane(canvas, x, top, pane, cell, numbers if place else _fits(pane, cell), colors)
    return y + sum(lines) + rows - 1


def _width(pane: Pane, cell: int) -> int:
    return max(int(pane.values.shape[1]) * cell - 1, len(pane.title))


def _fits(pane: Pane, cell: int) -> bool:
    """Whether there is room for all numbers."""
    return all(short(float(value), cell - 1) is not None for value in pane.values.flat)


def _put_pane(canvas: Canvas, x: int, y: int, pane: Pane, cell: int, numbers: bool, colors: Palette) -> None:
    """The title, then the cells: numbers, or glyphs of their height."""
    canvas.put(x, y, pane.title, ink(colors.text, bold=True))
    shades = shade(pane.values, pane.scale)
    signs = glyphs(shades)
    for (row, column), value in np.ndenumerate(pane.values):
        mark, sign = str(pane.marks[row, column]), pane.sign or signs[row][column] * (cell - 1)
        background = colors.background if mark else heat(int(shades[row, column]), colors)
        plain = background == colors.background
        style = ink((colors.dim if mark else colors.text) if plain else readable_on(background), background)
        text = mark or ((short(float(value), cell - 1) or "") if numbers else sign)
        canvas.put(x + column * cell, y + 1 + row, text.rjust(cell - 1).ljust(cell), style)
