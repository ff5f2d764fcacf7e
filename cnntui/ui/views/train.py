"""The training view: what is about to be trained, then the run: progress, panels, and the hand on it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import get_current_worker

from cnntui.labs.train import TrainState, start
from cnntui.labs.watching import (
    ACCURACY,
    CLASSES,
    CONFUSION,
    DATA,
    FILTERS,
    LOSS,
    MAPS,
    MISREAD,
    RATE,
    Asked,
    Looking,
    difference,
    room_for,
    told,
    waiting,
)
from cnntui.runs.reader import RunReader, RunView
from cnntui.ui.clock import Clock
from cnntui.ui.views.train_moves import TrainMoves
from cnntui.ui.widgets.class_panels import ClassesPanel, ConfusionPanel
from cnntui.ui.widgets.curve_panels import AccuracyPanel, LossPanel, RatePanel
from cnntui.ui.widgets.map_panels import FiltersPanel, MapsPanel
from cnntui.ui.widgets.panel import Pane, Panel, Pictures, Shown
from cnntui.ui.widgets.photo_panels import DataPanel, MisreadPanel
from cnntui.ui.widgets.run_line import RunLine
from cnntui.ui.widgets.setup import Setup

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

POLL_SECONDS = 1.0
PIECE_SECONDS = 0.1  # of reading a long log, before the keys and the other runs have their turn
PAINT_SECONDS = 0.5  # between two drawings while a long log is read
PANES = 4
KINDS: dict[int, type[Panel]] = {
    LOSS: LossPanel,
    ACCURACY: AccuracyPanel,
    RATE: RatePanel,
    MAPS: MapsPanel,
    FILTERS: FiltersPanel,
    CLASSES: ClassesPanel,
    CONFUSION: ConfusionPanel,
    MISREAD: MisreadPanel,
    DATA: DataPanel,
}
BEFORE = (  # the start: on the settings
    ("space", "start", "Start", True),
    ("left", "change(-1)", "Change the setting", False),
    ("right", "change(1)", "Change the setting", False),
    ("up", "select(-1)", "Choose a setting", False),
    ("down", "select(1)", "Choose a setting", False),
    ("e", "net", "Net", True),
    ("x", "fresh", "Fresh weights, no TensorBoard, one rank", False),
)
WATCHING = (
    ("space", "go", "Go/pause", True),
    ("s", "stop", "Stop", True),
    ("k", "checkpoint", "Checkpoint now", False),
    ("l", "rate", "Learning rate", True),
    ("p", "probe", "Probe", True),
    ("left", "move(0, -1)", "Layer, picture", False),
    ("right", "move(0, 1)", "Layer, picture", False),
    ("up", "move(-1, 0)", "Layer, picture", False),
    ("down", "move(1, 0)", "Layer, picture", False),
    ("tab", "pane(1)", "Pane", True),
    ("shift+tab", "pane(-1)", "Pane", False),
    ("z", "enlarge", "Enlarge", True),
    ("enter", "enter", "Enlarge", True),
    ("escape", "back", "All panes again", False),
    ("g", "log", "Log scale, errors", False),
    ("a", "smooth", "Average", False),
    ("r", "recent", "Last or all steps", False),
    ("comma", "walk(-1)", "Curve's cursor", False),
    ("full_stop", "walk(1)", "Curve's cursor", False),
    ("less_than_sign", "walk(-10)", "Curve's cursor", False),
    ("greater_than_sign", "walk(10)", "Curve's cursor", False),
    ("w", "worst", "Worst class first", False),
    ("m", "glyphs", "Glyphs, colours", False),
    ("v", "others", "Overlay", True),
    ("e", "explore", "Explore", True),
    ("c", "compare", "Compare", False),
    ("n", "new", "New run", True),
    ("d", "detach", "Detach", False),
)


def _action(entry: tuple[str, str, str, bool]) -> str:
    return entry[1].partition("(")[0]


class TrainView(TrainMoves, Widget):
    """Draws the training lab, or the run it follows, and turns keys into moves and commands."""

    DEFAULT_CSS = """
    TrainView { layout: vertical; height: 1fr; }
    TrainView > #panes { height: 1fr; margin: 0 1; layout: grid; grid-gutter: 0 1; display: none; }
    TrainView > #panes.-four { grid-size: 2 2; grid-columns: 5fr 7fr; grid-rows: 1fr 1fr; }
    TrainView > #panes.-two { grid-size: 2 1; }
    TrainView > #panes.-one { grid-size: 1 1; }
    TrainView Pane.-hidden { display: none; }
    TrainView > #note { height: auto; max-height: 2; margin: 0 1; color: $warning; }
    TrainView RunLine { display: none; }
    TrainView > #note.-calm { color: $foreground; }
    TrainView > #note.-empty { display: none; }
    TrainView.-watching > #note { min-height: 1; display: block; }
    TrainView.-watching RunLine, TrainView.-watching > #panes { display: block; }
    TrainView.-watching Setup { display: none; }
    """

    BINDINGS = [
        *(Binding(key, action, what, show=shown) for key, action, what, shown in (*BEFORE, *WATCHING)),
        Binding("enter", "start", "Start", show=False),
        *(Binding(str(number), f"panel({number})", "Panel in this pane", show=False) for number in KINDS),
        Binding("o", "open", "Runs"),
    ]

    HELP = (
        "Training runs in a process of its own; this screen only reads its directory: leave, and come back with cnntui "
        "attach last. tab chooses a pane, a digit what it shows: 1 loss, 2 accuracy, 3 learning rate and speed, 4 maps, "
        "5 filters, 6 classes, 7 confusion matrix, 8 misread pictures, 9 data. Left and right choose the layer, up and down "
        "the picture; in 6, 7 and 8 they go through the panel, and enter has the net look at a misread picture."
    )

    can_focus = True
    hidden: frozenset[str] = frozenset()  # actions that a lesson has taken away
    offers: Mapping[str, TrainState] = MappingProxyType({})  # nets with their settings, offered before those of the zoo

    class Polled(Message):
        """Views of the run and of those drawn over it, read by a worker; `done`: nothing is left to read now."""

        def __init__(self, views: list[tuple[RunReader, RunView]], done: bool) -> None:
            super().__init__()
            self.views = views
            self.done = done

    class Changed(Message):
        """Other settings, or something new of the run, or another place to look at."""

    def __init__(self, state: TrainState | None = None, run: Path | None = None) -> None:
        super().__init__()
        self.state = state or start()
        self.reader: RunReader | None = RunReader(run) if run else None
        self.run_view: RunView | None = None
        self.others: dict[RunReader, RunView | None] = {}
        self.looking = Looking()
        self.as_glyphs = False
        self.asked: tuple[Asked, ...] = ()
        self.said: tuple[str, bool] | None = None
        self.layers_asked: set[str] = set()
        self._asked_to_stop = self.launching = False
        self._reading = False

    @property
    def clock(self) -> Clock:
        """The app's."""
        return cast("CnntuiApp", self.app).clock

    def compose(self) -> ComposeResult:
        """The settings, or the run."""
        yield Setup(self.state)
        yield RunLine()
        pictures = Pictures()
        panels = {number: kind(pictures) for number, kind in KINDS.items()}
        with Container(id="panes"):
            for place in range(PANES):
                yield Pane(place, panels)
        yield Static("", id="note", markup=False)

    def on_mount(self) -> None:
        """Show what there is."""
        self.follow(self.reader)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """On the settings only their keys; on a run only its."""
        if action in self.hidden:
            return False
        if action in {_action(entry) for entry in BEFORE}:
            return self.reader is None
        return self.reader is not None or action not in ({_action(entry) for entry in WATCHING} | {"panel"})

    # -- following a run

    def follow(self, reader: RunReader | None) -> None:
        """Watch a run, or none: then the settings are there."""
        self.reader, self.run_view, self.others = reader, None, {}
        self.asked, self.layers_asked, self.said = (), set(), None
        self._asked_to_stop = False
        self.set_class(reader is not None, "-watching")
        self.note("")
        self.refresh_bindings()
        if reader is None:
            self.clock.ignore(self)
            self.query_one(Setup).show(self.state)
        else:
            self.wake()

    def wake(self) -> None:
        """The screen is seen again: poll, if there is something to poll."""
        if self.reader is not None:
            self.poll_now()
            if not self._all_over():
                self.clock.listen(self, self.poll_now, every=POLL_SECONDS)

    def rest(self) -> None:
        """The screen is covered: the run goes on by itself."""
        self.clock.ignore(self)

    def _all_over(self) -> bool:
        return all(view is not None and view.over for view in (self.run_view, *self.others.values()))

    def poll_now(self) -> None:
        """Read what is new, unless the last reading is still under way: a reader is not for two threads at once."""
        if self.reader is not None and not self._reading:
            self._reading = True
            over = {reader for reader, view in self.others.items() if view is not None and view.over}
            self._read([self.reader, *(reader for reader in self.others if reader not in over)])

    @work(thread=True, group="poll")
    def _read(self, readers: list[RunReader]) -> None:
        """Off the event loop, since the file system may be slow, and a log long: then piece by piece, shown between."""
        worker = get_current_worker()
        told = -inf
        while True:
            views = [(reader, reader.poll(PIECE_SECONDS)) for reader in readers]
            watched = self.reader is readers[0] and not worker.is_cancelled
            done = not watched or not any(reader.more for reader in readers)
            if done or time.monotonic() - told >= PAINT_SECONDS:
                told = time.monotonic()
                self.post_message(self.Polled(views, done))
            if done:
                return

    def on_train_view_polled(self, event: Polled) -> None:
        """Draw it; runs that are over are not polled again."""
        event.stop()
        self._reading = not event.done
        for reader, view in event.views:
            if reader is self.reader:
                self.run_view = view
                cast("CnntuiApp", self.app).going_run = None if view.ended else view.directory
            elif reader in self.others:
                self.others[reader] = view
        if event.done and self.reader not in [reader for reader, _ in event.views]:
            self.poll_now()  # another run is watched since
        if self.reader is None or self.run_view is None:
            return
        self.asked = waiting(self.asked, self.run_view)
        self.lose_patience()
        self.draw()
        self.ask_for_layer()
        if self._all_over():
            self.clock.ignore(self)

    # -- drawing

    def on_resize(self) -> None:
        """As many panes as there is room for."""
        self.draw()

    def draw(self) -> None:
        """Draw the settings, or the run."""
        self.post_message(self.Changed())
        view = self.run_view
        if self.reader is None:
            self.query_one(Setup).show(self.state)
            return
        self._arrange()
        if view is None:
            return
        self.query_one(RunLine).show(view)
        over = tuple((difference(view.spec, other.spec), other) for other in self.others.values() if other is not None)
        shown = Shown(view, self.looking, over, self.as_glyphs or self.app.no_color)
        for place in self.looking.seen:
            self.query_one(f"#pane{place}", Pane).show(shown)
        self.note(*(self.said or told(view, self.asked)))

    def _arrange(self) -> None:
        """Which panes are seen, and how they stand."""
        self.looking = self.looking.fit(room_for(*self.size))
        seen = self.looking.seen
        panes = self.query_one("#panes")
        for name, count in (("-four", 4), ("-two", 2), ("-one", 1)):
            panes.set_class(len(seen) == count, name)
        for pane in self.query(Pane):
            pane.set_class(pane.place not in seen, "-hidden")

    def note(self, text: str, calm: bool = False) -> None:
        """The line under the run; what is not calm stands out."""
        line = self.query_one("#note", Static)
        line.set_class(calm, "-calm")
        line.set_class(not text, "-empty")
        if str(line.content) != text:
            line.update(text)

    def on_pane_clicked(self, event: Pane.Clicked) -> None:
        """It has the focus now."""
        event.stop()
        self.look(replace(self.looking, focus=event.place))
