"""What configurations are called where there is little room: as much as is needed to tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

from cnntui.labs.comparison import Comparison
from cnntui.runs.sweeps.plan import name_value

TITLE = "configuration"


def names_in(comparison: Comparison, width: int) -> tuple[str, list[str]]:
    """What the names tell, and those of all groups, in at most `width` columns each.

    Where the whole ones are too long, the values alone, without the names of the variables; then cut so that as many as
    can be differ.
    """
    labels = [group.label for group in comparison.groups]
    if _widest(labels) <= width:
        return TITLE, labels
    if values := _values(comparison):
        return ", ".join(name.replace("_", " ") for name in comparison.variables), cut(values, width)
    return TITLE, cut(labels, width)


def width_needed(comparison: Comparison, least: int) -> int:
    """The columns in which all names differ: `least`, or more where the names are longer than that and need them."""
    count = len({group.label for group in comparison.groups})
    widest = _widest([group.label for group in comparison.groups])
    widths = range(min(least, widest), widest)
    return next((width for width in widths if len(set(names_in(comparison, width)[1])) == count), widest)


def _values(comparison: Comparison) -> list[str]:
    """The values of each group; none where the labels do not tell all of them."""
    variables, values = comparison.variables, []
    for group in comparison.groups:
        told = comparison.base | group.changes
        if group.label != ", ".join(name_value(name, told.get(name, "")) for name in variables):
            return []
        values.append(", ".join(told[name] for name in variables))
    return values


def _widest(names: Sequence[str]) -> int:
    return max(map(len, names))


def cut(names: Sequence[str], width: int) -> list[str]:
    """At most so many columns of each: the end goes, the middle or the beginning, whichever leaves most of them apart.

    Examples:
        >>> cut(["norm: none, lr 0.1", "norm: none, lr 0.3"], 8)
        ['norm…0.1', 'norm…0.3']
    """
    if width < 1:
        return [""] * len(names)
    ways = ([shortened(name, width, kept) for name in names] for kept in (width - 1, width // 2, 0))
    return max(ways, key=lambda way: len(set(way)))


def shortened(name: str, width: int, kept: int) -> str:
    """A name in so many columns; where it is longer, `kept` of its beginning, …, and its end."""
    if len(name) <= width:
        return name
    return f"{name[:kept]}…{name[len(name) - (width - 1 - kept) :]}"
