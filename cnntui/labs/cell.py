"""The number itself: the terms that it is made of as they are shown, and the moves among them and into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, isfinite, prod

import numpy as np

from cnntui.core.arithmetic import TIMES, Equation, brief, number, plain_sum, signed, sum_decimals, weighted_sum
from cnntui.core.explanation import Source, Step, Term, largest
from cnntui.core.forward import softmax
from cnntui.core.layers import Pair
from cnntui.core.network import INPUT
from cnntui.core.operation import Part
from cnntui.core.shading import scale_of
from cnntui.core.steps import taps
from cnntui.core.windows import Array
from cnntui.labs.cell_lines import Sum
from cnntui.labs.cell_terms import (
    arranged,
    channel_name,
    contribution,
    is_last,
    map_read,
    name_of,
    product_text,
    sorted_terms,
)
from cnntui.labs.cell_words import meaning, pixel_words
from cnntui.labs.classes import percent
from cnntui.labs.contrast import Contrast, contrast
from cnntui.labs.explore import ExploreState, MoveError

FEW = 6  # terms of a long sum that are written out


@dataclass(frozen=True, eq=False)
class Grid:
    """The window in one input channel: values, weights and products, all (rows, columns).

    Args:
        name: of the channel.
        values, weights, products: the last two None where nothing is weighed.
        padding: which cells are beyond the map.
        cursor: the chosen term.
        winner: of a maximum.
        scales: the magnitudes of full colour of the three, one for all channels.
    """

    name: str
    values: Array
    weights: Array | None
    products: Array | None
    padding: Array
    cursor: Pair
    winner: Pair | None
    scales: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Partial:
    """What one input channel adds."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list: the numbers as printed, and how much it counts, −1 to 1 of the largest."""

    name: str
    cells: tuple[str, ...]
    value: float
    share: float


@dataclass(frozen=True, eq=False)
class Listing:
    """Terms one under another, what counts most first.

    Args:
        head: of the columns.
        cursor: which line is chosen.
        scale: the largest magnitude among the values.
        weighed: whether the last but one column holds weights.
        against: the class that a score is held against, where there is one: by that the terms are sorted.
    """

    step: Step
    names: Sequence[str]
    order: Sequence[int]
    head: tuple[str, ...]
    cursor: int
    scale: float
    weighed: bool
    against: Contrast | None = None

    def page(self, room: int) -> tuple[range, str]:
        """The lines to show in so many, the chosen one among them; and what the others come to, in a line or none."""
        count = len(self.order)
        if count <= room:
            return range(count), ""
        room = max(1, room - 1)
        first = self.cursor // room * room
        shown = range(first, min(first + room, count))
        others = [self.step.terms[at] for rank, at in enumerate(self.order) if rank not in shown]
        where = "smaller" if not first and self.against is None else "other"
        text = f"… {len(others):,} {where} terms"
        if self.step.kind == "sum":
            text += f", together {brief(sum(contribution(self.step, term) for term in others))}"
        return shown, text

    def entry(self, rank: int) -> Entry:
        """One line."""
        at = self.order[rank]
        term, own = self.step.terms[at], contribution(self.step, self.step.terms[at])
        if self.step.kind == "softmax":
            cells = (brief(term.value), brief(exp(term.value - self._highest)), percent(float(self._shares[at])))
            return Entry(self.names[at], cells, term.value, float(np.nan_to_num(self._shares[at])))
        if self.against is not None:
            adds = float(self.against.adds[at])
            more = signed(number(adds, sum_decimals(adds)))
            return Entry(self.names[at], (*product_text(term), more), adds, adds / self.scale)
        share = own / self.scale if isfinite(own) else 0.0
        return Entry(self.names[at], product_text(term) if self.weighed else (brief(term.value),), own, share)

    @cached_property
    def _highest(self) -> float:
        return max(term.value for term in self.step.terms)

    @cached_property
    def _shares(self) -> Array:
        with np.errstate(invalid="ignore"):
            return softmax(np.array([term.value for term in self.step.terms]))


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A number taken apart, as a panel shows it.

    Args:
        path: the numbers stepped down from, then this one.
        value: of this one, printed.
        meaning: what it is, in sentences.
        grid: the window, where there is one; else `listing` has the terms; neither for a pixel.
        partials: what each input channel adds, where there are several; `partial` is the one shown.
        chosen: the chosen term, in a line, and whether one can step into it.
        sums: the equations from the inside out: the channel shown, all of them, what follows.
        across: how many terms of the first one make a row of the window.
        term: the chosen one among those of the first equation, if it is there.
    """

    path: tuple[str, ...]
    value: str
    meaning: tuple[str, ...]
    grid: Grid | None = None
    listing: Listing | None = None
    partials: tuple[Partial, ...] = ()
    partial: int = 0
    chosen: str = ""
    enters: bool = False
    sums: tuple[Sum, ...] = ()
    across: int = 1
    term: int | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The equations alone."""
        return tuple(each.part for each in self.sums)


