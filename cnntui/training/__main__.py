"""The trainer's process: `python -m cnntui.training RUN_DIRECTORY [ATTEMPT]`.

Ends 0 when trained or stopped, 1 when it failed; the state says which, its message why.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from cnntui.runs.places import data_root
from cnntui.runs.spec import Spec, read_json

if TYPE_CHECKING:
    from cnntui.training.desk import Desk


def main(run: Path, attempt: int) -> int:
    """Train the run in `run`."""
    os.umask(0o077)
    spec = read_json(run / "spec.json", Spec)
    if spec is None:
        print(f"{run} holds no readable spec.json", file=sys.stderr)
        return 1
    try:
        os.close(os.open(run / f"attempt-{attempt}.lock", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        print(f"{run} is being trained or was trained already", file=sys.stderr)
        return 1
    from cnntui.training.desk import Desk

    with Desk(run, attempt) as desk:
        try:
            return work(run, spec, desk)
        except Exception as error:  # the last resort: the traceback goes to the log, one line to the person
            traceback.print_exc()
            desk.end("failed", f"{type(error).__name__}: {error}; see {run / 'stderr.log'}".replace("\n", " "))
            return 1


def work(run: Path, spec: Spec, desk: Desk) -> int:
    """Load, build, train."""
    import torch

    from cnntui.training.data import DataError, load
    from cnntui.training.devices import DeviceError, pick
    from cnntui.training.loop import Trainer, TrainingError
    from cnntui.training.model import build

    try:
        device, name = pick(spec.device)
        desk.torch_device = device
        desk.update(device=name)
        desk.enter("loading data")
        data = load(spec.data, Path(spec.data_dir) if spec.data_dir else data_root(), desk.notice)
        desk.update(data=data.name)
        torch.manual_seed(spec.seed)
        model = build(spec.network).to(device).to(memory_format=torch.channels_last)
        out_of_memory = False
        try:
            Trainer(run, spec, model, data.to(device), desk).train()
        except torch.OutOfMemoryError:
            out_of_memory = True  # the exception's frames hold tensors: free them by leaving the handler first
        if out_of_memory:
            torch.cuda.empty_cache()
            smaller = max(1, spec.batch_size // 2)
            desk.end("failed", f"out of memory with batches of {spec.batch_size}: try --batch-size {smaller}")
            return 1
    except (DataError, DeviceError, TrainingError, ValueError) as error:
        desk.end("failed", str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
