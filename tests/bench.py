"""The budgets, measured: every time beside something else in the same run, so that the ratio means something.

Prints a table and writes bench.json. What cannot be measured here is said, not skipped in silence.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROUNDS = 7
BARE_APP = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("bare")
Bare().run()
"""


def first_paint(code: list[str]) -> float:
    """Seconds from the start of a program in a pseudo-terminal to its first 500 bytes."""
    began = time.perf_counter()
    pid, master = pty.fork()
    if pid == 0:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LINES": "40", "COLUMNS": "120"}
        os.execv(sys.executable, [sys.executable, *code])
    seen = 0
    while seen < 500 and time.perf_counter() - began < 30:
        if select.select([master], [], [], 0.01)[0]:
            seen += len(os.read(master, 65536))
    took = time.perf_counter() - began
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(master)
    return took


def whole_process(code: list[str]) -> float:
    """Seconds of a whole process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def beside(ours: Any, theirs: Any, rounds: int = ROUNDS) -> dict[str, float]:
    """Medians of two measurements taken by turns, and their ratio."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    one, two = (statistics.median(values) for values in zip(*pairs, strict=True))
    return {"ours_s": round(one, 3), "beside_s": round(two, 3), "ratio": round(one / two, 2)}


def step_bytes(size: tuple[int, int]) -> dict[str, float]:
    """Bytes of the steps of a 3×3 kernel over a 12×12 input."""
    from tests.ui.helpers import animation_bytes

    sent = asyncio.run(animation_bytes(size))
    return {"mean": round(statistics.mean(sent)), "largest": max(sent)}


def edit_milliseconds() -> float:
    """One layer of resnet152 edited, until the facts of all its layers are new."""
    from cnntui.labs.build import open_net

    state = open_net("resnet152")
    times = []
    for kernel in range(1, 30):
        began = time.perf_counter()
        changed = state.rewrite(f"conv 64 k{kernel} s2 p{kernel // 2} nobias")
        assert len(changed.analysis.rows) == len(state.network)
        times.append(time.perf_counter() - began)
    return round(statistics.median(times) * 1000, 2)


TORCHINFO = """
import torchinfo, torchvision
torchinfo.summary(torchvision.models.resnet152(), (1, 3, 224, 224))
"""


def large_picture_milliseconds() -> dict[str, float]:
    """A weight of a 7×7 kernel over a 512×512 picture changed, until the screen is painted; and one step of the window."""
    from cnntui.ui.app import CnntuiApp
    from cnntui.ui.views.convolve import ConvolveView

    async def measure() -> dict[str, float]:
        app = CnntuiApp("convolve")
        async with app.run_test(size=(120, 40)) as pilot:
            view = app.screen.query_one(ConvolveView)
            for words in ("size kernel 7", "random kernel 1", "picture house 512x512"):
                view.say(words)
            await pilot.pause()
            edits, steps = [], []
            for value in range(15):
                began = time.perf_counter()
                view.say(f"weight 0,0 {value}")
                await pilot.pause(0)
                edits.append(time.perf_counter() - began)
                began = time.perf_counter()
                view.action_step(1)
                await pilot.pause(0)
                steps.append(time.perf_counter() - began)
        return {"edit": round(statistics.median(edits) * 1000), "step": round(statistics.median(steps) * 1000)}

    return asyncio.run(measure())


def main() -> None:
    """Measure everything."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    from tests import bench_explore, bench_sweeps, bench_training

    results: dict[str, Any] = {}

    def measured(name: str, budget: str, value: Any) -> None:
        results[name] = {"budget": budget, "measured": value}
        print(f"{name:<44} {budget:<22} {value}", flush=True)

    measured(
        "first paint, 120x40, beside a bare Textual app",
        "at most 1.5x",
        beside(lambda: first_paint(["-m", "cnntui"]), lambda: first_paint(["-c", BARE_APP])),
    )
    measured(
        "inspect resnet152, beside torchinfo",
        "at most 0.1",
        beside(
            lambda: whole_process(["-m", "cnntui", "inspect", "resnet152"]), lambda: whole_process(["-c", TORCHINFO]), 3
        ),
    )
    for size in ((120, 40), (80, 24)):
        measured(f"bytes a step, 12x12, {size[0]}x{size[1]}", "at most 700", step_bytes(size))
    measured("edit a layer of resnet152, all rows new, ms", "at most 10", edit_milliseconds())
    measured("512x512 under 7x7: edit and step, ms", "at most 100", large_picture_milliseconds())
    measured("images/s beside the textbook loop", "1.4x CPU, 20x GPU", bench_training.images_per_second())
    measured("seconds until 99 % of the 10,000", "5 of training on a GPU", bench_training.until_99())
    measured("the Train screen attached, 120x40", "0.98, 20000, 3000, 0.05, 0", bench_training.watched())
    measured("images/s of 2 slots beside 1", "said where it does not pay", bench_sweeps.slots())
    measured("images/s of 2 ranks beside 1", "said where it does not pay", bench_training.ranks())
    measured("the Explore screen, 120x40", "100, 5, 0.6, 0.98, 20000", bench_explore.explored())
    Path("bench.json").write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    main()
