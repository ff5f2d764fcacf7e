"""Runs side by side: those of a sweep, or any that a person picks; grouped where only the seed differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from cnntui.labs.statistics import Difference, Summary, between, summary
from cnntui.runs.listing import last_test
from cnntui.runs.reader import RunView
from cnntui.runs.spec import Spec
from cnntui.runs.sweeps.conductor import Conducting

Standing = Literal["trained", "failed", "stopped", "going", "waiting"]


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

    @cached_property
    def so_far(self) -> float | None:
        """The last test's, wherever the run stands. A log that is not read to its end may have come to earlier ones only."""
        if self.view.test_accuracy and self.view.read == 1:
            return self.view.test_accuracy[-1][1]
        if self.view.status is not None and self.view.status.test_accuracy is not None:
            return self.view.status.test_accuracy
        test = last_test(self.view.directory)
        return test.accuracy if test else None

    @property
    def standing(self) -> Standing:
        """How it stands, in a word. What a person stopped has not failed: it goes on; what stopped itself gives a reason."""
        view = self.view
        if view.trained:
            return "trained"
        if view.ended:
            return "stopped" if view.label == "stopped" and not view.message.endswith(")") else "failed"
        return "waiting" if view.state == "waiting" else "going"

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than at its last step, and not because somebody stopped it: it counts in no mean."""
        return self.standing == "failed"

    @property
    def why(self) -> str:
        """How a run that failed ended."""
        label, message = self.view.label, self.view.message or "no reason given"
        if label == "stopped" and message.endswith(")"):
            return message.partition("(")[2].partition(": paused")[0].rstrip(")")
        return message if message.startswith(label) else f"{label}: {message}"


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

    @cached_property
    def data(self) -> str:
        """What they are trained on: the set that `auto` came to, once that is known."""
        known = (result.view.status.data for result in self.results if result.view.status and result.view.status.data)
        return next(known, self.spec.data)

    @cached_property
    def accuracies(self) -> list[float]:
        """Of the runs that were trained to their end."""
        return [result.accuracy for result in self.results if result.accuracy is not None]

    @cached_property
    def summary(self) -> Summary | None:
        """Their mean and deviation; failed runs are in neither."""
        return summary(self.accuracies)

    @property
    def failed(self) -> tuple[Result, ...]:
        """The runs that did not come to their end."""
        return tuple(result for result in self.results if result.failed)


@dataclass(frozen=True)
class Comparison:
    """Groups, one of which the others are compared with. `variables` are what a sweep changes.

    `missing` are runs of a sweep that cannot be read any more: their groups' labels, their names. `conductor` is who gives
    the runs of the sweep their turns, or did; None where nobody has yet.
    """

    title: str
    groups: tuple[Group, ...]
    baseline: int = 0
    about: str = ""
    variables: tuple[str, ...] = ()
    crossed: bool = False
    base: dict[str, str] = field(default_factory=dict)  # of each variable, the baseline's value
    directory: Path | None = None  # of the sweep
    seeds: tuple[int, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    conductor: Conducting | None = None

    @property
    def reference(self) -> Group:
        """What the others are compared with."""
        return self.groups[self.baseline]

    def difference(self, group: Group) -> Difference | None:
        """Of a group's mean accuracy to the baseline's, with its interval; None of the baseline, and on other data."""
        if group is self.reference or group.data != self.reference.data:
            return None
        return between(group.summary, self.reference.summary)

    @cached_property
    def has_findings(self) -> bool:
        """Whether any difference is clear."""
        return any((found := self.difference(group)) is not None and found.is_clear for group in self.groups)

    @property
    def results(self) -> list[Result]:
        """All runs."""
        return [result for group in self.groups for result in group.results]

    @property
    def failed(self) -> list[tuple[Group, Result]]:
        """The runs that did not come to their end, and whose they are."""
        return [(group, result) for group in self.groups for result in group.failed]

    @property
    def data(self) -> tuple[str, ...]:
        """The data sets that are trained on: only accuracies on the same one can be compared."""
        return tuple(dict.fromkeys(group.data for group in self.groups))

    @property
    def is_conducted(self) -> bool:
        """Whether somebody gives its runs their turns."""
        return self.conductor is not None and self.conductor.alive

    @property
    def can_go_on(self) -> bool:
        """Whether it is a sweep with runs that are not trained, and nobody at them."""
        return self.directory is not None and not self.is_conducted and not all(r.view.trained for r in self.results)

    @property
    def over(self) -> bool:
        """Whether every run has ended, and nobody will have one go on."""
        return all(result.view.ended for result in self.results) and not self.is_conducted


def standings(results: Sequence[Result]) -> dict[Standing, int]:
    """How many stand how, without those that are trained; none that is 0."""
    counts = Counter(result.standing for result in results)
    words: tuple[Standing, ...] = ("failed", "going", "stopped", "waiting")
    return {word: counts[word] for word in words if counts[word]}
