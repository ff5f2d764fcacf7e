"""The arithmetic of one number: the window in three grids, or its terms in a list, then the sums, line by line."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap

import numpy as np
from rich.style import Style

from cnntui.core.arithmetic import MINUS, TIMES, number, short
from cnntui.core.shading import shade
from cnntui.core.windows import Array
from cnntui.labs.cell import Anatomy, Grid, Listing
from cnntui.labs.cell_lines import arithmetic
from cnntui.ui.theme import heat, ink, readable_on
from cnntui.ui.widgets.equation import put_lines
from cnntui.ui.widgets.maps import put_scale_text
from cnntui.ui.widgets.painted import Canvas, PaintedState

TALL = 24  # lines from which on there is air between the parts
CELL, WIDE = 5, 9  # columns of a cell: at least, and at most
JOINT = 3  # columns between two grids
EQUATIONS = 4  # lines that are kept for them
BAR = 16
NUMBER = 5  # columns of most numbers
NAMES = 28  # columns of a name, at most


@dataclass(frozen=True)
class CellView:
    """What is shown: a number taken apart; `plain` draws without colours."""

    anatomy: Anatomy
    plain: bool = False


class CellPanel(PaintedState[CellView]):
    """Paints one number taken apart, as much of it as there is room for."""

    DEFAULT_CSS = "CellPanel { width: 1fr; height: 1fr; }"

    def paint(self, canvas: Canvas) -> None:
        """From the top: the way here, what it is, its terms, the one chosen, what each channel adds, the equations."""
        whole, colors = self.state.anatomy, self.palette
        air = canvas.height >= TALL
        y = self._put_path(canvas, whole)
        for line in _sentences(whole.meaning, canvas.width, 4 if air else 3):
            canvas.put(0, y, line, ink(colors.text))
            y += 1
        y += air
        if whole.grid:
            y = self._put_grids(canvas, y, whole.grid, bool(whole.partials)) + air
        elif whole.listing:
            y = self._put_list(canvas, y, whole.listing) + air
        if whole.chosen:
            x = canvas.put(0, y, "▸ ", ink(colors.accent, bold=True))
            x = canvas.put(x, y, whole.chosen, ink(colors.text, bold=True))
            hints = ("enter steps in", "enter") if self.state.plain else ("⏎ step in", "⏎")
            fitting = [hint for hint in hints if x + 1 + len(hint) <= canvas.width]
            if whole.enters and fitting:
                canvas.put(min(x + 3, canvas.width - len(fitting[0])), y, fitting[0], ink(colors.dim))
            y += 1
        if whole.partials:
            y = self._put_partials(canvas, y + air, whole)
        y += air
        if whole.sums and y < canvas.height:
            part = Canvas(canvas.width, canvas.height - y, canvas.base)
            put_lines(part, arithmetic(whole.sums, whole.across, canvas.width, canvas.height - y, whole.term), colors)
            canvas.rows[y:] = part.rows

    def _put_path(self, canvas: Canvas, whole: Anatomy) -> int:
        """The numbers stepped down from, as many of the last as have room; the one looked at stands out."""
        colors = self.palette
        *before, here = whole.path
        end = f"{here} = {whole.value}"
        room = canvas.width - len(end)
        told = ""
        for name in reversed(before):
            longer = f"{name} ← {told}"
            if len(longer) > room - 4:
                told = f"… ← {told}"
                break
            told = longer
        x = canvas.put(0, 0, told, ink(colors.dim))
        canvas.put(x, 0, end, ink(colors.accent, bold=True))
        return 1

    # -- the window

    def _put_grids(self, canvas: Canvas, y: int, grid: Grid, several: bool) -> int:
        """Values, weights and products beside each other; where there is no room for three, the products are left out."""
        planes = [(grid.name, grid.values, grid.scales[0])]
        if grid.weights is not None and grid.products is not None:
            planes += [("weights", grid.weights, grid.scales[1]), ("products", grid.products, grid.scales[2])]
        across = int(grid.values.shape[1])

        def fitting(count: int) -> int:
            return (canvas.width - (count - 1) * JOINT) // (count * across)

        if len(planes) == 3 and fitting(3) < CELL:
            planes.pop()
        cell = max(CELL, min(WIDE, fitting(len(planes))))
        shown = max(1, min(across, (canvas.width - (len(planes) - 1) * JOINT) // (len(planes) * cell)))
        # A title needs more than a narrow grid has.
        step = max(shown * cell, max(len(name) for name, *_ in planes) + 8 if len(planes) < 3 else 0)
        step = min(step, (canvas.width - (len(planes) - 1) * JOINT) // len(planes))
        lines = max(1, canvas.height - y - 2 - 2 * several - EQUATIONS)
        rows = grid.values.shape[0]
        tall = 3 if canvas.height >= TALL and 3 * rows <= lines - 6 else 1
        rows = min(rows, max(1, lines // tall))
        top, left = _page(grid.cursor[0], rows, grid.values.shape[0]), _page(grid.cursor[1], shown, across)
        part = (slice(top, top + rows), slice(left, left + shown))
        hidden = grid.values[part].size < grid.values.size
        for place, (name, values, scale) in enumerate(planes):
            x = place * (step + JOINT)
            self._put_title(canvas, x, y, name, scale, step)
            self._put_cells(canvas, (x, y + 1), (cell, tall), grid, part, values, scale, name == "weights")
            if place:
                middle = y + 1 + (rows * tall - 1) // 2
                canvas.put(x - 2, middle, TIMES if place == 1 else "=", ink(self.palette.accent, bold=True))
        y += 1 + rows * tall
        if hidden:
            height, width = grid.values.shape
            text = f"rows {top} to {top + rows - 1} of {height}, columns {left} to {left + shown - 1} of {width}"
            canvas.put(0, y, text, ink(self.palette.dim))
            y += 1
        return y

    def _put_title(self, canvas: Canvas, x: int, y: int, name: str, scale: float, room: int) -> None:
        name = name if len(name) < room else name[: room - 2] + "…"
        style = ink(self.palette.text, underline=name == "weights")
        end = canvas.put(x + 1, y, name, style)
        if end - x + 8 <= room + JOINT:
            put_scale_text(canvas, end + 1, y, scale, self.palette)

    def _put_cells(
        self,
        canvas: Canvas,
        corner: tuple[int, int],
        size: tuple[int, int],
        grid: Grid,
        part: tuple[slice, slice],
        values: Array,
        scale: float,
        weights: bool,
    ) -> None:
        """Numbers on their colour; the chosen cell in the accent, in brackets where colours are not to be had."""
        (left, top), (cell, tall), colors, plain = corner, size, self.palette, self.state.plain
        seen = values[part]
        shades = shade(seen, scale)
        inset = " " * (max(0, cell - 1 - NUMBER) // 2 + 1 if tall > 1 and cell > NUMBER + 1 else 0)
        for i, j in np.ndindex(*seen.shape):
            place = (part[0].start + i, part[1].start + j)
            padding = bool(grid.padding[place]) and not weights
            value = float(seen[i, j])
            text = ("·" if padding else _fitted(value, cell - 1)) + inset
            text = text.rjust(cell - 1)
            ground = colors.background if plain or padding else heat(int(shades[i, j]), colors)
            color = readable_on(ground) if ground != colors.background else colors.dim if padding else colors.text
            chosen, wins = place == grid.cursor, place == grid.winner
            if chosen and not plain:
                ground, color = colors.accent, colors.on_accent
            style: Style = ink(color, None if plain else ground, bold=chosen or wins)
            x, y = left + j * cell, top + i * tall
            for line in range(tall):
                canvas.put(x + 1, y + line, " " * (cell - 1), style)
            middle = y + (tall - 1) // 2
            digits = text.strip()
            canvas.put(x + 1, middle, text, style)
            if weights:
                canvas.put(x + 1 + text.index(digits), middle, digits, style + Style(underline=True))
            if wins:
                canvas.put(x, middle, "▸" if not plain else ">", ink(colors.accent, bold=True))
            if chosen and plain:
                at = x + text.index(digits)
                canvas.put(at, middle, "[", ink(colors.text, bold=True))
                canvas.put(at + 1 + len(digits), middle, "]", ink(colors.text, bold=True))

    def _put_partials(self, canvas: Canvas, y: int, whole: Anatomy) -> int:
        """What each channel adds, the one shown in the accent: a line or a few, round it where there are very many."""
        colors = self.palette
        texts = [f"{partial.name}: {_fitted(partial.value, 6)}" for partial in whole.partials]
        width = max(map(len, texts)) + 2
        said = ["each channel adds"]
        per_line = max(1, (canvas.width - len(said[0]) - 2) // width)
        most = 3 if canvas.height >= TALL else 1
        room = most * per_line
        first = 0 if len(texts) <= room else _page(whole.partial, room, len(texts))
        shown = range(first, min(len(texts), first + room))
        if len(shown) < len(texts):
            said = [*said, f"{first}–{shown.stop - 1} of {len(texts)}"][-most:]
        for line, words in enumerate(said):
            canvas.put(0, y + line, words, ink(colors.dim))
        for place, at in enumerate(shown):
            line, column = divmod(place, per_line)
            x, value, text = 19 + column * width, whole.partials[at].value, texts[at]
            style = ink(colors.positive if value > 0 else colors.negative if value < 0 else colors.dim)
            if at == whole.partial and self.state.plain:
                x, text, style = x - 1, f"[{text}]", ink(colors.text, bold=True)
            elif at == whole.partial:
                style = ink(colors.on_accent, colors.accent, bold=True)
            canvas.put(x, y + line, text, style)
        return y + max(-(-len(shown) // per_line), len(said))

    # -- the list

    def _put_list(self, canvas: Canvas, y: int, listing: Listing) -> int:
        """A line a term: from where, the numbers, a bar; the chosen one in the accent; the others in one line."""
        colors, plain = self.palette, self.state.plain
        room = max(2, canvas.height - y - (8 if canvas.height >= TALL else 6))
        shown, rest = listing.page(min(room, len(listing.order)))
        entries = [listing.entry(rank) for rank in shown]
        name = min(NAMES, max(4, *(len(entry.name) for entry in entries)))
        heads = listing.head
        widths = [max(len(head), *(len(entry.cells[i]) for entry in entries)) for i, head in enumerate(heads)]
        if 2 + name + sum(widths) + 3 * len(widths) > canvas.width:
            heads = tuple(head.removeprefix("rather ") for head in heads)
            widths = [max(len(head), *(len(entry.cells[i]) for entry in entries)) for i, head in enumerate(heads)]
        bar = max(0, min(BAR, canvas.width - name - sum(widths) - 3 * len(widths) - 5))
        joints = ("   ", f" {TIMES} ", " = ", "   ") if listing.weighed else ("   ",) * 3
        x = canvas.put(2, y, "from".ljust(name), ink(colors.dim))
        for i, head in enumerate(heads):
            x = canvas.put(x + 3, y, head.rjust(widths[i]), ink(colors.dim, underline=head == "weight"))
        y += 1
        for rank, entry in zip(shown, entries, strict=True):
            chosen = rank == listing.cursor
            ground = colors.accent if chosen and not plain else None
            style = ink(colors.on_accent if ground else colors.text, ground, bold=chosen)
            canvas.put(0, y, ("▸ " if not plain else "> ") if chosen else "  ", ink(colors.accent, bold=True))
            x = canvas.put(2, y, entry.name[:name].ljust(name), style)
            style = ink(colors.text, bold=chosen)
            for i, cell in enumerate(entry.cells):
                x = canvas.put(x, y, joints[i], style)
                canvas.put(x, y, " " * (widths[i] - len(cell)), style)
                under = listing.head[i] == "weight"
                x = canvas.put(x + widths[i] - len(cell), y, cell, style + Style(underline=True) if under else style)
            length = round(abs(entry.share) * bar)
            mark = ("+" if entry.value > 0 else "−") if plain else "█"
            signed = ink(colors.positive if entry.value > 0 else colors.negative)
            canvas.put(x + 2, y, mark * length or ("▏" if entry.value and not plain else ""), signed)
            y += 1
        if rest:
            canvas.put(2, y, rest, ink(colors.dim))
            y += 1
        return y


def _sentences(told: tuple[str, ...], width: int, most: int) -> list[str]:
    """As many of them as have room in so many lines, in lines."""
    lines: list[str] = []
    for count in range(1, len(told) + 1):
        longer = wrap(" ".join(told[:count]), max(10, width))
        if len(longer) <= most or not lines:
            lines = longer[:most]
    return lines


def _fitted(value: float, room: int) -> str:
    """A number in so few columns; what is too small for them is about 0, with its sign, what is too large far from it."""
    if not np.isfinite(value):
        return number(value)
    small = "≈0" if value > 0 else f"≈{MINUS}0"
    return short(value, room) or (small if abs(value) < 1 else "≫0" if value > 0 else "≪0")


def _page(cursor: int, shown: int, count: int) -> int:
    """The first of so many to show so that the chosen one is among them: page by page, so that little is sent."""
    return max(0, min(cursor // shown * shown, count - shown))
