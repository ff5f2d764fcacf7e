"""Following the runs that are compared: how they stand, and as much of their curves as is looked at."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from cnntui.labs.comparison import Comparison, Group, Result
from cnntui.labs.grouping import grouped
from cnntui.runs.files import stamp
from cnntui.runs.places import SWEEP
from cnntui.runs.reader import RunReader, RunView, UnreadableRunError
from cnntui.runs.sweeps.conductor import conducting
from cnntui.runs.sweeps.directory import Sweep, read_sweep
from cnntui.runs.sweeps.plan import SweepError

MOST_READ = 240  # runs whose curves are kept at once


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
