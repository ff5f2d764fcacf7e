"""Work that needs torch, done by a module of `cnntui.training` in a process of its own: asked in JSON, answered in JSON."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import TypeVar

import msgspec

Answer = TypeVar("Answer")


class ChildError(Exception):
    """Why there is no answer, in one line."""


def ask(
    module: str,
    question: msgspec.Struct,
    kind: type[Answer],
    seconds: float,
    failed: str,
    environment: Mapping[str, str] = {},
) -> Answer:
    """What a module answers; what it says on stderr, when it fails, is the reason.

    Args:
        module: started as a process, with the question on its stdin; answers on its stdout.
        question: any struct.
        kind: of the answer.
        seconds: after so many the process is killed.
        failed: what has not come about then: the beginning of the line that says so.
        environment: variables that it is to have, beside or instead of those of this process.

    Raises:
        ChildError: when there is no answer in time.
    """
    try:
        done = subprocess.run(
            # -P: a file called random.py where the user happens to be must not be taken for Python's own.
            [sys.executable, "-P", "-m", module],
            input=msgspec.json.encode(question),
            capture_output=True,
            timeout=seconds,
            check=False,
            env={**os.environ, **environment},
        )
    except subprocess.TimeoutExpired:
        raise ChildError(f"{failed} within {seconds:g} s; its process was ended") from None
    except OSError as error:
        raise ChildError(f"no process can be started: {error}") from None
    if done.returncode < 0:
        why = ": out of memory, perhaps" if done.returncode == -signal.SIGKILL else ""
        raise ChildError(f"{failed}: its process was killed by signal {-done.returncode}{why}")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ChildError(said[-1] if said else f"{failed}: its process ended with status {done.returncode}")
    try:
        return msgspec.json.decode(done.stdout, type=kind)
    except msgspec.MsgspecError:
        raise ChildError(f"{failed}: its process gave no answer that can be read") from None
