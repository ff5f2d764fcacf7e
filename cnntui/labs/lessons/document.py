"""A lesson's file in pieces: the facts in front, the pages, and in them text and fenced blocks, each with its line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnntui.core.notation import printable

LARGEST = 400_000  # bytes of a lesson
FENCE = re.compile(r"^(`{3,}|~{3,})\s*([\w-]*)\s*$")


class LessonError(ValueError):
    """What is wrong with a lesson: file, line, and what to write instead."""

    def __init__(self, path: Path, line: int, what: object) -> None:
        super().__init__(f"{path}:{line}: {what}")
        self.path, self.line, self.what = path, line, str(what)


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

    def line_of(self, key: str) -> int:
        """Where a TOML key is set; where the block begins, if it cannot be seen."""
        return _line_of(self.text, key, self.line)


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
    front: dict[str, Any]
    text: str = field(repr=False)
    sheets: tuple[Sheet, ...] = ()

    def error(self, line: int, what: object) -> LessonError:
        """What is wrong in a line of it."""
        return LessonError(self.path, line, what)

    def line_of(self, key: str) -> int:
        """Where a key of the front is set: `minutes`, `nets.fc`."""
        return _line_of(self.text, key, 2)


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
    data = toml(front.group(1), path, 2)
    return Document(path, data, front.group(1), _sheets(text[front.end() :].split("\n"), path, first))


def read_text(path: Path) -> str:
    """What stands in a file, its lines ended by one character.

    Raises:
        LessonError: when it cannot be read, or is too large for a lesson.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise LessonError(path, 1, f"{path.stat().st_size:,} bytes > {LARGEST:,}: that is no lesson")
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LessonError(
            path, path.read_bytes()[: error.start].count(b"\n") + 1, "not UTF-8 text: save it as UTF-8"
        ) from None
    except OSError as error:
        raise LessonError(path, 1, error.strerror or error) from None
    for at, line in enumerate(text.split("\n"), start=1):
        bare = line.replace("\t", " ").rstrip("\r")
        if printable(bare) != bare:
            raise LessonError(path, at, "a control character: write text only")
    return text.replace("\r\n", "\n")


def toml(text: str, path: Path, line: int) -> dict[str, Any]:
    """TOML that begins in a line of a file.

    Raises:
        LessonError: naming the line.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise LessonError(path, line, "not TOML: brackets too deep") from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r" \(at line (\d+), column \d+\)| \(at end of document\)", str(error))
        offset = int(where.group(1)) - 1 if where and where.group(1) else text.rstrip("\n").count("\n")
        what = str(error).replace(where.group(0), "") if where else str(error)
        raise LessonError(path, line + offset, f"not TOML: {what}") from None
    except ValueError as error:
        raise LessonError(path, line, f"not TOML: {error}") from None


def _line_of(text: str, key: str, first: int) -> int:
    """Where a key is set, be it under its table or with dots."""
    table, _, own = key.rpartition(".")
    within, best = "", first
    for number, line in enumerate(text.split("\n"), start=first):
        header = re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line)
        if header and "=" not in line.partition("]")[0]:
            within = header.group(1).replace('"', "")
            if within == key:
                return number
            if within == table:
                best = number
        elif re.match(rf"""\s*["']?{re.escape(own)}["']?\s*=""", line) and within == table:
            return number
        elif table and re.match(rf"""\s*["']?{re.escape(table)}["']?\s*=""", line) and not within:
            best = number
    return best


def _sheets(lines: list[str], path: Path, first: int) -> tuple[Sheet, ...]:
    found: list[Sheet] = []
    title, at = "", 0
    prose: list[str] = []
    number = 0
    parts: list[Prose | Block] = []

    def end_prose() -> None:
        if any(line.strip() for line in prose):
            parts.append(Prose("\n".join(prose), first + number - len(prose)))
        prose.clear()

    while number < len(lines):
        line = lines[number]
        if fence := FENCE.match(line):
            end_prose()
            block, number = _block(lines, number, fence, path, first)
            parts.append(block)
            continue
        if heading := re.match(r"##\s+(\S.*?)\s*#*$", line):
            end_prose()
            if title:
                found.append(Sheet(title, at, tuple(parts)))
            elif parts:
                raise LessonError(path, first, f"text before the first page: it begins with {heading.group()!r}")
            title, at, parts = heading.group(1), first + number, []
        else:
            prose.append(line)
        number += 1
    end_prose()
    if not title:
        raise LessonError(path, first, "there is no page: begin one with ## and its title")
    return (*found, Sheet(title, at, tuple(parts)))


def _block(lines: list[str], number: int, fence: re.Match[str], path: Path, first: int) -> tuple[Block, int]:
    """A fenced block and where it ends."""
    for end in range(number + 1, len(lines)):
        if lines[end].strip() == fence.group(1):
            return Block(fence.group(2), tuple(lines[number + 1 : end]), first + number + 1), end + 1
    raise LessonError(path, first + number, f"this block never ends: close it with {fence.group(1)}")
