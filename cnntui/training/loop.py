"""The training loop: the whole data set on the device, shuffled and cut there; no DataLoader, few synchronisations."""

from __future__ import annotations

import math
import time
from pathlib import Path

import msgspec
import torch

from cnntui.core.analysis import analyse
from cnntui.runs.events import Data, Event, Ranks, Test, Train, to_number
from cnntui.runs.ranks import gain
from cnntui.runs.schedules import factor
from cnntui.runs.spec import Spec
from cnntui.runs.test_pictures import GalleryError
from cnntui.training import checkpoints, gallery
from cnntui.training.course import MEASURE_SECONDS, Course, TrainingError
from cnntui.training.data import DataSet, facts
from cnntui.training.desk import Desk
from cnntui.training.examine import examine
from cnntui.training.excite import Exciter
from cnntui.training.keeper import Keeper
from cnntui.training.model import Net
from cnntui.training.probes import Prober
from cnntui.training.team import Order, Team

REPORT_SECONDS = 0.2
PROBE_SECONDS = 1.0
PROBE_SHARE = 50  # a probe that takes t seconds is not repeated for 50 t: at most 2 % of the time
SMALLEST_FACTOR = 1e-3  # of a schedule that has nearly ended: no rate is scaled up by more


class Trainer(Course):
    """Trains one model on one data set, telling and obeying through the desk; of several ranks it is the first.

    Raises:
        TrainingError: when the net and the data do not fit.
    """

    def __init__(self, run: Path, spec: Spec, model: Net, data: DataSet, desk: Desk, team: Team | None = None) -> None:
        super().__init__(spec, model, data, team)
        self.run, self.desk = run, desk
        self.probe = Prober(run, self.data, self.fit, _layers_with_maps(spec))
        self.excite = Exciter(run, self.data, self.fit, spec)
        size = sum(tensor.nbytes for tensor in model.state_dict().values())
        self.snapshots_at = checkpoints.snapshot_steps(self.steps, size)
        self.best = -1.0
        self.keep = Keeper(run, spec, model, self.optimizer, desk, self.state)
        self.next_probe = 0.0
        self.began = time.monotonic()
        self.stride = 1  # steps until the device is waited for

    def train(self, checkpoint: Path | None = None, paused: bool = False) -> None:
        """All epochs, from the beginning or from a checkpoint, or until told to stop; `paused`: not yet."""
        if self.team is not None and len({each[0] for each in self.team.exchange(self.data_mark)}) > 1:
            raise TrainingError(f"the ranks do not find the same pictures of {self.data.name}: look at --data-dir")
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
        self.assemble(self.team) if self.team is not None else self.prepare()
        self.desk.steered = self
        self.began = time.monotonic()
        self.desk.enter("training", state="training")
        self.look(now=True)
        if self.step == 0:
            self.keep.snap(0, 0)
        if paused:
            self.desk.pause()
            if not self.desk.obey():
                return self.stopped()
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
        epoch, taken, images, since, planned = self.epoch, 0, 0, time.monotonic(), self.stride
        for index in self.batches():
            if self.team is not None and not taken:  # how far all go is known before: none looks at a clock of its own
                planned = min(self.stride, self.steps_per_epoch - self.step % self.steps_per_epoch)
                self.team.tell(Order.STEPS, self.step, planned, self.lr)
            images, taken = images + self.advance(index), taken + 1
            if self.step in self.snapshots_at:
                self.keep.snap(self.step, epoch)
            at_end = self.step % self.steps_per_epoch == 0
            in_time = self.team is not None or time.monotonic() - since < REPORT_SECONDS
            # By steps too: a GPU is given work faster than it does it.
            if in_time and taken < planned and not at_end:
                continue
            loss, speeds = self.balance(images, since)
            seconds = time.monotonic() - since
            self.stride = max(1, min(2 * self.stride, round(taken * REPORT_SECONDS / seconds)))
            self.report(epoch, loss, speeds or [images / seconds])
            here = self.step
            if not (at_end and math.isfinite(loss)) and not self.desk.obey():
                return False
            if self.step != here:
                return True
            taken, images, since, planned = 0, 0, time.monotonic(), self.stride
        return True

    def balance(self, images: int, since: float) -> tuple[float, list[float]]:
        """The mean loss of the steps since then, over all ranks, and images/s of each: the one wait for the device."""
        if self.team is None:
            return self.learn.mean_loss(), []
        shares = self.account(self.team, images, since)
        self.desk.update(rank_steps=[int(share.step) for share in shares])
        return sum(share.loss for share in shares) / self.team.size, [share.speed for share in shares]

    def report(self, epoch: int, loss: float, speeds: list[float]) -> None:
        """The mean loss since the last report, images/s of each rank; a loss that is not finite pauses the run."""
        lr = self.lr * factor(self.spec.schedule, self.step - 1, self.steps)
        each = [round(speed, 1) for speed in speeds] if self.team is not None else []
        self.desk.update(rank_speeds=each)
        self.desk.stepped(self.step, loss, sum(speeds))
        self.desk.tell(
            Train(
                step=self.step,
                epoch=epoch,
                loss=to_number(loss),
                lr=lr,
                images_per_second=round(sum(speeds), 1),
                each=each,
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
        if self.team is not None:
            self.team.tell(Order.RESTORE, self.step)
            self.account(self.team)
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

    def assemble(self, team: Team) -> None:
        """All ranks become one; before the first step it is measured what they gain."""
        self.desk.enter("measuring")
        alone = self.speed_alone()
        team.tell(Order.JOIN)
        if why := self.learn.join(team):
            self.desk.notice(f"trained without compiling: {why}")
        steps = max(1, round(MEASURE_SECONDS * (alone or 8 * self.spec.batch_size) / self.spec.batch_size))
        team.tell(Order.MEASURE, steps)
        each = [speed for speed, *_ in team.exchange(self.speed(self.learn, steps))]
        ranks = Ranks(
            step=self.step,
            count=team.size,
            together=round(sum(each), 1),
            each=[round(speed, 1) for speed in each],
            alone=round(alone, 1) if alone else None,
        )
        self.desk.tell(ranks)
        if self.desk.status.attempt == 1:  # later there is more to say: what the attempt before has ended by
            self.desk.notice(gain(ranks, self.spec.batch_size))

    def stopped(self) -> None:
        """The end before the last step, with a checkpoint: unless the numbers are bad, or another attempt trains it now."""
        if not self.desk.trouble:
            self.keep.save(needed=True)
            if self.team is None:  # the others' time is short: torchrun gives them 30 s
                self.look(now=True)
                self.see_what_excites(at_end=True)
        if self.team is not None:  # told to end because one of them has ended, it has not stopped
            self.team.tell(Order.REPORT)
            self.account(self.team)
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
