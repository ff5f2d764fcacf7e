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
from cnntui.runs.excited import STRONGEST, Excitement
from cnntui.runs.test_pictures import Gallery
from cnntui.ui.theme import ink
from cnntui.ui.widgets.maps import extent, put_map, put_scale_text
from cnntui.ui.widgets.painted import Canvas, PaintedState

CAPTION = 2  # lines under a patch
LEAST = 16  # columns of a tile
GAP = 2


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
        self._places: list[tuple[range, range]] = []

    def paint(self, canvas: Canvas) -> None:
        """The header; the patches as large as nine have room; the one that is chosen framed."""
        shown, colors = self.state, self.palette
        found = shown.found
        self._places = []
        if found is None:
            canvas.put(0, 0, "looking at the first test pictures …", ink(colors.dim))
            return
        canvas.put(0, 0, found.words, ink(colors.error if found.is_dead else colors.text, bold=found.is_dead))
        if not found.patches:
            return
        scale = scale_of(np.concatenate([patch.pixels.reshape(-1) for patch in found.patches]))
        put_scale_text(canvas, max(len(found.words) + 2, canvas.width - 6), 0, scale, colors)
        shape = (max(p.pixels.shape[0] for p in found.patches), max(p.pixels.shape[1] for p in found.patches))
        self.across, wide, tall = self._tiling(canvas, shape)
        for index, patch in enumerate(found.patches):
            row, column = divmod(index, self.across)
            x, y = column * wide, 2 + row * tall
            self._put_patch(canvas, x, y, patch, index == shown.chosen, (wide - GAP - 1, tall - CAPTION - 1), scale)
            self._places.append((range(x, x + wide), range(y, y + tall)))

    def _tiling(self, canvas: Canvas, shape: tuple[int, int]) -> tuple[int, int, int]:
        """How many patches beside each other, and the columns and lines of each, so that they are as large as can be."""
        best = (0, 0, 0, 1, canvas.width, canvas.height - 2)
        for across in range(1, STRONGEST + 1):
            wide, tall = canvas.width // across, (canvas.height - 2) // ceil(STRONGEST / across)
            if (wide < LEAST and across > 1) or tall < CAPTION + 2:
                continue
            took = extent(shape, wide - GAP - 1, tall - CAPTION - 1, self.state.plain)
            if took[0] <= wide - GAP - 1 and took[1] <= tall - CAPTION - 1:
                rows = ceil(STRONGEST / across)
                even = (STRONGEST - rows * across, -abs(rows - across))
                best = max(best, (took[0] * took[1], *even, across, wide, min(tall, took[1] + CAPTION + 1)))
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
        for index, (across, down) in enumerate(self._places):
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
