"""Networks that others wrote: read in a process of their own, with a time limit, because their code may do anything.

The reader's process is told where to put its answer, a JSON file; what it prints goes nowhere.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from cnntui.core.layers import Shape
from cnntui.core.nets import NetFile
from cnntui.core.notation import parse, printable
from cnntui.core.vocabulary import NotationError

LARGEST_ANSWER = 32 << 20
LOOK_SECONDS = 0.1


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a reader's process says: a network in words, or in one line why there is none."""

    error: str = ""
    name: str = ""
    input: tuple[int, int, int] = (1, 1, 1)
    layers: tuple[str, ...] = ()
    idea: str = ""


def read(
    module: str, net: str, shape: Shape | None, seconds: float, stopped: Callable[[], bool] | None = None
) -> NetFile:
    """What a reader, a module of `cnntui.training`, makes of NET within so many seconds, or until it is stopped.

    Raises:
        NotationError: with one line that says why there is no network.
        ImpossibleError: when the input or the names cannot be.
    """
    with tempfile.TemporaryDirectory(prefix="cnntui-") as directory:
        path = Path(directory, "answer.json")
        given = ",".join(map(str, shape or ()))
        # -P: a file called random.py where the user happens to be must not be taken for Python's own.
        code = _run([sys.executable, "-P", "-m", module, str(path), net, given, str(seconds)], net, seconds, stopped)
        answer = _answer(path, net, code)
    if answer.error:
        raise NotationError(printable(answer.error))
    network = parse("\n".join(answer.layers), answer.input, printable(answer.name))
    return NetFile(network, idea=printable(answer.idea), source=net)


def _run(command: list[str], net: str, seconds: float, stopped: Callable[[], bool] | None) -> int:
    """Run to the end, or to the limit; what it started in its session is ended with it."""
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise NotationError(f"{net}: no process can be started: {error}") from None
    until = time.monotonic() + seconds
    try:
        while not (stopped and stopped()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(LOOK_SECONDS if stopped else seconds)
            if time.monotonic() >= until:
                raise NotationError(f"{net}: not read within {seconds:g} s; its process was ended")
        raise NotationError(f"{net}: no longer wanted")
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # none is left; on macOS, none but the child
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _answer(path: Path, net: str, code: int) -> Answer:
    if code == -signal.SIGALRM:
        raise NotationError(f"{net}: its process ran into its own time limit")
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        why = ": out of memory, perhaps" if code == -signal.SIGKILL else ""
        raise NotationError(f"{net}: its process was killed by {name}{why}")
    try:
        if path.stat().st_size > LARGEST_ANSWER:
            raise NotationError(f"{net}: the network comes to more than {LARGEST_ANSWER >> 20} MB of layers")
        return msgspec.json.decode(path.read_bytes(), type=Answer)
    except (OSError, msgspec.DecodeError):
        raise NotationError(f"{net}: its process ended with status {code} and without an answer") from None
