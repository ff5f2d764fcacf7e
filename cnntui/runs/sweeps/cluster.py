"""A sweep on a Slurm cluster, through submitit: one job array, each element of it a run.

Beside the runs, `slurm/` holds what submitit writes, its pickles and logs, and `jobs.json`: which job trains which run. So
jobs are found again when the login shell is long gone. Nothing in a run directory is ever unpickled.
"""

from __future__ import annotations

import importlib.util
import math
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from cnntui.runs.control import send
from cnntui.runs.files import write_atomic
from cnntui.runs.reader import RunReader, RunView, UnreadableRunError
from cnntui.runs.spec import read_json
from cnntui.runs.sweeps.directory import read_sweep
from cnntui.runs.sweeps.job import Work
from cnntui.runs.sweeps.plan import SweepError

FOLDER = "slurm"
JOBS = "jobs.json"
PARALLEL = "parallel"
MINUTES = 60  # of a job, where nothing is said
TIME_LIMITS = 100  # that a run may come to, and go on
ANSWER_SECONDS = 60.0
# What submitit takes beside Slurm's own, and what does not fit a run, which is one task on one node.
NOT_ASKED = (
    "additional_parameters",
    "array_parallelism",
    "num_gpus",
    "srun_args",
    "stderr_to_stdout",
    "teardown",
    "use_srun",
)
WHOLE = ("cpus_per_gpu", "cpus_per_task", "nodes", "ntasks_per_node", PARALLEL, "signal_delay_s")
FLAGS = ("exclusive",)


class Jobs(msgspec.Struct, frozen=True):
    """What is in `slurm/jobs.json`: the job of each run, by the name of its directory; where it had several, the last."""

    jobs: dict[str, str]


@dataclass(frozen=True)
class Submitted:
    """What `submit` did, by the names of run directories. `jobs`: the new ones; `queued`: Slurm's states of those before."""

    jobs: dict[str, str] = field(default_factory=dict)
    queued: dict[str, str] = field(default_factory=dict)
    going: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """In one line."""
        arrays = ", ".join(dict.fromkeys(job.partition("_")[0] for job in self.jobs.values()))
        words = [f"{len(self.jobs)} submitted as job {arrays}" if self.jobs else "nothing to submit"]
        counts = (len(self.queued), "queued already"), (len(self.going), "going"), (len(self.trained), "trained")
        return "; ".join(words + [f"{count} {what}" for count, what in counts if count])


@dataclass(frozen=True)
class Cancelled:
    """What `cancel` did, by the names of run directories: jobs taken out of the queue, and runs told to stop."""

    jobs: tuple[str, ...]
    stopped: tuple[str, ...]


# -- options


def parse_options(text: str) -> dict[str, str]:
    """`partition=gpu,gpus_per_node=1,time=8:00:00,parallel=4`, as on the command line: names are sbatch's.

    Raises:
        SweepError: in one line, when submitit is missing, or a name or a value is wrong.
    """
    options: dict[str, str] = {}
    last = ""
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        name = name.strip().replace("-", "_")
        if equals:
            last, options[name] = name, value.strip()
        elif name in FLAGS:
            last, options[name] = "", "true"
        elif last:  # a value with a comma in it: nodelist=a1,a2
            options[last] += f",{part.strip()}"
        elif name:
            raise SweepError(f"--slurm {part.strip()!r} is not understood: write partition=gpu,time=60,parallel=4")
    parameters_of(options)
    return options


