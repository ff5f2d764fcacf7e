"""The Learn screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cnntui.labs.lessons.course import own_course
from cnntui.labs.lessons.progress import last_lesson
from cnntui.ui.screens.frame import Frame
from cnntui.ui.views.learn import LearnView

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp


class LearnScreen(Frame):
    """A course."""

    MODE = "learn"
    AUTO_FOCUS = ""  # the view gives it to the text

    def body(self) -> LearnView:
        """The course and the lesson that the command line gave, else where the learner stopped."""
        opening = cast("CnntuiApp", self.app).opening
        course = opening.course or own_course()
        return LearnView(course, opening.lesson or last_lesson(course))
