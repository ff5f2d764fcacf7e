"""The Convolve view on the stage of a lesson."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult

from cnntui.labs.convolve import ConvolveState
from cnntui.labs.recipes import Recipes
from cnntui.labs.stages.convolve import STAGE
from cnntui.labs.stages.scene import Scene
from cnntui.ui.stages import Holder
from cnntui.ui.views.convolve import ConvolveView


class ConvolveHolder(Holder):
    """Sets the view up, plays moves on it, and passes on that it changed."""

    def __init__(self, recipes: Recipes, shown: Sequence[str] | None = None) -> None:
        super().__init__(recipes, shown)
        self.view = ConvolveView(STAGE.start().lab)
        self.view.hidden = STAGE.hidden(shown)
        self.view.guest = True

    def compose(self) -> ComposeResult:
        """The view alone."""
        yield self.view

    async def begin(self, moves: Sequence[str]) -> None:
        """The view on what the moves make, with nothing to undo.

        Raises:
            WordsError: when a move is not allowed.
        """
        scene = STAGE.start()
        for move in moves:
            scene = STAGE.play(scene, move)
        self.view.begin(scene.lab, scene.view)

    async def perform(self, move: str) -> None:
        """One move more, which undo takes back.

        Raises:
            WordsError: when it is not allowed.
        """
        scene = STAGE.play(self.state, move)
        self.view.take(scene.lab)
        self.view.show_view(scene.view)

    @property
    def state(self) -> Scene[ConvolveState]:
        """The lab, and how it is shown."""
        return Scene(self.view.state, self.view.view)

    def on_convolve_view_changed(self, event: ConvolveView.Changed) -> None:
        """Tell the lesson."""
        event.stop()
        self.post_message(self.Changed())

    def take_focus(self) -> None:
        """The keys are the view's."""
        self.view.focus_looked_at()

    def rest(self) -> None:
        """Nothing slides."""
        self.view.rest()

    def wake(self) -> None:
        """What slid goes on."""
        self.view.wake()
