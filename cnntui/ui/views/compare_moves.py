"""What can be done on the comparing view: where one looks, and where one goes from there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.widget import Widget

from cnntui.labs.compare import CompareState
from cnntui.labs.results import markdown
from cnntui.labs.watching import offered
from cnntui.labs.wish import Picked, Wish
from cnntui.runs.listing import name_of
from cnntui.runs.reader import UnreadableRunError
from cnntui.runs.sweeps.directory import read_sweep, sweep_directories
from cnntui.runs.sweeps.plan import SweepError
from cnntui.ui.screens.dialogs import Choose
from cnntui.ui.screens.train_dialogs import ChooseSeveral

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

MOST_SWEEPS = 30  # that are offered
MOST_PICKED = 30


class CompareMoves(Widget):
    """Turns keys into moves of the lab; the view draws what comes of it."""

    state: CompareState | None
    picked: Picked | None
    as_glyphs: bool

    def want(self, picked: Picked | None) -> None:
        """Compare others."""
        raise NotImplementedError

    def make(self, state: CompareState) -> None:
        """Look otherwise."""
        raise NotImplementedError

    def draw(self) -> None:
        """Draw what there is."""
        raise NotImplementedError

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
        if self.state is not None:
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

    def action_open(self) -> None:
        """Another sweep; or pick runs."""
        sweeps: dict[str, tuple[str, Path]] = {}
        for directory in sweep_directories()[:MOST_SWEEPS]:
            with suppress(SweepError):  # removed meanwhile
                found = read_sweep(directory)
                count = sum(len(one.runs) for one in found.configurations)
                sweeps[directory.name] = (f"{count:,} run{'s' * (count > 1)}  {found.about}", directory)
        if not sweeps:
            self.app.notify("there is no sweep yet: cnntui sweep depth trains a first one; r picks runs", markup=False)
            return

        def chosen(name: str | None) -> None:
            if name is not None:
                self.want(Picked(sweep=sweeps[name][1]))

        current = self.picked.sweep.name if self.picked and self.picked.sweep else None
        choices = [(name, about) for name, (about, _) in sweeps.items()]
        self.app.push_screen(Choose("Compare the runs of which sweep?", choices, current), chosen)

    def action_pick(self) -> None:
        """Any runs side by side."""
        runs = {name: (about, directory) for name, about, directory in offered()}
        if not runs:
            self.app.notify("there is no run yet: train one first", markup=False)
            return

        def chosen(names: tuple[str, ...] | None) -> None:
            if names:
                self.want(Picked(runs=tuple(runs[name][1] for name in names)))

        there = self.picked.runs if self.picked else ()
        choices = [(name, about) for name, (about, _) in runs.items()]
        title = "Compare which runs? space ticks, enter takes. Those that differ in the seed alone are one row"
        self.app.push_screen(ChooseSeveral(title, choices, [name_of(run) for run in there], MOST_PICKED), chosen)
