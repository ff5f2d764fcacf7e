"""A stand-in for Slurm: `sbatch`, `srun`, `squeue`, `scancel` and `scontrol` for a PATH, as far as job arrays use them.

`sbatch` really runs the elements of an array, so many at once as `%limit` says, with the variables that Slurm sets; what is
requeued runs again under its id. As with Slurm's usual cgroups, a signal reaches the task that `srun` started, not its
children. All that is known stands in files of a spool, which tests read: `ID.state`, `ID.pid` of the task, `ID.sh`, `calls`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol")


class Slurm:
    """What tests see of it. `bin` belongs on the PATH."""

    def __init__(self, home: Path) -> None:
        self.bin, self.spool = home / "bin", home / "spool"
        for directory in (self.bin, self.spool):
            directory.mkdir(parents=True)
        for command in COMMANDS:
            path = self.bin / command
            path.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {__file__} {command} {self.spool} "$@"\n')
            path.chmod(0o755)

    def states(self) -> dict[str, str]:
        """Of every job, or element of an array."""
        return {path.stem: path.read_text() for path in sorted(self.spool.glob("*.state"))}

    def script(self, job: str) -> str:
        """What was submitted."""
        return (self.spool / f"{job}.sh").read_text()

    def calls(self, command: str) -> list[list[str]]:
        """How a command was called."""
        lines = (self.spool / "calls").read_text().splitlines() if (self.spool / "calls").exists() else []
        return [line.split()[1:] for line in lines if line.split()[0] == command]

    def task(self, job: str) -> int:
        """The process that `srun` started, or became."""
        return int((self.spool / f"{job}.pid").read_text())

    def kill(self, job: str) -> None:
        """Its node fails: nothing of it is left, and it is put back into the queue."""
        (self.spool / f"{job}.requeue").touch()
        os.killpg(os.getpgid(self.task(job)), signal.SIGKILL)


def options(script: str) -> dict[str, str]:
    """The #SBATCH lines."""
    return {name: value.strip("'") for name, value in re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", script, re.MULTILINE)}


def sbatch(spool: Path, arguments: list[str]) -> None:
    script = Path(arguments[-1]).read_text()
    if options(script).get("partition") == "nowhere":
        sys.exit("sbatch: error: invalid partition specified: nowhere\nsbatch: error: Batch job submission failed")
    job = str(1000 + len(list(spool.glob("*.sh"))))
    (spool / f"{job}.sh").write_text(script)
    for element in elements(job, script):
        write(spool / f"{element}.state", "PENDING")
    subprocess.Popen(
        [sys.executable, "-IS", __file__, "slurmctld", str(spool), job],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(spool / "slurmctld.log").open("a"),
        start_new_session=True,
    )
    print(f"Submitted batch job {job}")


def elements(job: str, script: str) -> list[str]:
    array = re.fullmatch(r"0-(\d+)%\d+", options(script).get("array", ""))
    return [f"{job}_{index}" for index in range(int(array[1]) + 1)] if array else [job]


def write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


def slurmctld(spool: Path, arguments: list[str]) -> None:
    """Run the elements of one job until none is left."""
    (job,) = arguments
    script = (spool / f"{job}.sh").read_text()
    limit = int(options(script).get("array", "%1").rpartition("%")[2])
    waiting, restarts = elements(job, script), dict.fromkeys(elements(job, script), 0)
    running: dict[str, subprocess.Popen[bytes]] = {}
    while waiting or running:
        for element in [*waiting]:
            if (spool / f"{element}.cancel").exists():
                waiting.remove(element)
                write(spool / f"{element}.state", "CANCELLED")
            elif len(running) < limit and not (spool / "hold").exists():
                waiting.remove(element)
                running[element] = start(spool, job, element, restarts[element])
        for element, process in [*running.items()]:
            if process.poll() is None:
                continue
            del running[element]
            if (spool / f"{element}.requeue").exists():
                (spool / f"{element}.requeue").unlink()
                restarts[element] += 1
                waiting.append(element)
                write(spool / f"{element}.state", "PENDING")
            else:
                write(spool / f"{element}.state", "FAILED" if process.returncode else "COMPLETED")
        time.sleep(0.05)


def start(spool: Path, job: str, element: str, restarts: int) -> subprocess.Popen[bytes]:
    write(spool / f"{element}.state", "RUNNING")
    index = element.partition("_")[2]
    variables = {
        "SLURM_JOB_ID": str(int(job) * 100 + int(index)) if index else job,
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_JOB_NODELIST": "node1",
    }
    if index:
        variables |= {"SLURM_ARRAY_JOB_ID": job, "SLURM_ARRAY_TASK_ID": index}
    if restarts:
        variables["SLURM_RESTART_COUNT"] = str(restarts)
    log = (spool / f"{element}.log").open("ab")
    return subprocess.Popen(
        ["bash", str(spool / f"{job}.sh")],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def srun(spool: Path, arguments: list[str]) -> None:
    """Become the task."""
    job, index = os.environ.get("SLURM_ARRAY_JOB_ID", ""), os.environ.get("SLURM_ARRAY_TASK_ID", "")
    element = f"{job}_{index}" if job else os.environ["SLURM_JOB_ID"]
    while arguments[0].startswith("--"):
        name = arguments.pop(0)
        if name in ("--output", "--error"):
            path = arguments.pop(0).replace("%A", job).replace("%a", index).replace("%j", element).replace("%t", "0")
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(file, 1 if name == "--output" else 2)
    write(spool / f"{element}.pid", str(os.getpid()))
    ranks = {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NTASKS": "1"}
    os.execvpe(arguments[0], arguments, {**os.environ, **ranks})


def squeue(spool: Path, arguments: list[str]) -> None:
    given = dict(argument.lstrip("-").partition("=")[::2] for argument in arguments)
    jobs = given["jobs"].split(",")
    lines = [
        (path.stem, state)
        for path in sorted(spool.glob("*.state"))
        if (state := path.read_text()) in ("PENDING", "RUNNING") and path.stem.partition("_")[0] in jobs
    ]
    if not lines and len(jobs) == 1:
        sys.exit("slurm_load_jobs error: Invalid job id specified")
    for element, state in lines:
        print(given["format"].replace("%i", element).replace("%T", state))


def scancel(spool: Path, arguments: list[str]) -> None:
    for element in arguments:
        (spool / f"{element}.cancel").touch()
        if (spool / f"{element}.state").read_text() == "RUNNING":
            os.kill(int((spool / f"{element}.pid").read_text()), signal.SIGTERM)


def scontrol(spool: Path, arguments: list[str]) -> None:
    """Requeue: what runs of it is told to end."""
    command, element = arguments
    if command != "requeue":
        sys.exit(f"scontrol {command} is not known here")
    (spool / f"{element}.requeue").touch()
    os.kill(int((spool / f"{element}.pid").read_text()), signal.SIGTERM)


if __name__ == "__main__":
    _, command, directory, *rest = sys.argv
    with Path(directory, "calls").open("a") as calls:
        calls.write(" ".join((command, *rest)) + "\n")
    {"slurmctld": slurmctld, **{name: globals()[name] for name in COMMANDS}}[command](Path(directory), rest)
