"""Starting a run: its directory, its spec, and a supervisor in a session of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cnntui.core.analysis import analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import shape_text
from cnntui.core.vocabulary import NotationError
from cnntui.runs.files import write_atomic
from cnntui.runs.places import runs_root
from cnntui.runs.reader import RunReader, UnreadableRunError
from cnntui.runs.spec import Spec, last_attempt, take_lock


class LaunchError(Exception):
    """Why a run cannot be started, in one line."""


# How often a waiting thread of torch's looks for work before it sleeps. By default so often that two trainers on the same
# cores take each other's time in vain, and ten times as long; alone, with fewer looks, they are hardly slower.
SPINS = "3000"
HOW_TO_GET_TORCH = "training needs torch: pip install 'cnntui[train]'"


def can_train() -> bool:
    """Whether the trainer's packages are installed; looks, does not import."""
    return all(importlib.util.find_spec(name) for name in ("torch", "torchvision"))


def create(spec: Spec, directory: Path | None = None) -> Path:
    """Make the run directory, with its spec.

    Raises:
        LaunchError: when torch is missing, the net is impossible, or the directory exists or cannot be written.
    """
    if not can_train():
        raise LaunchError(HOW_TO_GET_TORCH)
    try:
        analysis = analyse(spec.network)
    except (NotationError, ImpossibleError) as error:
        raise LaunchError(f"{spec.net}: {error}") from None
    if analysis.error:
        raise LaunchError(analysis.error)
    if analysis.output is None or len(analysis.output) != 1:
        raise LaunchError(
            f"{spec.net} ends in {shape_text(analysis.output or ())}, not in one score a class: "
            "finish it with flatten (or gap) and linear"
        )
    directory = directory or runs_root() / spec.run
    try:
        directory.mkdir(parents=True, mode=0o700)
        for name in ("maps", "snapshots", "checkpoints", "control", "control/in", "control/done"):
            (directory / name).mkdir(mode=0o700)
        write_atomic(directory / "spec.json", msgspec.json.format(msgspec.json.encode(spec)), sync=True)
    except FileExistsError:
        raise LaunchError(f"{directory} is there already: give another --run-dir") from None
    except OSError as error:
        raise LaunchError(f"{directory}: {error.strerror}") from None
    return directory


def start(directory: Path, attempt: int = 1, environment: Mapping[str, str] = {}) -> None:
    """Start the supervisor of a created run. It outlives this process and its terminal.

    `environment`: variables that the trainer is to have, beside or instead of those of this process.

    Raises:
        LaunchError: when this attempt was begun by somebody else, or no process can be started.
    """
    try:
        take_lock(directory, attempt)
    except FileExistsError:
        raise LaunchError(
            f"attempt {attempt} on {directory.name} was begun just now by another: attach to it"
        ) from None
    except OSError as error:
        raise LaunchError(f"{directory}: {error.strerror}") from None
    try:
        subprocess.run(
            # -P: a file called random.py where the user happens to be must not be taken for Python's own.
            [sys.executable, "-P", "-m", "cnntui.runs.supervisor", str(directory), str(attempt)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            env={"GOMP_SPINCOUNT": SPINS, **os.environ, "PYTHONUNBUFFERED": "1", **environment},
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise LaunchError(f"no process can be started: {error}") from None


def launch(spec: Spec, directory: Path | None = None) -> Path:
    """`create`, then `start`; returns the directory."""
    made = create(spec, directory)
    start(made)
    return made


def resume(directory: Path) -> int:
    """Train on from the last whole checkpoint of a run that ended too early; returns the number of the new attempt.

    A run on another host that has been silent for a while is taken over; its trainer, should it revive, lets go.

    Raises:
        LaunchError: when torch is missing, the run is going or has come to its end, or there is nothing to go on from.
    """
    if not can_train():
        raise LaunchError(HOW_TO_GET_TORCH)
    attempt = last_attempt(directory) + 1  # before looking: who else resumes it now takes the same number, or is seen
    try:
        view = RunReader(directory).glance()
    except UnreadableRunError as error:
        raise LaunchError(str(error)) from None
    if not view.ended and view.alive != "stale":
        raise LaunchError(f"{view.spec.run} is {view.label}: there is nothing to resume")
    if view.trained:
        raise LaunchError(
            f"{view.spec.run} was trained to its end: cnntui train --from {view.spec.run} goes on from its weights"
        )
    start(directory, attempt)
    return attempt
