"""Python source: names, strings and comments made of what users type, and expressions laid out in lines."""

from __future__ import annotations

import builtins
import keyword
import re
import textwrap
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property

from cnntui.core.notation import printable

WIDTH = 100
LONGEST = 30  # characters of a name
INDENT = "    "
OPERATORS = (" + ", " * ")
# What means something else already; and those that look like a number.
RESERVED = frozenset([*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "I", "O", "l"])


def identifier(text: str, fallback: str) -> str:
    """A name of ASCII letters, digits and, inside, single underscores."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text)[:LONGEST].strip("_") or fallback
    return name if name[0].isalpha() else f"n{name}"


def class_name(text: str, fallback: str) -> str:
    """A name as classes have it: InvertedResidual for inverted-residual, Squeezenet1_1 for squeezenet1.1."""
    parts = (part[0].upper() + part[1:] for part in identifier(text, fallback).split("_"))
    return re.sub(r"(?<![0-9])_|_(?![0-9])", "", "_".join(parts))


def unique(name: str, *taken: Collection[str]) -> str:
    """The name, with an underscore where Python has a meaning for it, with the next number where it is taken."""
    if name in RESERVED:
        name += "_"
    numbered, stem, count = name, name.rstrip("0123456789"), 1
    while any(numbered in names for names in taken):
        count += 1
        numbered = f"{stem}{count}"
    return numbered


def escaped(text: str) -> str:
    """As it stands between double quotes, of any number."""
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def wrapped(text: str) -> list[str]:
    """The lines of a paragraph of a docstring."""
    # Escapes are put in line by line, so that none is torn; at worst they make a line twice as long.
    width = WIDTH // 2 - 3 if re.search(r'["\\]', text) else WIDTH - 3
    return [escaped(line) for line in textwrap.wrap(printable(text), width)]


@dataclass(frozen=True)
class Doc:
    """Parts between brackets: on one line where they fit, else one a line.

    Args:
        opening: what stands before the parts, with its bracket.
        parts: expressions.
        closing: the other bracket.
        joint: a comma, an operator (whose brackets are only for several lines), or, in a comprehension, a space.
        forced: never on one line.
        notes: comments for the parts, for those that take one line.
    """

    opening: str
    parts: tuple[str | Doc, ...]
    closing: str = ")"
    joint: str = ", "
    forced: bool = False
    notes: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def flat(self) -> str | None:
        """On one line; None where it must not be."""
        parts = [part if isinstance(part, str) else part.flat for part in self.parts]
        if self.forced or None in parts:
            return None
        joined = self.joint.join(part for part in parts if part is not None)
        return joined if self.joint in OPERATORS else f"{self.opening}{joined}{self.closing}"


def lines(part: str | Doc, indent: str, before: str = "", after: str = "", note: str = "") -> list[str]:
    """The lines of an expression, with what stands before and after it, and a comment where it fits."""
    flat = part if isinstance(part, str) else part.flat
    if isinstance(part, str) or (flat is not None and len(indent + before + flat + after) <= WIDTH):
        line = f"{indent}{before}{flat}{after}"
        return [f"{line}  # {note}" if note and len(line) + len(note) + 4 <= WIDTH else line]
    made = [f"{indent}{before}{part.opening}"]
    notes = part.notes or ("",) * len(part.parts)
    for index, (inner, said) in enumerate(zip(part.parts, notes, strict=True)):
        operator = part.joint.lstrip() if index and part.joint in OPERATORS else ""
        made += lines(inner, indent + INDENT, operator, "," if part.joint == ", " else "", said)
    return [*made, f"{indent}{part.closing}{after}"]
