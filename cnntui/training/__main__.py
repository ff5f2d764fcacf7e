"""The trainer's process: `python -m cnntui.training RUN_DIRECTORY [ATTEMPT]`.

Ends 0 when trained or stopped, 1 when it failed; the state says which, its message why.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cnntui.runs.places import data_root
from cnntui.runs.spec import ENDED, REFUSED, Spec, Status, age, liveness, lock_of, read_json

if TYPE_CHECKING:
    from cnntui.training.desk import Desk


def main(run: Path, attempt: int) -> int:
    """Train the run in `run`."""
    os.umask(0o077)
    spec = read_json(run / "spec.json", Spec)
    if spec is None:
        print(f"{run} holds no readable spec.json", file=sys.stderr)
        return 1
    other = read_json(run / "status.json", Status)
    if (
        other is not None
        and other.state not in ENDED
        and liveness(other, age(run / "status.json")) in ("alive", "stalled")
    ):
        print(f"{run} is being trained, by process {other.pid} on {other.host}", file=sys.stderr)
        return REFUSED
    lock_of(run, attempt).touch(mode=0o600)
    from cnntui.training.desk import Desk

    try:
        desk = Desk(run, attempt)
    except FileExistsError:
        print(f"{run}: attempt {attempt} is another process's", file=sys.stderr)
        return REFUSED
    with desk:
        try:
            return work(run, spec, desk, attempt)
        except Exception as error:  # the last resort: the traceback goes to the log, one line to the person
            traceback.print_exc()
            desk.end("failed", f"{type(error).__name__}: {error}; see {run / 'stderr.log'}".replace("\n", " "))
            return 1


def work(run: Path, spec: Spec, desk: Desk, attempt: int) -> int:
    """Load, build, train; from the second attempt on, from the last checkpoint that is whole."""
    import torch

    from cnntui.training.checkpoints import newest
    from cnntui.training.data import DataError, load
    from cnntui.training.desk import StoppedError
    from cnntui.training.devices import DeviceError, pick
    from cnntui.training.loop import Trainer, TrainingError
    from cnntui.training.model import build
    from cnntui.training.weights import WeightsError, take_over

    def train() -> None:
        model = build(spec.network)
        checkpoint = newest(run, desk.notice) if attempt > 1 else None
        if spec.weights_from and checkpoint is None:
            taken = take_over(model, Path(spec.weights_from))
            for line in (*taken.refused, taken.summary):
                desk.notice(line)
        model = model.to(device).to(memory_format=torch.channels_last)
        Trainer(run, spec, model, data, desk).train(checkpoint)

    try:
        device, name = pick(spec.device)
        if device.type == "cuda":
            torch.cuda.set_device(device)  # for streams and graphs, which are of the present one
        desk.use(device, name)
        desk.enter("loading data")
        root = Path(spec.data_dir) if spec.data_dir else data_root()
        data = load(spec.data, root, desk.notice, desk.loading, spec.input)
        desk.update(data=data.name)
        torch.manual_seed(spec.seed)
        if not fits_in_memory(train):
            desk.steered = None
            torch.cuda.empty_cache()
            smaller = f"--batch-size {spec.batch_size // 2}" if spec.batch_size > 1 else "a smaller input or net"
            desk.end("failed", f"out of memory with batches of {spec.batch_size}: try {smaller}")
            return 1
    except StoppedError:
        desk.end("finished", "stopped before the training began")
    except (DataError, DeviceError, TrainingError, WeightsError, ValueError) as error:
        desk.end("failed", str(error))
        return 1
    return 0


def fits_in_memory(train: Callable[[], None]) -> bool:
    """Train; false when memory ran out. What the exception's frames held, tensors above all, is free when this returns."""
    import torch

    try:
        train()
    except (torch.OutOfMemoryError, MemoryError):
        return False
    except RuntimeError as error:
        if not re.search(r"can't allocate memory|not enough memory|out of memory|ALLOC_FAILED", str(error)):
            raise
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
