"""A finished run with real weights, trained here by core alone: small, the same each time, and with one digit misread."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors.numpy import save_file

from cnntui.core.analysis import Analysis, analyse
from cnntui.core.backward import of_loss
from cnntui.core.forward import forward
from cnntui.core.learning import Adam, MomentsOf, stepped
from cnntui.core.notation import parse
from cnntui.core.parameters import Parameters, module_names, untrained
from cnntui.core.windows import Array
from cnntui.runs import test_pictures
from cnntui.runs.checkpoints import MODEL, OPTIMIZER, STATE
from cnntui.runs.events import Checkpoint, Classes, Data, EventWriter, Misread, Snapshot, StateChange, Test, Train
from cnntui.runs.spec import Exit, Settings, Status, new_spec
from cnntui.runs.test_pictures import About, Gallery
from tests.ui.helpers import digit

NET = "conv 6 k5 same; relu; maxpool 2; conv 8; relu; maxpool 2; flatten; linear 10"
NAME = "20261121-100000-digits-abc123"
STEPS, EPOCHS = 150, 3
SNAPSHOTS = (0, 2, 6, 15, 30, 60, 100, 150)
CHECKPOINTS = (50, 100, 150)
RULE = Adam(0.004)
MEAN, DEVIATION = 0.14, 0.3  # of the pictures, scaled to 0..1
DATA_NAME = "digits"
SHA = hashlib.sha256(b"drawn digits").hexdigest()
CLASSES = tuple("0123456789")
FALSE_SEVEN = 7  # the number of the test picture that is misread
STEEP = (4, 12, 20, 4, 4, 4, 14)  # a seven, its author says
NOISE = 16


@dataclass(frozen=True, eq=False)
class Trained:
    """Parameters by step, what the optimizer remembers at the checkpoints, and the loss of each step."""

    analysis: Analysis
    parameters: Mapping[int, Parameters]
    moments: Mapping[int, MomentsOf]
    losses: tuple[float, ...]


def steep_seven() -> Array:
    """A seven (28, 28) that looks like a one."""
    cells = np.array([[row >> 4 - x & 1 for x in range(5)] for row in STEEP]).repeat(3, 0).repeat(3, 1)
    picture = np.zeros((28, 28))
    picture[4:25, 6:21] = cells * 255
    smooth = (picture + np.roll(picture, 1, 0) + np.roll(picture, 1, 1) + np.roll(picture, -1, 1)) / 4
    return smooth.astype(np.uint8)


def speckled(picture: Array, rng: np.random.Generator) -> Array:
    """Moved a little, with a little noise."""
    moved = np.roll(picture, tuple(int(by) for by in rng.integers(-2, 3, 2)), (0, 1))
    return np.asarray(np.clip(moved + rng.normal(0, NOISE, moved.shape), 0, 255).astype(np.uint8))


@cache
def pictures() -> tuple[Array, Array]:
    """The test pictures (20, 1, 28, 28) uint8 and their labels (20,): each digit twice, one of them drawn badly."""
    rng = np.random.default_rng(7)
    drawn = [digit(i) if i < 10 else speckled(digit(i - 10), rng) for i in range(20)]
    drawn[FALSE_SEVEN] = steep_seven()
    return np.stack(drawn)[:, None], np.arange(20) % 10


def prepared(pixels: Array) -> Array:
    """A picture (28, 28) as an input of the net (1, 28, 28)."""
    return np.asarray((pixels[None] / 255 - MEAN) / DEVIATION)


@cache
def trained() -> Trained:
    """150 pictures, one a step. The numbers that are kept are rounded: they do not depend on how a machine adds up."""
    analysis = analyse(parse(NET, (1, 28, 28), "digits"))
    rng = np.random.default_rng(3)
    parameters, moments = untrained(analysis, seed=9), None
    kept: dict[int, Parameters] = {0: rounded(parameters)}
    remembered: dict[int, MomentsOf] = {}
    losses = []
    order = np.concatenate([rng.permutation(10) for _ in range(STEPS // 10)])
    for step, label in enumerate(map(int, order), 1):
        trace = forward(analysis, parameters, prepared(speckled(digit(label), rng)))
        losses.append(float(-np.log(trace.probabilities[label])))
        parameters, moments = stepped(parameters, of_loss(trace, label).parameters, RULE, moments)
        if step in SNAPSHOTS or step in CHECKPOINTS:
            kept[step] = rounded(parameters)
        if step in CHECKPOINTS:
            remembered[step] = moments
    return Trained(analysis, kept, remembered, tuple(losses))


def rounded(parameters: Parameters) -> Parameters:
    """To four decimals, in float32, as a file has them."""
    return {
        node: {name: np.round(tensor, 4).astype(np.float32) for name, tensor in own.items()}
        for node, own in parameters.items()
    }


def tensors(analysis: Analysis, parameters: Parameters) -> dict[str, Array]:
    """By torch's full names."""
    modules = module_names(analysis.network)
    return {
        f"{modules[node]}.{name}": np.ascontiguousarray(tensor)
        for node, own in parameters.items()
        for name, tensor in own.items()
    }


def keep_pictures() -> Gallery:
    """Put the test pictures where those of this test look for them."""
    drawn, labels = pictures()
    about = About(
        name=DATA_NAME,
        sha256=SHA,
        shape=(1, 28, 28),
        classes=list(CLASSES),
        mean=[MEAN],
        deviation=[DEVIATION],
    )
    return test_pictures.keep(about, drawn, labels)


