"""The course of a training: which pictures each step learns from, at which rate; alone, or as one of several ranks."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from cnntui.core.backbone import backbone_and_head
from cnntui.runs.ranks import ALONE
from cnntui.runs.schedules import factor
from cnntui.runs.spec import Spec
from cnntui.training.augment import Augment
from cnntui.training.data import DataError, DataSet, Fitting
from cnntui.training.model import Net
from cnntui.training.optimizers import make_optimizer, set_lr
from cnntui.training.step import Step
from cnntui.training.team import Share, Team

LEAST_PART = 2  # pictures of a rank: a single one has no deviation to normalise by
WARM_STEPS = 2
MEASURE_SECONDS = 0.5


class TrainingError(Exception):
    """Why the training cannot go on, in one line that says what to do."""


class Course:
    """A model, its optimizer and its data, on the device of the model, and the step that they are at.

    With a team every rank goes the same course: it draws the same pictures for a step, and learns from its part of them.

    Raises:
        TrainingError: when the net and the data do not fit.
    """

    def __init__(self, spec: Spec, model: Net, data: DataSet, team: Team | None = None) -> None:
        self.spec, self.model, self.team = spec, model, team
        self.device = next(model.parameters(), torch.zeros(())).device
        if spec.frozen:
            model.freeze(backbone_and_head(spec.network)[0])
        self.sha256 = data.sha256()
        self.data = data = data.to(self.device)
        self.fit = _fitted(spec, model, data)
        self.count = len(data.train_labels)
        if self.count < spec.ranks:
            raise TrainingError(f"{data.name} has {self.count} pictures to train on: too few for {spec.ranks} ranks")
        # A last batch that is too small for every rank sits out this epoch.
        rest, least = self.count % spec.batch_size, spec.ranks * min(LEAST_PART, spec.batch_size // spec.ranks)
        self.used = self.count - (rest if rest < least and self.count > spec.batch_size else 0)
        self.steps_per_epoch = math.ceil(self.used / spec.batch_size)
        self.steps = self.steps_per_epoch * spec.epochs
        self.optimizer = make_optimizer(spec, model)
        self.lr = spec.lr  # before the schedule's factor
        self.learn = self.new_step(team)
        self.step = 0

    def new_step(self, team: Team | None) -> Step:
        """What takes the steps: with the team, or alone with whole batches."""
        augment = Augment.of(self.spec.augment, self.data.name)
        return Step(self.model, self.optimizer, self.data, self.fit, augment, self.spec, team)

    @property
    def epoch(self) -> int:
        """The epoch that the next step belongs to, from 1."""
        return min(self.spec.epochs, self.step // self.steps_per_epoch + 1)

    def batches(self) -> Iterator[Tensor]:
        """The numbers of the training pictures, batch by batch, in this epoch's order, from the present step on.

        The order follows from seed and epoch alone, so that a run that is resumed goes on in it, and ranks agree.
        """
        luck = torch.Generator().manual_seed(self.spec.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.count, generator=luck)[: self.used].to(self.device)
        return iter(torch.split(order, self.spec.batch_size)[self.step % self.steps_per_epoch :])

    def account(self, team: Team, learned: int = 0, since: float | None = None) -> list[Share]:
        """What each rank has done since then, this one having learned from so many pictures. Waits for all of them."""
        loss = self.learn.mean_loss()
        seconds = time.monotonic() - since if since is not None else 0.0
        return team.compare(Share(self.step, loss, learned, seconds))

    @property
    def data_mark(self) -> float:
        """A number that tells whether another rank has the same pictures."""
        return float(int(self.sha256[:12], 16))

    def advance(self, index: Tensor) -> int:
        """One step on the training pictures of these numbers (B,); returns how many of them this rank learned from."""
        set_lr(self.optimizer, self.lr * factor(self.spec.schedule, self.step, self.steps))
        if self.team is not None:
            self.team.reseed(self.spec.seed, self.step)
        learned = self.learn(index)
        self.step += 1
        return learned

    def speed(self, learn: Step, steps: int = 0) -> float:
        """Images/s of this rank with full batches, over so many steps, or over as many as tell; nothing of them stays."""
        index = torch.arange(self.spec.batch_size, device=self.device) % self.count
        count = steps or 1
        with learn.put_back():
            for _ in range(
                WARM_STEPS
            ):  # what torch makes at the first steps: kernels, moments, the buckets of gradients
                learn(index)
            while True:
                learn.mean_loss()
                began = time.monotonic()
                learned = sum(learn(index) for _ in range(count))
                learn.mean_loss()
                seconds = time.monotonic() - began
                if steps or seconds > MEASURE_SECONDS / 2:
                    return learned / seconds
                count *= 2

    def speed_alone(self) -> float | None:
        """Images/s of this rank alone, as it would train by itself; None where there is no room, or compiling takes long."""
        if self.spec.compile:
            return None
        threads = torch.get_num_threads()
        torch.set_num_threads(int(os.environ.get(ALONE, threads)))
        learn = self.new_step(None)
        try:
            if learn.needs_preparing:
                learn.prepare(capture=self.spec.cuda_graphs)
            return self.speed(learn)
        except torch.OutOfMemoryError:
            return None
        finally:
            torch.set_num_threads(threads)


def _fitted(spec: Spec, model: Net, data: DataSet) -> Fitting:
    """How the pictures are made to fit, and that the net has a score for each class."""
    try:
        fit = Fitting.of(data, spec.input)
    except DataError as error:
        raise TrainingError(str(error)) from None
    with torch.no_grad():
        scores = model.eval()(fit(data.train_images[:2])).shape[1]
    model.train()
    if scores < len(data.classes):
        raise TrainingError(f"the net ends in {scores} scores, but {data.name} has {len(data.classes)} classes")
    return fit
