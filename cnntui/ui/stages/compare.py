"""The Compare view on the stage of a lesson."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cnntui.labs.comparing import Comparing as Runs
from cnntui.labs.comparison import Comparison
from cnntui.labs.recipes import Recipes
from cnntui.labs.stages import WordsError, nearest
from cnntui.labs.stages.compare import STAGE, Comparing, is_over
from cnntui.labs.trained import needed_for, resolved_design
from cnntui.labs.wish import Picked
from cnntui.runs.places import runs_root
from cnntui.runs.sweeps.conductor import conduct, conducting, stop
from cnntui.runs.sweeps.directory import prepare
from cnntui.runs.sweeps.plan import Design, SweepError
from cnntui.ui.stages.carded import CardedHolder
from cnntui.ui.stages.waiting import meanwhile, settled, until
from cnntui.ui.views.compare import CompareView

PREFIX = "lesson-"  # before the names of their directories: a sweep of the learner's own keeps its name
READ_SECONDS = 0.5  # between two looks at a sweep that is waited for
LAST_SECONDS = 3.0  # until the last run has told how it ended, once nobody conducts


class CompareHolder(CardedHolder):
    """Prepares a sweep of the lesson, trains it, and compares; what it begins with is trained first."""

    def __init__(self, recipes: Recipes, shown: Sequence[str] | None = None) -> None:
        super().__init__(recipes, shown)
        self.view: CompareView | None = None
        self.design: Design | None = None  # what the page wants
        self._later: list[str] = []  # moves that wait until it is
        self._played: Path | None = None  # what a solution has begun: it does not go on behind the lesson

    @property
    def seen(self) -> CompareView | None:
        """The view, once there is a sweep."""
        return self.view

    @property
    def state(self) -> Comparing:
        """What is compared."""
        return Comparing(self.view.state if self.view is not None and self.card is None else None)

    @property
    def busy(self) -> str:
        """What is trained by now: first what the sweep begins with, then its runs."""
        lab = self.state.lab
        if lab is None or not lab.comparison.is_conducted:
            return super().busy
        results = lab.comparison.results
        done = sum(result.standing == "trained" for result in results)
        return meanwhile(f"being trained: {done} of {len(results)} are")

    async def begin(self, moves: Sequence[str]) -> None:
        """The sweep that the moves want, as they leave it; while what it begins with is not trained, the card.

        Raises:
            WordsError: when a move is not allowed, or none says which sweep.
        """
        self._let_go()
        await self.drop_card()
        self.design, self._later = None, []
        for move in moves:
            STAGE.play(Comparing(), move)
            if self.card is None or move.split()[0] == "sweep":
                await self.perform(move)
            else:
                self._later.append(move)
        if self.design is None:
            raise WordsError("nothing says what to compare: write sweep NAME")

    async def perform(self, move: str) -> None:
        """One move more; a sweep is waited for."""
        verb, *arguments = move.split() or [""]
        STAGE.play(Comparing(), move)
        if verb == "sweep":
            await self._want(arguments[0])
            return
        await self.train()
        view, now = self.view, STAGE.play(self.state, move)
        if view is None or now.lab is None:
            raise WordsError(f"nothing is compared: write sweep NAME before {verb}")
        if verb == "go":
            await self._go(view, now.lab.comparison)
        else:
            view.make(now.lab)
        await settled(view)

    async def _want(self, name: str) -> None:
        if name not in self.recipes.sweeps:
            raise WordsError(f"this lesson has no sweep called {name!r}; {nearest(name, self.recipes.sweeps)}")
        self.design = self.recipes.sweeps[name]
        first = await asyncio.to_thread(needed_for, self.design, self.recipes)
        if first:
            await self.ask(first, "What this sweep begins with is not trained here yet.")
        else:
            await self.drop_card()
            await self._open(self.design)

    async def trained(self) -> None:
        """What it begins with is trained: now it can be prepared."""
        if self.design is None:
            return
        later, self._later = self._later, []
        await self._open(self.design)
        await self.drop_card()
        for move in later:
            await self.perform(move)

    async def _open(self, design: Design) -> None:
        """The sweep on the view."""
        view = self.view
        if view is not None:
            view.display = False  # until it shows this one
        try:
            picked = Picked(sweep=await asyncio.to_thread(_prepared, design, self.recipes))
        except SweepError as error:
            raise WordsError(str(error)) from None
        if view is None:
            view = self.view = CompareView(picked)
            view.hidden = STAGE.hidden(self.shown)
            await self.mount(view)
        else:
            view.display = True
            view.want(picked)
        await settled(view)
        if view.state is None:
            raise WordsError(f"the sweep {design.name} cannot be read")

    async def _go(self, view: CompareView, comparison: Comparison) -> None:
        """Train what is not trained of it, as the key does, and wait."""
        directory = comparison.directory
        if directory is None:
            raise WordsError("these runs are no sweep: write sweep NAME before go")
        if comparison.can_go_on:
            self._played = directory
            try:
                await asyncio.to_thread(conduct, directory)
            except SweepError as error:
                self._played = None
                raise WordsError(str(error)) from None

        def shown() -> Comparison:
            if view.state is None or view.state.comparison.directory != directory:
                raise WordsError("another sweep was opened meanwhile")
            view.poll_now()
            return view.state.comparison

        def is_ended() -> bool:
            shown()
            return not is_conducted(directory)

        await until(is_ended, "the sweep", READ_SECONDS)
        try:
            ended = await asyncio.to_thread(_ended, directory)
        except SweepError as error:
            raise WordsError(str(error)) from None
        if not is_over(ended):
            raise WordsError(f"the sweep was not trained to its end: {_how_it_ended(directory)}")
        if failed := ended.failed:
            group, result = failed[0]
            raise WordsError(f"{len(failed)} of the runs failed; {group.label}, seed {result.seed}: {result.why}")
        await until(lambda: is_over(shown()), "what the runs came to", READ_SECONDS)

    def _let_go(self) -> None:
        """What a solution has begun, and nobody waits for, ends."""
        directory, self._played = self._played, None
        if directory is not None and is_conducted(directory):
            with suppress(SweepError):
                stop(directory)

    def on_compare_view_changed(self, event: CompareView.Changed) -> None:
        """A task may ask about it."""
        event.stop()
        self.post_message(self.Changed())

    def on_unmount(self) -> None:
        """Nothing is read any more."""
        super().on_unmount()
        self._let_go()


def is_conducted(directory: Path) -> bool:
    """Whether somebody gives its runs their turns."""
    conductor = conducting(directory)
    return conductor is not None and conductor.alive


def _ended(directory: Path) -> Comparison:
    """How the runs of a sweep ended that nobody conducts any more; the last of them may tell it a moment later."""
    comparing = Runs(sweep=directory)
    deadline = time.monotonic() + LAST_SECONDS
    while not is_over(found := comparing.glance()) and time.monotonic() < deadline:
        time.sleep(READ_SECONDS)
    return found


def _how_it_ended(directory: Path) -> str:
    conductor = conducting(directory)
    return f"{conductor.state} {conductor.message}".strip() if conductor is not None else "nobody conducts it"


def _prepared(design: Design, recipes: Recipes) -> Path:
    """Its directory, and those of all its runs."""
    return prepare(resolved_design(design, recipes).plan(), runs_root() / f"{PREFIX}{design.name}")
