"""Explore: a network, from the whole of it down to one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cnntui.ui.screens.frame import Frame
from cnntui.ui.views.explore import ExploreView

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp


class ExploreScreen(Frame):
    """The exploring lab."""

    MODE = "explore"

    def body(self) -> ExploreView:
        """The view, on what the command line gave."""
        opening = cast("CnntuiApp", self.app).opening
        return ExploreView(opening.explore)
