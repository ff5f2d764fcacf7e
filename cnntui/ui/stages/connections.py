"""Connections on the stage of a lesson."""

from __future__ import annotations

from cnntui.ui.stages.demonstration import DemonstrationHolder
from cnntui.ui.views.connections import ConnectionsView


class ConnectionsHolder(DemonstrationHolder):
    """A picture wired to a picture."""

    NAME = "connections"
    VIEW = ConnectionsView
    HELP = ConnectionsView.HELP