def parameters_of(options: Mapping[str, str]) -> dict[str, Any]:
    """Options as submitit takes them.

    Raises:
        SweepError: in one line, when submitit is missing, or a name or a value is wrong.
    """
    if importlib.util.find_spec("submitit") is None:
        raise SweepError("a cluster needs submitit: pip install 'cnntui[cluster]'")
    from submitit import SlurmExecutor

    valid = (SlurmExecutor._valid_parameters() - set(NOT_ASKED)) | {PARALLEL}
    found: dict[str, Any] = {"time": MINUTES}
    for name, value in options.items():
        if name not in valid:
            raise SweepError(f"--slurm knows no {name!r}: it takes {', '.join(sorted(valid))}")
        if not value or not value.isprintable():
            raise SweepError(f"--slurm {name} has no value: write {name}=...")
        found[name] = _parameter(name, value)
    for name in ("nodes", "ntasks_per_node"):
        if found.get(name, 1) != 1:
            raise SweepError(
                f"--slurm {name}={found[name]}: a run is one task on one node; "
                "ranks = 4 in the sweep's [baseline] gives it four GPUs"
            )
    if (parallel := found.pop(PARALLEL, None)) is not None:
        found["array_parallelism"] = parallel
    return found


def _parameter(name: str, value: str) -> Any:
    if name == "time":
        return minutes_of(value)
    if name in FLAGS and value == "true":
        return True
    if name == "setup":
        return [value]
    if name not in WHOLE:
        return value
    if not re.fullmatch(r"[1-9]\d{0,8}", value):
        raise SweepError(f"--slurm {name}={value} is not a whole number from 1")
    return int(value)


def minutes_of(time: str) -> int:
    """A time as Slurm writes it, in minutes: `90`, `90:00`, `1:30:00`, `2-12`, `2-12:30`, `2-12:30:00`.

    Raises:
        SweepError: when it is none.
    """
    days, dash, rest = time.rpartition("-")
    parts = rest.split(":")
    if not all(part.isascii() and part.isdigit() for part in (*parts, *([days] if dash else []))) or len(parts) > 3:
        raise SweepError(f"--slurm time={time} is not a time of Slurm's: 90 (minutes), 1:30:00 or 2-12:00:00")
    numbers = [int(part) for part in parts]
    if dash:
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, (minutes, seconds) = 0, (*numbers, 0)[:2]
    whole = (int(days or 0) * 24 + hours) * 60 + minutes + math.ceil(seconds / 60)
    if not whole:
        raise SweepError(f"--slurm time={time} is no time at all")
    return whole


# -- the queue


def submit(directory: Path, options: Mapping[str, str], executor: Any = None) -> Submitted:
    """Have the cluster train what a sweep still lacks: what is neither trained, nor queued, nor going already.

    A run of several ranks asks for as many GPUs or CPUs on its node. `executor`: another one of submitit's.

    Raises:
        SweepError: in one line, when submitit or Slurm is missing, an option is wrong, or Slurm refuses.
    """
    sweep = read_sweep(directory)
    parameters = parameters_of(options)
    executor = executor or _slurm(directory)
    queue = queued(directory)
    going, trained = [], []
    missing: dict[int, list[Path]] = {}  # by ranks: the elements of an array ask for the same
    for run in sweep.directories(directory):
        view = _glance(run)
        if view.trained:
            trained.append(run.name)
        elif run.name in queue:
            continue
        elif is_going(view):
            going.append(run.name)
        else:
            missing.setdefault(view.spec.ranks, []).append(run)
    jobs: dict[str, str] = {}
    for ranks, runs in missing.items():
        asked = {"job_name": sweep.name, **parameters, **needs_of(ranks, parameters)}
        if "cpus_per_task" in asked:  # since Slurm 22.05 srun does not take it over from sbatch
            asked["srun_args"] = [f"--cpus-per-task={asked['cpus_per_task']}"]
        # requeue: of whose node failed, too, whatever the cluster's habit is.
        executor.update_parameters(**asked, additional_parameters={"requeue": True})
        jobs |= _submit(executor, runs)
        if executor.name() == "slurm":
            _remember(directory, jobs)
    return Submitted(jobs, queue, tuple(going), tuple(trained))


