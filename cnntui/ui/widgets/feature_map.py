"""Feature maps as small pictures: half-blocks in the colour grammar, or glyphs where colour is not to be had."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnntui.core.arithmetic import number
from cnntui.core.shading import ZERO, glyphs
from cnntui.core.windows import Array
from cnntui.labs.train import Looking
from cnntui.runs.reader import RunView
from cnntui.ui.theme import heat, ink
from cnntui.ui.widgets.painted import Canvas, Painted
from cnntui.ui.widgets.picture import put_picture, shrink, shrinking

ENOUGH = 6  # maps that are to be seen at once, if need be smaller
RAMP = (1, 43, 85, ZERO, 170, 213, 255)


class FeatureMaps(Painted):
    """One test picture, what the net says it is, and what a layer makes of it."""

    DEFAULT_CSS = "FeatureMaps { height: 1fr; width: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.view: RunView | None = None
        self.looking = Looking()
        self.as_glyphs = False
        self._shades: dict[str, Array] = {}
        self._probe: tuple[Path, int, int] | None = None  # what the shades are of

    def show(self, view: RunView, looking: Looking, as_glyphs: bool) -> None:
        """Show a run's latest probe; the files are read once a probe."""
        probe = (view.directory, view.probe.attempt, view.probe.seq) if view.probe else None
        if probe != self._probe:
            self._shades, self._probe = {}, probe
        self.view, self.looking, self.as_glyphs = view, looking, as_glyphs
        self.repaint()

    def _maps(self, layer: str) -> Array | None:
        if layer not in self._shades and self.view:
            shades = self.view.maps(layer)
            if shades is None:
                return None
            self._shades[layer] = shades
        return self._shades.get(layer)

    def paint(self, canvas: Canvas) -> None:
        """The picture and the classes above, the layer's maps below."""
        view, colors = self.view, self.palette
        if view is None or view.probe is None:
            canvas.put(0, 0, "feature maps appear when training begins", ink(colors.dim))
            return
        probe = view.probe
        index = min(self.looking.picture, len(probe.pictures) - 1)
        odds = probe.probabilities[index]
        best = max(range(len(odds)), key=odds.__getitem__)
        classes = view.data.classes if view.data else [str(i) for i in range(len(odds))]

        def name(index: int) -> str:
            return classes[index] if index < len(classes) else str(index)

        right = best == probe.labels[index]
        which = f"picture {probe.pictures[index]}: " if canvas.width >= 44 else ""
        words = f"step {probe.step:,}  {which}a {name(probe.labels[index])}, read as "
        x = canvas.put(0, 0, words, ink(colors.text))
        canvas.put(
            x, 0, f"{name(best)} {'✓' if right else '✗'}", ink(colors.accent if right else colors.error, bold=True)
        )

        # From 17 lines on there is one for each of ten classes.
        tall = max(10 if canvas.height >= 17 else 5, min(14, canvas.height // 2 - 1))
        block = min(len(odds), tall)
        pictures = self._maps("input")
        width = 0
        if pictures is not None:
            picture = pictures[index, 0]
            small = shrink(picture, shrinking(picture.shape, tall if self._plain else 2 * tall))
            width = put_picture(canvas, 0, 1, small, self.palette, self._plain)
            block = max(block, -(-small.shape[0] // (1 if self._plain else 2)))
        self._put_odds(canvas, width + 2, 1, odds, classes, block)
        self._put_layer(canvas, block + 2, index)

    @property
    def _plain(self) -> bool:
        return self.as_glyphs or self.app.no_color

    def _put_odds(self, canvas: Canvas, x: int, y: int, odds: list[float], classes: list[str], lines: int) -> None:
        """The likeliest classes, as many as there are lines; in the classes' order."""
        colors = self.palette
        shown = sorted(sorted(range(len(odds)), key=lambda i: -odds[i])[:lines])
        names = [classes[i] if i < len(classes) else str(i) for i in shown]
        widest = min(8, max(map(len, names), default=1))
        room = max(0, min(24, canvas.width - x - widest - 8))
        for line, (i, name) in enumerate(zip(shown, names, strict=True)):
            end = canvas.put(x, y + line, f"{name[:widest]:>{widest}} ", ink(colors.text))
            end = canvas.put(end, y + line, ("█" * round(odds[i] * room)) or "▏", ink(colors.accent))
            canvas.put(end + 1, y + line, f"{odds[i]:.0%}", ink(colors.dim))

    def _put_layer(self, canvas: Canvas, y: int, index: int) -> None:
        view, colors = self.view, self.palette
        layer = self.looking.present_layer(view) if view else None
        shades = self._maps(layer) if layer else None
        if view is None or view.probe is None or layer is None or shades is None:
            return
        room_lines = canvas.height - y - 1
        for factor in range(1, 9):
            thumbs = [shrink(channel, factor) for channel in shades[index]]
            wide = thumbs[0].shape[1] * (2 if self._plain else 1)
            lines = thumbs[0].shape[0] if self._plain else -(-thumbs[0].shape[0] // 2)
            columns, rows = (canvas.width + 1) // (wide + 1), (room_lines + 1) // (lines + 1)
            if columns * rows >= min(ENOUGH, len(thumbs)):
                break
        shown = min(len(thumbs), columns * rows)
        scale = number(view.probe.scales[layer], 2)
        x = canvas.put(0, y, layer, ink(colors.accent, bold=True))
        x = canvas.put(x, y, f" {shown} of {view.probe.channels[layer]} maps  −{scale} ", ink(colors.dim))
        for step in RAMP:
            x = canvas.put(x, y, glyphs(np.array([[step]]))[0] if self._plain else "█", ink(heat(step, colors)))
        canvas.put(x, y, f" {scale}", ink(colors.dim))
        for number_, thumb in enumerate(thumbs[:shown]):
            row, column = divmod(number_, columns)
            put_picture(canvas, column * (wide + 1), y + 1 + row * (lines + 1), thumb, colors, self._plain)
