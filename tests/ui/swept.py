"""A sweep with fixed numbers, in the files that real ones leave: trained runs, one that failed, some that are going."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cnntui.runs.events import Data, Event, StateChange, Test, Train
from cnntui.runs.spec import Exit, Status, lock_of, process_facts
from cnntui.runs.sweeps.directory import prepare, read_sweep
from cnntui.runs.sweeps.plan import Design

DEPTHS = {"1": 1, "2": 2, "4": 4, "8": 8}
REACHED = {"depth 1": 0.874, "depth 2": 0.931, "depth 4": 0.972, "depth 8": 0.955}  # about, at the end
LUCK = (0.0, 0.006, -0.004)  # of the seeds
EPOCHS, STEPS, COUNT = 8, 23, 360  # steps of an epoch, test pictures
TRAINED, KILLED, GOING, WAITING = "trained", "killed", "going", "waiting"


def design(seeds: int = 3, depths: dict[str, int] | None = None, data: str = "digits") -> Design:
    """The sweep of depths."""
    return Design(
        "depth",
        "( conv {width} same; relu ) x{depth}; gap; linear 10",
        (1, 8, 8),
        tuple(range(seeds)),
        {"depth": 2, "width": 16, "data": data, "epochs": EPOCHS, "lr": 0.003},
        {"depth": dict(depths or DEPTHS)},
        about="How many layers of convolutions?",
    )


def write_swept(root: Path, states: Mapping[str, tuple[str, ...]] | None = None, plan: Design | None = None) -> Path:
    """The directory of a sweep under `root`; `states` are those of each configuration's seeds, else all are trained."""
    directory = prepare((plan or design()).plan(), root / "depth")
    for one in read_sweep(directory).configurations:
        told = (states or {}).get(one.label, ())
        for seed, name in enumerate(one.runs):
            state = told[seed] if seed < len(told) else TRAINED
            if state != WAITING:
                write_log(directory / name, one.label, seed, state)
    return directory


def accuracy(label: str, seed: int, epoch: int) -> float:
    """It rises towards what is reached, deeper nets more slowly; in whole test pictures."""
    slow = 0.8 + 0.25 * list(REACHED).index(label) if label in REACHED else 1.0
    share = REACHED.get(label, 0.9) + LUCK[seed % len(LUCK)] - 0.75 * math.exp(-epoch / slow)
    return round(share * COUNT) / COUNT


def write_log(run: Path, label: str, seed: int, state: str = TRAINED, attempt: int = 1) -> None:
    """What a trainer leaves: of a run that was killed half of it, of one that is going three quarters."""
    lock_of(run, attempt).touch()
    data = Data(
        step=0, name="digits", train=1437, test=COUNT, shape=(1, 8, 8), classes=list("0123456789"), sha256="",
        steps=EPOCHS * STEPS,
    )  # fmt: skip
    events: list[Event] = [data]
    last = {TRAINED: EPOCHS, KILLED: EPOCHS // 2, GOING: 3 * EPOCHS // 4}[state]
    reached = 0.0
    for epoch in range(1, last + 1):
        reached, done = accuracy(label, seed, epoch), epoch * STEPS
        for step in range(done - STEPS + 5, done, 6):
            loss = 2.3 * math.exp(-step / 40) + 0.3 * (1 - reached) + 0.02 * math.sin(step + seed)
            events.append(Train(step=step, epoch=epoch, loss=loss, lr=0.003, images_per_second=9000.0))
        loss, t = 3 * (1 - reached), 1.6 * epoch + seed
        events.append(Test(step=done, epoch=epoch, loss=loss, accuracy=reached, count=COUNT, t=t))
    if state == TRAINED:
        events.append(StateChange(step=last * STEPS, state="finished"))
    lines = [msgspec.structs.replace(event, seq=seq, attempt=attempt) for seq, event in enumerate(events, 1)]
    (run / f"events.{attempt}.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    status = Status(
        state="finished" if state == TRAINED else "training", phase="training", attempt=attempt, epoch=last,
        step=last * STEPS, steps=EPOCHS * STEPS, test_accuracy=reached, data="digits", device="cpu",
        images_per_second=9000.0, **process_facts(),
    )  # fmt: skip
    (run / "status.json").write_bytes(msgspec.json.encode(status))
    if state != GOING:
        end = Exit(attempt=attempt, code=None, signal="SIGKILL", ended="2026-11-21T12:00:00+00:00")
        end = end if state == KILLED else msgspec.structs.replace(end, code=0, signal=None)
        (run / "exit.json").write_bytes(msgspec.json.encode(end))
