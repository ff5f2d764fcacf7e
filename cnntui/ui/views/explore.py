"""The exploring view: a network's columns of maps, one map and what makes it, one number and its arithmetic; the pad."""

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
from textual.worker import get_current_worker

from cnntui.labs.cell import anatomy
from cnntui.labs.explore import CELL, LAYER, OVERVIEW, ExploreState
from cnntui.labs.history import History
from cnntui.labs.opened import OpenError
from cnntui.labs.subject import Subject, open_wish, subject_of
from cnntui.labs.wish import Wish
from cnntui.runs.excited import Excitement, read_excited
from cnntui.runs.reader import RunReader, RunView, UnreadableRunError
from cnntui.runs.weights import Moment, moments
from cnntui.ui.clock import Clock
from cnntui.ui.views.explore_base import sheltered
from cnntui.ui.views.explore_changes import ExploreChanges
from cnntui.ui.views.explore_learning import ExploreLearning
from cnntui.ui.views.explore_looking import ExploreLooking
from cnntui.ui.views.explore_pictures import ExplorePictures
from cnntui.ui.views.explore_time import ExploreTime
from cnntui.ui.widgets.cell_panel import CellPanel, CellView
from cnntui.ui.widgets.context import ClassColumn, ContextColumn
from cnntui.ui.widgets.explore_lines import FactLine, Headline, MomentLine
from cnntui.ui.widgets.layer_panel import LayerPanel
from cnntui.ui.widgets.overview_panel import OverviewPanel

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

POLL_SECONDS = 2.5  # drawn anew each second, a net takes some 5 % of a training on two cores
TINY = 60  # columns below which there is no room beside
DRAW = "draw"
LEVELS = (OVERVIEW, LAYER, CELL, DRAW)


