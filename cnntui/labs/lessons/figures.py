"""A figure in a text: an expression, and how its value is written, `conv.params / fc.params | percent 1`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cnntui.core.arithmetic import MINUS, number
from cnntui.labs.lessons.expressions import Expression, Scope, in_words, parse
from cnntui.labs.stages import WordsError, nearest

AFTER = " after "
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")  # what stands there splits nothing
FORM = re.compile(r"\s*([a-z]+\s*)?[0-9]*\s*")


def _places(value: float, places: int) -> str:
    text = f"{value:,.{places}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text.replace("-", MINUS)


def _short(value: float, _: int) -> str:
    if abs(value) < 1000:
        return in_words(value)
    for unit, name in ((10**3, "k"), (10**6, "M"), (10**9, "G")):
        if round(abs(value) / unit, 1) < 1000:
            return f"{number(value / unit, 1)} {name}"
    return f"{number(value / 10**12, 1)} T"


def _several(write: Callable[[Any], str], between: str) -> Callable[[Any, int], str]:
    def written(values: Any, _: int) -> str:
        if not isinstance(values, tuple):
            raise TypeError
        return between.join(map(write, values))

    return written


FORMATS: Mapping[str, tuple[str, Callable[[Any, int], str]]] = {
    "percent": ("a share as a percentage, with so many decimals", lambda x, n: f"{_places(100 * x, n)} %"),
    "places": ("a number with so many decimals", _places),
    "plain": ("a number without commas", lambda x, n: in_words(x).replace(",", "")),
    "short": ("138.4 M, 15.5 G", _short),
    "cell": ("two numbers as a place: 2,3", _several(str, ",")),
    "list": ("several numbers: 3, 5, 11", _several(in_words, ", ")),
}


@dataclass(frozen=True)
class Figure:
    """An expression and how its value is written."""

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
            raise WordsError(f"{in_words(value)} cannot be written as {self.format}") from None


def parse_figure(text: str) -> tuple[Figure, str]:
    """What stands in braces, and the moves behind `after`, before which it is not read.

    Raises:
        WordsError: when it is no expression, or the format behind `|` is not known.
    """
    bare = QUOTED.sub(lambda match: " " * len(match.group()), text)
    after, bar = bare.find(AFTER), bare.rfind("|")
    if after >= 0 and not FORM.fullmatch(bare[bar + 1 :]):
        bar = -1  # of a net among the moves: layers [ conv 8 | id ] cat
    name, places = _format(text[bar + 1 :]) if bar >= 0 else ("", 0)
    said = text[:bar] if bar >= 0 else text
    expression, moves = (said[:after], said[after + len(AFTER) :]) if after >= 0 else (said, "")
    return Figure(parse(expression), name, places), moves.strip()


def _format(written: str) -> tuple[str, int]:
    name, _, places = written.strip().partition(" ")
    if name.isdigit():
        name, places = "places", name
    if name not in FORMATS:
        raise WordsError(
            f"no format is called {written.strip()!r}; {nearest(name, [*FORMATS, 'or a number of decimals'])}"
        )
    if not re.fullmatch(r"[0-9]?", places.strip()):
        raise WordsError(f"{written.strip()!r}: the decimals are a number from 0 to 9")
    return name, int(places or 0)
