"""Runs side by side: those of a sweep, or any that a person picks; grouped where only the seed differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Literal

import msgspec

from cnntui.core.analysis import analyse
from cnntui.core.layers import shape_text
from cnntui.core.notation import network_text
from cnntui.labs.statistics import Difference, Summary, between, summary
from cnntui.runs.files import stamp
from cnntui.runs.listing import last_test, name_of
from cnntui.runs.places import SWEEP
from cnntui.runs.reader import RunReader, RunView, UnreadableRunError
from cnntui.runs.spec import Settings, Spec
from cnntui.runs.sweeps.conductor import Conducting, conducting
from cnntui.runs.sweeps.directory import Sweep, read_sweep
from cnntui.runs.sweeps.plan import NET, PLACE, SweepError, label_of, name_value

Setting = tuple[str, str, str]  # what it is, as in the baseline, as here
NETS = (NET, "input", "layers")  # of what two trainings may differ in, those that are not settings
MOST_READ = 240  # runs whose curves are kept at once


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


class Comparing:
    """Follows the runs of a sweep, or some others. Not for two threads at once.

    A sweep may grow, and lose runs: it is read anew when its file was written anew; what cannot be read is `missing`.

    Raises:
        UnreadableRunError: when one of the others cannot be read.
        SweepError: when a directory holds no sweep, or none of its runs is there.
    """

    def __init__(self, runs: Sequence[Path] = (), sweep: Path | None = None) -> None:
        self.directory = sweep
        self.sweep: Sweep | None = None
        self.runs = list({run.resolve(): run for run in runs}.values())  # each counts once
        self._readers = {run: RunReader(run) for run in self.runs}
        self._views: dict[Path, RunView] = {}
        self._stamps: dict[Path, int] = {}
        self._read: dict[
            Path, int
        ] = {}  # those whose logs were read, the one wanted longest ago first; and their stamps
        self._last: Comparison | None = None
        self._written = 0
        if sweep is not None:
            self._take_sweep(sweep)

    def glance(self) -> Comparison:
        """How the runs stand, from their small files: with no more of their curves than was read before."""
        return self.poll(runs=())

    def poll(self, seconds: float = 0.0, runs: Collection[Path] | None = None) -> Comparison:
        """The same, with what is new in the logs of `runs`, or of all; each is read for about so many seconds.

        A run that waits, or is over, is looked at again once something in its directory was written anew.

        Raises:
            SweepError: when the sweep is not there any more.
        """
        if self.directory is not None and stamp(self.directory / SWEEP) != self._written:
            self._take_sweep(self.directory)
        for run in self._readers:
            # Once read, a log is read on: an older accuracy is not to be taken for the last one.
            if runs is None or run in runs or run in self._read:
                self._poll(run, seconds)
            else:
                self._glance(run)
        if runs is not None:
            self._forget(runs)
        last = self._last or self._first()
        conductor = conducting(self.directory) if self.directory else None
        self._last = replace(last, groups=tuple(map(self._present, last.groups)), conductor=conductor)
        return self._last

    @property
    def more(self) -> bool:
        """Whether the last poll left something unread."""
        return any(self._readers[run].more for run in self._read if run in self._readers)

    def _take_sweep(self, directory: Path) -> None:
        self._written = stamp(directory / SWEEP)
        self.sweep = read_sweep(directory)
        self.runs = self.sweep.directories(directory)
        readers = {run: self._readers.get(run) or _reader(run) for run in self.runs}
        self._readers = {run: reader for run, reader in readers.items() if reader is not None}
        self._read = {run: stamp for run, stamp in self._read.items() if run in self._readers}
        self._last = None
        if not self._readers:
            raise SweepError(f"none of the {len(self.runs)} runs of {directory} is there any more: run the sweep again")

    def _glance(self, run: Path) -> None:
        before, now = self._views.get(run), stamp(run)
        if before is None or now != self._stamps[run] or not (before.over or before.state == "waiting"):
            self._stamps[run] = now
            self._views[run] = self._readers[run].glance()

    def _poll(self, run: Path, seconds: float) -> None:
        reader, now = self._readers[run], stamp(run)
        is_read = run in self._read and now == self._read[run] and self._views[run].over and not reader.more
        if not is_read:
            self._read[run] = self._stamps[run] = now
            self._views[run] = reader.poll(seconds)

    def _forget(self, wanted: Collection[Path]) -> None:
        """Keep no more curves than can be: not those that were wanted the longest time ago."""
        unwanted = [run for run in self._read if run not in wanted]
        self._read = {run: self._read[run] for run in (*unwanted, *(run for run in self._read if run in wanted))}
        for run in unwanted[: max(0, len(self._read) - MOST_READ)]:
            del self._read[run]
            if (reader := _reader(run)) is not None:
                self._readers[run] = reader
                self._views[run] = reader.glance()

    def _first(self) -> Comparison:
        """The groups as they are formed once: what a run is to train never changes."""
        if self.sweep is None or self.directory is None:
            return grouped([self._views[run] for run in self.runs])
        sweep, baseline = self.sweep, 0
        groups: list[Group] = []
        missing: list[tuple[str, str]] = []
        for place, one in enumerate(sweep.configurations):
            there = [self._views[self.directory / run] for run in one.runs if self.directory / run in self._readers]
            missing += [(one.label, run) for run in one.runs if self.directory / run not in self._readers]
            if there:
                baseline = len(groups) if place == sweep.baseline else baseline
                results = tuple(Result(view.spec.seed, view) for view in there)
                groups.append(Group(one.label, one.params, results, one.changes))
        return Comparison(
            sweep.name,
            tuple(groups),
            baseline,
            sweep.about,
            tuple(sweep.variables),
            sweep.crossed,
            sweep.base,
            self.directory,
            tuple(sweep.seeds),
            tuple(missing),
        )

    def _present(self, group: Group) -> Group:
        """As its runs stand now; the very same group where nothing is new."""
        results = tuple(map(self._result, group.results))
        same = all(new is old for new, old in zip(results, group.results, strict=True))
        return group if same else replace(group, results=results)

    def _result(self, before: Result) -> Result:
        view = self._views[before.view.directory]
        found = before if before.view is view else Result(before.seed, view)
        _ = found.so_far  # perhaps from a log: read here, and not by the screen that shows it
        return found


def _reader(run: Path) -> RunReader | None:
    try:
        return RunReader(run)
    except UnreadableRunError:
        return None


def grouped(views: Sequence[RunView]) -> Comparison:
    """Any runs, in the order in which they are given: those that differ in their seed alone are one group.

    What varies among the groups are the variables: each group is called by its values, the first one, the baseline, too.
    """
    found: dict[str, list[RunView]] = {}
    for view in views:
        found.setdefault(_kind(view.spec), []).append(view)
    specs = [members[0].spec for members in found.values()]
    values = [_values(spec) for spec in specs]
    varied = [name for name in values[0] if len({one[name] for one in values}) > 1]
    if len({one[NET] for one in values}) == len({tuple(one[name] for name in NETS) for one in values}):
        varied = [name for name in varied if name == NET or name not in NETS]  # its name says the rest
    told = [name for name in varied if name == NET or name not in NETS]
    labels = [", ".join(name_value(name, _called(name, one[name])) for name in told) or one[NET] for one in values]
    counts = Counter(labels)
    base = {name: values[0][name] for name in varied}
    groups = tuple(
        Group(
            f"{label} ({spec.run[-6:]})" if counts[label] > 1 else label,
            analyse(spec.network).params,
            tuple(Result(view.spec.seed, view) for view in members),
            {name: one[name] for name in varied if one[name] != base[name]},
        )
        for label, spec, one, members in zip(labels, specs, values, found.values(), strict=True)
    )
    names = [name_of(view.directory) for view in views]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    crossed = len(groups) == prod(len({one[name] for one in values}) for name in varied)
    return Comparison(", ".join(names[:3]) + more, groups, 0, "", tuple(varied), crossed, base)


def _values(spec: Spec) -> dict[str, str]:
    """All that makes another training: the net, its layers and input, the settings; as words."""
    facts = spec.net, shape_text(spec.input), "; ".join(network_text(spec.network))
    values = dict(zip(NETS, facts, strict=True))
    for name in Settings.__struct_fields__:
        if name not in PLACE:
            value = getattr(spec, name)
            values[name] = _text(value) if value is None else label_of(value)
    return values


def _called(name: str, value: str) -> str:
    """A value as it stands in a name: of a path its last part."""
    return Path(value).name if name in ("data", "weights_from") else value


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
