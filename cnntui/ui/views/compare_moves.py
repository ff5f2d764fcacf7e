"""What can be done on the comparing view: where one looks, and where one goes from there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual import work
from textual.message import Message
from textual.widget import Widget

from cnntui.labs.compare import CompareState
from cnntui.labs.results import markdown, report
from cnntui.labs.watching import offered
from cnntui.labs.wish import Picked, Wish
from cnntui.runs.listing import name_of
from cnntui.runs.reader import UnreadableRunError
from cnntui.runs.sweeps.conductor import conduct, stop
from cnntui.runs.sweeps.directory import prepare, read_sweep, sweep_directories
from cnntui.runs.sweeps.file import load_design, ready
from cnntui.runs.sweeps.plan import SweepError
from cnntui.ui.screens.dialogs import Choose
from cnntui.ui.screens.train_dialogs import ChooseSeveral

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

SAY_SECONDS = 5.0  # in which a second space stops it, too
MOST_SWEEPS = 30  # that are offered
MOST_LISTED = 120  # runs to pick of
MOST_PICKED = 30
COUNT = 10_000  # of names for a file that is not there yet


class CompareMoves(Widget):
    """Turns keys into moves of the lab; the view draws what comes of it."""

    state: CompareState | None
    picked: Picked | None
    as_glyphs: bool
    _asked_to_stop = False

    class Conducted(Message):
        """A sweep was started, or told to stop; or could not be."""

        def __init__(self, problem: str = "", made: Path | None = None) -> None:
            super().__init__()
            self.problem, self.made = problem, made

    def wake(self) -> None:
        """Read."""
        raise NotImplementedError

    def want(self, picked: Picked | None) -> None:
        """Compare others."""
        raise NotImplementedError

    def make(self, state: CompareState) -> None:
        """Look otherwise."""
        raise NotImplementedError

    def draw(self) -> None:
        """Draw what there is."""
        raise NotImplementedError

    # -- the hand on a sweep

    def action_go(self) -> None:
        """Train what is not trained of it; stop it, asked twice, where it is being trained."""
        if self.state is None or self.state.comparison.directory is None:
            return
        comparison, directory = self.state.comparison, self.state.comparison.directory
        if comparison.can_go_on:
            self.app.notify("starting …", markup=False)
            self._conduct(directory, "go")
        elif self._asked_to_stop:
            self._asked_to_stop = False
            self._conduct(directory, "stop")
        elif comparison.is_conducted:
            self._asked_to_stop = True
            self.app.notify("space once more stops it, each run after a checkpoint", markup=False)
            self.set_timer(SAY_SECONDS, self._forget_stop)

    def _forget_stop(self) -> None:
        self._asked_to_stop = False

    @work(thread=True, group="conduct")
    def _conduct(self, directory: Path, what: str) -> None:
        """Off the event loop: a process is started, and waited for until it has told of itself."""
        try:
            conduct(directory) if what == "go" else stop(directory)
            self.post_message(self.Conducted())
        except SweepError as error:
            self.post_message(self.Conducted(f"{error}"))

    @work(thread=True, group="conduct")
    def _make(self, name: str) -> None:
        """Off the event loop: directories are made and synced."""
        try:
            self.post_message(self.Conducted(made=prepare(load_design(name).plan())))
        except SweepError as error:
            self.post_message(self.Conducted(f"{name}: {error}"))

    def on_compare_moves_conducted(self, event: Conducted) -> None:
        """Look at it anew, or say why not."""
        event.stop()
        if event.problem:
            self.app.notify(event.problem, severity="error", markup=False)
        if event.made is not None:
            self.want(Picked(sweep=event.made))
        else:
            self.wake()

    # -- where one looks

    def action_select(self, by: int) -> None:
        """Another row."""
        if self.state is not None:
            self.make(self.state.select(by))

    def action_seed(self, by: int) -> None:
        """Another run of the row."""
        if self.state is not None:
            self.make(self.state.next_seed(by))

    def action_baseline(self) -> None:
        """The row is what the others are compared with."""
        if self.state is not None:
            self.make(self.state.as_baseline())

    def action_metric(self) -> None:
        """The next curve."""
        if self.state is not None:
            self.make(self.state.next_metric())

    def action_scale(self) -> None:
        """A logarithmic scale, or not; accuracy or errors."""
        if self.state is not None:
            self.make(self.state.rescale())

    def action_leave_out(self) -> None:
        """No curve of this row, or one again."""
        if self.state is not None:
            self.make(self.state.leave_out())

    def action_turn(self) -> None:
        """The other pane."""
        if self.state is not None:
            self.make(self.state.turn())

    def action_sort(self) -> None:
        """The best first, or as they were given."""
        if self.state is not None:
            self.make(self.state.sort())

    def action_walk(self, by: int) -> None:
        """The cursor along the curve."""
        if self.state is not None:
            self.make(self.state.walk(by))

    def action_no_cursor(self) -> None:
        """The values at the end again."""
        if self.state is not None:
            self.make(self.state.no_cursor())

    def action_glyphs(self) -> None:
        """Glyphs, or colours."""
        self.as_glyphs = not self.as_glyphs
        self.draw()

    # -- where one goes

    async def action_explore(self) -> None:
        """The run that is looked at, from the whole net down to one number."""
        if self.state is None:
            return
        if why := self.state.unready:
            self.app.notify(why, markup=False)
        else:
            await cast("CnntuiApp", self.app).explore(Wish(str(self.state.result.view.directory)))

    async def action_watch(self) -> None:
        """The run that is looked at, on the Train screen."""
        if self.state is not None:
            try:
                await cast("CnntuiApp", self.app).attach(self.state.result.view.directory)
            except UnreadableRunError as error:
                self.app.notify(str(error), severity="error", markup=False)

    def action_copy(self) -> None:
        """The table as Markdown, in the clipboard of the terminal."""
        if self.state is not None:
            self.app.copy_to_clipboard(markdown(self.state.comparison))
            self.app.notify("the table, in Markdown", title="copied", markup=False)

    def action_write(self) -> None:
        """What is handed in: the screen as a picture, and the report, as new files in the working directory."""
        if self.state is None:
            return
        directory = self.state.comparison.directory
        name = directory.name if directory is not None else "picked-runs"
        texts = {".svg": self.app.export_screenshot(title="cnntui"), "-report.md": report(self.state.comparison)}
        try:
            paths = written(Path.cwd(), name, texts)
        except OSError as error:
            self.app.notify(f"not saved in the working directory: {error.strerror}", severity="error", markup=False)
        else:
            self.app.notify("\n".join(map(str, paths)), title="saved", markup=False)

    def action_open(self) -> None:
        """Another sweep; or pick runs."""
        sweeps: dict[str, tuple[str, Path]] = {}
        for directory in sweep_directories()[:MOST_SWEEPS]:
            with suppress(SweepError):  # removed meanwhile
                found = read_sweep(directory)
                count = sum(len(one.runs) for one in found.configurations)
                sweeps[directory.name] = (f"{count:,} run{'s' * (count > 1)}  {found.about}", directory)
        choices = [(name, about) for name, (about, _) in sweeps.items()]
        choices += [(name, f"ready  {load_design(name).about}") for name in ready() if name not in sweeps]

        def chosen(name: str | None) -> None:
            if name in sweeps:
                self.want(Picked(sweep=sweeps[name][1]))
            elif name is not None:
                self._make(name)

        current = self.picked.sweep.name if self.picked and self.picked.sweep else None
        self.app.push_screen(Choose("Which sweep? space then trains one that is ready", choices, current), chosen)

    def action_pick(self) -> None:
        """Any runs side by side."""
        runs = {name: (about, directory) for name, about, directory in offered(MOST_LISTED)}
        if not runs:
            self.app.notify("there is no run yet: train one first", markup=False)
            return

        def chosen(names: tuple[str, ...] | None) -> None:
            if names:
                self.want(Picked(runs=tuple(runs[name][1] for name in names)))

        there = self.picked.runs if self.picked else ()
        choices = [(name, about) for name, (about, _) in runs.items()]
        title = "Compare which runs? space ticks, enter takes"
        self.app.push_screen(ChooseSeveral(title, choices, [name_of(run) for run in there], MOST_PICKED), chosen)


def written(directory: Path, name: str, texts: dict[str, str]) -> list[Path]:
    """New files of one name, numbered where it is taken, one for each ending of `texts`.

    Raises:
        OSError: when they cannot be written.
    """
    names = (name if number == 1 else f"{name}-{number}" for number in range(1, COUNT))
    free = next(one for one in names if not any((directory / f"{one}{ending}").exists() for ending in texts))
    paths = [directory / f"{free}{ending}" for ending in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return paths
