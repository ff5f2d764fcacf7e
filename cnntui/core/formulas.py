"""Formulas of printed numbers that are more than a sum: products, norms, softmax. What is printed gives what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, floor, log10, prod, sqrt

from cnntui.core.arithmetic import MINUS, TIMES, Equation, brief, number, read, sum_decimals
from cnntui.core.parameters import EPSILON

LEAST, MOST = 4, 15  # significant digits of what goes in

Written = Callable[[int], tuple[float, Equation]]
"""For so many digits: what the printed numbers give, and the equation, its result still to come."""


def figures(value: float, digits: int) -> str:
    """A number with so many significant digits."""
    return number(value, max(0, digits - 1 - floor(log10(abs(value))))) if value else "0"


def _settled(value: float, extra: int, write: Written) -> Equation:
    """The equation with as few digits as make it re-add; `≈` where none do."""
    decimals = sum_decimals(value) + extra
    if value and number(value, decimals) == "0":  # what is not zero is never written as zero
        return _ended(write(LEAST)[1], "≈", brief(value))
    for more in range(3):
        result = number(value, decimals + more)
        half = 0.5 * 10.0 ** -(decimals + more)
        for digits in range(LEAST, MOST + 1):
            again, equation = write(digits)
            if abs(again - read(result)) <= half * (1 - 1e-6):
                return _ended(equation, "=", result)
    return _ended(equation, "≈", number(value, decimals))


def _ended(equation: Equation, relation: str, result: str) -> Equation:
    return Equation(equation.terms, relation, result, equation.joint, equation.tail, equation.function)


def product(values: Sequence[float], extra: int = 0) -> Equation:
    """`(0.5×−2) = −1`."""

    def write(digits: int) -> tuple[float, Equation]:
        texts = [figures(value, digits) for value in values]
        return prod(map(read, texts)), Equation((f"({TIMES.join(texts)})",), "", "")

    return _settled(prod(values), extra, write)


def normalised(
    argument: str, mean: float, variance: float, affine: tuple[float, float] | None, value: float, extra: int = 0
) -> Equation:
    """`(x − mean) / √(variance + 0.00001) × weight + bias = value`, of an x as printed.

    `affine` are weight and bias; None: the norm has none.
    """

    def write(digits: int) -> tuple[float, Equation]:
        texts = [figures(fact, digits) for fact in (mean, variance, *(affine or ()))]
        printed = [read(text) for text in texts]
        again = (read(argument) - printed[0]) / sqrt(printed[1] + EPSILON)
        tail = f" / √({texts[1]} + {number(EPSILON)})"
        if affine:
            again = again * printed[2] + printed[3]
            tail += f" {TIMES} {texts[2]} + {texts[3]}"
        return again, Equation((f"{argument} {MINUS} {texts[0]}",), "", "", tail=tail)

    return _settled(value, extra, write)


def softmax(own: float, logits: Sequence[float], value: float) -> Equation:
    """`e^8.2 / (e^1.2 + e^0.3 + …) = 0.98`."""

    def write(digits: int) -> tuple[float, Equation]:
        decimals = digits - LEAST + 2
        texts = [number(logit, decimals) for logit in logits]
        printed, mine = [read(text) for text in texts], number(own, decimals)
        largest = max(printed)  # of those printed: a large number loses digits in print
        again = exp(read(mine) - largest) / sum(exp(each - largest) for each in printed)
        return again, Equation(tuple(f"e^{t}" for t in texts), "", "", function=f"e^{mine} / ")

    return _settled(value, 0, write)


def local_response(
    own: float, around: Sequence[float], alpha: float, beta: float, k: float, value: float, extra: int = 0
) -> Equation:
    """`x / (1 + 0.00002 × (a² + b² + …))^0.75 = value`: `around` are the neighbours, x among them; alpha is α/n."""

    def write(digits: int) -> tuple[float, Equation]:
        texts = [figures(each, digits) for each in around]
        x = figures(own, digits)
        again = read(x) / (k + alpha * sum(read(text) ** 2 for text in texts)) ** beta
        terms = tuple(f"({text})²" if text.startswith(MINUS) else f"{text}²" for text in texts)
        function = f"{x} / ({number(k)} + {number(alpha)} {TIMES} "
        return again, Equation(terms, "", "", tail=f")^{number(beta)}", function=function)

    return _settled(value, extra, write)
