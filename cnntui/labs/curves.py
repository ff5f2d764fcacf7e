"""Curves as a chart shows them: smoothed, cut where they are not finite, read at one place, ticks at round numbers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from math import ceil, floor, isfinite, log10

from cnntui.runs.reader import Points


def smoothed(points: Points, share: float) -> Points:
    """An exponential mean that keeps `share` of what was at each point, freed of its start at zero.

    What is not finite stays as it is, and does not count. Source: Kingma and Ba, Adam, section 3 (the correction).
    """
    mean, weight, found = 0.0, 0.0, []
    for x, y in points:
        if isfinite(y):
            mean = share * mean + (1 - share) * y
            weight = share * weight + (1 - share)
            found.append((x, mean / weight))
        else:
            found.append((x, y))
    return tuple(found)


def stretches(points: Points, logarithmic: bool = False) -> Iterator[Points]:
    """The points between two gaps: what is not finite is one, on a logarithmic scale what is not above zero."""
    stretch: list[tuple[float, float]] = []
    for x, y in points:
        if isfinite(y) and (y > 0 or not logarithmic):
            stretch.append((x, y))
        elif stretch:
            yield tuple(stretch)
            stretch = []
    if stretch:
        yield tuple(stretch)


def nearest(points: Points, x: float) -> tuple[float, float] | None:
    """The point that is nearest to `x`."""
    index = bisect_left(points, (x,))
    near = points[max(0, index - 1) : index + 1]
    return min(near, key=lambda point: abs(point[0] - x), default=None)


def walked(points: Points, x: float | None, by: int) -> float | None:
    """The place `by` points from the one at `x`, from the last where there is none yet; kept within the curve."""
    if not points:
        return None
    index = len(points) if x is None else min(bisect_left(points, (x,)), len(points) - 1)
    return points[max(0, min(index + by, len(points) - 1))][0]


def loss_text(value: float) -> str:
    """A loss with four decimals; with three significant digits where these would tell too little: 1.2e-05."""
    return f"{value:.4f}" if abs(value) >= 0.01 else f"{value:.3g}"


def reach(steps: float | None, last: float) -> float:
    """How far an axis goes for a curve that is at `last` of so many steps: all of them, or a half of it as often as it fits.

    So a curve fills its chart from the beginning on, and the chart is drawn to another scale only now and then.
    """
    whole = max(1.0, steps or 0.0, last)
    while whole / 2 >= max(last, 1.0):
        whole /= 2
    return whole


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most so many multiples of 1, 2 or 5 times a power of ten, from `low` to `high`."""
    if high <= low or most < 1:
        return []
    power = 10.0 ** floor(log10((high - low) / most))
    for step in (power, 2 * power, 5 * power, 10 * power):
        first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [n * step for n in range(first, last + 1)]
    return []


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Ticks of a logarithmic scale: 1, 2 and 5 times the powers of ten, or fewer of them where that is too many.

    In a range too narrow for two of these they are as on a linear scale.
    """
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [m * 10.0**p for p in powers for m in factors if low * 0.999 <= m * 10.0**p <= high * 1.001]
        if len(found) <= most:
            return found if len(found) > 1 else ticks(low, high, max(2, most)) or [low, high]
    return found[:: ceil(len(found) / max(1, most))]
