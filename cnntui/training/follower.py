"""The other ranks: each does what the first one orders, on its part of the data, and writes nothing to the run."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from itertools import islice
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing.errors import record

from cnntui.runs.job import PREEMPTION
from cnntui.runs.places import data_root
from cnntui.runs.spec import DATA_SETS, LOST, Spec
from cnntui.training import checkpoints
from cnntui.training.course import Course
from cnntui.training.data import load
from cnntui.training.devices import NO_DEVICE, DeviceError, mark, no_room, pick, ran_out
from cnntui.training.model import build
from cnntui.training.team import LostError, Order, Team, TeamError


class FollowerError(Exception):
    """Why this rank cannot go on, in one line: torchrun hands it to whoever waits for it."""


def follow(run: Path, spec: Spec) -> int:
    """Be one of the other ranks, until the first one says that it is over; returns the exit code."""
    try:
        follower = Follower(run, spec, Team(spec.ranks))
        for number in PREEMPTION:  # the first rank hears it too, and has the last word
            signal.signal(number, signal.SIG_IGN)
        record(follower.obey)()
    except LostError as error:
        print(f"another rank is gone: {error}", file=sys.stderr)
        return LOST
    except TeamError as error:
        print(error, file=sys.stderr)
        return 1
    except FollowerError:
        traceback.print_exc()
        return 1
    return 0


class Follower:
    """One of the other ranks."""

    def __init__(self, run: Path, spec: Spec, team: Team) -> None:
        self.run, self.spec, self.team = run, spec, team
        self.device = torch.device("cpu")

    def obey(self) -> None:
        """Take the first rank's orders until it is over.

        Raises:
            LostError: when another rank is gone.
            FollowerError: when this one cannot go on.
        """
        course: Course | None = None
        while True:
            order, numbers = self.team.hear()
            try:
                if order is Order.END:
                    break
                if order is Order.DEVICE:
                    self.team.exchange(self._choose())
                elif order is Order.LOAD:
                    course = self._load(int(numbers[0]))
                elif course is not None:
                    self._do(course, order, numbers)
                elif order is Order.REPORT:
                    self.team.exchange()
            except LostError:
                raise
            except Exception as error:
                line = no_room(self.spec.batch_size) if ran_out(error) else " ".join(str(error).split())
                raise FollowerError(line or type(error).__name__) from error
        step = course.step if course else 0
        print(f"rank {self.team.rank} of {self.team.size} ended at step {step:,}")
        self.team.close()

    def _choose(self) -> float:
        try:
            self.device, _ = pick(self.spec.device, self.team.local_rank)
        except DeviceError as error:
            print(error, file=sys.stderr)
            return NO_DEVICE
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        return mark(self.device)

    def _load(self, number: int) -> Course:
        """`number`: which of the known data sets the first rank has found, or none of them."""
        self.team.use(self.device)
        name = DATA_SETS[number] if number >= 0 else self.spec.data
        data = load(name, data_root(self.spec.data_dir), print, shape=self.spec.input)
        torch.manual_seed(self.spec.seed)
        model = build(self.spec.network).to(self.device).to(memory_format=torch.channels_last)
        course = Course(self.spec, model, data, self.team)
        self.team.exchange(course.data_mark)
        return course

    def _do(self, course: Course, order: Order, numbers: list[float]) -> None:
        team = self.team
        match order:
            case Order.JOIN:
                course.learn.join(team)
            case Order.MEASURE:
                team.exchange(course.speed(course.learn, int(numbers[0])))
            case Order.RESTORE:
                course.step = int(numbers[0])
                checkpoint = self.run / "checkpoints" / f"step-{course.step}"
                checkpoints.restore(checkpoint, course.model, course.optimizer)
                course.account(team)
            case Order.STEPS:
                course.step, course.lr, since = int(numbers[0]), numbers[2], time.monotonic()
                learned = sum(course.advance(index) for index in islice(course.batches(), int(numbers[1])))
                course.account(team, learned, since)
            case Order.REPORT:
                course.account(team)
