"""Words looked up in a course: on which pages they stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cnntui.labs.lessons.lesson import Lesson

MOST = 200
ROOM = 60  # characters that are shown around a word


@dataclass(frozen=True)
class Found:
    """Where something was found: a lesson, a page of it, and the words around."""

    lesson: Lesson
    page: int
    words: str


class Index:
    """The text of every page, gathered lesson by lesson: its figures have to be computed for it."""

    def __init__(self, lessons: Iterable[Lesson]) -> None:
        self._left = list(lessons)[::-1]
        self._pages: list[tuple[Lesson, int, str]] = []

    def more(self) -> bool:
        """Gather one lesson more; False when all were."""
        if not self._left:
            return False
        lesson = self._left.pop()
        self._pages += [(lesson, number, _text(lesson, number)) for number in range(len(lesson.pages))]
        return True

    def find(self, words: str) -> list[Found]:
        """The pages gathered so far on which all of the words stand; first those with one in the title."""
        wanted = words.lower().split()
        found: list[tuple[bool, Found]] = []
        for lesson, number, text in self._pages if wanted else ():
            title = f"{lesson.title} {lesson.pages[number].title}".lower()
            if all(word in text.lower() or word in title for word in wanted):
                titled = any(word in title for word in wanted)
                found.append((not titled, Found(lesson, number, _around(text, wanted[0]))))
        return [each for _, each in sorted(found, key=lambda one: one[0])][:MOST]


def _text(lesson: Lesson, number: int) -> str:
    page = lesson.pages[number]
    ask = page.task.ask.filled(lesson.scope(page)) if page.task else ""
    return " ".join(f"{lesson.text(page)} {ask}".replace("**", "").replace("`", "").split())


def _around(text: str, word: str) -> str:
    """The words around the first place of a word."""
    at = max(0, text.lower().find(word) - ROOM // 2)
    return ("…" if at else "") + text[at : at + ROOM].strip() + ("…" if at + ROOM < len(text) else "")
