"""The app: modes, themes, the clock. Each mode is a screen of its own, imported when it is first opened."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Input

from cnntui.runs.places import log_traceback
from cnntui.ui.clock import Clock
from cnntui.ui.tabs import TABS
from cnntui.ui.theme import THEMES

if TYPE_CHECKING:
    from pathlib import Path

    from textual.command import Provider

    from cnntui.core.network import Network
    from cnntui.labs.build import BuildState
    from cnntui.labs.convolve import ConvolveState
    from cnntui.labs.lessons.course import Course
    from cnntui.labs.lessons.lesson import Lesson
    from cnntui.labs.wish import Picked, Wish
    from cnntui.runs.spec import Settings


def _key_commands() -> type[Provider]:
    from cnntui.ui.commands import KeyCommands

    return KeyCommands


@dataclass(frozen=True)
class Opening:
    """What the command line asked to see first."""

    convolve: ConvolveState | None = None
    build: BuildState | None = None
    network: Network | None = None
    settings: Settings | None = None
    run: Path | None = None
    course: Course | None = None
    lesson: Lesson | None = None
    explore: Wish | None = None
    compare: Picked | None = None


class CnntuiApp(App[None]):
    """cnntui in a terminal."""

    TITLE = "cnntui"
    NOTIFICATION_TIMEOUT = 4
    COMMANDS = App.COMMANDS | {_key_commands}
    BINDINGS: ClassVar[list[Any]] = [
        *(
            Binding(f"{tab.letter},{tab.key}", f"switch_mode('{tab.mode}')", f"{tab.name} screen", show=False)
            for tab in TABS
        ),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, mode: str = "convolve", **given: Any) -> None:
        self.DEFAULT_MODE = mode  # type: ignore[misc]  # so that no blank screen is made and painted first
        super().__init__()
        self.opening = Opening(**given)
        self.clock = Clock(self)
        self.going_run: Path | None = None  # what goes on when the app is left
        self.lesson_at = ""  # lesson and page that are open on the Learn screen
        self.failure = ""  # what ended it, if not its user
        for tab in TABS:
            self.add_mode(tab.mode, lambda tab=tab: self._open(tab.mode))  # type: ignore[misc]
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def _open(self, mode: str) -> Screen[Any]:
        """The screen of a mode: `ui/screens/MODE.py` holds one called ModeScreen."""
        screen: Screen[Any] = getattr(import_module(f"cnntui.ui.screens.{mode}"), f"{mode.title()}Screen")()
        return screen

    def on_command_palette_opened(self) -> None:
        """Nothing blinks: an idle screen sends nothing."""
        for line in self.screen.query(Input):
            line.cursor_blink = False

    def _fatal_error(self) -> None:
        """The end. Textual would print the whole traceback: it goes to the log, and one line is left to be told."""
        error = sys.exc_info()[1]
        self.failure = f"Error: {type(error).__name__}: {error}. {log_traceback()}".replace("\n", " ")
        self._close_messages_no_wait()

    async def offer(self, network: Network) -> None:
        """Show the Train screen with another net, ready to start."""
        from cnntui.ui.views.train import TrainView

        await self.switch_mode("train")
        self.screen.query_one(TrainView).offer(network)

    async def explore(self, wish: Wish) -> None:
        """Show the Explore screen with a run, or a net."""
        from cnntui.ui.views.explore import ExploreView

        self.opening = replace(self.opening, explore=wish)  # for a screen that is only now made
        await self.switch_mode("explore")
        self.screen.query_one(ExploreView).want(wish)

    async def attach(self, run: Path) -> None:
        """Show the Train screen with a run."""
        from cnntui.runs.reader import RunReader
        from cnntui.ui.views.train import TrainView

        self.opening = replace(self.opening, run=run)
        reader = RunReader(run)
        await self.switch_mode("train")
        self.screen.query_one(TrainView).follow(reader)

    async def compare(self, picked: Picked) -> None:
        """Show the Compare screen with a sweep, or some runs."""
        from cnntui.ui.views.compare import CompareView

        self.opening = replace(self.opening, compare=picked)
        await self.switch_mode("compare")
        self.screen.query_one(CompareView).want(picked)

    async def play_with(self, lab: ConvolveState) -> None:
        """Show the Convolve screen with an operation, to play with."""
        from cnntui.ui.views.convolve import ConvolveView

        await self.switch_mode("convolve")
        self.screen.query_one(ConvolveView).make(lambda state: lab)
