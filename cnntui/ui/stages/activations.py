"""The activations on the stage of a lesson."""

from __future__ import annotations

from cnntui.ui.stages.demonstration import DemonstrationHolder
from cnntui.ui.views.activations import ActivationsView


class ActivationsHolder(DemonstrationHolder):
    """Curves, and a unit's sums below them."""

    NAME = "activations"
    VIEW = ActivationsView
    HELP = ActivationsView.HELP
