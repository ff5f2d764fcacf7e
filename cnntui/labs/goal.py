"""A goal for a network: `field >= 32; params <= 20000; last map 7x7`, checked against its facts."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from cnntui.core.analysis import Analysis
from cnntui.core.layers import Shape, shape_text
from cnntui.core.vocabulary import NotationError

EXAMPLE = "field >= 32; params <= 20000; last map 7x7"
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
SIGNS = {"<=": "≤", ">=": "≥", "<": "<", ">": ">", "=": "="}
WORDS = {"at least": ">=", "at most": "<=", "under": "<", "below": "<", "over": ">", "above": ">", "≥": ">=", "≤": "<="}
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def _field(analysis: Analysis) -> float | None:
    """The smaller side of the last field: both reach the goal then."""
    field = analysis.last_field
    return min(axis.size for axis in field) if field else None


FACTS: dict[str, Callable[[Analysis], float | None]] = {
    "params": lambda analysis: analysis.params,
    "macs": lambda analysis: analysis.macs,
    "memory": lambda analysis: analysis.memory,
    "layers": lambda analysis: len(analysis.rows),
    "field": _field,
}
ALIASES = {"parameters": "params", "rf": "field", "receptive field": "field"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One part of a goal: a fact compared with a number, or a shape that is wanted of the output or the last map."""

    fact: str
    comparison: str = "="
    number: float = 0
    shape: Shape = ()

    def text(self) -> str:
        """In words."""
        if self.shape:
            return f"{self.fact} {shape_text(self.shape)}"
        return f"{self.fact} {SIGNS[self.comparison]} {self.number:,.10g}"

    def reached(self, analysis: Analysis) -> tuple[bool, str]:
        """Whether the network reaches it, and what it has instead of it or beyond it."""
        if self.shape:
            shape = analysis.output if self.fact == "output" else _last_map(analysis)
            compared = shape if self.fact == "output" or shape is None else shape[-len(self.shape) :]
            return compared == self.shape and analysis.error is None, shape_text(shape or ()) or "none"
        value = FACTS[self.fact](analysis)
        if value is None:
            return False, "the whole image"
        if analysis.error:
            return False, f"{value:,.10g}…"
        return COMPARISONS[self.comparison](value, self.number), f"{value:,.10g}"


@dataclass(frozen=True, slots=True)
class Goal:
    """What a network is to reach, all of it."""

    conditions: tuple[Condition, ...]

    def text(self) -> str:
        """In words that `parse_goal` reads."""
        return "; ".join(
            f"{c.fact} {'x'.join(map(str, c.shape))}" if c.shape else f"{c.fact} {c.comparison} {_digits(c.number)}"
            for c in self.conditions
        )


def _digits(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)


def _last_map(analysis: Analysis) -> Shape | None:
    return next((row.output for row in reversed(analysis.rows) if row.output and len(row.output) == 3), None)


def parse_goal(text: str) -> Goal:
    """A goal from its parts, separated by `;`, `,` or `and`.

    Raises:
        NotationError: naming the part that is none, and what could stand there.
    """
    parts = [part.strip() for part in re.split(r";|,(?!\d{3}\b)|\band\b", text.lower()) if part.strip()]
    if not parts:
        raise NotationError(f"write a goal such as {EXAMPLE}")
    return Goal(tuple(map(_condition, parts)))


def _condition(part: str) -> Condition:
    for word, sign in WORDS.items():
        part = re.sub(rf"\s*(?:\b{word}\b|{word})\s*" if word.isascii() else word, f" {sign} ", part, count=1)
    if shaped := re.fullmatch(r"(output|last map)\s*=?\s*((?:\d{1,7})(?:\s*[x×]\s*\d{1,7}){0,2})", part):
        shape = tuple(int(n) for n in re.split(r"\s*[x×]\s*", shaped.group(2)))
        return Condition(shaped.group(1), shape=shape)
    compared = re.fullmatch(r"([a-z ]+?)\s*(<=|>=|<|>|=)\s*(\d[\d,_]{0,20}(?:\.\d{1,9})?)\s*([kmg]?)", part)
    name = ALIASES.get(compared.group(1), compared.group(1)) if compared else ""
    if compared is None or name not in FACTS:
        raise NotationError(
            f"{part!r} is no goal: compare {', '.join(FACTS)} with a number, or give output or last map a size: {EXAMPLE}"
        )
    number = float(compared.group(3).replace(",", "").replace("_", "")) * UNITS[compared.group(4)]
    return Condition(name, compared.group(2), number)
