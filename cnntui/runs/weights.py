"""The weights of a run at each moment at which they can be had, and its optimizer's numbers: read without torch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from cnntui.core.windows import Array
from cnntui.runs.checkpoints import MODEL, OPTIMIZER, STATE, WEIGHTS, WHOLE, CheckpointError, demand, names, problem_of
from cnntui.runs.reader import RunView
from cnntui.runs.spec import read_json

SNAPSHOT = re.compile(r"step-(\d{1,15})\.safetensors")
TRIES = 5  # a run that still trains thins its checkpoints, perhaps just this one
# What safetensors raises at a file that is torn or none, and at types that numpy has not, such as bfloat16.
UNREADABLE = (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError)
MOST_BYTES = 8 << 30  # of a file of weights: two thousand million numbers

Kind = Literal["snapshot", "checkpoint", "live"]


class WeightsError(Exception):
    """Why there are no weights, in one line."""


@dataclass(frozen=True)
class Moment:
    """A step whose weights can be had: their file, or a checkpoint's directory. `epoch` is None where it is not known."""

    step: int
    epoch: int | None
    path: Path
    kind: Kind


@dataclass(frozen=True, eq=False)
class OptimizerState:
    """What an optimizer knew at a checkpoint: for each weight, numbered as in `model.parameters()`, torch's names for it.

    Adam and AdamW have `step`, `exp_avg` and `exp_avg_sq`, SGD with momentum `momentum_buffer`; before the first step there
    is nothing. `lr` is the learning rate before the schedule's factor.
    """

    step: int
    lr: float
    checkpoint: Path
    tensors: dict[int, dict[str, Array]]
    refused: tuple[str, ...] = ()


class _Rate(msgspec.Struct, frozen=True, kw_only=True):
    """What of state.json is for training on."""

    step: int
    lr: float


def moments(view: RunView) -> tuple[Moment, ...]:
    """In order of step, one a step: a snapshot if there is one, else what was last written for viewers, or a checkpoint."""
    run = view.directory
    found: dict[int, tuple[Path, Kind]] = {}
    for name in names(run):
        found[int(name.removeprefix("step-"))] = run / "checkpoints" / name, "checkpoint"
    if view.probe is not None and view.weights is not None:
        found[view.probe.step] = view.weights, "live"
    for path in (run / "snapshots").glob("step-*.safetensors"):
        if match := SNAPSHOT.fullmatch(path.name):
            found[int(match[1])] = path, "snapshot"
    return tuple(Moment(step, _epoch(view, step), *found[step]) for step in sorted(found))


def _epoch(view: RunView, step: int) -> int | None:
    """The epoch that a step was of, 0 before the first."""
    each = view.data.steps // view.spec.epochs if view.data is not None and view.spec.epochs > 0 else 0
    return math.ceil(step / each) if each else None


def read_weights(path: Path) -> dict[str, Array]:
    """The tensors of a moment's file by their names in the model; of a checkpoint's directory, once its hashes agree.

    Raises:
        WeightsError: when it is gone, torn, or no weights.
    """
    if path.is_dir():
        if problem := problem_of(path, WEIGHTS):
            raise WeightsError(f"{path}: {problem}")
        path = path / MODEL
    return _tensors(path)


def _tensors(path: Path) -> dict[str, Array]:
    try:
        if not path.is_file():  # a pipe would block
            raise WeightsError(f"{path}: there is no such file (any more)")
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise WeightsError(f"{path} is {size / 2**30:,.1f} GiB: more than {MOST_BYTES >> 30} GiB is not read")
        tensors = load_file(path)
    except MemoryError:
        raise WeightsError(f"{path}: there is not enough memory to read its {size / 2**20:,.0f} MiB") from None
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise WeightsError(f"{path} holds no weights that can be read here: {reason}") from None
    for name, tensor in tensors.items():
        if not isinstance(tensor, np.ndarray) or tensor.dtype.kind not in "fiub":
            kind = getattr(tensor, "dtype", type(tensor).__name__)
            raise WeightsError(f"{path} holds no weights that can be read here: {name} is of {kind}")
    return tensors


def optimizer_state(run: Path, which: str = "last") -> OptimizerState:
    """The optimizer's numbers in a run's checkpoint: `best`, `last` or `step-N`; of a damaged one in the one before it.

    Raises:
        WeightsError: when there is none that can be used.
    """
    for _ in range(TRIES):
        try:
            found = demand(run, which, WHOLE)
        except CheckpointError as error:
            raise WeightsError(str(error)) from None
        rate = read_json(found.path / STATE, _Rate)
        try:
            tensors = _tensors(found.path / OPTIMIZER)
        except WeightsError:
            if found.path.is_dir():
                raise
            continue  # thinned away meanwhile
        if rate is None:
            raise WeightsError(f"{found.path.name} of {run.name} does not say its learning rate")
        by_number: dict[int, dict[str, Array]] = {}
        for key, tensor in tensors.items():
            if match := re.fullmatch(r"state\.(\d{1,9})\.(\w+)", key):
                by_number.setdefault(int(match[1]), {})[match[2]] = tensor
        return OptimizerState(rate.step, rate.lr, found.path, dict(sorted(by_number.items())), found.refused)
    raise WeightsError(f"{run.name}: its checkpoints go faster than they can be read")
