"""A course: a folder of lessons in their order, with what they share; the one that comes with cnntui, or a teacher's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from cnntui.core.notation import printable
from cnntui.labs.lessons.document import LessonError, Toml, read_document, read_id, read_text, toml
from cnntui.labs.lessons.keys import Keys
from cnntui.labs.lessons.lesson import Lesson, rehearse
from cnntui.labs.lessons.reading import read_lesson
from cnntui.labs.lessons.search import Found, Index
from cnntui.labs.lessons.shared import KEYS as SHARED
from cnntui.labs.lessons.shared import Shared, check_show, read_shared
from cnntui.labs.stages import nearest

FILE = "course.toml"
KEYS = ("id", "title", "about", *SHARED)
SUFFIX = ".md"
LAST = 1000  # behind all that have a number


@dataclass(frozen=True)
class Course:
    """Lessons in their order.

    Args:
        id: what progress is kept under; for a lesson that is a file of its own, and a folder that says none, its path.
        title, about: what it is called and for whom it is.
        lessons: with their numbers.
    """

    id: str
    title: str
    lessons: tuple[Lesson, ...]
    about: str = ""

    def find(self, name: str) -> Lesson:
        """A lesson by its id or its number.

        Raises:
            KeyError: when there is none, with what there is.
        """
        for lesson in self.lessons:
            if name in (lesson.id, str(lesson.number or lesson.id)):
                return lesson
        ids = [lesson.id for lesson in self.lessons]
        raise KeyError(f"no lesson is called {printable(name)[:60]!r}; {nearest(name, ids)}")

    def beside(self, lesson: Lesson, by: int) -> Lesson | None:
        """The next lesson or the one before; None at the ends."""
        at = [each.id for each in self.lessons].index(lesson.id) + by
        return self.lessons[at] if 0 <= at < len(self.lessons) else None

    @cached_property
    def glossary(self) -> dict[str, tuple[str, Lesson]]:
        """Terms in the order of the alphabet: what they mean, and the first lesson that explains them."""
        terms = {term: (about, lesson) for lesson in reversed(self.lessons) for term, about in lesson.glossary.items()}
        return dict(sorted(terms.items(), key=lambda entry: entry[0].lower()))

    @cached_property
    def index(self) -> Index:
        """What can be searched; gathered as it is wanted."""
        return Index(self.lessons)

    def search(self, words: str) -> list[Found]:
        """The pages on which all of the words stand, whatever their case; first those with one in the title."""
        while self.index.more():
            pass
        return self.index.find(words)


def lessons_directory() -> Path:
    """Where the lessons that come with cnntui are."""
    return Path(__file__).parents[2] / "lessons"


@cache
def own_course() -> Course:
    """The course that comes with cnntui.

    Raises:
        LessonError: naming file and line.
    """
    return read_course(lessons_directory())


def open_course(name: str | None) -> tuple[Course, Lesson | None]:
    """What `cnntui learn NAME` opens: a lesson by id or number, a lesson's file, a folder of lessons; None: the course.

    Raises:
        LessonError: naming file and line.
        KeyError: when there is no such lesson, with what there is.
    """
    if name is None:
        return own_course(), None
    path = Path(name)
    if _is(path, Path.is_dir):
        course = read_course(path)
        for lesson in course.lessons:
            rehearse(lesson)
        return course, None
    if name.endswith(SUFFIX) or _is(path, Path.is_file):
        lesson = read_lesson(path)
        rehearse(lesson)
        return Course(str(path.resolve()), lesson.title, (lesson,)), lesson
    return own_course(), own_course().find(name)


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    """Whether there is something of a kind; what cannot even be asked is not there."""
    try:
        return kind(path)
    except OSError:
        return False


def read_course(folder: Path) -> Course:
    """A folder of lessons: its `.md` files in the order of their numbers, else of their names.

    Raises:
        LessonError: naming file and line.
    """
    files = sorted(path for path in folder.glob(f"*{SUFFIX}") if path.name.upper() != "README.MD")
    files = [path for path in files if not path.name.startswith(".")]  # of editors, and of other systems
    if not files:
        raise LessonError(folder, 1, f"there is no lesson in it: a lesson is a file that ends in {SUFFIX}")
    source = _course_file(folder / FILE)
    shared = read_shared(source)
    lessons = [read_lesson(path, shared) for path in files]
    _check(lessons)
    check_show(source, {page.stage for lesson in lessons for page in lesson.pages if page.stage})
    return Course(
        id=read_id(source) if "id" in source.data else str(folder.resolve()),
        title=source.text("title", folder.resolve().name),
        lessons=tuple(sorted(lessons, key=lambda lesson: lesson.number or LAST)),
        about=source.text("about"),
    )


def shared_in(folder: Path) -> Shared:
    """What the lessons of a folder have in common.

    Raises:
        LessonError: naming file and line.
    """
    return read_shared(_course_file(folder / FILE))


def _course_file(path: Path) -> Toml:
    if not path.is_file():
        return Toml(path, {}, Keys())
    source = toml(read_text(path), path, 1)
    for key in source.data:
        if key not in KEYS:
            raise source.error(f"unknown key {key!r}; {nearest(key, KEYS)}", key)
    return source


def _check(lessons: list[Lesson]) -> None:
    """No two lessons with one name or number."""
    for what in ("id", "number"):
        first: dict[object, Lesson] = {}
        for lesson in lessons:
            value = getattr(lesson, what)
            if value and value in first:
                line = read_document(lesson.path).front.line(what)
                raise LessonError(
                    lesson.path, line, f"{what} {value} is that of {first[value].path.name}, too: take another"
                )
            first[value] = lesson
