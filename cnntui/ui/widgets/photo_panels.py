"""Pictures of the data set: the misread ones, and what there is to learn from."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from cnntui.core.shading import ZERO
from cnntui.core.windows import Array
from cnntui.labs.classes import class_name, in_short, sentence
from cnntui.labs.watching import misread_count, misread_sentence, names
from cnntui.runs.events import Data
from cnntui.ui.theme import Palette, ink
from cnntui.ui.widgets.painted import Canvas
from cnntui.ui.widgets.panel import Panel, Shown, identity
from cnntui.ui.widgets.picture import put_picture, shrink

SOON = "tested at the end of each epoch: not yet"
TILE = 16  # columns of a picture with its line at least
SMALL = 14  # pixels that a digit needs to be known
SENTENCE = 22
ENOUGH = 6  # misread pictures that are to be seen at once, if need be smaller


def put_photo(
    canvas: Canvas, x: int, y: int, pixels: Array, factor: int, colors: Palette, plain: bool
) -> tuple[int, int]:
    """Draw (C, H, W) pixels from 0 to 255, grey in the colour grammar or in their own colours; returns columns, lines."""
    small = [shrink(channel, factor) for channel in pixels]
    if len(small) < 3 or plain:
        grey = np.mean(small, axis=0)
        shades = np.asarray(ZERO + np.round(grey / 255 * 127), dtype=np.uint8)
        return put_picture(canvas, x, y, shades, colors, plain), shades.shape[0] if plain else -(-shades.shape[0] // 2)
    height, width = small[0].shape
    for line in range(0, height, 2):
        for column in range(width):
            upper, lower = (_rgb(small, row, column) if row < height else None for row in (line, line + 1))
            canvas.put(x + column, y + line // 2, "▀", ink(upper, lower or colors.background))
    return width, -(-height // 2)


def _rgb(channels: list[Array], row: int, column: int) -> str:
    red, green, blue = (int(channel[row, column]) for channel in channels[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"


def _factor(shape: tuple[int, ...], canvas: Canvas, enough: int, plain: bool, least: int) -> int:
    """By what whole factor pictures are made smaller so that enough of them fit; not so small that nobody knows them."""
    for factor in range(1, 9):
        columns, rows, _, _ = _tiling(shape, factor, canvas, plain, least)
        smallest = max(shape) // (factor + 1) < SMALL
        if columns * rows >= (1 if smallest else enough):
            break
    return factor


def _tiling(shape: tuple[int, ...], factor: int, canvas: Canvas, plain: bool, least: int) -> tuple[int, int, int, int]:
    """How many columns and rows of pictures fit, and how wide and high each is with the line above it."""
    wide = -(-shape[-1] // factor) * (2 if plain else 1)
    lines = -(-shape[-2] // factor) if plain else -(-shape[-2] // factor // 2)
    tile, tall = max(least, wide) + 1, lines + 1
    return (canvas.width + 1) // tile, canvas.height // tall, tile, tall


class MisreadPanel(Panel):
    """The surest mistakes of the last test, as pictures."""

    def title(self, shown: Shown) -> str:
        """The one that is selected."""
        chosen = shown.looking.chosen_misread(shown.view)
        return misread_sentence(shown.view, chosen) if chosen else ""

    def depends(self, shown: Shown) -> Hashable:
        """The pictures and the selected one."""
        return (identity(shown.view.classes), identity(shown.view.data), shown.looking.misread, shown.looking.panel)

    def paint(self, canvas: Canvas, shown: Shown, colors: Palette) -> None:
        """The page on which the selected one stands."""
        view, classes = shown.view, shown.view.classes
        self.where = ""
        if classes is None:
            canvas.put(0, 1, SOON, ink(colors.dim))
            return
        if not classes.misread:
            canvas.put(0, 1, "not one test picture was misread", ink(colors.text))
            return
        pictures = self.pictures.of(view, classes, classes.pictures, len(classes.misread))
        if pictures is None:
            for line, misread in enumerate(classes.misread[: canvas.height]):
                canvas.put(0, line, misread_sentence(view, misread), ink(colors.text))
            return
        count = len(classes.misread)
        factor = _factor(pictures.shape[1:], canvas, min(count, ENOUGH), shown.glyphs, TILE)
        columns, rows, tile, tall = _tiling(pictures.shape[1:], factor, canvas, shown.glyphs, TILE)
        columns, rows = max(1, columns), max(1, rows)
        self.page = (columns, rows)
        chosen = min(shown.looking.misread, count - 1)
        first = chosen // (columns * rows) * columns * rows
        last = min(first + columns * rows, count)
        self._put_where(canvas, rows * tall, (first, last, count), misread_count(classes), colors)
        for place in range(last - first):
            row, column = divmod(place, columns)
            misread = classes.misread[first + place]
            text = sentence(misread, names(view)) if tile > SENTENCE else in_short(misread, names(view))
            selected = first + place == chosen
            ground = colors.accent if selected else None
            mark = "▸" if selected else " "
            x, y = column * tile, row * tall
            canvas.put(x, y, f"{mark}{text}"[: tile - 1], ink(colors.on_accent if selected else colors.text, ground))
            put_photo(canvas, x, y + 1, pictures[first + place], factor, colors, shown.glyphs)

    def _put_where(self, canvas: Canvas, under: int, part: tuple[int, int, int], total: int, colors: Palette) -> None:
        """Which of how many these are, and where the others lie: in the line under them, else in the title's."""
        first, last, count = part
        arrows = f"{'↑ ' * (first > 0)}{'↓ ' * (last < count)}"  # first: the end is cut where there is little room
        kept = f"{count}" if count == total else f"{count}, the surest of {total:,}"
        self.where = "" if under < canvas.height else f"{arrows}{first + 1}–{last} of {total:,}"
        if not self.where:
            canvas.put(0, canvas.height - 1, f"{arrows}{first + 1}–{last} of {kept}", ink(colors.dim))


