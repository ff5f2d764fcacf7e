"""Whole-number expressions such as `4*c` or `(c + 7) // 8 * 8`: read by these few rules, never by eval."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

LONGEST = 200
LARGEST = 10**9
DEEPEST = 30
OPERATORS: Mapping[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def evaluate(text: str, values: Mapping[str, int]) -> int:
    """The value of an expression of numbers, names, `+ - * // %` and brackets.

    Raises:
        ValueError: in one line, when it is no such expression, a name is not among `values`, or a number is too large.
    """
    if len(text) > LONGEST:
        raise ValueError(f"an expression of {len(text)} characters > {LONGEST}")
    words = re.findall(r"\s*([0-9]+|[A-Za-z_]\w*|//|\S)", text)
    reader = _Reader(text.strip(), words, values)
    result = reader.sum(0)
    if reader.at < len(words):
        raise reader.error(f"{words[reader.at]!r} is not expected")
    return result


class _Reader:
    """Recursive descent: a sum of products of atoms."""

    def __init__(self, text: str, words: list[str], values: Mapping[str, int]) -> None:
        self.text, self.words, self.values = text, words, values
        self.at = 0

    def error(self, message: str) -> ValueError:
        return ValueError(f"{self.text!r}: {message}")

    def _next(self) -> str:
        word = self.words[self.at] if self.at < len(self.words) else ""
        self.at += 1
        return word

    def sum(self, depth: int) -> int:
        """Terms with + and - between."""
        return self._joined(self._product, ("+", "-"), depth)

    def _product(self, depth: int) -> int:
        return self._joined(self._atom, ("*", "//", "%"), depth)

    def _joined(self, part: Callable[[int], int], operators: tuple[str, ...], depth: int) -> int:
        value = part(depth)
        while self.at < len(self.words) and self.words[self.at] in operators:
            operator = self._next()
            other = part(depth)
            if operator in ("//", "%") and other == 0:
                raise self.error("division by 0")
            value = OPERATORS[operator](value, other)
            if abs(value) > LARGEST:
                raise self.error(f"more than {LARGEST:,}")
        return value

    def _atom(self, depth: int) -> int:
        if depth > DEEPEST:
            raise self.error(f"brackets deeper than {DEEPEST}")
        word = self._next()
        if word == "-":
            return -self._atom(depth + 1)
        if word == "(":
            value = self.sum(depth + 1)
            if self._next() != ")":
                raise self.error(") is missing")
            return value
        if word.isascii() and word.isdigit():
            if len(word) > len(str(LARGEST)) or int(word) > LARGEST:
                raise self.error(f"more than {LARGEST:,}")
            return int(word)
        if word in self.values:
            return self.values[word]
        if re.fullmatch(r"[A-Za-z_]\w*", word):
            known = f"there is {', '.join(self.values)}" if self.values else "there are none here"
            raise self.error(f"no argument is called {word!r}; {known}")
        raise self.error(f"{word!r} is not expected" if word else "something is missing at the end")
