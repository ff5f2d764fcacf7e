"""What stands in the braces of a lesson: `{conv.params}`, `{fc.params / conv.params | 0}`, `{output[0,0]}`. Never eval.

An expression has numbers, texts in quotes, names with dots and perhaps an index, calls, `+ - * / // % **` and brackets. What
a name means, its reader says: the scope. A value that is not known yet (None) makes what is computed of it unknown, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cnntui.core.arithmetic import MINUS, number
from cnntui.core.layers import shape_text
from cnntui.labs.stages import Index, WordsError, nearest

LONGEST, DEEPEST, LARGEST, STEEPEST = 400, 30, 10**18, 200

WORD = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<text>"[^"]*"|'[^']*')"""
    r"""|(?P<mark>\*\*|//|\S))"""
)

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "round": lambda x, places=0: round(x, int(places)) if places else math.floor(x + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log2": math.log2,
    "abs": abs,
    "min": min,
    "max": max,
}
OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
}


class Scope(Protocol):
    """What the names mean."""

    def named(self, path: str, index: Index) -> Any:
        """`conv.params`, `output` with (0, 0), ...: a fact.

        Raises:
            WordsError: when there is none.
        """

    def called(self, function: str, arguments: tuple[Any, ...], path: str, index: Index) -> Any:
        """`net("conv 8; relu", 1, 28, 28).params`: a fact of what is called up.

        Raises:
            WordsError: when there is no such function, or its arguments are wrong.
        """


class Expression(Protocol):
    """Something that has a value."""

    def value(self, scope: Scope) -> Any:
        """Its value; None while something in it is not known.

        Raises:
            WordsError: when it cannot have one.
        """


@dataclass(frozen=True)
class Literal:
    """A number or a text."""

    of: float | str

    def value(self, scope: Scope) -> Any:
        """Itself."""
        return self.of


@dataclass(frozen=True)
class Name:
    """A fact by its name."""

    path: str
    index: tuple[Expression, ...] = ()

    def value(self, scope: Scope) -> Any:
        """What the scope says."""
        return scope.named(self.path, _indices(self.index, scope))


@dataclass(frozen=True)
class Call:
    """A function, or something called up and a fact of it."""

    function: str
    arguments: tuple[Expression, ...]
    path: str = ""
    index: tuple[Expression, ...] = ()

    def value(self, scope: Scope) -> Any:
        """What comes of it."""
        given = tuple(argument.value(scope) for argument in self.arguments)
        if any(one is None for one in given):
            return None
        if self.function not in FUNCTIONS or self.path:
            return scope.called(self.function, given, self.path, _indices(self.index, scope))
        try:
            return FUNCTIONS[self.function](*given)
        except (TypeError, ValueError, OverflowError):
            raise WordsError(f"{self.function} cannot be taken of {', '.join(map(in_words, given))}") from None


@dataclass(frozen=True)
class Negative:
    """Minus something."""

    of: Expression

    def value(self, scope: Scope) -> Any:
        """With the other sign."""
        return _applied("-", 0, self.of.value(scope))


@dataclass(frozen=True)
class Binary:
    """Two values and an operator between them."""

    operator: str
    left: Expression
    right: Expression

    def value(self, scope: Scope) -> Any:
        """What comes of them."""
        return _applied(self.operator, self.left.value(scope), self.right.value(scope))


