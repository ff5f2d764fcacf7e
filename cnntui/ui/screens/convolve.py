"""Convolve: a window over the user's numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cnntui.ui.screens.frame import Frame
from cnntui.ui.views.convolve import ConvolveView

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp


class ConvolveScreen(Frame):
    """The convolution lab."""

    MODE = "convolve"
    AUTO_FOCUS = ""  # the view gives it to what is looked at

    def body(self) -> ConvolveView:
        """The view, with the state that the command line gave."""
        return ConvolveView(cast("CnntuiApp", self.app).opening.convolve)
