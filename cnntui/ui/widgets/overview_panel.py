"""The whole network in columns: the input, the layers around the one looked at, the classes."""

from __future__ import annotations

import numpy as np
from textual import events
from textual.message import Message

from cnntui.core.arithmetic import short
from cnntui.core.layers import shape_text
from cnntui.core.network import INPUT
from cnntui.core.shading import shade
from cnntui.labs.explore import ExploreState
from cnntui.labs.overview import Column, columns_of, strip_range, told
from cnntui.labs.rails import drawing
from cnntui.labs.why import heat as heat_picture
from cnntui.ui.theme import heat, ink, readable_on
from cnntui.ui.widgets.class_bars import put_class_bars
from cnntui.ui.widgets.heat import put_heat, put_reasons_line, put_then
from cnntui.ui.widgets.maps import Marked, put_map, scale_text
from cnntui.ui.widgets.painted import Canvas, PaintedState

GUTTER = 3  # columns left of a map: its number
VECTOR = 14  # columns of a layer of single numbers
WIDE = 100  # columns from which on maps are larger, and the layer looked at has two beside each other
MOST_LANES = 4
LEAST_WIDE = 58  # columns below which the classes have no room
UNDER, UNDER_NARROW = 28, 16  # columns of a picture under the input
DEAD = "†"
LEAST_CLASSES, MOST_CLASSES = 16, 24