def anatomy(state: ExploreState, index: int) -> Anatomy:
    """The number looked at, with the term of that index chosen."""
    path = tuple(map(str, (*state.path, Source(state.node, state.unit))))
    steps = state.explanation.steps
    if not steps:
        return Anatomy(path, brief(state.value), (pixel_words(state),))
    step = steps[-1]
    whole = Anatomy(path, steps[0].equations[-1].result, tuple(meaning(state, steps)))
    if not step.terms:
        return replace(whole, sums=_followed(steps, (_part(step.node, step.equations[-1]),)))
    index = max(0, min(index, len(step.terms) - 1))
    place = arranged(state, step)
    whole = replace(whole, chosen=_chosen(state, step, index), enters=step.terms[index].source is not None)
    if place is None:
        listing = _listing(state, step, index)
        summed = _summed_up(step)
        at = sorted_terms(step).index(index) if len(summed.part.taps) < len(step.terms) else index
        return replace(whole, listing=listing, sums=_followed(steps, (summed,)), term=at)
    channel = index // prod(place)
    parts, partials = _channel_parts(state, step, channel)
    return replace(
        whole,
        grid=_grid(state, step, index, place),
        partials=partials,
        partial=channel,
        sums=_followed(steps, parts),
        across=place[1],
        term=index if len(step.equations) == 1 else index % prod(place),
    )


# -- moves


def first(state: ExploreState) -> int:
    """The term to begin with: the winner, a softmax's own, the one that counts most."""
    steps = state.explanation.steps
    if not steps or not steps[-1].terms:
        return 0
    step = steps[-1]
    if step.winner is not None:
        return step.winner
    if step.kind == "softmax":
        return step.terms.index(step.own)
    return _order(state, step)[0]


def moved(state: ExploreState, index: int, rows: int, columns: int) -> int:
    """The term so many rows and columns on in the window, or so many lines on in the list; the border stays the border."""
    step = _last(state)
    if step is None:
        return 0
    place = arranged(state, step)
    if place is None:
        order = _order(state, step)
        return order[max(0, min(order.index(index) + rows + columns, len(order) - 1))]
    channel, tap = divmod(index, prod(place))
    row, column = divmod(tap, place[1])
    row, column = max(0, min(row + rows, place[0] - 1)), max(0, min(column + columns, place[1] - 1))
    return channel * prod(place) + row * place[1] + column


