"""Pictures beside the input: the heat of what speaks for a class or a number, and a map as it was at another moment."""

from __future__ import annotations

from cnntui.core.shading import LOWERED, RAISED
from cnntui.labs.explore import ExploreState
from cnntui.labs.why import Heat
from cnntui.ui.theme import Palette, ink
from cnntui.ui.widgets.maps import PLAIN, Marked, put_map, put_scale_text
from cnntui.ui.widgets.painted import Canvas

TITLE = 2  # lines over a picture
LEGEND = 1  # and under it
NOTHING = "no pixel moves it"
WHY = "why "


def put_heat(
    canvas: Canvas,
    x: int,
    y: int,
    found: Heat,
    wide: int,
    tall: int,
    colors: Palette,
    plain: bool,
    marked: Marked = PLAIN,
    titled: bool = True,
) -> int:
    """Draw a heat picture in at most so many columns and lines: whose it is, which, the picture, its scale, a legend.

    The legend stands beside the scale where there is room, else under it, or is left out. Returns the lines that it took.
    """
    top = y
    if titled:
        about = found.about if len(found.about) <= wide else found.about.removeprefix(WHY)
        canvas.put(x, y, _fitted(about, wide), ink(colors.text, bold=True))
        canvas.put(x, y + 1, _fitted(found.kind + ("" if found.is_whole else " …"), wide), ink(colors.dim))
        y += TITLE
    room = max(1, top + tall - y - LEGEND)
    _, lines = put_map(canvas, x, y, found.values, found.scale, wide, room, colors, plain, marked)
    y += lines
    if not found.values.any():
        canvas.put(x, y, _fitted(NOTHING, wide), ink(colors.dim))
        return y + LEGEND - top
    end = put_scale_text(canvas, x, y, found.scale, colors)
    taken = y + LEGEND - top
    if end + 1 + signs_width(found) <= x + wide:
        put_signs(canvas, end + 1, y, found, colors, plain)
    elif taken < tall and signs_width(found) <= wide:
        put_signs(canvas, x, y + 1, found, colors, plain)
        taken += 1
    return taken


def signs_width(found: Heat) -> int:
    """Columns of `put_signs`."""
    return len(found.means[0]) + len(found.means[1]) + 5


def put_signs(canvas: Canvas, x: int, y: int, found: Heat, colors: Palette, plain: bool) -> int:
    """■ for it ■ against it: what is above zero, what is below; returns the column behind."""
    above, below, _ = found.means
    x = canvas.put(x, y, RAISED[-1] if plain else "■", ink(colors.positive))
    x = canvas.put(x, y, f" {above} ", ink(colors.dim))
    x = canvas.put(x, y, LOWERED[-1] if plain else "■", ink(colors.negative))
    return canvas.put(x, y, f" {below}", ink(colors.dim))


def put_reasons_line(canvas: Canvas, y: int, found: Heat, colors: Palette, plain: bool) -> None:
    """All that there is to say of a heat picture, in one line."""
    x = canvas.put(0, y, found.about, ink(colors.text, bold=True))
    x = canvas.put(x, y, f" · {found.kind}" + ("  " if found.is_whole else " …  "), ink(colors.text))
    x = put_signs(canvas, x, y, found, colors, plain)
    told = f"  {found.means[2]}"
    if x + len(told) <= canvas.width:
        canvas.put(x, y, told, ink(colors.dim))


def put_then(
    canvas: Canvas, x: int, y: int, state: ExploreState, wide: int, tall: int, colors: Palette, plain: bool
) -> int:
    """The map looked at as it was at the pinned moment, on the scale of the present one; returns the lines taken.

    A single number is not drawn: what it was stands in the line of facts.
    """
    if state.pinned is None or state.pinned_trace is None:
        return 0
    values = state.pinned_trace.values[state.node]
    if values.ndim < 3:
        return 0
    canvas.put(x, y, _fitted(f"then ({state.pinned[0]})", wide), ink(colors.text, bold=True))
    canvas.put(x, y + 1, _fitted(f"{state.node} channel {state.channel}", wide), ink(colors.dim))
    room = max(1, tall - TITLE - LEGEND)
    marked = Marked((state.unit[1], state.unit[2]))
    scale = state.scale(state.node)
    _, lines = put_map(canvas, x, y + TITLE, values[state.channel], scale, wide, room, colors, plain, marked)
    put_scale_text(canvas, x, y + TITLE + lines, scale, colors)
    return TITLE + lines + LEGEND


def _fitted(text: str, wide: int) -> str:
    return text if len(text) <= wide else text[: max(0, wide - 1)] + "…"
