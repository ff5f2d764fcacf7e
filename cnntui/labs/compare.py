"""Comparing runs: what is looked at, and the moves from there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from pathlib import Path

from cnntui.labs.bands import ACCURACY, METRICS, Band, band_of
from cnntui.labs.comparison import Comparison, Group, Result
from cnntui.labs.curves import walked
from cnntui.runs.checkpoints import names
from cnntui.runs.reader import Points

CURVES, DIFFERENCES = range(2)
MOST_CURVES = 12  # groups that are drawn at once: more cannot be told apart
MOST_RUNS = 120  # whose logs are read for them


@dataclass(frozen=True)
class CompareState:
    """A comparison, and what a person looks at in it.

    `selected` is a group, `seed` the place of one of its runs, `left_out` groups without a curve, `cursor` an epoch, `pane`
    what is seen where there is room for one alone. `scales` are the metrics that are drawn on a logarithmic scale,
    accuracy as errors.
    """

    comparison: Comparison
    selected: int = 0
    seed: int = 0
    metric: int = ACCURACY
    scales: frozenset[int] = field(default=frozenset(range(len(METRICS))) - {ACCURACY})
    left_out: frozenset[int] = frozenset()
    cursor: float | None = None
    pane: int = CURVES
    best_first: bool = False

    # -- what is looked at

    @property
    def group(self) -> Group:
        """The selected one."""
        return self.comparison.groups[self.selected]

    @property
    def result(self) -> Result:
        """Its run that is looked at."""
        return self.group.results[min(self.seed, len(self.group.results) - 1)]

    @cached_property
    def order(self) -> list[int]:
        """The groups as the table lists them: as they were given, or the best mean first."""
        groups = self.comparison.groups
        if not self.best_first:
            return list(range(len(groups)))
        means = {i: group.summary.mean if group.summary else -inf for i, group in enumerate(groups)}
        return sorted(means, key=lambda i: -means[i])

    @property
    def logarithmic(self) -> bool:
        """Whether the curves are drawn on a logarithmic scale; accuracy is then drawn as errors."""
        return self.metric in self.scales

    @cached_property
    def drawn(self) -> list[int]:
        """The groups with a curve: the selected one and the baseline before all others, as many as can be told apart."""
        wanted = dict.fromkeys([self.selected, self.comparison.baseline, *self.order])
        chosen: list[int] = []
        runs = 0
        for i in (i for i in wanted if i not in self.left_out):
            runs += len(self.comparison.groups[i].results)
            if chosen and (runs > MOST_RUNS or len(chosen) == MOST_CURVES):
                break
            chosen.append(i)
        return sorted(chosen)

    @property
    def wanted(self) -> frozenset[Path]:
        """The runs whose logs must be read for what is shown."""
        groups = self.comparison.groups
        return frozenset(result.view.directory for i in {*self.drawn, self.selected} for result in groups[i].results)

    @cached_property
    def bands(self) -> dict[int, Band]:
        """The curves that are drawn, as they are drawn: errors in percent, accuracy too."""
        return {i: self._scaled(band_of(self.comparison.groups[i], self.metric)) for i in self.drawn}

    def _scaled(self, band: Band) -> Band:
        if self.metric != ACCURACY:
            return band
        if self.logarithmic:
            mean, low, high = (tuple((x, 100 * (1 - y)) for x, y in one) for one in (band.mean, band.high, band.low))
        else:
            mean, low, high = (tuple((x, 100 * y) for x, y in one) for one in (band.mean, band.low, band.high))
        return Band(mean, low, high, band.seeds)

    @property
    def epochs(self) -> float:
        """How far the curves are to go."""
        return float(max((self.comparison.groups[i].spec.epochs for i in self.drawn), default=1))

    @property
    def unready(self) -> str | None:
        """Why there is nothing to explore yet of the run that is looked at, and which key takes another; None: there is."""
        if is_explorable(self.result):
            return None
        at, results = self.group.results.index(self.result), self.group.results
        why = "waits for its turn" if self.result.standing == "waiting" else "is still starting"
        others = sorted((abs(i - at), i) for i, result in enumerate(results) if is_explorable(result))
        if not others:
            return f"seed {self.result.seed} {why}: there is nothing to explore in this row yet"
        steps, other = others[0]
        times = "" if steps == 1 else f" {steps} times"
        return f"seed {self.result.seed} {why}: {'→' if other > at else '←'}{times} takes seed {results[other].seed}"

    # -- moves

    def taking(self, comparison: Comparison) -> CompareState:
        """The same look at newer results; of a sweep that has grown, at the groups of the same names."""
        labels = [group.label for group in comparison.groups]
        if labels == [group.label for group in self.comparison.groups]:
            return replace(self, comparison=replace(comparison, baseline=self.comparison.baseline))
        names = {i: group.label for i, group in enumerate(self.comparison.groups)}
        there = {i: labels.index(label) for i, label in names.items() if label in labels}
        return replace(
            self,
            comparison=comparison,
            selected=there.get(self.selected, 0),
            left_out=frozenset(there[i] for i in self.left_out if i in there),
        )

    def select(self, by: int) -> CompareState:
        """Another group, so many lines below."""
        place = max(0, min(self.order.index(self.selected) + by, len(self.order) - 1))
        return self.select_group(self.order[place])

    def select_group(self, index: int) -> CompareState:
        """This group."""
        return replace(self, selected=index)

    def select_run(self, run: Path) -> CompareState:
        """The group of a run, and the run in it."""
        for index, group in enumerate(self.comparison.groups):
            for seed, result in enumerate(group.results):
                if result.view.directory == run:
                    return replace(self, selected=index, seed=seed)
        return self

    def next_seed(self, by: int) -> CompareState:
        """Another run of the group."""
        place = min(self.seed, len(self.group.results) - 1)
        return replace(self, seed=(place + by) % len(self.group.results))

    def as_baseline(self) -> CompareState:
        """What the others are compared with from now on."""
        return replace(self, comparison=replace(self.comparison, baseline=self.selected))

    def next_metric(self, by: int = 1) -> CompareState:
        """Another curve."""
        return replace(self, metric=(self.metric + by) % len(METRICS), cursor=None)

    def rescale(self) -> CompareState:
        """A logarithmic scale, or not."""
        return replace(self, scales=self.scales ^ {self.metric})

    def leave_out(self) -> CompareState:
        """No curve of this group, or one again."""
        return replace(self, left_out=self.left_out ^ {self.selected})

    def turn(self) -> CompareState:
        """The other pane, where there is room for one alone."""
        return replace(self, pane=DIFFERENCES if self.pane == CURVES else CURVES)

    def sort(self) -> CompareState:
        """The best first, or as they were given."""
        return replace(self, best_first=not self.best_first)

    def walk(self, by: int) -> CompareState:
        """The cursor by so many points of the selected curve, or of the first one that has any."""
        curves: list[Points] = [self.bands[i].mean for i in (self.selected, *self.drawn) if i in self.bands]
        return replace(self, cursor=walked(next(filter(None, curves), ()), self.cursor, by))

    def no_cursor(self) -> CompareState:
        """The values at the end."""
        return replace(self, cursor=None)


def is_explorable(result: Result) -> bool:
    """Whether a run has ended, or has saved or told weights."""
    return result.view.ended or result.view.weights is not None or bool(names(result.view.directory))
