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
from cnntui.labs.stages import Index, WordsError

LONGEST, DEEPEST, LARGEST, STEEPEST, DECIMALS = 400, 30, 10**18, 200, 12

WORD = re.compile(
    r"""\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)|(?P<name>[A-Za-z_]\w*)|(?P<text>"[^"]*"|'[^']*')"""
    r"""|(?P<mark>\*\*|//|\S))"""
)


def _round(x: Any, places: Any = 0) -> Any:
    """Halves go up, as people round."""
    if places not in range(DECIMALS + 1):
        raise ValueError
    return round(x, int(places)) if places else math.floor(x + 0.5)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "round": _round,
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
        index = _indices(self.index, scope)
        return None if index is None else scope.named(self.path, index)


@dataclass(frozen=True)
class Call:
    """A function, or something called up and a fact of it."""

    function: str
    arguments: tuple[Expression, ...]
    path: str = ""
    index: tuple[Expression, ...] = ()

    def value(self, scope: Scope) -> Any:
        """What comes of it."""
        given, index = tuple(argument.value(scope) for argument in self.arguments), _indices(self.index, scope)
        if index is None or any(one is None for one in given):
            return None
        if self.function not in FUNCTIONS:
            return scope.called(self.function, given, self.path, index)
        what = f"{self.function} of {', '.join(map(in_words, given)) or 'nothing'}"
        try:
            return _sized(FUNCTIONS[self.function](*given), what)
        except (TypeError, ValueError, OverflowError) as error:
            raise error if isinstance(error, WordsError) else WordsError(f"{what} is no number") from None


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
    what = f"{in_words(left)} {operator} {in_words(right)}"
    try:
        return _sized(OPERATORS[operator](left, right), what)
    except ZeroDivisionError:
        raise WordsError(f"{what}: nothing can be divided by 0") from None
    except OverflowError:
        raise WordsError(f"{what} is too large") from None


def _sized(result: Any, what: str) -> Any:
    """A result that can be written down."""
    if isinstance(result, complex) or (isinstance(result, int | float) and abs(result) > LARGEST):
        raise WordsError(f"{what} is no number up to {LARGEST:,}")
    return result


def _indices(index: tuple[Expression, ...], scope: Scope) -> Index | None:
    """Whole numbers and texts; None while one of them is not known."""
    found = [part.value(scope) for part in index]
    if any(one is None for one in found):
        return None
    for at, one in enumerate(found):
        if isinstance(one, float) and one.is_integer():
            found[at] = int(one)
        elif isinstance(one, bool) or not isinstance(one, int | str):
            raise WordsError(f"[{in_words(one)}]: between [ and ] stand whole numbers, or a text in quotes")
    return tuple(found)


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
        found = [(m.lastgroup or "", m.group(m.lastgroup or 0)) for m in WORD.finditer(text)]
        self.words = [(kind, "-" if word == MINUS else word) for kind, word in found]
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
        if self.take("-"):
            if depth > DEEPEST:
                raise self.error(f"more than {DEEPEST} signs")
            return Negative(self._power(depth + 1))
        base = self._atom(depth)
        return Binary("**", base, self._power(depth + 1)) if self.take("**") else base

    def _atom(self, depth: int) -> Expression:
        match self.kind:
            case "number":
                word = self.next()
                value = int(word) if word.isdigit() and len(word) < 19 else float(word)
                if value > LARGEST:
                    raise self.error(f"{word[:20]} is more than {LARGEST:,}")
                return Literal(value)
            case "text":
                return Literal(self.next()[1:-1])
            case "name":
                return self._named(depth)
        if self.take("("):
            inside = self.sum(depth + 1)
            self.demand(")")
            return inside
        if self.word in ("'", '"'):
            raise self.error(f"a text that begins with {self.word} never ends")
        raise self.error(f"{self.word!r} is not expected" if self.word else "something is missing at the end")

    def _named(self, depth: int) -> Expression:
        name = self.next()
        if self.take("("):
            call = Call(name, self._list(")", depth), self._path("").removeprefix("."), self._index(depth))
            if name in FUNCTIONS and (call.path or call.index):
                raise self.error(f"{name}(...) is a number: nothing stands behind it")
            return call
        return Name(self._path(name), self._index(depth))

    def _path(self, name: str) -> str:
        while self.take("."):
            if self.kind not in ("name", "number"):
                raise self.error(f"a name is missing behind {name or 'the'}.")
            name += f".{self.next()}"
        return name

    def _index(self, depth: int) -> tuple[Expression, ...]:
        if not self.take("["):
            return ()
        if self.word == "]":
            raise self.error("nothing stands between [ and ]")
        return self._list("]", depth)

    def _list(self, end: str, depth: int) -> tuple[Expression, ...]:
        found: list[Expression] = []
        while not self.take(end):
            if found:
                self.demand(",")
            found.append(self.sum(depth + 1))
        return tuple(found)


# -- as a sentence has it

UNKNOWN = "…"


def in_words(value: object) -> str:
    """A value as a sentence has it: 1,792, 5×5, −2, 0.125, yes; … while it is not known."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return shape_text(value)
    if isinstance(value, float | int):
        if math.isfinite(value) and value == int(value) and abs(value) < LARGEST:
            return f"{int(value):,}".replace("-", MINUS)
        text = number(value, 4 if abs(value) < 1000 else 1)
        return f"{value:.2e}".replace("-", MINUS) if text == "0" else _with_commas(text)
    return str(value)


def _with_commas(text: str) -> str:
    whole, dot, decimals = text.partition(".")
    digits = whole.lstrip(MINUS)
    return f"{whole[: len(whole) - len(digits)]}{int(digits):,}{dot}{decimals}" if digits.isdigit() else text
