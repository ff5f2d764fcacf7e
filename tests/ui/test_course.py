"""The whole course is played in the app: each task at its start, with wrong answers, and as it should be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cnntui.labs.lessons.course import own_course
from cnntui.labs.lessons.lesson import Lesson, rehearse
from cnntui.labs.stages import STAGES
from cnntui.ui.lesson_check import check_course

ALL = [str(number) for number in range(1, 27)]
# Those that train take most of the time; those that look into one and the same trained net are played together.
TRAINING = {"the course's net": ["10", "12", "13", "16", "18"], "17": ["17"], "22": ["22"], "23": ["23"], "24": ["24"]}
READING = [number for number in ALL if not any(number in group for group in TRAINING.values())]
GROUPS = {**TRAINING, "1 to 9": READING[:9], "11 to 26": READING[9:]}


def test_all_topics_are_there() -> None:
    lessons = own_course().lessons
    assert [str(lesson.number) for lesson in lessons] == ALL
    assert all(lesson.about and 5 <= lesson.minutes <= 20 and len(lesson.tasks) >= 3 for lesson in lessons)
    assert {page.stage for lesson in lessons for page in lesson.pages} == {*STAGES, ""}


def test_every_word_of_the_course_can_be_said() -> None:
    for lesson in own_course().lessons:
        rehearse(lesson)


@pytest.mark.parametrize("group", GROUPS)
async def test_every_task_can_be_done_and_only_done(group: str) -> None:
    course = own_course()
    found: dict[str, list[str]] = {}

    def tell(lesson: Lesson, problems: list[str], seconds: float) -> None:
        found[str(lesson.number)] = problems

    await check_course(replace(course, lessons=tuple(map(course.find, GROUPS[group]))), tell)
    assert found == {number: [] for number in GROUPS[group]}
