"""The app: modes, themes, the clock. Each mode is a screen of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App
from textual.binding import Binding

from cnntui.core.network import Network
from cnntui.labs.build import BuildState
from cnntui.labs.lesson import Lesson
from cnntui.labs.train import TrainState
from cnntui.runs.spec import Settings
from cnntui.ui.clock import Clock
from cnntui.ui.screens.build import BuildScreen
from cnntui.ui.screens.convolve import ConvolveScreen
from cnntui.ui.screens.frame import TABS
from cnntui.ui.screens.learn import LearnScreen
from cnntui.ui.screens.train import TrainScreen
from cnntui.ui.theme import THEMES
from cnntui.ui.views.train import TrainView


@dataclass(frozen=True)
class Opening:
    """What the command line asked to see first."""

    build: BuildState | None = None
    network: Network | None = None
    settings: Settings = Settings()
    run: Path | None = None
    lesson: Lesson | None = None


class CnntuiApp(App[None]):
    """cnntui in a terminal."""

    TITLE = "cnntui"
    MODES: ClassVar[dict[str, Any]] = {
        "convolve": ConvolveScreen,
        "build": BuildScreen,
        "train": TrainScreen,
        "learn": LearnScreen,
    }
    BINDINGS: ClassVar[list[Any]] = [
        *(
            Binding(f"{name[0]},{key}", f"switch_mode('{mode}')", f"{name} screen", show=False)
            for mode, name, key in TABS
        ),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, mode: str = "convolve", **given: Any) -> None:
        super().__init__()
        self.first_mode = mode
        self.opening = Opening(**given)
        self.clock = Clock(self)
        self.going_run: str | None = None  # what goes on when the app is left
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def on_mount(self) -> None:
        """Open the first screen."""
        self.switch_mode(self.first_mode)

    async def offer(self, network: Network) -> None:
        """Show the Train screen with another net, ready to start."""
        await self.switch_mode("train")
        view = self.screen.query_one(TrainView)
        view.offer(TrainState(network, view.state.settings))
