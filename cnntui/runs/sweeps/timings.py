"""How long trainings take: the question, the answer, and the processes that measure it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from cnntui.runs.children import ChildError, ask
from cnntui.runs.launch import HOW_TO_GET_TORCH, SPINS, can_train
from cnntui.runs.spec import Spec
from cnntui.runs.sweeps.plan import SweepError

SECONDS = 600.0
SHORT, LONG = 0.3, 1.0  # seconds of steps: of each configuration, and where several measure at once


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure, for about so many `seconds` each, in the directory `where`.

    `asked`: when, in seconds since the epoch. `threads`: measure the first one with so many as well. `meet`: a directory in
    which so many processes `together` wait for each other before they measure.
    """

    specs: list[Spec]
    asked: float
    seconds: float = SHORT
    where: str | None = None
    threads: int = 0
    meet: str | None = None
    together: int = 1


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Of one configuration: seconds of a step, a whole test, a checkpoint; `once`, of what is done once in a run.

    `pictures` are learned from in an epoch. `memory`: bytes of the device that it took at most, of a GPU with all that a
    process takes there. `problem`: why it cannot be trained; then the rest is 0.
    """

    step_seconds: float = 0.0
    test_seconds: float = 0.0
    save_seconds: float = 0.0
    once_seconds: float = 0.0
    steps_per_epoch: int = 0
    pictures: int = 0
    memory: int = 0
    problem: str = ""

    @property
    def epoch_seconds(self) -> float:
        """An epoch, with its test and its checkpoint."""
        return self.steps_per_epoch * self.step_seconds + self.test_seconds + self.save_seconds

    @property
    def images_per_second(self) -> float:
        """While it learns."""
        return self.pictures / (self.steps_per_epoch * self.step_seconds) if self.steps_per_epoch else 0.0


class Timings(msgspec.Struct, frozen=True):
    """One a spec; the seconds from the start of a process until its first step; images/s of the first spec alone."""

    timings: list[Timing]
    start_seconds: float
    alone: float
    device: str


def time_trainings(
    specs: Sequence[Spec], environment: Mapping[str, str], threads: int = 0, where: Path | None = None
) -> Timings:
    """Measure trainings one after the other, in a process of their own; the first one with so many threads as well.

    Raises:
        SweepError: when there is no torch, the data is not here, or the process ends otherwise.
    """
    return _ask(Question(specs=list(specs), asked=time.time(), threads=threads, where=_folder(where)), environment)


def time_together(spec: Spec, environments: Sequence[Mapping[str, str]], where: Path | None = None) -> list[Timings]:
    """Measure one training several times at once, each in its environment.

    Raises:
        SweepError: as `time_trainings`.
    """
    with tempfile.TemporaryDirectory(prefix="cnntui-") as meet, ThreadPoolExecutor(len(environments)) as pool:
        question = Question(
            specs=[spec],
            asked=time.time(),
            seconds=LONG,
            where=_folder(where),
            meet=meet,
            together=len(environments),
        )
        return list(pool.map(lambda environment: _ask(question, environment), environments))


def _folder(where: Path | None) -> str | None:
    return str(where) if where is not None and where.is_dir() else None


def _ask(question: Question, environment: Mapping[str, str]) -> Timings:
    if not can_train():
        raise SweepError(HOW_TO_GET_TORCH)
    spins = {"GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", SPINS)}  # as a trainer has it
    try:
        return ask("cnntui.training.timing", question, Timings, SECONDS, "not measured", {**spins, **environment})
    except ChildError as error:
        raise SweepError(str(error)) from None
