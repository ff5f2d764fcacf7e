"""Trainers that start at once: forked from a process that has torch loaded, under the real supervisor.

What is forked is a process of its own in all that faults touch: signals, limits, files, exit codes.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psutil

from cnntui.runs import supervisor
from cnntui.runs.launch import create
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Spec, lock_of

Prepare = Callable[[], object]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["cnntui.training.loop", "cnntui.training.__main__", "torch._dynamo", "sklearn.datasets", "sklearn.model_selection"]
)


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


class Forks:
    """Starts runs and attempts at them."""

    def __init__(self) -> None:
        self._started: list[Any] = []

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

    def close(self) -> None:
        """Nothing trains on."""
        for process in self._started:
            with suppress(psutil.NoSuchProcess):
                for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                    each.kill()
            process.join()


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
