"""A number and the terms it is made of, printed so that the terms, as printed, add up to the sum, as printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from math import floor, log10

from cnntui.core.windows import Tap

MINUS = "−"
TIMES = "×"
EXACT_DECIMALS = 4  # inputs with no more decimals than this are printed in full
SIGNIFICANT = 4
GUARD = 4
LARGE = Decimal(10) ** 15  # from here on powers of ten are written


@dataclass(frozen=True, slots=True)
class Equation:
    """`terms` joined by their signs, then `=` or `≈`, then `result`; `tail` is what follows the sum (a divisor)."""

    terms: tuple[str, ...]
    relation: str
    result: str
    joint: str = " + "
    tail: str = ""

    def __str__(self) -> str:
        body = self.joint.join(self.terms)
        if self.joint == ", ":
            return f"max({body}) {self.relation} {self.result}"
        return (
            f"({body}){self.tail} {self.relation} {self.result}"
            if self.tail
            else f"{body} {self.relation} {self.result}"
        )


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
    """Decimals that show about four significant digits of `value`, from 0 to 8; 3 for zero."""
    if value == 0:
        return 3
    return min(8, max(0, SIGNIFICANT - 1 - floor(log10(abs(value)))))


def weighted_sum(taps: Sequence[Tap], bias: float = 0.0, divisor: float = 1) -> Equation:
    """`(w×v) + (w×v) + … + bias = sum`, or with a divisor `(…) / divisor = sum`.

    Take the factors as printed, multiply and add: the printed result is within half a unit of its own last digit, or
    the relation is `≈`. Short numbers are printed in full; others get guard digits until that holds.
    """
    factors = [(Decimal(repr(tap.weight)), Decimal(repr(tap.value))) for tap in taps]
    offset, by = Decimal(repr(float(bias))), Decimal(repr(float(divisor)))
    inputs = [offset, by, *(factor for pair in factors for factor in pair)]
    total = sum((w * v for w, v in factors), Decimal(0)) / by + offset
    if any(abs(value) >= LARGE for value in (total, *inputs)):
        return _equation(factors, offset, by, None, number(total), "≈")
    if all(_decimals(value) <= EXACT_DECIMALS for value in inputs):
        decimals = min(_decimals(total), max(EXACT_DECIMALS, sum_decimals(float(total))))
        return _equation(factors, offset, by, None, number(total, decimals), "=")
    decimals = sum_decimals(float(total))
    # A large factor multiplies the other's rounding error, so it buys guard digits.
    most = GUARD + max(0, max(value.adjusted() for pair in factors for value in pair))
    for extra in range(3):
        result = _rounded(total, decimals + extra)
        for guard in range(1, most + 1):
            digits = decimals + extra + guard
            printed = [(_rounded(w, digits), _rounded(v, digits)) for w, v in factors]
            again = sum((w * v for w, v in printed), Decimal(0)) / by + _rounded(offset, digits)
            if abs(again - result) <= Decimal(5).scaleb(-(decimals + extra) - 1):
                return _equation(factors, offset, by, digits, number(result), "=")
    return _equation(factors, offset, by, decimals + GUARD, number(_rounded(total, decimals)), "≈")


def _equation(
    factors: Sequence[tuple[Decimal, Decimal]],
    offset: Decimal,
    by: Decimal,
    digits: int | None,
    result: str,
    relation: str,
) -> Equation:
    terms = [f"({number(w, digits)}{TIMES}{number(v, digits)})" for w, v in factors]
    if by == 1:
        return Equation((*terms, number(offset, digits)) if offset else tuple(terms), relation, result)
    tail = f" / {number(by)}" + (f" + {number(offset, digits)}" if offset else "")
    return Equation(tuple(terms), relation, result, tail=tail)


def maximum(taps: Sequence[Tap]) -> Equation:
    """`max(a, b, …) = m`; padding never wins and is left out."""
    values = [tap.value for tap in taps if tap.input is not None]
    return Equation(tuple(number(value) for value in values), "=", number(max(values)), joint=", ")


def mean(taps: Sequence[Tap], divisor: int) -> Equation:
    """`(a + b + …) / n = m`, re-adding as `weighted_sum` does."""
    written = weighted_sum(taps, divisor=divisor)
    prefix = len(f"(1{TIMES}")
    terms = tuple(term[prefix:-1] for term in written.terms)
    return Equation(terms, written.relation, written.result, tail=f" / {divisor}")
