"""A lesson's file made a lesson: every key known, every name there; else what is wrong, in which line, and what to write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cnntui.labs.lessons.document import Block, Document, Prose, Sheet, Toml, read_document, read_id, short, toml
from cnntui.labs.lessons.lesson import AnyTask, Lesson, Page, Piece
from cnntui.labs.lessons.reading_tasks import read_task
from cnntui.labs.lessons.shared import NOTHING, Shared, check_show, read_shared, read_show
from cnntui.labs.lessons.tasks import Task, Text
from cnntui.labs.lessons.wording import known_recipe, read_text
from cnntui.labs.stages import STAGES, nearest, stage

FRONT = ("id", "number", "title", "minutes", "about", "show", "nets", "values", "runs", "sweeps", "glossary")
NEEDED = {"id": '"my-lesson"', "title": '"My lesson"', "minutes": "8"}
SHOWN = ("text", "python")  # fenced blocks that are shown as they are
TASK = "task"


def read_lesson(path: Path, shared: Shared = NOTHING) -> Lesson:
    """A lesson's file; `shared` is what the lessons of its course have in common.

    Raises:
        LessonError: naming file and line.
    """
    return _Reader(read_document(path), shared).lesson()


class _Reader:
    """One file."""

    def __init__(self, document: Document, shared: Shared) -> None:
        self.document, self.front = document, document.front
        self.check_front()
        self.shared = read_shared(self.front, shared)
        self.tasks: dict[str, Task] = {}

    def check_front(self) -> None:
        front = self.front
        for key in front.data:
            if key not in FRONT:
                raise front.error(f"unknown key {key!r}; {nearest(key, FRONT)}", key)
        for key, example in NEEDED.items():
            if key not in front.data:
                raise self.document.error(1, f"{key} is missing between the lines of +++: write {key} = {example}")
        read_id(front)
        for key in ("number", "minutes"):
            value = front.data.get(key, 1)
            if not (type(value) is int and 0 < value < 1000):
                what = f"{key} = {short(value)} is not a whole number from 1 to 999: write {key} = 8, without quotes"
                raise front.error(what, key)
        for term, about in front.table("glossary").items():
            if not (isinstance(about, str) and about.strip() and term.strip()):
                what = f'{short(term)} has no meaning in quotes: write "{term.strip() or "term"}" = "what it means"'
                raise front.error(what, "glossary", term)

    def lesson(self) -> Lesson:
        front, shared = self.front, self.shared
        pages = tuple(map(self.page, self.document.sheets))
        check_show(front, {page.stage for page in pages if page.stage})
        return Lesson(
            path=self.document.path,
            id=front.data["id"],
            number=front.data.get("number", 0),
            title=front.text("title"),
            minutes=front.data["minutes"],
            about=front.text("about"),
            pages=pages,
            nets=shared.nets,
            values=shared.values,
            glossary=front.table("glossary"),
            recipes=shared.recipes,
        )

    # -- pages

    def page(self, sheet: Sheet) -> Page:
        pieces: list[Piece] = []
        staged: Block | None = None
        asked: Block | None = None
        for part in sheet.parts:
            if isinstance(part, Prose):
                pieces += self.paragraphs(part)
            elif part.kind in SHOWN:
                pieces.append(self.shown(part))
            elif part.kind in STAGES:
                if staged is not None:
                    what = f"a second screen on this page: the first, {staged.kind}, is in line {staged.line - 1}"
                    raise self.document.error(part.line - 1, what)
                staged = part
            elif part.kind == TASK:
                if asked is not None:
                    what = f"a second task on this page, the first is in line {asked.line - 1}: begin a page with ## for it"
                    raise self.document.error(part.line - 1, what)
                asked = part
            else:
                kinds = nearest(part.kind, (*STAGES, TASK, *SHOWN))
                what = (
                    f"a block is called {part.kind[:40]!r}; {kinds}" if part.kind else f"a block has no name; {kinds}"
                )
                raise self.document.error(part.line - 1, what)
        name = staged.kind if staged else ""
        data = toml(asked.text, self.document.path, asked.line) if asked else None
        return Page(
            title=sheet.title,
            line=sheet.line,
            pieces=tuple(pieces),
            stage=name,
            moves=self.moves(staged) if staged else (),
            shown=self.controls(name, data) if name else None,
            task=self.task(data, name) if data else None,
        )

    def paragraphs(self, prose: Prose) -> Iterable[Piece]:
        """Prose by paragraph."""
        lines = [*prose.text.split("\n"), ""]
        begin = 0
        for number, line in enumerate(lines):
            if not line.strip():
                if number > begin:
                    at = prose.line + begin
                    yield Piece(read_text("\n".join(lines[begin:number]), self.document.path, at), at)
                begin = number + 1

    def shown(self, block: Block) -> Piece:
        """A block that is shown as it is, in `text` with figures."""
        text = f"```{block.kind}\n{block.text}\n```"
        if block.kind != "text":
            return Piece(Text((text,)), block.line)
        return Piece(read_text(text, self.document.path, block.line - 1), block.line)

    def moves(self, block: Block) -> tuple[tuple[str, int], ...]:
        moves = []
        for line, written in enumerate(block.lines, start=block.line):
            move = written.strip()
            if move and not move.startswith("#"):
                if what := known_recipe(move, self.shared.recipes):
                    raise self.document.error(line, what)
                moves.append((move, line))
        return tuple(moves)

    def controls(self, name: str, task: Toml | None) -> tuple[str, ...] | None:
        """Which controls are left: what the task says, else what the lesson does."""
        shown = self.shared.show
        if task is not None:
            shown = read_show(task, shown)
            check_show(task, [name])
        left = None if shown is None else tuple(one for one in shown if one in stage(name).controls)
        return None if shown and not left else left  # a lesson that names controls of other screens leaves this one's

    def task(self, source: Toml, name: str) -> AnyTask:
        task = read_task(source, name, self.shared.recipes)
        if task.id in self.tasks:
            first = self.tasks[task.id].keys.line("id")
            raise source.error(f"a second task {task.id!r}: the first is in line {first}", "id")
        self.tasks[task.id] = task
        return task
