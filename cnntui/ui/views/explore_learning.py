"""Learning on the exploring view: the lesson about the weight under the cursor, and the steps taken there."""

from __future__ import annotations

from textual import work
from textual.message import Message
from textual.worker import get_current_worker

from cnntui.labs.explore import ExploreState, MoveError
from cnntui.labs.learned import Learner, learner
from cnntui.ui.screens.learning import LearningScreen
from cnntui.ui.views.explore_moves import ExploreMoves


class ExploreLearning(ExploreMoves):
    """Opens the lesson, and takes over the net as its steps left it."""

    class Lesson(Message):
        """A weight's learning is known, or why there is none."""

        def __init__(self, learner: Learner | None, problem: str = "") -> None:
            super().__init__()
            self.learner, self.problem = learner, problem

    def action_learn(self) -> None:
        """What the weight under the cursor learns from this picture."""
        self._learn(self.state, self.term)

    @work(thread=True, exclusive=True, group="learning")
    def _learn(self, state: ExploreState, term: int) -> None:
        """Off the event loop: a checkpoint is read, and gradients are computed."""
        worker = get_current_worker()
        try:
            made = learner(state, term)
            made.learning  # noqa: B018 (computed here)
            answer = self.Lesson(made)
        except (MoveError, ValueError) as error:
            answer = self.Lesson(None, str(error))
        if not worker.is_cancelled:
            self.post_message(answer)

    def on_explore_learning_lesson(self, event: Lesson) -> None:
        """Show it."""
        event.stop()
        if event.learner is None:
            self.say(event.problem)
        elif not isinstance(self.app.screen, LearningScreen):
            self.app.push_screen(LearningScreen(event.learner), self._take_steps)

    def _take_steps(self, state: ExploreState | None) -> None:
        """All steps of a lesson are one change, which undo takes back."""
        if state is not None:
            self.make(lambda _: state)
