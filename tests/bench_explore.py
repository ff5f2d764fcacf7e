"""What Explore takes: a stroke until the classes are new, the first paint of a run, moments a second, a run that goes on."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from cnntui.core.nets import load_net
from cnntui.labs.wish import Wish
from cnntui.runs.control import send
from cnntui.runs.launch import launch
from cnntui.runs.places import data_root, has_mnist
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Settings, new_spec
from cnntui.runs.weights import moments
from cnntui.ui.app import CnntuiApp
from cnntui.ui.views.explore import ExploreView
from cnntui.ui.widgets.draw_pad import DrawPad
from tests.bench_training import NET, Watcher, speed, step_of

TURNS, TURN_SECONDS = 5, 15.0
STROKES = 24  # from the middle towards a corner: farther there is no paper


def explored() -> dict[str, Any]:
    """All of it, on a run of the small MNIST net that is trained for an epoch, and then on."""
    if not has_mnist(data_root()):
        return {"not measured": f"no MNIST in {data_root()}: set CNNTUI_DATA"}
    with TemporaryDirectory() as home:
        settings = Settings(data="mnist", epochs=1)
        run = launch(new_spec(load_net(NET).network, settings), Path(home, "run"))
        reader = RunReader(run)
        while not reader.poll().over:
            time.sleep(0.2)
        first = [first_paint(run) for _ in range(5)]
        facts = asyncio.run(_by_key(run)) | {"first paint of a run, s": round(statistics.median(first), 2)}
        return facts | _live(Path(home, "live"))


def first_paint(run: Path) -> float:
    """Seconds from the start of `cnntui explore RUN` until maps are on the screen: more than 4,000 bytes."""
    began = time.monotonic()
    watcher = Watcher(run, command="explore", settle=0.0)
    while watcher.bytes < 4000 and time.monotonic() - began < 30:
        watcher.read(0.01)
    took = time.monotonic() - began
    watcher.close()
    return took


async def _by_key(run: Path) -> dict[str, Any]:
    """In the app itself, at 120x40: keys until everything is painted."""
    app = CnntuiApp("explore", explore=Wish(str(run)))
    async with app.run_test(size=(120, 40)) as pilot:
        while not app.screen.query(ExploreView) or app.screen.query_one(ExploreView).history is None:
            await pilot.pause(0.02)
        view = app.screen.query_one(ExploreView)
        await pilot.press("d", "space")
        pad, strokes = app.screen.query_one(DrawPad), []
        for number in range(STROKES):
            before, began = view.state, time.perf_counter()
            pad.action_move(*((1, 0) if number % 2 else (0, 1)))
            while view.state is before:
                await pilot.pause(0)
            strokes.append(time.perf_counter() - began)
        await pilot.press("escape")
        count, began = len(view.state.moments), time.perf_counter()
        view.action_scrub(-count)
        steps = 0
        for _ in range(count - 1):
            before = view.state
            view.action_scrub(1)
            while view.state is before:
                await pilot.pause(0)
            steps += 1
        scrub = steps / (time.perf_counter() - began)
    return {
        "a stroke until the bars are new, ms": round(statistics.median(strokes) * 1000),
        f"{count} moments, a second": round(scrub, 1),
    }


def _live(place: Path) -> dict[str, Any]:
    """Images/s with the overview at work beside images/s while it is suspended, by short turns; what it sends and takes."""
    spec = new_spec(load_net(NET).network, Settings(data="mnist", epochs=10_000, schedule="constant"))
    run = launch(spec, place)
    reader = RunReader(run)
    while len(reader.poll().train_loss) < 10 or not moments(reader.poll()):
        time.sleep(0.2)
    watcher = Watcher(run, command="explore")
    try:
        process = psutil.Process(watcher.pid)
        shares: list[float] = []
        before, cpu, seconds = watcher.bytes, watcher.cpu(), 0.0
        for _ in range(TURNS):
            process.resume()
            began, steps = time.monotonic(), step_of(run)
            watcher.read(TURN_SECONDS)
            took = time.monotonic() - began
            seen = (step_of(run) - steps) / took
            seconds += took
            process.suspend()
            shares.append(seen / (speed(run, TURN_SECONDS) / spec.batch_size))
        sent, core = (watcher.bytes - before) / seconds, (watcher.cpu() - cpu) / seconds
    finally:  # whatever ends this, nothing trains on
        watcher.close()
        send(run, "stop")
    while not reader.poll().over:
        time.sleep(0.2)
    return {
        "images/s with Explore, share of without": round(statistics.median(shares), 3),
        "bytes/s": round(sent),
        "core of the viewer": round(core, 3),
    }


if __name__ == "__main__":
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    print(explored())