class ExploreView(ExploreLooking, ExplorePictures, ExploreChanges, ExploreTime, ExploreLearning):
    """Draws one exploring lab and turns keys into its moves."""

    DEFAULT_CSS = """
    ExploreView { layout: vertical; height: 1fr; }
    ExploreView > OverviewPanel { display: none; margin: 0 1; }
    ExploreView > #detail { display: none; height: 1fr; margin: 0 1; }
    ExploreView > #detail > ContextColumn { width: 30; margin: 0 1 0 0; }
    ExploreView.-narrow > #detail > ContextColumn { width: 17; }
    ExploreView > #detail > LayerPanel, ExploreView > #detail > CellPanel { display: none; width: 1fr; height: 1fr; }
    ExploreView > #note { height: auto; max-height: 2; margin: 0 1; color: $warning; }
    ExploreView > #note.-empty { display: none; }
    ExploreView.-overview > OverviewPanel, ExploreView.-layer > #detail, ExploreView.-cell > #detail { display: block; }
    ExploreView.-layer > #detail > LayerPanel, ExploreView.-cell > #detail > CellPanel { display: block; }
    ExploreView > #pad { display: none; height: 1fr; margin: 0 1; }
    ExploreView > #pad > DrawPad { width: 76; }
    ExploreView.-narrow > #pad > DrawPad { width: 1fr; }
    ExploreView > #pad > ClassColumn { width: 1fr; }
    ExploreView.-narrow > #pad > ClassColumn { width: 24; }
    ExploreView.-tiny > #pad > ClassColumn, ExploreView.-tiny > #detail > ContextColumn { display: none; }
    ExploreView.-draw > #pad { display: block; }
    ExploreView.-draw > FactLine { display: none; }
    """

    BINDINGS = [
        *(
            Binding(f"{shift}{key}", f"move({row * by}, {column * by})", "Move fast" if shift else "Move", show=False)
            for shift, by in (("", 1), ("shift+", 4))
            for key, row, column in (("up", -1, 0), ("down", 1, 0), ("left", 0, -1), ("right", 0, 1))
        ),
        Binding("enter", "enter", "Into it"),
        Binding("escape,backspace", "back", "Back up"),
        Binding("p", "ascend", "Goes into", show=False),
        Binding("left_square_bracket", "channel(-1)", "Channel", show=False),
        Binding("right_square_bracket", "channel(1)", "Channel", show=False),
        Binding("left_curly_bracket", "layer(-1)", "Layer", show=False),
        Binding("right_curly_bracket", "layer(1)", "Layer", show=False),
        Binding("home", "edge(-1)", "First, last layer", show=False),
        Binding("end", "edge(1)", "First, last layer", show=False),
        Binding("j", "jump", "Jump", show=False),
        Binding("n", "picture(1)", "Picture"),
        Binding("b", "picture(-1)", "Picture before", show=False),
        Binding("m", "misread", "Misread"),
        Binding("i", "input", "Input", show=False),
        Binding("d", "draw", "Draw"),
        Binding("D", "draw(True)", "Draw on this picture", show=False),
        *(
            Binding(f"ctrl+{key}", f"shift({rows}, {columns})", "Shift the picture", show=False)
            for key, rows, columns in (("left", 0, -1), ("right", 0, 1), ("up", -1, 0), ("down", 1, 0))
        ),
        Binding("y", "why", "Why"),
        *(Binding(str(digit), f"ask({digit})", "Ask about a class", show=False) for digit in range(10)),
        Binding("e", "set", "Set a weight, a pixel", show=False),
        Binding("plus", "set(True)", "Set the bias", show=False),
        Binding("pageup", "page(-1)", "Page", show=False),
        Binding("pagedown", "page(1)", "Page", show=False),
        Binding("z", "silence", "Silence"),
        Binding("u", "undo", "Undo", show=False),
        Binding("r", "redo", "Redo", show=False),
        Binding("minus", "restore", "Undo all", show=False),
        Binding("s", "sort", "Sort", show=False),
        Binding("g", "scale", "One scale", show=False),
        Binding("v", "glyphs", "Glyphs, colours", show=False),
        Binding("comma", "scrub(-1)", "Moment", show=False),
        Binding("full_stop", "scrub(1)", "Moment", show=False),
        Binding("less_than_sign", "scrub(-5)", "Moment", show=False),
        Binding("greater_than_sign", "scrub(5)", "Moment", show=False),
        Binding("space", "play", "Play"),
        Binding("t", "pin", "Pin", show=False),
        Binding("x", "patches", "Excites it", show=False),
        Binding("w", "learn", "Learn", show=False),
        Binding("c", "convolve", "Convolve", show=False),
        Binding("o", "open", "Open"),
    ]

    HELP = (
        "Every number of your own net, from the whole of it down to one product. Arrows choose a layer and a map; enter "
        "goes in: to the map and all that makes it, then to one number's arithmetic; enter on a term steps down into it, "
        "escape comes back, p goes up into what it is part of. n and b turn the test pictures over, m the misread ones; d "
        "draws; y asks why, a digit asks about that class. , and . scrub through the training."
    )

    can_focus = True

    class Opened(Message):
        """What was wished for is open, or could not be opened."""

        def __init__(
            self, subject: Subject | None, reader: RunReader | None, view: RunView | None, problem: str
        ) -> None:
            super().__init__()
            self.subject, self.reader, self.view, self.problem = subject, reader, view, problem

    class Polled(Message):
        """The run was read again."""

        def __init__(
            self, reader: RunReader, view: RunView, excitement: Excitement | None, found: tuple[Moment, ...]
        ) -> None:
            super().__init__()
            self.reader, self.view, self.excitement, self.found = reader, view, excitement, found

    class Changed(Message):
        """Something else is open, or looked at, or known."""

    class Ready(Message):
        """A large net was run."""

        def __init__(self, state: ExploreState) -> None:
            super().__init__()
            self.state = state

    def __init__(self, wish: Wish | None = None) -> None:
        super().__init__()
        self.wish = wish or Wish()
        self.problem = ""  # why it could not be opened
        self.history: History[ExploreState] | None = None
        self.subject: Subject | None = None
        self.reader: RunReader | None = None
        self.run_view: RunView | None = None
        self.as_glyphs = False
        self.drawing = False
        self.playing = False
        self.follows = False
        self.term = 0
        self._polling = False
        self._computing: ExploreState | None = None

    @property
    def clock(self) -> Clock:
        """The app's."""
        return cast("CnntuiApp", self.app).clock

    def compose(self) -> ComposeResult:
        """Nothing yet: what is explored is opened first."""
        yield Static("", id="note", markup=False, classes="-empty")

    def on_mount(self) -> None:
        """Open it."""
        self.open(self.wish)

    # -- opening

    def open(self, wish: Wish) -> None:
        """Explore something else; what is on the screen stays until it is there."""
        self.wish, self.problem = wish, ""
        self.note("opening …")
        self._open(wish)

    def restart(self) -> None:
        """What is open as it was opened: its first picture, nothing changed, nothing to undo."""
        if self.subject is not None:
            self.history, self.term, self.drawing, self.patches = History(self.subject.state), 0, False, None
            self.stop_playing()
            self.refresh_bindings()
            self.draw()

    def want(self, wish: Wish) -> None:
        """Explore this, unless it is what is explored or being opened; what could not be opened is tried again."""
        if self.wish != wish or self.problem:
            self.open(wish)

    @work(thread=True, exclusive=True, group="open")
    @sheltered
    def _open(self, wish: Wish) -> None:
        """Off the event loop: files are read, their hashes computed, the net run once."""
        worker = get_current_worker()
        try:
            model = open_wish(wish)
            reader, view = read_run(model.run)
            subject = subject_of(model, view, wish.picture)
            subject.state.run()
            subject = replace(subject, state=subject.state.at_first())
            answer = self.Opened(subject, reader, view, "")
        except OpenError as error:
            answer = self.Opened(None, None, None, str(error))
        if not worker.is_cancelled:
            self.post_message(answer)

    async def on_explore_view_opened(self, event: Opened) -> None:
        """Show it, or say why not."""
        event.stop()
        self.problem = event.problem
        if event.subject is None:
            self.note(f"not opened: {event.problem}" + ("" if self.history else "; press o to choose"))
            return
        self.note("")
        self.stop()
        self.subject, self.reader, self.run_view = event.subject, event.reader, event.view
        state = event.subject.state
        if self.drawing:
            self.focus()
        self.history, self.term, self.drawing, self.patches = History(state), 0, False, None
        self.follows = event.view is not None and not event.view.ended and self.wish.weights is None
        if not self.query(OverviewPanel):
            await self.mount(*self._widgets(state))
        self.refresh_bindings()
        self.draw()
        if self.app.screen is self.screen:
            self.wake()
        if state.model.run is not None and state.model.notes:
            self.note("; ".join(state.model.notes))
        if event.subject.gallery is None and state.model.run is not None:
            self.fetch_gallery(event.subject)

    def _widgets(self, state: ExploreState) -> list[Widget]:
        return [
            Headline(state),
            OverviewPanel(state),
            Horizontal(ContextColumn(state), LayerPanel(state), CellPanel(CellView(anatomy(state, 0))), id="detail"),
            FactLine(state),
            MomentLine(state),
        ]

    # -- a run that goes on

    def wake(self) -> None:
        """The screen is seen again: read the run, if it goes on."""
        if self.reader is not None and (self.run_view is None or not self.run_view.over):
            self._poll_now()
            self.clock.listen(self, self._poll_now, every=POLL_SECONDS)

    def rest(self) -> None:
        """The screen is covered."""
        self.stop()

    def stop(self) -> None:
        """Nothing is read, and nothing plays."""
        self.clock.ignore(self)
        self.stop_playing()
        self.going = None

    def _poll_now(self) -> None:
        if self.reader is not None and not self._polling:
            self._polling = True
            known = self.subject.excitement if self.subject else None
            self._poll(self.reader, known.step if known else -1)

    @work(thread=True, group="poll")
    @sheltered
    def _poll(self, reader: RunReader, step: int) -> None:
        """Read the run; and what excites its units, if that is of another step than the one that is known."""
        view = reader.poll()
        is_new = view.excited is not None and view.excited.step != step
        self.post_message(self.Polled(reader, view, read_excited(view) if is_new else None, moments(view)))

    def on_explore_view_polled(self, event: Polled) -> None:
        """There may be new moments; who looks at the newest goes on doing so."""
        event.stop()
        self._polling = False
        if event.reader is not self.reader or self.history is None:
            return
        self.run_view = event.view
        if self.subject is not None and event.view.classes is not None:
            self.subject = replace(self.subject, misread=tuple(event.view.classes.misread))
        if event.excitement is not None:
            self.take_excitement(event.excitement)
        self.take_moments(event.found)
        if event.view.over:
            self.clock.ignore(self)
            self.follows = False
            self.draw()

    # -- drawing

    def on_resize(self) -> None:
        """The context is narrower on a small screen."""
        self.set_class(self.size.width < 100, "-narrow")
        self.set_class(self.size.width < TINY, "-tiny")

    def draw(self) -> None:
        """Show the state on the widgets of its level; a net that takes long is run first, by a worker."""
        if self.history is None:
            return
        self.post_message(self.Changed())
        state = self.state
        if state.takes_time:
            self._compute_later(state)
            return
        state.run()
        for level in LEVELS:
            self.set_class(level == (DRAW if self.drawing else state.level), f"-{level}")
        plain = self.as_glyphs or self.app.no_color
        self.query_one(Headline).show(state)
        if self.drawing:
            self.query_one(ClassColumn).show(state, plain)
        elif state.level == OVERVIEW:
            overview = self.query_one(OverviewPanel)
            overview.as_glyphs = plain
            overview.show(state)
        else:
            self.query_one(ContextColumn).show(state, plain)
            self._draw_detail(state, plain)
        self.query_one(FactLine).show(state)
        line = self.query_one(MomentLine)
        line.playing, line.live, line.drawing = self.playing, self.follows, self.drawing
        line.show(state)
        self.find_reasons()

    def _draw_detail(self, state: ExploreState, plain: bool) -> None:
        if state.level == LAYER:
            self.query_one(LayerPanel).show(state, plain)
        else:
            self.query_one(CellPanel).show(CellView(anatomy(state, self.term), plain))

    def _compute_later(self, state: ExploreState) -> None:
        if self._computing is None or self._computing.known is not state.known:  # elsewhere in the same net is the same
            self._computing = state
            self.note("computing …")
            self._compute(state)

    @work(thread=True, exclusive=True, group="compute")
    @sheltered
    def _compute(self, state: ExploreState) -> None:
        """Run a large net off the event loop."""
        state.run()
        self.post_message(self.Ready(state))

    def on_explore_view_ready(self, event: Ready) -> None:
        """It was run: draw it, if it is still what is looked at."""
        event.stop()
        if self.history is not None and event.state.known is self.state.known:
            self._computing = None
            self.note("")
            self.state.adopt(event.state)
            self.draw()

    def note(self, text: str) -> None:
        """A line above all."""
        line = self.query_one("#note", Static)
        line.set_class(not text, "-empty")
        if str(line.content) != text:
            line.update(text)

    def on_overview_panel_clicked(self, event: OverviewPanel.Clicked) -> None:
        """Look at the map; a second click goes in, where a lesson lets one."""
        event.stop()
        state = self.state
        if state.takes_time or event.node not in state.trace.values:
            return
        if (state.node, state.channel) == (event.node, event.channel):
            if "enter" not in self.hidden:
                self.action_enter()
        else:
            self.look(state.look(event.node, state.strongest(event.node, event.channel), path=()))


def read_run(run: Path | None) -> tuple[RunReader | None, RunView | None]:
    """What is opened, if it is a run: its reader, and what it says now."""
    if run is None:
        return None, None
    try:
        reader = RunReader(run)
        return reader, reader.poll()
    except UnreadableRunError:
        return None, None
