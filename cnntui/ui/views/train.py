"""The training view: what is about to be trained, then the run: progress, curves, maps, and the hand on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from cnntui.core.nets import load_net, zoo
from cnntui.core.network import Network
from cnntui.labs.plain import percent
from cnntui.labs.train import Looking, TrainState, start
from cnntui.runs.control import send
from cnntui.runs.launch import LaunchError, launch
from cnntui.runs.listing import row, run_directories
from cnntui.runs.reader import RunReader, RunView, UnreadableRunError
from cnntui.runs.spec import Settings, Spec, new_spec
from cnntui.ui.clock import Clock
from cnntui.ui.screens.dialogs import Choose
from cnntui.ui.widgets.feature_map import FeatureMaps
from cnntui.ui.widgets.loss_chart import LossChart
from cnntui.ui.widgets.run_line import RunLine
from cnntui.ui.widgets.setup import Setup

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

POLL_SECONDS = 0.5


class TrainView(Widget):
    """Draws the training lab, or the run it follows, and turns keys into moves and commands."""

    DEFAULT_CSS = """
    TrainView { layout: vertical; height: 1fr; }
    TrainView > Horizontal { height: 1fr; }
    TrainView LossChart { width: 1fr; margin: 0 1; }
    TrainView FeatureMaps { width: 1fr; margin: 0 1; }
    TrainView > #note { height: auto; max-height: 2; margin: 0 1; color: $warning; }
    TrainView RunLine, TrainView > Horizontal { display: none; }
    TrainView.-watching RunLine { display: block; }
    TrainView.-watching > Horizontal { display: block; layout: horizontal; }
    TrainView.-watching Setup { display: none; }
    """

    BINDINGS = [
        Binding("space", "go", "Start/pause"),
        Binding("s", "stop", "Stop"),
        Binding("left", "sideways(-1)", "Previous layer, or value", show=False),
        Binding("right", "sideways(1)", "Next layer, or value", show=False),
        Binding("up", "vertical(-1)", "Previous picture, or setting", show=False),
        Binding("down", "vertical(1)", "Next picture, or setting", show=False),
        Binding("g", "log", "Log scale", show=False),
        Binding("m", "glyphs", "Maps as glyphs", show=False),
        Binding("e", "net", "Net", show=False),
        Binding("o", "open", "Runs"),
        Binding("n", "new", "New run"),
        Binding("d", "detach", "Detach"),
    ]

    HELP = (
        "Training runs in a process of its own and writes a directory; this screen only reads it. Leave, lose the link, "
        "come back with cnntui attach last: the run goes on and its whole curve is there. "
        "Left and right choose the layer whose maps are shown, up and down the test picture."
    )

    can_focus = True

    class Polled(Message):
        """A view of the run, read by a worker."""

        def __init__(self, reader: RunReader, view: RunView) -> None:
            super().__init__()
            self.reader = reader
            self.view = view

    class Launched(Message):
        """A run was started, or could not be."""

        def __init__(self, reader: RunReader | None, problem: str = "") -> None:
            super().__init__()
            self.reader = reader
            self.problem = problem

    def __init__(self, state: TrainState | None = None, run: Path | None = None) -> None:
        super().__init__()
        self.state = state or start()
        self.reader: RunReader | None = RunReader(run) if run else None
        self.run_view: RunView | None = None
        self.looking = Looking()
        self.as_glyphs = False
        self._asked_to_stop = False
        self._reading = False

    @property
    def clock(self) -> Clock:
        """The app's."""
        return cast("CnntuiApp", self.app).clock

    def compose(self) -> ComposeResult:
        """The settings, or the run."""
        yield Setup(self.state)
        yield RunLine()
        with Horizontal():
            yield LossChart()
            yield FeatureMaps()
        yield Static("", id="note", markup=False)

    def on_mount(self) -> None:
        """Show what there is."""
        self.focus()
        self._follow(self.reader)

    # -- following a run

    def _follow(self, reader: RunReader | None) -> None:
        self.reader, self.run_view = reader, None
        self.set_class(reader is not None, "-watching")
        self._note("")
        if reader is None:
            self.clock.ignore(self)
            self.query_one(Setup).show(self.state)
        else:
            self.wake()

    def wake(self) -> None:
        """The screen is seen again: poll, if there is something to poll."""
        if self.reader is not None:
            self._poll(self.reader)
            if self.run_view is None or not self.run_view.over:
                self.clock.listen(self, self._poll_now, every=POLL_SECONDS)

    def rest(self) -> None:
        """The screen is covered: the run goes on by itself."""
        self.clock.ignore(self)

    def _poll_now(self) -> None:
        if self.reader is not None:
            self._poll(self.reader)

    def _poll(self, reader: RunReader) -> None:
        """Read what is new, unless the last reading is still under way: a reader is not for two threads at once."""
        if not self._reading:
            self._reading = True
            self._read(reader)

    @work(thread=True, group="poll")
    def _read(self, reader: RunReader) -> None:
        """Off the event loop, since the file system may be slow."""
        self.post_message(self.Polled(reader, reader.poll()))

    def on_train_view_polled(self, event: Polled) -> None:
        """Draw it; a run that is over is not polled again."""
        event.stop()
        self._reading = False
        if event.reader is not self.reader:
            return
        self.run_view = event.view
        cast("CnntuiApp", self.app).going_run = None if event.view.ended else event.view.spec.run
        self._draw()
        if event.view.over:
            self.clock.ignore(self)

    def _draw(self) -> None:
        view = self.run_view
        if view is None:
            self.query_one(Setup).show(self.state)
            return
        self.query_one(RunLine).show(view)
        self.query_one(LossChart).show(view, self.looking.log)
        self.query_one(FeatureMaps).show(view, self.looking, self.as_glyphs)
        notes = [notice.message for notice in view.notices[-1:]]
        if view.message:
            notes = [f"{view.label}: {view.message}"]
        elif view.answers and not view.answers[-1].accepted:
            notes.append(f"{view.answers[-1].command} was refused: {view.answers[-1].message}")
        if view.skipped:
            notes.append(f"{view.skipped} records of the log could not be read")
        self._note("   ".join(notes))

    def _note(self, text: str) -> None:
        line = self.query_one("#note", Static)
        if str(line.content) != text:
            line.update(text)

    @property
    def going(self) -> bool:
        """Whether a run is followed that has not ended."""
        return self.reader is not None and (self.run_view is None or not self.run_view.ended)

    # -- keys

    def action_go(self) -> None:
        """Start; or pause; or resume."""
        if self.reader is None:
            self._launch()
        elif self.going:
            paused = self.run_view is not None and self.run_view.state == "paused"
            self._command("resume" if paused else "pause")
        else:
            self.app.notify("this run has ended: n begins a new one", markup=False)

    def _launch(self) -> None:
        self._note("starting …")
        self._start(new_spec(self.state.network, self.state.settings))

    @work(thread=True, exclusive=True, group="launch")
    def _start(self, spec: Spec) -> None:
        """Off the event loop: a directory is made and synced, and a process started."""
        try:
            self.post_message(self.Launched(RunReader(launch(spec))))
        except (LaunchError, UnreadableRunError) as error:
            self.post_message(self.Launched(None, str(error)))

    def on_train_view_launched(self, event: Launched) -> None:
        """Follow the new run, or say why there is none."""
        event.stop()
        if event.reader is None:
            self._note(f"not started: {event.problem}")
            return
        cast("CnntuiApp", self.app).going_run = event.reader.spec.run
        self._follow(event.reader)

    def _command(self, command: str) -> None:
        if self.reader is None:
            return
        try:
            send(self.reader.directory, command)
        except OSError as error:
            self._note(f"{command} could not be asked: {error.strerror}")
            return
        self.app.notify(f"{command}: asked", timeout=2, markup=False)

    def action_stop(self) -> None:
        """Stop after a checkpoint; asked twice, because it cannot be undone."""
        if not self.going:
            return
        if self._asked_to_stop:
            self._asked_to_stop = False
            self._command("stop")
            return
        self._asked_to_stop = True
        self.app.notify("s once more stops this run, after a checkpoint", severity="warning", markup=False)
        self.set_timer(4, self._forget_stop)

    def _forget_stop(self) -> None:
        self._asked_to_stop = False

    def action_detach(self) -> None:
        """Leave the app; the run goes on."""
        self.app.exit()

    def action_new(self) -> None:
        """Back to the settings of this run; if it is going, it goes on."""
        if self.reader is not None:
            spec = self.reader.spec
            chosen = {name: getattr(spec, name) for name in Settings.__struct_fields__}
            self.state = TrainState(spec.network, Settings(**chosen))
        self._follow(None)

    def action_net(self) -> None:
        """Another net of the zoo."""
        if self.reader is not None:
            return

        def chosen(name: str | None) -> None:
            if name:
                self.offer(load_net(name).network)

        nets = [(name, load_net(name).idea) for name in zoo()]
        self.app.push_screen(Choose("Train which net?", nets, self.state.network.name), chosen)

    def offer(self, network: Network) -> None:
        """Another net, ready to start."""
        self.state = self.state.with_network(network)
        self._follow(None)

    def action_open(self) -> None:
        """Watch another run."""

        def chosen(name: str | None) -> None:
            for directory in directories:
                if directory.name == name:
                    self._follow(RunReader(directory))

        directories = run_directories()[:30]
        if not directories:
            self.app.notify("there is no run yet: space starts one", markup=False)
            return
        lines = []
        for directory in directories:
            found = row(directory)
            accuracy = percent(found.test_accuracy) if found.test_accuracy is not None else ""
            lines.append((directory.name, f"{found.state} {accuracy}"))
        self.app.push_screen(Choose("Watch which run?", lines), chosen)

    def action_sideways(self, by: int) -> None:
        """Another layer; on the settings, another value."""
        if self.reader is None:
            self.state = self.state.change(by)
        elif self.run_view:
            self.looking = self.looking.next_layer(self.run_view, by)
        self._draw()

    def action_vertical(self, by: int) -> None:
        """Another picture; on the settings, another setting."""
        if self.reader is None:
            self.state = self.state.select(by)
        elif self.run_view:
            self.looking = self.looking.next_picture(self.run_view, by)
        self._draw()

    def action_log(self) -> None:
        """Loss on a logarithmic scale, or not."""
        self.looking = replace(self.looking, log=not self.looking.log)
        self._draw()

    def action_glyphs(self) -> None:
        """Maps as glyphs, or in colour."""
        self.as_glyphs = not self.as_glyphs
        self._draw()
