"""What a pane of the Train screen can show, and the pane: a title line, a panel under it, painted only when it changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path

from textual import events
from textual.message import Message

from cnntui.core.windows import Array
from cnntui.labs.watching import PANELS, Looking
from cnntui.runs.events import Event
from cnntui.runs.reader import RunView
from cnntui.ui.theme import Palette, ink
from cnntui.ui.widgets.painted import Canvas, Painted

KEPT = 16  # files of maps that are kept decoded


@dataclass(frozen=True)
class Shown:
    """All that panels draw from: a run, those that are drawn over it (with what tells them apart), where one looks."""

    view: RunView
    looking: Looking
    others: tuple[tuple[str, RunView], ...] = ()
    glyphs: bool = False  # rather than colours


class Pictures:
    """The files of `maps/` that are looked at, each read once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int, int, str], Array] = OrderedDict()

    def of(self, view: RunView, event: Event, name: str | None, least: int = 1) -> Array | None:
        """The file that an event names; None while it cannot be had."""
        return self._once(view, event, name, lambda: view.shades(name, least))

    def filters(self, view: RunView) -> Array | None:
        """The weights of the first convolution; None while they cannot be had."""
        return self._once(view, view.probe, view.probe.filters, view.filters) if view.probe else None

    def _once(self, view: RunView, event: Event, name: str | None, load: Callable[[], Array | None]) -> Array | None:
        if name is None:
            return None
        key = (view.directory, event.attempt, event.seq, name)
        if key not in self._kept:
            array = load()
            if array is None:
                return None
            self._kept[key] = array
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


class Panel:
    """One thing to see of a run. `pictures` is shared by all panels of a screen."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.page = (1, 1)  # how many columns and rows of things were drawn last
        self.where = ""  # which of the things these are, for the end of the title line

    def title(self, shown: Shown) -> str:
        """What is seen now, behind the panel's name."""
        return ""

    def depends(self, shown: Shown) -> Hashable:
        """What the drawing depends on: it is drawn anew when this changes."""
        raise NotImplementedError

    def paint(self, canvas: Canvas, shown: Shown, colors: Palette) -> None:
        """Draw it."""
        raise NotImplementedError


def identity(event: Event | None) -> Hashable:
    """What tells two events of a run apart."""
    return event and (event.attempt, event.seq)


class Pane(Painted):
    """A title line that tells the panel's key and whether it has the focus, and the panel."""

    DEFAULT_CSS = "Pane { height: 1fr; width: 1fr; }"

    class Clicked(Message):
        """It wants the focus."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def __init__(self, place: int, panels: Mapping[int, Panel]) -> None:
        super().__init__(id=f"pane{place}")
        self.place = place
        self.panels = panels
        self.shown: Shown | None = None
        self._drawn: Hashable = None

    @property
    def number(self) -> int:
        """The panel that is seen."""
        return self.shown.looking.panes[self.place] if self.shown else 0

    @property
    def page(self) -> tuple[int, int]:
        """How many columns and rows of things the panel shows."""
        return self.panels[self.number].page if self.number else (1, 1)

    def show(self, shown: Shown) -> None:
        """Show a run, if anything is new to this pane."""
        self.shown = shown
        panel = self.panels[self.number]
        focused = shown.looking.focus == self.place
        drawn = (self.number, focused, shown.looking.enlarged, shown.glyphs, shown.view.directory, panel.depends(shown))
        if drawn != self._drawn or self._stale:
            self._drawn = drawn
            self.repaint()

    def paint(self, canvas: Canvas) -> None:
        """The title line, then the panel on a canvas of its own."""
        shown, colors = self.shown, self.palette
        if shown is None or not self.number:
            return
        panel = self.panels[self.number]
        body = Canvas(canvas.width, max(0, canvas.height - 1), canvas.base)
        panel.paint(body, shown, colors)
        canvas.rows[1:] = body.rows
        self._put_title(canvas, panel.title(shown), panel.where, shown.looking)

    def _put_title(self, canvas: Canvas, title: str, where: str, looking: Looking) -> None:
        colors, focused = self.palette, looking.focus == self.place
        line = ink(colors.accent if focused else colors.dim)
        canvas.put(0, 0, ("━" if focused else "─") * canvas.width, line)
        canvas.put(0, 0, "▸" if focused else "─", line)
        x = canvas.put(1, 0, f" {self.number} ", ink(colors.accent, bold=True))
        x = canvas.put(x, 0, f"{PANELS[self.number]} ", ink(colors.accent if focused else colors.text, bold=focused))
        end = f" {where} " if where else ""
        end += " esc back " if looking.enlarged and focused else ""
        if title:
            room = canvas.width - x - 2 - (len(end) if where else 0)
            cut = title if len(title) <= room else f"{title[: room - 1]}…"
            x = canvas.put(x + 1, 0, f" {cut} ", ink(colors.text)) if room > 4 else x
        if x + len(end) < canvas.width:
            canvas.put(canvas.width - len(end), 0, end, ink(colors.dim))

    def on_click(self, event: events.Click) -> None:
        """Ask for the focus."""
        event.stop()
        self.post_message(self.Clicked(self.place))
