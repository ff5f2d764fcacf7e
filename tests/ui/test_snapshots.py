"""How the screens look. `make snapshots` accepts what they look like now."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from cnntui.labs.build import open_net
from cnntui.labs.lesson import find_lesson
from cnntui.ui.app import CnntuiApp
from cnntui.ui.views.convolve import ConvolveView
from tests.ui.helpers import SIZES, write_run

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the snapshots are of Python 3.11")
sizes = pytest.mark.parametrize("size", SIZES)


async def settled(pilot: Pilot[None]) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    await pilot.pause()


def pressing(*keys: str) -> Any:
    async def run(pilot: Pilot[None]) -> None:
        await settled(pilot)
        await pilot.press(*keys)
        await settled(pilot)

    return run


@sizes
def test_convolve(snap_compare: Any, size: str) -> None:
    assert snap_compare(CnntuiApp("convolve"), terminal_size=SIZES[size], run_before=pressing("p", "down", "right"))


@sizes
def test_convolve_a_drawn_seven(snap_compare: Any, size: str) -> None:
    async def choose(pilot: Pilot[None]) -> None:
        await settled(pilot)
        view = pilot.app.screen.query_one(ConvolveView)
        view.make(lambda state: state.use_picture("seven").to_cell(4, 5))
        await settled(pilot)

    assert snap_compare(CnntuiApp("convolve"), terminal_size=SIZES[size], run_before=choose)


@sizes
def test_convolve_impossible(snap_compare: Any, size: str) -> None:
    assert snap_compare(CnntuiApp("convolve"), terminal_size=SIZES[size], run_before=pressing("d", "d", "d"))


def saying(*words: str, then: tuple[str, ...] = ()) -> Any:
    async def run(pilot: Pilot[None]) -> None:
        await settled(pilot)
        for move in words:
            pilot.app.screen.query_one(ConvolveView).say(move)
            await settled(pilot)
        await pilot.press(*then)
        await settled(pilot)

    return run


VIEWS = {
    "input-cell-followed": saying("padding 1", "pixel 3,4"),
    "weight-followed": saying("stride 2", "padding 1", "tap 0,2"),
    "channels-filters": saying("channels 3", "filters 2", "bias 0.5", "activation relu", "cell 2,2", "pin", "cell 3,3"),
    "stamping": saying("op transposed", "stride 2", "pixel 3,3"),
    "dilation": saying("dilation 2", "cell 1,1"),
    "large-pool": saying("picture rings", "op avg", "kernel box", "op max", "stride 2", "ceil on"),
    "picture": saying("picture house", "magnitude sobel-x sobel-y", "cell 40,30"),
    "part": saying("picture house", "cell 62,30", then=("V",)),
    "glyphs": saying("picture house", then=("v",)),
    "patches": saying("cell 2,1", then=("v", "v", "v")),
    "matrix": saying("cell 1,2", then=("V",)),
}


@sizes
@pytest.mark.parametrize("view", VIEWS)
def test_convolve_views(snap_compare: Any, size: str, view: str) -> None:
    assert snap_compare(CnntuiApp("convolve"), terminal_size=SIZES[size], run_before=VIEWS[view])


def test_convolve_every_term(snap_compare: Any) -> None:
    run = saying("kernel gaussian-5", "channels 2", then=("enter",))
    assert snap_compare(CnntuiApp("convolve"), terminal_size=(80, 24), run_before=run)


def test_convolve_choosing_a_kernel(snap_compare: Any) -> None:
    assert snap_compare(CnntuiApp("convolve"), terminal_size=(80, 24), run_before=pressing("k", "down"))


@sizes
def test_convolve_keys(snap_compare: Any, size: str) -> None:
    assert snap_compare(CnntuiApp("convolve"), terminal_size=SIZES[size], run_before=pressing("question_mark"))


@sizes
def test_build(snap_compare: Any, size: str) -> None:
    app = CnntuiApp("build", build=open_net("mnist-3conv"))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing(*["down"] * 4))


@sizes
def test_build_impossible(snap_compare: Any, size: str) -> None:
    state = open_net("lenet5").select(6).rewrite("conv 120 k9")
    assert snap_compare(CnntuiApp("build", build=state), terminal_size=SIZES[size], run_before=pressing())


@sizes
def test_build_editing(snap_compare: Any, size: str) -> None:
    app = CnntuiApp("build", build=open_net("lenet5"))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing("down", "enter"))


@sizes
def test_train_setup(snap_compare: Any, size: str) -> None:
    assert snap_compare(CnntuiApp("train"), terminal_size=SIZES[size], run_before=pressing("down"))


@sizes
def test_train(snap_compare: Any, size: str, tmp_path: Path) -> None:
    app = CnntuiApp("train", run=write_run(tmp_path))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing("right"))


def test_train_in_glyphs(snap_compare: Any, tmp_path: Path) -> None:
    app = CnntuiApp("train", run=write_run(tmp_path, nan=True))
    assert snap_compare(app, terminal_size=(120, 40), run_before=pressing("m", "g"))


def test_train_crashed(snap_compare: Any, tmp_path: Path) -> None:
    run = write_run(tmp_path, state="crashed")
    assert snap_compare(CnntuiApp("train", run=run), terminal_size=(80, 24), run_before=pressing())


@sizes
def test_learn(snap_compare: Any, size: str) -> None:
    app = CnntuiApp("learn", lesson=find_lesson("sliding-window"))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing("h"))


def test_light(snap_compare: Any) -> None:
    app = CnntuiApp("convolve")
    app.theme = "cnntui-light"
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressing())
