"""The comparing view: a table of what was trained, curves over it, and what is different."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

# The worker loads scipy, which loads this; so its syntax trees are made here, and not in a thread: see core/npy.py.
import numpy.ma  # noqa: F401, TID251
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import get_current_worker

from cnntui.labs.compare import CURVES, DIFFERENCES, CompareState
from cnntui.labs.comparing import Comparing
from cnntui.labs.comparison import Comparison
from cnntui.labs.statistics import difference
from cnntui.labs.wish import Picked
from cnntui.runs.reader import UnreadableRunError
from cnntui.runs.sweeps.directory import sweep_directories
from cnntui.runs.sweeps.plan import SweepError
from cnntui.ui.clock import Clock
from cnntui.ui.views.compare_moves import CompareMoves
from cnntui.ui.widgets.compare_account import CompareAccount
from cnntui.ui.widgets.compare_curves import CompareCurves
from cnntui.ui.widgets.compare_head import CompareHead, CompareNotes
from cnntui.ui.widgets.compare_table import CompareTable

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

POLL_SECONDS = 2.0
WIDE = (100, 26)  # columns and lines from which on both panes are seen
LEAST_PANE = {True: 16, False: 9}  # lines of the panes, both of them or one, before the table has more rows
MOST_NOTES = {True: 4, False: 2}
SMALL = 8  # lines below which the table alone is seen
EMPTY = """Nothing to compare yet.

A sweep trains one thing in several ways, each with several seeds,
and tells what made a difference:

    cnntui sweep depth

