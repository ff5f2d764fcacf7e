"""Learning on the exploring view: the lesson about the weight under the cursor, and the steps taken there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import work
from textual.message import Message
from textual.worker import get_current_worker

from cnntui.labs.explore import ExploreState, MoveError
from cnntui.labs.subject import Subject
from cnntui.ui.views.explore_base import ExploreBase, sheltered

if TYPE_CHECKING:
    from cnntui.labs.learned import Learner


class ExploreLearning(ExploreBase):
    """Opens the lesson, and takes over the net as its steps left it."""

    class Lesson(Message):
        """A weight's learning is known, or why there is none."""

        def __init__(self, subject: Subject | None, learner: Learner | None, problem: str = "") -> None:
            super().__init__()
            self.subject, self.learner, self.problem = subject, learner, problem

    def action_learn(self) -> None:
        """What the weight under the cursor learns from this picture."""
        self._learn(self.subject, self.state, self.term)

    @work(thread=True, exclusive=True, group="learning")
    @sheltered
    def _learn(self, subject: Subject | None, state: ExploreState, term: int) -> None:
        """Off the event loop: a checkpoint is read, and gradients are computed."""
        from cnntui.labs.learned import learner  # who does not ask for it does not wait for it

        worker = get_current_worker()
        try:
            made = learner(state, term)
            made.learning  # noqa: B018 (computed here)
            answer = self.Lesson(subject, made)
        except (MoveError, ValueError) as error:
            answer = self.Lesson(subject, None, str(error))
        if not worker.is_cancelled:
            self.post_message(answer)

    def on_explore_learning_lesson(self, event: Lesson) -> None:
        """Show it."""
        event.stop()
        if event.subject is not self.subject or self.app.screen is not self.screen:
            return  # something else was opened meanwhile
        if event.learner is None:
            self.say(event.problem)
            return

        from cnntui.ui.screens.learning import LearningScreen

        def take(state: ExploreState | None) -> None:
            """All steps of a lesson are one change, which undo takes back."""
            if state is not None and event.subject is self.subject:
                self.make(lambda _: state)

        self.app.push_screen(LearningScreen(event.learner), take)
