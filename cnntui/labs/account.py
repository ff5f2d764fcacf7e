"""The arithmetic of what is looked at, in lines of marked pieces: the screens colour them, the tests add them up."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from cnntui.core.arithmetic import TIMES, Equation, brief, number, weighted_sum
from cnntui.core.operation import MOST_TERMS, Part, Product
from cnntui.core.windows import Tap
from cnntui.labs.convolve import ConvolveState

PADDING = "·"
DECIMALS = 6
MOST_LINES = 200  # into which more than MOST_TERMS are folded, when everything is asked for


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text and what it is: plain, dim, positive, negative, zero, padding, label, result."""

    text: str
    kind: str = "plain"


Line = list[Piece]


def account(state: ConvolveState, width: int, height: int | None = None) -> list[Line]:
    """What an output cell is made of, where an input cell goes, or what a weight touches, by what is looked at.

    At most `height` lines; what is folded away is counted. Without `height` every term is there.
    """
    if state.operation.problem:
        return []
    pinned = _pinned(state)
    if height is None and sum(len(part.taps) for part in state.parts) > MOST_TERMS:
        height = MOST_LINES
    room = None if height is None else max(1, height - len(pinned))
    if state.looking == "output":
        return _made_of(state, width, room) + pinned
    follow = _reaches if state.looking == "input" else _touches
    return follow(state, width, room) + pinned


def _pinned(state: ConvolveState) -> list[Line]:
    output = state.operation.output
    if state.pinned is None or output is None:
        return []
    value = float(output[(state.output_cell[0], *state.pinned)])
    return [[Piece(f"pinned {_at(state.pinned)} = {number(value, DECIMALS)}", "dim")]]


def _at(place: Sequence[int]) -> str:
    return ",".join(map(str, place))


# -- an output cell


def _made_of(state: ConvolveState, width: int, height: int | None) -> list[Line]:
    plain = {"max": "max", "avg": "mean"}.get(state.operation.op.removeprefix("adaptive-"), "sum")
    *parts, last = state.parts
    named = [replace(part, name=part.name or plain) for part in parts]
    last = replace(last, name=f"output {_at(state.cell)} =")
    return written([*named, last], state.operation.kernel_size[1], width, height)


def written(
    parts: Sequence[Part],
    across: int,
    width: int,
    height: int | None = None,
    hint: str = " (enter shows all)",
    chosen: int | None = None,
) -> list[Line]:
    """Equations one under another, each behind its name; `across` terms a line where that fits, a row of the kernel.

    At most `height` lines; what is folded away is counted, and `hint` says where it is. The `chosen` term of the first
    equation stands out.
    """
    longest = max(len(part.name) for part in parts)
    labels = [f"{part.name:>{longest}} " for part in parts]

    def block(index: int, room: int | None) -> list[Line]:
        return whole_part(parts[index], across, labels[index], width, None if index else chosen, {}, room)

    return stacked(block, parts, height, hint)


def stacked(
    block: Callable[[int, int | None], list[Line]], parts: Sequence[Part], height: int | None, hint: str
) -> list[Line]:
    """The lines of all parts, in at most so many: `block` gives those of one of them in some room."""
    blocks = [block(index, height) for index in range(len(parts))]
    if height is not None and len(parts) > 1 and sum(map(len, blocks)) > height:
        blocks = _folded_blocks(blocks, block, parts, height, hint)
    return [line for lines in blocks for line in lines]


def _folded_blocks(
    whole: list[list[Line]],
    block: Callable[[int, int | None], list[Line]],
    parts: Sequence[Part],
    height: int,
    hint: str,
) -> list[list[Line]]:
    """A line each, whole where lines are left over; where even that is too much, fewer of them, the last ones always."""
    over = len(parts) - height
    if over <= 0:
        room, spare = [1] * len(parts), -over
        for index, lines in enumerate(whole):
            if len(lines) - 1 <= spare:
                room[index], spare = len(lines), spare - len(lines) + 1
        for index, lines in enumerate(whole):  # those that stay folded show more of themselves
            more = min(spare, len(lines) - room[index])
            room[index], spare = room[index] + more, spare - more
        return [lines if len(lines) == room[i] else block(i, room[i]) for i, lines in enumerate(whole)]
    short = [block(index, 1) for index in range(len(parts))]
    ends = 0
    while ends < len(parts) and not parts[-1 - ends].taps:
        ends += 1
    ends = max(1, min(ends, height - 1))
    keep = max(0, height - ends - 1)
    told: list[Line] = [[Piece(f"{'… ':>12}{over + 1} more lines{hint}", "dim")]]
    return [*short[:keep], *([told] if height > ends else []), *short[len(short) - ends :]]