o   choose a sweep: eight are ready, and space trains them
r   pick runs: those that differ in the seed alone are one row
"""


class CompareView(CompareMoves, Widget):
    """Draws the comparing lab, and turns keys into its moves."""

    DEFAULT_CSS = """
    CompareView { layout: vertical; height: 1fr; }
    CompareView > Horizontal { height: 1fr; margin: 0 1; }
    CompareView CompareCurves { width: 7fr; }
    CompareView CompareAccount { width: 5fr; }
    CompareView.-wide CompareAccount { margin-left: 1; }
    CompareView.-wide > Horizontal { margin: 1 1 0 1; }
    CompareView .-hidden { display: none; }
    CompareView > #empty { height: 1fr; margin: 1 2; display: none; }
    CompareView.-empty > * { display: none; }
    CompareView.-empty > #empty { display: block; }
    """

    BINDINGS = [
        Binding("up", "select(-1)", "Row", show=False),
        Binding("down", "select(1)", "Row", show=False),
        Binding("pageup", "select(-10)", "Ten rows", show=False),
        Binding("pagedown", "select(10)", "Ten rows", show=False),
        Binding("left", "seed(-1)", "Seed", show=False),
        Binding("right", "seed(1)", "Seed", show=False),
        Binding("space", "go", "Go/stop"),
        Binding("o", "open", "Sweeps"),
        Binding("enter,e", "explore", "Explore"),
        Binding("t", "watch", "Train"),
        Binding("b", "baseline", "Baseline"),
        Binding("m", "metric", "Next curve"),
        Binding("tab", "turn", "Other pane"),
        Binding("g", "scale", "Log scale, errors", show=False),
        Binding("x", "leave_out", "Hide curve"),
        Binding("s", "sort", "Best first"),
        Binding("y", "copy", "Copy table"),
        Binding("w", "write", "Write report"),
        Binding("r", "pick", "Pick runs"),
        Binding("comma", "walk(-1)", "Curve's cursor", show=False),
        Binding("full_stop", "walk(1)", "Curve's cursor", show=False),
        Binding("less_than_sign", "walk(-10)", "Curve's cursor", show=False),
        Binding("greater_than_sign", "walk(10)", "Curve's cursor", show=False),
        Binding("escape", "no_cursor", "No cursor", show=False),
        Binding("v", "glyphs", "Glyphs, colours", show=False),
    ]

    HELP = (
        "A row is a configuration: its runs differ in the seed alone. 2/3 of them are trained ✓; ✗ failed, … are going, "
        "‖ were stopped, · wait. Failed runs are shown, and are in no mean. The bar ━ ends at the mean ┃, ├─┤ is a "
        "deviation to both sides, • a seed, │ the baseline's mean; the heading says where bars begin and end. The interval "
        "holds the true difference to the baseline in 95 of 100 cases (Welch); ▲ or ▼ stands where zero lies outside of "
        "it, which chance alone seldom does. ← and → choose the seed that enter explores and t watches. w writes this "
        "screen as SVG and a report in Markdown to the working directory. space trains what is not trained of a sweep, so "
        "many runs at once as there are cores, or room on the GPUs; once more, and again, it stops them after a "
        "checkpoint. It all goes on by itself: this screen only reads directories."
    )

    can_focus = True
    hidden: frozenset[str] = frozenset()  # actions that a lesson has taken away

    class Changed(Message):
        """Something new of the runs, or another place to look at."""

    class Read(Message):
        """How the runs stand, read by a worker, with the curves of those that were wanted; or why they cannot be read.

        `done`: nothing is left to read now.
        """

        def __init__(
            self,
            comparing: Comparing | None,
            picked: Picked | None,
            comparison: Comparison | None = None,
            wanted: frozenset[Path] = frozenset(),
            problem: str = "",
            done: bool = False,
        ) -> None:
            super().__init__()
            self.comparing, self.picked, self.comparison = comparing, picked, comparison
            self.wanted, self.problem, self.done = wanted, problem, done

    def __init__(self, picked: Picked | None = None) -> None:
        super().__init__()
        self.picked = picked
        self.comparing: Comparing | None = None
        self.state: CompareState | None = None
        self.as_glyphs = False
        self._reading = False

    @property
    def clock(self) -> Clock:
        """The app's."""
        return cast("CnntuiApp", self.app).clock

    def compose(self) -> ComposeResult:
        """The table, under it the curves beside what is different."""
        yield CompareHead(None)
        yield CompareTable()
        yield CompareNotes()
        with Horizontal():
            yield CompareCurves()
            yield CompareAccount()
        yield Static("", id="empty", markup=False)

    def on_mount(self) -> None:
        """Show what there is."""
        self.want(self.picked)

    # -- following runs

    def want(self, picked: Picked | None) -> None:
        """Compare a sweep's runs, or some others; else those of the sweep that was run last."""
        self.picked = picked
        self.comparing = self.state = None
        self.empty("reading …")
        self.wake()

    def wake(self) -> None:
        """The screen is seen again: read, and go on reading while something is going, or may be sent on from elsewhere."""
        self.poll_now()
        if self.state is None or not _is_settled(self.state.comparison):
            self.clock.listen(self, self.poll_now, every=POLL_SECONDS)

    def rest(self) -> None:
        """The screen is covered: the runs go on by themselves."""
        self.clock.ignore(self)

    def poll_now(self) -> None:
        """Read what is new, unless the last reading is still under way: it is not for two threads at once."""
        if not self._reading:
            self._reading = True
            self._read(self.comparing, self.picked)

    @work(thread=True, group="compare")
    def _read(self, comparing: Comparing | None, picked: Picked | None) -> None:
        """Off the event loop, for there may be a thousand runs, on a slow file system: first how they stand, then curves."""
        worker, problem = get_current_worker(), ""
        comparison: Comparison | None = None
        wanted: frozenset[Path] = frozenset()
        try:
            if comparing is None:
                comparing = _opened(picked)
                difference((0.0, 1.0), (0.0, 1.0))  # so that scipy is there before the table needs it
            if comparing is not None:
                comparison = comparing.glance()
            while comparing is not None and comparison is not None and not worker.is_cancelled:
                self.post_message(self.Read(comparing, picked, comparison, wanted))
                wanted = self.wanted(comparison)
                comparison = comparing.poll(runs=wanted)
                if not comparing.more:
                    break
        except (SweepError, UnreadableRunError) as error:
            problem = str(error)
        self.post_message(self.Read(comparing, picked, comparison, wanted, problem, done=True))

    def wanted(self, comparison: Comparison) -> frozenset[Path]:
        """The runs whose logs are to be read."""
        state = self.state
        return (state.taking(comparison) if state else CompareState(comparison, comparison.baseline)).wanted

    def on_compare_view_read(self, event: Read) -> None:
        """Draw it; when all is trained, nothing is read again."""
        event.stop()
        self._reading = not event.done
        if event.picked is not self.picked:
            if event.done:
                self.poll_now()  # others are wanted since
            return
        self.comparing = event.comparing
        if event.comparison is not None:
            self._take(event.comparison)
        if event.problem:
            self.clock.ignore(self)
            if self.state is None:
                self.empty(f"{event.problem}\n\n{EMPTY}")
            else:
                self.app.notify(f"{event.problem}; o opens another one", severity="error", markup=False)
        elif self.state is None:
            self.clock.ignore(self)
            self.empty(EMPTY)
        elif event.done and not self.state.wanted <= event.wanted:
            self.poll_now()  # it was looked elsewhere meanwhile
        elif event.done and _is_settled(self.state.comparison):
            self.clock.ignore(self)

    def _take(self, comparison: Comparison) -> None:
        if self.state is None:
            self.state = CompareState(comparison, comparison.baseline)
            if self.picked is not None and self.picked.run is not None:
                self.state = self.state.select_run(self.picked.run)
        elif _same(self.state.comparison, comparison):
            return
        else:
            self.state = self.state.taking(comparison)
        self.draw()
        self.refresh_bindings()

    # -- drawing

    def empty(self, text: str) -> None:
        """There is nothing to compare: say why, and what can be done."""
        self.add_class("-empty")
        self.query_one("#empty", Static).update(text)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without runs only those keys that get some; the other pane only where there is room for one alone."""
        if action in self.hidden or (action == "turn" and self.has_class("-wide")):
            return False
        if action == "go" and self.state is not None:
            return self.state.comparison.can_go_on or self.state.comparison.is_conducted
        return self.state is not None or action in ("open", "pick")

    def on_resize(self) -> None:
        """One pane or two."""
        self.draw()

    def draw(self) -> None:
        """Draw the state."""
        state = self.state
        if state is None:
            return
        self.post_message(self.Changed())
        if self.has_class("-empty"):
            self.remove_class("-empty")
            self.refresh_bindings()
        is_wide = self._arrange(state)
        plain = self.as_glyphs or self.app.no_color
        table, curves, account = (
            self.query_one(CompareTable),
            self.query_one(CompareCurves),
            self.query_one(CompareAccount),
        )
        table.plain = curves.plain = plain
        curves.alone = account.alone = not is_wide
        for widget in (self.query_one(CompareHead), table, self.query_one(CompareNotes), curves, account):
            widget.show(state)

    def _arrange(self, state: CompareState) -> bool:
        """How tall the table and the notes are, and which panes are seen; whether both are."""
        width, height = self.size
        is_wide = width >= WIDE[0] and height >= WIDE[1]
        if is_wide != self.has_class("-wide"):
            self.set_class(is_wide, "-wide")
            self.refresh_bindings()
        head = 2 if height >= SMALL else 0
        under = self.query_one(CompareNotes)
        under.roomy = is_wide
        notes = min(len(under.lines(state)), MOST_NOTES[is_wide])
        rows = max(1, min(len(state.order), height - head - notes - 1 - is_wide - LEAST_PANE[is_wide]))
        for kind, lines in ((CompareHead, head), (CompareTable, rows + 1), (CompareNotes, notes)):
            widget = self.query_one(kind)
            if widget.styles.height is None or widget.styles.height.value != lines:
                widget.styles.height = lines
        self.query_one(CompareCurves).set_class(not is_wide and state.pane != CURVES, "-hidden")
        self.query_one(CompareAccount).set_class(not is_wide and state.pane != DIFFERENCES, "-hidden")
        return is_wide

    def make(self, state: CompareState) -> None:
        """Look otherwise; what has to be read for that is."""
        unread = state.wanted - self.state.wanted if self.state else frozenset()
        self.state = state
        self.draw()
        if unread:
            self.poll_now()

    def on_compare_table_clicked(self, event: CompareTable.Clicked) -> None:
        """That row."""
        event.stop()
        if self.state is not None:
            self.make(self.state.select_group(event.index))


def _is_settled(comparison: Comparison) -> bool:
    """Whether nothing more is to come: every run has ended, and of a sweep all are trained."""
    return comparison.over and not comparison.can_go_on


def _same(before: Comparison, comparison: Comparison) -> bool:
    """Whether nothing is new: not one group, and the same at work."""
    groups = before.groups, comparison.groups
    if before.is_conducted != comparison.is_conducted or before.can_go_on != comparison.can_go_on:
        return False
    return len(groups[0]) == len(groups[1]) and all(old is new for old, new in zip(*groups, strict=True))


def _opened(picked: Picked | None) -> Comparing | None:
    """What is wanted; else the sweep that was run last; None where there is none."""
    if picked is not None and picked.runs:
        return Comparing(picked.runs)
    sweep = picked.sweep if picked is not None else next(iter(sweep_directories()), None)
    return Comparing(sweep=sweep) if sweep is not None else None
