"""The small parent that starts the trainer, waits for it, and writes how it ended: `python -m cnntui.runs.supervisor`.

Only a parent sees that a child was killed by SIGKILL or a segmentation fault. It belongs to no terminal, so a dropped
link ends neither of them. Several ranks it starts through torchrun; where one of them is lost, it restarts all.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import msgspec
import psutil

from cnntui.runs.files import write_atomic
from cnntui.runs.ranks import TORCHRUN_LOGS
from cnntui.runs.spec import LOST, REFUSED, Exit, Lost, Spec, Status, lost_file, read_json, take_lock

MOST_RESTARTS = 3  # after which nothing more was saved
KILLED = 128  # and the number of the signal: so torchrun says what ended it
PR_SET_CHILD_SUBREAPER = 36


def begin(directory: Path, attempt: int, ranks: int = 1) -> subprocess.Popen[bytes]:
    """Start the trainer on `directory`: one process, or torchrun with so many."""
    module = ["cnntui.training"] if ranks == 1 else ["cnntui.training.torchrun"]
    with (directory / "stdout.log").open("ab") as out, (directory / "stderr.log").open("ab") as err:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", *module, str(directory), str(attempt), *([str(ranks)] if ranks > 1 else [])],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )


class Supervisor:
    """Sees one run through, attempt after attempt."""

    def __init__(self, directory: Path, attempt: int) -> None:
        self.directory, self.attempt = directory, attempt
        spec = read_json(directory / "spec.json", Spec)
        self.ranks = spec.ranks if spec else 1
        self.told = self.handed_on = False  # to end; the trainer was, too
        self.trainer: subprocess.Popen[bytes] | None = None

    def see_through(self) -> int:
        """Run the trainer to its end and write `exit.json`; returns its exit code (128 + signal if killed)."""
        restarts, saved = 0, -1
        if self.ranks > 1:
            adopt_orphans()
        signal.signal(signal.SIGTERM, self.forward)
        signal.signal(signal.SIGINT, self.forward)
        trainer = self._begin()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        while True:
            code = trainer.wait()
            self.trainer = None
            if code == REFUSED:  # another trains it, and will be told of by its own supervisor
                return code
            end = ending(self.directory, self.attempt, code)
            if self.ranks > 1:
                end_orphans()
                for logs in self.directory.glob(f"{TORCHRUN_LOGS}*"):  # of one that was killed
                    shutil.rmtree(logs, ignore_errors=True)
                reached = saved_step(self.directory)
                restarts, saved = (0 if reached > saved else restarts), max(reached, saved)
                if was_lost(end) and restarts < MOST_RESTARTS and not self.told and self._take_next():
                    restarts += 1
                    write_end(self.directory, msgspec.structs.replace(end, restarted=True))
                    trainer = self._begin()
                    continue
            write_end(self.directory, end)
            return code if code >= 0 else 128 - code

    def _begin(self) -> subprocess.Popen[bytes]:
        """Start the trainer; one that was not there yet when this was told to end is told now."""
        self.trainer = begin(self.directory, self.attempt, self.ranks)
        if self.told and not self.handed_on:
            self.trainer.send_signal(signal.SIGTERM)
        return self.trainer

    def _take_next(self) -> bool:
        """Begin the next attempt before it is told how this one ended: so nobody takes the run to be over."""
        try:
            take_lock(self.directory, self.attempt + 1)
        except OSError:
            return False
        self.attempt += 1
        return True

    def forward(self, number: int, _frame: FrameType | None) -> None:
        """Hand a signal on to the trainer."""
        self.told = True
        if self.trainer is not None:
            self.handed_on = True
            self.trainer.send_signal(number)


def supervise(directory: Path, attempt: int) -> int:
    """Run the trainer on `directory` to its end and write `exit.json`; returns its exit code (128 + signal if killed)."""
    os.umask(0o077)
    return Supervisor(directory, attempt).see_through()


def ending(directory: Path, attempt: int, code: int) -> Exit:
    """How an attempt ended: by an exit code, or by minus a signal.

    Of several ranks torchrun tells which was lost first; but where the first of them has said how it ended, that counts.
    """
    status = read_json(directory / "status.json", Status)
    state = status.state if status is not None and status.attempt == attempt else None
    lost = read_json(lost_file(directory, attempt), Lost)
    end = Exit(
        attempt=attempt,
        code=code if code >= 0 else None,
        signal=signal_name(-code) if code < 0 else None,
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        peak_memory=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    )
    if state == "finished" and (lost is not None or code > KILLED):  # torchrun was told to end, or one ended too late
        return msgspec.structs.replace(end, code=0)
    if code > KILLED:
        return msgspec.structs.replace(end, code=None, signal=signal_name(code - KILLED))
    if lost is None or state == "failed":
        return end
    return msgspec.structs.replace(end, code=lost.code, signal=lost.signal, rank=lost.rank, message=lost.message)


def was_lost(end: Exit) -> bool:
    """Whether a process was taken away: the next attempt may well come through. What failed by itself would fail again."""
    return end.signal is not None or end.code == LOST


def saved_step(directory: Path) -> int:
    """The step of the newest checkpoint, -1 where there is none."""
    names = (path.name.removeprefix("step-") for path in (directory / "checkpoints").glob("step-*"))
    return max((int(name) for name in names if name.isdecimal()), default=-1)


def adopt_orphans() -> None:
    """Ranks whose torchrun was killed become this process's children, where Linux allows it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_orphans() -> None:
    """Nothing of an attempt is left behind."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # gone already; or, caught in a driver, not going yet
            child.kill()
            child.wait(10)


def write_end(directory: Path, end: Exit) -> None:
    """Write `exit.json`, unless a later attempt has ended meanwhile."""
    later = read_json(directory / "exit.json", Exit)
    if later is None or later.attempt <= end.attempt:
        write_atomic(directory / "exit.json", msgspec.json.encode(end), sync=True)


def signal_name(number: int) -> str:
    """SIGKILL; the real-time signals have only their number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


if __name__ == "__main__":
    # The caller waits for this process; the child has none to wait for it, so it never lingers as a zombie of the screen.
    if os.fork():
        os._exit(0)
    os.setsid()
    sys.exit(supervise(Path(sys.argv[1]), int(sys.argv[2])))
