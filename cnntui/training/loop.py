"""The training loop: the whole data set on the device, shuffled and cut there; no DataLoader, few synchronisations."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from cnntui.runs.events import Checkpoint, Data, Test, Train, to_number
from cnntui.runs.spec import Spec
from cnntui.training import checkpoints
from cnntui.training.data import DataError, DataSet, Fitting
from cnntui.training.desk import Desk
from cnntui.training.model import Net
from cnntui.training.probes import Prober

REPORT_SECONDS = 0.2
PROBE_SECONDS = 1.0
PROBE_SHARE = 50  # a probe that takes t seconds is not repeated for 50 t: at most 2 % of the time
TEST_BATCH = 1000


class TrainingError(Exception):
    """Why the training cannot go on, in one line that says what to do."""


@dataclass(frozen=True)
class Tested:
    """Loss and accuracy over the whole test set."""

    loss: float
    accuracy: float


def make_optimizer(spec: Spec, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that the spec names, with torch's defaults (and momentum 0.9 for SGD)."""
    match spec.optimizer:
        case "sgd":
            return torch.optim.SGD(model.parameters(), lr=spec.lr, momentum=0.9)
        case "adamw":
            return torch.optim.AdamW(model.parameters(), lr=spec.lr)
        case _:
            return torch.optim.Adam(model.parameters(), lr=spec.lr)


def make_schedule(spec: Spec, optimizer: torch.optim.Optimizer, steps: int) -> LambdaLR:
    """The learning rate's factor at each step: 1, or half a cosine from 1 to 0 (Loshchilov, Hutter: SGDR, ICLR 2017)."""
    if spec.schedule == "constant":
        return LambdaLR(optimizer, lambda step: 1.0)
    return LambdaLR(optimizer, lambda step: (1 + math.cos(math.pi * min(1.0, step / steps))) / 2)


@torch.no_grad()
def evaluate(model: nn.Module, images: Tensor, labels: Tensor, fit: Fitting) -> Tested:
    """Every picture once, in evaluation mode; leaves the model in training mode."""
    model.eval()
    loss = torch.zeros((), device=labels.device, dtype=torch.float64)
    right = torch.zeros((), device=labels.device, dtype=torch.int64)
    for start in range(0, len(labels), TEST_BATCH):
        batch = slice(start, start + TEST_BATCH)
        scores = model(fit(images[batch])).float()
        loss += nn.functional.cross_entropy(scores, labels[batch], reduction="sum")
        right += (scores.argmax(1) == labels[batch]).sum()
    model.train()
    return Tested(float(loss) / len(labels), int(right) / len(labels))