def whole_part(
    part: Part,
    across: int,
    label: str,
    width: int,
    chosen: int | None,
    named: Mapping[int, str],
    height: int | None = None,
) -> list[Line]:
    """One equation, wrapped: a row of the kernel a line where that fits; `named` are words behind some of its terms."""
    equation = part.equation
    opening, closing = equation.brackets
    terms = [term_piece(equation, part.taps, i) for i in range(len(equation.terms))]
    for i, words in named.items():
        terms[i] = replace(terms[i], text=terms[i].text + words)
    if chosen is not None and chosen < len(part.taps):
        terms[chosen] = replace(terms[chosen], kind="winner")
    result = f" {equation.relation} {equation.result} "
    indent = len(label) + len(opening)
    rows = _rows(terms, across, part, width - indent, height)
    widths = [max(len(row[i].text) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    shown = rows if height is None else rows[: max(1, height)]
    hidden = sum(map(len, rows[len(shown) :]))
    joint = equation.joint
    lines: list[Line] = []
    for number_, row in enumerate(shown):
        line = [Piece(label, "label"), Piece(opening)] if not number_ else []
        if number_ and joint == ", ":
            lines[-1].append(Piece(",", "dim"))
            line = [Piece(" " * indent)]
        elif number_:
            line = [Piece(" " * (indent - len(joint))), Piece(joint, "dim")]
        for i, term in enumerate(row):
            line += [Piece(joint, "dim")] if i else []
            aligned = len(rows) > 1 and len(row) > 1
            line.append(Piece(term.text.rjust(widths[i]) if aligned else term.text, term.kind))
        lines.append(line)
    ending = [Piece(closing), Piece(" "), Piece(result, "result")]
    needed = _length(ending)
    if hidden:
        lines[-1], hidden = _folded(lines[-1], width - needed, hidden, joint)
        lines[-1] += ending
    elif _length(lines[-1]) + needed <= width:
        lines[-1] += ending
    elif height is None or len(lines) < height:
        lines.append([Piece(" " * (indent - 1)), *ending])
    else:
        lines[-1], _ = _folded(lines[-1], width - needed, 0, joint)
        lines[-1] += ending
    return lines


def _length(line: Line) -> int:
    return sum(len(piece.text) for piece in line)


def _folded(line: Line, room: int, hidden: int, joint: str) -> tuple[Line, int]:
    """A line with as many terms fewer as make room for the number of those that are not shown."""
    line = list(line)
    while True:
        more = [Piece(f"{joint}… {hidden} more", "dim")] if hidden else []
        if _length(line + more) <= room:
            return line + more, hidden
        if len(line) <= 3:  # not even one term has room
            return [*line[:2], Piece(f"… {hidden + 1} more", "dim")], hidden + 1
        line.pop()
        if line[-1].text == joint:
            line.pop()
        hidden += 1


def term_piece(equation: Equation, taps: Sequence[Tap], index: int) -> Piece:
    """A term as it is shown: padding with the sign that the grid has for it."""
    text = equation.terms[index]
    if index >= len(taps):
        return Piece(text)
    tap = taps[index]
    if tap.input is None:
        return Piece(text.removesuffix("0)") + f"{PADDING})" if TIMES in text else PADDING, "padding")
    if TIMES not in text:
        return Piece(text, "winner" if equation.function == "max" and text == equation.result else "plain")
    return Piece(text, "zero" if tap.product == 0 else "positive" if tap.product > 0 else "negative")


def _rows(terms: list[Piece], across: int, part: Part, room: int, height: int | None) -> list[list[Piece]]:
    joint = len(part.equation.joint)
    longest = max((len(term.text) for term in terms), default=1)
    commas = part.equation.joint == ", "  # one stands at the end of each line but the last
    fitting = max(1, (room + joint - commas) // (longest + joint))
    whole = part.taps and across <= fitting and (height is None or -(-len(terms) // across) < max(2, height))
    per_line = across if whole and height != 1 else fitting
    return [terms[i : i + per_line] for i in range(0, len(terms), per_line)] or [[]]


# -- an input cell, a weight


def _reaches(state: ConvolveState, width: int, height: int | None) -> list[Line]:
    operation, products = state.operation, state.reached
    value = brief(float(operation.input[(state.channel, *state.pixel)]))
    times = f"{len(products)} output cell{'' if len(products) == 1 else 's'}"
    of_filter = f" of filter {state.filter}" if state.filters > 1 and not operation.pool else ""
    if operation.transposed:
        verb = f"stamps the kernel on {times}{of_filter}"
    elif operation.op in ("max", "adaptive-max"):
        best = sum(_wins(state, product) for product in products)
        verb = f"is under {times}, and the largest in {best}"
    else:
        verb = f"goes into {times}{of_filter}" + (
            ", each by another weight" if len(products) > 1 and not operation.pool else ""
        )
    title = _title(f"input {_at(state.pixel)} = {value}", verb + (":" if products else ""), width)
    return title + _columns(state, products, len(products), width, None if height is None else height - len(title))


def _title(label: str, words: str, width: int) -> list[Line]:
    """What is followed, and a sentence about it."""
    first, *rest = textwrap.wrap(f"{label} {words}", max(width, len(label) + 10))
    return [[Piece(label, "label"), Piece(first[len(label) :])], *([Piece(line)] for line in rest)]


def _wins(state: ConvolveState, product: Product) -> bool:
    sums = state.operation.sums
    return sums is not None and float(sums[product.output]) == product.value


def _touches(state: ConvolveState, width: int, height: int | None) -> list[Line]:
    operation = state.operation
    if operation.pool:
        return [[Piece("a pool has no weights: every cell of its window counts alike", "dim")]]
    products = list(islice(state.touched(), MOST_TERMS if height is None else width * height))
    total = operation.uses(*state.tap)
    weight = brief(float(state.kernel_plane[state.tap]))
    verb = f"is used {total} times, for another output cell each time:" if total != 1 else "is used once:"
    title = _title(f"weight {_at(state.tap)} = {weight}", verb, width)
    return title + _columns(state, products, total, width, None if height is None else height - len(title))


def _columns(
    state: ConvolveState, products: Sequence[Product], total: int, width: int, height: int | None
) -> list[Line]:
    """`→row,column: (weight×value) = product` for each output cell, in columns."""
    if not products or (height is not None and height < 1):
        return []
    entries = [_entry(state, product) for product in products]
    widths = [max(len(entry[i].text) for entry in entries) for i in range(3)]
    across = max(1, (width + 3) // (sum(widths) + 3))
    room = len(entries) if height is None else across * height
    shown = entries[:room]
    rows = [shown[i : i + across] for i in range(0, len(shown), across)]
    lines: list[Line] = []
    for row in rows:
        line: Line = []
        for place, entry in enumerate(row):
            line += [Piece("   ")] if place else []
            where, factors, result = entry
            line += [
                Piece(where.text.rjust(widths[0]), where.kind),
                Piece(factors.text.rjust(widths[1]), factors.kind),
                Piece(result.text.ljust(widths[2]), result.kind),
            ]
        lines.append(line)
    if total > len(shown):
        lines[-1] = lines[-1][: -4 if len(rows[-1]) > 1 else None]
        hidden = total - len(shown) + (1 if len(rows[-1]) > 1 else 0)
        lines[-1].append(Piece(f"   … {hidden} more", "dim"))
    return lines


def _entry(state: ConvolveState, product: Product) -> tuple[Piece, Piece, Piece]:
    """Where a product goes, its factors, what it adds there: divided as the sum is. In a maximum: whether it wins."""
    operation = state.operation
    place = Piece(f"→{_at(product.output[1:])}: ", "dim")
    value = brief(product.value)
    if operation.op in ("max", "adaptive-max"):
        wins = _wins(state, product)
        best = "" if operation.sums is None else brief(float(operation.sums[product.output]))
        return (
            place,
            Piece(value, "result" if wins else "zero"),
            Piece(" is the largest" if wins else f" < {best}", "dim"),
        )
    by = operation.cell_divisor(*product.output[1:])
    equation = weighted_sum([Tap(product.input, product.value, product.weight)], divisor=by)
    made = product.weight * product.value
    kind = "padding" if product.input is None else "zero" if made == 0 else "positive" if made > 0 else "negative"
    factors = term_piece(equation, [Tap(product.input, product.value, product.weight)], 0).text
    if operation.pool:
        factors = brief(product.value)
    return place, Piece(f"{factors}{equation.tail}", kind), Piece(f" {equation.relation} {equation.result}", kind)
