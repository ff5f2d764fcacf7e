"""A lesson's file in pieces: the facts in front, the pages, and in them text and fenced blocks, each with its line."""

from __future__ import annotations

import re
import stat
import tomllib
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnntui.core.notation import printable
from cnntui.labs.lessons.keys import Keys

LARGEST = 400_000  # bytes of a lesson
BOM = b"\xef\xbb\xbf"
FENCE = re.compile(r"(`{3,}|~{3,})([^`]*)")


class LessonError(ValueError):
    """What is wrong with a lesson: file, line, and what to write instead."""

    def __init__(self, path: Path, line: int, what: object) -> None:
        super().__init__(f"{path}:{line}: {what}")
        self.path, self.line, self.what = path, line, str(what)


def short(value: object) -> str:
    """A value as it is written, or its beginning."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


@dataclass(frozen=True)
class Toml:
    """TOML in a file: what it holds, and in which lines."""

    path: Path
    data: dict[str, Any]
    keys: Keys = field(repr=False, compare=False)

    def line(self, *key: str | int) -> int:
        """Where a key is set; `line("check", 1)` is that of the second item of a list."""
        return self.keys.line(*key)

    def error(self, what: object, *key: str | int) -> LessonError:
        """What is wrong with a key."""
        return LessonError(self.path, self.line(*key), what)

    def table(self, key: str) -> dict[str, Any]:
        """A table; nothing where there is none of that name.

        Raises:
            LessonError: when it is none.
        """
        value = self.data.get(key, {})
        if not isinstance(value, dict):
            raise self.error(f"{key} is a table: write [{key}] and a line for each", key)
        return value

    def text(self, key: str, otherwise: str = "") -> str:
        """A line of text; `otherwise` where there is none.

        Raises:
            LessonError: when it is none.
        """
        value = self.data.get(key, otherwise)
        if key in self.data and not (isinstance(value, str) and re.fullmatch(r"[^\n]{1,200}", value.strip())):
            raise self.error(f"{key} = {short(value)} is not one line of at most 200 characters, in quotes", key)
        return str(value).strip()


@dataclass(frozen=True)
class Block:
    """A fenced block: what stands behind the fence, its lines, and the line of the first."""

    kind: str
    lines: tuple[str, ...]
    line: int

    @property
    def text(self) -> str:
        """As it is written."""
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Prose:
    """Lines of Markdown, and the line of the first."""

    text: str
    line: int


@dataclass(frozen=True)
class Sheet:
    """A page as it is written: from a `## ` to the next."""

    title: str
    line: int
    parts: tuple[Prose | Block, ...]


@dataclass(frozen=True)
class Document:
    """A file: what stands between the lines of +++, and the pages."""

    path: Path
    front: Toml
    sheets: tuple[Sheet, ...] = ()

    def error(self, line: int, what: object) -> LessonError:
        """What is wrong in a line of it."""
        return LessonError(self.path, line, what)


def read_id(source: Toml) -> str:
    """The `id` of a lesson, a task or a course.

    Raises:
        LessonError: when it is none.
    """
    ident = source.data["id"]
    if not (isinstance(ident, str) and re.fullmatch(r"[a-z0-9][a-z0-9-]{0,60}", ident)):
        raise source.error(f"id = {short(ident)} is not small letters, digits and -, in quotes", "id")
    return ident


def read_document(path: Path) -> Document:
    """A lesson's file.

    Raises:
        LessonError: naming file and line.
    """
    text = read_text(path)
    front = re.match(r"\+\+\+[ ]*\n(.*?)^\+\+\+[ ]*(?:\n|\Z)", text, re.DOTALL | re.MULTILINE)
    if front is None:
        what = "the second line of +++ is missing" if text.startswith("+++") else "a lesson begins with +++"
        raise LessonError(path, 1, f"{what}: TOML stands between two lines of +++, at least id, title and minutes")
    first = text[: front.end()].count("\n") + 1
    return Document(path, toml(front.group(1), path, 2), _Pages(path, text[front.end() :].split("\n"), first).sheets())


def read_text(path: Path) -> str:
    """What stands in a file, its lines ended by one character.

    Raises:
        LessonError: when it cannot be read, or is too large for a lesson.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise LessonError(path, 1, "this is no file: a lesson is a text")
        if facts.st_size > LARGEST:
            raise LessonError(path, 1, f"{facts.st_size:,} bytes > {LARGEST:,}: that is no lesson")
        raw = path.read_bytes().removeprefix(BOM)
    except OSError as error:
        raise LessonError(path, 1, error.strerror or error) from None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LessonError(path, raw[: error.start].count(b"\n") + 1, "not UTF-8 text: save it as UTF-8") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for at, line in enumerate(text.split("\n"), start=1):
        bare = line.replace("\t", " ")
        if printable(bare) != bare:
            column, glyph = next(place for place in enumerate(bare, start=1) if not printable(place[1]))
            name = unicodedata.name(glyph, "a control character")
            raise LessonError(
                path, at, f"column {column}: U+{ord(glyph):04X}, {name}, is not shown in one column: leave it out"
            )
    return text