class Trainer:
    """Trains one model on one data set, both on one device, telling and obeying through the desk.

    Raises:
        TrainingError: when the net and the data do not fit.
    """

    def __init__(self, run: Path, spec: Spec, model: Net, data: DataSet, desk: Desk) -> None:
        self.run, self.spec, self.model, self.data, self.desk = run, spec, model, data, desk
        self.fit = _fitted(spec, model, data)
        self.count = len(data.train_labels)
        self.device = data.train_labels.device
        # A last batch of a single picture has no deviation to normalise by: it sits out this epoch.
        self.used = self.count - (self.count % spec.batch_size == 1 and self.count > spec.batch_size)
        self.steps_per_epoch = math.ceil(self.used / spec.batch_size)
        self.steps = self.steps_per_epoch * spec.epochs
        self.optimizer = make_optimizer(spec, model)
        self.schedule = make_schedule(spec, self.optimizer, self.steps)
        self.loss_of = nn.CrossEntropyLoss()
        self.order = torch.Generator(self.device).manual_seed(spec.seed)
        self.probe = Prober(run, data, self.fit)
        self.next_probe = 0.0
        self.step = 0
        self.epoch = 0
        self.best = -1.0

    def train(self) -> None:
        """All epochs, or until told to stop."""
        self.desk.checkpoint, self.desk.set_lr = self.checkpoint, self.set_lr
        self.desk.update(steps=self.steps)
        self.desk.tell(self.facts())
        self.desk.enter("training", state="training")
        self.look()
        for epoch in range(1, self.spec.epochs + 1):
            self.epoch = epoch
            self.desk.update(epoch=epoch)
            if not self.train_epoch():
                self.checkpoint()
                self.look(now=True)
                return self.stopped()
            self.desk.enter("evaluating")
            accuracy = self.test()
            self.checkpoint(best=accuracy > self.best)
            self.best = max(self.best, accuracy)
            if self.step < self.steps and not self.desk.obey():
                return self.stopped()
            self.desk.enter("training")
        self.look(now=True)
        self.desk.end("finished", "")
        return None

    def stopped(self) -> None:
        """The end before the last step."""
        why = f" ({self.desk.trouble})" if self.desk.trouble else ""
        self.desk.end("finished", f"stopped at step {self.step} of {self.steps}{why}")

    def train_epoch(self) -> bool:
        """Every training picture once, in a new order; false when told to stop."""
        data, optimizer = self.data, self.optimizer
        total, steps, images, since = torch.zeros((), device=self.device), 0, 0, time.monotonic()
        order = torch.randperm(self.count, generator=self.order, device=self.device)[: self.used]
        for index in torch.split(order, self.spec.batch_size):
            optimizer.zero_grad(set_to_none=True)
            loss = self.loss_of(self.model(self.fit(data.train_images[index])), data.train_labels[index])
            loss.backward()
            optimizer.step()
            self.schedule.step()
            self.step, steps, images = self.step + 1, steps + 1, images + len(index)
            total += loss.detach()
            if time.monotonic() - since < REPORT_SECONDS and self.step % self.steps_per_epoch:
                continue
            mean = float(total) / steps  # the one synchronisation with the device
            self.report(mean, images / (time.monotonic() - since))
            if not self.desk.obey():
                return False
            total.zero_()
            steps, images, since = 0, 0, time.monotonic()
        return True

    def report(self, loss: float, images_per_second: float) -> None:
        """The mean loss since the last report; a loss that is not finite pauses the run."""
        lr = float(self.schedule.get_last_lr()[0])
        self.desk.stepped(self.step, loss, images_per_second)
        self.desk.tell(
            Train(
                step=self.step,
                epoch=self.epoch,
                loss=to_number(loss),
                lr=lr,
                images_per_second=round(images_per_second, 1),
            )
        )
        self.look()
        if not math.isfinite(loss):
            self.desk.pause(f"the loss is {loss} at step {self.step}: paused; a smaller learning rate may help")

    def test(self) -> float:
        """Accuracy over the whole test set."""
        tested = evaluate(self.model, self.data.test_images, self.data.test_labels, self.fit)
        self.desk.tested(tested.loss, tested.accuracy)
        self.desk.tell(
            Test(
                step=self.step,
                epoch=self.epoch,
                loss=to_number(tested.loss),
                accuracy=tested.accuracy,
                count=len(self.data.test_labels),
            )
        )
        return tested.accuracy

    def checkpoint(self, best: bool = False) -> None:
        """Save the weights, if they are worth saving; a disk that refuses is told, and training goes on."""
        if not all(torch.isfinite(p).all() for p in self.model.parameters()):
            return
        state = {
            "step": self.step,
            "epoch": self.epoch,
            "lr": float(self.schedule.get_last_lr()[0]),
            "net": self.spec.net,
            "data": self.data.name,
        }
        try:
            saved = checkpoints.save(self.run, self.model, self.optimizer, state, best)
        except OSError as error:
            self.desk.notice(f"checkpoint not saved: {error.strerror or error}; the last one is kept")
            return
        self.desk.tell(Checkpoint(step=self.step, epoch=self.epoch, directory=saved.name), sync=True)

    def look(self, now: bool = False) -> None:
        """Write what the net makes of a few test pictures, when it is time."""
        began = time.monotonic()
        if began < self.next_probe and not now:
            return
        try:
            self.desk.tell(self.probe(self.model, self.step))
        except OSError as error:
            self.desk.notice(f"maps not written: {error.strerror or error}")
        ended = time.monotonic()
        self.next_probe = ended + max(PROBE_SECONDS, PROBE_SHARE * (ended - began))

    def set_lr(self, lr: float) -> None:
        """Another learning rate, from the next step on; the schedule's factor still applies."""
        self.schedule.base_lrs = [lr for _ in self.schedule.base_lrs]
        for group in self.optimizer.param_groups:
            group["lr"] = lr * self.schedule.lr_lambdas[0](self.step)

    def facts(self) -> Data:
        """What it trains on."""
        data = self.data
        return Data(
            step=0,
            name=data.name,
            train=self.count,
            test=len(data.test_labels),
            shape=data.shape,
            classes=list(data.classes),
            sha256=data.sha256(),
            steps=self.steps,
        )


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
