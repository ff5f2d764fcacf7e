"""One map and all that makes it: map ∗ kernel = partial map, row by row; their sum, and what follows it."""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style

from cnntui.core.arithmetic import short
from cnntui.core.shading import glyphs, shade
from cnntui.core.windows import Array
from cnntui.labs.explore import ExploreState
from cnntui.labs.making import Ingredient, Kind, Making, Place, Printed, decimals, fixed, making, printed, told_as
from cnntui.labs.making_words import heading
from cnntui.ui.theme import Palette, heat, ink, readable_on
from cnntui.ui.widgets.maps import Marked, as_map, extent, put_map, put_scale_text
from cnntui.ui.widgets.painted import Canvas, PaintedState

ROOMY = 24  # lines from which on there is air between the parts
RESULT = 28  # columns of the result at most
NUMBERS = 20  # columns of a result that is a number
BRACE = 4  # columns between the ingredients and the result
ROWS = 3  # ingredients that are to be seen at once, if need be smaller
TALLEST = 16  # lines of an ingredient
UNDER = Style(underline=True)
WEIGHT_CELLS = ((5, 4), (4, 3), (2, 0))  # columns of a weight, and of the number in it


@dataclass(frozen=True)
class Tile:
    """How an ingredient is laid out: where its parts begin, how wide and tall each is, and how many there are."""

    values: tuple[int, int, int]  # column, columns, lines
    weights: tuple[int, int, int]
    partial: tuple[int, int, int]
    number: int  # the column of what it adds
    cell: int  # columns of a weight
    tall: int
    wide: int
    rows: int


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
        self.highlighted = self.highlighted if highlighted is None else highlighted
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
        name, _, rest = heading(made).partition(" · ")
        end = canvas.put(0, 0, name, ink(colors.accent, bold=True))
        canvas.put(end, 0, f" · {rest}"[: max(0, canvas.width - end)], ink(colors.text))
        top = 2 if canvas.height >= ROOMY else 1
        wide = self._result_width(canvas, made)
        left = canvas.width - wide - BRACE
        if made.ingredients:
            first, last = self._put_ingredients(canvas, top, left, made, told, place)
            self._put_brace(canvas, left, first, last, made)
        self._put_steps(canvas, canvas.width - wide, top, wide, made, told, place)

    def _result_width(self, canvas: Canvas, made: Making) -> int:
        """Columns for the result: its map as large as it gets in a third of the panel."""
        values = made.steps[made.looked].values
        if values.ndim == 0:
            return NUMBERS
        most = min(RESULT, canvas.width // 3)
        tall = canvas.height // 2
        return min(most, max(NUMBERS, extent(values.shape, most, tall, self.plain)[0]))

    # -- the ingredients

    def _put_ingredients(
        self, canvas: Canvas, top: int, wide: int, made: Making, told: Printed, place: Place | None
    ) -> tuple[int, int]:
        """A line of titles, a page of rows, a line of what is not on it; returns the lines of the first and last row."""
        count = len(made.ingredients)
        lines = canvas.height - top - 1 - (count > 1)
        tile = self._tile(made, wide, lines)
        self.page = max(1, tile.rows)
        at = max(0, min(self.highlighted, count - 1))
        first = at // self.page * self.page
        page = range(first, min(first + self.page, count))
        self._put_titles(canvas, top, tile, made)
        seen = made.seen(place)
        y = top + 1
        for line, index in enumerate(page):
            y = top + 1 + line * (tile.tall + 1)
            self._put_row(canvas, y, tile, made, index, told, seen, place, index == at and count > 1)
        if count > self.page:
            self._put_rest(canvas, top + 1 + lines, tile, made, page, told)
        return top + 1, y + tile.tall - 1

    def _tile(self, made: Making, wide: int, lines: int) -> Tile:
        """The largest rows of which enough have room."""
        count = len(made.ingredients)
        wanted = min(count, ROWS)
        for tall in range(min(TALLEST, lines), 0, -1):
            tile = self._fitted(made, wide, tall, lines)
            if tile.rows >= wanted:
                return tile
        return tile

    def _fitted(self, made: Making, wide: int, tall: int, lines: int) -> Tile:
        """Rows of at most so many lines."""
        one = made.ingredients[0]
        count = len(made.ingredients)
        label = max(len(self._label(each, count)) for each in made.ingredients) + 1 if count > 1 else 0
        number = 1 + max(6, decimals(made.partial_scale) + 6) if made.is_sum and count > 1 else 0
        shows = made.is_sum and (count > 1 or made.kind is Kind.PRODUCTS) and made.kind is not Kind.TERMS
        room = wide - label - number
        shape = max((as_map(each.values).shape for each in made.ingredients), key=lambda s: s[0] * s[1])
        cell, weights = 0, (0, 0)
        if one.weights is not None and made.kind is Kind.KERNELS:
            cell, weights = self._kernel(one.weights.shape, room // 3, tall)
            room -= 3 + weights[0]
        parts = 1 + shows + (made.kind is Kind.PRODUCTS)
        each = max(1, (room - 3 * (parts - 1)) // parts)
        values = extent(shape, each, tall, self.plain)
        if made.kind is Kind.PRODUCTS:
            weights = values
        partial = (0, 0)
        if shows and one.partial is not None:
            partial = extent(as_map(one.partial).shape, each, tall, self.plain)
        x = label
        at_values, x = x, x + values[0] + 3
        at_weights, x = x, x + (weights[0] + 3 if weights[0] else 0)
        at_partial, x = x, x + (partial[0] + 3 if partial[0] else 0)
        end = x - 3
        tallest = max(values[1], weights[1], partial[1], 1)
        rows = max(1, (lines + 1) // (tallest + 1))
        return Tile(
            (at_values, *values),
            (at_weights, *weights),
            (at_partial, *partial),
            end + number,
            cell,
            tallest,
            end + number,
            rows,
        )

    @staticmethod
    def _kernel(shape: tuple[int, ...], wide: int, tall: int) -> tuple[int, tuple[int, int]]:
        """Columns of a weight: for a number where there is room, else for a shade."""
        height, width = shape
        for cell, _ in WEIGHT_CELLS:
            if cell * width <= max(wide, 12) and height <= tall:
                return cell, (cell * width, height * max(1, min(2 if cell > 2 else 1, tall // height)))
        return 1, (min(width, wide), min(height, tall))

    def _label(self, each: Ingredient, count: int) -> str:
        """Its number; the whole name where they are of several layers, as at a merge."""
        return each.name if self.making.kind in (Kind.TERMS, Kind.FACTORS) else str(each.channel)

    def _put_titles(self, canvas: Canvas, y: int, tile: Tile, made: Making) -> None:
        """What each column is, and its scale."""
        colors, one = self.palette, made.ingredients[0]
        names = {each.node for each in made.ingredients}
        name = one.name if len(made.ingredients) == 1 else one.node if len(names) == 1 else "branches"
        next_ = tile.weights[0] or tile.partial[0] or canvas.width
        _put_title(canvas, 0, y, name, made.value_scale, next_ - 1, colors)
        if tile.weights[1]:
            next_ = tile.partial[0] if tile.partial[1] else canvas.width
            _put_title(
                canvas, tile.weights[0], y, "∗" if tile.cell else "weights", made.weight_scale, next_ - 1, colors
            )
        if tile.partial[1]:
            _put_title(canvas, tile.partial[0], y, "=", made.partial_scale, tile.wide, colors)

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
            canvas.put(0, middle, f"{self._label(each, 0):>{tile.values[0] - 1}}", style)
        x, wide, tall = tile.values
        values = as_map(each.values)
        marked = Marked(None, seen if values.shape == each.values.shape else None)
        put_map(canvas, x, y, values, made.value_scale, wide, tall, colors, self.plain, marked)
        x, wide, tall = tile.weights
        if tall and each.weights is not None:
            canvas.put(x - 2, middle, "∗" if tile.cell else "×", ink(colors.dim))
            if tile.cell:
                self._put_weights(canvas, x, y, tile, each.weights, made.weight_scale)
            else:
                _, tall = put_map(canvas, x, y, as_map(each.weights), made.weight_scale, wide, tall, colors, self.plain)
                _underline(canvas, x, y + tall - 1, wide)
        x, wide, tall = tile.partial
        if tall and each.partial is not None:
            canvas.put(x - 2, middle, "=", ink(colors.dim))
            cursor = place if each.partial.ndim == 2 and made.kind is not Kind.PRODUCTS else None
            put_map(
                canvas, x, y, as_map(each.partial), made.partial_scale, wide, tall, colors, self.plain, Marked(cursor)
            )
        if told.parts[index] and len(made.ingredients) > 1:
            color = colors.accent if is_highlighted else colors.text
            canvas.put(tile.number - len(told.parts[index]), middle, told.parts[index], ink(color))

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
                text = short(float(weights[row, column]), digits) if digits else None
                text = f"{text or '':>{cell - 1}} " if digits else (sign * cell if self.plain else " " * cell)
                for line in range(lines):
                    if y + row * lines + line < y + tile.weights[2]:
                        style = ink(front, ground, underline=line == lines - 1)
                        written = text if line == (lines - 1) // 2 or not digits else " " * cell
                        canvas.put(x + column * cell, y + row * lines + line, written, style)

    def _put_rest(self, canvas: Canvas, y: int, tile: Tile, made: Making, page: range, told: Printed) -> None:
        """How many more there are, and what they add up to."""
        colors, count = self.palette, len(made.ingredients)
        order = "the strongest first" if made.by_strength else "by number"
        canvas.put(0, y, f"{page[0] + 1}–{page[-1] + 1} of {count}, {order}"[: tile.wide], ink(colors.dim))
        if not made.is_sum:
            return
        digits = decimals(made.partial_scale) + 2
        others = [text for index, text in enumerate(told.parts) if index not in page]
        rest = fixed(told_as(sum(float(text.replace("−", "-")) for text in others), digits), digits)
        text = f"{len(others)} more {rest}"
        canvas.put(tile.number - len(text), y, text, ink(colors.dim))

    def _put_brace(self, canvas: Canvas, x: int, first: int, last: int, made: Making) -> None:
        """What gathers the ingredients; an arrow where there is only one."""
        colors, middle = self.palette, (first + last) // 2
        if len(made.ingredients) == 1 or last - first < 2:
            canvas.put(x + 1, middle, "→", ink(colors.dim))
            return
        for y in range(first, last + 1):
            glyph = "╮" if y == first else "╯" if y == last else "├" if y == middle else "│"
            canvas.put(x, y, glyph, ink(colors.dim))
        sign = "Π" if made.kind is Kind.FACTORS else "Σ"
        canvas.put(x + 1, middle, sign, ink(colors.accent, bold=True))

    # -- what they become

    def _put_steps(
        self, canvas: Canvas, x: int, top: int, wide: int, made: Making, told: Printed, place: Place | None
    ) -> None:
        """From the top down: the map looked at large, the others small, as words alone where there is no room."""
        lines, colors = canvas.height - top, self.palette
        others = len(made.steps) - 1
        shape = made.steps[made.looked].values.shape
        large = extent(shape, wide, max(2, lines - 2 - 3 * others), self.plain)[1] if len(shape) == 2 else 0
        small = (lines - large - 2) // others - 1 if others else 0
        if small < 2:
            small = 0
        y = top
        for index, step in enumerate(made.steps):
            if y >= canvas.height:
                return
            looked = index == made.looked
            relation, value = told.steps[index]
            style = ink(colors.accent, bold=True) if looked else ink(colors.text)
            scale = put_scale_width(step.scale)
            canvas.put(x, y, step.words[: max(0, wide - scale - 1)], style)
            room = (large if looked else min(small, 8)) if step.values.ndim == 2 else 0
            text = f"{relation or ' '} {value}" if value else ""
            if not room:
                canvas.put(canvas.width - len(text), y, text, style)
                y += 2 if lines >= ROOMY else 1
                continue
            put_scale_text(canvas, canvas.width - scale, y, step.scale, colors)
            cursor = Marked(made.at(index, place))
            across, down = put_map(canvas, x, y + 1, step.values, step.scale, wide, room, colors, self.plain, cursor)
            if across + 1 + len(text) <= wide:
                canvas.put(x + across + 1, y + 1 + (down - 1) // 2, text, style)
                y += 1 + down
            else:
                where = f"at {place[0]},{place[1]} " if place else ""
                canvas.put(x, y + 1 + down, f"{where}{text}"[:wide], style)
                y += 2 + down


def put_scale_width(scale: float) -> int:
    """Columns that `put_scale_text` takes."""
    blank = Canvas(16, 1, Style())
    return put_scale_text(blank, 0, 0, scale, _NO_COLORS)


_NO_COLORS = Palette("#000000", *("#ffffff",) * 7)


def _put_title(canvas: Canvas, x: int, y: int, name: str, scale: float, end: int, colors: Palette) -> None:
    """A name and a scale, the scale first where there is no room for both."""
    width = put_scale_width(scale)
    room = end - x - width - 1
    if room > 0:
        x = canvas.put(x, y, name[:room] if len(name) <= room else name[: room - 1] + "…", ink(colors.text)) + 1
    put_scale_text(canvas, x, y, scale, colors)


def _underline(canvas: Canvas, x: int, y: int, wide: int) -> None:
    if 0 <= y < canvas.height:
        for column in range(x, min(x + wide, canvas.width)):
            glyph, style = canvas.rows[y][column]
            canvas.rows[y][column] = (glyph, style + UNDER)
