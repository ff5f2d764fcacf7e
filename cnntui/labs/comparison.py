"""Runs side by side: those of a sweep, or any that a person picks; grouped where only the seed differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from cnntui.core.analysis import analyse
from cnntui.labs.statistics import Difference, Summary, difference, summary
from cnntui.labs.watching import difference as told_apart
from cnntui.runs.listing import last_test, name_of
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.spec import Settings, Spec
from cnntui.runs.sweeps.directory import Sweep, read_sweep
from cnntui.runs.sweeps.plan import PLACE

Setting = tuple[str, str, str]  # what it is, as in the baseline, as here


@dataclass(frozen=True)
class Result:
    """One run of a group. `accuracy` (0 to 1) is the last test's, and a result only of a run that came to its end."""

    seed: int
    view: RunView

    @property
    def accuracy(self) -> float | None:
        """Of a run that was trained to its end; None of all others."""
        if not self.view.trained:
            return None
        return self.so_far

    @property
    def so_far(self) -> float | None:
        """The last test's, wherever the run stands."""
        if self.view.test_accuracy:
            return self.view.test_accuracy[-1][1]
        if self.view.status is not None and self.view.status.test_accuracy is not None:
            return self.view.status.test_accuracy
        test = last_test(self.view.directory)
        return test.accuracy if test else None

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than at its last step: it counts in no mean."""
        return self.view.ended and not self.view.trained

    @property
    def why(self) -> str:
        """How a run that failed ended."""
        return f"{self.view.label}: {self.view.message or 'no reason given'}"


@dataclass(frozen=True)
class Group:
    """The runs of one configuration, that differ in their seed alone."""

    label: str
    params: int
    results: tuple[Result, ...]
    changes: dict[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> Spec:
        """What they train; the seed is the first one's."""
        return self.results[0].view.spec

    @property
    def accuracies(self) -> list[float]:
        """Of the runs that were trained to their end."""
        return [result.accuracy for result in self.results if result.accuracy is not None]

    @property
    def summary(self) -> Summary | None:
        """Their mean and deviation; failed runs are in neither."""
        return summary(self.accuracies)

    @property
    def failed(self) -> tuple[Result, ...]:
        """The runs that did not come to their end."""
        return tuple(result for result in self.results if result.failed)

    def count(self, *states: str) -> int:
        """How many of its runs are in one of these states."""
        return sum(result.view.state in states for result in self.results)


@dataclass(frozen=True)
class Comparison:
    """Groups, one of which the others are compared with. `variables` are what a sweep changes."""

    title: str
    groups: tuple[Group, ...]
    baseline: int = 0
    about: str = ""
    variables: tuple[str, ...] = ()
    crossed: bool = False
    base: dict[str, str] = field(default_factory=dict)  # of each variable, the baseline's value
    directory: Path | None = None  # of the sweep
    seeds: tuple[int, ...] = ()

    @property
    def reference(self) -> Group:
        """What the others are compared with."""
        return self.groups[self.baseline]

    def difference(self, group: Group) -> Difference | None:
        """Of a group's mean accuracy to the baseline's, with its interval; None of the baseline itself."""
        return None if group is self.reference else difference(group.accuracies, self.reference.accuracies)

    @property
    def results(self) -> list[Result]:
        """All runs."""
        return [result for group in self.groups for result in group.results]

    @property
    def failed(self) -> list[tuple[Group, Result]]:
        """The runs that did not come to their end, and whose they are."""
        return [(group, result) for group in self.groups for result in group.failed]

    @property
    def over(self) -> bool:
        """Whether every run has ended."""
        return all(result.view.ended for result in self.results)


class Comparing:
    """Follows the runs of a sweep, or some others. Not for two threads at once.

    Raises:
        UnreadableRunError: when one of the runs cannot be read.
        SweepError: when a directory holds no sweep.
    """

    def __init__(self, runs: Sequence[Path] = (), sweep: Path | None = None) -> None:
        self.directory = sweep
        self.sweep: Sweep | None = read_sweep(sweep) if sweep else None
        self.runs = self.sweep.directories(sweep) if self.sweep and sweep else list(runs)
        self._readers = {run: RunReader(run) for run in self.runs}
        self._views: dict[Path, RunView] = {}

    def glance(self) -> Comparison:
        """How the runs stand, from their small files: without curves."""
        return self._compared({run: reader.glance() for run, reader in self._readers.items()})

    def poll(self, seconds: float = 0.0) -> Comparison:
        """The same, with what is new in their logs; each is read for about so many seconds, and not after its end."""
        for run, reader in self._readers.items():
            if run not in self._views or not self._views[run].over:
                self._views[run] = reader.poll(seconds)
        return self._compared(self._views)

    @property
    def more(self) -> bool:
        """Whether the last poll left something unread."""
        return any(reader.more for reader in self._readers.values())

    def _compared(self, views: dict[Path, RunView]) -> Comparison:
        if self.sweep is None or self.directory is None:
            return grouped(list(views.values()))
        groups = tuple(
            Group(
                one.label,
                one.params,
                tuple(Result(views[self.directory / run].spec.seed, views[self.directory / run]) for run in one.runs),
                one.changes,
            )
            for one in self.sweep.configurations
        )
        return Comparison(
            self.sweep.name,
            groups,
            self.sweep.baseline,
            self.sweep.about,
            tuple(self.sweep.variables),
            self.sweep.crossed,
            self.sweep.base,
            self.directory,
            tuple(self.sweep.seeds),
        )


def grouped(views: Sequence[RunView]) -> Comparison:
    """Any runs, in the order in which they are given: those that differ in their seed alone are one group."""
    found: dict[str, list[RunView]] = {}
    for view in views:
        found.setdefault(_kind(view.spec), []).append(view)
    first = views[0].spec
    groups = []
    for members in found.values():
        spec = members[0].spec
        label = first.net if spec is first else told_apart(first, spec)
        results = tuple(Result(view.spec.seed, view) for view in members)
        groups.append(Group(label, analyse(spec.network).params, results))
    return Comparison(", ".join(name_of(view.directory) for view in views[:3]), tuple(groups))


def _kind(spec: Spec) -> str:
    """The same for specs that differ in nothing but the seed, and where they were run."""
    facts = {name: getattr(spec, name) for name in Settings.__struct_fields__ if name not in PLACE}
    return msgspec.json.encode([facts, spec.input, spec.layers, spec.blocks, spec.tables], order="sorted").decode()


def spec_differences(spec: Spec, other: Spec) -> list[Setting]:
    """What `other` has otherwise than `spec`: settings, and layers line by line; (name, in spec, in other)."""
    found: list[Setting] = []
    for name in Settings.__struct_fields__:
        ours, theirs = getattr(spec, name), getattr(other, name)
        if ours != theirs and name not in PLACE:
            found.append((name.replace("_", " "), _text(ours), _text(theirs)))
    if spec.input != other.input:
        found.append(("input", "×".join(map(str, spec.input)), "×".join(map(str, other.input))))
    return found


def _text(value: object) -> str:
    return (
        {True: "on", False: "off", None: "-"}.get(value, str(value)) if isinstance(value, bool | None) else str(value)
    )
