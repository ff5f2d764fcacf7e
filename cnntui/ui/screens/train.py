"""Train: a CNN that learns in another process, live."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cnntui.labs.train import TrainState
from cnntui.runs.spec import Settings
from cnntui.ui.screens.frame import Frame
from cnntui.ui.views.train import TrainView

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp


class TrainScreen(Frame):
    """The training lab."""

    MODE = "train"

    def body(self) -> TrainView:
        """The view, on what the command line gave."""
        opening = cast("CnntuiApp", self.app).opening
        state = TrainState(opening.network, opening.settings or Settings()) if opening.network is not None else None
        return TrainView(state, opening.run)

    def on_screen_resume(self) -> None:
        """Seen again: read what happened meanwhile."""
        self.query_one(TrainView).wake()
