"""A course played through the real app, without a terminal: each task at its start, with wrong answers, and solved."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cnntui.labs.lessons.course import Course
from cnntui.labs.lessons.lesson import Lesson, Page
from cnntui.labs.lessons.tasks import Choice, Doing, Number
from cnntui.labs.lessons.trial import answer_trials, verdicts
from cnntui.labs.stages import WordsError
from cnntui.ui.app import CnntuiApp
from cnntui.ui.views.learn import LearnView

SIZE = (120, 40)


@contextmanager
def elsewhere() -> Iterator[None]:
    """Runs and progress of a learner are neither seen nor touched."""
    names = ("CNNTUI_RUNS", "XDG_STATE_HOME")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory(prefix="cnntui-lessons-", ignore_cleanup_errors=True) as folder:
        os.environ.update({name: str(Path(folder) / name.lower()) for name in names})
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


async def check_course(course: Course, tell: Callable[[Lesson, list[str], float], None]) -> None:
    """Play every lesson; `tell` is given each with what is wrong, and the seconds it took, as soon as that is known."""
    with elsewhere():
        app = CnntuiApp("learn", course=course, lesson=course.lessons[0])
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause()
            view = app.screen.query_one(LearnView)
            view.pace = 0.0
            for lesson in course.lessons:
                began, problems = time.monotonic(), []
                for number, page in enumerate(lesson.pages):
                    problems += await _check_page(view, lesson, number, page)
                tell(lesson, problems, time.monotonic() - began)


async def _check_page(view: LearnView, lesson: Lesson, number: int, page: Page) -> list[str]:
    """What is wrong with a page, a line each."""
    where = f"{lesson.path.name}:{page.line}: "
    try:
        await view.open_page(number, lesson)
        if view.trying.said:
            return [f"{where}{view.trying.said}"]
        return [f"{where}{problem}" for problem in await _check_task(view)]
    except WordsError as error:
        return [f"{where}{error}"]


async def _check_task(view: LearnView) -> list[str]:
    task = view.page.task
    match task:
        case Doing():
            start, wrong, refused = view.problem(), [], []
            for moves in (*task.wrong, task.solution):
                if said := await view.play(moves):
                    refused.append(f"task {task.id} (line {task.line}): {'; '.join(moves)} is not possible: {said}")
                wrong.append(view.problem())
            solved = wrong.pop()
            return [*refused, *verdicts(task, start, wrong, solved)]
        case Choice():
            problems = answer_trials(task, view.scope)
            view.answer(task.right)
        case Number():
            wanted = task.wanted(view.scope)
            if wanted is None:
                return [f"task {task.id} (line {task.line}): the answer is not known on this page"]
            problems = answer_trials(task, view.scope)
            view.answer(repr(wanted))
        case _:
            return []
    if (wrong_end := view.problem()) is not None:
        problems.append(f"task {task.id} (line {task.line}): the right answer does not pass: {wrong_end}")
    return problems
