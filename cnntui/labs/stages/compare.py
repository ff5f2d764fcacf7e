"""The Compare screen in words: a sweep of the lesson, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from cnntui.labs.bands import METRICS
from cnntui.labs.compare import CompareState
from cnntui.labs.comparison import Comparison, Group
from cnntui.labs.stages import Fact, Index, Stage, Words, WordsError, nearest
from cnntui.labs.stages.given import asked, named
from cnntui.labs.statistics import Difference

METRIC_WORDS = {name.replace(" ", "-"): number for number, name in enumerate(METRICS)}


@dataclass(frozen=True)
class Comparing:
    """What is compared, once it is read; until then only the words of moves are checked."""

    lab: CompareState | None = None

    def on_lab(self, make: Callable[[CompareState], CompareState]) -> Comparing:
        """After a move; the same while there is nothing."""
        return self if self.lab is None else Comparing(make(self.lab))


def _place(comparison: Comparison, label: str) -> int:
    """Which group is called so."""
    labels = [group.label for group in comparison.groups]
    if label not in labels:
        raise WordsError(f"no configuration is called {label!r}; {nearest(label, labels)}")
    return labels.index(label)


# -- moves


def _select(state: Comparing, label: str, *more: str) -> Comparing:
    name = " ".join((label, *more))
    return state.on_lab(lambda lab: lab.select_group(_place(lab.comparison, name)))


def _baseline(state: Comparing, label: str, *more: str) -> Comparing:
    name = " ".join((label, *more))

    def make(lab: CompareState) -> CompareState:
        return replace(lab, comparison=replace(lab.comparison, baseline=_place(lab.comparison, name)))

    return state.on_lab(make)


def _hide(state: Comparing, label: str, *more: str) -> Comparing:
    name = " ".join((label, *more))
    return state.on_lab(lambda lab: replace(lab, left_out=lab.left_out ^ {_place(lab.comparison, name)}))


def _metric(state: Comparing, name: str) -> Comparing:
    if name not in METRIC_WORDS:
        raise WordsError(f"no curve is called {name!r}; {nearest(name, METRIC_WORDS)}")
    return state.on_lab(lambda lab: lab.next_metric(METRIC_WORDS[name] - lab.metric))


MOVES = {
    "sweep": Words("NAME", "a sweep that the lesson has, with what is trained of it already", named),
    "go": Words("", "train what is not trained of it; waits until that is over", asked),
    "select": Words("CONFIGURATION", "a row", _select),
    "baseline": Words("CONFIGURATION", "what the others are compared with", _baseline),
    "hide": Words("CONFIGURATION", "no curve of it, or one again", _hide),
    "sort": Words("", "the best first, or as they were given", lambda s: s.on_lab(CompareState.sort)),
    "metric": Words("NAME", f"which curves: {', '.join(METRIC_WORDS)}", _metric),
    "scale": Words("", "a logarithmic scale, or not; accuracy as errors", lambda s: s.on_lab(CompareState.rescale)),
}


# -- facts


def _standing(*words: str) -> Callable[[CompareState], Fact]:
    return lambda lab: sum(result.standing in words for result in lab.comparison.results)


def is_over(comparison: Comparison) -> bool:
    """Whether every run was trained, or failed."""
    return all(result.standing in ("trained", "failed") for result in comparison.results)


def _by_mean(lab: CompareState) -> list[Group]:
    """The configurations with a mean, the best first; none before all is over."""
    groups = [group for group in lab.comparison.groups if group.summary is not None]
    over = is_over(lab.comparison)
    return sorted(groups, key=lambda group: -group.summary.mean if group.summary else 0.0) if over else []


def _best(lab: CompareState) -> Fact:
    return next((group.label for group in _by_mean(lab)), None)


def _worst(lab: CompareState) -> Fact:
    return next((group.label for group in reversed(_by_mean(lab))), None)


OF_LAB: dict[str, tuple[str, Callable[[CompareState], Fact]]] = {
    "name": ("the sweep", lambda lab: lab.comparison.title),
    "configurations": ("the configurations", lambda lab: len(lab.comparison.groups)),
    "seeds": ("the seeds", lambda lab: len(lab.comparison.seeds)),
    "runs": ("the runs", lambda lab: len(lab.comparison.results)),
    "trained": ("the trained runs", _standing("trained")),
    "failed": ("the failed runs", _standing("failed")),
    "going": ("the runs that go on", _standing("going")),
    "over": ("all runs are over", lambda lab: is_over(lab.comparison)),
    "best": ("the best configuration", _best),
    "worst": ("the worst configuration", _worst),
    "baseline": ("the baseline", lambda lab: lab.comparison.reference.label),
    "selected": ("the selected row", lambda lab: lab.group.label),
    "metric": ("the curves", lambda lab: METRICS[lab.metric].replace(" ", "-")),
    "sorted": ("the best first", lambda lab: lab.best_first),
    "drawn": ("the curves that are drawn", lambda lab: len(lab.drawn)),
}


def _speed(group: Group) -> Fact:
    """Over the whole training, the mean of the runs that were trained to their end."""
    told = [result.view.status for result in group.results if result.standing == "trained"]
    speeds = [status.images_per_second for status in told if status is not None and status.images_per_second]
    return sum(speeds) / len(speeds) if speeds else None


def _of_difference(part: Callable[[Difference], Fact]) -> Callable[[Comparison, Group], Fact]:
    def find(comparison: Comparison, group: Group) -> Fact:
        found = comparison.difference(group)
        return None if found is None else part(found)

    return find


OF_GROUP: dict[str, tuple[str, Callable[[Comparison, Group], Fact]]] = {
    "params": ("the parameters of", lambda _, group: group.params),
    "done": ("the trained runs of", lambda _, group: len(group.accuracies)),
    "mean": ("the mean accuracy of", lambda _, group: group.summary.mean if group.summary else None),
    "sd": ("the standard deviation of", lambda _, group: group.summary.sd if group.summary else None),
    "speed": ("the images per second of", lambda _, group: _speed(group)),
    "difference": ("the difference to the baseline of", _of_difference(lambda found: found.value)),
    "low": ("the low end of the interval of", _of_difference(lambda found: found.low)),
    "high": ("the high end of the interval of", _of_difference(lambda found: found.high)),
    "clear": ("a clear difference of", _of_difference(lambda found: found.is_clear)),
}
FACTS = {name: what for name, (what, _) in (*OF_LAB.items(), *OF_GROUP.items())}


def fact(state: Comparing, name: str, index: Index = ()) -> Fact:
    """A fact of the comparison; None while it is not known. Accuracies are from 0 to 1.

    Raises:
        WordsError: when there is no such fact, or no configuration of that name.
    """
    lab = state.lab
    if name in OF_LAB:
        if index:
            raise WordsError(f"{name} has no index: write {name} alone")
        return None if lab is None else OF_LAB[name][1](lab)
    if name not in OF_GROUP:
        raise WordsError(f"no fact of compare is called {name!r}; {nearest(name, FACTS)}")
    if len(index) != 1:
        label = lab.group.label if lab is not None else "LABEL"
        raise WordsError(f'{name} is of one configuration: write {name}["{label}"]')
    if lab is None:
        return None
    return OF_GROUP[name][1](lab.comparison, lab.comparison.groups[_place(lab.comparison, str(index[0]))])


STAGE = Stage(
    "compare",
    "one thing trained in several ways, each with several seeds, and what made a difference",
    Comparing,
    MOVES,
    FACTS,
    fact,
    controls={
        "go": ("go",),
        "open": ("open", "pick"),
        "explore": ("explore",),
        "watch": ("watch",),
        "baseline": ("baseline",),
        "metric": ("metric",),
        "scale": ("scale",),
        "hide": ("leave_out",),
        "sort": ("sort",),
        "walk": ("walk", "no_cursor"),
        "save": ("copy", "write"),
        "glyphs": ("glyphs",),
    },
    effects=frozenset({"sweep", "go"}),
)
