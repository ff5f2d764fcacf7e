"""Lessons: Markdown with TOML front matter, whose figures are computed and whose tasks are checked from the lab's state.

A page begins at a `## heading`. A fenced block ```` ```setup ```` holds the moves that set the lab up, one a line; a fenced
block ```` ```task ```` is TOML: `id`, `ask`, `check` (a list of facts with `is`, `at_least`, `at_most` or `same_as`),
`hint` and `solution` (moves). In the text `{FACT}` is replaced by what the page's lab says, `{FACT after MOVE, MOVE}` by
what it would say after those moves. A lesson can do nothing else.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from cnntui.core.arithmetic import number
from cnntui.core.layers import shape_text
from cnntui.labs.convolve import ConvolveState, MoveError, start
from cnntui.labs.words import Fact, fact, play


class LessonError(ValueError):
    """What is wrong with a lesson: file, line, and what to write instead."""


WORDS = {
    "output.shape": "the output",
    "output.value": "the output cell under the window",
    "cell": "the output cell",
    "stride": "the stride",
    "padding": "the padding",
    "dilation": "the dilation",
    "op": "the operation",
    "kernel": "the kernel",
}
TOLERANCE = 1e-6


def in_words(value: Fact) -> str:
    """A fact as a sentence has it: 5×5, 1,2, −3.5."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return shape_text(value)
    return number(value, 4)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, float | int)


@dataclass(frozen=True)
class Check:
    """One thing that must hold: a fact, a comparison, and what to compare with."""

    fact: str
    how: str
    wanted: Any

    def problem(self, state: ConvolveState) -> str | None:
        """What is not yet right, in words; None when it is."""
        found = fact(state, self.fact)
        wanted = fact(state, self.wanted) if self.how == "same_as" else self.wanted
        if isinstance(wanted, list):
            wanted = tuple(wanted)
        what = WORDS.get(self.fact, self.fact.replace(" ", " cell ", 1))
        shown = ",".join(map(str, found)) if self.fact == "cell" and isinstance(found, tuple) else in_words(found)
        match self.how:
            case "at_least" if _is_number(found) and _is_number(wanted) and found >= wanted - TOLERANCE:
                return None
            case "at_most" if _is_number(found) and _is_number(wanted) and found <= wanted + TOLERANCE:
                return None
            case "is" | "same_as" if found == wanted:
                return None
            case "is" | "same_as" if _is_number(found) and _is_number(wanted) and abs(found - wanted) <= TOLERANCE:
                return None
        needed = ",".join(map(str, wanted)) if self.fact == "cell" and isinstance(wanted, tuple) else in_words(wanted)
        should = {"at_least": "at least ", "at_most": "at most "}.get(self.how, "")
        return f"{what} is {shown}; it should be {should}{needed}"


@dataclass(frozen=True)
class Task:
    """Something to do, how it is checked, help with it, and its own solution."""

    id: str
    ask: str
    checks: tuple[Check, ...]
    hint: str
    solution: tuple[str, ...]

    def problem(self, state: ConvolveState) -> str | None:
        """The first thing that is not yet right."""
        return next((problem for check in self.checks if (problem := check.problem(state))), None)


@dataclass(frozen=True)
class Page:
    """A heading, text with its figures filled in, the state it starts from, perhaps a task."""

    title: str
    text: str
    state: ConvolveState
    task: Task | None


@dataclass(frozen=True)
class Lesson:
    """A lesson and its pages."""

    id: str
    number: int
    title: str
    minutes: int
    pages: tuple[Page, ...]

    @property
    def tasks(self) -> list[Task]:
        """The tasks in order."""
        return [page.task for page in self.pages if page.task]


def lessons_directory() -> Path:
    """Where the lessons that come with cnntui are."""
    return Path(__file__).parents[1] / "lessons"


def load_lessons() -> list[Lesson]:
    """The lessons in their order.

    Raises:
        LessonError: naming file and line.
    """
    found = [read_lesson(path) for path in sorted(lessons_directory().glob("*.md"))]
    return sorted(found, key=lambda lesson: lesson.number)


def find_lesson(name: str | None) -> Lesson:
    """A lesson by its name or number, or from a file; the first for None.

    Raises:
        LessonError: when there is none, or the file is wrong.
    """
    if name and name.endswith(".md"):
        return read_lesson(Path(name))
    lessons = load_lessons()
    for lesson in lessons:
        if name in (None, lesson.id, str(lesson.number)):
            return lesson
    known = ", ".join(f"{lesson.number} {lesson.id}" for lesson in lessons)
    raise LessonError(f"no lesson is called {name!r}; there are {known}, or give a .md file")


