"""A job: several processes that torchrun or Slurm's srun started, of which this one is a rank."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

PREEMPTION = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)  # of a scheduler: time is up
FIRST_PORT, PORTS = 20_000, 12_000  # below those that systems give away by themselves


@dataclass(frozen=True)
class Job:
    """This process is `rank` of `size`; `environment` is by what torch knows them. `name` stays when it is requeued.

    `name` is None where whoever started it, `by`, gave it none.
    """

    rank: int
    size: int
    by: str
    name: str | None
    environment: dict[str, str]


def present_job(environ: Mapping[str, str] = os.environ) -> Job | None:
    """The job that this process is a rank of; None where it is alone, or only in the batch script of one."""
    slurm = environ.get("SLURM_JOB_ID")
    if all(environ.get(name, "").isdecimal() for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")):
        size, given = int(environ["WORLD_SIZE"]), environ.get("TORCHELASTIC_RUN_ID", "none")
        name = slurm or (given if given != "none" else None)
        torch = {"RANK": environ["RANK"], "LOCAL_RANK": environ.get("LOCAL_RANK", "0")}
        return Job(int(environ["RANK"]), size, "torchrun", name and safe(name), torch) if size > 1 else None
    # srun alone names the step: sbatch and salloc give their own shell a rank and a number of tasks, too.
    step = environ.get("SLURM_STEP_ID")
    tasks, rank = environ.get("SLURM_STEP_NUM_TASKS", environ.get("SLURM_NTASKS", "")), environ.get("SLURM_PROCID", "")
    if slurm is None or step is None or not (tasks.isdecimal() and rank.isdecimal() and int(tasks) > 1):
        return None
    digits = int(re.sub(r"\D", "", slurm) or 0) * 7 + int(re.sub(r"\D", "", step) or 0)
    torch = {
        "RANK": rank,
        "WORLD_SIZE": tasks,
        "LOCAL_RANK": environ.get("SLURM_LOCALID", "0"),
        "MASTER_ADDR": environ.get("MASTER_ADDR") or first_host(environ.get("SLURM_STEP_NODELIST", "")),
        "MASTER_PORT": environ.get("MASTER_PORT") or str(FIRST_PORT + digits % PORTS),
    }
    return Job(int(rank), int(tasks), "srun", safe(f"{slurm}.{step}"), torch)


def safe(name: str) -> str:
    """A name that can be a directory's."""
    return re.sub(r"[^\w.-]", "-", name).strip(".-")[:80] or "job"


def first_host(nodes: str) -> str:
    """The first of Slurm's list of nodes, `node[01-04,7],gpu1`; this one where there is no list."""
    if not nodes:
        return "127.0.0.1"
    if scontrol := shutil.which("scontrol"):
        done = subprocess.run([scontrol, "show", "hostnames", nodes], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.split()[0]
    match = re.match(r"([^\[,]+)(?:\[([^\],-]+))?", nodes)
    return f"{match[1]}{match[2] or ''}" if match else nodes
