"""How long trainings take, from a few steps of each. A process: takes a Question, answers Timings.

The trainer itself is measured, on the real data, in a directory that is thrown away.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import chain, count, islice
from pathlib import Path

import torch

from cnntui.runs.places import data_root
from cnntui.runs.spec import DATA_SETS, Spec
from cnntui.runs.sweeps.timings import Question, Timing, Timings
from cnntui.training.__main__ import fits_in_memory
from cnntui.training.answers import RefusedError, serve
from cnntui.training.course import TrainingError
from cnntui.training.data import DataError, DataSet, load
from cnntui.training.desk import Desk
from cnntui.training.devices import DeviceError, pick
from cnntui.training.examine import MOST_TEST_BATCH, examine
from cnntui.training.loop import Trainer
from cnntui.training.model import build
from cnntui.training.optimizers import set_lr

WARM_STEPS, LEAST_STEPS = 2, 3
MOST_SECONDS = 3.0  # for the steps of one configuration; a single one may take longer
CONTEXT = 1 << 30  # bytes of a GPU beside torch's own: the CUDA context, cuDNN's and cuBLAS' kernels
MEET_SECONDS = 120.0
LOOK_SECONDS = 0.005


def time_all(question: Question) -> Timings:
    """Measure each configuration; what cannot be trained is told in its place.

    Raises:
        RefusedError: when a data set is not here.
    """
    data: dict[tuple[object, ...], DataSet] = {}
    timings: list[Timing] = []
    started = alone = 0.0
    name = ""
    for number, spec in enumerate(question.specs):
        key = (spec.data, spec.data_dir, spec.data not in DATA_SETS and spec.input)
        if key not in data:
            data[key] = _load(spec)

        def begun() -> None:
            nonlocal started
            started = started or time.time() - question.asked
            _meet(question)

        with tempfile.TemporaryDirectory(dir=question.where, prefix=".timing-") as folder:
            watch = Stopwatch(Path(folder), spec, data[key], question.seconds, begun)
            timings.append(watch.timed())
            if number == 0 and question.threads and not timings[0].problem:
                threads = torch.get_num_threads()
                torch.set_num_threads(question.threads)
                other = Stopwatch(Path(folder) / "alone", spec, data[key], question.seconds, lambda: None).timed()
                alone = other.images_per_second
                torch.set_num_threads(threads)
            name = watch.device
    return Timings(timings, started, alone or (timings[0].images_per_second if timings else 0.0), name)


class Stopwatch:
    """Measures one configuration. `begun` is called when it could take its first step."""

    def __init__(self, folder: Path, spec: Spec, data: DataSet, seconds: float, begun: Callable[[], None]) -> None:
        self.folder, self.spec, self.data, self.seconds, self.begun = folder, spec, data, seconds, begun
        self.device = spec.device
        self._timing = Timing()

    def timed(self) -> Timing:
        """Its seconds, or why there are none."""
        try:
            for folder in ("maps", "snapshots", "checkpoints", "control"):
                (self.folder / folder).mkdir(parents=True)
            device, self.device = pick(self.spec.device)
            torch.manual_seed(self.spec.seed)
            if not fits_in_memory(lambda: self._measure(device)):
                return Timing(problem=f"out of memory with batches of {self.spec.batch_size}")
        except (DataError, DeviceError, TrainingError, ValueError, OSError) as error:
            return Timing(problem=str(error))
        finally:
            torch.cuda.empty_cache()
        return self._timing

    def _measure(self, device: torch.device) -> None:
        if device.type == "cuda":
            torch.cuda.set_device(device)
            torch.cuda.reset_peak_memory_stats()
        with Desk(self.folder, 1) as desk:
            desk.use(device, self.device)
            model = build(self.spec.network).to(device).to(memory_format=torch.channels_last)
            trainer = Trainer(self.folder, self.spec, model, self.data, desk)
            look = partial(trainer.look, now=True)
            first = _spent(trainer.keep.save, trainer.prepare, look)
            self.begun()
            step = self._step(trainer)
            test = self._test(trainer)
            save = _spent(partial(trainer.keep.save, needed=True))
            snap = _spent(partial(trainer.keep.snap, 0, 0))
            last = _spent(partial(trainer.see_what_excites, at_end=True), look)
            cuda = device.type == "cuda"
            self._timing = Timing(
                step_seconds=step,
                test_seconds=test,
                save_seconds=save,
                once_seconds=first + last + snap * len(trainer.snapshots_at),
                steps_per_epoch=trainer.steps_per_epoch,
                pictures=trainer.used,
                memory=torch.cuda.max_memory_reserved() + CONTEXT if cuda else _resident(),
            )

    def _step(self, trainer: Trainer) -> float:
        """Seconds of a step, the device waited for."""
        batches = chain.from_iterable(trainer.batches() for _ in count())

        def learn(steps: int) -> None:
            for index in islice(batches, steps):
                set_lr(trainer.optimizer, self.spec.lr)
                trainer.learn(index)
            trainer.learn.mean_loss()

        warm = max(_spent(partial(learn, 1)) for _ in range(WARM_STEPS))
        taken, spent, steps = 0, 0.0, 1
        while (spent < self.seconds or taken < LEAST_STEPS) and (spent + warm < MOST_SECONDS or not taken):
            spent += _spent(partial(learn, steps))
            taken += steps
            steps = max(1, min(2 * steps, round(taken * (self.seconds - spent) / spent)))
        return spent / taken

    def _test(self, trainer: Trainer) -> float:
        """Seconds of a whole test, from a part of it."""
        images, labels = trainer.data.test_images[:MOST_TEST_BATCH], trainer.data.test_labels[:MOST_TEST_BATCH]

        def part() -> float:
            return _spent(partial(examine, trainer.model, images, labels, trainer.fit, self.spec.batch_size))

        seconds = part()
        if seconds < self.seconds:  # the first time is slower
            seconds = part()
        return seconds * len(trainer.data.test_labels) / len(labels)


def _spent(*works: Callable[[], object]) -> float:
    began = time.monotonic()
    for work in works:
        work()
    return time.monotonic() - began


def _load(spec: Spec) -> DataSet:
    """The data, where it is here.

    Raises:
        RefusedError: when it would be downloaded.
    """

    def refuse(said: str) -> None:
        raise RefusedError(f"{spec.data} is not here yet: the first run downloads it, and then its cost can be told")

    root = Path(spec.data_dir) if spec.data_dir else data_root()
    if spec.data in DATA_SETS:
        return load(spec.data, root, refuse, refuse, spec.input)
    return load(spec.data, root, lambda said: None, shape=spec.input)


def _meet(question: Question) -> None:
    """Wait for the others, so that all measure at the same time; not for ever, for one may have died."""
    if question.meet is None:
        return
    place = Path(question.meet)
    (place / str(os.getpid())).touch()
    deadline = time.monotonic() + MEET_SECONDS
    while len(list(place.iterdir())) < question.together and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


def _resident() -> int:
    """Bytes of memory that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    sys.exit(serve(Question, time_all, lambda question: "nothing was measured"))