@cache
def read_as() -> tuple[tuple[int, float], ...]:
    """What the trained net reads each test picture as, and how surely."""
    net = trained()
    found = []
    for picture in pictures()[0]:
        shares = forward(net.analysis, net.parameters[STEPS], prepared(picture[0])).probabilities
        found.append((int(shares.argmax()), float(shares.max())))
    return tuple(found)


def write_explored(directory: Path, last: int = STEPS, kept: bool = True) -> Path:
    """The run as its trainer left it; `last` leaves out what came after that step, `kept` keeps the test pictures, too."""
    net = trained()
    chosen = Settings(data="digits", epochs=EPOCHS, batch_size=1, lr=RULE.lr)
    spec = msgspec.structs.replace(
        new_spec(net.analysis.network, chosen), run=NAME, created="2026-11-21T10:00:00+00:00"
    )
    run = directory / NAME
    (run / "maps").mkdir(parents=True)
    (run / "snapshots").mkdir()
    (run / "checkpoints").mkdir()
    (run / "spec.json").write_bytes(msgspec.json.encode(spec))
    writer = EventWriter(run)
    writer.emit(StateChange(step=0, state="training"))
    writer.emit(about_data())
    each = STEPS // EPOCHS
    for step in range(last + 1):
        epoch = -(-step // each)
        if step and step % 5 == 0:
            loss = float(np.mean(net.losses[step - 5 : step]))
            writer.emit(Train(step=step, epoch=epoch, loss=loss, lr=RULE.lr, images_per_second=150.0))
        if step in SNAPSHOTS:
            writer.emit(write_snapshot(run, step))
        if step in CHECKPOINTS:
            write_checkpoint(run, step)
            right = sum(int(read == label) for (read, _), label in zip(read_as(), pictures()[1], strict=True))
            writer.emit(Test(step=step, epoch=epoch, loss=0.3, accuracy=float(right) / 20, count=20))
            writer.emit(Checkpoint(step=step, directory=f"step-{step}", epoch=epoch))
    if last == STEPS:
        writer.emit(classes_of(run))
    writer.close()
    status = Status(state="finished", epoch=EPOCHS, step=last, steps=STEPS, data="digits", device="cpu")
    (run / "status.json").write_bytes(msgspec.json.encode(status))
    end = Exit(attempt=1, code=0, signal=None, ended="2026-11-21T10:01:00+00:00")
    (run / "exit.json").write_bytes(msgspec.json.encode(end))
    if kept:
        keep_pictures()
    return run


def about_data() -> Data:
    """What the log tells of the pictures."""
    return Data(
        step=0,
        name=DATA_NAME,
        train=STEPS,
        test=20,
        shape=(1, 28, 28),
        classes=list(CLASSES),
        sha256=SHA,
        steps=STEPS,
        train_counts=[STEPS // 10] * 10,
        test_counts=[2] * 10,
        mean=[MEAN],
        deviation=[DEVIATION],
    )


def write_snapshot(run: Path, step: int, of: int | None = None) -> Snapshot:
    """The weights of a step, or as if of it those of another."""
    net = trained()
    file = f"step-{step}.safetensors"
    save_file(tensors(net.analysis, net.parameters[step if of is None else of]), run / "snapshots" / file)
    return Snapshot(step=step, epoch=-(-step // (STEPS // EPOCHS)), file=file)


def write_checkpoint(run: Path, step: int) -> None:
    """With the optimizer's numbers, the hashes, and the pointers to it: the last is the best."""
    net = trained()
    directory = run / "checkpoints" / f"step-{step}"
    directory.mkdir()
    save_file(tensors(net.analysis, net.parameters[step]), directory / MODEL)
    state: dict[str, Array] = {}
    names = [(node, name) for node, own in net.parameters[step].items() for name in own]
    for number, (node, name) in enumerate(names):
        moments: Any = net.moments[step][node][name]
        state[f"state.{number}.step"] = np.array(moments.step, np.float32)
        for what in ("exp_avg", "exp_avg_sq"):
            state[f"state.{number}.{what}"] = np.ascontiguousarray(getattr(moments, what), np.float32)
    save_file(state, directory / OPTIMIZER)
    facts = {
        "step": step,
        "epoch": step * EPOCHS // STEPS,
        "lr": RULE.lr,
        "net": "digits",
        "data": "digits",
        "classes": CLASSES,
        "mean": [MEAN],
        "deviation": [DEVIATION],
        "shape": [1, 28, 28],
    }
    (directory / STATE).write_text(json.dumps(facts))
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}
    (directory / "MANIFEST.json").write_text(json.dumps(hashes))
    for pointer in ("LAST", "BEST"):
        (directory.parent / pointer).write_text(directory.name)


def classes_of(run: Path) -> Classes:
    """The test, class by class; what was misread, the surest first."""
    drawn, labels = pictures()
    confusion = [[0] * 10 for _ in range(10)]
    wrong = []
    for number, ((read, share), label) in enumerate(zip(read_as(), map(int, labels), strict=True)):
        confusion[label][read] += 1
        if read != label:
            wrong.append(Misread(number, label, read, round(share, 4)))
    wrong.sort(key=lambda mistake: -mistake.probability)
    if wrong:
        np.save(run / "maps" / "misread.npy", np.stack([drawn[mistake.picture] for mistake in wrong]))
    return Classes(
        step=STEPS,
        epoch=EPOCHS,
        counts=[2] * 10,
        right=[confusion[i][i] for i in range(10)],
        confusion=confusion,
        misread=wrong,
        pictures="misread.npy" if wrong else None,
    )
