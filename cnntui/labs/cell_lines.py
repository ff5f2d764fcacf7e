"""The equations of one number in so many lines: what has no room is one term, so that what is printed re-adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from itertools import count

from cnntui.core.arithmetic import MINUS, TIMES, number
from cnntui.core.operation import Part
from cnntui.labs.account import Line, Piece, stacked, term_piece, whole_part

PRECISION = 60


@dataclass(frozen=True, eq=False)
class Sum:
    """An equation, and what its last terms are.

    Args:
        part: its name, the equation, and the taps of the terms that are products or values by themselves.
        smaller: for how many more the term behind those stands; 0: there is none.
        has_bias: whether the last term is a bias.
        noun: what the terms are: `channels`; none where they are numbers.
    """

    part: Part
    smaller: int = 0
    has_bias: bool = False
    noun: str = ""

    @property
    def singles(self) -> int:
        """How many of its terms stand for one thing each."""
        return len(self.part.equation.terms) - bool(self.smaller) - self.has_bias


def arithmetic(sums: Sequence[Sum], across: int, width: int, height: int, chosen: int | None = None) -> list[Line]:
    """One under another, each behind its name, `across` terms a line where that fits, in at most so many lines.

    The `chosen` term of the first stands out.
    """
    longest = max(len(each.part.name) for each in sums)
    labels = [f"{each.part.name:>{longest}} " for each in sums]

    def block(index: int, room: int | None) -> list[Line]:
        return _block(sums[index], across, labels[index], width, room, None if index else chosen)

    return stacked(block, [each.part for each in sums], height, "")


def _block(each: Sum, across: int, label: str, width: int, room: int | None, chosen: int | None) -> list[Line]:
    if each.smaller:
        made = _flowing(each, label, width, chosen)
    else:
        named = {len(each.part.equation.terms) - 1: " bias"} if each.has_bias else {}
        made = whole_part(each.part, across, label, width, chosen, named)
    equation = each.part.equation
    is_sum = equation.joint == " + " and not equation.function and each.singles > 1
    if room is None or len(made) <= room or not (is_sum or equation.joint == ", "):
        return (
            made if room is None or len(made) <= room else whole_part(each.part, across, label, width, chosen, {}, room)
        )
    # A line has room for so many terms at most, a sign between each two.
    least, most = 0, min(each.singles, room * width // len(equation.joint))
    while least < most:
        middle = (least + most + 1) // 2
        if len(_flowing(each, label, width, chosen, middle)) <= room:
            least = middle
        else:
            most = middle - 1
    return _flowing(each, label, width, chosen, least)[:room]


def _flowing(each: Sum, label: str, width: int, chosen: int | None, keep: int | None = None) -> list[Line]:
    """The terms, as many a line as have room: the `keep` largest, in their order, and what the others come to."""
    equation = each.part.equation
    shown = _kept(each, keep, chosen)
    pieces: list[Line] = []
    for index in shown:
        piece = term_piece(equation, each.part.taps, index)
        pieces.append([replace(piece, kind="winner") if index == chosen else piece])
    others = [index for index in range(each.singles) if index not in shown]
    hidden = each.smaller + len(others)
    if hidden and equation.joint == ", ":
        pieces.append([Piece(f"… {hidden:,} no larger", "dim")])
    elif hidden:
        what = (
            f"the {hidden:,} smaller" if each.smaller and shown else f"{hidden:,} more" if shown else f"all {hidden:,}"
        )
        told = f" ({what} {each.noun})" if each.noun else f" ({what})"
        pieces.append([Piece(_rest(each, shown, others)), Piece(told, "dim")])
    if each.has_bias:
        pieces.append([Piece(equation.terms[-1]), Piece(" bias", "dim")])
    opening, closing = equation.brackets
    made: list[Line] = [[Piece(label, "label"), Piece(opening)]]
    indent, ending = len(label) + len(opening), [Piece(f" {equation.relation} {equation.result} ", "result")]
    if closing:
        ending.insert(0, Piece(closing))
    for place, piece_s in enumerate(pieces):
        joint = [Piece(equation.joint, "dim")] if place else []
        if place and _wide(made[-1]) + _wide([*joint, *piece_s]) > width:
            made.append([Piece(" " * max(0, indent - len(equation.joint)))])
        made[-1] += [*joint, *piece_s]
    if _wide(made[-1]) + _wide(ending) + 1 > width:
        made.append([Piece(" " * max(0, indent - 1))])
    made[-1] += [Piece(" "), *ending]
    return made


def _wide(line: Line) -> int:
    return sum(len(piece.text) for piece in line)


def _kept(each: Sum, keep: int | None, chosen: int | None) -> list[int]:
    """Which terms are shown: the largest, the chosen one among them; of a maximum the largest, and then the first."""
    singles = range(each.singles)
    if keep is None or keep >= each.singles:
        return list(singles)
    values = [_value(each.part.equation.terms[index]) for index in singles]
    if each.part.equation.joint == ", ":
        best = max(singles, key=lambda index: values[index])
        order = [best, *(index for index in singles if index != best)]
        return sorted(order[: max(1, keep)])
    order = sorted(singles, key=lambda index: (index != chosen or each.smaller > 0, -abs(values[index])))
    return sorted(order[:keep])


def _value(term: str) -> Decimal:
    """A number, or a product of two, as printed."""
    made = Decimal(1)
    with localcontext(prec=PRECISION):
        for factor in term.strip("()").split(TIMES):
            made *= Decimal(factor.replace(MINUS, "-"))
    return made


def _rest(each: Sum, shown: Sequence[int], others: Sequence[int]) -> str:
    """What the terms that are not shown come to, with as few digits as let the line re-add as it did."""
    equation = each.part.equation
    with localcontext(prec=PRECISION):
        exact = sum((_value(equation.terms[index]) for index in others), Decimal(0))
        if each.smaller:
            exact += _value(equation.terms[each.singles])
        digits = -int(exact.normalize().as_tuple().exponent)
        if not any(TIMES in equation.terms[index] for index in others):
            return number(exact, max(0, digits))
        result = _value(equation.result)
        decimals = max(0, -int(result.as_tuple().exponent))
        around = sum((_value(equation.terms[index]) for index in shown), Decimal(0))
        around += _value(equation.terms[-1]) if each.has_bias else 0
        half = Decimal(5).scaleb(-decimals - 1)
        for places in count(decimals + 1):
            rest = exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
            if places >= digits or equation.relation != "=" or abs(around + rest - result) <= half:
                return number(rest)
    raise AssertionError