class OverviewPanel(PaintedState[ExploreState]):
    """Paints the columns. One scale a layer, told above it, or one for the net."""

    DEFAULT_CSS = "OverviewPanel { height: 1fr; }"

    class Clicked(Message):
        """A map was clicked."""

        def __init__(self, node: str, channel: int) -> None:
            super().__init__()
            self.node, self.channel = node, channel

    def __init__(self, state: ExploreState) -> None:
        super().__init__(state)
        self.as_glyphs = False
        self._places: list[tuple[range, range, str, int]] = []

    def paint(self, canvas: Canvas) -> None:
        """Rails, facts, maps; the classes at the right."""
        state, colors = self.state, self.palette
        found = heat_picture(state)
        if found is not None:
            put_reasons_line(canvas, canvas.height - 1, found, colors, self.as_glyphs)
            rest = Canvas(canvas.width, canvas.height - 1, canvas.base)
            self._paint_net(rest)
            canvas.rows[:-1] = rest.rows
        else:
            self._paint_net(canvas)

    def _paint_net(self, canvas: Canvas) -> None:
        state, colors = self.state, self.palette
        wide = canvas.width >= WIDE
        side = 14 if wide else 10
        tall = side // 2
        lanes = min(MOST_LANES, max(rail.lanes for rail in state.rails))
        top = lanes + 1
        pitch = GUTTER + side + 1
        rows = max(1, (canvas.height - top + (1 if wide else 0)) // (tall + 1 if wide else tall))
        has_room = state.has_classes and canvas.width >= LEAST_WIDE
        classes = min(MOST_CLASSES, max(LEAST_CLASSES, canvas.width // 5)) if has_room else 0
        under = self._wants_under()
        room = GUTTER + (UNDER if wide else UNDER_NARROW) + 1 if under else 0
        across = 2 if wide else 1
        columns = columns_of(state, canvas.width - classes - 1, rows, pitch, VECTOR, across, room)
        self._places = []
        x = 0
        for place, column in enumerate(columns):
            is_here = column.node == state.node
            self._put_rail(canvas, x, column, lanes, is_here, columns[place - 1].node if place else None)
            self._put_facts(canvas, x, lanes, column, is_here)
            values = state.trace.values[column.node]
            if values.ndim == 1:
                self._put_vector(canvas, x, top, column)
            else:
                y = self._put_maps(canvas, x, top, column, (side, tall, tall + 1 if wide else tall))
                if under and column.node == INPUT:
                    self._put_under(canvas, x + GUTTER, y + wide, UNDER if wide else UNDER_NARROW)
            x += column.width
        if classes:
            put_class_bars(canvas, canvas.width - classes, 0, classes, canvas.height, state, colors, self.as_glyphs)

    def _put_facts(self, canvas: Canvas, x: int, y: int, column: Column, is_here: bool) -> None:
        """Shape and scale, as much of the shape as there is room for: a picture without its scale says too little."""
        state, colors = self.state, self.palette
        shape, scale = state.shape(column.node), state.scale(column.node)
        shapes = (told(state, column.node), shape_text(shape), shape_text(shape), shape_text(shape[1:]), "")
        scales = (scale_text(scale), scale_text(scale), *[scale_text(scale, 1)] * 3)
        room = column.width - 1
        facts, tail = next(
            pair for pair in zip(shapes, scales, strict=True) if sum(map(len, pair)) < room or not pair[0]
        )
        start = x + max(0, min(GUTTER, room - len(facts) - 1 - len(tail)))
        end = canvas.put(start, y, facts, ink(colors.text if is_here else colors.dim))
        canvas.put(end + 1, y, tail, ink(colors.dim))

    def _wants_under(self) -> bool:
        """Whether a picture of reasons, or the pinned moment's map, is to be drawn under the input."""
        state = self.state
        return heat_picture(state) is not None or (state.pinned is not None and len(state.unit) == 3)

    def _put_under(self, canvas: Canvas, x: int, y: int, wide: int) -> None:
        state, colors, plain = self.state, self.palette, self.as_glyphs
        found = heat_picture(state)
        if found is not None:
            put_heat(canvas, x, y, found, wide, canvas.height - y, colors, plain, titled=wide == UNDER)
        else:
            put_then(canvas, x, y, state, wide, canvas.height - y, colors, plain)

    def _put_rail(self, canvas: Canvas, x: int, column: Column, lanes: int, is_here: bool, before: str | None) -> None:
        colors, state = self.palette, self.state
        for lane, line in enumerate(drawing(column.rail, column.node, column.width, lanes)):
            canvas.put(x, lane, line, ink(colors.dim))
        places = state.columns
        if before is not None and places.index(column.node) - places.index(before) > 1:
            canvas.put(x, column.rail.lane, "⋯ ", ink(colors.dim))
        if column.rail.lane < lanes:
            name = f" {column.node[: column.width - 3]} "[: column.width - 2]
            style = ink(colors.on_accent, colors.accent, bold=True) if is_here else ink(colors.text, bold=True)
            canvas.put(x + 2, column.rail.lane, name, style)

    def _put_maps(self, canvas: Canvas, x: int, top: int, column: Column, size: tuple[int, int, int]) -> int:
        """Maps beside and under each other, their numbers left of them; returns the line below."""
        end = top
        state, colors = self.state, self.palette
        side, tall, pitch = size
        values, scale = state.trace.values[column.node], state.scale(column.node)
        for place, channel in enumerate(column.shown):
            down, across = divmod(place, column.across)
            left, y = x + across * (GUTTER + side + 1), top + down * pitch
            is_here = column.node == state.node and channel == state.channel
            cursor = (state.unit[1], state.unit[2]) if is_here and len(state.unit) == 3 else None
            took = put_map(
                canvas,
                left + GUTTER,
                y,
                values[channel],
                scale,
                side,
                tall,
                colors,
                self.as_glyphs,
                Marked(cursor) if column.node != INPUT or is_here else Marked(),
            )
            self._put_number(canvas, left, y, column.node, channel, is_here, took[1])
            self._places.append((range(left, left + GUTTER + took[0]), range(y, y + took[1]), column.node, channel))
            end = max(end, y + took[1])
        return end

    def _put_number(self, canvas: Canvas, x: int, y: int, node: str, channel: int, is_here: bool, lines: int) -> None:
        """The number of a map; a bar beside the one looked at; a mark where it is silenced, dead, or still."""
        state, colors = self.state, self.palette
        if state.shape(node)[0] > 1 or is_here:
            style = ink(colors.accent, bold=True) if is_here else ink(colors.dim)
            canvas.put(x, y, f"{channel:>2}"[-3:], style)
        if is_here:
            for line in range(lines):
                canvas.put(x + GUTTER - 1, y + line, "▐", ink(colors.accent))
        if (node, channel) in state.silenced:
            canvas.put(x, y + 1, "✗", ink(colors.error, bold=True))
        elif state.is_dead(node, channel):
            canvas.put(x + 1, y + 1, DEAD, ink(colors.error, bold=True))
        elif state.is_still(node, channel):
            canvas.put(x + 1, y + 1, "·", ink(colors.dim))

    def _put_vector(self, canvas: Canvas, x: int, top: int, column: Column) -> None:
        """Single numbers, a line each: number, block, value."""
        state, colors = self.state, self.palette
        values, scale = state.trace.values[column.node], state.scale(column.node)
        order = column.shown
        at = order.index(state.channel) if column.node == state.node else 0
        room = canvas.height - top
        seen = strip_range(len(order), at, room)
        shades = shade(values, scale)
        for line, place in enumerate(seen):
            unit = order[place]
            is_here = column.node == state.node and unit == state.channel
            style = ink(colors.accent, bold=True) if is_here else ink(colors.dim)
            y = top + line
            canvas.put(x, y, f"{unit:>3}", style)
            ground = None if self.as_glyphs else heat(int(shades[unit]), colors)
            text = short(float(values[unit]), 6) if np.isfinite(values[unit]) else str(values[unit])
            cell = ink(colors.text if ground is None else readable_on(ground), ground)
            canvas.put(x + GUTTER, y, "▐" if is_here else " ", ink(colors.accent))
            canvas.put(x + GUTTER + 1, y, f"{text or '…':>7} ", cell)
            if (column.node, unit) in state.silenced:
                canvas.put(x + GUTTER + 9, y, "✗", ink(colors.error, bold=True))
            elif state.is_dead(column.node, unit):
                canvas.put(x + GUTTER + 9, y, DEAD, ink(colors.error, bold=True))
            self._places.append((range(x, x + VECTOR), range(y, y + 1), column.node, unit))

    def on_click(self, event: events.Click) -> None:
        """The map under the mouse."""
        event.stop()
        at = event.get_content_offset(self)
        if at is None:
            return
        for across, down, node, channel in self._places:
            if at.x in across and at.y in down:
                self.post_message(self.Clicked(node, channel))
                return
