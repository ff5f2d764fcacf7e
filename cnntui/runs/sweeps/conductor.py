"""Who gives the runs of a sweep their turns on this machine: a process of its own, started, watched and stopped here.

It tells of itself in `conductor.json`, beside `sweep.json`. Whoever runs the sweep takes the next turn, `conductor-N.lock`,
which is created exclusively: of two that want it at once, on a shared file system too, one gets it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Literal

import msgspec

from cnntui.runs import control
from cnntui.runs.files import write_atomic
from cnntui.runs.launch import HOW_TO_GET_TORCH, can_train
from cnntui.runs.reader import START_SECONDS, RunReader, RunView, UnreadableRunError
from cnntui.runs.spec import Process, age, liveness, read_json
from cnntui.runs.sweeps.directory import read_sweep
from cnntui.runs.sweeps.plan import SweepError

CONDUCTOR, LOG = "conductor.json", "conductor.log"
LOOK_SECONDS = 0.05


class Conducting(Process, frozen=True, kw_only=True):
    """Where a conductor is: what is in `conductor.json`, replaced about once a second.

    `going`: the names of the runs that have a slot, and where it is: cpu, or a GPU's name. `message`: why it ended as it
    did, or what it waits for. The state `gone` is never written: its process died.
    """

    state: Literal["running", "stopping", "stopped", "finished", "failed", "gone"] = "running"
    message: str = ""
    turn: int = 1
    slots: int = 1
    started: str = ""
    going: dict[str, str] = {}

    @property
    def alive(self) -> bool:
        """Whether it gives turns, or waits for the last ones to end."""
        return self.state in ("running", "stopping")


def lock_of(directory: Path, turn: int) -> Path:
    """The file that whoever conducts a sweep for the `turn`-th time creates."""
    return directory / f"conductor-{turn}.lock"


def stop_of(directory: Path, turn: int) -> Path:
    """The file that asks a conductor to stop: it may be on another host."""
    return directory / f"conductor-{turn}.stop"


def last_turn(directory: Path) -> int:
    """How often somebody began to conduct a sweep."""
    turns = (re.fullmatch(r"conductor-(\d+)\.lock", path.name) for path in directory.glob("conductor-*.lock"))
    return max((int(match[1]) for match in turns if match), default=0)


def conducting(directory: Path) -> Conducting | None:
    """The last conductor of a sweep, as it stands now; None where there was none."""
    found = read_json(directory / CONDUCTOR, Conducting)
    if found is None or not found.alive:
        return found
    silent = age(directory / CONDUCTOR)
    match liveness(found, silent):
        case "gone":
            why = "its process is gone"
        case "stale":
            why = f"nothing was heard from {found.host} for {silent:.0f} s"
        case _:
            return found
    return msgspec.structs.replace(found, state="gone", message=why)


def conduct(directory: Path, slots: int | None = None, need: int | None = None) -> None:
    """Start a conductor: it trains what is not trained, so many runs at once. It outlives this process and its terminal.

    Returns when it works. Runs that go already, of a conductor that was killed or begun by hand, count in `slots`. With
    another number of slots each has another number of threads, and what they add up may round otherwise.

    Args:
        directory: of the sweep.
        slots: how many runs at once; None: one a core, or on GPUs as many as fit.
        need: bytes of a GPU that a run needs, where that was measured.

    Raises:
        SweepError: when there is no sweep, torch is missing, another conductor is at work, or no process can be started.
    """
    directory = directory.absolute()
    read_sweep(directory)
    if not can_train():
        raise SweepError(HOW_TO_GET_TORCH)
    if slots is not None and slots < 1:
        raise SweepError(f"slots {slots} < 1")
    turn = last_turn(directory) + 1  # before looking: who else begins now takes the same one, or is seen
    now = conducting(directory)
    if now is not None and now.alive:
        raise SweepError(f"{directory.name} is being run by process {now.pid} on {now.host}")
    begun = last_turn(directory) > (now.turn if now else 0)
    if begun and age(lock_of(directory, turn - 1)) < START_SECONDS:
        raise SweepError(f"{directory.name} was begun just now by another")
    try:
        os.close(os.open(lock_of(directory, turn), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise SweepError(f"{directory.name} was begun just now by another") from None
    except OSError as error:
        raise SweepError(f"{directory}: {error.strerror}") from None
    try:
        _start(directory, turn, slots, need)
    except SweepError:
        lock_of(directory, turn).unlink(missing_ok=True)  # it never was
        raise


def _start(directory: Path, turn: int, slots: int | None, need: int | None) -> None:
    """The process, and wait until it has told of itself."""
    options = [str(number) if number else "-" for number in (slots, need)]
    try:
        with os.fdopen(os.open(directory / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            process = subprocess.Popen(
                # -P: a file called random.py where the user happens to be must not be taken for Python's own.
                [sys.executable, "-P", "-m", "cnntui.runs.sweeps.turns", str(directory), str(turn), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        raise SweepError(f"no process can be started: {error}") from None
    threading.Thread(target=process.wait, daemon=True).start()  # it leaves no zombie where this process lives on
    deadline = time.monotonic() + START_SECONDS
    while (told := read_json(directory / CONDUCTOR, Conducting)) is None or told.turn < turn:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise SweepError(f"{directory.name} was not begun; see {directory / LOG}")
        time.sleep(LOOK_SECONDS)


def stop(directory: Path) -> None:
    """Have the runs of a sweep that are going write a checkpoint and end, and then their conductor; returns at once.

    Where the conductor is gone, the runs that it has left are asked.

    Raises:
        SweepError: when there is no sweep, nothing is going, or the directory cannot be written.
    """
    sweep = read_sweep(directory)
    now = conducting(directory)
    try:
        if now is not None and now.alive:
            write_atomic(stop_of(directory, now.turn), b"")
            return
        left = [run for run in sweep.directories(directory) if _is_going(run)]
        for run in left:
            control.send(run, "stop")
    except OSError as error:
        raise SweepError(f"{directory}: {error.strerror}") from None
    if not left:
        raise SweepError(f"{directory.name} is not being run: there is nothing to stop")


def occupies(view: RunView) -> bool:
    """Whether a process trains this run, or is about to: it has begun, and has not gone."""
    return view.state != "waiting" and view.alive != "stale" and not (view.ended and view.alive == "gone")


def _is_going(run: Path) -> bool:
    try:
        return occupies(RunReader(run).glance())
    except UnreadableRunError:
        return False