def toml(text: str, path: Path, line: int) -> Toml:
    """TOML that begins in a line of a file.

    Raises:
        LessonError: naming the line.
    """
    try:
        return Toml(path, tomllib.loads(text), Keys(text, line))
    except RecursionError:
        raise LessonError(path, line, "not TOML: brackets too deep") from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r" \(at line (\d+), column \d+\)| \(at end of document\)", str(error))
        offset = int(where.group(1)) - 1 if where and where.group(1) else text.rstrip("\n").count("\n")
        what = str(error).replace(where.group(0), "") if where else str(error)
        raise LessonError(path, line + offset, f"not TOML: {what}") from None
    except ValueError as error:
        raise LessonError(path, line, f"not TOML: {error}") from None


class _Pages:
    """The lines behind the front, of which the first is the file's line `first`."""

    def __init__(self, path: Path, lines: list[str], first: int) -> None:
        self.path, self.lines, self.first = path, lines, first

    def error(self, number: int, what: str) -> LessonError:
        return LessonError(self.path, self.first + number, what)

    def sheets(self) -> tuple[Sheet, ...]:
        found: list[Sheet] = []
        title, at = "", 0
        parts: list[Prose | Block] = []
        number = begin = 0  # of the prose that is being read

        def end_prose() -> None:
            prose = self.lines[begin:number]
            if any(line.strip() for line in prose):
                parts.append(Prose("\n".join(prose), self.first + begin))

        while number < len(self.lines):
            line = self.lines[number].rstrip()
            if fence := FENCE.fullmatch(line):
                end_prose()
                block, number = self.block(number, fence[1], fence[2].strip())
                parts.append(block)
                begin = number
                continue
            if line.startswith("##") and not line.startswith("###"):
                end_prose()
                if title:
                    found.append(Sheet(title, self.first + at, tuple(parts)))
                elif parts:
                    raise self.error(self.first_text(), f"text before the first page, {line[:40]!r}")
                title, at, parts = self.title(number, line), number, []
                begin = number + 1
            number += 1
        end_prose()
        if not title:
            raise self.error(self.first_text(), "there is no page: begin one with ## and its title")
        return (*found, Sheet(title, self.first + at, tuple(parts)))

    def first_text(self) -> int:
        return next((at for at, line in enumerate(self.lines) if line.strip()), 0)

    def title(self, number: int, line: str) -> str:
        before, _, closing = line[2:].strip().rpartition(" ")
        title = before.rstrip() if closing and not closing.strip("#") else line[2:].strip()
        if not title or not line[2].isspace():
            raise self.error(number, f"{line[:40]!r} begins no page: write ## , a blank and the page's title")
        return title

    def block(self, number: int, fence: str, kind: str) -> tuple[Block, int]:
        """A fenced block and where it ends."""
        for end in range(number + 1, len(self.lines)):
            if self.lines[end].strip() == fence:
                return Block(kind, tuple(self.lines[number + 1 : end]), self.first + number + 1), end + 1
        raise self.error(number, f"this block never ends: close it with {fence}")
