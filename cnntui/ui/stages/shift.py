"""Shifts on the stage of a lesson."""

from __future__ import annotations

from cnntui.ui.stages.demonstration import DemonstrationHolder
from cnntui.ui.views.shift import ShiftView


class ShiftHolder(DemonstrationHolder):
    """A picture, its map, the old map, the difference."""

    NAME = "shift"
    VIEW = ShiftView
    HELP = ShiftView.HELP
