"""What excites a unit most: patches of the test pictures, to choose one and look at it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.worker import get_current_worker

from cnntui.core.shading import scale_of
from cnntui.labs.excitement import Patch, Strongest, gathered, strongest
from cnntui.labs.explore import ExploreState
from cnntui.labs.overview import rounded
from cnntui.runs.excited import Excitement
from cnntui.runs.test_pictures import Gallery
from cnntui.ui.theme import ink
from cnntui.ui.widgets.maps import extent, put_map, put_scale_text
from cnntui.ui.widgets.painted import Canvas, PaintedState

CAPTION = 2  # lines under a patch
LEAST = 16  # columns of a tile
GAP = 2
SMALL = 14  # pixels of a picture that is to be known
PAGES = (9, 6, 4, 3, 2, 1)


@dataclass(frozen=True, eq=False)
class Shown:
    """The patches of a unit as they are known by now, and which is chosen; none while nothing is known."""

    found: Strongest | None
    classes: tuple[str, ...]
    plain: bool
    chosen: int = 0


class PatchGrid(PaintedState[Shown]):
    """Paints the patches on one scale, each with its picture, class and value."""

    DEFAULT_CSS = "PatchGrid { height: 1fr; }"

    class Clicked(Message):
        """A patch was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, state: Shown) -> None:
        super().__init__(state)
        self.across = 1
        self._places: list[tuple[range, range, int]] = []

    def paint(self, canvas: Canvas) -> None:
        """The header; a page of patches; the one that is chosen with a bar beside it."""
        shown, colors = self.state, self.palette
        found = shown.found
        self._places = []
        if found is None:
            canvas.put(0, 0, "looking at the first test pictures …", ink(colors.dim))
            return
        end = canvas.put(0, 0, found.words, ink(colors.error if found.is_dead else colors.text, bold=found.is_dead))
        if not found.patches:
            return
        scale = scale_of(np.concatenate([patch.pixels.reshape(-1) for patch in found.patches]))
        shape = (max(p.pixels.shape[0] for p in found.patches), max(p.pixels.shape[1] for p in found.patches))
        count, self.across, wide, tall = self._paged(canvas, shape)
        first = shown.chosen // count * count
        page = range(first, min(first + count, len(found.patches)))
        end = put_scale_text(canvas, end + 2, 0, scale, colors)
        if len(page) < len(found.patches):
            which = f"{page[0] + 1}–{page[-1] + 1} of {len(found.patches)}"
            canvas.put(max(end + 2, canvas.width - len(which)), 0, which, ink(colors.dim))
        for place, index in enumerate(page):
            row, column = divmod(place, self.across)
            x, y = column * wide, 2 + row * tall
            room = (wide - GAP - 1, tall - CAPTION - 1)
            self._put_patch(canvas, x, y, found.patches[index], index == shown.chosen, room, scale)
            self._places.append((range(x, x + wide), range(y, y + tall), index))

    def _paged(self, canvas: Canvas, shape: tuple[int, int]) -> tuple[int, int, int, int]:
        """How many patches make a page: nine, or fewer where they would be too small to be known; then as `_tiling`."""
        for count in PAGES:
            lines, *tiling = self._tiling(canvas, shape, count)
            if lines * (1 if self.state.plain else 2) >= min(SMALL, shape[0]):
                break
        across, wide, tall = tiling
        return count, across, wide, tall

    def _tiling(self, canvas: Canvas, shape: tuple[int, int], count: int) -> tuple[int, int, int, int]:
        """So many patches as large as can be: lines of a picture, how many beside each other, columns and lines of each."""
        best = (0, 0, 0, 0, 1, canvas.width, canvas.height - 2)
        for across in range(1, count + 1):
            rows = ceil(count / across)
            wide, tall = canvas.width // across, (canvas.height - 1) // rows  # no gap under the last row
            room = (wide - GAP - 1, tall - CAPTION - 1)
            if (wide < LEAST and across > 1) or room[1] < 1:
                continue
            columns, lines = extent(shape, *room, self.state.plain)
            if columns <= room[0] and lines <= room[1]:
                even = (count - rows * across, -abs(rows - across))
                best = max(best, (columns * lines, *even, lines, across, wide, lines + CAPTION + 1))
        return best[3:]

    def _put_patch(
        self, canvas: Canvas, x: int, y: int, patch: Patch, chosen: bool, room: tuple[int, int], scale: float
    ) -> None:
        shown, colors = self.state, self.palette
        _, lines = put_map(canvas, x + 1, y, patch.pixels, scale, *room, colors, shown.plain)
        if chosen:
            for line in range(lines + CAPTION):
                canvas.put(x, y + line, "▐", ink(colors.accent))
        name = shown.classes[patch.label] if patch.label < len(shown.classes) else str(patch.label)
        style = ink(colors.accent, bold=True) if chosen else ink(colors.text)
        canvas.put(x + 1, y + lines, rounded(patch.value)[: room[0]], style)
        canvas.put(x + 1, y + lines + 1, f"{patch.picture:,} · {name}"[: room[0] + GAP], ink(colors.dim))

    def on_click(self, event: events.Click) -> None:
        """The patch under the mouse."""
        event.stop()
        at = event.get_content_offset(self)
        for across, down, index in self._places:
            if at is not None and at.x in across and at.y in down:
                self.post_message(self.Clicked(index))
                return


