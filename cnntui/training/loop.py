"""The training loop: the whole data set on the device, shuffled and cut there; no DataLoader, few synchronisations."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cnntui.runs.events import Checkpoint, Data, Notice, Test, Train, to_number
from cnntui.runs.spec import Spec
from cnntui.training import checkpoints
from cnntui.training.data import DataError, DataSet, Fitting
from cnntui.training.desk import Desk
from cnntui.training.probes import Prober

REPORT_SECONDS = 0.2
PROBE_SECONDS = 1.0
PROBE_SHARE = 50  # a probe that takes t seconds is not repeated for 50 t: at most 2 % of the time
TEST_BATCH = 1000


class TrainingError(Exception):
    """Why the training cannot go on, in one line that says what to do."""


@dataclass
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


def train(run: Path, spec: Spec, model: nn.Sequential, data: DataSet, desk: Desk) -> None:
    """Train `model` on `data` (both on one device) as the spec says, telling and obeying through `desk`.

    Raises:
        TrainingError: when memory runs out or the net and the data do not fit.
    """
    fit = _fitted(spec, model, data)
    optimizer = make_optimizer(spec, model)
    loss_of = nn.CrossEntropyLoss()
    probe = Prober(run, data, fit)
    count = len(data.train_labels)
    per_epoch = math.ceil(count / spec.batch_size)
    device = data.train_labels.device
    order = torch.Generator(device).manual_seed(spec.seed)
    best = -1.0

    desk.progress.steps = per_epoch * spec.epochs
    desk.tell(
        Data(
            step=0,
            name=data.name,
            train=count,
            test=len(data.test_labels),
            shape=data.shape,
            classes=list(data.classes),
            sha256=data.sha256(),
            steps=desk.progress.steps,
        )
    )

    step, next_probe = 0, 0.0

    def checkpoint(epoch: int, is_best: bool) -> None:
        if not all(torch.isfinite(p).all() for p in model.parameters()):
            return
        state = {
            "step": step,
            "epoch": epoch,
            "lr": optimizer.param_groups[0]["lr"],
            "net": spec.net,
            "data": data.name,
        }
        try:
            saved = checkpoints.save(run, model, optimizer, state, is_best)
        except OSError as error:
            desk.tell(
                Notice(step=step, message=f"checkpoint not saved: {error.strerror or error}; the last one is kept")
            )
            return
        desk.tell(Checkpoint(step=step, epoch=epoch, directory=saved.name), sync=True)

    def look(final: bool = False) -> None:
        nonlocal next_probe
        began = time.monotonic()
        if began < next_probe and not final:
            return
        try:
            desk.tell(probe(model, step))
        except OSError as error:
            desk.tell(Notice(step=step, message=f"maps not written: {error.strerror or error}"))
        now = time.monotonic()
        next_probe = now + max(PROBE_SECONDS, PROBE_SHARE * (now - began))

    desk.enter("training", state="training")
    desk.set_lr = lambda lr: _set_lr(optimizer, lr)
    look()
    for epoch in range(1, spec.epochs + 1):
        desk.progress.epoch = epoch
        permutation = torch.randperm(count, generator=order, device=device)
        running, pending, images, since = torch.zeros((), device=device), 0, 0, time.monotonic()
        for index in torch.split(permutation, spec.batch_size):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(fit(data.train_images[index])), data.train_labels[index])
            loss.backward()
            optimizer.step()
            step, pending, images = step + 1, pending + 1, images + len(index)
            running += loss.detach()
            now = time.monotonic()
            if now - since < REPORT_SECONDS and step % per_epoch:
                continue
            mean = float(running) / pending  # the one synchronisation with the device
            seconds = time.monotonic() - since
            desk.step(step, mean, images / seconds)
            lr = optimizer.param_groups[0]["lr"]
            desk.tell(Train(step=step, epoch=epoch, loss=to_number(mean), lr=lr, images_per_second=images / seconds))
            look()
            if not math.isfinite(mean):
                desk.pause(f"the loss is {mean} at step {step}: paused; a smaller learning rate may help")
            if desk.obey(lambda epoch=epoch: checkpoint(epoch, is_best=False)):  # type: ignore[misc]
                checkpoint(epoch, is_best=False)
                look(final=True)
                desk.end("finished", f"stopped at step {step} of {desk.progress.steps}")
                return
            running.zero_()
            pending, images, since = 0, 0, time.monotonic()
        desk.enter("evaluating")
        tested = evaluate(model, data.test_images, data.test_labels, fit)
        desk.tested(tested.loss, tested.accuracy)
        desk.tell(
            Test(
                step=step,
                epoch=epoch,
                loss=to_number(tested.loss),
                accuracy=tested.accuracy,
                count=len(data.test_labels),
            )
        )
        checkpoint(epoch, is_best=tested.accuracy > best)
        best = max(best, tested.accuracy)
        desk.enter("training")
    look(final=True)
    desk.end("finished", "")


def _fitted(spec: Spec, model: nn.Sequential, data: DataSet) -> Fitting:
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


def _set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
