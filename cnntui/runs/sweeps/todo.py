"""What there is to do in a sweep: its configurations, and the runs that are not trained yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cnntui.core.analysis import analyse
from cnntui.runs.reader import RunReader, UnreadableRunError
from cnntui.runs.spec import Settings, Spec, new_spec
from cnntui.runs.sweeps.directory import read_sweep
from cnntui.runs.sweeps.plan import PLACE, Plan, SweepError

NO_MATTER = (
    "epochs",
    "lr",
    "schedule",
    "weight_decay",
    "label_smoothing",
    "weights_from",
    "new_head",
    "backbone_lr",
    *PLACE,
)  # to a step's seconds


@dataclass(frozen=True)
class Estimate:
    """A configuration: `seconds` of one whole run of it in its slot, `seconds_left` of all its runs, one after the other.

    `macs` of one picture. `measured`: itself, or one that takes as long; otherwise by its MACs. `memory` as Timing's.
    """

    label: str
    params: int
    macs: int
    runs: int
    done: int
    seconds: float = 0.0
    seconds_left: float = 0.0
    measured: bool = False
    memory: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Job:
    """A run that is to do: of which configuration, what share of it is left, whether it is going already."""

    configuration: int
    left: float = 1.0
    going: bool = False


def planned(plan: Plan) -> tuple[tuple[Estimate, ...], list[Spec], list[Job], int]:
    """The configurations of a plan, what each trains, all its runs in their order, and which is the baseline."""
    rows = tuple(
        Estimate(one.label, one.params, analyse(one.network).macs, len(plan.seeds), 0) for one in plan.configurations
    )
    specs = [new_spec(one.network, one.settings) for one in plan.configurations]
    jobs = [Job(index) for _ in plan.seeds for index in range(len(rows))]
    return rows, specs, jobs, plan.baseline


def found(directory: Path) -> tuple[tuple[Estimate, ...], list[Spec], list[Job], int]:
    """The same of a sweep's directory, with what its runs say.

    A configuration without any readable run is none: nobody can train it.

    Raises:
        SweepError: when there is no sweep, or nothing in it can be read.
    """
    sweep = read_sweep(directory)
    rows: list[Estimate] = []
    specs: list[Spec] = []
    jobs: list[tuple[int, int, Job]] = []
    baseline = 0
    for number, one in enumerate(sweep.configurations):
        views = []
        for turn, run in enumerate(one.runs):
            try:
                views.append((turn, RunReader(directory / run).glance()))
            except UnreadableRunError:
                continue
        if not views:
            continue
        if number == sweep.baseline:
            baseline = len(rows)
        for turn, view in views:
            if not view.trained:
                going = not view.ended and view.state != "waiting"
                jobs.append((turn, len(rows), Job(len(rows), 1 - view.progress, going)))
        spec = views[0][1].spec
        done = sum(view.trained for _, view in views)
        rows.append(Estimate(one.label, one.params, analyse(spec.network).macs, len(one.runs), done))
        specs.append(spec)
    if not rows:
        raise SweepError(f"{directory} holds no run that can be read")
    ordered = [job for _, _, job in sorted(jobs, key=lambda place: (not place[2].going, *place[:2]))]
    return tuple(rows), specs, ordered, baseline


def costs_like(spec: Spec) -> tuple[object, ...]:
    """The same for specs of which a step takes as long."""
    settings = (getattr(spec, name) for name in Settings.__struct_fields__ if name not in NO_MATTER)
    return (*settings, spec.data_dir, spec.input, *spec.layers, str(spec.blocks), str(spec.tables))


def makespan(jobs: Iterable[tuple[float, int]], slots: int) -> float:
    """Until all jobs are done: seconds, and how many slots each takes; begun in their order, as soon as these are free."""
    free = [0.0] * max(1, slots)
    for seconds, width in jobs:
        width = max(1, min(width, len(free)))
        end = sorted(free)[width - 1] + seconds
        free = [*sorted(free)[width:], *[end] * width]
    return max(free)
