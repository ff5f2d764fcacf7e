"""The Train view on the stage of a lesson."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from textual.app import ComposeResult

from cnntui.labs.plain import percent, waited_for
from cnntui.labs.recipes import Recipe, Recipes
from cnntui.labs.stages import WordsError, nearest
from cnntui.labs.stages.train import STAGE, Training, epochs_of
from cnntui.labs.train import TrainState
from cnntui.labs.trained import is_going, needed_before, newest_like, newest_of, resolved
from cnntui.labs.watching import Looking
from cnntui.runs.control import send
from cnntui.runs.reader import RunReader, RunView, UnreadableRunError
from cnntui.ui.stages import Holder
from cnntui.ui.stages.waiting import READ_SECONDS, meanwhile, settled, until
from cnntui.ui.views.train import TrainView

STOP_SECONDS = 5.0


class TrainHolder(Holder):
    """Offers what a lesson trains, and follows it.

    A run of the same net and settings that is still being trained is followed again.
    """

    def __init__(self, recipes: Recipes, shown: Sequence[str] | None = None) -> None:
        super().__init__(recipes, shown)
        self.view = TrainView()
        self.view.hidden = STAGE.hidden(shown)
        fresh = (recipe for recipe in recipes.runs.values() if not recipe.after)
        self.view.offers = {recipe.name: TrainState(recipe.network, recipe.settings) for recipe in fresh}
        self._after: Recipe | None = None  # what comes once that is trained whose weights it begins with
        self._played: Path | None = None  # what a solution has begun: it does not go on behind the lesson
        self._plays = False  # and begins just now

    def compose(self) -> ComposeResult:
        """The view alone."""
        yield self.view

    @property
    def state(self) -> Training:
        """What is set, and the run as it was read last."""
        view = self.view
        return Training(view.state, view.run_view if view.reader is not None else None, view.looking)

    @property
    def busy(self) -> str:
        """How far the run is, while it goes on."""
        view = self.view
        if view.launching or (view.reader is not None and view.run_view is None):
            return meanwhile(waited_for(None))
        return meanwhile(waited_for(view.run_view)) if view.reader is not None else ""

    async def begin(self, moves: Sequence[str]) -> None:
        """The settings that the lesson offers; or the run that was begun with them, while it goes on."""
        await self._let_go()
        self._after = None
        view = self.view
        view.state, view.looking = STAGE.start().setup, Looking()
        view.follow(None)
        for move in moves:
            await self.perform(move)

    async def perform(self, move: str) -> None:
        """One move; a training is waited for."""
        now = STAGE.play(self.state, move)
        verb, *arguments = move.split()
        match verb:
            case "run" | "watch":
                await self._offer(arguments[0], going=verb == "run")
            case "start":
                await self._start(epochs_of("".join(arguments)))
            case "pause" | "stop" | "resume":
                await self._command(verb)
            case _:
                self._take(now)
        await settled(self.view)

    def _take(self, now: Training) -> None:
        view = self.view
        view.state = now.setup
        if now.run is None and view.reader is not None:
            view.follow(None)
        view.look(now.looking)

    async def _offer(self, name: str, going: bool) -> None:
        """What the lesson calls so; a run of it that goes on is followed, or if not `going`, one that was trained.

        While that is not trained whose weights it begins with, this is offered in its place.
        """
        if name not in self.recipes.runs:
            raise WordsError(f"this lesson has no run called {name!r}; {nearest(name, self.recipes.runs)}")
        wanted = self.recipes.runs[name]
        first = await asyncio.to_thread(needed_before, wanted, self.recipes)
        recipe = await asyncio.to_thread(resolved, first[0] if first else wanted, self.recipes)
        if recipe is None:
            raise WordsError(f"{name} begins with weights that are gone: set the page back")
        self._take(replace(self.state, setup=TrainState(recipe.network, recipe.settings), run=None))
        self._after = wanted if first else None
        run = await asyncio.to_thread(newest_like, recipe.network, recipe.settings, going or bool(first))
        before = await asyncio.to_thread(newest_of, recipe.network) if going and not first and run is None else None
        if before is not None and is_going(before[1]):
            run = before[0]  # of other settings: who trains this net wants to see it
        if run is not None:
            self.view.follow(RunReader(run))
            await self._read(lambda view: not view.ended or view.over)
        elif before is not None:
            status = before[1].status
            result = f", to {percent(status.test_accuracy)}" if status and status.test_accuracy is not None else ""
            self.view.note(f"this net was trained here before{result}: o opens its runs", True)
        if first:
            self.view.note(
                f"{name} begins with what {recipe.name} learned: train that first, then set the page back", True
            )

    async def _start(self, epochs: int | None) -> None:
        """Train what is set, as the key does."""
        view = self.view
        if view.reader is not None:
            view.action_new()
        self._plays = True
        view.action_start()
        await self.leave()
        if view.reader is None:
            raise WordsError(view.said[0] if view.said else "not started")
        after = self._after
        whole = epochs is None or after is not None
        await self._read(lambda now: _at_rest(now) or (not whole and len(now.test_accuracy) >= (epochs or 0)))
        if after is not None:
            await self._offer(after.name, going=True)
            await self._start(epochs)

    async def _command(self, verb: str) -> None:
        """The hand on a run."""
        view = self.view
        if view.reader is None or view.run_view is None:
            raise WordsError(f"there is no run to {verb}: write start before it")
        if verb == "resume" and view.run_view.ended:
            if not view.run_view.resumable:
                raise WordsError("the run was trained to its end: there is nothing to resume")
            view.action_go()
            await until(lambda: not view.launching, "resuming")
        elif view.run_view.ended:
            raise WordsError(f"the run has ended: there is nothing to {verb}")
        else:
            view.command(verb)
        if verb == "resume":
            await self._read(lambda now: not view.asked and _at_rest(now))
        else:
            await self._read(lambda now: now.over or (verb == "pause" and now.state == "paused"))

    async def _read(self, holds: Callable[[RunView], bool]) -> None:
        """Follow the run until something holds, on the screen or covered."""
        view = self.view
        reader = view.reader

        def look() -> bool:
            now = view.run_view
            if view.reader is not reader:
                raise WordsError("another run was opened meanwhile")
            if now is not None and now.over and not (now.trained or now.label == "stopped"):
                raise WordsError(f"the training did not come to its end: {now.message or now.label}")
            if now is not None and holds(now):
                return True
            view.poll_now()
            return False

        await until(look, "the training", READ_SECONDS)

    async def leave(self) -> None:
        """What is being started is there: it would be followed on the next page."""
        await until(lambda: not self.view.launching, "starting")
        if self._plays and self.view.reader is not None:
            self._played = self.view.reader.directory
        self._plays = False

    async def _let_go(self) -> None:
        """What a solution has begun, and nobody waits for, ends."""
        await self.leave()
        run, self._played = self._played, None
        if run is not None and _goes_on(run):
            _stop(run)
            with suppress(WordsError):  # it hears it once it has loaded its data: the page does not wait that long
                await until(lambda: not _goes_on(run), "stopping", READ_SECONDS, STOP_SECONDS)

    def on_train_view_changed(self, event: TrainView.Changed) -> None:
        """A task may ask about it."""
        event.stop()
        self.post_message(self.Changed())

    def on_unmount(self) -> None:
        """Nothing is read any more."""
        self.rest()
        if self._played is not None and _goes_on(self._played):
            _stop(self._played)

    def take_focus(self) -> None:
        """The view's."""
        self.view.focus()

    def rest(self) -> None:
        """Nothing is read."""
        self.view.rest()

    def wake(self) -> None:
        """Read on."""
        self.view.wake()


def _at_rest(view: RunView) -> bool:
    """Whether it has ended; or stands still by itself, since its loss is not finite."""
    return view.over or view.state == "paused"


def _goes_on(run: Path) -> bool:
    """Whether it has not ended; one that was removed has."""
    with suppress(UnreadableRunError):
        return not RunReader(run).glance().ended
    return False


def _stop(run: Path) -> None:
    with suppress(OSError):  # it is gone meanwhile
        send(run, "stop")
