"""The training's budgets: beside the textbook loop, until 99 %, and with somebody watching."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import statistics
import struct
import sys
import termios
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from cnntui.core.nets import load_net
from cnntui.runs import events
from cnntui.runs.control import send
from cnntui.runs.events import EventReader
from cnntui.runs.launch import launch
from cnntui.runs.places import data_root, has_mnist
from cnntui.runs.reader import RunReader
from cnntui.runs.schedules import factor
from cnntui.runs.spec import RECIPES, Settings, new_spec

NET = "mnist-2conv"
GOAL, SEEDS = 0.99, 5
WATCH_SECONDS, WATCH_ROUNDS = 20.0, 3


def images_per_second() -> dict[str, Any]:
    """Our step beside the textbook's: same net, batch, device and pictures; 3 rounds by turns, the best of each."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    from cnntui.training.augment import Augment
    from cnntui.training.data import Fitting, from_torchvision
    from cnntui.training.model import build
    from cnntui.training.optimizers import make_optimizer, set_lr
    from cnntui.training.step import Step

    if not has_mnist(data_root()):
        return {"not measured": f"no MNIST in {data_root()}: set CNNTUI_DATA"}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    network, batch = load_net(NET).network, 64
    count = 6_400 if device.type == "cpu" else 51_200
    spec = new_spec(network, Settings(batch_size=batch))
    data = from_torchvision("mnist", data_root(), print).to(device)
    fit = Fitting.of(data, spec.input)
    normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    pictures = torch.utils.data.Subset(datasets.MNIST(data_root(), train=True, transform=normalise), range(count))

    def ours() -> float:
        model = build(network).to(device).to(memory_format=torch.channels_last)
        optimizer = make_optimizer(spec, model)
        step = Step(model, optimizer, data, fit, Augment("none"), spec)
        if step.needs_preparing:
            step.prepare(capture=True)
        began = time.perf_counter()
        for number, index in enumerate(torch.split(torch.randperm(count).to(device), batch)):
            set_lr(optimizer, spec.lr * factor("cosine", number, count // batch))
            step(index)
        step.mean_loss()
        return count / (time.perf_counter() - began)

    def textbook() -> float:
        model = build(network).to(device)
        optimizer, loss_of = torch.optim.Adam(model.parameters()), nn.CrossEntropyLoss()
        began = time.perf_counter()
        for x, y in DataLoader(pictures, batch, shuffle=True):
            optimizer.zero_grad()
            loss = loss_of(model(x.to(device)), y.to(device))
            loss.backward()
            optimizer.step()
            loss.item()
        return count / (time.perf_counter() - began)

    pairs = [(ours(), textbook()) for _ in range(3)]
    one, two = (max(values) for values in zip(*pairs, strict=True))
    return {"device": str(device), "ours": round(one), "textbook": round(two), "ratio": round(one / two, 2)}


def until_99() -> dict[str, Any]:
    """Seconds until 99 % of the 10,000, by what they went to; mean and deviation over seeds. Only where there is a GPU."""
    import torch

    if not has_mnist(data_root()):
        return {"not measured": f"no MNIST in {data_root()}: set CNNTUI_DATA"}
    if not torch.cuda.is_available():
        return {"not measured": "no CUDA device here"}
    runs = []
    for seed in range(SEEDS):
        settings = Settings(data="mnist", seed=seed, **{**RECIPES["fast"], "epochs": 10})
        runs.append(_seconds_of(_run_to_its_end(settings)))
    reached = [run for run in runs if run["reached"]]
    if not reached:
        return {"not reached": runs}
    parts = {key: [run[key] for run in reached] for key in ("loading data", "compiling", "training", "evaluating")}
    return {"seeds": SEEDS, "reached": len(reached), "epochs": [run["epochs"] for run in reached]} | {
        key: f"{statistics.mean(values):.2f} ± {statistics.stdev(values) if len(values) > 1 else 0:.2f} s"
        for key, values in parts.items()
    }


def _run_to_its_end(settings: Settings) -> list[events.AnyEvent]:
    with TemporaryDirectory() as home:
        run = launch(new_spec(load_net(NET).network, settings), Path(home, "run"))
        reader = RunReader(run)
        while not reader.poll().over:
            time.sleep(0.2)
        return EventReader(run).poll(1 << 26)


def _seconds_of(log: list[events.AnyEvent]) -> dict[str, Any]:
    """How long each phase took, until the first test that reached the goal."""
    seconds: dict[str, Any] = dict.fromkeys(("loading data", "compiling", "training", "evaluating"), 0.0)
    phase, since = "", 0.0
    for event in log:
        match event:
            case events.Phase():
                seconds[phase] = seconds.get(phase, 0.0) + event.t - since
                phase, since = event.phase, event.t
            case events.Test() if event.accuracy >= GOAL:
                seconds[phase] += event.t - since
                return {**seconds, "reached": True, "epochs": event.epoch}
    return {**seconds, "reached": False, "epochs": 0}


def ranks() -> dict[str, Any]:
    """Images/s of 2 ranks and of 1 alone, as a run measures them before its first step; small batches and large ones."""
    import torch

    if torch.cuda.device_count() == 1:
        return {"not measured": "one CUDA device here, and two ranks need one each"}
    found = {}
    for batch in (64, 512):
        settings = Settings(data="mnist" if has_mnist(data_root()) else "digits", epochs=1, batch_size=batch, ranks=2)
        log = _run_to_its_end(settings)
        (measured,) = [event for event in log if isinstance(event, events.Ranks)]
        speeds = [event.images_per_second for event in log if isinstance(event, events.Train)]
        found[f"batches of {batch}"] = {
            "1 rank": round(measured.alone or 0),
            "2 ranks": round(measured.together),
            "in training": round(statistics.median(speeds)),
            "ratio": round(measured.gain or 0, 2),
        }
    return found


class Watcher:
    """A screen on a run, by default Train, in a pseudo-terminal of 120x40 whose bytes are counted."""

    def __init__(self, run: Path, keys: bytes = b"", command: str = "attach", settle: float = 6.0) -> None:
        self.bytes = 0
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
            os.execv(sys.executable, [sys.executable, "-m", "cnntui", command, str(run)])
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.read(settle)
        for key in keys:
            os.write(self.master, bytes([key]))
            self.read(0.3)
        self.read(settle / 3)

    def read(self, seconds: float) -> None:
        """Take what it writes."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                self.bytes += len(os.read(self.master, 65536))

    def cpu(self) -> float:
        """Seconds of a core, so far."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def close(self) -> None:
        """End it."""
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.master)


def watched() -> dict[str, Any]:
    """Images/s with the Train screen attached beside images/s without, by turns; what the screen sends and takes."""
    if not has_mnist(data_root()):
        return {"not measured": f"no MNIST in {data_root()}: set CNNTUI_DATA"}
    with TemporaryDirectory() as home:
        spec = new_spec(load_net(NET).network, Settings(data="mnist", epochs=10_000, schedule="constant"))
        run = launch(spec, Path(home, "run"))
        reader = RunReader(run)
        while len(reader.poll().train_loss) < 10:
            time.sleep(0.2)
        alone: list[float] = []
        seen: list[float] = []
        with_maps: list[float] = []
        without: list[float] = []
        cores: list[float] = []
        for _ in range(WATCH_ROUNDS):
            alone.append(speed(run, WATCH_SECONDS))
            for keys, sent in ((b"", with_maps), (b"\t3", without)):  # the second pane: maps, then the learning rate
                watcher = Watcher(run, keys)
                before, cpu, began = watcher.bytes, watcher.cpu(), time.monotonic()
                steps = step_of(run)
                watcher.read(WATCH_SECONDS)
                seconds = time.monotonic() - began
                seen.append((step_of(run) - steps) * spec.batch_size / seconds)
                sent.append((watcher.bytes - before) / seconds)
                cores.append((watcher.cpu() - cpu) / seconds)
                watcher.close()
        send(run, "pause")
        while reader.poll().state != "paused":
            time.sleep(0.2)
        idle = Watcher(run)
        idle.read(3.0)
        before = idle.bytes
        idle.read(5.0)
        quiet = (idle.bytes - before) / 5
        idle.close()
        send(run, "stop")
        while not reader.poll().over:
            time.sleep(0.2)
    return {
        "images/s, share of headless": round(statistics.median(seen) / statistics.median(alone), 3),
        "bytes/s with maps": round(statistics.mean(with_maps)),
        "bytes/s without": round(statistics.mean(without)),
        "core of the viewer": round(statistics.mean(cores), 3),
        "bytes/s while paused": round(quiet),
    }


def step_of(run: Path) -> int:
    """The last step in the log's last lines."""
    with (run / "events.1.jsonl").open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
        steps = [
            line.split(b'"step":')[1].split(b",")[0] for line in file.read().splitlines() if b'"kind":"train"' in line
        ]
    return int(steps[-1])


def speed(run: Path, seconds: float) -> float:
    steps, began = step_of(run), time.monotonic()
    time.sleep(seconds)
    return (step_of(run) - steps) * 64 / (time.monotonic() - began)
