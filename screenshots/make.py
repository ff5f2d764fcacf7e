"""The README's screenshots: the real app, driven by keys, with a real training behind it. `make screenshots` runs this.

Trains on MNIST where CNNTUI_DATA has it, else on the bundled digits.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

os.environ.pop("NO_COLOR", None)
os.environ["TEXTUAL_ANIMATIONS"] = "none"
HERE = Path(__file__).parent
TRAIN_SECONDS = 600
CHANNELS = ["channels 3", "filters 2", "bias 0.5", "activation relu", "cell 2,2", "pin", "cell 3,3"]


async def shoot(
    name: str, mode: str, keys: list[str], size: tuple[int, int] = (120, 40), say: Iterable[str] = (), **given: object
) -> None:
    """Open the app on `mode`, say the moves to the convolution lab, press the keys, save `NAME.svg`."""
    from cnntui.ui.app import CnntuiApp
    from cnntui.ui.views.convolve import ConvolveView

    app = CnntuiApp(mode, **given)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.5)
        await app.workers.wait_for_complete()
        await pilot.pause(0.5)
        for words in say:
            app.screen.query_one(ConvolveView).say(words)
            await pilot.pause()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await pilot.pause(0.5)
        svg = app.export_screenshot(title="cnntui")
        (HERE / f"{name}.svg").write_text(svg, "utf-8")
        print(f"{name}.svg", file=sys.stderr)


def trained(net: str, data: str, epochs: int) -> Path:
    """A finished run."""
    import time

    from cnntui.core.nets import load_net
    from cnntui.runs.launch import launch
    from cnntui.runs.reader import RunReader
    from cnntui.runs.spec import Settings, new_spec

    directory = launch(new_spec(load_net(net).network, Settings(data=data, epochs=epochs)))
    reader = RunReader(directory)
    until = time.monotonic() + TRAIN_SECONDS
    while not (view := reader.poll()).ended and time.monotonic() < until:
        time.sleep(0.5)
    if not view.trained:
        raise SystemExit(f"the training for the screenshot did not end well: {view.state} {view.message}")
    return directory


def swept() -> Path:
    """A finished sweep of the depths, two runs at once."""
    import time

    from cnntui.labs.comparing import Comparing
    from cnntui.runs.launch import start
    from cnntui.runs.sweeps.directory import prepare, read_sweep
    from cnntui.runs.sweeps.file import load_design

    directory = prepare(load_design("depth").plan())
    waiting = read_sweep(directory).directories(directory)
    runs, until = Comparing(sweep=directory), time.monotonic() + TRAIN_SECONDS
    while not (found := runs.glance()).over and time.monotonic() < until:
        going = sum(not result.view.ended and result.view.state != "waiting" for result in found.results)
        for run in waiting[: 2 - going]:
            start(run)
            waiting.remove(run)
        time.sleep(0.5)
    if found.failed or not found.over:
        raise SystemExit("the sweep for the screenshot did not end well")
    return directory


async def main() -> None:
    """All of them."""
    from cnntui.labs.build import open_net
    from cnntui.labs.lessons.course import own_course
    from cnntui.labs.wish import Picked, Wish
    from cnntui.runs.places import data_root, has_mnist

    with tempfile.TemporaryDirectory() as state:
        os.environ["XDG_STATE_HOME"] = state
        await shoot("convolve", "convolve", [*["down"] * 1, *["right"] * 3])
        await shoot("convolve-80x24", "convolve", ["p", "down", "right"], (80, 24))
        await shoot("convolve-channels", "convolve", [], say=CHANNELS)
        await shoot(
            "convolve-picture", "convolve", [], say=["picture house", "magnitude sobel-x sobel-y", "cell 60,14"]
        )
        await shoot("convolve-patches", "convolve", ["v", "v", "v"], say=["cell 2,1"])
        unfolding = [*["down"] * 4, "right", "down", "right", "down", "right", *["down"] * 4]
        await shoot("build", "build", unfolding, build=open_net("resnet18"))
        await shoot("build-what-if", "build", ["v", "v", *["down"] * 3], build=open_net("lenet5"))
        gaps = open_net("conv 4 d2 p2; conv 4 d4 p4; [ conv 4 k1x9 p0x4 | conv 4 k9x1 p4x0 ] add", (1, 28, 28))
        await shoot("build-80x24", "build", ["end"], (80, 24), build=gaps)
        lesson = own_course().find
        await shoot("learn", "learn", ["f8", "down", "right", "right"], lesson=lesson("sliding-window"))
        await shoot("learn-field", "learn", ["n", "f8", "d", "d"], lesson=lesson("receptive-field"))
        await shoot("learn-shift", "learn", ["f8", "right"], lesson=lesson("equivariance"))
        await shoot("learn-80x24", "learn", ["h"], (80, 24), lesson=lesson("pooling"))
        mnist = has_mnist(data_root())
        run = trained("mnist-3conv", "mnist" if mnist else "digits", 3 if mnist else 20)
        await shoot("train", "train", ["right"], run=run)
        await shoot("train-80x24", "train", ["right"], (80, 24), run=run)
        await shoot("explore", "explore", ["m", "y", "y", "right"], explore=Wish(str(run)))
        into = ["m", *["right"] * 3, "down", "down", "enter"]
        await shoot("explore-layer", "explore", into, explore=Wish(str(run)))
        await shoot("explore-cell", "explore", [*into, "enter"], explore=Wish(str(run)))
        await shoot("explore-80x24", "explore", ["right", "right"], (80, 24), explore=Wish(str(run)))
        sweep = Picked(sweep=swept())
        await shoot("compare", "compare", ["down"], compare=sweep)
        await shoot("compare-80x24", "compare", ["down", "tab"], (80, 24), compare=sweep)


if __name__ == "__main__":
    asyncio.run(main())
