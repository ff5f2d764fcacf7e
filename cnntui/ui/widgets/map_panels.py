"""Feature maps and filters as small pictures: half-blocks in the colour grammar, or glyphs where colour is not to be had."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from cnntui.core.arithmetic import MINUS, number
from cnntui.core.shading import ZERO, glyphs, scale_of, shade
from cnntui.core.windows import Array
from cnntui.labs.classes import class_name, whole_percent
from cnntui.labs.watching import names, reading
from cnntui.runs.events import Probe
from cnntui.ui.theme import Palette, heat, ink, readable_on
from cnntui.ui.widgets.painted import Canvas
from cnntui.ui.widgets.panel import Panel, Shown, identity
from cnntui.ui.widgets.picture import put_picture, shrink, shrinking

ENOUGH = 6  # maps that are to be seen at once, if need be smaller
RAMP = (1, 43, 85, ZERO, 170, 213, 255)
SOON = "they come with the first steps"
BESIDE = 52  # columns from which on the picture stands beside the maps, not above them
NUMBER = 6  # columns of a weight that is written out


def put_scale(canvas: Canvas, x: int, y: int, scale: float, colors: Palette, plain: bool) -> int:
    """The one scale of what is drawn: −1.5 ▇▇▇ 1.5."""
    text = number(scale, 2)
    x = canvas.put(x, y, f"{MINUS}{text} ", ink(colors.dim))
    for step in RAMP:
        x = canvas.put(x, y, glyphs(np.array([[step]]))[0] if plain else "█", ink(heat(step, colors)))
    return canvas.put(x, y, f" {text}", ink(colors.dim))


class MapsPanel(Panel):
    """One test picture, what the net says it is, and what a layer makes of it."""

    def title(self, shown: Shown) -> str:
        """Which test picture, its number first, and what the net says it is."""
        probe, asked = shown.view.probe, shown.looking.wanted
        if probe is None:
            return ""
        if asked is not None and asked not in probe.pictures:
            return f"picture {asked:,} is asked for"
        index = shown.looking.present_picture(shown.view)
        label, read, right = reading(shown.view, index)
        return f"picture {probe.pictures[index]:,}: a {label}, read as {read} {'✓' if right else '✗'}"

    def depends(self, shown: Shown) -> Hashable:
        """The probe, the layer and the picture."""
        view, looking = shown.view, shown.looking
        where = (looking.present_layer(view), looking.present_picture(view), looking.wanted)
        return (identity(view.probe), identity(view.data), where)

    def paint(self, canvas: Canvas, shown: Shown, colors: Palette) -> None:
        """The picture and the classes above the layer's maps, or beside them."""
        probe = shown.view.probe
        if probe is None:
            canvas.put(0, 1, SOON, ink(colors.dim))
            return
        index = shown.looking.present_picture(shown.view)
        beside = canvas.width >= BESIDE and canvas.height >= 12
        tall = self._tall(canvas, beside, len(probe.labels))
        wide = self._put_input(canvas, shown, probe, index, tall, colors)
        if not beside:
            self._put_odds(canvas, wide + 2, 0, shown, index, min(len(probe.probabilities[index]), tall), colors)
            self._put_layer(canvas, 0, tall + 1, shown, probe, index, colors)
            return
        room = canvas.height - tall
        column = max(wide, 16) + 2
        left = Canvas(column, canvas.height, canvas.base)
        self._put_odds(left, 0, 0, shown, index, room, colors)
        for y in range(room):
            canvas.rows[tall + y][:column] = left.rows[y]
        self._put_layer(canvas, column + 1, 0, shown, probe, index, colors)

    def _tall(self, canvas: Canvas, beside: bool, classes: int) -> int:
        """The lines that the test picture gets."""
        if beside:
            return 14 if canvas.height >= 26 else 7
        return 7 if canvas.height < 22 else min(14, canvas.height // 2 - 1)

    def _put_input(self, canvas: Canvas, shown: Shown, probe: Probe, index: int, tall: int, colors: Palette) -> int:
        pictures = self.pictures.of(shown.view, probe, probe.maps.get("input"), len(probe.pictures))
        if pictures is None:
            return 0
        picture = pictures[index, 0]
        small = shrink(picture, shrinking(picture.shape, tall if shown.glyphs else 2 * tall))
        return put_picture(canvas, 0, 0, small[: tall if shown.glyphs else 2 * tall], colors, shown.glyphs)

    def _put_odds(self, canvas: Canvas, x: int, y: int, shown: Shown, index: int, lines: int, colors: Palette) -> None:
        """The likeliest classes, as many as there are lines; in the classes' order."""
        odds = shown.view.probe.probabilities[index] if shown.view.probe else []
        likeliest = sorted(sorted(range(len(odds)), key=lambda i: -odds[i])[: max(0, lines)])
        labels = [class_name(names(shown.view), i) for i in likeliest]
        widest = min(8, max(map(len, labels), default=1))
        room = max(0, min(24, canvas.width - x - widest - 7))
        for line, (i, name) in enumerate(zip(likeliest, labels, strict=True)):
            end = canvas.put(x, y + line, f"{name[:widest]:>{widest}} ", ink(colors.text))
            end = canvas.put(end, y + line, ("█" * round(odds[i] * room)) or "▏", ink(colors.accent))
            canvas.put(end + 1, y + line, whole_percent(odds[i]), ink(colors.dim))

    def _put_layer(
        self, canvas: Canvas, x: int, y: int, shown: Shown, probe: Probe, index: int, colors: Palette
    ) -> None:
        """The layer's name, its scale, and as many of its maps as fit."""
        layer = shown.looking.present_layer(shown.view)
        if layer is None:
            return
        end = canvas.put(x, y, layer, ink(colors.accent, bold=True))
        shades = self.pictures.of(shown.view, probe, probe.maps.get(layer), len(probe.pictures))
        if shades is None:
            asked = layer not in probe.maps
            canvas.put(end, y, " is asked for" if asked else ": its maps are not there any more", ink(colors.dim))
            return
        plain, wide, lines = shown.glyphs, canvas.width - x, canvas.height - y - 1
        factor, columns, rows = _fitting(shades[index], wide, lines, plain)
        fit = max(0, columns * rows)
        thumbs = [shrink(channel, factor) for channel in shades[index][:fit]]
        end = canvas.put(end, y, f"  {len(thumbs)} of {probe.channels[layer]} maps  ", ink(colors.dim))
        at = f"step {probe.step:,}"
        end = put_scale(canvas, end, y, probe.scales[layer], colors, plain)
        if end + 2 + len(at) <= canvas.width:
            canvas.put(canvas.width - len(at), y, at, ink(colors.dim))
        for place, thumb in enumerate(thumbs):
            row, column = divmod(place, columns)
            left, top = column * (_wide(thumb, plain) + 1), row * (_lines(thumb, plain) + 1)
            put_picture(canvas, x + left, y + 1 + top, thumb, colors, plain)


def _wide(picture: Array, plain: bool) -> int:
    return int(picture.shape[1]) * (2 if plain else 1)


def _lines(picture: Array, plain: bool) -> int:
    return int(picture.shape[0]) if plain else -(-int(picture.shape[0]) // 2)


def _fitting(maps: Array, wide: int, lines: int, plain: bool) -> tuple[int, int, int]:
    """By what factor maps (C, H, W) are made smaller so that enough of them fit, and in how many columns and rows."""
    for factor in range(1, 9):
        thumb = shrink(maps[0], factor)
        columns, rows = (wide + 1) // (_wide(thumb, plain) + 1), (lines + 1) // (_lines(thumb, plain) + 1)
        if columns * rows >= min(ENOUGH if lines >= 10 else ENOUGH // 2, len(maps)):
            break
    return factor, columns, rows


class FiltersPanel(Panel):
    """The weights of the first convolution, each filter a picture; in numbers too where there is room."""

    def title(self, shown: Shown) -> str:
        """Whose they are."""
        probe = shown.view.probe
        return f"the weights of {probe.filters_layer}" if probe and probe.filters else ""

    def depends(self, shown: Shown) -> Hashable:
        """The probe, and which filters are scrolled to."""
        return identity(shown.view.probe)

    def paint(self, canvas: Canvas, shown: Shown, colors: Palette) -> None:
        """A line with the scale; filters beside and under each other, its input channels beside each other."""
        probe = shown.view.probe
        if probe is None:
            canvas.put(0, 1, SOON, ink(colors.dim))
            return
        weights = self.pictures.filters(shown.view)
        if weights is None:
            canvas.put(0, 1, "this net has no convolution, or its weights are not there", ink(colors.dim))
            return
        count, inputs, height, width = (int(n) for n in weights.shape)
        cell, lines = self._cell(canvas, count, inputs, height, width)
        wide, tall = inputs * width * cell + inputs - 1, height * lines
        columns, rows = max(1, (canvas.width + 2) // (wide + 2)), max(1, canvas.height // (tall + 1))
        fit = min(count, columns * rows)
        end = canvas.put(0, 0, f"{fit} of {count} filters {width}×{height}  "[: canvas.width], ink(colors.dim))
        scale = scale_of(weights)
        put_scale(canvas, end, 0, scale, colors, shown.glyphs)
        for place in range(fit):
            row, column = divmod(place, columns)
            for channel in range(inputs):
                corner = (column * (wide + 2) + channel * (width * cell + 1), 1 + row * (tall + 1))
                size = (cell, lines)
                self._put_filter(canvas, corner, size, weights[place, channel], scale, colors, shown.glyphs)

    def _cell(self, canvas: Canvas, count: int, inputs: int, height: int, width: int) -> tuple[int, int]:
        """Columns and lines of a weight: written out, and in large cells, if enough filters fit so."""
        for cell, lines in ((12, 5), (9, 4), (8, 3), (NUMBER, 2), (NUMBER, 1), (4, 2)):
            columns = (canvas.width + 2) // (inputs * width * cell + inputs + 1)
            if columns * (canvas.height // (height * lines + 1)) >= min(count, 16):
                return cell, lines
        return 2, 1

    def _put_filter(
        self,
        canvas: Canvas,
        corner: tuple[int, int],
        size: tuple[int, int],
        weights: Array,
        scale: float,
        colors: Palette,
        plain: bool,
    ) -> None:
        """Cells on a ground in the colour grammar, underlined as weights are everywhere; numbers where they have room."""
        (left, top), (cell, lines) = corner, size
        shades = shade(weights, scale)
        for row, column in np.ndindex(*shades.shape):
            ground = None if plain else heat(int(shades[row, column]), colors)
            style = ink(colors.text if ground is None else readable_on(ground), ground)
            value = f"{float(weights[row, column]):z.2f}".replace("-", MINUS)
            text = (
                f"{value:>{cell - 1}} "
                if cell >= NUMBER
                else glyphs(shades[row : row + 1, column : column + 1])[0] * cell
            )
            empty = text if plain and cell < NUMBER else " " * cell
            for line in range(lines):
                middle = line == (lines - 1) // 2 and (plain or cell >= NUMBER)
                last = ink(style.color and style.color.name, ground, underline=line == lines - 1)
                x, y = left + column * cell, top + row * lines + line
                canvas.put(x, y, text if middle else empty, last)
