"""What the tests of the screens share: counting bytes, and a finished run made of fixed numbers."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console, RenderableType
from textual import events
from textual._compositor import CompositorUpdate
from textual.pilot import Pilot
from textual.screen import Screen

from cnntui.core.analysis import analyse
from cnntui.core.images import seven
from cnntui.core.nets import load_net
from cnntui.core.shading import shade
from cnntui.runs.events import (
    Answer,
    Checkpoint,
    Classes,
    Data,
    EventWriter,
    Misread,
    Notice,
    Probe,
    Snapshot,
    StateChange,
    Test,
    Train,
    to_number,
)
from cnntui.runs.spec import Exit, Settings, Status, new_spec, process_facts
from cnntui.ui.app import CnntuiApp
from cnntui.ui.views.convolve import ConvolveView

SIZES = {"80x24": (80, 24), "120x40": (120, 40)}


class MeteredApp(CnntuiApp):
    """Counts the bytes that a terminal would get."""

    def __init__(self, mode: str, color: Any = "truecolor", **given: Any) -> None:
        super().__init__(mode, **given)
        self.sent = 0
        self.meter = Console(file=io.StringIO(), color_system=color, force_terminal=True, width=300)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if isinstance(renderable, CompositorUpdate):
            self.sent += len(renderable.render_segments(self.meter).encode())
        elif renderable is not None:
            with self.meter.capture() as written:
                self.meter.print(renderable, end="")
            self.sent += len(written.get().encode())
        super()._display(screen, renderable)


async def animation_bytes(size: tuple[int, int], color: str = "truecolor") -> list[int]:
    """Bytes of each step of a 3×3 kernel, once round the output of a 12×12 input."""
    app = MeteredApp("convolve", color=color)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        view = app.screen.query_one(ConvolveView)
        view.set_state(view.state.use_picture("seven"))
        await pilot.pause()
        if view.state.operation.input.shape != (1, 12, 12) or view.state.operation.kernel_size != (3, 3):
            raise AssertionError("the budget is for 3×3 over 12×12")
        sent = []
        for _ in range(view.state.steps):
            app.sent = 0
            view.action_step(1)
            await pilot.pause()
            sent.append(app.sent)
    return sent


async def burst(pilot: Pilot[None], *keys: str) -> None:
    """Keys that come all at once, as they do over a slow link."""
    for key in keys:
        pilot.app.post_message(events.Key(key, key if len(key) == 1 else None))
    await pilot.pause()
    await pilot.pause()


# Digits of 5×7 cells, a row in five bits: small, and known at once.
DIGITS = (
    (14, 17, 19, 21, 25, 17, 14),
    (4, 12, 4, 4, 4, 4, 14),
    (14, 17, 1, 2, 4, 8, 31),
    (31, 2, 4, 2, 1, 17, 14),
    (2, 6, 10, 18, 31, 2, 2),
    (31, 16, 30, 1, 1, 17, 14),
    (6, 8, 16, 30, 17, 17, 14),
    (31, 1, 2, 4, 8, 8, 8),
    (14, 17, 17, 14, 17, 17, 14),
    (14, 17, 17, 15, 1, 2, 12),
)
# Which test pictures are taken for what, and how surely.
MISREAD = [
    Misread(1242, 4, 9, 0.97),
    Misread(247, 4, 2, 0.93),
    Misread(4163, 9, 0, 0.91),
    Misread(2654, 6, 1, 0.88),
    Misread(8, 5, 6, 0.83),
    Misread(3520, 6, 4, 0.8),
    Misread(1901, 9, 4, 0.76),
    Misread(582, 8, 2, 0.71),
    Misread(445, 6, 0, 0.66),
    Misread(1112, 4, 6, 0.6),
    Misread(2462, 2, 0, 0.55),
    Misread(2597, 5, 3, 0.52),
]
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def digit(label: int, shift: int = 0) -> Any:
    """A digit of 28×28 pixels, 0 to 255."""
    cells = np.array([[row >> 4 - x & 1 for x in range(5)] for row in DIGITS[label]]).repeat(3, 0).repeat(3, 1)
    picture = np.zeros((28, 28))
    picture[3 + shift : 24 + shift, 6:21] = cells * 255
    smooth = (picture + np.roll(picture, 1, 0) + np.roll(picture, 1, 1) + np.roll(picture, -1, 1)) / 4
    return smooth.astype(np.uint8)


def write_run(
    directory: Path,
    net: str = "mnist-3conv",
    state: str = "finished",
    nan: bool = False,
    name: str = "20261120-120000-mnist-3conv-abc123",
    slower: float = 1.0,
    **settings: Any,
) -> Path:
    """A run directory as a trainer would have left it: 3 epochs, 300 steps, round numbers."""
    network = load_net(net).network
    chosen = Settings(**{"data": "mnist", "epochs": 3, **settings})
    spec = msgspec.structs.replace(new_spec(network, chosen), run=name, created="2026-11-20T12:00:00+00:00")
    run = directory / spec.run
    (run / "maps").mkdir(parents=True)
    (run / "spec.json").write_bytes(msgspec.json.encode(spec))
    writer = EventWriter(run)
    writer.emit(StateChange(step=0, state="training"))
    writer.emit(write_data(run))
    for step in range(5, 301, 5):
        loss = 2.3 * math.exp(-step / 60 / slower) + 0.05 + 0.02 * math.sin(step)
        loss = math.nan if nan and 100 <= step <= 150 else loss
        lr = chosen.lr * (0.55 + 0.45 * math.cos(step / 300 * math.pi))
        speed = 4000 + 40 * math.sin(step / 9)
        writer.emit(Train(step=step, epoch=1 + (step - 1) // 100, loss=to_number(loss), lr=lr, images_per_second=speed))
        if step % 100 == 0:
            accuracy = 1 - 0.1 * slower / (step / 50)
            writer.emit(Test(step=step, epoch=step // 100, loss=to_number(loss / 2), accuracy=accuracy, count=10_000))
            writer.emit(Snapshot(step=step, epoch=step // 100, file=f"step-{step}.safetensors"))
    writer.emit(write_classes(run))
    writer.emit(Answer(step=234, id="a", command="set", accepted=True, message="learning rate 0.0005 from step 235"))
    writer.emit(Checkpoint(step=200, directory="step-200", epoch=2))
    writer.emit(write_maps(run, network))
    if state == "paused":
        writer.emit(Notice(step=300, message="the loss is nan"))
    writer.close()
    status = Status(
        state="training" if state == "crashed" else state,  # type: ignore[arg-type]
        epoch=3,
        step=300,
        steps=300,
        test_accuracy=1 - 0.1 / 6,
        images_per_second=4000.0,
        data="mnist",
        device="cpu",
        memory=2**29,
    )
    (run / "status.json").write_bytes(msgspec.json.encode(status))
    end = Exit(attempt=1, code=0, signal=None, ended="2026-11-20T12:01:00+00:00")
    if state == "crashed":
        end = Exit(attempt=1, code=None, signal="SIGKILL", ended="2026-11-20T12:01:00+00:00")
    (run / "exit.json").write_bytes(msgspec.json.encode(end))
    return run


def make_live(run: Path, **facts: Any) -> Path:
    """The same run as it was at step 240, its trainer this very process."""
    (run / "exit.json").unlink()
    live = {
        "state": "training",
        "phase": "training",
        "epoch": 3,
        "step": 240,
        "steps": 300,
        "images_per_second": 4000.0,
        "seconds_left": 1.0,
    }
    status = Status(**{**live, "device": "cpu", "memory": 2**29, **process_facts(), **facts})
    (run / "status.json").write_bytes(msgspec.json.encode(status))
    return run


def write_data(run: Path) -> Data:
    """Two pictures of each digit."""
    np.save(run / "maps" / "data.npy", np.stack([digit(i % 10, i // 10)[None] for i in range(20)]))
    return Data(
        step=0,
        name="mnist",
        train=60_000,
        test=10_000,
        shape=(1, 28, 28),
        classes=list("0123456789"),
        sha256="0" * 64,
        steps=300,
        train_counts=TRAIN_COUNTS,
        test_counts=TEST_COUNTS,
        mean=[0.1307],
        deviation=[0.3081],
        samples="data.npy",
        sample_labels=[i % 10 for i in range(20)],
    )


def write_classes(run: Path) -> Classes:
    """One of seven more pictures of each class is taken for the next class, three more for the one after it."""
    confusion = [[0] * 10 for _ in range(10)]
    for label, count in enumerate(TEST_COUNTS):
        first, second = 7 * (label % 4) + label // 2, 3 * (label % 3)
        confusion[label][(label + 5) % 10], confusion[label][(label + 2) % 10] = first, second
        confusion[label][label] = count - first - second
    np.save(run / "maps" / "misread.npy", np.stack([digit(m.label, m.read % 4)[None] for m in MISREAD]))
    return Classes(
        step=300,
        epoch=3,
        counts=TEST_COUNTS,
        right=[confusion[i][i] for i in range(10)],
        confusion=confusion,
        misread=MISREAD,
        pictures="misread.npy",
    )


def write_maps(run: Path, network: Any) -> Probe:
    """Maps whose every channel is the picture, dimmer from channel to channel, every second one negative."""
    picture = seven(28, 28)[0]
    waves = [[np.sin(i + (i % 3) * x + (i % 4 - 1) * y) for x in range(3)] for i in range(8) for y in range(3)]
    np.save(run / "maps" / "300-filters.npy", (0.42 * np.array(waves)).reshape(8, 1, 3, 3).astype(np.float32))
    maps, scales, channels = {}, {}, {}
    for row in (None, *analyse(network).rows):
        name = row.node.name if row else "input"
        shape = row.output if row else (1, 28, 28)
        if shape is None or len(shape) != 3:
            continue
        count = min(shape[0], 16)
        small = picture[:: 28 // shape[1], :: 28 // shape[2]][: shape[1], : shape[2]]
        stack = np.stack([small * (1 - i / 20) * (1 if i % 2 == 0 else -1) for i in range(count)])
        maps[name] = f"300-{name}.npy"
        scales[name], channels[name] = 1.5, shape[0]
        np.save(run / "maps" / maps[name], shade(np.broadcast_to(stack, (10, *stack.shape)), 1.0))
    probabilities = [[0.91 if c == i else 0.01 for c in range(10)] for i in range(10)]
    return Probe(
        step=300,
        pictures=list(range(100, 110)),
        labels=list(range(10)),
        probabilities=probabilities,
        maps=maps,
        scales=scales,
        channels=channels,
        filters="300-filters.npy",
        filters_layer="conv1",
        filters_scale=0.42,
    )
