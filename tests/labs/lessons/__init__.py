"""What the lessons say, read as a learner reads it."""

from __future__ import annotations

from functools import cache

from cnntui.labs.lessons.course import lessons_directory, shared_in
from cnntui.labs.lessons.lesson import Lesson, Page
from cnntui.labs.lessons.reading import read_lesson
from cnntui.labs.lessons.tasks import Choice, Doing, Number, Text


@cache
def opened(ident: str) -> Lesson:
    """A lesson of the course by its id."""
    folder = lessons_directory()
    (path,) = folder.glob(f"*-{ident}.md")
    return read_lesson(path, shared_in(folder))


@cache
def rendered(ident: str) -> str:
    """All that a lesson can show, its figures computed: text, what is asked, hints, answers and replies; in one line."""
    return " ".join(" ".join(passages(opened(ident))).split())


def passages(lesson: Lesson) -> list[str]:
    """The same in pieces: each text, hint, answer and reply for itself."""
    return [
        text
        for page in lesson.pages
        for text in (page.title, lesson.text(page), *(said.filled(lesson.scope(page)) for said in _said(page)))
    ]


def _said(page: Page) -> list[Text]:
    task = page.task
    if task is None:
        return []
    match task:
        case Doing():
            own = [check.said for check in task.checks]
        case Choice():
            own = [*task.choices, *task.replies]
        case Number():
            own = [*(slip.said for slip in task.slips), task.reply]
    return [task.ask, *task.hints, *own]
