"""Printed arithmetic, parsed and done again: it must give what it says."""

from __future__ import annotations

import re
from decimal import Decimal
from math import exp, sqrt

import numpy as np

from cnntui.core.activations import ACTIVATIONS


def decimal(text: str) -> Decimal:
    return Decimal(text.replace("−", "-"))


def unit(text: str) -> Decimal:
    """A unit of the last digit; below 1000 at least a tenth, since zeros at the end are not printed."""
    value = decimal(text)
    return Decimal(1).scaleb(min(0 if abs(value) >= 1000 else -1, int(value.as_tuple().exponent)))


NUMBER = r"(−?[\d.]+)"
NORM = re.compile(rf"\({NUMBER} − {NUMBER}\) / √\({NUMBER} \+ {NUMBER}\)(?: × {NUMBER} \+ {NUMBER})?")
LOCAL = re.compile(rf"{NUMBER} / \({NUMBER} \+ {NUMBER} × \((.*)\)\)\^{NUMBER}")
SOFTMAX = re.compile(rf"e\^{NUMBER} / \((e\^.*)\)")
COPY = re.compile(r"[^ ]+\[\d+(,\d+,\d+)?\]|padding|silenced")


def _formula(body: str) -> tuple[float] | None:
    """What a norm or a softmax comes to; None: it is neither."""

    def read(text: str) -> float:
        return float(decimal(text))

    if found := NORM.fullmatch(body):
        x, mean, variance, epsilon, weight, bias = (read(each or "0") for each in found.groups())
        affine = found[5] is not None
        return ((x - mean) / sqrt(variance + epsilon) * (weight if affine else 1) + bias,)
    if found := LOCAL.fullmatch(body):
        x, k, alpha, power = (read(found[i]) for i in (1, 2, 3, 5))
        squares = sum(read(each) ** 2 for each in re.findall(r"\(?(−?[\d.]+)\)?²", found[4]))
        return (x / (k + alpha * squares) ** power,)
    if found := SOFTMAX.fullmatch(body):
        logits = [read(each.removeprefix("e^")) for each in found[2].split(" + ")]
        return (exp(read(found[1]) - max(logits)) / sum(exp(logit - max(logits)) for logit in logits),)
    return None


def readd(text: str) -> None:
    """Take a printed line, do what it says, and compare with what it says it is."""
    body, relation, result = re.split(r" (=|≈) ", text)
    if relation == "≈":
        return
    if body.startswith("max("):
        assert max(map(decimal, body[4:-1].split(", "))) == decimal(result)
        return
    if again := _formula(body):
        assert abs(Decimal(repr(again[0])) - decimal(result)) <= unit(result) / 2 * (1 + Decimal("1e-9")), text
        return
    if COPY.fullmatch(body):
        decimal(result)
        assert body[0] not in "ps" or "[" in body or result == "0", text
        return
    if body.startswith("√"):
        parts = re.findall(r"\(?([−\d.]+)\)?²", body)
        assert abs(sum(decimal(p) ** 2 for p in parts).sqrt() - decimal(result)) <= unit(result) / 2, text  # type: ignore[union-attr]
        return
    if found := re.fullmatch(r"([a-z0-9]+)\((.*)\)", body):
        value = float(ACTIVATIONS[found[1]](np.array(float(decimal(found[2])))))
        assert abs(Decimal(repr(value)) - decimal(result)) <= unit(result) / 2 * (1 + Decimal("1e-9")), text
        return
    by, offset = Decimal(1), Decimal(0)
    if " / " in body:
        body, tail = body.rsplit(" / ", 1)
        divisor, _, bias = tail.partition(" + ")
        divisor, _, scale = divisor.partition(" × ")
        by, offset = decimal(divisor) / decimal(scale or "1"), decimal(bias or "0")
        body = body[1:-1]
    total = Decimal(0)
    for term in body.split(" + "):
        product = Decimal(1)
        for factor in re.findall(r"[−\d.]+", term):
            product *= decimal(factor)
        total += product
    assert abs(total / by + offset - decimal(result)) <= unit(result) / 2, text
