"""Convolve: a window over the user's numbers."""

from __future__ import annotations

from cnntui.ui.screens.frame import Frame
from cnntui.ui.views.convolve import ConvolveView


class ConvolveScreen(Frame):
    """The convolution lab."""

    MODE = "convolve"

    def body(self) -> ConvolveView:
        """The view."""
        return ConvolveView()
