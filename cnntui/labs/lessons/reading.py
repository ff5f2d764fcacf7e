"""A lesson's file made a lesson: every key known, every name there; else what is wrong, in which line, and what to write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cnntui.labs.lessons.document import Block, Document, LessonError, Prose, Sheet, read_document, toml
from cnntui.labs.lessons.expressions import Expression, Figure, Literal, parse, parse_figure
from cnntui.labs.lessons.lesson import AnyTask, Lesson, Page, Piece
from cnntui.labs.lessons.recipe import read_recipes
from cnntui.labs.lessons.scope import LessonScope, analysed
from cnntui.labs.lessons.tasks import COMPARISONS, Check, Choice, Doing, Number, Slip, Text
from cnntui.labs.stages import STAGES, WordsError, nearest, stage

FRONT = ("id", "number", "title", "minutes", "about", "show", "nets", "values", "runs", "sweeps", "glossary")
NEEDED = ("id", "title", "minutes")
SHOWN = ("text", "python")  # fenced blocks that are shown as they are
EVERY = ("id", "ask", "hint", "hints")
DOING, CHOICE, NUMBER = (
    ("check", "solution", "wrong", "show"),
    ("choices", "right", "replies"),
    ("number", "tolerance", "unit", "slips", "reply"),
)
BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
SAME_AS, CLOSEST = "same_as", ("is", "is_not", "at_least", "at_most", "above", "below", "same_as")


def read_lesson(path: Path, shared: Mapping[str, Any] | None = None) -> Lesson:
    """A lesson's file; `shared` are the nets, values, runs and sweeps of its course.

    Raises:
        LessonError: naming file and line.
    """
    document = read_document(path)
    return _Reader(document, shared or {}).lesson()


class _Reader:
    """One file."""

    def __init__(self, document: Document, shared: Mapping[str, Any]) -> None:
        self.document = document
        self.front = document.front
        self.shared = shared

    def lesson(self) -> Lesson:
        front, document = self.front, self.document
        for key in front:
            if key not in FRONT:
                raise document.error(document.line_of(key), f"unknown key {key!r}; {nearest(key, FRONT)}")
        for key in NEEDED:
            if key not in front:
                example = {"id": '"my-lesson"', "title": '"My lesson"', "minutes": "8"}[key]
                raise document.error(1, f"{key} is missing between the lines of +++: write {key} = {example}")
        self.text("id", r"[a-z0-9][a-z0-9-]{0,40}", "small letters, digits and -")
        for key in ("number", "minutes"):
            if not (type(front.get(key, 1)) is int and 0 < front.get(key, 1) < 1000):
                raise document.error(
                    document.line_of(key), f"{key} = {front[key]!r} is not a whole number from 1 to 999"
                )
        self.nets = self.read_nets()
        self.values = self.read_values()
        self.recipes = read_recipes(document, self.shared)
        glossary = self.table("glossary")
        for term, about in glossary.items():
            if not isinstance(about, str):
                raise document.error(document.line_of(f"glossary.{term}"), f"{term} = ... is explained in quotes")
        self.tasks: dict[str, int] = {}
        pages = tuple(self.page(sheet) for sheet in document.sheets)
        return Lesson(
            document.path, front["id"], front.get("number", 0), self.text("title"), front["minutes"], self.text("about"),
            pages, self.nets, self.values, glossary, self.recipes,
        )  # fmt: skip

    def text(self, key: str, pattern: str = r".{0,200}", allowed: str = "one line of at most 200 characters") -> str:
        """A text of the front."""
        value = self.front.get(key, "")
        if not (isinstance(value, str) and re.fullmatch(pattern, value)):
            raise self.document.error(self.document.line_of(key), f"{key} = {value!r} is not {allowed}, in quotes")
        return value

    def table(self, key: str) -> dict[str, Any]:
        """A table of the front, behind what its course has."""
        value = self.front.get(key, {})
        if not isinstance(value, dict):
            raise self.document.error(
                self.document.line_of(key), f"{key} is a table: write [{key}] and a line for each"
            )
        return {**(self.shared.get(key, {}) if key != "glossary" else {}), **value}

    def read_nets(self) -> dict[str, Any]:
        nets = {}
        for name, written in self.table("nets").items():
            line = self.document.line_of(f"nets.{name}")
            if not name.isidentifier():
                raise self.document.error(
                    line, f"a net is called {name!r}: take letters, digits and _ for its name here"
                )
            try:
                nets[name] = analysed(*net_text(written))
            except WordsError as error:
                raise self.document.error(line, f"net {name}: {error}") from None
        return nets

    def read_values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, written in self.table("values").items():
            line = self.document.line_of(f"values.{name}")
            if not name.isidentifier():
                raise self.document.error(line, f"a value is called {name!r}: take letters, digits and _ for its name")
            try:
                values[name] = parse(str(written)).value(LessonScope(self.nets, values))
            except WordsError as error:
                raise self.document.error(line, f"value {name}: {error}") from None
        return values

    # -- pages

    def page(self, sheet: Sheet) -> Page:
        pieces: list[Piece] = []
        staged: Block | None = None
        task: tuple[Block, dict[str, Any]] | None = None
        for part in sheet.parts:
            if isinstance(part, Prose):
                pieces += self.paragraphs(part.text, part.line)
            elif part.kind in SHOWN:
                text = f"```{part.kind}\n{part.text}\n```"
                pieces.append(
                    Piece(Text((text,)) if part.kind == "python" else self.filled(text, part.line), part.line)
                )
            elif part.kind in STAGES:
                if staged is not None:
                    raise self.error(part.line - 1, f"a second screen on this page: the first is {staged.kind}")
                staged = part
            elif part.kind == "task":
                if task is not None:
                    raise self.error(
                        part.line - 1, "a second task on this page: begin another page with ## and its title"
                    )
                task = part, toml(part.text, self.document.path, part.line)
            else:
                kinds = (*STAGES, "task", *SHOWN)
                raise self.error(part.line - 1, f"a block is called {part.kind!r}; {nearest(part.kind, kinds)}")
        moves = self.moves(staged) if staged else ()
        name = staged.kind if staged else ""
        shown = self.shown(name, task) if name else None
        return Page(
            sheet.title, sheet.line, tuple(pieces), name, moves, shown, self.task(*task, name) if task else None
        )

    def paragraphs(self, text: str, line: int) -> Iterable[Piece]:
        """Prose by paragraph, so that what is wrong has its line."""
        for match in re.finditer(r"(?:[^\n]*\S[^\n]*(?:\n|$))+", text):
            yield Piece(self.filled(match.group().rstrip("\n"), line + text[: match.start()].count("\n")), line)

    def moves(self, block: Block) -> tuple[tuple[str, int], ...]:
        moves = []
        for number, words in enumerate(block.lines, start=block.line):
            move = words.partition("#")[0].strip() if words.lstrip().startswith("#") else words.strip()
            if not move:
                continue
            self.known(move, number)
            moves.append((move, number))
        return tuple(moves)

    def known(self, move: str, line: int) -> None:
        """The names of runs and sweeps are the lesson's."""
        verb, *names = move.split()
        for kind, known in (("run", self.recipes.runs), ("sweep", self.recipes.sweeps)):
            if verb == kind and names and names[0] not in known:
                there = nearest(names[0], known) if known else f"the lesson has none: write [{kind}s.{names[0]}]"
                raise self.error(line, f"no {kind} is called {names[0]!r}; {there}")

    def shown(self, name: str, task: tuple[Block, dict[str, Any]] | None) -> tuple[str, ...] | None:
        """Which controls are left: what the task says, else what the lesson does."""
        if task is not None and "show" in task[1]:
            given, line, strict = task[1]["show"], task[0].line_of("show"), True
        elif "show" in self.front:
            given, line, strict = self.front["show"], self.document.line_of("show"), False
        else:
            return None
        if not (isinstance(given, list) and all(isinstance(one, str) for one in given)):
            raise self.error(line, 'show is a list of controls: show = ["stride", "padding"]')
        controls = stage(name).controls
        every = {control for each in STAGES for control in stage(each).controls} if not strict else set(controls)
        for one in given:
            if one not in every:
                raise self.error(line, f"no control of {name} is called {one!r}; {nearest(one, sorted(every))}")
        return tuple(one for one in given if one in controls)

    # -- tasks

    def task(self, block: Block, data: dict[str, Any], name: str) -> AnyTask:
        kinds = {"check": DOING, "choices": CHOICE, "number": NUMBER}
        kind = next((key for key in kinds if key in data), None)
        if kind is None:
            raise self.error(block.line, "a task has check = [...], or choices = [...], or number = ...")
        allowed = (*EVERY, *kinds[kind])
        for key in data:
            if key not in allowed:
                raise self.error(block.line_of(key), f"unknown key {key!r} in this task; {nearest(key, allowed)}")
        for key in ("id", "ask"):
            if not isinstance(data.get(key), str) or not data[key].strip():
                raise self.error(block.line_of(key), f"{key} = ... is missing in the task, in quotes")
        ident = data["id"]
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,60}", ident):
            raise self.error(block.line_of("id"), f"id = {ident!r} is not small letters, digits and -")
        if ident in self.tasks:
            raise self.error(block.line_of("id"), f"a second task {ident!r}: the first is in line {self.tasks[ident]}")
        self.tasks[ident] = block.line_of("id")
        hints = data.get("hints", [data["hint"]] if "hint" in data else [])
        if not hints and kind != "choices":
            raise self.error(block.line, 'hint = "..." is missing in the task, or hints = [...]')
        ask, steps = self.words(data["ask"], block, "ask"), self.list_of_words(hints, block, "hints")
        every: dict[str, Any] = {"id": ident, "ask": ask, "hints": steps, "line": block.line}
        if kind == "check":
            if not name:
                raise self.error(block.line, f"a check needs a screen on its page: a block called {', '.join(STAGES)}")
            return self.doing(block, data, every)
        return (self.choice if kind == "choices" else self.number)(block, data, every)

    def doing(self, block: Block, data: dict[str, Any], every: dict[str, Any]) -> Doing:
        written = data["check"]
        if not (isinstance(written, list) and written):
            raise self.error(block.line_of("check"), "check is a list of what must hold, at least one")
        checks = tuple(self.check(one, block) for one in written)
        if not data.get("solution"):
            raise self.error(block.line, 'solution = ["move", ...] is missing in the task')
        solution = self.played(data["solution"], block, "solution")
        wrong = data.get("wrong", [])
        if not isinstance(wrong, list):
            raise self.error(block.line_of("wrong"), 'wrong is a list of lists of moves: [["stride 3"]]')
        ways = wrong if all(isinstance(way, list) for way in wrong) else [wrong]
        played = tuple(self.played(way, block, "wrong") for way in ways)
        return Doing(**every, checks=checks, solution=solution, wrong=played)

    def played(self, moves: object, block: Block, key: str) -> tuple[str, ...]:
        if not (isinstance(moves, list) and all(isinstance(move, str) and move.strip() for move in moves)):
            raise self.error(block.line_of(key), f'{key} is a list of moves, each in quotes: {key} = ["stride 2"]')
        for move in moves:
            self.known(move, block.line_of(key))
        return tuple(moves)

    def check(self, written: object, block: Block) -> Check:
        line = block.line_of("check")
        example = 'a check is like { fact = "stride", is = 2 }, with ' + ", ".join(CLOSEST)
        if not isinstance(written, dict) or "fact" not in written:
            raise self.error(line, example)
        rest = {key: value for key, value in written.items() if key not in ("fact", "say")}
        if len(rest) != 1 or next(iter(rest)) not in (*COMPARISONS, SAME_AS):
            raise self.error(line, f"{sorted(rest)} beside the fact {written['fact']!r}: {example}")
        ((how, wanted),) = rest.items()
        said = self.words(written.get("say", ""), block, "check")
        compared = self.expression(wanted, line) if how == SAME_AS else self.literal(wanted, how, line)
        return Check(self.expression(written["fact"], line), "is" if how == SAME_AS else how, compared, said)

    def literal(self, value: object, how: str, line: int) -> Expression:
        """What is compared with: as it is; but how much it is at least or at most may be an expression in quotes."""
        if isinstance(value, list) and all(type(n) is int for n in value):
            return Literal(tuple(value))  # type: ignore[arg-type]  # a shape
        if isinstance(value, str) and how not in ("is", "is_not"):
            return self.expression(value, line)
        if isinstance(value, bool | int | float | str):
            return Literal(value)
        raise self.error(line, f"{how} = {value!r} is no number, text, true, false or list of whole numbers")

    def choice(self, block: Block, data: dict[str, Any], every: dict[str, Any]) -> Choice:
        choices = self.list_of_words(data["choices"], block, "choices")
        if not 2 <= len(choices) <= 9:
            raise self.error(block.line_of("choices"), f"{len(choices)} choices: give 2 to 9")
        right = data.get("right")
        places: list[Any] = right if isinstance(right, list) else [right]
        if not places or not all(type(place) is int and 1 <= place <= len(choices) for place in places):
            raise self.error(
                block.line_of("right"), f"right = {right!r} is not a number from 1 to {len(choices)}, or several"
            )
        replies = self.list_of_words(data.get("replies", []), block, "replies")
        if len(replies) != len(choices):
            raise self.error(
                block.line_of("replies"),
                f"{len(replies)} replies for {len(choices)} choices: say to each why it is right or not",
            )
        return Choice(**every, choices=choices, right=frozenset(place - 1 for place in places), replies=replies)

    def number(self, block: Block, data: dict[str, Any], every: dict[str, Any]) -> Number:
        line = block.line_of("number")
        tolerance, relative = data.get("tolerance", 0), False
        if isinstance(tolerance, str) and re.fullmatch(r"\d+(\.\d+)? ?%", tolerance):
            tolerance, relative = float(tolerance.rstrip("% ")) / 100, True
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or tolerance < 0:
            raise self.error(
                block.line_of("tolerance"), f'tolerance = {tolerance!r} is no number, nor a share such as "1 %"'
            )
        slips = []
        for slip in data.get("slips", []):
            if not (isinstance(slip, dict) and slip.keys() == {"number", "say"}):
                raise self.error(
                    block.line_of("slips"), 'a slip is like { number = "fc.weights", say = "the biases count, too" }'
                )
            slips.append(Slip(self.expression(slip["number"], line), self.words(slip["say"], block, "slips")))
        answer, reply = self.expression(data["number"], line), self.words(data.get("reply", ""), block, "reply")
        unit = str(data.get("unit", ""))
        return Number(
            **every,
            answer=answer,
            tolerance=float(tolerance),
            relative=relative,
            unit=unit,
            slips=tuple(slips),
            reply=reply,
        )

    # -- words

    def error(self, line: int, what: object) -> LessonError:
        return self.document.error(line, what)

    def expression(self, written: object, line: int) -> Expression:
        try:
            return parse(str(written))
        except WordsError as error:
            raise self.error(line, error) from None

    def list_of_words(self, written: object, block: Block, key: str) -> tuple[Text, ...]:
        if not isinstance(written, list):
            raise self.error(block.line_of(key), f'{key} is a list of texts: {key} = ["...", "..."]')
        return tuple(self.words(one, block, key) for one in written)

    def words(self, written: object, block: Block, key: str) -> Text:
        if not isinstance(written, str):
            raise self.error(block.line_of(key), f"{key} = {written!r} is no text in quotes")
        return self.filled(" ".join(written.split()), block.line_of(key))

    def filled(self, text: str, line: int) -> Text:
        """Words with what stands in braces read; `{{` is a brace."""
        parts: list[str | tuple[Figure, tuple[str, ...]]] = []
        at = 0
        for match in BRACES.finditer(text):
            if match.start() > at:
                parts.append(text[at : match.start()])
            at = match.end()
            if match.group() in ("{{", "}}"):
                parts.append(match.group()[0])
                continue
            number = line + text[: match.start()].count("\n")
            try:
                parts.append(_figure(" ".join(match.group(1).split())))
            except WordsError as error:
                raise self.error(number, error) from None
        return Text((*parts, text[at:]) if at < len(text) else tuple(parts))


def _figure(inside: str) -> tuple[Figure, tuple[str, ...]]:
    expression, after, moves = inside.partition(" after ")
    moves, bar, written = moves.partition(" | ") if after else ("", "", "")
    figure = parse_figure(f"{expression} | {written}" if bar else expression)
    return figure, tuple(filter(None, map(str.strip, moves.split(";"))))


def net_text(written: object) -> tuple[Any, ...]:
    """A net as a lesson has it: `"vgg16"`, or `{ layers = "conv 64; relu", input = [3, 224, 224] }`.

    Raises:
        WordsError: when it is written otherwise.
    """
    if isinstance(written, str):
        return (written,)
    if isinstance(written, dict) and written.keys() <= {"layers", "input"} and "layers" in written:
        layers, shape = written["layers"], written.get("input")
        if isinstance(layers, list):
            layers = "; ".join(map(str, layers))
        if isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape):
            return (layers, *shape)
        raise WordsError(f"input = {shape!r} is not [channels, height, width]")
    raise WordsError('a net is one of the zoo in quotes, or { layers = "conv 64; relu", input = [3, 224, 224] }')
