"""The normalisations on the stage of a lesson."""

from __future__ import annotations

from cnntui.ui.stages.demonstration import DemonstrationHolder
from cnntui.ui.views.norms import NormsView


class NormsHolder(DemonstrationHolder):
    """A small tensor, and over what a mean is taken."""

    NAME = "norms"
    VIEW = NormsView
    HELP = NormsView.HELP
