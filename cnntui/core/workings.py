"""A calculation of several lines, each with its numbers: what a line makes stands, as printed, in the lines after it.

Formulas are text in names: `m = β1×m + (1 − β1)×g` with × − / ^ ² √(…) and brackets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from math import isfinite

from cnntui.core.arithmetic import MINUS, SIGNIFICANT, TIMES, Equation, number, sum_decimals

NAME = re.compile("[A-Za-zβ][A-Za-z_0-9\u0302]*")  # U+0302 is the hat of m̂
SMALLEST, LARGEST = -5, 15  # powers of ten: beyond them a number is written with its power
MOST = 12  # digits of a float64 that no rounding of its own has touched
PRECISION = 60


@dataclass(frozen=True, slots=True)
class Line:
    """`name = formula`, and the same with its numbers: `v = 0.9×0.0123 + 0.0456 = 0.05667`."""

    name: str
    formula: str
    equation: Equation

    def __str__(self) -> str:
        return f"{self.name} = {self.equation}"


def rounded(value: Decimal, decimals: int) -> str:
    """A number with so many decimals, no zeros at the end; with a power of ten where it is far from 1."""
    if value and not SMALLEST <= value.adjusted() < LARGEST:
        mantissa, power = f"{value:.{max(0, decimals + value.adjusted())}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(power):+03d}".replace("-", MINUS)
    return number(value, max(0, decimals))


def significant(value: float | Decimal, digits: int) -> str:
    """A number in so many digits, however small."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    return rounded(exact, digits - 1 - exact.adjusted() if exact else digits)


def worked(
    steps: Sequence[tuple[str, str]], given: Mapping[str, float], changed: str, most: int = MOST
) -> tuple[Line, ...]:
    """The lines of `steps` (name, formula), which compute one after another from what is given.

    Do what a line says with its printed numbers: the printed result is within half a unit of its own last digit, or the
    relation is `≈`. The last line makes the new value of `changed`, with the decimals that show how far it moved,
    and at most so many digits: where a change is too small for them, none is seen.

    Raises:
        ValueError: when a given number is infinite or none.
    """
    for name, value in given.items():
        if not isfinite(value):
            raise ValueError(f"{name} is {value}: only finite numbers can be written out")
    with localcontext(prec=PRECISION):
        plan = _Plan.of(steps, {name: Decimal(repr(float(value))) for name, value in given.items()})
        # The more lines a number is away from the last, the more digits it needs; most of all where terms cancel.
        for spare in (1, 2, 3, 4, 6, 8):
            for least in range(SIGNIFICANT, SIGNIFICANT + 4):
                lines = plan.printed(least, spare, changed, most)
                if all(line.equation.relation == "=" for line in lines):
                    return lines
        return lines


@dataclass(frozen=True)
class _Plan:
    """The numbers, first those given, then one a line, with their names, exactly; which ones each line reads, by name; and
    each one's height: over how many lines it acts on the last.
    """

    steps: Sequence[tuple[str, str]]
    names: tuple[str, ...]
    exact: tuple[Decimal, ...]
    reads: tuple[dict[str, int], ...]
    heights: tuple[int, ...]

    @classmethod
    def of(cls, steps: Sequence[tuple[str, str]], given: Mapping[str, Decimal]) -> _Plan:
        """A name can be made anew: from then on it is the new number."""
        latest = {name: index for index, name in enumerate(given)}
        exact, reads = list(given.values()), []
        for name, formula in steps:
            reads.append({read: latest[read] for read in NAME.findall(formula)})
            latest[name] = len(exact)
            exact.append(_value(formula, {read: exact[index] for read, index in reads[-1].items()}))
        heights = [0] * len(exact)
        for made, used in reversed(list(enumerate(reads, start=len(given)))):
            for index in used.values():
                heights[index] = max(heights[index], heights[made] + 1)
        names = (*given, *(name for name, _ in steps))
        return cls(steps, names, tuple(exact), tuple(reads), tuple(heights))

    def printed(self, least: int, spare: int, changed: str, most: int) -> tuple[Line, ...]:
        """The lines where a number has `least` digits and `spare` ones for each line that it is away from the last."""
        old, new = self.exact[self.names.index(changed)], self.exact[-1]
        shown = sum_decimals(float(new - old)) if new != old else least - 1 - old.adjusted()
        shown = max(0, min(shown, most - 1 - max(old.adjusted(), new.adjusted())))
        texts, units = [], []
        for name, value, height in zip(self.names, self.exact, self.heights, strict=True):
            decimals = least + spare * height - 1 - value.adjusted()
            if name == changed:  # it may be large beside what it changes by
                decimals = shown if new in (value, old) else max(decimals, shown + spare * height)
            texts.append(rounded(value, decimals))
            units.append(Decimal(1).scaleb(-decimals))
        lines = []
        first = len(self.exact) - len(self.steps)
        for made, ((name, formula), reads) in enumerate(zip(self.steps, self.reads, strict=True), start=first):
            used = {read: texts[index] for read, index in reads.items()}
            again = _value(formula, {read: _number(text) for read, text in used.items()})
            holds = abs(again - _number(texts[made])) <= units[made] / 2
            lines.append(Line(name, formula, Equation((_filled(formula, used),), "=" if holds else "≈", texts[made])))
        return tuple(lines)


def _number(text: str) -> Decimal:
    return Decimal(text.replace(MINUS, "-"))


def _filled(formula: str, texts: Mapping[str, str]) -> str:
    """The formula with its numbers; a negative one in brackets, but not at the beginning."""

    def fill(found: re.Match[str]) -> str:
        text = texts[found[0]]
        return f"({text})" if text.startswith(MINUS) and found.start() else text

    return NAME.sub(fill, formula)


def _value(formula: str, numbers: Mapping[str, Decimal]) -> Decimal:
    """Not by `ast`, see npy.py: a step of learning is computed in a thread."""
    reader = _Reader(formula, re.findall(rf"{NAME.pattern}|[0-9]+|\S", formula), numbers)
    value = reader.sum()
    if reader.words:
        raise reader.error()
    return value


@dataclass
class _Reader:
    """Recursive descent: a sum of products of powers, read word by word."""

    formula: str
    words: list[str]
    numbers: Mapping[str, Decimal]

    def error(self) -> ValueError:
        word = repr(self.words[0]) if self.words else "its end"
        return ValueError(f"{self.formula!r}: {word} is no part of a formula here")

    def _is_next(self, *words: str) -> bool:
        return bool(self.words) and self.words[0] in words

    def sum(self) -> Decimal:
        value = self._product()
        while self._is_next("+", MINUS):
            value = value + self._product() if self.words.pop(0) == "+" else value - self._product()
        return value

    def _product(self) -> Decimal:
        value = self._power()
        while self._is_next(TIMES, "/"):
            value = value * self._power() if self.words.pop(0) == TIMES else value / self._power()
        return value

    def _power(self) -> Decimal:
        if self._is_next("√"):
            self.words.pop(0)
            return self._power().sqrt()
        value = self._atom()
        while self._is_next("^", "²"):
            value **= Decimal(2) if self.words.pop(0) == "²" else self._atom()
        return value

    def _atom(self) -> Decimal:
        if not self.words:
            raise self.error()
        if self._is_next("("):
            self.words.pop(0)
            value = self.sum()
            if not self._is_next(")"):
                raise self.error()
            self.words.pop(0)
            return value
        if self.words[0] in self.numbers:
            return self.numbers[self.words.pop(0)]
        if not self.words[0].isdecimal():
            raise self.error()
        return Decimal(self.words.pop(0))
