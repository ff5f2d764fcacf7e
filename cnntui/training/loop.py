"""The training loop: the whole data set on the device, shuffled and cut there; no DataLoader, few synchronisations."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from cnntui.core.analysis import analyse
from cnntui.runs.events import Data, Event, Test, Train, to_number
from cnntui.runs.schedules import factor
from cnntui.runs.spec import Spec
from cnntui.runs.test_pictures import GalleryError
from cnntui.training import checkpoints, gallery
from cnntui.training.augment import Augment
from cnntui.training.data import DataError, DataSet, Fitting, facts
from cnntui.training.desk import Desk
from cnntui.training.examine import examine
from cnntui.training.excite import Exciter
from cnntui.training.keeper import Keeper
from cnntui.training.model import Net
from cnntui.training.optimizers import make_optimizer, set_lr
from cnntui.training.probes import Prober
from cnntui.training.step import Step

REPORT_SECONDS = 0.2
PROBE_SECONDS = 1.0
PROBE_SHARE = 50  # a probe that takes t seconds is not repeated for 50 t: at most 2 % of the time
SMALLEST_FACTOR = 1e-3  # of a schedule that has nearly ended: no rate is scaled up by more


class TrainingError(Exception):
    """Why the training cannot go on, in one line that says what to do."""


class Trainer:
    """Trains one model on one data set, on the device of the model, telling and obeying through the desk.

    Raises:
        TrainingError: when the net and the data do not fit.
    """

    def __init__(self, run: Path, spec: Spec, model: Net, data: DataSet, desk: Desk) -> None:
        self.run, self.spec, self.model, self.desk = run, spec, model, desk
        self.device = next(model.parameters(), torch.zeros(())).device
        self.sha256 = data.sha256()
        self.data = data = data.to(self.device)
        self.fit = _fitted(spec, model, data)
        self.count = len(data.train_labels)
        # A last batch of a single picture has no deviation to normalise by: it sits out this epoch.
        self.used = self.count - (self.count % spec.batch_size == 1 and self.count > spec.batch_size)
        self.steps_per_epoch = math.ceil(self.used / spec.batch_size)
        self.steps = self.steps_per_epoch * spec.epochs
        self.optimizer = make_optimizer(spec, model)
        self.lr = spec.lr  # before the schedule's factor
        self.learn = Step(model, self.optimizer, data, self.fit, Augment.of(spec.augment, data.name), spec)
        self.probe = Prober(run, data, self.fit, _layers_with_maps(spec))
        self.excite = Exciter(run, data, self.fit, spec)
        size = sum(tensor.nbytes for tensor in model.state_dict().values())
        self.snapshots_at = checkpoints.snapshot_steps(self.steps, size)
        self.step = 0
        self.best = -1.0
        self.keep = Keeper(run, spec, model, self.optimizer, desk, self.state)
        self.next_probe = 0.0
        self.began = time.monotonic()
        self.stride = 1  # steps until the device is waited for

    @property
    def epoch(self) -> int:
        """The epoch that the next step belongs to, from 1."""
        return min(self.spec.epochs, self.step // self.steps_per_epoch + 1)

    def train(self, checkpoint: Path | None = None) -> None:
        """All epochs, from the beginning or from a checkpoint, or until told to stop."""
        self.desk.update(steps=self.steps)
        self.desk.tell(self.facts())
        self.keep_pictures()
        if checkpoint is not None:
            self.go_back(checkpoint)
        else:
            if self.spec.tensorboard:
                self.desk.show_on(Path(self.spec.tensorboard), None)
            self.keep.begin_anew()
            self.keep.save()
        self.prepare()
        self.desk.steered = self
        self.began = time.monotonic()
        self.desk.enter("training", state="training")
        self.look(now=True)
        if self.step == 0:
            self.keep.snap(0, 0)
        while self.step < self.steps:
            epoch = self.epoch
            self.desk.update(epoch=epoch)
            if not self.train_epoch():
                return self.stopped()
            if self.step != epoch * self.steps_per_epoch:  # sent back to a checkpoint
                continue
            self.desk.enter("evaluating")
            accuracy = self.test(epoch)
            better, self.best = accuracy > self.best, max(self.best, accuracy)
            self.keep.save(best=better, needed=self.step == self.steps or self.keep.is_due)
            self.see_what_excites(at_end=self.step == self.steps)
            if self.step < self.steps and not self.desk.obey():
                return self.stopped()
            self.desk.enter("training")
        self.look(now=True)
        if self.keep.unsaved:
            back = checkpoints.last_step(self.run)
            raise TrainingError(
                f"trained to its end, but not saved ({self.keep.unsaved}): resume goes on from step {back:,}"
            )
        self.desk.end("finished", "")
        return None

    def train_epoch(self) -> bool:
        """What is left of an epoch, to its end or until the step is another one; false when told to stop."""
        epoch, taken, images, since = self.epoch, 0, 0, time.monotonic()
        for index in self.batches():
            set_lr(self.optimizer, self.lr * factor(self.spec.schedule, self.step, self.steps))
            self.learn(index)
            self.step, taken, images = self.step + 1, taken + 1, images + len(index)
            if self.step in self.snapshots_at:
                self.keep.snap(self.step, epoch)
            at_end = self.step % self.steps_per_epoch == 0
            # By steps too: a GPU is given work faster than it does it.
            if time.monotonic() - since < REPORT_SECONDS and taken < self.stride and not at_end:
                continue
            loss = self.learn.mean_loss()  # the one synchronisation with the device
            seconds = time.monotonic() - since
            self.stride = max(1, min(2 * self.stride, round(taken * REPORT_SECONDS / seconds)))
            self.report(epoch, loss, images / seconds)
            here = self.step
            if not (at_end and math.isfinite(loss)) and not self.desk.obey():
                return False
            if self.step != here:
                return True
            taken, images, since = 0, 0, time.monotonic()
        return True

    def batches(self) -> Iterator[Tensor]:
        """The numbers of the training pictures, batch by batch, in this epoch's order, from the present step on.

        The order follows from seed and epoch alone, so that a run that is resumed goes on in it.
        """
        luck = torch.Generator().manual_seed(self.spec.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.count, generator=luck)[: self.used].to(self.device)
        return iter(torch.split(order, self.spec.batch_size)[self.step % self.steps_per_epoch :])

    def report(self, epoch: int, loss: float, images_per_second: float) -> None:
        """The mean loss since the last report; a loss that is not finite pauses the run."""
        lr = self.lr * factor(self.spec.schedule, self.step - 1, self.steps)
        self.desk.stepped(self.step, loss, images_per_second)
        self.desk.tell(
            Train(
                step=self.step,
                epoch=epoch,
                loss=to_number(loss),
                lr=lr,
                images_per_second=round(images_per_second, 1),
            )
        )
        self.look()
        if not math.isfinite(loss):
            back = checkpoints.last_step(self.run)
            self.desk.pause(
                f"the loss is {loss} at step {self.step:,}: paused; resume goes back to step {back:,}, "
                "and a smaller learning rate may help"
            )
        elif self.keep.is_due and self.step % self.steps_per_epoch:  # at the end of an epoch it is tested first
            self.keep.save(needed=True)

    def test(self, epoch: int) -> float:
        """Accuracy over the whole test set, 0 to 1."""
        data = self.data
        tested = examine(self.model, data.test_images, data.test_labels, self.fit, self.spec.batch_size)
        self.desk.tested(tested.loss, tested.accuracy)
        events: list[Event] = [
            Test(
                step=self.step,
                epoch=epoch,
                loss=to_number(tested.loss),
                accuracy=tested.accuracy,
                count=len(data.test_labels),
            )
        ]
        try:
            events.append(self.probe.classes(tested, self.step, epoch, len(data.classes)))
        except OSError as error:
            self.desk.notice(f"misread pictures not written: {error.strerror or error}")
        self.desk.tell(*events)
        return tested.accuracy

    # -- what is kept

    def state(self) -> checkpoints.Saved:
        """What a checkpoint tells beside the tensors."""
        return checkpoints.Saved(
            net=self.spec.net,
            shape=self.data.shape,
            step=self.step,
            epoch=math.ceil(self.step / self.steps_per_epoch),
            lr=self.lr,
            best=self.best,
            device=str(self.device),
            data=self.data.name,
            data_sha256=self.sha256,
            classes=list(self.data.classes),
            mean=self.fit.mean,
            deviation=self.fit.deviation,
            spec=msgspec.to_builtins(self.spec),
        )

    def go_back(self, checkpoint: Path) -> None:
        """Go on from a checkpoint: weights, optimizer, random numbers, place in the data.

        Raises:
            ValueError: when it is not of this spec and this data.
        """
        state = self.keep.go_back(checkpoint, self.sha256)
        if state.device != str(self.device):
            self.desk.notice(
                f"this goes on on {self.device} what began on {state.device}: not to the last bit the same"
            )
        self.step, self.lr, self.best = state.step, state.lr, state.best
        self.desk.update(step=self.step, epoch=self.epoch)
        if self.spec.tensorboard:
            self.desk.show_on(Path(self.spec.tensorboard), self.step)

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

    def see_what_excites(self, at_end: bool) -> None:
        """Write which test pictures excite each unit most, when there is time for it."""
        epoch = math.ceil(self.step / self.steps_per_epoch)
        try:
            excited = self.excite(self.model, self.step, epoch, time.monotonic() - self.began, at_end)
        except OSError as error:
            self.desk.notice(f"what excites the units not written: {error.strerror or error}")
            return
        if excited is not None:
            self.desk.tell(excited)

    # -- before the first step, and after the last

    def prepare(self) -> None:
        """Compile and capture what is to be compiled and captured; what cannot be is told, and done without."""
        if not self.learn.needs_preparing:
            return
        self.desk.enter("compiling")
        began = time.monotonic()
        try:
            self.learn.prepare(capture=self.spec.cuda_graphs)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # torch's compilers have many of their own
            self.learn.give_up()
            self.desk.notice(f"trained without compiling: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            return
        self.desk.notice(f"compiled in {time.monotonic() - began:.1f} s")

    def stopped(self) -> None:
        """The end before the last step, with a checkpoint: unless the numbers are bad, or another attempt trains it now."""
        if not self.desk.trouble:
            self.keep.save(needed=True)
            self.look(now=True)
            self.see_what_excites(at_end=True)
        reason = self.desk.trouble or (self.keep.unsaved and f"not saved: {self.keep.unsaved}")
        why = f" ({reason})" if reason else ""
        self.desk.end("finished", f"stopped at step {self.step} of {self.steps}{why}")

    def facts(self) -> Data:
        """What it trains on."""
        data, known = self.data, facts(self.data, self.fit)
        samples: str | None = None
        try:
            samples = self.probe.keep("samples.npy", known.samples)
        except OSError as error:
            self.desk.notice(f"sample pictures not written: {error.strerror or error}")
        return Data(
            step=self.step,
            name=data.name,
            train=self.count,
            test=len(data.test_labels),
            shape=data.shape,
            classes=list(data.classes),
            sha256=self.sha256,
            steps=self.steps,
            train_counts=known.train_counts,
            test_counts=known.test_counts,
            mean=known.mean,
            deviation=known.deviation,
            samples=samples,
            sample_labels=known.sample_labels,
        )

    def keep_pictures(self) -> None:
        """The test pictures, for the screens: once for each data set."""
        try:
            gallery.keep(self.data, self.sha256, self.fit, self.spec.data)
        except GalleryError as error:
            self.desk.notice(str(error))

    # -- what is asked of it, between two steps

    def checkpoint_now(self) -> str:
        """Save the weights."""
        if not self.keep.save(needed=True):
            raise ValueError(f"the checkpoint was not saved: {self.keep.unsaved or 'another attempt has taken over'}")
        return f"checkpoint of step {self.step:,} saved"

    def set_lr(self, lr: float) -> str:
        """This learning rate at the next step, and from there on as the schedule goes."""
        now = factor(self.spec.schedule, self.step, self.steps)
        self.lr = lr / now if now > SMALLEST_FACTOR else lr
        return f"learning rate {lr:g} from step {self.step + 1:,}"

    def probe_layer(self, name: str) -> str:
        """The maps of this layer are written from now on."""
        self.probe.ask_layer(name)
        self.look(now=True)
        return f"maps of {name} from step {self.step:,}"

    def probe_picture(self, number: int) -> str:
        """This test picture is looked at from now on."""
        self.probe.ask_picture(number)
        self.look(now=True)
        return f"test picture {number:,} from step {self.step:,}"

    def recover(self) -> None:
        """Back to the last checkpoint, whose numbers are finite, at the present learning rate."""
        lr = self.lr
        checkpoint = checkpoints.newest(self.run, self.desk.notice)
        if checkpoint is None:
            raise ValueError("there is no checkpoint to go back to")
        self.go_back(checkpoint)
        self.lr = lr


def _layers_with_maps(spec: Spec) -> list[str]:
    return [row.node.name for row in analyse(spec.network).rows if row.output is not None and len(row.output) == 3]


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
