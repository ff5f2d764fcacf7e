"""How far a learner is: the page of each lesson, and each task with how it was done. Kept between sessions."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from cnntui.labs.lessons.course import Course
from cnntui.labs.lessons.lesson import Lesson
from cnntui.runs.files import write_atomic
from cnntui.runs.places import state_root
from cnntui.runs.spec import read_json


class TaskResult(msgspec.Struct, frozen=True):
    """How a task went: when it was done (empty: it was not), wrong answers before, hints seen, the solution seen."""

    done: str = ""
    tries: int = 0
    hints: int = 0
    shown: bool = False

    def with_all(self, other: TaskResult) -> TaskResult:
        """The same task as it went in another window: done, if it is done in one of them."""
        done = min(filter(None, (self.done, other.done)), default="")
        tries, hints = max(self.tries, other.tries), max(self.hints, other.hints)
        return TaskResult(done, tries, hints, self.shown or other.shown)


class LessonProgress(msgspec.Struct, frozen=True):
    """The page one was on, how the tasks went, and for how many seconds the lesson was open."""

    page: int = 0
    tasks: dict[str, TaskResult] = {}
    seconds: float = 0.0

    def is_done(self, task: str) -> bool:
        """Whether the learner did it."""
        return bool(self.tasks.get(task, TaskResult()).done)

    def with_task(self, task: str, **changes: Any) -> LessonProgress:
        """With another result of a task."""
        result = msgspec.structs.replace(self.tasks.get(task, TaskResult()), **changes)
        return msgspec.structs.replace(self, tasks={**self.tasks, task: result})

    def with_all(self, other: LessonProgress) -> LessonProgress:
        """With what was done elsewhere, too: nothing that was done is undone."""
        tasks = {**other.tasks, **self.tasks}
        for task in self.tasks.keys() & other.tasks.keys():
            tasks[task] = self.tasks[task].with_all(other.tasks[task])
        return msgspec.structs.replace(self, tasks=tasks, seconds=max(self.seconds, other.seconds))


class Everything(msgspec.Struct, frozen=True):
    """All that is kept: by COURSE/LESSON; `last` is the lesson that was open last, in each course."""

    lessons: dict[str, LessonProgress] = {}
    last: dict[str, str] = {}


def _path() -> Path:
    return state_root() / "course.json"


def _all() -> Everything:
    return read_json(_path(), Everything) or Everything()


def _key(course: Course, lesson: Lesson) -> str:
    return f"{course.id}/{lesson.id}"


def load_progress(course: Course, lesson: Lesson) -> LessonProgress:
    """How far the learner is in a lesson."""
    return _all().lessons.get(_key(course, lesson), LessonProgress())


def all_progress(course: Course) -> dict[str, LessonProgress]:
    """How far in each lesson of a course, by its id."""
    found = _all().lessons
    return {lesson.id: found.get(_key(course, lesson), LessonProgress()) for lesson in course.lessons}


def save_progress(course: Course, lesson: Lesson, progress: LessonProgress) -> Path | None:
    """Remember it, with what another window kept meanwhile, and that this lesson was open last.

    A file that cannot be read is not written over: it is put aside, and where it is then is returned.

    Raises:
        OSError: when it cannot be written.
    """
    path, aside = _path(), None
    path.parent.mkdir(parents=True, exist_ok=True)
    everything = read_json(path, Everything)
    if everything is None and path.exists():
        aside = path.with_name(f"course-{time.time_ns()}.json")
        path.rename(aside)
    everything, key = everything or Everything(), _key(course, lesson)
    if key in everything.lessons:
        progress = progress.with_all(everything.lessons[key])
    kept = Everything(everything.lessons | {key: progress}, everything.last | {course.id: lesson.id})
    write_atomic(path, msgspec.json.encode(kept))
    return aside


def last_lesson(course: Course) -> Lesson:
    """The lesson that was open last; the first, where none was."""
    last = _all().last.get(course.id, "")
    return next((lesson for lesson in course.lessons if lesson.id == last), course.lessons[0])


def now() -> str:
    """The time of day at which something was done, as ISO has it."""
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")


def done(lesson: Lesson, progress: LessonProgress) -> int:
    """How many of a lesson's tasks are done."""
    return sum(progress.is_done(task.id) for task in lesson.tasks)


def results(course: Course) -> list[dict[str, Any]]:
    """A learner's results for a teacher: each lesson, and each of its tasks, in order."""
    found = all_progress(course)
    return [
        {
            "id": lesson.id,
            "number": lesson.number,
            "title": lesson.title,
            "minutes": lesson.minutes,
            "tasks": len(lesson.tasks),
            "done": done(lesson, found[lesson.id]),
            "seconds": round(found[lesson.id].seconds),
            "results": list(_results(lesson, found[lesson.id])),
        }
        for lesson in course.lessons
    ]


def _results(lesson: Lesson, progress: LessonProgress) -> Iterable[dict[str, Any]]:
    for task in lesson.tasks:
        result = progress.tasks.get(task.id, TaskResult())
        yield {
            "task": task.id,
            "done": result.done or None,
            "wrong": result.tries,
            "hints": result.hints,
            "solution_shown": result.shown,
        }
