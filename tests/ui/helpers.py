"""What the tests of the screens share: counting bytes, and a finished run made of fixed numbers."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console, RenderableType
from textual._compositor import CompositorUpdate
from textual.screen import Screen

from cnntui.core.analysis import analyse
from cnntui.core.images import seven
from cnntui.core.nets import load_net
from cnntui.core.shading import shade
from cnntui.runs.events import Data, EventWriter, Notice, Probe, StateChange, Test, Train, to_number
from cnntui.runs.spec import Exit, Settings, Status, new_spec
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


def write_run(directory: Path, net: str = "mnist-3conv", state: str = "finished", nan: bool = False) -> Path:
    """A run directory as a trainer would have left it: 3 epochs, 300 steps, round numbers."""
    network = load_net(net).network
    spec = msgspec.structs.replace(
        new_spec(network, Settings(data="mnist", epochs=3)),
        run="20261120-120000-mnist-3conv-abc123",
        created="2026-11-20T12:00:00+00:00",
    )
    run = directory / spec.run
    (run / "maps").mkdir(parents=True)
    (run / "spec.json").write_bytes(msgspec.json.encode(spec))
    writer = EventWriter(run)
    writer.emit(StateChange(step=0, state="training"))
    writer.emit(
        Data(
            step=0,
            name="mnist",
            train=60_000,
            test=10_000,
            shape=(1, 28, 28),
            classes=list("0123456789"),
            sha256="0" * 64,
            steps=300,
        )
    )
    for step in range(5, 301, 5):
        loss = math.nan if nan and 100 <= step <= 150 else 2.3 * math.exp(-step / 60) + 0.05 + 0.02 * math.sin(step)
        writer.emit(
            Train(step=step, epoch=1 + (step - 1) // 100, loss=to_number(loss), lr=0.001, images_per_second=4000)
        )
        if step % 100 == 0:
            accuracy = 1 - 0.1 / (step / 50)
            writer.emit(Test(step=step, epoch=step // 100, loss=to_number(loss / 2), accuracy=accuracy, count=10_000))
    writer.emit(write_maps(run, network))
    if state == "paused":
        writer.emit(Notice(step=300, message="the loss is nan"))
    writer.close()
    status = Status(
        state=state,  # type: ignore[arg-type]
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


def write_maps(run: Path, network: Any) -> Probe:
    """Maps whose every channel is the picture, dimmer from channel to channel, every second one negative."""
    picture = seven(28, 28)[0]
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
    )
