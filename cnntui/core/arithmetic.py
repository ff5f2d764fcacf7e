"""A number and the terms it is made of, printed so that the terms, as printed, add up to the sum, as printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from math import floor, hypot, isclose, isfinite, log10

import numpy as np

from cnntui.core.windows import Array, Tap

MINUS = "−"
TIMES = "×"
EXACT_DECIMALS = 4  # inputs with no more decimals than this are printed in full
SIGNIFICANT = 4
GUARD = 4
LARGE = Decimal(10) ** 15  # from here on powers of ten are written


@dataclass(frozen=True, slots=True)
class Equation:
    """`terms` joined by their signs, then `=` or `≈`, then `result`.

    `function` is what is made of all the terms (max, √, relu); `tail` is what follows the sum (a divisor).
    """

    terms: tuple[str, ...]
    relation: str
    result: str
    joint: str = " + "
    tail: str = ""
    function: str = ""

    @property
    def brackets(self) -> tuple[str, str]:
        """What stands before and behind the terms."""
        return (f"{self.function}(", f"){self.tail}") if self.function or self.tail else ("", "")

    def __str__(self) -> str:
        opening, closing = self.brackets
        return f"{opening}{self.joint.join(self.terms)}{closing} {self.relation} {self.result}"


def number(value: float | Decimal, decimals: int | None = None) -> str:
    """A number with a real minus sign; at most `decimals` decimals (None: all of them), no zeros at the end."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if not exact.is_finite():
        return str(float(exact)).replace("-", MINUS)
    if abs(exact) >= LARGE:
        return f"{exact:.4e}".replace("-", MINUS)
    if decimals is not None:
        exact = _rounded(exact, decimals)
    text = format(exact, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text in ("-0", ""):
        text = "0"
    return text.replace("-", MINUS)


def signed(text: str) -> str:
    """A number as printed, with its sign whichever; 0 has none."""
    return text if text.startswith((MINUS, "+")) or text == "0" else f"+{text}"


def brief(value: float) -> str:
    """A number in at most six decimals; what is not zero is never written as zero."""
    text = number(value, 6)
    return f"{value:.2e}".replace("-", MINUS) if value and text == "0" else text


def short(value: float, room: int) -> str | None:
    """A number in at most `room` glyphs: two decimals, one, no zero before the point, whole, a power of ten; else None.

    What is not zero is never written as zero.
    """
    for decimals in (2, 1, 0):
        text = number(value, decimals)
        if value and text == "0":
            break
        for written in (text, text.replace("0.", ".", 1) if abs(value) < 1 else text):
            if len(written) <= room:
                return written
    power = f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e").replace("-", MINUS)
    return power if len(power) <= room else None


def _rounded(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)


def _decimals(value: Decimal) -> int:
    return max(0, -int(value.normalize().as_tuple().exponent))


def sum_decimals(value: float) -> int:
    """Decimals that show about four significant digits of `value`, at most 18; 3 for zero and for what is not finite."""
    if value == 0 or not isfinite(value):
        return 3
    return min(18, max(0, SIGNIFICANT - 1 - floor(log10(abs(value)))))


def weighted_sum(
    taps: Sequence[Tap], bias: float = 0.0, divisor: float = 1, rest: float = 0.0, extra: int = 0
) -> Equation:
    """`(w×v) + (w×v) + … + bias = sum`, or with a divisor `(…) / divisor = sum`.

    Take the factors as printed, multiply and add: the printed result is within half a unit of its own last digit, or
    the relation is `≈`. Short numbers are printed in full; others get guard digits until that holds. `rest` is a term
    that others were added up to before; `extra` are digits of the result beyond the usual four.
    """
    return replace(_Sum.of(taps, bias, divisor), rest=_exact(rest)).written(extra=extra)


def channel_sums(
    channels: Sequence[Sequence[Tap]], bias: float = 0.0, divisor: float = 1, extra: int = 0
) -> list[Equation]:
    """One equation a channel, then `a + b + … + bias = sum` over their results as printed; each re-adds."""
    sums = [_Sum.of(taps) for taps in channels]
    whole = _Sum([(part.total, Decimal(1)) for part in sums], _exact(bias), _exact(divisor))
    if whole.large or any(part.large for part in sums):
        return [*(part.written() for part in sums), whole.written(bare=True)]
    if whole.short and all(part.short for part in sums):
        return [*(part.in_full() for part in sums), whole.written(bare=True, extra=extra)]
    digits, total = whole.settled(bare=True, extra=extra)
    return [*(part.rounded(digits) for part in sums), total]


def plain_sum(values: Sequence[float], rest: float = 0.0, extra: int = 0) -> Equation:
    """`a + b + … = sum`, re-adding as `weighted_sum` does."""
    return _Sum([(_exact(value), Decimal(1)) for value in values], rest=_exact(rest)).written(bare=True, extra=extra)


def read(text: str) -> float:
    """The number that `number` has written."""
    return float(text.replace(MINUS, "-"))


def applied(name: str, argument: str, function: Callable[[Array], Array], value: float, extra: int = 0) -> Equation:
    """`relu(−3) = 0`: a function of a number as printed; `≈` where the printed number would give another last digit."""
    with np.errstate(over="ignore", invalid="ignore"):
        again = float(function(np.array(read(argument))))
    return _function_of((argument,), name, value, again, extra)


def root_of_squares(arguments: Sequence[str], value: float) -> Equation:
    """`√(3² + (−4)²) = 5`: the magnitude of a gradient from its parts as printed."""
    parts = [read(argument) for argument in arguments]
    terms = tuple(f"({argument})²" if argument.startswith(MINUS) else f"{argument}²" for argument in arguments)
    return _function_of(terms, "√", value, hypot(*parts))


def _function_of(terms: tuple[str, ...], name: str, value: float, again: float, extra: int = 0) -> Equation:
    """A function of printed terms, where `value` came out, and `again` of the printed ones."""
    if isclose(value, again, rel_tol=1e-9, abs_tol=1e-12):
        value = again  # without the rounding noise of the floats
    decimals = sum_decimals(value) + extra
    result = number(value, decimals)
    return Equation(terms, "=" if number(again, decimals) == result else "≈", result, function=name)


def _exact(value: float) -> Decimal:
    return Decimal(repr(float(value)))


@dataclass(frozen=True)
class _Sum:
    """Products and the `rest` of them, divided, scaled, and what is added in the end; all exactly."""

    factors: Sequence[tuple[Decimal, Decimal]]
    offset: Decimal = Decimal(0)
    by: Decimal = Decimal(1)
    scale: Decimal | None = None
    rest: Decimal = Decimal(0)

    @classmethod
    def of(cls, taps: Sequence[Tap], bias: float = 0.0, divisor: float = 1) -> _Sum:
        """The sum over a window."""
        return cls([(_exact(tap.weight), _exact(tap.value)) for tap in taps], _exact(bias), _exact(divisor))

    @cached_property
    def total(self) -> Decimal:
        """Its value."""
        return self._sum(self.factors, self.rest) / self.by * (self.scale or 1) + self.offset

    @staticmethod
    def _sum(factors: Iterable[tuple[Decimal, Decimal]], rest: Decimal) -> Decimal:
        return sum((w * v for w, v in factors), rest)

    @property
    def _inputs(self) -> Iterator[Decimal]:
        yield from (self.offset, self.by, self.scale or Decimal(1), self.rest)
        for pair in self.factors:
            yield from pair

    @property
    def large(self) -> bool:
        """Whether a number is too large to be written out."""
        return abs(self.total) >= LARGE or any(abs(value) >= LARGE for value in self._inputs)

    @property
    def short(self) -> bool:
        """Whether every number can be printed in full."""
        return all(_decimals(value) <= EXACT_DECIMALS for value in self._inputs)

    def in_full(self) -> Equation:
        """The equation with every digit."""
        return self._equation(None, number(self.total), "=")

    def written(self, bare: bool = False, extra: int = 0) -> Equation:
        """The equation; `bare` terms are printed without their second factor."""
        if self.large:
            return self._equation(None, number(self.total), "≈", bare)
        if self.short:
            decimals = min(_decimals(self.total), max(EXACT_DECIMALS, sum_decimals(float(self.total))) + extra)
            return self._equation(None, number(self.total, decimals), "=", bare)
        return self.settled(bare, extra)[1]

    def settled(self, bare: bool = False, extra: int = 0) -> tuple[int, Equation]:
        """As few digits as make it re-add, and the equation with them."""
        decimals = sum_decimals(float(self.total)) + extra
        for more in range(3):
            digits = self._guarded(decimals + more)
            if digits is not None:
                return digits, self._equation(digits, number(_rounded(self.total, decimals + more)), "=", bare)
        digits = decimals + GUARD
        return digits, self._equation(digits, number(_rounded(self.total, decimals)), "≈", bare)

    def rounded(self, decimals: int) -> Equation:
        """The equation with that many decimals in its result."""
        result = number(_rounded(self.total, decimals))
        digits = self._guarded(decimals)
        return self._equation(digits or decimals + GUARD, result, "=" if digits is not None else "≈")

    def _guarded(self, decimals: int) -> int | None:
        """The digits with which the printed factors give the result rounded to `decimals`."""
        result = _rounded(self.total, decimals)
        # A large factor multiplies the other's rounding error, so it buys guard digits.
        most = GUARD + max((value.adjusted() for value in self._inputs), default=0)
        for digits in range(decimals + 1, decimals + most + 1):
            printed = ((_rounded(w, digits), _rounded(v, digits)) for w, v in self.factors)
            scale = Decimal(1) if self.scale is None else _rounded(self.scale, digits)
            again = self._sum(printed, _rounded(self.rest, digits)) / self.by * scale + _rounded(self.offset, digits)
            if abs(again - result) <= Decimal(5).scaleb(-decimals - 1):
                return digits
        return None

    def _equation(self, digits: int | None, result: str, relation: str, bare: bool = False) -> Equation:
        terms = [
            number(w, digits) if bare else f"({number(w, digits)}{TIMES}{number(v, digits)})" for w, v in self.factors
        ]
        if self.rest:
            terms.append(number(self.rest, digits))
        if self.by == 1 and self.scale is None:
            offset = (number(self.offset, digits),) if self.offset else ()
            return Equation((*terms, *offset), relation, result)
        tail = f" / {number(self.by)}" + ("" if self.scale is None else f" {TIMES} {number(self.scale, digits)}")
        return Equation(
            tuple(terms), relation, result, tail=tail + (f" + {number(self.offset, digits)}" if self.offset else "")
        )


def maximum(taps: Sequence[Tap], extra: int = 0) -> Equation:
    """`max(a, b, …) = m`; padding never wins and is left out. Rounding keeps the order, so the printed largest is `m`."""
    values = [tap.value for tap in taps if tap.input is not None]
    largest = max(values)
    in_full = all(_decimals(_exact(value)) <= EXACT_DECIMALS for value in values)
    decimals = None if in_full else max(EXACT_DECIMALS, sum_decimals(largest)) + extra
    terms = tuple(number(value, decimals) for value in values)
    return Equation(terms, "=", number(largest, decimals), joint=", ", function="max")


def mean(
    taps: Sequence[Tap], divisor: int, scale: float | None = None, bias: float = 0.0, rest: float = 0.0, extra: int = 0
) -> Equation:
    """`(a + b + …) / n = m`, or with a scale `(a + b + …) / n × scale + bias = m`, re-adding as `weighted_sum` does."""
    pairs = [(_exact(tap.value), Decimal(1)) for tap in taps]
    scaled = None if scale is None else _exact(scale)
    written = _Sum(pairs, _exact(bias), Decimal(divisor), scaled, _exact(rest)).written(bare=True, extra=extra)
    return written if written.tail else replace(written, tail=f" / {divisor}")
