"""The Explore view on the stage of a lesson."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from cnntui.core.analysis import analyse
from cnntui.labs.recipes import Recipe, Recipes
from cnntui.labs.stages import WordsError, nearest
from cnntui.labs.stages.explore import STAGE
from cnntui.labs.stages.exploring import Exploring
from cnntui.labs.stages.given import network_of
from cnntui.labs.subject import Subject
from cnntui.labs.trained import needed, run_of
from cnntui.labs.wish import Wish
from cnntui.runs.spec import Settings
from cnntui.ui.screens.patches import Patches
from cnntui.ui.stages.carded import CardedHolder
from cnntui.ui.stages.waiting import settled, until
from cnntui.ui.views.explore import ExploreView


class ExploreHolder(CardedHolder):
    """Opens the run of a recipe, whoever trained it, and plays moves on it; where there is none, it can be trained."""

    def __init__(self, recipes: Recipes, shown: Sequence[str] | None = None) -> None:
        super().__init__(recipes, shown)
        self.view: ExploreView | None = None
        self.recipe: Recipe | None = None  # what the page wants
        self._later: list[str] = []  # moves that wait until it is open
        self._visited: frozenset[str] = frozenset()

    @property
    def seen(self) -> ExploreView | None:
        """The view, once something was opened."""
        return self.view

    @property
    def state(self) -> Exploring:
        """What is open, and where one is in it."""
        view = self.view
        if view is None or self.card is not None or view.subject is None or view.history is None:
            return Exploring(net=analyse(self.recipe.network) if self.recipe is not None else None)
        tests = view.run_view.test_accuracy if view.run_view is not None else ()
        accuracy = tests[-1][1] if tests else None
        visited = self._visited | {view.state.node}
        return Exploring(view.subject, view.state, accuracy, visited, view.patches)

    async def begin(self, moves: Sequence[str]) -> None:
        """The run that the moves want, as they leave it; where nobody trained it, the card.

        Raises:
            WordsError: when a move is not allowed, or none says which run.
        """
        if isinstance(self.app.screen, Patches):
            self.app.screen.dismiss(None)
        await self.drop_card()
        self.recipe, self._later, self._visited = None, [], frozenset()
        for move in moves:
            STAGE.play(Exploring(), move)
            if self.card is None or move.split()[0] in ("run", "net"):
                await self.perform(move)
            else:
                self._later.append(move)
        if self.recipe is None:
            raise WordsError("nothing says what to explore: write run NAME, or net NET")

    async def perform(self, move: str) -> None:
        """One move more; where it needs what is not trained yet, that is trained first."""
        verb, *arguments = move.split() or [""]
        STAGE.play(Exploring(), move)
        if verb in ("run", "net"):
            await self._want(self._recipe(verb, arguments))
            return
        await self.train()
        view, now = self.view, STAGE.play(self.state, move)
        if view is None or now.lab is None:
            raise WordsError(f"nothing is open: write run NAME before {verb}")
        if verb == "patches":
            if arguments:
                view.look(STAGE.play(self.state, f"look {' '.join(arguments)}").lab)
            view.action_patches()
        elif verb != "train":
            view.make(lambda _: now.lab)
        await settled(view)

    def _recipe(self, verb: str, arguments: Sequence[str]) -> Recipe:
        if verb == "net":
            network = network_of(*arguments)
            return Recipe(network.name, network, Settings())
        name = arguments[0]
        if name not in self.recipes.runs:
            raise WordsError(f"this lesson has no run called {name!r}; {nearest(name, self.recipes.runs)}")
        return self.recipes.runs[name]

    async def _want(self, recipe: Recipe) -> None:
        """Open the newest run of it; else show what would train it."""
        self.recipe = recipe
        run = await asyncio.to_thread(run_of, recipe, self.recipes)
        if run is not None:
            await self.drop_card()
            await self._open(run)
        else:
            await self.ask(await asyncio.to_thread(needed, recipe, self.recipes), "This net is not trained here yet.")

    async def trained(self) -> None:
        """Open it, and play what waited for it."""
        if self.recipe is None:
            return
        run = await asyncio.to_thread(run_of, self.recipe, self.recipes)
        if run is None:
            raise WordsError(f"{self.recipe.name} was trained, and is gone")
        later, self._later = self._later, []
        await self._open(run)
        await self.drop_card()
        for move in later:
            await self.perform(move)

    async def _open(self, run: Path) -> None:
        """The run as it is at first, on the view."""
        view, before = self.view, self.view.subject if self.view is not None else None
        if view is None:
            view = self.view = ExploreView(Wish(str(run)))
            view.hidden = STAGE.hidden(self.shown)
            await self.mount(view)
        elif before is not None and before.state.model.run == run and not view.problem:
            view.restart()
            before = None
        else:
            view.open(Wish(str(run)))
        await self._opened(view, before)
        self._visited = frozenset()

    async def _opened(self, view: ExploreView, before: Subject | None) -> None:
        """Wait until something else than before is open."""
        await until(lambda: bool(view.problem) or view.subject is not before, "opening the run")
        await settled(view)
        if view.problem:
            raise WordsError(view.problem)

    def on_explore_view_changed(self, event: ExploreView.Changed) -> None:
        """A task may ask about it."""
        event.stop()
        self._visited = self.state.visited
        self.post_message(self.Changed())
