"""What can be done on the training view: settings before the start, the hand on a run, and where one looks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
from textual import work
from textual.message import Message
from textual.widget import Widget

from cnntui.core.nets import load_net, zoo
from cnntui.core.network import Network
from cnntui.labs.train import TrainState, again, beside
from cnntui.labs.watching import (
    MISREAD,
    PATIENCE_SECONDS,
    Asked,
    Looking,
    at_odds,
    going_on,
    offered,
    pause_or_resume,
    picture_problem,
    rate,
)
from cnntui.labs.wish import Picked, Wish
from cnntui.runs.control import send
from cnntui.runs.launch import LaunchError, launch, resume
from cnntui.runs.listing import name_of
from cnntui.runs.places import SWEEP
from cnntui.runs.reader import RunReader, RunView, UnreadableRunError
from cnntui.runs.spec import Spec, new_spec
from cnntui.ui.screens.dialogs import Ask, Choose
from cnntui.ui.screens.train_dialogs import AskRate, ChooseSeveral
from cnntui.ui.widgets.panel import Pane

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

SAY_SECONDS = 5.0  # in which a second s stops the run, too
SETTLE_SECONDS = 0.4  # before the maps of a layer are asked for: who leafs through the layers does not want them all


class TrainMoves(Widget):
    """Turns keys into moves of the lab and commands to the run; the view draws what comes of it."""

    state: TrainState
    reader: RunReader | None
    run_view: RunView | None
    others: dict[RunReader, RunView | None]
    looking: Looking
    as_glyphs: bool
    asked: tuple[Asked, ...]  # and not answered yet
    layers_asked: set[str]
    said: tuple[str, bool] | None  # by this screen, for some seconds, and whether it is a calm word
    _asked_to_stop: bool
    offers: Mapping[str, TrainState]
    launching: bool  # a run is being started or resumed

    class Launched(Message):
        """A run was started or resumed, or could not be."""

        def __init__(self, reader: RunReader | None, problem: str = "") -> None:
            super().__init__()
            self.reader = reader
            self.problem = problem

    def follow(self, reader: RunReader | None) -> None:
        """Watch a run, or none."""
        raise NotImplementedError

    def wake(self) -> None:
        """Poll."""
        raise NotImplementedError

    def draw(self) -> None:
        """Draw what there is."""
        raise NotImplementedError

    def note(self, text: str, calm: bool = False) -> None:
        """Say it under the run."""
        raise NotImplementedError

    def say(self, text: str, calm: bool = False) -> None:
        """Say it under the run for some seconds, whatever the run tells meanwhile."""
        self.said = (text, calm)
        self.note(text, calm)
        self.set_timer(SAY_SECONDS, partial(self._fall_silent, self.said))

    def _fall_silent(self, said: tuple[str, bool]) -> None:
        if self.said is said:
            self.said = None
            self.draw()

    @property
    def going(self) -> bool:
        """Whether a run is followed that has not ended."""
        return self.reader is not None and (self.run_view is None or not self.run_view.ended)

    async def action_explore(self) -> None:
        """The run, from the whole net down to one number."""
        if self.reader is not None:
            await cast("CnntuiApp", self.app).explore(Wish(str(self.reader.directory)))

    async def action_compare(self) -> None:
        """The run beside those that are drawn over it; else, if it is one of a sweep's, beside the others of that."""
        if self.reader is None:
            return
        run, others = self.reader.directory, [other.directory for other in self.others]
        is_swept = not others and (run.parent / SWEEP).is_file()
        picked = Picked(sweep=run.parent, run=run) if is_swept else Picked(runs=(run, *others), run=run)
        await cast("CnntuiApp", self.app).compare(picked)

    # -- before the start

    def action_start(self) -> None:
        """Start the training; once, however often the key comes."""
        if self.launching:
            return
        try:
            self.state.settings.check()
        except ValueError as error:
            self.note(f"not started: {error}")
            return
        self.note("starting …", calm=True)
        self.launching = True
        self._start(new_spec(self.state.network, self.state.settings))

    @work(thread=True, group="launch")
    def _start(self, spec: Spec) -> None:
        """Off the event loop: a directory is made and synced, and a process started."""
        try:
            self.post_message(self.Launched(RunReader(launch(spec))))
        except (LaunchError, UnreadableRunError) as error:
            self.post_message(self.Launched(None, f"not started: {error}"))

    @work(thread=True, group="launch")
    def _resume(self, directory: Path) -> None:
        try:
            resume(directory)
            self.post_message(self.Launched(RunReader(directory)))
        except (LaunchError, UnreadableRunError) as error:
            self.post_message(self.Launched(None, f"not resumed: {error}"))

    def on_train_moves_launched(self, event: Launched) -> None:
        """Follow the new run, or say why there is none."""
        event.stop()
        self.launching = False
        if event.reader is None:
            self.say(event.problem)
            return
        cast("CnntuiApp", self.app).going_run = event.reader.directory
        self.follow(event.reader)

    def action_select(self, by: int) -> None:
        """Another setting."""
        self.state = self.state.select(by)
        self.draw()

    def action_change(self, by: int) -> None:
        """Another value of it."""
        self.state = self.state.change(by)
        self.draw()

    def action_fresh(self) -> None:
        """Neither begin with another run's weights nor write for TensorBoard."""
        self.state = self.state.without_extras()
        self.draw()

    def action_net(self) -> None:
        """Another net: one that is offered, with its settings, or one of the zoo."""

        def chosen(name: str | None) -> None:
            if name and name in self.offers:
                self.state = self.offers[name]
                self.follow(None)
            elif name:
                self.offer(load_net(name).network)

        nets = [(name, beside(self.state, one)) for name, one in self.offers.items()]
        nets += [(name, load_net(name).idea) for name in zoo() if name not in self.offers]
        self.app.push_screen(Choose("Train which net?", nets, self.state.network.name), chosen)

    def offer(self, network: Network) -> None:
        """Another net, ready to start."""
        self.state = self.state.with_network(network)
        self.follow(None)

    # -- runs

    def action_open(self) -> None:
        """Watch another run."""
        runs = offered()
        if not runs:
            self.app.notify("there is no run yet: space starts one", markup=False)
            return

        def chosen(name: str | None) -> None:
            for directory in (directory for run, _, directory in runs if run == name):
                self.follow(RunReader(directory))

        self.app.push_screen(Choose("Watch which run?", [(name, about) for name, about, _ in runs]), chosen)

    def action_others(self) -> None:
        """Draw other runs over this one."""
        reader = self.reader
        runs = [run for run in offered() if reader is not None and run[2] != reader.directory]
        if not runs:
            self.app.notify("there is no other run to draw over this one", markup=False)
            return

        def chosen(names: tuple[str, ...] | None) -> None:
            if names is not None and self.reader is reader:
                kept = {name_of(other.directory): other for other in self.others}
                wanted = [kept.get(name) or RunReader(directory) for name, _, directory in runs if name in names]
                self.others = {other: self.others.get(other) for other in wanted}
                self.wake()
                self.draw()

        drawn = [name_of(other.directory) for other in self.others]
        choices = [(name, about) for name, about, _ in runs]
        title = "Draw which runs over this one? space ticks, enter takes"
        self.app.push_screen(ChooseSeveral(title, choices, drawn), chosen)

    def action_new(self) -> None:
        """Back to the settings of this run; if it is going, it goes on."""
        if self.reader is not None:
            self.state = again(self.reader.spec)
        self.follow(None)

    def action_detach(self) -> None:
        """Leave the app; the run goes on."""
        self.app.exit()

    # -- the hand on a run

    def action_go(self) -> None:
        """Pause; or go on; of a run that has ended, go on from its last checkpoint."""
        view = self.run_view
        if view is None or self.reader is None or self.launching:
            return
        if self.going:
            self.command(pause_or_resume(view, self.asked))
        elif view.resumable:
            step = view.checkpoint.step if view.checkpoint else 0
            self.say("trying again …" if at_odds(view) else f"resuming from step {step:,} …", calm=True)
            self.launching = True
            self._resume(self.reader.directory)
        else:
            self.say(going_on(view))

    def command(self, command: str, words: str = "", **values: float | str) -> None:
        """Ask the trainer for something; the answer comes as an event."""
        if self.reader is None:
            return
        try:
            ident = send(self.reader.directory, command, **values)
        except (OSError, msgspec.ValidationError) as error:
            self.say(f"{words or command} could not be asked: {error}")
            return
        self.asked = (*self.asked, Asked(ident, command, words or command, time.monotonic()))
        self.said = None
        self.note(f"asked: {words or command}", calm=True)

    def lose_patience(self) -> None:
        """Wait no longer for what was asked long ago, and say so."""
        long_ago = time.monotonic() - PATIENCE_SECONDS
        given_up = [one for one in self.asked if one.at < long_ago]
        if given_up:
            self.asked = self.asked[len(given_up) :]
            self.say(f"no answer to {given_up[-1].words} yet")

    def _can_ask(self) -> bool:
        """Whether somebody is there to obey; says so if not."""
        if self.run_view is not None and not self.going:
            self.say(f"this run has ended, nobody is there to do it: {going_on(self.run_view)}")
        return self.run_view is not None and self.going

    def action_stop(self) -> None:
        """Stop after a checkpoint; asked twice, because it cannot be undone."""
        if not self._can_ask():
            return
        if self._asked_to_stop:
            self._asked_to_stop = False
            self.command("stop")
            return
        self._asked_to_stop = True
        self.say("s once more stops this run, after a checkpoint")
        self.set_timer(SAY_SECONDS, self._forget_stop)

    def _forget_stop(self) -> None:
        self._asked_to_stop = False

    def action_checkpoint(self) -> None:
        """Write a checkpoint now."""
        if self._can_ask():
            self.command("checkpoint")

    def action_rate(self) -> None:
        """Another learning rate."""
        if not self._can_ask() or self.run_view is None:
            return

        def chosen(text: str | None) -> None:
            if text is not None:
                self.command("set", f"learning rate {float(text):g}", lr=float(text))

        self.app.push_screen(AskRate(rate(self.run_view)), chosen)

    def action_probe(self) -> None:
        """The maps of another test picture."""
        view = self.run_view
        if not self._can_ask() or view is None:
            return

        def chosen(text: str | None) -> None:
            if text is not None:
                self._probe(int(text.strip().replace(",", "")))

        count = f", 0 to {view.data.test - 1:,}" if view.data else ""
        self.app.push_screen(Ask(f"Which test picture{count}?", "", lambda text: picture_problem(view, text)), chosen)

    def _probe(self, number: int) -> None:
        """Look at this test picture; ask for it, if it is not among those that are probed."""
        view = self.run_view
        probed = view is not None and view.probe is not None and number in view.probe.pictures
        if probed or self._can_ask():
            self.look(replace(self.looking, wanted=number))
        if not probed and self.going:
            self.command("set", f"the maps of test picture {number:,}", picture=float(number))

    def ask_for_layer(self) -> None:
        """The maps of the layer that is looked at, if they are not there and were not asked for."""
        if self.going and self.run_view is not None:
            layer = self.looking.missing_layer(self.run_view)
            if layer is not None and layer not in self.layers_asked and layer == self.looking.layer:
                self.layers_asked.add(layer)
                self.command("set", f"the maps of {layer}", layer=layer)

    # -- where one looks

    def look(self, looking: Looking) -> None:
        """Look elsewhere."""
        self.looking = looking
        self.draw()

    def action_panel(self, number: int) -> None:
        """Another panel in the pane in focus."""
        self.look(self.looking.choose(number))

    def action_pane(self, by: int) -> None:
        """The focus on another pane."""
        self.look(self.looking.go_round(by))

    def action_enlarge(self) -> None:
        """The pane in focus alone, or all of them."""
        self.look(replace(self.looking, enlarged=not self.looking.enlarged))

    def action_enter(self) -> None:
        """The selected misread picture goes through the net; on other panels: enlarge."""
        view = self.run_view
        misread = self.looking.chosen_misread(view) if view else None
        if self.looking.panel == MISREAD and misread is not None:
            self._probe(misread.picture)
        else:
            self.action_enlarge()

    def action_back(self) -> None:
        """All panes again; else the cursor goes."""
        if self.looking.enlarged:
            self.look(replace(self.looking, enlarged=False))
        else:
            self.look(replace(self.looking, cursor=None))

    def _page(self) -> tuple[int, int]:
        return self.query_one(f"#pane{self.looking.focus}", Pane).page

    def action_move(self, rows: int, columns: int) -> None:
        """Another layer or picture; within a panel that is larger than its pane, another place."""
        if self.run_view is None:
            return
        layer = self.looking.layer
        self.look(self.looking.move(self.run_view, rows, columns, self._page()))
        if self.looking.layer != layer and self.looking.missing_layer(self.run_view):
            self.set_timer(SETTLE_SECONDS, self.ask_for_layer)

    def action_walk(self, by: int) -> None:
        """The cursor along the curve."""
        if self.run_view is not None:
            self.look(self.looking.walk(self.run_view, by))

    def action_log(self) -> None:
        """A logarithmic scale, or not; accuracy or errors."""
        self.look(self.looking.scale())

    def action_smooth(self) -> None:
        """More smoothing, or none."""
        self.look(self.looking.smooth())

    def action_recent(self) -> None:
        """The last steps, or all."""
        self.look(replace(self.looking, recent=not self.looking.recent))

    def action_worst(self) -> None:
        """The worst classes first, or in their order."""
        self.look(replace(self.looking, worst_first=not self.looking.worst_first, corner=(0, 0)))

    def action_glyphs(self) -> None:
        """Glyphs, or colours."""
        self.as_glyphs = not self.as_glyphs
        self.draw()
