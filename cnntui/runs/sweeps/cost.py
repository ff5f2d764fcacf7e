"""What a sweep will cost on this machine, from a few measured steps of its configurations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cnntui.runs.spec import Spec
from cnntui.runs.sweeps.plan import Plan, SweepError
from cnntui.runs.sweeps.slots import (
    Machine,
    Slot,
    careful_need,
    default_slots,
    fitting,
    slot_for,
    this_machine,
    threads,
    wants_gpu,
)
from cnntui.runs.sweeps.timings import Timing, time_together, time_trainings
from cnntui.runs.sweeps.todo import Estimate, Job, costs_like, found, makespan, planned

MOST_MEASURED = 12
MOST_COMPILED = 3  # compiling takes a minute each
HANDOVER_SECONDS = 0.8  # between two runs in a slot: the end of a process, a look at it, a supervisor
CROWDED = 1.3  # times as long as alone: then half as many slots are measured too
PAYS = 1.15  # times as fast


@dataclass(frozen=True)
class Cost:
    """Of a sweep on `slots` slots: those that were asked for, else one a core, or on GPUs those that are done soonest.

    Never more than there are runs to do.

    By how many slots were at work at once, where that was measured: `speeds`, images/s of the baseline in all of them
    together, and `times`, seconds until all is trained. `start_seconds`, of each run: before its first step. `need`: bytes
    of a GPU for a run, None where none is used. `measured`: how many configurations were, of those that are to do.
    `problem`: why nothing was.
    """

    configurations: tuple[Estimate, ...]
    slots: int
    device: str = ""
    start_seconds: float = 0.0
    speeds: Mapping[int, float] = field(default_factory=dict)
    times: Mapping[int, float] = field(default_factory=dict)
    need: int | None = None
    measured: int = 0
    problem: str = ""

    @property
    def runs(self) -> int:
        """Of all configurations."""
        return sum(one.runs for one in self.configurations)

    @property
    def done(self) -> int:
        """Those that are trained."""
        return sum(one.done for one in self.configurations)

    @property
    def todo(self) -> int:
        """Those that are not."""
        return self.runs - self.done

    @property
    def params(self) -> tuple[int, int]:
        """Of the smallest net and of the largest."""
        params = [one.params for one in self.configurations]
        return min(params), max(params)

    @property
    def seconds(self) -> float:
        """Until all of it is trained."""
        return self.times.get(self.slots, 0.0)

    @property
    def alone(self) -> float:
        """Images/s of the baseline with one slot; 0 where nothing was measured."""
        return self.speeds.get(1, 0.0)

    @property
    def together(self) -> float:
        """Images/s of the baseline in all slots at once."""
        return self.speeds.get(self.slots, 0.0)

    @property
    def gain(self) -> float:
        """How many times as fast all slots learn together as one alone; 1 where nothing was measured."""
        return self.together / self.alone if self.alone and self.together else 1.0


@dataclass(frozen=True)
class _Pace:
    """So many slots at work: seconds until a first step, images/s of the baseline in all, and in one that has no company."""

    start_seconds: float
    speed: float
    own: float
    slots: int = 1

    @property
    def slower(self) -> float:
        """How many times as long what a slot does takes now; below 1 where one slot alone has more threads."""
        return self.own * self.slots / self.speed if self.speed else 1.0


def estimate(what: Plan | Path, slots: int | None = None) -> Cost:
    """What it takes to train what is not trained of a sweep: of a plan, or of its directory.

    Args:
        what: a plan, of which nothing is trained; or the directory of a sweep, whose runs say how far they are.
        slots: how many runs at once; None: one a core, or on GPUs as many as fit, or fewer where these are done sooner.

    Raises:
        SweepError: when there is no sweep.
    """
    rows, specs, jobs, baseline = planned(what) if isinstance(what, Plan) else found(what)
    if not jobs:
        return Cost(rows, slots or 1)
    machine = this_machine()
    every = sum(row.runs for row in rows)  # as a conductor reckons, however few are left
    count = min(slots or default_slots(specs[baseline].device, machine, every), len(jobs))
    try:
        where = what if isinstance(what, Path) else None
        return _measured(rows, specs, jobs, baseline, machine, count, chosen=slots is not None, where=where)
    except SweepError as error:  # it can be trained all the same: the first run downloads the data, for one
        return Cost(rows, count, problem=str(error))


def _measured(
    rows: tuple[Estimate, ...],
    specs: Sequence[Spec],
    jobs: Sequence[Job],
    baseline: int,
    machine: Machine,
    count: int,
    *,
    chosen: bool,
    where: Path | None,
) -> Cost:
    """The cost, with so many slots; on GPUs, unless they were chosen, with fewer where no more fit or that takes less time.

    Raises:
        SweepError: why nothing can be measured.
    """
    todo = sorted({job.configuration for job in jobs})
    alike = {index: costs_like(spec) for index, spec in enumerate(specs)}
    picked = _chosen(todo, rows, specs, alike, baseline)
    device = specs[baseline].device
    gpu = wants_gpu(device, machine)
    first = slot_for(device, 0, count, machine) or Slot()
    whole = threads(machine.cores, 1)  # what one slot alone has
    others = 0 if gpu or whole == threads(machine.cores, count) else whole
    timings = time_trainings([specs[index] for index in picked], first.environment, others, where)
    timing = dict(zip(picked, timings.timings, strict=True))
    need = max(one.memory for one in timing.values()) if gpu else None
    if need and not chosen:
        count = max(1, min(count, sum(fitting(card.free, need) for card in machine.gpus)))

    rows, once, epoch = _filled_in(rows, specs, alike, timing)
    own = timing[baseline].images_per_second
    paces = {1: _Pace(timings.start_seconds, timings.alone or own, own)}
    if not own:  # the baseline cannot be trained: so the others are taken to be as fast as alone
        paces = {count: _Pace(timings.start_seconds, 0.0, 0.0, count)}
    elif count > 1:
        paces[count] = _together(specs[baseline], count, machine, need, where, own)
        if paces[count].slower > CROWDED and count > 3:
            paces[count // 2] = _together(specs[baseline], count // 2, machine, need, where, own)

    def seconds(job: Job, pace: _Pace) -> float:
        at = job.configuration
        begin = 0.0 if job.going else pace.start_seconds + HANDOVER_SECONDS
        if rows[at].problem:
            return begin
        return begin + pace.slower * (once[at] + job.left * specs[at].epochs * epoch[at])

    times = {
        slots: makespan(((seconds(job, pace), specs[job.configuration].ranks) for job in jobs), slots)
        for slots, pace in sorted(paces.items())
    }
    if (
        gpu and not chosen
    ):  # on a CPU the numbers that come out follow from the slots: they are to be the same each time
        count = min(times, key=times.__getitem__)
    pace = paces[count]
    return Cost(
        tuple(
            replace(
                row,
                seconds=seconds(Job(index), pace),
                seconds_left=sum(seconds(job, pace) for job in jobs if job.configuration == index),
            )
            for index, row in enumerate(rows)
        ),
        count,
        timings.device,
        start_seconds=pace.start_seconds,
        speeds={slots: pace.speed for slots, pace in sorted(paces.items())},
        times=times,
        need=need,
        measured=sum(rows[index].measured for index in todo),
    )


def _chosen(
    todo: Sequence[int],
    rows: Sequence[Estimate],
    specs: Sequence[Spec],
    alike: Mapping[int, tuple[object, ...]],
    baseline: int,
) -> list[int]:
    """Which configurations to measure: the baseline first; of many those with least and most MACs, and some between.

    Of each data set at least one.
    """
    different = {alike[index]: index for index in reversed([baseline, *todo])}
    by_work = sorted(different.values(), key=lambda index: rows[index].macs)
    most = MOST_COMPILED if any(specs[index].compile for index in by_work) else MOST_MEASURED
    if len(by_work) > most:
        spread = {by_work[round(place)] for place in np.linspace(0, len(by_work) - 1, most)}
        sets = {(specs[index].data, specs[index].data_dir): index for index in by_work}
        by_work = [index for index in by_work if index in spread | set(sets.values())]
    return [baseline, *(index for index in by_work if index != baseline)]


def _together(spec: Spec, slots: int, machine: Machine, need: int | None, where: Path | None, own: float) -> _Pace:
    """So many trainings of the baseline at once."""
    environments = [slot.environment for slot in _places(spec, slots, machine, need)]
    answers = time_together(spec, environments, where)
    if problem := next((answer.timings[0].problem for answer in answers if answer.timings[0].problem), ""):
        raise SweepError(f"{slots} slots: {problem}: take fewer")
    start = sum(answer.start_seconds for answer in answers) / slots
    return _Pace(start, sum(answer.timings[0].images_per_second for answer in answers), own, slots)


def _places(spec: Spec, count: int, machine: Machine, need: int | None) -> Iterator[Slot]:
    """Where so many runs would be, begun one after the other."""
    each = need or careful_need(spec)
    taken: dict[str, int] = {}
    for _ in range(count):
        promised = {place: each * runs for place, runs in taken.items()}
        slot = slot_for(spec.device, each, count, machine, taken, promised)
        if slot is None:
            raise SweepError(f"{count} slots do not fit into the free memory of the GPUs: {sum(taken.values())} do")
        taken[slot.place] = taken.get(slot.place, 0) + 1
        yield slot


def _filled_in(
    rows: Sequence[Estimate],
    specs: Sequence[Spec],
    alike: Mapping[int, tuple[object, ...]],
    timing: Mapping[int, Timing],
) -> tuple[tuple[Estimate, ...], list[float], list[float]]:
    """The configurations with what was measured; the seconds of each once in a run, and in an epoch.

    One that was not measured is as one that costs the same, or lies by its MACs between those of the same data.
    """
    same = {alike[index]: one for index, one in timing.items()}
    good = {index: one for index, one in timing.items() if not one.problem}
    if not good:
        raise SweepError(next(iter(timing.values())).problem)
    filled, fixed, each = [], [], []
    for index, row in enumerate(rows):
        known = same.get(alike[index])
        if known is not None:
            filled.append(replace(row, measured=True, memory=known.memory, problem=known.problem))
            fixed.append(known.once_seconds)
            each.append(known.epoch_seconds)
            continue
        near = [other for other in good if specs[other].data == specs[index].data] or list(good)
        near.sort(key=lambda other: rows[other].macs)
        macs = [rows[other].macs for other in near]
        filled.append(replace(row, memory=max(good[other].memory for other in near)))
        fixed.append(float(np.interp(row.macs, macs, [good[other].once_seconds for other in near])))
        each.append(float(np.interp(row.macs, macs, [good[other].epoch_seconds for other in near])))
    return tuple(filled), fixed, each
