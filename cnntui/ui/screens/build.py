"""Build: a stack of layers and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cnntui.labs.wish import Wish
from cnntui.ui.screens.frame import Frame
from cnntui.ui.views.build import BuildView

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp


class BuildScreen(Frame):
    """The building lab."""

    MODE = "build"

    def body(self) -> BuildView:
        """The view, on the net that the command line gave."""
        return BuildView(cast("CnntuiApp", self.app).opening.build)

    async def on_build_view_train_requested(self, event: BuildView.TrainRequested) -> None:
        """To the Train screen, with this net."""
        await cast("CnntuiApp", self.app).offer(event.network)

    async def on_build_view_explore_requested(self, event: BuildView.ExploreRequested) -> None:
        """To the Explore screen, with this net."""
        await cast("CnntuiApp", self.app).explore(Wish(network=event.network))
