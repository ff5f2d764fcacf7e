"""How a net does class by class: in which order, which mistake is the usual one, what was misread."""

from __future__ import annotations

from collections.abc import Sequence

from cnntui.runs.events import Classes, Misread

FLOORS = (0.99, 0.95, 0.9, 0.8, 0.5)


def share(right: int, count: int) -> float:
    """Read right, 0 to 1; a class that has no pictures has none wrong."""
    return right / count if count else 1.0


def order(classes: Classes, worst_first: bool) -> list[int]:
    """The classes in their order, or the worst first."""
    indices = list(range(len(classes.counts)))
    return sorted(indices, key=lambda i: share(classes.right[i], classes.counts[i])) if worst_first else indices


def bar_floor(classes: Classes) -> float:
    """Where bars may begin so that classes that are nearly all right can be told apart: a round share below the worst."""
    worst = min((share(r, c) for r, c in zip(classes.right, classes.counts, strict=True)), default=0.0)
    return next((floor for floor in FLOORS if worst > floor), 0.0)


def usual_mistake(confusion: Sequence[Sequence[int]]) -> tuple[int, int, int] | None:
    """How many, of which class, read as which: the mistake that is made most; None where there is none."""
    mistakes = [
        (count, label, read)
        for label, row in enumerate(confusion)
        for read, count in enumerate(row)
        if count and label != read
    ]
    return max(mistakes, key=lambda m: (m[0], -m[1], -m[2]), default=None)


def percent(share_: float) -> str:
    """98.2 %: 100 % is all and 0 % nothing, and not what is next to it."""
    if 0 < share_ < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share_ < 1:
        return ">99.9 %"
    return f"{100 * share_:.0f} %" if share_ in (0, 1) else f"{100 * share_:.1f} %"


def whole_percent(share_: float) -> str:
    """97 %, to the nearest; but 100 % is all, not 99.9 %."""
    nearest = int(100 * share_ + 0.5)
    return f"{min(nearest, 99) if share_ < 1 else nearest} %"


def class_name(names: Sequence[str], index: int) -> str:
    """The class's name, its number where it has none."""
    return names[index] if 0 <= index < len(names) else str(index)


def sentence(misread: Misread, names: Sequence[str]) -> str:
    """a 4, read as 9 (97 %)."""
    label, read = class_name(names, misread.label), class_name(names, misread.read)
    return f"a {label}, read as {read} ({whole_percent(misread.probability)})"


def in_short(misread: Misread, names: Sequence[str]) -> str:
    """4 → 9 (97 %)."""
    label, read = class_name(names, misread.label), class_name(names, misread.read)
    return f"{label} → {read} ({whole_percent(misread.probability)})"