def channel(state: ExploreState, index: int, by: int) -> int:
    """The same place of the window in another input channel; a list has none."""
    step = _last(state)
    place = arranged(state, step) if step else None
    if step is None or place is None:
        return index
    size = prod(place)
    at, tap = divmod(index, size)
    return max(0, min(at + by, len(step.terms) // size - 1)) * size + tap


def source(state: ExploreState, index: int) -> Source:
    """The number to step into, behind the layers that only hand it on.

    Raises:
        MoveError: where there is none: padding, a pixel, a silenced channel.
    """
    step = _last(state)
    if step is None:
        if state.node == INPUT:
            raise MoveError("a pixel is made of nothing else: this is where it begins")
        off = state.explanation.steps[-1]
        raise MoveError(f"{off.node} {state.part_word(off.node)} {off.unit[0]} is silenced: it is 0, whatever it reads")
    found = step.terms[index].source
    if found is None:
        raise MoveError("this cell is padding: a 0 beyond the border that no layer made")
    return state.origin(found)


def _last(state: ExploreState) -> Step | None:
    """The step whose terms are shown."""
    steps = state.explanation.steps
    return steps[-1] if steps and steps[-1].terms else None


# -- how the terms are shown


def _order(state: ExploreState, step: Step) -> list[int]:
    """The terms, what counts most first; where a score is held against another, what counts most in their difference."""
    against = contrast(state, step)
    if against is None:
        return sorted_terms(step)
    return [int(at) for at in np.argsort(-np.abs(against.adds), kind="stable")]


def _listing(state: ExploreState, step: Step, index: int) -> Listing:
    order, against = _order(state, step), contrast(state, step)
    counts = np.array([contribution(step, term) for term in step.terms])
    weighed = step.kind == "sum" and step.op != "add"
    names = [name_of(state, term.source) for term in step.terms]
    head = ("value", "weight", "product") if weighed else ("value",)
    if step.kind == "softmax":
        head = ("logit", "e^(logit − max)", "share")
        names = [f"class {state.class_name(n)}" for n in range(len(names))] if is_last(state, step) else names
    if against is not None:
        head, counts = (*head, f"rather than {against.rival}"), against.adds
    return Listing(step, names, order, head, order.index(index), scale_of(counts), weighed, against)


def _grid(state: ExploreState, step: Step, index: int, place: Pair) -> Grid:
    size = prod(place)
    at, tap = divmod(index, size)
    terms = step.terms[at * size : (at + 1) * size]
    weighed = step.kind == "sum"
    read = map_read(state, step)

    def plane(what: Sequence[float]) -> Array:
        return np.array(what, dtype=float).reshape(place)

    weights = np.array([term.weight for term in step.terms])
    products = np.array([term.product for term in step.terms])
    return Grid(
        channel_name(state, step, at, read),
        plane([term.value for term in terms]),
        plane([term.weight for term in terms]) if weighed else None,
        plane([term.product for term in terms]) if weighed else None,
        np.array([term.source is None for term in terms]).reshape(place),
        _pair(tap, place),
        None if step.winner is None else _pair(step.winner, place),
        (state.scale(read), scale_of(weights), scale_of(products)),
    )


def _pair(tap: int, place: Pair) -> Pair:
    return tap // place[1], tap % place[1]


# -- the lines


def _channel_parts(state: ExploreState, step: Step, at: int) -> tuple[tuple[Sum, ...], tuple[Partial, ...]]:
    """The equation of the channel shown and that of them all; and what each channel adds."""
    channels = step.channels
    read = map_read(state, step)
    names = [channel_name(state, step, i, read) for i in range(len(channels))]
    partials = tuple(
        Partial(name.removeprefix(read).strip("[]") or name, sum(term.product for term in terms))
        for name, terms in zip(names, channels, strict=True)
    )
    if len(step.equations) == 1:
        only = _part(step.node, step.equations[0], step.terms)
        return (replace(only, has_bias=_adds_bias(step)),), partials if len(partials) > 1 else ()
    whole = replace(_part(step.node, step.equations[-1]), has_bias=_adds_bias(step), noun="channels")
    return (_part(names[at], step.equations[at], channels[at]), whole), partials


def _adds_bias(step: Step) -> bool:
    """Whether a bias is the last term of its equation."""
    return step.kind == "sum" and bool(step.bias) and not step.equations[-1].function


def _summed_up(step: Step) -> Sum:
    """A list's equation; of a long sum the largest terms, and the rest as one."""
    whole = replace(_part(step.node, step.equations[-1], step.terms), has_bias=_adds_bias(step))
    if step.equations[-1].function:  # not finite: there is nothing to add up
        return whole
    shown, rest = largest(step, FEW)
    if rest is None:
        return whole
    wanted, found = step.equations[-1].result, rest.equation
    # As many digits as what follows reads.
    for extra in range(len(wanted)):
        if step.op == "add":
            equation = plain_sum([term.value for term in shown], rest.total, extra)
        else:
            equation = weighted_sum(taps(shown), step.bias, rest=rest.total, extra=extra)
        if equation.result == wanted:
            found = equation
            break
    return replace(_part(step.node, found, shown), smaller=rest.count if rest.total else 0, has_bias=_adds_bias(step))


def _followed(steps: Sequence[Step], sums: tuple[Sum, ...]) -> tuple[Sum, ...]:
    return (*sums, *(_part(step.node, step.equations[-1]) for step in reversed(steps[:-1])))


def _part(name: str, equation: Equation, terms: Sequence[Term] = ()) -> Sum:
    return Sum(Part(name, equation, tuple(taps(terms))))


def _chosen(state: ExploreState, step: Step, index: int) -> str:
    """The chosen term, written out."""
    term = step.terms[index]
    name = name_of(state, term.source)
    value = brief(term.value)
    if step.kind == "max":
        return f"{value}, {'the largest' if index == step.winner else 'which does not win'}, from {name}"
    if step.kind == "mean":
        return f"{value}, one of {int(step.divisor)} averaged, from {name}"
    if step.kind != "sum" or step.op == "add":
        return f"{value}, from {name}"
    if term.source is None:
        return f"0 {TIMES} {brief(term.weight)} = 0: padding, which adds nothing"
    value, weight, made = product_text(term)
    return f"{value} {TIMES} {weight} {'=' if isfinite(term.product) else '≈'} {made}, from {name}"
