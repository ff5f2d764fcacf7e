"""How far a learner is: kept between sessions."""

from __future__ import annotations

from pathlib import Path

import msgspec

from cnntui.runs.files import write_atomic
from cnntui.runs.places import state_root
from cnntui.runs.spec import read_json


class LessonProgress(msgspec.Struct, frozen=True):
    """The page one was on, and the tasks that one did."""

    page: int = 0
    done: frozenset[str] = frozenset()


def _path() -> Path:
    return state_root() / "lessons.json"


def load_progress(lesson: str) -> LessonProgress:
    """How far the learner is in a lesson."""
    return (read_json(_path(), dict[str, LessonProgress]) or {}).get(lesson, LessonProgress())


def save_progress(lesson: str, progress: LessonProgress) -> None:
    """Remember it.

    Raises:
        OSError: when it cannot be written.
    """
    everything = read_json(_path(), dict[str, LessonProgress]) or {}
    _path().parent.mkdir(parents=True, exist_ok=True)
    write_atomic(_path(), msgspec.json.encode(everything | {lesson: progress}))


def done_tasks(lesson: str) -> frozenset[str]:
    """The tasks of a lesson that were done."""
    return load_progress(lesson).done
