"""Compare: the runs of a sweep, or some others, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cnntui.ui.screens.frame import Frame
from cnntui.ui.views.compare import CompareView

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp


class CompareScreen(Frame):
    """The comparing lab."""

    MODE = "compare"

    def body(self) -> CompareView:
        """The view, on what the command line gave."""
        return CompareView(cast("CnntuiApp", self.app).opening.compare)
