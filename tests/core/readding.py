"""Printed arithmetic, parsed and done again: it must give what it says."""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np

from cnntui.core.activations import ACTIVATIONS


def decimal(text: str) -> Decimal:
    return Decimal(text.replace("−", "-"))


def unit(text: str) -> Decimal:
    """A unit of the last digit; below 1000 at least a tenth, since zeros at the end are not printed."""
    value = decimal(text)
    return Decimal(1).scaleb(min(0 if abs(value) >= 1000 else -1, int(value.as_tuple().exponent)))


def readd(text: str) -> None:
    """Take a printed line, do what it says, and compare with what it says it is."""
    body, relation, result = re.split(r" (=|≈) ", text)
    if relation == "≈":
        return
    if body.startswith("max("):
        assert max(map(decimal, body[4:-1].split(", "))) == decimal(result)
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
        by, offset = decimal(divisor), decimal(bias or "0")
        body = body[1:-1]
    total = Decimal(0)
    for term in body.split(" + "):
        product = Decimal(1)
        for factor in re.findall(r"[−\d.]+", term):
            product *= decimal(factor)
        total += product
    assert abs(total / by + offset - decimal(result)) <= unit(result) / 2, text
