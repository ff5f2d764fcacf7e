"""What the parts of the Compare screen share: the colours of groups, and words with tones on a canvas."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style

from cnntui.labs.compare_words import Line
from cnntui.ui.theme import OTHERS, Palette, ink
from cnntui.ui.widgets.painted import Canvas

ENOUGH = "by epoch"  # of a title, to be worth beginning


def color_of(index: int, colors: Palette) -> str:
    """The colour of a group's bar and curve, whatever is selected."""
    own = (colors.negative, colors.positive, *OTHERS[colors.background])
    return own[index % len(own)]


def tone(name: str, colors: Palette, group: str) -> Style:
    """How a tone looks; `group` is the colour of the group that is spoken of."""
    match name:
        case "bold":
            return ink(colors.text, bold=True)
        case "accent":
            return ink(colors.accent, bold=True)
        case "dim":
            return ink(colors.dim)
        case "error":
            return ink(colors.error, bold=True)
        case "more":
            return ink(colors.positive)
        case "less":
            return ink(colors.negative)
        case "group":
            return ink(group, bold=True)
    return ink(colors.text)


def put_line(canvas: Canvas, x: int, y: int, line: Line, colors: Palette, group: str = "", wide: int = 0) -> int:
    """Pieces one behind the other, cut with … where they end beyond `wide` columns or the canvas; the column behind."""
    end = min(canvas.width, x + wide) if wide else canvas.width
    for text, name in line:
        if x + len(text) > end:
            text = f"{text[: max(0, end - x - 1)]}…" if x < end else ""
        x = canvas.put(x, y, text, tone(name, colors, group or colors.text))
    return x


def put_title(
    canvas: Canvas, name: str, about: str, colors: Palette, end: str = "", whose: Line | None = None, group: str = ""
) -> None:
    """The line above a pane: what it shows, `whose` with the colour of that group, a key at its end, how it is drawn.

    What stands later here goes first where there is little room.
    """
    canvas.put(0, 0, "─" * canvas.width, ink(colors.dim))
    x = canvas.put(1, 0, f" {name} ", ink(colors.text, bold=True))
    if whose and canvas.width - x > len(ENOUGH):
        x = put_line(canvas, x, 0, [(" ", "text"), *whose, (" ", "text")], colors, group, canvas.width - x)
    end = f" {end} " if end and x + len(end) + 2 <= canvas.width else ""
    room = canvas.width - x - len(end) - 2
    if about and room > len(ENOUGH):
        cut = about if len(about) <= room else f"{about[: room - 1]}…"
        canvas.put(x, 0, f" {cut} ", ink(colors.dim))
    canvas.put(canvas.width - len(end), 0, end, ink(colors.dim))


def put_lines(canvas: Canvas, y: int, lines: Sequence[Line], colors: Palette, group: str = "") -> None:
    """Lines one under the other; where they are more than there is room for, the last one says how many."""
    room = canvas.height - y
    shown = lines if len(lines) <= room else lines[: max(0, room - 1)]
    for place, line in enumerate(shown):
        put_line(canvas, 0, y + place, line, colors, group)
    if len(shown) < len(lines):
        put_line(canvas, 0, y + len(shown), [(f"… {len(lines) - len(shown)} more lines", "dim")], colors)
