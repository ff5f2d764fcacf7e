"""The Build view on the stage of a lesson."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult

from cnntui.labs.build import BuildState
from cnntui.labs.recipes import Recipes
from cnntui.labs.stages.build import STAGE
from cnntui.labs.stages.scene import Scene
from cnntui.labs.wish import Wish
from cnntui.ui.stages import Holder
from cnntui.ui.views.build import BuildView
from cnntui.ui.widgets.editor import Editor
from cnntui.ui.widgets.layer_table import LayerTable

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp


class BuildHolder(Holder):
    """Sets the view up, plays moves on it, and passes on that it changed."""

    def __init__(self, recipes: Recipes, shown: Sequence[str] | None = None) -> None:
        super().__init__(recipes, shown)
        self.view = BuildView(STAGE.start().lab)
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
        before, scene = self.state, STAGE.play(self.state, move)
        self.view.take(scene.lab)
        if scene.view != before.view:
            self.view.show_view(scene.view)

    @property
    def state(self) -> Scene[BuildState]:
        """The lab, and what is beside its table."""
        return Scene(self.view.state, self.view.view)

    def on_build_view_changed(self, event: BuildView.Changed) -> None:
        """Tell the lesson."""
        event.stop()
        self.post_message(self.Changed())

    async def on_build_view_train_requested(self, event: BuildView.TrainRequested) -> None:
        """To the Train screen, with this net."""
        event.stop()
        await cast("CnntuiApp", self.app).offer(event.network)

    async def on_build_view_explore_requested(self, event: BuildView.ExploreRequested) -> None:
        """To the Explore screen, with this net."""
        event.stop()
        await cast("CnntuiApp", self.app).explore(Wish(network=event.network))

    def take_focus(self) -> None:
        """The keys are the table's, or the editor's where a layer is being written."""
        editor = self.view.query_one(Editor)
        self.screen.set_focus(editor if editor.display else self.view.query_one(LayerTable))