def read_lesson(path: Path) -> Lesson:
    """A lesson file.

    Raises:
        LessonError: naming file and line.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LessonError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    front = re.match(r"\+\+\+\n(.*?)\n\+\+\+\n", text, re.DOTALL)
    if front is None:
        raise LessonError(f"{path}:1: a lesson begins with TOML between two lines of +++")
    facts = _toml(front.group(1), path, 2)
    missing = [key for key in ("id", "number", "title", "minutes") if key not in facts]
    if missing:
        raise LessonError(f"{path}:1: {missing[0]} = ... is missing between the lines of +++")
    body = text[front.end() :]
    first = text[: front.end()].count("\n") + 1
    headings = list(re.finditer(r"^## (.+)$", body, re.MULTILINE))
    if not headings:
        raise LessonError(f"{path}:{first}: there is no page; begin one with ## and its title")
    pages = []
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        line = first + body[: heading.start()].count("\n")
        content = body[heading.end() : following.start() if following else None]
        pages.append(_page(heading.group(1), content, path, line))
    return Lesson(str(facts["id"]), int(facts["number"]), str(facts["title"]), int(facts["minutes"]), tuple(pages))


def _toml(text: str, path: Path, line: int) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at line (\d+)", str(error))
        raise LessonError(f"{path}:{line + int(where.group(1)) - 1 if where else line}: not TOML: {error}") from None


def _blocks(content: str, line: int) -> Iterator[tuple[str, str, int]]:
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", content, re.MULTILINE | re.DOTALL):
        yield match.group(1), match.group(2), line + content[: match.start(2)].count("\n")


def _page(title: str, content: str, path: Path, line: int) -> Page:
    state, task = start(), None
    for kind, inside, at in _blocks(content, line):
        if kind == "setup":
            for offset, words in enumerate(inside.splitlines()):
                if words.strip():
                    state = _play(state, words.strip(), path, at + offset)
        elif kind == "task":
            task = _task(_toml(inside, path, at), path, at)
        else:
            raise LessonError(f"{path}:{at}: a block is called setup or task, not {kind!r}")
    if task is not None:
        _rehearse(task, state, path, line)
    text = re.sub(r"^```(\w+)\n.*?^```$\n?", "", content, flags=re.MULTILINE | re.DOTALL).strip()

    def figure(match: re.Match[str]) -> str:
        name, _, moves = match.group(1).partition(" after ")
        at = line + content[: max(0, content.find(match.group(0)))].count("\n")
        then = state
        for words in filter(None, map(str.strip, re.split(r", (?=[a-z])", moves))):
            then = _play(then, words, path, at)
        try:
            return in_words(fact(then, name.strip()))
        except MoveError as error:
            raise LessonError(f"{path}:{at}: {error}") from None

    return Page(title.strip(), re.sub(r"\{([^{}]+)\}", figure, text), state, task)


def _rehearse(task: Task, state: ConvolveState, path: Path, line: int) -> None:
    """Every check can be asked before and after, and the solution can be played."""
    for check in task.checks:
        try:
            check.problem(state)
        except MoveError as error:
            raise LessonError(f"{path}:{line}: in the check of task {task.id}: {error}") from None
    for words in task.solution:
        state = _play(state, words, path, line)


def _play(state: ConvolveState, words: str, path: Path, line: int) -> ConvolveState:
    try:
        return play(state, words)
    except MoveError as error:
        raise LessonError(f"{path}:{line}: {error}") from None


def _task(data: dict[str, Any], path: Path, line: int) -> Task:
    missing = [key for key in ("id", "ask", "check", "hint", "solution") if key not in data]
    if missing:
        raise LessonError(f"{path}:{line}: {missing[0]} = ... is missing in the task")
    checks = []
    for written in data["check"]:
        rest = {key: value for key, value in written.items() if key != "fact"} if isinstance(written, dict) else {}
        if "fact" not in written or len(rest) != 1 or not rest.keys() <= {"is", "at_least", "at_most", "same_as"}:
            raise LessonError(
                f'{path}:{line}: a check is like {{ fact = "stride", is = 2 }}, with is, at_least, at_most or same_as'
            )
        ((how, wanted),) = rest.items()
        checks.append(Check(str(written["fact"]), how, wanted))
    return Task(str(data["id"]), str(data["ask"]), tuple(checks), str(data["hint"]), tuple(map(str, data["solution"])))


def check_lesson(lesson: Lesson) -> list[str]:
    """Play every task's solution: it must fail before and pass after. What is wrong, a line each."""
    problems = []
    for page in lesson.pages:
        if page.task is None:
            continue
        if page.task.problem(page.state) is None:
            problems.append(f"{lesson.id}, {page.task.id}: passes without being done")
        state = page.state
        for words in page.task.solution:
            state = play(state, words)
        if wrong := page.task.problem(state):
            problems.append(f"{lesson.id}, {page.task.id}: the solution does not pass: {wrong}")
    return problems
