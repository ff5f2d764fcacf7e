"""Connections as lines of braille dots between a row of cells and the row that they feed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cnntui.ui.theme import Palette, ink
from cnntui.ui.widgets.painted import Canvas

ACROSS, DOWN = 2, 4  # dots of a column, of a line
BRAILLE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def put_wires(
    canvas: Canvas,
    x: int,
    y: int,
    width: int,
    height: int,
    wires: Mapping[int, Sequence[int]],
    inputs: int,
    chosen: int,
    colors: Palette,
) -> None:
    """Draw so many inputs on the first line, the outputs on the last, a line from each input that an output reads.

    Args:
        wires: for each output the inputs that it reads.
        chosen: the output whose lines stand out; it and what feeds it are filled.
    """
    tops, feet = _spread(inputs, x, width), _spread(len(wires), x, width)
    dots: dict[tuple[int, int], int] = {}
    seen: set[tuple[int, int]] = set()
    for output, reads in wires.items():
        for read in reads:
            for across, down in _line(tops[read] * ACROSS, feet[output] * ACROSS, (height - 2) * DOWN):
                place = across // ACROSS, down // DOWN
                dots[place] = dots.get(place, 0) | DOTS[down % DOWN][across % ACROSS]
                if output == chosen:
                    seen.add(place)
    for (column, line), mask in dots.items():
        style = ink(colors.accent if (column, line) in seen else colors.dim)
        canvas.put(column, y + 1 + line, chr(BRAILLE + mask), style)
    feeding = set(wires.get(chosen, ()))
    for line, places, filled in ((y, tops, feeding), (y + height - 1, feet, {chosen})):
        for index, column in enumerate(places):
            there = index in filled
            canvas.put(column, line, "●" if there else "○", ink(colors.accent if there else colors.dim))


def _spread(count: int, x: int, width: int) -> list[int]:
    """Columns of so many cells, evenly spread."""
    return [x + round((place + 0.5) * width / count) for place in range(count)]


def _line(start: int, end: int, tall: int) -> list[tuple[int, int]]:
    """The dots from (start, 0) to (end, tall − 1), without gaps."""
    steps = max(abs(end - start), tall - 1, 1)
    return [(start + round((end - start) * i / steps), round((tall - 1) * i / steps)) for i in range(steps + 1)]
