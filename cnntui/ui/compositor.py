"""Textual's compositor, sending only the columns that changed, and each style once.

Textual 8.2 crops a changed stretch of a line on its right only: it sends the widget's whole line from the left, once for
each stretch, and every segment with its style and a reset. Over a thin link that is most of the traffic of an animation.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor
from textual.strip import Strip

RESET = "\x1b[0m"


def _opening(style: Style | None, colors: ColorSystem) -> str:
    """The escape sequence that begins a style, from a clean slate."""
    # Rich's own Style.render keeps the codes of the colour system that it was first asked for.
    codes = Strip.render_ansi(style, colors) if style else ""
    return f"\x1b[0;{codes}m" if codes else RESET


class TightUpdate(ChopsUpdate):
    """The changed stretches, style by style: going back on a line costs less than naming a colour again."""

    def render_segments(self, console: Console) -> str:
        """The update as a terminal gets it."""
        colors = console._color_system or ColorSystem.TRUECOLOR
        styled: dict[str, list[tuple[int, int, str]]] = {}
        for y, x1, x2 in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(x, x1), min(end, x2)
                if strip is None or left >= right:
                    continue
                for text, style, _ in strip.crop(left - x, right - x):
                    styled.setdefault(_opening(style, colors), []).append((y, left, text))
                    left += cell_len(text)
        written: list[str] = []
        at = (-1, -1)
        for opening, pieces in styled.items():
            written.append(opening)
            for y, x, text in pieces:
                written += (_move(at, (y, x)), text)
                at = (y, x + cell_len(text))
        return "".join([*written, RESET])


def _move(at: tuple[int, int], to: tuple[int, int]) -> str:
    """The shortest way of the cursor, both as (line, column) from 0."""
    if at == to:
        return ""
    absolute = f"\x1b[{to[0] + 1};{to[1] + 1}H"
    forward = f"\x1b[{to[1] - at[1]}C" if at[0] == to[0] and to[1] > at[1] else absolute
    return min(absolute, forward, key=len)


class TightCompositor(Compositor):
    """A compositor whose partial updates are tight."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """What changed, or None."""
        update = super().render_partial_update()
        return update and TightUpdate(update.chops, update.spans, update.chop_ends)
