"""The screens as stages of a lesson: each a widget that holds the real view, sets it up in words, and tells what changed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from textual.message import Message
from textual.widget import Widget

from cnntui.labs.recipes import Recipes


class Holder(Widget):
    """A view on the stage of a lesson.

    Subclasses make the view, obey the moves of `labs.stages`, and post `Changed` whenever what a task can ask about may be
    another. `shown` are the controls that the lesson leaves (names of `Stage.controls`); None: all of them. The view's
    `hidden` are the actions that go, as `Stage.hidden` gives them.
    """

    DEFAULT_CSS = "Holder { width: 1fr; height: 1fr; layout: vertical; }"

    class Changed(Message):
        """Something was done on the stage, or happened there."""

    def __init__(self, recipes: Recipes, shown: Sequence[str] | None = None) -> None:
        super().__init__()
        self.recipes = recipes
        self.shown = shown

    async def begin(self, moves: Sequence[str]) -> None:
        """Set the stage up from its start.

        Raises:
            WordsError: when a move is not allowed.
        """
        raise NotImplementedError

    async def perform(self, move: str) -> None:
        """One move more, as the solution plays it; one that takes time is waited for.

        Raises:
            WordsError: when it is not allowed.
        """
        raise NotImplementedError

    @property
    def state(self) -> Any:
        """What facts are asked of: the stage's present state."""
        raise NotImplementedError

    @property
    def busy(self) -> str:
        """What goes on that the task waits for, in words: `being trained: epoch 3 of 12`; nothing, if nothing does."""
        return ""

    def take_focus(self) -> None:
        """The keys are the view's."""
        raise NotImplementedError

    async def leave(self) -> None:
        """Before it is removed: wait for what was begun a moment ago."""

    def rest(self) -> None:
        """Covered, or behind the text: nothing moves."""

    def wake(self) -> None:
        """Seen again."""


def holder(name: str) -> type[Holder]:
    """The widget of a stage: `ui/stages/NAME.py` holds one called NameHolder, imported only now."""
    found: type[Holder] = getattr(import_module(f"cnntui.ui.stages.{name}"), f"{name.title()}Holder")
    return found
