"""The pad that a picture is drawn on, by keyboard or mouse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Offset
from textual.message import Message

from cnntui.core.shading import glyphs, shade
from cnntui.core.windows import Array
from cnntui.labs.drawing import FULL, TURN, PadState
from cnntui.ui.theme import heat, ink, readable_on
from cnntui.ui.widgets.painted import Canvas, PaintedState
from cnntui.ui.widgets.picture import shrink

FAST = 4
LEAST_UNDER = 2  # lines under the picture: how the pen is, and a line of hints
WAYS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
CORNERS = {"home": (-1, -1), "pageup": (-1, 1), "end": (1, -1), "pagedown": (1, 1)}  # as on a keypad
HINTS = (
    ("space", "pen down, up"),
    ("arrows", "move"),
    ("enter", "dot"),
    ("+ −", "brush"),
    ("e", "eraser"),
    ("u U", "undo, redo"),
    ("x", "clear"),
    ("c", "centre"),
    ("esc", "done"),
    ("ctrl+arrows", "shift"),
    ("r R", "turn"),
    ("n", "noise"),
    ("i", "invert"),
    ("shift+arrows", f"by {FAST}"),
    ("mouse", "draws, right button erases"),
)


@dataclass(frozen=True)
class Place:
    """How a picture (h, w) lies on the screen.

    `wide` columns and `tall` lines a pixel; or half-blocks, one column a pixel and two pixels a line, of `factor`
    pixels a side each where the picture is larger than the room.
    """

    wide: int
    tall: int
    halves: bool
    factor: int

    @classmethod
    def of(cls, shape: tuple[int, int], wide: int, tall: int) -> Place:
        """The largest that there is room for in so many columns and lines."""
        height, width = shape
        zoom = min(wide // (2 * width), tall // height)
        if zoom:
            return cls(2 * zoom, zoom, False, 1)
        return cls(1, 1, True, max(1, -(-width // max(1, wide)), -(-height // max(1, 2 * tall))))

    def extent(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Columns and lines that it takes."""
        height, width = (-(-n // self.factor) for n in shape)
        return (width, -(-height // 2)) if self.halves else (width * self.wide, height * self.tall)

    def pixel(self, x: int, y: int) -> tuple[int, int]:
        """Row and column of what is drawn in a column of a line."""
        return (2 * y * self.factor, x * self.factor) if self.halves else (y // self.tall, x // self.wide)


class DrawPad(PaintedState[PadState], can_focus=True):
    """Two columns a pixel where there is room, else half-blocks; glyphs without colour.

    The frame at the cursor is as large as the brush, heavy while the pen is down.
    """

    DEFAULT_CSS = "DrawPad { height: 1fr; }"
    BINDINGS = [
        Binding("space", "pen", "Pen"),
        Binding("enter", "dot", "Dot"),
        *(
            Binding(f"{shift}{key}", f"move({by * row}, {by * column})", "Move fast" if shift else "Move", show=False)
            for shift, by in (("", 1), ("shift+", FAST))
            for key, (row, column) in WAYS.items()
        ),
        *(Binding(key, f"move({row}, {column})", "Move aslant", show=False) for key, (row, column) in CORNERS.items()),
        Binding("plus,equals_sign", "brush(1)", "Thicker", show=False),
        Binding("minus", "brush(-1)", "Thinner", show=False),
        Binding("e", "eraser", "Eraser"),
        Binding("u", "undo", "Undo"),
        Binding("U", "redo", "Redo", show=False),
        Binding("x", "clear", "Clear"),
        Binding("c", "centre", "Centre"),
        *(
            Binding(f"ctrl+{key}", f"shift({row}, {column})", "Shift the picture", show=False)
            for key, (row, column) in WAYS.items()
        ),
        Binding("r", f"rotate({TURN})", "Turn left", show=False),
        Binding("R", f"rotate({-TURN})", "Turn right", show=False),
        Binding("n", "noise", "Noise", show=False),
        Binding("i", "invert", "Invert", show=False),
        Binding("escape", "done", "Done"),
    ]

    class Changed(Message):
        """The picture (C, h, w) of 0..255 is another; of several between two refreshes the last is told."""

        def __init__(self, picture: Array) -> None:
            super().__init__()
            self.picture = picture

        def can_replace(self, message: Message) -> bool:
            """A later picture makes an earlier one needless."""
            return isinstance(message, DrawPad.Changed)

    class Done(Message):
        """Drawing is over."""

    def __init__(self, state: PadState, as_glyphs: bool = False) -> None:
        super().__init__(state)
        self.as_glyphs = as_glyphs
        self._told = state.picture
        self._telling = False
        self._noises = 0
        self._button = 0  # the mouse button that is drawn with, while it is down
        self._place = Place(2, 1, False, 1)

    # -- painting

    @property
    def plain(self) -> bool:
        """Whether there are no colours to draw with."""
        return self.as_glyphs or self.app.no_color

    def paint(self, canvas: Canvas) -> None:
        """The picture between two bars, and under it how the pen is and what can be done."""
        shape = (self.state.picture.shape[1], self.state.picture.shape[2])
        self._place = Place.of(shape, canvas.width - 2, canvas.height - LEAST_UNDER)
        wide, tall = self._place.extent(shape)
        for y in range(tall):
            canvas.put(0, y, "│", ink(self.palette.dim))
            canvas.put(wide + 1, y, "│", ink(self.palette.dim))
        small = np.stack([shrink(channel, self._place.factor) for channel in self.state.picture])
        if not self._place.halves:
            self._put_wide(canvas, small)
        elif self.plain:
            self._put_half_glyphs(canvas, small)
        else:
            self._put_halves(canvas, small)
        self._put_pen(canvas, tall, wide + 2)
        self._put_hints(canvas, tall + 1)

    def _hues(self, picture: Array) -> list[list[str]]:
        """The colour of each pixel: its own, or of one channel the colour grammar's."""
        if len(picture) == 3:
            pixels = picture.round().astype(int).transpose(1, 2, 0)
            return [[f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in row] for row in pixels.tolist()]
        return [[heat(each, self.palette) for each in row] for row in _shades(picture).tolist()]

    def _put_wide(self, canvas: Canvas, picture: Array) -> None:
        place, hues = self._place, self._hues(picture)
        texts = glyphs(_shades(picture)) if self.plain else [" " * len(row) for row in hues]
        for row, (text, line) in enumerate(zip(texts, hues, strict=True)):
            for column, (glyph, hue) in enumerate(zip(text, line, strict=True)):
                style = None if self.plain else ink(None, hue)
                for y in range(row * place.tall, (row + 1) * place.tall):
                    canvas.put(1 + column * place.wide, y, glyph * place.wide, style)
        row, column = self.state.cursor
        top, left, bottom, right = self._frame()
        if (place.tall, top, left) == (1, bottom, right):
            corners = [(top, left, 0, 0, "["), (top, left, 1, 0, "]")]
        else:
            marks = "┏┓┗┛" if self.state.pen else "┌┐└┘"
            ends = [(y, x) for y in (top, bottom) for x in (left, right)]
            last = place.wide - 1, place.tall - 1
            inner = [(0, 0), (last[0], 0), (0, last[1]), last]
            corners = [(*end, *at, mark) for end, at, mark in zip(ends, inner, marks, strict=True)]
            if self.state.eraser or not self.state.pen:  # where the pen is down, it is the ink that is to be seen
                middle = "×" if self.state.eraser else "·"
                corners += [(row, column, place.wide // 2 - side, last[1] // 2, middle) for side in (1, 0)]
        for y, x, across, down, mark in corners:
            canvas.put(1 + x * place.wide + across, y * place.tall + down, mark, self._marking(hues[y][x]))

    def _frame(self) -> tuple[int, int, int, int]:
        """The brush at the cursor, within the picture: top, left, bottom and right pixel."""
        (row, column), reach = self.state.cursor, self.state.reach
        height, width = self.state.picture.shape[1:]
        ends = (
            max(0, row - reach),
            max(0, column - reach),
            min(row + reach, height - 1),
            min(column + reach, width - 1),
        )
        top, left, bottom, right = (end // self._place.factor for end in ends)
        return top, left, bottom, right

    def _marking(self, under: str) -> Style:
        """A mark that is seen on a pixel of that colour."""
        colors = self.palette
        if self.plain:
            return ink(colors.accent, bold=True)
        return ink(colors.accent if under == colors.background else readable_on(under), under)

    def _put_halves(self, canvas: Canvas, picture: Array) -> None:
        """The cursor and the corners of the brush are pixels, too."""
        colors, hues = self.palette, self._hues(picture)
        top, left, bottom, right = self._frame()
        row, column = (at // self._place.factor for at in self.state.cursor)
        for y, x in ((top, left), (top, right), (bottom, left), (bottom, right)):
            hues[y][x] = colors.accent if self.state.pen else colors.dim
        hues[row][column] = colors.error if self.state.eraser else colors.accent
        if len(hues) % 2:
            hues.append([colors.background] * len(hues[0]))
        for line in range(0, len(hues), 2):
            for x, (upper, lower) in enumerate(zip(hues[line], hues[line + 1], strict=True)):
                glyph, style = (" ", ink(None, lower)) if upper == lower else ("▀", ink(upper, lower))
                canvas.put(1 + x, line // 2, glyph, style)

    def _put_half_glyphs(self, canvas: Canvas, picture: Array) -> None:
        """Two pixels a glyph: `'` and `"` are ink in the upper one, `.` and `_` in the lower, `:` and `#` in both."""
        grey = picture.mean(0) / FULL
        grey = np.pad(grey, ((0, len(grey) % 2), (0, 0)))
        for y, (upper, lower) in enumerate(zip(grey[::2], grey[1::2], strict=True)):
            canvas.put(1, y, "".join(map(_two, upper.tolist(), lower.tolist())))
        row, column = (at // self._place.factor for at in self.state.cursor)
        canvas.put(1 + column, row // 2, "X" if self.state.pen else "+", self._marking(""))

    def _put_pen(self, canvas: Canvas, y: int, wide: int) -> None:
        state, colors = self.state, self.palette
        pen = "● pen down" if state.pen else "○ pen up"
        x = canvas.put(1, y, f"{pen:<12}", ink(colors.accent if state.pen else colors.text, bold=state.pen))
        x = canvas.put(x, y, f"{'eraser' if state.eraser else 'brush'} {state.brush}", ink(colors.text))
        scale = "0 to 255"
        canvas.put(max(x + 2, wide - 1 - len(scale)), y, scale, ink(colors.dim))

    def _put_hints(self, canvas: Canvas, y: int) -> None:
        """As many as there are lines for."""
        x = 1
        for key, what in HINTS:
            if x > 1 and x + len(key) + 1 + len(what) > canvas.width:
                x, y = 1, y + 1
            end = canvas.put(x, y, key, ink(self.palette.accent))
            x = canvas.put(end + 1, y, what, ink(self.palette.dim)) + 2

    # -- another state

    def show(self, state: PadState) -> None:
        """Show another state; nobody is told, since whoever shows it knows."""
        self._told = state.picture
        super().show(state)

    def _set(self, state: PadState) -> None:
        self.state = state
        self.repaint()
        if state.picture is not self._told and not self._telling:
            self._telling = True
            self.call_after_refresh(self._tell)  # painted first, then told, and once for all that came meanwhile

    def _tell(self) -> None:
        self._telling = False
        if self.state.picture is not self._told:
            self._told = self.state.picture
            self.post_message(self.Changed(self._told))

    # -- keys

    def action_move(self, rows: int, columns: int) -> None:
        """The cursor, and with the pen down a line."""
        unit = self.state.unit
        self._set(self.state.move(rows * unit, columns * unit))

    def action_pen(self) -> None:
        """Down or up."""
        self._set(self.state.pen_up() if self.state.pen else self.state.pen_down())

    def action_dot(self) -> None:
        """A dot under the cursor."""
        self._set(self.state.dot())

    def action_brush(self, by: int) -> None:
        """Thicker or thinner."""
        self._set(self.state.sized(by))

    def action_eraser(self) -> None:
        """From brush to eraser, and back."""
        self._set(self.state.toggled_eraser())

    def action_shift(self, rows: int, columns: int) -> None:
        """The picture, not the cursor."""
        unit = self.state.unit
        self._set(self.state.shift(rows * unit, columns * unit))

    def action_rotate(self, degrees: float) -> None:
        """The picture about its middle."""
        self._set(self.state.rotate(degrees))

    def action_noise(self) -> None:
        """Another noise each time."""
        self._noises += 1
        self._set(self.state.noise(self._noises))

    def action_invert(self) -> None:
        """Bright to dark."""
        self._set(self.state.invert())

    def action_clear(self) -> None:
        """An empty paper."""
        self._set(self.state.clear())

    def action_centre(self) -> None:
        """The centre of mass to the middle."""
        self._set(self.state.centred())

    def action_undo(self) -> None:
        """What was done to the picture last."""
        self._set(self.state.undo())

    def action_redo(self) -> None:
        """What was undone."""
        self._set(self.state.redo())

    def action_done(self) -> None:
        """Told what is new, and that it is over."""
        self._set(self.state.pen_up())
        self._tell()
        self.post_message(self.Done())

    # -- mouse

    def _under(self, event: events.MouseEvent) -> Offset:
        """Column and line within the picture's cells."""
        return event.get_content_offset_capture(self) - Offset(1, 0)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A stroke begins: with the right button it takes away."""
        at = self._under(event)
        wide, tall = self._place.extent((self.state.picture.shape[1], self.state.picture.shape[2]))
        if event.button in (1, 3) and not self._button and 0 <= at.x < wide and 0 <= at.y < tall:
            self._button = event.button
            self.capture_mouse()
            self._set(self.state.stroke([self._place.pixel(at.x, at.y)], self._erases))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """It goes on, also from outside."""
        if self._button:
            at = self._under(event)
            way = [self.state.cursor, self._place.pixel(at.x, at.y)]
            self._set(self.state.stroke(way, self._erases, further=True))

    def on_mouse_up(self) -> None:
        """It ends."""
        if self._button:
            self._button = 0
            self.release_mouse()

    @property
    def _erases(self) -> bool:
        return self.state.eraser or self._button == 3


def _shades(picture: Array) -> Array:
    return shade(picture.mean(0), FULL)


def _two(upper: float, lower: float) -> str:
    """A glyph for two pixels of 0..1."""
    some = 0.15  # below that it is nothing
    if upper > some and lower > some:
        return "#" if upper + lower > 1 else ":"
    if upper > some:
        return '"' if upper > 0.5 else "'"
    return " " if lower <= some else "_" if lower > 0.5 else "."
