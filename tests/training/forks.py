"""Trainers that start at once: forked from a process that has torch loaded, under the real supervisor.

What is forked is a process of its own in all that faults touch: signals, limits, files, exit codes.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psutil

from cnntui.runs import supervisor
from cnntui.runs.launch import create
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Spec, Status, age, liveness, lock_of, read_json
from cnntui.runs.sweeps.turns import Turns

Prepare = Callable[[], object]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["cnntui.training.loop", "cnntui.training.__main__", "torch._dynamo"])


def nothing() -> None:
    """Prepare nothing."""


class Forked:
    """What the supervisor uses of `subprocess.Popen`, for a trainer that is forked."""

    prepare: Prepare = staticmethod(nothing)

    def __init__(self, command: list[str], stdin: int, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self.pid = os.fork()
        if self.pid:
            return
        code = 1
        try:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            importlib.import_module("torch").set_num_threads(1)
            self.prepare()
            code = importlib.import_module("cnntui.training.__main__").main(Path(command[-2]), int(command[-1]))
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):
                    stream.flush()
            os._exit(code)

    def send_signal(self, number: int) -> None:
        """As Popen does."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """The exit code; minus the signal that killed it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _supervise(directory: Path, attempt: int, prepare: Prepare) -> None:
    os.setsid()
    Forked.prepare = staticmethod(prepare)
    supervisor.subprocess.Popen = Forked  # type: ignore[attr-defined]
    sys.exit(supervisor.supervise(directory, attempt))


def _begin(directory: Path, attempt: int, _environment: Mapping[str, str]) -> None:
    """As `cnntui.runs.launch.start`, in a process that may fork."""
    lock_of(directory, attempt).touch(exist_ok=False)
    if child := os.fork():
        os.waitpid(child, 0)
        return
    try:
        if not os.fork():
            _supervise(directory, attempt, nothing)
    finally:
        os._exit(0)


def _conduct(directory: Path, turn: int, slots: int) -> None:
    os.setsid()
    Turns(directory, turn, slots, start=_begin).conduct()


class Forks:
    """Starts runs and attempts at them, and conductors."""

    def __init__(self) -> None:
        self._started: list[Any] = []
        self._sweeps: list[Path] = []

    def launch(self, spec: Spec, prepare: Prepare = nothing) -> RunReader:
        """As `cnntui.runs.launch.launch`, with `prepare` called in the trainer's process before anything else."""
        directory = create(spec)
        lock_of(directory, 1).touch()
        self.start(directory, 1, prepare)
        return RunReader(directory)

    def start(self, directory: Path, attempt: int, prepare: Prepare = nothing) -> None:
        """The supervisor of an attempt."""
        process = CONTEXT.Process(target=_supervise, args=(directory, attempt, prepare))
        process.start()
        self._started.append(process)

    def conduct(self, sweep: Path, turn: int, slots: int) -> psutil.Process:
        """The conductor of a sweep: its trainers outlive it."""
        process = CONTEXT.Process(target=_conduct, args=(sweep, turn, slots))
        process.start()
        self._started.append(process)
        self._sweeps.append(sweep)
        return psutil.Process(process.pid)

    def close(self) -> None:
        """Nothing trains on."""
        for process in self._started:
            with suppress(psutil.NoSuchProcess):
                for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                    each.kill()
            process.join()
        for path in (path for sweep in self._sweeps for path in sweep.glob("*/status.json")):
            status = read_json(path, Status)
            if status is not None and liveness(status, age(path)) in ("alive", "stalled"):
                os.kill(status.pid, signal.SIGKILL)


@contextmanager
def forks() -> Iterator[Forks]:
    """Runs that end with the block."""
    started = Forks()
    try:
        yield started
    finally:
        started.close()


def in_a_fork(function: Callable[..., Any], *arguments: object) -> Any:
    """What a function returns, or raises, in a process that has torch loaded and no threads: it may fork."""
    with ProcessPoolExecutor(1, mp_context=CONTEXT) as pool:
        return pool.submit(function, *arguments).result()
