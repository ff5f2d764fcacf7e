"""The checkpoints of a run: which there are, and which of them are what was saved. Nothing is read before its hash agrees.

Only what MANIFEST.json lists is ever opened, and of that only safetensors and JSON: a pickle beside them stays closed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cnntui.runs.events import Data, EventReader
from cnntui.runs.spec import read_json

MODEL, OPTIMIZER, STATE, MANIFEST = "model.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json"
WHOLE = (MODEL, OPTIMIZER, STATE)  # what going on with a run needs
WEIGHTS = (MODEL, STATE)  # what using its net needs
STEP = re.compile(r"step-(\d+)")
FILE = re.compile(r"\w[\w.-]*\.(safetensors|json)")


class CheckpointError(Exception):
    """Why there is no checkpoint to use, in one line."""


@dataclass(frozen=True)
class Found:
    """A checkpoint that is what was saved; `refused` says, a line each, which were asked for first and why they are not."""

    path: Path
    refused: tuple[str, ...] = ()


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What `state.json` says for those who use the net, after `step` steps; what an older run did not write is empty.

    `mean` and `deviation` are of the training pictures, by channel, scaled to 0..1. `shape` is (C, H, W) of the pictures.
    """

    step: int = 0
    epoch: int = 0
    net: str = ""
    data: str = ""
    classes: list[str] = []
    mean: list[float] = []
    deviation: list[float] = []
    shape: tuple[int, int, int] | None = None


def demand(run: Path, which: str = "best", files: tuple[str, ...] = WEIGHTS) -> Found:
    """As `search`, for those who cannot do without.

    Raises:
        CheckpointError: saying what there is instead.
    """
    path, refused = search(run, which, files)
    if path:
        return Found(path, refused)
    if refused:
        raise CheckpointError(f"{run.name} has no checkpoint that can be used: {'; '.join(refused)}")
    there = names(run)
    if not there:
        raise CheckpointError(f"{run.name} has no checkpoint yet: one is saved after each epoch")
    raise CheckpointError(f"{run.name} has no checkpoint {which!r}: take best, last, {', '.join(reversed(there))}")


def names(run: Path) -> list[str]:
    """The checkpoints in a run's directory, newest first, whole or not."""
    found = [path.name for path in (run / "checkpoints").glob("step-*") if STEP.fullmatch(path.name)]
    return sorted(found, key=_step, reverse=True)


def read_state(run: Path, checkpoint: Path) -> State:
    """What a checkpoint that was found says of itself, completed by what the run's log says of the data."""
    state = read_json(checkpoint / STATE, State) or State()
    if state.classes and state.mean and state.shape:
        return state
    data = data_of(run)
    if data is None:
        return state
    return msgspec.structs.replace(
        state,
        data=state.data or data.name,
        classes=state.classes or data.classes,
        mean=state.mean or data.mean,
        deviation=state.deviation or data.deviation,
        shape=state.shape or data.shape,
    )


def data_of(run: Path) -> Data | None:
    """What the log of a run says of its data, read in bounded pieces until it is found."""
    reader = EventReader(run)
    while True:
        for event in reader.poll():
            if isinstance(event, Data):
                return event
        if not reader.more:
            return None


def _step(name: str) -> int:
    match = STEP.fullmatch(name)
    return int(match[1]) if match else -1


def search(run: Path, which: str = "last", files: tuple[str, ...] = WHOLE) -> tuple[Path | None, tuple[str, ...]]:
    """The checkpoint that is meant, if there is one; a damaged one is passed over for the one that was saved before it.

    Args:
        run: the run's directory.
        which: `last`, `best`, or the name of one, `step-N`, which none takes the place of.
        files: what has to be there, beside all else that the manifest lists. `WEIGHTS` leaves the optimizer out of both.

    Returns:
        Its directory, None where none is whole; and a line for each that was passed over, with the reason.
    """
    refused: list[str] = []
    for name in dict.fromkeys(_candidates(run, which)):
        path = run / "checkpoints" / name
        problem = problem_of(path, files)
        if not problem:
            return path, tuple(refused)
        if path.is_dir():  # else it was thinned away meanwhile
            refused.append(f"{name}: {problem}")
    return None, tuple(refused)


def _candidates(run: Path, which: str) -> Iterator[str]:
    """By name, in the order in which they are wanted."""
    there = names(run)
    if which not in ("best", "last"):
        yield from (name for name in there if name == which)
        return
    for pointer in ("BEST", "LAST") if which == "best" else ("LAST",):
        try:
            name = (run / "checkpoints" / pointer).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if STEP.fullmatch(name):
            yield name
    yield from there


def problem_of(checkpoint: Path, files: tuple[str, ...]) -> str:
    """What is wrong with a checkpoint; nothing when every file is there, with the hash of the manifest."""
    hashes = read_json(checkpoint / MANIFEST, dict[str, str])
    if hashes is None:
        return f"no readable {MANIFEST}"
    wanted = dict.fromkeys([*files, *(name for name in hashes if OPTIMIZER in files or name != OPTIMIZER)])
    for name in wanted:
        if not FILE.fullmatch(name):
            return f"{MANIFEST} lists {name!r}, which is neither safetensors nor JSON"
        try:
            with (checkpoint / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return f"{name}: {error.strerror}"
        if digest != hashes.get(name):
            return f"{name} is not what was saved (another hash)"
    return ""
