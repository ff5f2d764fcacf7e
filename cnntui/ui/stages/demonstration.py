"""What holds a demonstration on the stage of a lesson."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult

from cnntui.labs.recipes import Recipes
from cnntui.labs.stages import stage
from cnntui.ui.stages import Holder
from cnntui.ui.views.demonstration import Demonstration


class DemonstrationHolder(Holder):
    """A demonstration fills the stage."""

    NAME: ClassVar[str]
    VIEW: ClassVar[type[Demonstration[Any]]]

    def __init__(self, recipes: Recipes, shown: Sequence[str] | None = None) -> None:
        super().__init__(recipes, shown)
        words = stage(self.NAME)
        self.view = self.VIEW(words)
        self.view.hidden = words.hidden(shown)

    def compose(self) -> ComposeResult:
        """The view."""
        yield self.view

    async def begin(self, moves: Sequence[str]) -> None:
        """Set it up from its start.

        Raises:
            WordsError: when a move is not allowed.
        """
        self.view.begin(moves)

    async def perform(self, move: str) -> None:
        """One move more, which undo takes back.

        Raises:
            WordsError: when it is not allowed.
        """
        self.view.perform(move)

    @property
    def state(self) -> Any:
        """The view's state."""
        return self.view.state

    def take_focus(self) -> None:
        """The keys are the view's."""
        self.view.focus()

    def on_demonstration_changed(self, event: Demonstration.Changed) -> None:
        """What a task can ask about is another."""
        event.stop()
        self.post_message(self.Changed())