class Patches(ModalScreen[Patch | None]):
    """The strongest patches of the unit looked at. Gives the one that was chosen, or None.

    Where the trainer told nothing of it, the first test pictures are looked at now, with the net as it is on the screen.
    """

    CSS = """
    Patches { align: center middle; }
    Patches > Vertical { width: 100; max-width: 98%; height: 34; max-height: 100%; border: round $accent; padding: 0 1; }
    """
    BINDINGS = [
        Binding("escape,q,x", "dismiss(None)", "Close"),
        Binding("enter", "take", "Look at it"),
        *(
            Binding(key, f"move({rows}, {columns})", show=False)
            for key, rows, columns in (("up", -1, 0), ("down", 1, 0), ("left", 0, -1), ("right", 0, 1))
        ),
    ]

    class Gathered(Message):
        """Some more test pictures were looked at."""

        def __init__(self, found: Strongest | None) -> None:
            super().__init__()
            self.found = found

    def __init__(self, state: ExploreState, gallery: Gallery, excitement: Excitement | None, plain: bool) -> None:
        super().__init__()
        self.state = state
        self.gallery = gallery
        found = None
        if excitement is not None:
            found = strongest(state.model, gallery, excitement, state.node, state.channel)
        self.shown = Shown(found, state.model.classes, plain)

    def compose(self) -> ComposeResult:
        """The grid in a frame that says whose they are and what one can do."""
        with Vertical() as frame:
            word = "channel" if len(self.state.unit) == 3 else "unit"
            frame.border_title = f"what excites {self.state.node} {word} {self.state.channel} most"
            frame.border_subtitle = "arrows choose · enter looks at it there · esc closes"
            yield PatchGrid(self.shown)

    def on_mount(self) -> None:
        """Look for what is not known."""
        if self.shown.found is None:
            self.gather()

    @work(thread=True, exclusive=True)
    def gather(self) -> None:
        """Off the event loop: the net is run once a picture."""
        worker = get_current_worker()
        state = self.state
        for excitement, of in gathered(state, self.gallery):
            if worker.is_cancelled:
                return
            found = strongest(state.model, self.gallery, excitement, state.node, state.channel, of)
            self.post_message(self.Gathered(found))

    def on_patches_gathered(self, event: Gathered) -> None:
        """Show what is known by now."""
        event.stop()
        self._show(replace(self.shown, found=event.found))

    def _show(self, shown: Shown) -> None:
        self.shown = shown
        self.query_one(PatchGrid).show(shown)

    @property
    def _patches(self) -> tuple[Patch, ...]:
        return self.shown.found.patches if self.shown.found else ()

    def action_move(self, rows: int, columns: int) -> None:
        """Choose another one."""
        to = self.shown.chosen + rows * self.query_one(PatchGrid).across + columns
        if 0 <= to < len(self._patches):
            self._show(replace(self.shown, chosen=to))

    def action_take(self) -> None:
        """Look at that one."""
        if self.is_current and self._patches:
            self.dismiss(self._patches[self.shown.chosen])

    def on_patch_grid_clicked(self, event: PatchGrid.Clicked) -> None:
        """Choose it; a second click looks at it."""
        event.stop()
        if event.index == self.shown.chosen:
            self.action_take()
        else:
            self._show(replace(self.shown, chosen=event.index))
