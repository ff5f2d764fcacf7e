"""A few results as a mean, a deviation, and how sure a difference is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """Of `n` values: their mean, and their sample standard deviation (over n − 1), None for a single one."""

    n: int
    mean: float
    sd: float | None


@dataclass(frozen=True)
class Difference:
    """Of two means, with the interval that holds the true one in 95 of 100 cases; None where it cannot be told."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether zero lies outside of the interval."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def summary(values: Sequence[float]) -> Summary | None:
    """Mean and deviation; None of nothing."""
    if not values:
        return None
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Summary(len(values), statistics.fmean(values), sd)


def difference(of: Sequence[float], to: Sequence[float], confidence: float = CONFIDENCE) -> Difference | None:
    """The mean of some values less that of others, with Welch's interval; None where there is none of either.

    The two are not taken in pairs: one seed starts two different nets with different weights. Source: Welch, The
    generalization of 'Student's' problem, Biometrika 34 (1947); the degrees of freedom are Satterthwaite's.
    """
    return between(summary(of), summary(to), confidence)


def between(ours: Summary | None, theirs: Summary | None, confidence: float = CONFIDENCE) -> Difference | None:
    """The same, of values that are summed up already."""
    if ours is None or theirs is None:
        return None
    value = ours.mean - theirs.mean
    if ours.sd is None or theirs.sd is None:
        return Difference(value)
    parts = ours.sd**2 / ours.n, theirs.sd**2 / theirs.n
    error = math.sqrt(sum(parts))
    if error == 0:  # all the same, as nets are that learned nothing: that says nothing of chance
        return Difference(value)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (ours.n - 1) + parts[1] ** 2 / (theirs.n - 1))
    # Only here: scipy takes longer to load than the rest of a table to make.
    from scipy.special import stdtrit

    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return Difference(value, value - half, value + half)
