"""`cnntui train` as one rank of a job of torchrun's or srun's: the first makes the run, or goes on with it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click
import msgspec

from cnntui.commands.common import fail

if TYPE_CHECKING:
    from cnntui.runs.job import Job
    from cnntui.runs.reader import RunReader
    from cnntui.runs.spec import Spec

SPEC_SECONDS = 120.0  # in which the first rank is to have made the run
SILENCE_SECONDS = 90.0  # in which an attempt before has ended, or is known to be gone
POLL_SECONDS = 0.2
T = TypeVar("T")
OF_ONE_START = ("run", "created")  # what another start of the same job has otherwise


def check(job: Job, ranks: int | None) -> None:
    """`--ranks` is what the job says, or not given."""
    if ranks is not None and ranks != job.size:
        fail(f"--ranks {ranks} contradicts {job.by}, which started {job.size} processes: leave it out")


def directory_of(job: Job, given: Path | None) -> Path:
    """The directory of the job's run: the same for all ranks, and when the job is requeued."""
    from cnntui.runs.places import runs_root

    if given is None and job.name is None:
        fail("torchrun gave this job no name that all ranks know: add --standalone or --rdzv-id, or --run-dir here")
    return given.absolute() if given else runs_root() / f"job-{job.name}"


def follow_as_rank(job: Job, directory: Path) -> NoReturn:
    """Become one of the other ranks, as soon as the first has made the run."""
    from cnntui.runs.spec import Spec, read_json

    spec = within(SPEC_SECONDS, lambda: read_json(directory / "spec.json", Spec))
    if spec is None:
        fail(
            f"rank {job.rank} of {job.size} waited {SPEC_SECONDS:.0f} s for {directory}: the first rank made no run, "
            "or this host does not see its directory"
        )
    if is_trained(directory):
        sys.exit(0)
    for name, stream in (("stdout.log", 1), ("stderr.log", 2)):
        os.dup2(os.open(directory / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), stream)
    os.environ |= environment_of(job)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "cnntui.training", str(directory)])  # noqa: S606


def train_as_first(job: Job, spec: Spec, directory: Path, with_maps: bool) -> int:
    """Make the run, or go on with it, and print it to its end. Ends 0 when trained, or when the time of the job is up."""
    from cnntui.commands.training import follow_plainly
    from cnntui.runs.job import PREEMPTION
    from cnntui.runs.launch import LaunchError, create
    from cnntui.runs.listing import name_of
    from cnntui.runs.spec import last_attempt, take_lock
    from cnntui.runs.supervisor import begin, ending, write_end

    try:
        if not (directory / "spec.json").exists():
            create(msgspec.structs.replace(spec, run=directory.name), directory)
        else:
            demand_the_same(directory, spec)
            if is_trained(directory):
                click.echo(f"{name_of(directory)} was trained to its end")
                return 0
            wait_until_it_is_gone(directory)
        attempt = last_attempt(directory) + 1
        take_lock(directory, attempt)
    except LaunchError as error:
        fail(error)
    except OSError as error:
        fail(f"{directory}: {error.strerror}")
    os.environ |= environment_of(job)
    trainer = begin(directory, attempt)
    told = False

    def forward(number: int, _frame: object) -> None:
        nonlocal told
        told = True
        trainer.send_signal(number)

    def wait() -> None:
        write_end(directory, ending(directory, attempt, trainer.wait()))

    for number in PREEMPTION:
        signal.signal(number, forward)
    waiting = threading.Thread(target=wait)
    waiting.start()
    status = follow_plainly(directory, with_maps=with_maps)
    waiting.join()
    return 0 if told and trainer.returncode == 0 else status


def environment_of(job: Job) -> dict[str, str]:
    """What a rank's trainer finds in its environment besides."""
    from cnntui.runs.launch import SPINS

    return {"GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", SPINS), **job.environment}


def is_trained(directory: Path) -> bool:
    """Whether a run has come to its end."""
    from cnntui.runs.reader import RunReader, UnreadableRunError

    try:
        return RunReader(directory).glance().trained
    except UnreadableRunError as error:
        fail(error)


def demand_the_same(directory: Path, spec: Spec) -> None:
    """The run of an earlier start of this job is to be the same training."""
    from cnntui.runs.spec import Spec, read_json

    earlier = read_json(directory / "spec.json", Spec)
    for name in Spec.__struct_fields__:
        before, now = getattr(earlier, name, None), getattr(spec, name)
        if before != now and name not in OF_ONE_START:
            fail(f"{directory} is of another training: its {name} is {before}, not {now}; give another --run-dir")


def wait_until_it_is_gone(directory: Path) -> None:
    """The trainer of an earlier start of this job has ended, or nothing is heard of it."""
    from cnntui.runs.reader import RunReader

    reader = RunReader(directory)
    if not within(SILENCE_SECONDS, lambda: gone(reader)):
        view = reader.glance()
        fail(f"{view.spec.run} is {view.label}, by process {view.status.pid if view.status else '?'}: let it end first")


def gone(reader: RunReader) -> bool:
    """Whether nobody trains the run."""
    view = reader.glance()
    return view.ended or view.alive == "stale"


def within(seconds: float, look: Callable[[], T]) -> T:
    """The first thing found that is true, or what was found last."""
    until = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return found
