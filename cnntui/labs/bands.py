"""Curves over several seeds as one: their mean, and how far the seeds reach about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnntui.core.windows import Array
from cnntui.labs.comparison import Group
from cnntui.labs.curves import nearest, smoothed
from cnntui.runs.reader import Points, RunView

ACCURACY, TEST_LOSS, TRAIN_LOSS = range(3)
METRICS = ("test accuracy", "test loss", "train loss")
SMOOTHING = 0.9  # of the train loss, of which each point is a single batch
MOST_POINTS = 256
CLOSE = 1e-8  # of epochs: the same place


@dataclass(frozen=True)
class Band:
    """The mean of `seeds` curves and the least and the greatest of them, at the same places; nan where there is a gap."""

    mean: Points = ()
    low: Points = ()
    high: Points = ()
    seeds: int = 0

    def at(self, x: float | None) -> tuple[float, float, float] | None:
        """Mean, least and greatest at the place nearest to `x`, or at the end; None where there is nothing."""
        if not self.mean:
            return None
        near = nearest(self.mean, x) if x is not None else None
        place = self.mean.index(near) if near is not None else -1
        return self.mean[place][1], self.low[place][1], self.high[place][1]


def by_epoch(view: RunView, metric: int) -> Points:
    """A curve of a run over the epochs, which runs of different batch sizes share; accuracy from 0 to 1."""
    points = (view.test_accuracy, view.test_loss, view.train_loss)[metric]
    steps = view.data.steps if view.data else view.status.steps if view.status else None
    if not points or not steps:
        return ()
    each = view.spec.epochs / steps
    scaled = tuple((x * each, y) for x, y in points)
    return smoothed(scaled, SMOOTHING) if metric == TRAIN_LOSS else scaled


def counted(group: Group) -> list[RunView]:
    """The runs whose curves are drawn: those that the mean is of; before there are any, those that are going."""
    trained = [result.view for result in group.results if result.accuracy is not None]
    return trained or [result.view for result in group.results if not result.view.ended]


def banded(curves: Sequence[Points], most: int = MOST_POINTS) -> Band:
    """Curves at the places of all of them, or at `most` even ones; straight lines between the points of each.

    Where a curve has not begun, or has ended, the others are the band; where one is not finite, there is a gap.
    """
    curves = [curve for curve in curves if curve]
    if not curves:
        return Band()
    # Rounded: the same epoch of two runs is the same place, whatever the division has left of it.
    places = np.array(sorted({round(x, 9) for curve in curves for x, _ in curve}))
    if len(places) > most:
        places = np.linspace(places[0], places[-1], most)
    values = np.array([_values(curve, places) for curve in curves])
    there = np.array([_there(curve, places) for curve in curves])
    broken = (there & ~np.isfinite(values)).any(0) | ~there.any(0)
    count = np.maximum(1, there.sum(0))
    mean = np.where(there, np.nan_to_num(values), 0.0).sum(0) / count
    low, high = np.where(there, values, np.inf).min(0), np.where(there, values, -np.inf).max(0)
    mean, low, high = (np.where(broken, np.nan, line) for line in (mean, low, high))
    return Band(_points(places, mean), _points(places, low), _points(places, high), len(curves))


def _points(places: Array, values: Array) -> Points:
    return tuple(zip(places.tolist(), values.tolist(), strict=True))


def _values(curve: Points, places: Array) -> Array:
    """The curve at these places; at its own points just what it is there, though one beside it be not finite."""
    x, y = np.array(curve).T
    y = np.where(np.isfinite(y), y, np.nan)
    near = np.minimum(np.searchsorted(x, places - CLOSE), len(x) - 1)
    return np.where(np.abs(x[near] - places) <= CLOSE, y[near], np.interp(places, x, y))


def _there(curve: Points, places: Array) -> Array:
    return np.asarray((places >= curve[0][0] - CLOSE) & (places <= curve[-1][0] + CLOSE))


def band_of(group: Group, metric: int) -> Band:
    """The band of a group's seeds, by epoch."""
    return banded([by_epoch(view, metric) for view in counted(group)])
