"""A lesson: pages with text whose figures are computed, a stage that is set up in words, and tasks."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cnntui.core.analysis import Analysis
from cnntui.labs.lessons.document import LessonError, read_document
from cnntui.labs.lessons.expressions import UNKNOWN
from cnntui.labs.lessons.scope import LessonScope
from cnntui.labs.lessons.tasks import Choice, Doing, FigureError, Filling, Number, Text
from cnntui.labs.recipes import Recipes
from cnntui.labs.stages import Stage, WordsError, stage

AnyTask = Doing | Choice | Number


@dataclass(frozen=True)
class Piece:
    """A part of a page's text, in Markdown, and its line in the file."""

    text: Text
    line: int


@dataclass(frozen=True)
class Page:
    """A page.

    Args:
        title, line: its heading and where that is.
        pieces: its text.
        stage: what is beside the text, by name; empty: nothing is.
        moves: what sets the stage up, each with its line.
        shown: the controls that are left to the learner; None: all.
        task: what is asked.
    """

    title: str
    line: int
    pieces: tuple[Piece, ...]
    stage: str
    moves: tuple[tuple[str, int], ...]
    shown: tuple[str, ...] | None
    task: AnyTask | None

    @cached_property
    def words(self) -> Stage | None:
        """The stage in words."""
        return stage(self.stage) if self.stage else None

    @property
    def is_pure(self) -> bool:
        """Whether all that happens on it happens in words."""
        return self.words is None or not self.words.effects

    @cached_property
    def start(self) -> Any:
        """The stage's state as the page begins, as far as it needs nothing from outside; None where there is no stage.

        Raises:
            WordsError: when a move is not allowed.
        """
        if self.words is None:
            return None
        state = self.words.start()
        for move, _ in self.moves:
            state = self.words.play(state, move)
        return state

    @property
    def setup(self) -> tuple[str, ...]:
        """The moves that set the stage up."""
        return tuple(move for move, _ in self.moves)


@dataclass(frozen=True)
class Lesson:
    """A lesson and its pages."""

    path: Path
    id: str
    number: int
    title: str
    minutes: int
    about: str
    pages: tuple[Page, ...]
    nets: Mapping[str, Analysis] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    glossary: Mapping[str, str] = field(default_factory=dict)
    recipes: Recipes = field(default_factory=Recipes)

    @property
    def tasks(self) -> list[AnyTask]:
        """The tasks in order."""
        return [page.task for page in self.pages if page.task]

    @property
    def name(self) -> str:
        """Its number and title."""
        return f"{self.number} {self.title}" if self.number else self.title

    def scope(self, page: Page, state: Any = None) -> LessonScope:
        """What names mean on a page whose stage is in a state; by default the one in which it begins."""
        if page.words is None:
            return LessonScope(self.nets, self.values)
        return LessonScope(self.nets, self.values, page.words, page.start if state is None else state)

    def text(self, page: Page, state: Any = None) -> str:
        """A page's text with its figures.

        Raises:
            LessonError: when a figure cannot be computed.
        """
        scope = self.scope(page, state)
        try:
            return "\n\n".join(piece.text.filled(scope) for piece in page.pieces)
        except FigureError as error:
            raise LessonError(self.path, error.line, error) from None

    def page_about(self, term: str) -> int:
        """The page on which a term of the glossary is explained: where it first stands in bold, else the first."""
        return self.explained(term) or 0

    def explained(self, term: str) -> int | None:
        """The page on which a term first stands in bold; None where it does on none."""
        wanted = f"**{term.lower()}"
        for number, page in enumerate(self.pages):
            written = "".join(part for piece in page.pieces for part in piece.text.parts if isinstance(part, str))
            if wanted in " ".join(written.lower().split()):
                return number
        return None


def rehearse(lesson: Lesson) -> None:
    """Everything that can be wrong in a lesson is tried in words: each setup, each figure, each check, each solution.

    What needs a training, or a screen, is left to `cnntui lessons --check`.

    Raises:
        LessonError: naming file and line.
    """
    for page in lesson.pages:
        _rehearse(lesson, page)
    for term in lesson.glossary:
        if lesson.explained(term) is None:
            what = f"{term!r} is explained on no page: write **{term}** in bold where its meaning is told"
            raise LessonError(lesson.path, read_document(lesson.path).front.line("glossary", term), what)


def _rehearse(lesson: Lesson, page: Page) -> None:
    if page.words is not None:
        state = page.words.start()
        for move, line in page.moves:
            state = _tried(lesson, line, page.words, state, move)
    lesson.text(page)
    if page.task is not None:
        _rehearse_task(lesson, page, page.task)
    if page.is_pure:
        _all_known(lesson, page)


def _all_known(lesson: Lesson, page: Page) -> None:
    """Where all happens in words, nothing that is shown at first may be unknown."""
    scope, task = lesson.scope(page), page.task
    for text in (*(piece.text for piece in page.pieces), *((task.ask,) if task else ())):
        for part in text.parts:
            if isinstance(part, Filling) and part.text(scope) == UNKNOWN:
                what = f"{{{part.written}}} is not known as the page begins: is there such a layer, or such a cell?"
                first = part.written.partition(".")[0].strip()
                near = difflib.get_close_matches(first, (*lesson.nets, *lesson.values), 1)
                what = f"nothing is called {first!r}; did you mean {near[0]}?" if near else what
                raise LessonError(lesson.path, part.line, what)
    if isinstance(task, Number) and task.wanted(scope) is None:
        what = f"in task {task.id}: the answer is not known as the page begins: is there such a layer, or such a cell?"
        raise LessonError(lesson.path, task.keys.line("number"), what)


def _rehearse_task(lesson: Lesson, page: Page, task: AnyTask) -> None:
    scope, line = lesson.scope(page), task.keys.line
    texts = [task.ask, *task.hints]
    values: list[tuple[Callable[[LessonScope], object], int]] = []
    match task:
        case Number():
            texts += [task.reply, *(slip.said for slip in task.slips)]
            values = [(task.wanted, line("number"))]
            values += [(slip.value, line("slips", at, "number")) for at, slip in enumerate(task.slips)]
        case Choice():
            texts += [*task.choices, *task.replies]
        case Doing():
            texts += [check.said for check in task.checks]
            values = [(check.problem, line("check", at, "fact")) for at, check in enumerate(task.checks)]
    for made, at in [*((text.filled, task.line) for text in texts), *values]:
        try:
            made(scope)
        except WordsError as error:
            where = error.line if isinstance(error, FigureError) else at
            raise LessonError(lesson.path, where, f"in task {task.id}: {error}") from None
    if isinstance(task, Doing) and page.words is not None:
        for moves, key in (
            (task.solution, ("solution",)),
            *((way, ("wrong", at)) for at, way in enumerate(task.wrong)),
        ):
            state = page.start
            for at, move in enumerate(moves):
                state = _tried(lesson, line(*key, at), page.words, state, move)


def _tried(lesson: Lesson, line: int, words: Stage, state: Any, move: str) -> Any:
    try:
        return words.play(state, move)
    except WordsError as error:
        raise LessonError(lesson.path, line, error) from None
