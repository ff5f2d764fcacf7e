"""The trainer's process: `python -m cnntui.training RUN_DIRECTORY [ATTEMPT]`.

Ends 0 when trained or stopped, 1 when it failed; the state says which, its message why. Of several ranks each is such a
process; the first trains, the others follow it.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cnntui.runs.places import data_root
from cnntui.runs.spec import (
    AT_HAND,
    DATA_SETS,
    ENDED,
    LOST,
    REFUSED,
    Exit,
    Spec,
    Status,
    age,
    liveness,
    lock_of,
    read_json,
)

if TYPE_CHECKING:
    from cnntui.training.desk import Desk

DOWNLOADED = tuple(name for name in DATA_SETS if name not in AT_HAND)


def main(run: Path, attempt: int) -> int:
    """Train the run in `run`."""
    os.umask(0o077)
    spec = read_json(run / "spec.json", Spec)
    if spec is None:
        print(f"{run} holds no readable spec.json", file=sys.stderr)
        return 1
    if spec.ranks > 1 and os.environ.get("RANK", "0") != "0":
        from cnntui.training.follower import follow

        return follow(run, spec)
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
        desk = Desk(run, attempt, spec.ranks)
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
    from cnntui.training.course import TrainingError
    from cnntui.training.data import DataError, load
    from cnntui.training.desk import StoppedError
    from cnntui.training.devices import DeviceError, check_marks, mark, no_room, pick
    from cnntui.training.loop import Trainer
    from cnntui.training.model import build
    from cnntui.training.team import LostError, Order, Team, TeamError
    from cnntui.training.weights import WeightsError, begin

    def train() -> None:
        model = build(spec.network)
        checkpoint = newest(run, desk.notice) if attempt > 1 else None
        if spec.weights_from and checkpoint is None:
            taken = begin(model, spec)
            for line in (*taken.refused, taken.summary):
                desk.notice(line)
        model = model.to(device).to(memory_format=torch.channels_last)
        Trainer(run, spec, model, data, desk, team).train(checkpoint, paused)

    team: Team | None = None
    paused = False
    try:
        try:
            if lost := lost_before(run, attempt):
                desk.notice(f"{lost.words}: all go on from the last checkpoint")
                paused = was_paused(run, lost.attempt)
            if spec.ranks > 1:
                desk.enter("waiting for the other ranks")
                team = Team(spec.ranks)
            device, name = pick(spec.device, team.local_rank if team else None)
            if device.type == "cuda":
                torch.cuda.set_device(device)  # for streams and graphs, which are of the present one
            if team:
                team.tell(Order.DEVICE)
                check_marks([each[0] for each in team.exchange(mark(device))], spec.sync_bn)
            desk.use(device, name)
            desk.enter("loading data")
            if team and spec.data not in DOWNLOADED:
                team.tell(Order.LOAD, DATA_SETS.index(spec.data) if spec.data in DATA_SETS else -1)
                team.use(device)
            data = load(spec.data, data_root(spec.data_dir), desk.notice, desk.loading, spec.input)
            desk.update(data=data.name)
            if team and spec.data in DOWNLOADED:  # now it lies there for all
                team.tell(Order.LOAD, DATA_SETS.index(data.name))
                team.use(device)
            torch.manual_seed(spec.seed)
            if not fits_in_memory(train):
                desk.steered = None
                torch.cuda.empty_cache()
                desk.end("failed", no_room(spec.batch_size))
                return 1
        except StoppedError:
            if team and team.waiting:  # told to end because one of them has ended, it has not stopped
                team.tell(Order.REPORT)
                team.exchange()
            desk.end("finished", "stopped before the training began")
    except LostError as error:  # its supervisor knows which, and says how this attempt ended
        desk.notice(f"another rank is gone: {error}")
        return LOST
    except (DataError, DeviceError, TeamError, TrainingError, WeightsError, ValueError) as error:
        desk.end("failed", str(error))
        return 1
    finally:
        if team:
            team.close()
    return 0


def lost_before(run: Path, attempt: int) -> Exit | None:
    """How the attempt before this one ended, if its supervisor began this one at once, a rank having been lost."""
    ended = read_json(run / "exit.json", Exit)
    return ended if ended and ended.restarted and ended.attempt == attempt - 1 else None


def was_paused(run: Path, attempt: int) -> bool:
    """Whether an attempt stood still when it was told to end."""
    from cnntui.runs.events import NOT_JSON, StateChange

    state = ""
    with suppress(OSError), (run / f"events.{attempt}.jsonl").open("rb") as log:
        for line in log:
            if line.startswith(b'{"kind":"state"'):  # as EventWriter begins it
                with suppress(*NOT_JSON):
                    told = msgspec.json.decode(line, type=StateChange).state
                    state = state if told == "stopping" else told
    return state == "paused"


def fits_in_memory(train: Callable[[], None]) -> bool:
    """Train; false when memory ran out. What the exception's frames held, tensors above all, is free when this returns."""
    from cnntui.training.devices import ran_out

    try:
        train()
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        return False
    return True


if __name__ == "__main__":
    code = main(Path(sys.argv[1]).absolute(), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    if "RANK" in os.environ:  # what torch tears down by itself takes seconds, or fails where another rank is gone
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