class DataPanel(Panel):
    """What is learnt from: how much, of what, and what it looks like."""

    def title(self, shown: Shown) -> str:
        """Its name and sizes."""
        data = shown.view.data
        return f"{data.name}: {data.train:,} to train, {data.test:,} to test" if data else ""

    def depends(self, shown: Shown) -> Hashable:
        """The data event."""
        return identity(shown.view.data)

    def paint(self, canvas: Canvas, shown: Shown, colors: Palette) -> None:
        """Facts, counts by class, and the first pictures of each class."""
        data = shown.view.data
        if data is None:
            canvas.put(0, 1, "the data is still being loaded", ink(colors.dim))
            return
        canvas.put(0, 0, _facts(data)[: canvas.width], ink(colors.text))
        samples = self.pictures.of(shown.view, data, data.samples, len(data.sample_labels))
        beside = samples is not None and canvas.width >= 36
        wide = (26 if canvas.width >= 60 else 17) if beside else canvas.width
        left = Canvas(wide, canvas.height - 1, canvas.base)
        used = self._put_counts(left, data, colors)
        if samples is None:
            right = None
        elif beside:
            right, at = Canvas(canvas.width - wide - 2, canvas.height - 1, canvas.base), (wide + 2, 1)
        else:
            right, at = Canvas(canvas.width, max(0, canvas.height - used - 1), canvas.base), (0, used + 1)
        for y, row in enumerate(left.rows):
            canvas.rows[1 + y][: left.width] = row
        if right is not None and samples is not None:
            self._put_samples(right, data, samples, colors, shown.glyphs)
            for y, row in enumerate(right.rows):
                canvas.rows[at[1] + y][at[0] :] = row

    def _put_counts(self, canvas: Canvas, data: Data, colors: Palette) -> int:
        """A bar of the training pictures of each class; returns the lines used."""
        counts = data.train_counts
        if not counts or canvas.height < 2:
            return 0
        widest = min(10, max((len(class_name(data.classes, i)) for i in range(len(counts))), default=1))
        room, most = max(1, min(40, canvas.width - widest - 9)), max(*counts, 1)
        lines = min(len(counts), canvas.height - 1 if len(counts) > canvas.height else canvas.height)
        for y, count in enumerate(counts[:lines]):
            x = canvas.put(0, y, f"{class_name(data.classes, y)[:widest]:>{widest}} ", ink(colors.text, bold=True))
            x = canvas.put(x, y, "█" * round(count / most * room), ink(colors.negative))
            canvas.put(x + 1, y, f"{count:,}", ink(colors.dim))
        if lines < len(counts):
            canvas.put(0, lines, f"and {len(counts) - lines} more", ink(colors.dim))
        return lines + 1

    def _put_samples(self, canvas: Canvas, data: Data, samples: Array, colors: Palette, plain: bool) -> None:
        """One picture of each class, then the second of each."""
        seen: dict[int, int] = {}
        nth = []
        for place, label in enumerate(data.sample_labels):
            seen[label] = seen.get(label, 0) + 1
            nth.append((seen[label], label, place))
        factor = _factor(samples.shape[1:], canvas, len(seen), plain, SMALL)
        columns, rows, tile, tall = _tiling(samples.shape[1:], factor, canvas, plain, SMALL)
        for at, (_, label, place) in enumerate(sorted(nth)[: columns * rows]):
            y, x = at // columns * tall, at % columns * tile
            canvas.put(x, y, class_name(data.classes, label)[: tile - 1], ink(colors.text, bold=True))
            put_photo(canvas, x, y + 1, samples[place], factor, colors, plain)


def _facts(data: Data) -> str:
    """Shape, classes, mean and deviation of the training pixels, scaled to 0..1."""
    channels, height, width = data.shape
    words = [f"{channels}×{height}×{width}", f"{len(data.classes)} classes"]
    if data.mean and data.deviation:
        mean, deviation = (", ".join(f"{value:.3f}" for value in values) for values in (data.mean, data.deviation))
        words.append(f"mean {mean} ± {deviation}")
    return "  ".join(words)