def _applied(operator: str, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    for one in (left, right):
        if isinstance(one, bool) or not isinstance(one, int | float):
            raise WordsError(f"{operator} needs two numbers, and {in_words(one)!r} is none")
    if operator == "**" and abs(right) > STEEPEST:
        raise WordsError(f"a power of {right} is more than {STEEPEST}")
    try:
        result = OPERATORS[operator](left, right)
    except ZeroDivisionError:
        raise WordsError(f"{in_words(left)} {operator} 0: nothing can be divided by 0") from None
    except OverflowError:
        raise WordsError(f"{in_words(left)} {operator} {in_words(right)} is too large") from None
    if isinstance(result, complex) or abs(result) > LARGEST:
        raise WordsError(f"{in_words(left)} {operator} {in_words(right)} is no number up to {LARGEST:,}")
    return result


def _indices(index: tuple[Expression, ...], scope: Scope) -> Index:
    return tuple(part.value(scope) for part in index)


def parse(text: str) -> Expression:
    """An expression.

    Raises:
        WordsError: when it is none, with the word at which it is none.
    """
    if len(text) > LONGEST:
        raise WordsError(f"an expression of {len(text)} characters > {LONGEST}")
    reader = _Reader(text)
    found = reader.sum(0)
    if reader.word:
        raise reader.error(f"{reader.word!r} is not expected")
    return found


class _Reader:
    """Recursive descent: sums of products of powers of atoms."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.words = [(m.lastgroup or "", m.group(m.lastgroup or 0)) for m in WORD.finditer(text) if m.group().strip()]
        self.at = 0

    @property
    def kind(self) -> str:
        return self.words[self.at][0] if self.at < len(self.words) else ""

    @property
    def word(self) -> str:
        return self.words[self.at][1] if self.at < len(self.words) else ""

    def error(self, message: str) -> WordsError:
        return WordsError(f"{self.text!r}: {message}")

    def next(self) -> str:
        word = self.word
        self.at += 1
        return word

    def take(self, mark: str) -> bool:
        if self.kind == "mark" and self.word == mark:
            self.at += 1
            return True
        return False

    def demand(self, mark: str) -> None:
        if not self.take(mark):
            raise self.error(f"{mark} is missing" + (f" before {self.word!r}" if self.word else " at the end"))

    def sum(self, depth: int) -> Expression:
        if depth > DEEPEST:
            raise self.error(f"brackets deeper than {DEEPEST}")
        return self._joined(("+", "-"), lambda: self._joined(("*", "/", "//", "%"), lambda: self._power(depth)))

    def _joined(self, operators: tuple[str, ...], part: Callable[[], Expression]) -> Expression:
        found = part()
        while self.kind == "mark" and self.word in operators:
            found = Binary(self.next(), found, part())
        return found

    def _power(self, depth: int) -> Expression:
        if self.take("-") or self.take(MINUS):
            if depth > DEEPEST:
                raise self.error(f"more than {DEEPEST} signs")
            return Negative(self._power(depth + 1))
        base = self._atom(depth)
        return Binary("**", base, self._power(depth + 1)) if self.take("**") else base

    def _atom(self, depth: int) -> Expression:
        match self.kind:
            case "number":
                word = self.next()
                return Literal(int(word) if word.isdigit() and len(word) < 19 else float(word))
            case "text":
                return Literal(self.next()[1:-1])
            case "name":
                return self._named(depth)
        if self.take("("):
            inside = self.sum(depth + 1)
            self.demand(")")
            return inside
        raise self.error(f"{self.word!r} is not expected" if self.word else "something is missing at the end")

    def _named(self, depth: int) -> Expression:
        name = self.next()
        if self.take("("):
            arguments = self._list(")", depth)
            path = self._path("")
            return Call(name, arguments, path.removeprefix("."), self._index(depth))
        return Name(self._path(name), self._index(depth))

    def _path(self, name: str) -> str:
        while self.take("."):
            if self.kind not in ("name", "number"):
                raise self.error(f"a name is missing behind {name or 'the'}.")
            name += f".{self.next()}"
        return name

    def _index(self, depth: int) -> tuple[Expression, ...]:
        return self._list("]", depth) if self.take("[") else ()

    def _list(self, end: str, depth: int) -> tuple[Expression, ...]:
        found: list[Expression] = []
        while not self.take(end):
            if found:
                self.demand(",")
            found.append(self.sum(depth + 1))
        return tuple(found)


# -- as a sentence has it


def in_words(value: object) -> str:
    """A value as a sentence has it: 1,792, 5×5, −2, 0.125, yes; … while it is not known."""
    if value is None:
        return "…"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return shape_text(value)
    if isinstance(value, float | int):
        if math.isfinite(value) and value == int(value) and abs(value) < LARGEST:
            return f"{int(value):,}".replace("-", MINUS)
        places = 4 if abs(value) < 1000 else 1
        text = number(value, places)
        return f"{value:.2e}".replace("-", MINUS) if text == "0" else text
    return str(value)


def _places(value: float, places: int) -> str:
    return f"{value:,.{places}f}".replace("-", MINUS)


def _short(value: float, _: int) -> str:
    for unit, name in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if abs(value) >= unit:
            return f"{number(value / unit, 1)} {name}"
    return in_words(value)


FORMATS: Mapping[str, tuple[str, Callable[[Any, int], str]]] = {
    "percent": ("a share as a percentage, with so many decimals", lambda x, n: f"{_places(100 * x, n)} %"),
    "places": ("a number with so many decimals", _places),
    "plain": ("a number without commas", lambda x, n: in_words(x).replace(",", "")),
    "short": ("138.4 M, 15.5 G", _short),
    "cell": ("two numbers as a place: 2,3", lambda x, n: ",".join(map(str, x))),
    "list": ("several numbers: 3, 5, 11", lambda x, n: ", ".join(map(in_words, x))),
}


@dataclass(frozen=True)
class Figure:
    """An expression and how its value is written: `conv.params / fc.params | percent 1`."""

    expression: Expression
    format: str = ""
    places: int = 0

    def text(self, scope: Scope) -> str:
        """Its value in words.

        Raises:
            WordsError: when it has none, or it cannot be written so.
        """
        value = self.expression.value(scope)
        if value is None or not self.format:
            return in_words(value)
        try:
            return FORMATS[self.format][1](value, self.places)
        except (TypeError, ValueError):
            raise WordsError(f"{in_words(value)!r} cannot be written as {self.format}") from None


def parse_figure(text: str) -> Figure:
    """What stands in braces.

    Raises:
        WordsError: when it is no expression, or the format behind `|` is not known.
    """
    expression, bar, written = text.rpartition("|")
    if not bar:
        return Figure(parse(text))
    name, _, places = written.strip().partition(" ")
    if name.isdigit():
        name, places = "places", name
    if name not in FORMATS or not re.fullmatch(r"\d?", places):
        raise WordsError(
            f"{text!r}: no format is called {written.strip()!r}; {nearest(name, [*FORMATS, 'or a number'])}"
        )
    return Figure(parse(expression), name, int(places or 0))