def _submit(executor: Any, runs: list[Path]) -> dict[str, str]:
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        executor.folder.mkdir(mode=0o700, exist_ok=True)
        with executor.batch():
            jobs = [executor.submit(Work(str(run))) for run in runs]
    except (FailedJobError, FailedSubmissionError) as error:
        raise SweepError(f"sbatch refuses: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise SweepError(f"{executor.folder}: {error.strerror}") from None
    return {run.name: job.job_id for run, job in zip(runs, jobs, strict=True)}


def _slurm(directory: Path) -> Any:
    for command in ("sbatch", "srun"):
        _command(command)
    from submitit import SlurmExecutor

    return SlurmExecutor(
        directory / FOLDER,
        max_num_timeout=TIME_LIMITS,
        # -P: a file called random.py where the user happens to be must not be taken for Python's own.
        python=f"{shlex.quote(sys.executable)} -P",
    )


def _command(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise SweepError(f"{name} is not on the PATH: run this on a login node of the cluster")
    return path


def needs_of(ranks: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What several ranks on one node ask for: a CPU each, and a GPU each where GPUs are asked for."""
    if ranks == 1:
        return {}
    needs: dict[str, Any] = {"cpus_per_task": max(ranks, parameters.get("cpus_per_task", 1))}
    for name in ("gpus_per_node", "gpus_per_task"):
        if name in parameters:
            kind, colon, _ = parameters[name].rpartition(":")  # a100:1
            needs[name] = f"{kind}{colon}{ranks}"
    return needs


def queued(directory: Path) -> dict[str, str]:
    """The runs of a sweep that are in the queue, or that jobs train, with Slurm's word for it: PENDING, RUNNING, ...

    What Slurm says nothing of is not among them: how it stands is what its directory says.

    Raises:
        SweepError: in one line, when Slurm does not answer.
    """
    jobs = _remembered(directory)
    if not jobs or shutil.which("squeue") is None:
        return {}
    arrays = ",".join(dict.fromkeys(job.partition("_")[0] for job in jobs.values()))
    answer = _ask("squeue", f"--jobs={arrays}", "--array", "--noheader", "--format=%i %T")
    states = dict(line.split(maxsplit=1) for line in answer.splitlines() if len(line.split()) == 2)
    return {run: states[job] for run, job in jobs.items() if job in states}


def cancel(directory: Path) -> Cancelled:
    """Take what waits out of the queue, and have what trains write a checkpoint and stop.

    Raises:
        SweepError: in one line, when Slurm does not answer.
    """
    jobs, queue = _remembered(directory), queued(directory)
    stopped = tuple(run for run in jobs if (directory / run).is_dir() and is_going(_glance(directory / run)))
    waiting = {run: jobs[run] for run in queue if run not in stopped}
    if waiting:
        _ask("scancel", *waiting.values())
    for run in stopped:
        try:
            send(directory / run, "stop")
        except OSError as error:
            raise SweepError(f"{directory / run}: {error.strerror}") from None
    return Cancelled(tuple(waiting), stopped)


def is_going(view: RunView) -> bool:
    """Whether somebody trains a run, as far as its directory tells."""
    return not view.ended and view.state != "waiting" and view.alive != "stale"


def _ask(*command: str) -> str:
    """What a command of Slurm's answers; nothing where it knows no such job any more."""
    try:
        done = subprocess.run(
            [_command(command[0]), *command[1:]], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise SweepError(f"{command[0]} does not answer within {ANSWER_SECONDS:.0f} s") from None
    except OSError as error:
        raise SweepError(f"{command[0]}: {error.strerror}") from None
    if done.returncode and "invalid job id" not in done.stderr.lower():
        raise SweepError(" ".join(done.stderr.split()) or f"{command[0]} ends with code {done.returncode}")
    return done.stdout


def _glance(run: Path) -> RunView:
    try:
        return RunReader(run).glance()
    except UnreadableRunError as error:
        raise SweepError(str(error)) from None


def _remembered(directory: Path) -> dict[str, str]:
    found = read_json(directory / FOLDER / JOBS, Jobs)
    return found.jobs if found else {}


def _remember(directory: Path, jobs: Mapping[str, str]) -> None:
    known = Jobs(_remembered(directory) | dict(jobs))
    write_atomic(directory / FOLDER / JOBS, msgspec.json.format(msgspec.json.encode(known)), sync=True)
