"""The arithmetic of what is looked at, written out; or why there is none, and what would work."""

from __future__ import annotations

from rich.style import Style

from cnntui.labs.account import Line, account
from cnntui.labs.convolve import ConvolveState
from cnntui.ui.theme import Palette, ink
from cnntui.ui.widgets.painted import Canvas, PaintedState

MENDING_KEYS = ("m", "M", "y")


def style_of(kind: str, colors: Palette) -> Style:
    """The look of a piece: products of zero step back; signs have their colour, beside their glyph."""
    match kind:
        case "dim" | "label" | "zero":
            return ink(colors.dim)
        case "padding":
            return ink(colors.dim, underline=True)
        case "positive":
            return ink(colors.positive)
        case "negative":
            return ink(colors.negative)
        case "winner":
            return ink(colors.accent, bold=True)
        case "result":
            return ink(colors.on_accent, colors.accent, bold=True)
    return ink(colors.text)


class EquationView(PaintedState[ConvolveState]):
    """As many lines as there is room for; enter on a grid shows all."""

    DEFAULT_CSS = "EquationView { height: 1fr; min-height: 3; max-height: 14; }"

    hidden: frozenset[str] = frozenset()  # actions whose keys are not told

    def paint(self, canvas: Canvas) -> None:
        """The lines, or the problem."""
        if self.state.operation.problem:
            self._paint_problem(canvas)
            return
        put_lines(canvas, account(self.state, canvas.width, canvas.height), self.palette)

    def _paint_problem(self, canvas: Canvas) -> None:
        colors = self.palette
        canvas.put(0, 0, f"✗ {self.state.operation.problem}", ink(colors.error, bold=True))
        if "mend" in self.hidden:
            return
        x, y = 0, 1
        for key, (words, _) in zip(MENDING_KEYS, self.state.mended, strict=False):
            if x and x + len(words) + 2 > canvas.width:
                x, y = 0, y + 1
            x = canvas.put(x, y, key, ink(colors.accent, bold=True))
            x = canvas.put(x, y, f" {words}   ", ink(colors.text))


def put_lines(canvas: Canvas, lines: list[Line], colors: Palette) -> None:
    """Lines of pieces from the top left on."""
    for y, line in enumerate(lines):
        x = 0
        for piece in line:
            x = canvas.put(x, y, piece.text, style_of(piece.kind, colors))
