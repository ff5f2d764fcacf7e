"""What must be trained before there is anything to see: what it is, the key that trains it, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from textual import work
from textual.binding import Binding
from textual.message import Message
from textual.widgets import Static

from cnntui.core.analysis import analyse
from cnntui.core.notation import network_text
from cnntui.labs.plain import percent, progress
from cnntui.labs.recipes import Recipe
from cnntui.labs.trained import newest_like
from cnntui.runs.launch import HOW_TO_GET_TORCH, LaunchError, can_train, launch
from cnntui.runs.reader import RunReader, RunView, UnreadableRunError
from cnntui.runs.spec import new_spec
from cnntui.ui.clock import Clock

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

READ_SECONDS = 1.0
Settle = Callable[[Recipe], Recipe | None]


class TrainCard(Static):
    """Trains some recipes, one after the other; each once those before it are trained.

    `settle` gives a recipe with the run whose weights it begins with, once there is one. A run of the recipe that goes on
    is followed.
    """

    DEFAULT_CSS = "TrainCard { width: 1fr; height: 1fr; padding: 1 2; }"
    BINDINGS = [
        Binding("enter", "train", "Train it"),
        Binding("t", "watch", "Train screen"),
    ]
    HELP = "enter trains what is missing here, in the background: read on, it is opened once it is trained."

    can_focus = True

    class Trained(Message):
        """The last of them is."""

    class Told(Message):
        """It says something else."""

    class Read(Message):
        """How far a run is, or why there is none."""

        def __init__(self, reader: RunReader | None, view: RunView | None, problem: str = "") -> None:
            super().__init__()
            self.reader, self.view, self.problem = reader, view, problem

    def __init__(self, recipes: Sequence[Recipe], settle: Settle, why: str = "") -> None:
        super().__init__(markup=False)
        self.recipes = tuple(recipes)
        self.settle = settle
        self.why = why
        self.reader: RunReader | None = None
        self.run_view: RunView | None = None
        self.problem = ""
        self.busy = False  # a worker starts or reads a run
        self.going = False  # it was asked for, and is not over

    @property
    def clock(self) -> Clock:
        """The app's."""
        return cast("CnntuiApp", self.app).clock

    @property
    def recipe(self) -> Recipe:
        """What is trained now, or first."""
        return self.recipes[0]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """To train it while it does not go on; to watch it while it does."""
        if action == "train":
            return not self.going
        return self.reader is not None if action == "watch" else True

    def on_mount(self) -> None:
        """What goes on already is followed."""
        self._say()
        self._look_for(start=False)

    def action_train(self) -> None:
        """Train it, once."""
        if self.going or self.busy:
            return
        if not can_train():
            self._take(None, None, HOW_TO_GET_TORCH)
            return
        self.going, self.problem = True, ""
        self._say("starting …")
        self._look_for(start=True)

    async def action_watch(self) -> None:
        """The run on the Train screen."""
        if self.reader is not None:
            await cast("CnntuiApp", self.app).attach(self.reader.directory)

    # -- the run

    def _look_for(self, start: bool) -> None:
        self.busy = True
        self._find(self.recipe, start)

    @work(thread=True, group="card")
    def _find(self, recipe: Recipe, start: bool) -> None:
        """Off the event loop: directories are read, and perhaps a process is started."""
        try:
            whole = self.settle(recipe)
            if whole is None:
                raise LaunchError(f"{recipe.after} is not trained yet")
            run = newest_like(whole.network, whole.settings, going=True)
            if run is None and start:
                run = launch(new_spec(whole.network, whole.settings))
            reader = RunReader(run) if run is not None else None
            self.post_message(self.Read(reader, reader.poll() if reader else None))
        except (LaunchError, UnreadableRunError, ValueError) as error:
            self.post_message(self.Read(None, None, str(error)))

    def wake(self) -> None:
        """Read on."""
        if self.reader is not None:
            self.clock.listen(self, self.poll_now, every=READ_SECONDS)

    def rest(self) -> None:
        """The run goes on by itself."""
        self.clock.ignore(self)

    def poll_now(self) -> None:
        """Read what is new."""
        if self.reader is not None and not self.busy:
            self.busy = True
            self._poll(self.reader)

    @work(thread=True, group="card")
    def _poll(self, reader: RunReader) -> None:
        self.post_message(self.Read(reader, reader.poll()))

    def on_train_card_read(self, event: Read) -> None:
        """Say how far it is; when it is over, the next one."""
        event.stop()
        self.busy = False
        self._take(event.reader, event.view, event.problem)

    def _take(self, reader: RunReader | None, view: RunView | None, problem: str) -> None:
        if reader is not None and self.reader is None and self.app.screen is self.screen:
            self.reader = reader
            self.wake()
        self.reader, self.run_view, self.problem = reader, view, problem
        self.going = reader is not None
        if view is not None and view.over:
            self.clock.ignore(self)
            self.reader, self.going = None, False
            if view.trained and len(self.recipes) == 1:
                self.post_message(self.Trained())
            elif view.trained:
                self.recipes, self.run_view = self.recipes[1:], None
                self.action_train()
                return
            else:
                self.problem = f"it did not come to its end: {view.message or view.label}"
        self._say()

    # -- in words

    def _say(self, now: str = "") -> None:
        """Write the card."""
        lines = [self.why, ""] if self.why else []
        for recipe in self.recipes:
            lines += _about(recipe)
        if self.problem:
            again = "" if self.problem == HOW_TO_GET_TORCH else "   enter tries again"
            lines += [f"{self.problem}{again}"]
        elif now:
            lines += [now]
        elif self.run_view is not None and self.going:
            told = progress(self.run_view)
            tested = self.run_view.test_accuracy
            lines += [
                f"{told}{f'  test {percent(tested[-1][1])}' if tested else ''}",
                "",
                "t shows it on the Train screen",
            ]
        elif not can_train():
            lines += [HOW_TO_GET_TORCH]
        else:
            lines += ["enter trains it here, in the background; it is opened once it is trained"]
        text = "\n".join(lines)
        if str(self.content) != text:
            self.update(text)
            self.refresh_bindings()
            self.post_message(self.Told())


def _about(recipe: Recipe) -> list[str]:
    network, settings = recipe.network, recipe.settings
    params = analyse(network).params
    passes = f"{settings.epochs} epoch{'s' * (settings.epochs > 1)}"
    after = f", from the weights of {recipe.after}" if recipe.after else ""
    return [
        f"{recipe.name}: {params:,} parameters, on {_data(settings.data)}, {passes}{after}",
        "; ".join(network_text(network)),
        "",
    ]


def _data(data: str) -> str:
    return "MNIST, or the digits that come along" if data == "auto" else data
