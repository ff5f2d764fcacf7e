"""One map and all that makes it: map ∗ kernel = partial map, row by row; their sum, and what follows it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from textwrap import wrap

import numpy as np
from rich.style import Style

from cnntui.core.arithmetic import MINUS, short
from cnntui.core.network import INPUT
from cnntui.core.shading import glyphs, shade
from cnntui.core.windows import Array
from cnntui.labs.explore import ExploreState
from cnntui.labs.making import Ingredient, Kind, Making, Place, Step, making, told_as
from cnntui.labs.making_words import Printed, fixed, heading, printed
from cnntui.ui.theme import Palette, heat, ink, readable_on
from cnntui.ui.widgets.maps import Marked, as_map, extent, put_map, put_scale_text
from cnntui.ui.widgets.painted import Canvas, PaintedState

ROOMY = 24  # lines from which on there is air between the parts
RESULT = 28  # columns of the result at most
NUMBERS = 20  # columns of a result that is a number
BRACE = 3  # columns between the ingredients and the result
ROWS = 3  # ingredients that are to be seen at once, if need be smaller
TALLEST = 16  # lines of an ingredient
SMALL, LEAST = 7, 3  # lines of the maps beside the one looked at, at most and at least
BESIDE = 10  # columns kept for the number beside a small map
UNDER = Style(underline=True)
WEIGHT_CELLS = ((8, 6), (6, 5), (5, 4), (4, 4), (2, 0))  # columns of a weight, and of the number in it


@dataclass(frozen=True)
class Tile:
    """How an ingredient is laid out: where its parts begin, how wide and tall each is, and how many there are."""

    values: tuple[int, int, int]  # column, columns, lines
    weights: tuple[int, int, int]
    partial: tuple[int, int, int]
    cell: int  # columns of a weight; 0: the weights are drawn as a map
    tall: int
    wide: int
    rows: int

    @property
    def maps(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """How large the maps are."""
        return self.values[1:], self.partial[1:]


@dataclass(frozen=True)
class Room:
    """What there is for the rows: columns and lines, columns of the label, numbers under the rows or none."""

    wide: int
    lines: int
    label: int
    numbers: bool
    shape: tuple[int, int]


class LayerPanel(PaintedState[ExploreState]):
    """Paints the map looked at and its ingredients; `highlighted` is the place of one of them, whose page is shown."""

    DEFAULT_CSS = "LayerPanel { height: 1fr; }"

    def __init__(self, state: ExploreState, plain: bool = False) -> None:
        super().__init__(state)
        self.plain = plain
        self.highlighted = 0
        self.page = 1  # ingredients on a page, once painted
        self._making: Making | None = None

    def show(self, state: ExploreState, plain: bool = False, highlighted: int | None = None) -> None:
        """Show another state, with another ingredient highlighted if need be."""
        self.plain = plain
        if highlighted is not None or state.node != self.state.node:
            self.highlighted = highlighted or 0
        super().show(state)

    def turn(self, pages: int) -> None:
        """So many pages of ingredients on."""
        most = len(self.making.ingredients) - 1
        self.highlighted = max(0, min(self.highlighted // self.page * self.page + pages * self.page, most))
        self.repaint()

    @property
    def making(self) -> Making:
        """What is painted."""
        self._making = making(self.state, self._making)
        return self._making

    def paint(self, canvas: Canvas) -> None:
        """The header; at the left the ingredients, at the right what they become."""
        made, colors = self.making, self.palette
        unit = self.state.unit
        place = (unit[1], unit[2]) if len(unit) == 3 else None
        told = printed(made, place)
        top = 2 if canvas.height >= ROOMY else 1
        for y, line in enumerate(header(heading(made), canvas.width, top)):
            name, joint, more = line.partition(" · ") if not y else ("", "", line)
            x = canvas.put(0, y, name, ink(colors.accent, bold=True))
            canvas.put(x, y, joint + more, ink(colors.text))
        wide = self._result_width(canvas, made)
        left = canvas.width - wide - BRACE
        if made.ingredients:
            first, last = self._put_ingredients(canvas, top, left, made, told, place)
            self._put_brace(canvas, left, first, last, made)
            self._put_steps(canvas, canvas.width - wide, top, wide, made, told, place)
        else:
            self._put_steps(canvas, 0, top, canvas.width, made, told, place)

    def _result_width(self, canvas: Canvas, made: Making) -> int:
        """Columns for the result: its map as large as it gets in a third of the panel."""
        values = made.steps[made.looked].values
        if values.ndim == 0:
            return NUMBERS
        tall = canvas.height // 2
        if self._then is not None:
            most = min(2 * RESULT + 1, canvas.width // 2)
            return min(most, max(NUMBERS, 2 * extent(values.shape, _half(most), tall, self.plain)[0] + 1))
        most = min(RESULT, canvas.width // 3)
        return min(most, max(NUMBERS, extent(values.shape, most, tall, self.plain)[0]))

    @property
    def _then(self) -> Array | None:
        """The map looked at as it was at the pinned moment (H, W); None where none is pinned, or it is a single number."""
        state = self.state
        if state.pinned_trace is None or state.node == INPUT or len(state.unit) < 3:
            return None
        return np.asarray(state.pinned_trace.values[state.node][state.channel])

    # -- the ingredients

    def _put_ingredients(
        self, canvas: Canvas, top: int, wide: int, made: Making, told: Printed, place: Place | None
    ) -> tuple[int, int]:
        """A line of titles, a page of rows, a line of what is not on it; returns the lines of the first and last row."""
        count = len(made.ingredients)
        lines = canvas.height - top - 1 - (count > 1)
        tile = self._tile(made, told, wide, lines)
        self.page = max(1, tile.rows)
        at = max(0, min(self.highlighted, count - 1))
        first = at // self.page * self.page
        page = range(first, min(first + self.page, count))
        self._put_titles(canvas, top, tile, made, wide)
        seen = made.seen(place)
        y = top + 1
        pitch = tile.tall + 1 + (len(page) * (tile.tall + 2) <= lines)
        for line, index in enumerate(page):
            y = top + 1 + line * pitch
            self._put_row(canvas, y, tile, made, index, told, seen, place, index == at and count > 1)
        if count > self.page:
            self._put_rest(canvas, top + 1 + lines, tile, made, page, told)
        return top + 1, y + tile.tall - 1

    def _tile(self, made: Making, told: Printed, wide: int, lines: int) -> Tile:
        """The largest rows of which enough have room; in them the largest weights that leave the maps as they are."""
        parts, one = made.ingredients, made.ingredients[0]
        label = max(len(self._label(each)) for each in parts) + 1 if len(parts) > 1 else 0
        shape = max((as_map(each.values).shape for each in parts), key=prod)
        room = Room(wide, lines, label, bool(told.parts) and len(parts) > 1, (shape[0], shape[1]))
        slides = made.kind is Kind.KERNELS and one.weights is not None
        for tall in range(max(1, min(TALLEST, lines)), 0, -1):
            cells = [0]  # the weights are a map as well
            if slides and one.weights is not None and _fits(one.weights.shape, wide // 3, tall):
                cells = [cell for cell, _ in WEIGHT_CELLS]
            smallest = self._fitted(made, room, tall, cells[-1])
            if smallest.rows >= min(len(parts), ROWS):
                break
        for cell in cells:
            tile = self._fitted(made, room, tall, cell)
            if tile.wide <= wide and tile.rows == smallest.rows and tile.maps == smallest.maps:
                return tile
        return smallest

    def _fitted(self, made: Making, room: Room, tall: int, cell: int) -> Tile:
        """Rows of at most so many lines, with so many columns a weight."""
        one, slides, is_product = made.ingredients[0], made.kind is Kind.KERNELS, made.kind is Kind.PRODUCTS
        shows = is_product or (slides and len(made.ingredients) > 1)
        weights, partial = (0, 0), (0, 0)
        if slides and one.weights is not None:
            height, width = one.weights.shape
            weights = cell * width, height * max(1, min(cell // 2, tall // height))
            if not cell:
                weights = extent(one.weights.shape, max(4, room.wide // 4), tall, self.plain)
        maps = 1 + shows + is_product
        left = room.wide - room.label - 3 * (maps - 1) - (3 + weights[0] if slides else 0)
        each = max(1, left // maps)
        values = extent(room.shape, each, tall, self.plain)
        if is_product:
            weights = values
        if shows and one.partial is not None:
            partial = extent(as_map(one.partial).shape, each, tall, self.plain)
        columns, x = [], room.label
        for size in (values, weights, partial):
            columns.append((x, *size))
            x += size[0] + 3 if size[0] else 0
        tallest = max(values[1], weights[1], partial[1])
        rows = max(1, (room.lines + (not room.numbers)) // (tallest + 1))
        return Tile(columns[0], columns[1], columns[2], cell, tallest, x - 3, rows)

    def _label(self, each: Ingredient) -> str:
        """Its number; the whole name where they are of several layers, as at a merge."""
        return each.name if self.making.kind in (Kind.TERMS, Kind.FACTORS) else str(each.channel)

    def _put_titles(self, canvas: Canvas, y: int, tile: Tile, made: Making, wide: int) -> None:
        """What each column is, and its scale; shorter words where there is no room for all of them."""
        one, names = made.ingredients[0], {each.node for each in made.ingredients}
        forms = [one.node if len(names) == 1 else "branches"]
        if len(made.ingredients) == 1 and one.channel is not None:
            forms = [one.name, f"{one.node} {one.channel}", *forms]
        columns = [(0, forms, made.value_scale)]
        if tile.weights[1]:
            forms = ["weights", "w"] if made.kind is Kind.PRODUCTS else ["∗"]
            columns.append((tile.weights[0], forms, made.weight_scale))
        if tile.partial[1]:
            columns.append((tile.partial[0], ["="], made.partial_scale))
        for shorter in range(max(len(forms) for _, forms, _ in columns)):
            told = [(x, forms[min(shorter, len(forms) - 1)], scale) for x, forms, scale in columns]
            widths = [len(name) + 1 + put_scale_width(scale) for _, name, scale in told]
            starts: list[int] = []
            for (x, *_), before in zip(told, [-1, *widths], strict=False):
                starts.append(max(x, starts[-1] + before + 1) if starts else x)
            if starts[-1] + widths[-1] <= wide:
                break
        for x, (_, name, scale) in zip(starts, told, strict=True):
            end = canvas.put(x, y, name, ink(self.palette.text))
            put_scale_text(canvas, end + 1, y, scale, self.palette)

    def _put_row(
        self,
        canvas: Canvas,
        y: int,
        tile: Tile,
        made: Making,
        index: int,
        told: Printed,
        seen: frozenset[Place] | None,
        place: Place | None,
        is_highlighted: bool,
    ) -> None:
        """3 [map] ∗ [kernel] = [partial map] 0.2341."""
        colors, each, middle = self.palette, made.ingredients[index], y + (tile.tall - 1) // 2
        if len(made.ingredients) > 1:
            style = ink(colors.accent, bold=True) if is_highlighted else ink(colors.dim)
            canvas.put(0, middle, f"{self._label(each):>{tile.values[0] - 1}}", style)
        x, wide, tall = tile.values
        values = as_map(each.values)
        marked = Marked(None, seen if values.shape == each.values.shape else None, dims=False)
        y_of = {tall: y + (tile.tall - tall) // 2 for _, _, tall in (tile.values, tile.weights, tile.partial)}
        own = extent(values.shape, wide, tall, self.plain)[1]
        put_map(canvas, x, y + (tile.tall - own) // 2, values, made.value_scale, wide, tall, colors, self.plain, marked)
        x, wide, tall = tile.weights
        if tall and each.weights is not None:
            canvas.put(x - 2, middle, "×" if made.kind is Kind.PRODUCTS else "∗", ink(colors.dim))
            if tile.cell:
                self._put_weights(canvas, x, y_of[tall], tile, each.weights, made.weight_scale)
            else:
                weights = as_map(each.weights)
                put_map(canvas, x, y_of[tall], weights, made.weight_scale, wide, tall, colors, self.plain)
                _underline(canvas, x, y_of[tall] + tall - 1, wide)
        x, wide, tall = tile.partial
        if tall and each.partial is not None:
            canvas.put(x - 2, middle, "=", ink(colors.dim))
            marked = Marked(place if each.partial.size > 1 and made.kind is Kind.KERNELS else None)
            partial = as_map(each.partial)
            put_map(canvas, x, y_of[tall], partial, made.partial_scale, wide, tall, colors, self.plain, marked)
        if told.parts and len(made.ingredients) > 1:
            text = told.parts[index]
            style = ink(colors.accent if is_highlighted else colors.text)
            canvas.put(max(0, tile.wide - len(text)), y + tile.tall, text, style)

    def _put_weights(self, canvas: Canvas, x: int, y: int, tile: Tile, weights: Array, scale: float) -> None:
        """A slice of the kernel: on a ground in the colour grammar, underlined; numbers where there is room."""
        colors, cell = self.palette, tile.cell
        lines = max(1, tile.weights[2] // weights.shape[0])
        digits = dict(WEIGHT_CELLS).get(cell, 0)
        shades = shade(weights, scale)
        for row, signs in enumerate(glyphs(shades)):
            for column, sign in enumerate(signs):
                ground = None if self.plain else heat(int(shades[row, column]), colors)
                front = colors.text if ground is None else readable_on(ground)
                text = (short(float(weights[row, column]), digits) or "") if digits else sign if self.plain else " "
                text = text.replace("0.", ".", 1) if digits == cell else text  # no air between the cells
                text = f"{text:>{max(digits, cell - 1)}}".ljust(cell) if digits else text * cell
                for line in range(lines):
                    if y + row * lines + line < y + tile.weights[2]:
                        style = ink(front, ground, underline=line == lines - 1)
                        written = text if line == (lines - 1) // 2 or not digits else " " * cell
                        canvas.put(x + column * cell, y + row * lines + line, written, style)

    def _put_rest(self, canvas: Canvas, y: int, tile: Tile, made: Making, page: range, told: Printed) -> None:
        """How many more there are, and what they add up to."""
        colors, count = self.palette, len(made.ingredients)
        words = f"{page[0] + 1}–{page[-1] + 1} of {count}"
        rest = ""
        if made.is_sum:
            digits = len(told.parts[0].partition(".")[2])
            others = [float(text.replace(MINUS, "-")) for index, text in enumerate(told.parts) if index not in page]
            rest = f"{len(others)} more {fixed(told_as(sum(others), digits), digits)}"
        order = ", the strongest first" if made.by_strength else ", by number"
        if len(words) + len(order) + len(rest) + 1 <= tile.wide:
            words += order
        end = canvas.put(0, y, words, ink(colors.dim))
        canvas.put(max(end + 1, tile.wide - len(rest)), y, rest, ink(colors.dim))

    def _put_brace(self, canvas: Canvas, x: int, first: int, last: int, made: Making) -> None:
        """What gathers the ingredients; an arrow where there is only one."""
        colors, middle = self.palette, (first + last) // 2
        if len(made.ingredients) == 1 or last - first < 2:
            canvas.put(x + 1, middle, "→", ink(colors.dim))
            return
        for y in range(first, last + 1):
            canvas.put(x + 1, y, "╮" if y == first else "╯" if y == last else "│", ink(colors.dim))
        canvas.put(x + 1, middle, "Π" if made.kind is Kind.FACTORS else "Σ", ink(colors.accent, bold=True))

    # -- what they become

    def _put_steps(
        self, canvas: Canvas, x: int, top: int, wide: int, made: Making, told: Printed, place: Place | None
    ) -> None:
        """From the top down: the map looked at large, the others small, as words alone where there is no room."""
        lines, colors = canvas.height - top, self.palette
        heads = _heads(made, wide)
        rooms = self._rooms(made, wide, lines - sum(len(words) - 1 for words, _ in heads))
        y = top
        for index, step in enumerate(made.steps):
            if y >= canvas.height:
                return
            looked = index == made.looked
            relation, value = told.steps[index]
            style = ink(colors.accent, bold=True) if looked else ink(colors.text)
            room = rooms[index]
            words, scale = heads[index]
            text = f"{relation or ' '} {value}" if value else ""
            for line, part in enumerate(words):
                canvas.put(x, y + line, part, style)
            y += len(words) - 1
            if not room:
                y += len(words[-1]) + 1 + len(text) > wide
                canvas.put(x + wide - len(text), y, text, style)
                y += 2 if lines >= ROOMY else 1
                continue
            if scale:
                put_scale_text(canvas, x + wide - put_scale_width(step.scale), y, step.scale, colors)
            cursor = Marked(made.at(index, place) if step.values.size > 1 else None)
            then = self._then
            if looked and then is not None:
                y += 1 + self._put_both(canvas, x, y + 1, wide, room, step, then, value, cursor)
                continue
            across, down = put_map(
                canvas,
                x,
                y + 1,
                step.values,
                step.scale,
                wide if looked else wide - BESIDE,
                room,
                colors,
                self.plain,
                cursor,
            )
            if across + 1 + len(text) <= wide:
                canvas.put(x + across + 1, y + 1 + (down - 1) // 2, text, style)
                y += 1 + down
            else:
                where = f"at {place[0]},{place[1]} " if place else ""
                canvas.put(x, y + 1 + down, f"{where}{text}"[:wide], style)
                y += 2 + down

    def _put_both(
        self,
        canvas: Canvas,
        x: int,
        y: int,
        wide: int,
        tall: int,
        step: Step,
        then: Array,
        value: str,
        cursor: Marked,
    ) -> int:
        """A map at the present moment and at the pinned one, on one scale; under each its step and its number.

        Returns the lines taken.
        """
        state, colors, room = self.state, self.palette, _half(wide)
        old = fixed(state.then or 0.0, len(value.partition(".")[2])) if value else ""
        moments = ((x, step.values, state.when, value), (x + wide - room, then, state.pinned_words, old))
        for left, values, words, text in moments:
            _, down = put_map(canvas, left, y, values, step.scale, room, tall, colors, self.plain, cursor)
            is_now = values is step.values
            canvas.put(left, y + down, words[:room], ink(colors.accent if is_now else colors.dim, bold=is_now))
            canvas.put(left, y + down + 1, f"= {text}" if text else "", ink(colors.text, bold=is_now))
        return down + 2

    def _rooms(self, made: Making, wide: int, lines: int) -> list[int]:
        """Lines for the map of each step: first for the one looked at, then for those behind it, then those before."""
        rooms = [0] * len(made.steps)
        looked = made.looked
        left = lines - len(made.steps)  # a line of words each
        if made.steps[looked].values.ndim == 2:
            most = max(lines // 2 - 1, left - 1 - LEAST * (len(made.steps) - 1))
            is_pair = self._then is not None
            large = _half(wide) if is_pair else wide
            rooms[looked] = min(left, extent(made.steps[looked].values.shape, large, most, self.plain)[1])
            left -= rooms[looked] + 1 + is_pair
        others = [i for i in (*range(looked + 1, len(rooms)), *range(looked)) if made.steps[i].values.ndim == 2]
        for place, index in enumerate(others):
            room = max(min(SMALL, left // (len(others) - place)), LEAST)
            if room <= left:
                rooms[index] = extent(made.steps[index].values.shape, wide - BESIDE, room, self.plain)[1]
                left -= rooms[index]
        return rooms


def _fits(shape: tuple[int, ...], wide: int, tall: int) -> bool:
    """Whether a slice of a kernel can be drawn cell by cell."""
    return shape[0] <= tall and WEIGHT_CELLS[-1][0] * shape[1] <= wide


def _heads(made: Making, wide: int) -> list[tuple[list[str], bool]]:
    """Of each step its words in lines, none of them cut, and whether its scale stands behind the last of them.

    Where there is no room, the scale has a line for itself; but the one that the step before has, is not said again.
    """
    heads: list[tuple[list[str], bool]] = []
    for index, step in enumerate(made.steps):
        words = wrap(step.words, max(4, wide)) or [""]
        fits = len(words[-1]) + 1 + put_scale_width(step.scale) <= wide
        again = index > 0 and step.scale == made.steps[index - 1].scale
        heads.append(([*words, ""], True) if step.values.ndim and not fits and not again else (words, fits))
    return heads


def _half(wide: int) -> int:
    """Columns of one of two maps beside each other."""
    return (wide - 1) // 2


def put_scale_width(scale: float) -> int:
    """Columns that `put_scale_text` takes."""
    blank = Canvas(16, 1, Style())
    return put_scale_text(blank, 0, 0, scale, _NO_COLORS)


_NO_COLORS = Palette("#000000", *("#ffffff",) * 7)


def header(parts: list[str], width: int, lines: int) -> list[str]:
    """In so many lines what has room, the last parts and details left out first; no word is cut."""
    name, *rest = parts
    short = [rest[0].partition(" of ")[0], *rest[1:]] if rest else []
    tries = [[name, *rest], [name, *rest[:2]], [name, *short], [name, *short[:2]]]
    if len(short) > 1:
        clauses = short[1].split(", ")
        tries += [[name, short[0], ", ".join(clauses[:count])] for count in range(len(clauses) - 1, 0, -1)]
    tries += [[name, *short[:1]], [name]]
    for told in tries:
        made = [told[0]]
        for part in told[1:]:
            longer = f"{made[-1]} · {part}"
            made[-1:] = [longer] if len(longer) <= width else [made[-1], part]
        if len(made) <= lines and max(map(len, made)) <= width:
            return made
    return [name[:width]]


def _underline(canvas: Canvas, x: int, y: int, wide: int) -> None:
    if 0 <= y < canvas.height:
        for column in range(x, min(x + wide, canvas.width)):
            glyph, style = canvas.rows[y][column]
            canvas.rows[y][column] = (glyph, style + UNDER)
