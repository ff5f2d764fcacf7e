"""Inside a job of a cluster: one run of a sweep, an attempt each time its job runs.

submitit pickles a `Work`, which is a path, in the `slurm/` of a sweep. Nothing in a run directory is ever unpickled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cnntui.runs.control import send
from cnntui.runs.launch import SPINS
from cnntui.runs.reader import RunReader, RunView, UnreadableRunError
from cnntui.runs.spec import REFUSED, STALE_SECONDS, last_attempt, lock_of
from cnntui.runs.supervisor import supervise

LOOK_SECONDS = 0.2
READ_SECONDS = 5.0  # many jobs read from one file system
RETRY_SECONDS = 5.0
SILENCE_SECONDS = STALE_SECONDS + 10
DECISION_SECONDS = 900.0  # Slurm gives what it ends some time, and then kills it


class Work:
    """Trains a run in a job, from its last checkpoint where there is one: all that is pickled of it is a path."""

    _supervisor = 0  # its pid
    _told = False  # to end, by Slurm
    _bad = False  # its numbers are

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self) -> str:
        """One attempt; returns how the run stands after it.

        Raises:
            SystemExit: when it failed, with the reason; Slurm then says of the job that it failed.
        """
        run = Path(self.path)
        signal.signal(signal.SIGTERM, self._hear)
        try:
            reader = RunReader(run)
        except UnreadableRunError as error:
            raise SystemExit(str(error)) from None
        view = _settled(reader)
        if not _is_free(view):
            return f"{run.name} is {view.label}, by another"
        if not (view.trained or self._told):
            try:
                self._attempt(run, last_attempt(run) + 1)
            except FileExistsError:
                return f"{run.name} was begun just now by another"
            view = reader.glance()
        if view.trained:
            return f"{run.name} is trained"
        if self._told:
            # Slurm ends this job, or puts it back into its queue. It does neither with one that ends by itself.
            time.sleep(DECISION_SECONDS)
        if view.label == "stopped" and not self._bad:
            return f"{run.name} is {view.message}"
        raise SystemExit(f"{run.name}: {view.label}: {view.message}")

    def checkpoint(self) -> Any:
        """What submitit puts back into the queue: the same path, when the trainer has written a checkpoint and ended.

        None where the run is not to go on: a person stopped it, or its numbers are bad.
        """
        from submitit.helpers import DelayedSubmission

        if self._supervisor:
            view = RunReader(Path(self.path)).glance()
            if self._bad or (not self._told and (view.state == "stopping" or view.resumable)):
                return None
            self._hear()
            # Not reaped: that is for whom this signal interrupted.
            os.waitid(os.P_PID, self._supervisor, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(Work(self.path))

    def _attempt(self, run: Path, attempt: int) -> None:
        """Have a supervisor see to an attempt, in a process of its own: signals interrupt this one anywhere."""
        os.close(os.open(lock_of(run, attempt), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        deadline = time.monotonic() + SILENCE_SECONDS
        # By another clock than this one's an earlier trainer may seem alive a little longer.
        while self._supervised(run, attempt) == REFUSED and time.monotonic() < deadline:
            time.sleep(RETRY_SECONDS)

    def _supervised(self, run: Path, attempt: int) -> int:
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "cnntui.runs.sweeps.job", str(run), str(attempt)],
            stdin=subprocess.DEVNULL,
            env={"GOMP_SPINCOUNT": SPINS, **os.environ, "PYTHONUNBUFFERED": "1"},
        ) as process:
            self._supervisor = process.pid
            try:
                self._follow(RunReader(run))
            except BaseException:
                self._hear()
                raise
            finally:
                self._supervisor = 0
                process.wait()
        return process.returncode

    def _follow(self, reader: RunReader) -> None:
        """Until the supervisor has ended. A loss that is not finite pauses a run, and nobody is here to say what next."""
        read = time.monotonic()
        while os.waitid(os.P_PID, self._supervisor, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            time.sleep(LOOK_SECONDS)
            if time.monotonic() - read < READ_SECONDS or self._bad:
                continue
            read, view = time.monotonic(), reader.glance()
            if view.state == "paused" and view.message:
                self._bad = True
                send(reader.directory, "stop")

    def _hear(self, *_: object) -> None:
        """Have the trainer write a checkpoint and end; once, for the second time it would end at once."""
        if self._supervisor and not self._told:
            os.kill(self._supervisor, signal.SIGTERM)
        self._told = True


def _settled(reader: RunReader) -> RunView:
    """How a run stands when that is clear: what was trained on a node that died looks alive for a minute."""
    deadline = time.monotonic() + SILENCE_SECONDS
    while not _is_free(view := reader.glance()) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return view


def _is_free(view: RunView) -> bool:
    """Whether nobody trains a run."""
    return view.ended or view.state == "waiting" or view.alive == "stale"


if __name__ == "__main__":
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # which are the job's, but some clusters send to all its processes
        signal.signal(number, signal.SIG_IGN)
    sys.exit(supervise(Path(sys.argv[1]), int(sys.argv[2])))
