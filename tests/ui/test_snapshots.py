"""How the screens look. `make snapshots` accepts what they look like now."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from cnntui.core.notation import parse
from cnntui.labs.build import open_net
from cnntui.labs.lessons.course import own_course
from cnntui.labs.watching import PANELS
from cnntui.labs.wish import Picked, Wish
from cnntui.ui.app import CnntuiApp
from cnntui.ui.views.convolve import ConvolveView
from tests.ui.explored import write_explored
from tests.ui.helpers import SIZES, make_live, write_run
from tests.ui.swept import GOING, KILLED, TRAINED, WAITING, design, write_swept

IDS = [name.split()[0] for name in PANELS.values()]
pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the snapshots are of Python 3.11")
sizes = pytest.mark.parametrize("size", SIZES)


async def settled(pilot: Pilot[None]) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    await pilot.pause()


async def steady(pilot: Pilot[None]) -> None:
    """Until nothing moves any more: a page of a lesson is laid out, then its screen, then what that shows."""
    seen: list[str] = []
    for _ in range(40):
        await settled(pilot)
        await pilot.pause(0.05)
        seen.append(pilot.app.export_screenshot(title=""))
        if len(seen) > 2 and len({plain_lines(one) for one in seen[-3:]}) == 1:
            return


def plain_lines(svg: str) -> str:
    """A screenshot without the name that each has for itself."""
    return re.sub(r"terminal-\d+", "", svg)


def reading(*keys: str) -> Any:
    async def run(pilot: Pilot[None]) -> None:
        await steady(pilot)
        for key in keys:
            await pilot.press(key)
            await steady(pilot)

    return run


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
def test_build_search(snap_compare: Any, size: str) -> None:
    app = CnntuiApp("build", build=open_net("lenet5"))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing("a", *"norm"))


@sizes
def test_build_blocks_and_branches(snap_compare: Any, size: str) -> None:
    app = CnntuiApp("build", build=open_net("resnet18"))
    keys = (*["down"] * 4, "right", "down", "right", "down", "right", "down")
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing(*keys))


@sizes
def test_build_branches_that_do_not_fit(snap_compare: Any, size: str) -> None:
    state = open_net("conv 8 p1; relu; [ conv 8 p1; bn | maxpool 3 s2 p1 ] add; gap; linear 10", (3, 32, 32))
    app = CnntuiApp("build", build=state.with_goal("field >= 5; params <= 2k; last map 32x32"))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing("down", "down"))


@sizes
def test_build_shapes(snap_compare: Any, size: str) -> None:
    app = CnntuiApp("build", build=open_net("vgg11"))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing("V", "V", *["down"] * 3))


@sizes
def test_build_numbers_written_out(snap_compare: Any, size: str) -> None:
    app = CnntuiApp("build", build=open_net("alexnet"))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing("v"))


@sizes
def test_build_what_if(snap_compare: Any, size: str) -> None:
    app = CnntuiApp("build", build=open_net("lenet5"))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing("v", "v", *["down"] * 3))


@sizes
def test_build_a_unit_with_gaps(snap_compare: Any, size: str) -> None:
    state = open_net("conv 4 d2 p2; conv 4 d4 p4; [ conv 4 k1x9 p0x4 | conv 4 k9x1 p4x0 ] add", (1, 28, 28))
    app = CnntuiApp("build", build=state)
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing("end", "tab", "up", "left"))


@sizes
def test_build_beside_another(snap_compare: Any, size: str) -> None:
    app = CnntuiApp("build", build=open_net("vgg11"))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing("equals_sign", *"vgg13", "enter"))


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


@pytest.mark.parametrize("key", map(str, PANELS), ids=IDS)
def test_train_enlarged(snap_compare: Any, key: str, tmp_path: Path) -> None:
    app = CnntuiApp("train", run=write_run(tmp_path))
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressing(key, "z"))


@pytest.mark.parametrize("key", ["4", "5", "7", "8", "9"], ids=["maps", "filters", "confusion", "misread", "data"])
def test_train_enlarged_on_a_large_screen(snap_compare: Any, key: str, tmp_path: Path) -> None:
    app = CnntuiApp("train", run=write_run(tmp_path))
    assert snap_compare(app, terminal_size=(120, 40), run_before=pressing(key, "z"))


@sizes
def test_train_the_other_panels(snap_compare: Any, size: str, tmp_path: Path) -> None:
    app = CnntuiApp("train", run=write_run(tmp_path))
    keys = ("9", "tab", "7", *(("tab", "3", "tab", "5") if size == "120x40" else ()))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing(*keys))


def test_train_on_a_gpu_with_other_runs_over_it(
    snap_compare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNTUI_RUNS", str(tmp_path))
    for number, lr in enumerate((0.03, 0.01, 0.003)):
        write_run(tmp_path, name=f"20261120-11000{number}-mnist-3conv-{number}", lr=lr, slower=1.3 + number / 2)
    facts = {"memory": 2**31, "memory_total": 141 * 2**30, "utilization": 87, "temperature": 61}
    run = make_live(write_run(tmp_path, nan=True), device="cuda:0", **{**facts, "images_per_second": 412_000.0})
    keys = ("tab", "2", "shift+tab", "v", "space", "down", "space", "down", "space", "enter")

    async def overlay(pilot: Pilot[None]) -> None:
        await pressing(*keys)(pilot)
        await pressing("a", "full_stop", *["less_than_sign"] * 2)(pilot)

    assert snap_compare(CnntuiApp("train", run=run), terminal_size=(120, 40), run_before=overlay)


@sizes
def test_train_keys(snap_compare: Any, size: str, tmp_path: Path) -> None:
    app = CnntuiApp("train", run=write_run(tmp_path))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing("question_mark"))


def test_train_a_learning_rate(snap_compare: Any, tmp_path: Path) -> None:
    app = CnntuiApp("train", run=make_live(write_run(tmp_path)))
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressing("l", "down"))


def test_train_in_the_light(snap_compare: Any, tmp_path: Path) -> None:
    app = CnntuiApp("train", run=write_run(tmp_path))
    app.theme = "cnntui-light"
    assert snap_compare(app, terminal_size=(120, 40), run_before=pressing())


LESSONS = [lesson.id for lesson in own_course().lessons]


@sizes
@pytest.mark.parametrize("lesson", LESSONS)
def test_the_first_page_of_a_lesson(snap_compare: Any, size: str, lesson: str) -> None:
    app = CnntuiApp("learn", lesson=own_course().find(lesson))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=reading())


READER = {
    "hint": ("h",),
    "solution": ("x",),
    "contents": ("c", "down", "right"),
    "search": ("slash", *"square"),
    "glossary": ("g",),
    "on-the-screen": ("f8", "right"),
}


@sizes
@pytest.mark.parametrize("keys", READER)
def test_the_reader(snap_compare: Any, size: str, keys: str) -> None:
    app = CnntuiApp("learn", lesson=own_course().find("sliding-window"))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=reading(*READER[keys]))


def test_the_reader_without_colours(snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = CnntuiApp("learn", lesson=own_course().find("why-not-fully-connected"))
    assert snap_compare(app, terminal_size=(120, 40), run_before=reading("h"))


EXPLORED = {
    "overview": (),
    "layer": ("right", "right", "right", "enter"),
    "cell-conv": ("right", "right", "right", "enter", "enter"),
    "cell-pool": ("right", "right", "enter", "enter"),
    "cell-linear": ("end", "enter", "enter"),
    "pixel": ("enter", "enter", "enter"),
    "misread": ("m", "y", "y"),
    "misread-layer": ("m", "right", "right", "right", "enter", "y", "y"),
    "covered": ("m", "y", "y", "y"),
    "silenced": ("z",),
    "an-early-moment": ("less_than_sign", "comma", "t", "greater_than_sign"),
    "pad": ("d", "shift+up", "shift+up", "space", *["shift+down"] * 3),
}


@sizes
@pytest.mark.parametrize("keys", EXPLORED)
def test_explore(snap_compare: Any, size: str, keys: str, tmp_path: Path) -> None:
    app = CnntuiApp("explore", explore=Wish(str(write_explored(tmp_path))))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=one_by_one(*EXPLORED[keys]))


def one_by_one(*keys: str) -> Any:
    """Each key's workers are waited for: a moment's weights are read by one, what covering does is found by one."""

    async def run(pilot: Pilot[None]) -> None:
        await settled(pilot)
        for key in keys:
            await pressing(key)(pilot)

    return run


BRANCHED = (
    "conv 6 same; relu; [ conv 6 same; bn; relu; conv 6 same | id ] add; relu; maxpool 2; gap; linear 10; softmax"
)


@sizes
@pytest.mark.parametrize("keys", [("right",) * 6, ("end", "enter", "enter")], ids=["rails", "cell-softmax"])
def test_explore_untrained(snap_compare: Any, size: str, keys: tuple[str, ...]) -> None:
    net = parse(BRANCHED, (1, 28, 28), "branched")
    app = CnntuiApp("explore", explore=Wish(network=net))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=one_by_one(*keys))


@sizes
def test_explore_in_glyphs(snap_compare: Any, size: str, tmp_path: Path) -> None:
    app = CnntuiApp("explore", explore=Wish(str(write_explored(tmp_path))))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=one_by_one("v"))


@sizes
def test_explore_in_the_light(snap_compare: Any, size: str, tmp_path: Path) -> None:
    app = CnntuiApp("explore", explore=Wish(str(write_explored(tmp_path))))
    app.theme = "cnntui-light"
    assert snap_compare(app, terminal_size=SIZES[size], run_before=one_by_one("right", "right"))


COMPARED = {"depth 4": (TRAINED, TRAINED, GOING), "depth 8": (TRAINED, KILLED, WAITING)}


@sizes
def test_compare(snap_compare: Any, size: str, tmp_path: Path) -> None:
    app = CnntuiApp("compare", compare=Picked(write_swept(tmp_path)))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=one_by_one("down", "right"))


@sizes
def test_compare_what_goes_on(snap_compare: Any, size: str, tmp_path: Path) -> None:
    app = CnntuiApp("compare", compare=Picked(write_swept(tmp_path, COMPARED)))
    keys = ("down", "g", "full_stop", "comma", "comma")
    assert snap_compare(app, terminal_size=SIZES[size], run_before=one_by_one(*keys))


def test_compare_what_is_different(snap_compare: Any, tmp_path: Path) -> None:
    app = CnntuiApp("compare", compare=Picked(write_swept(tmp_path, COMPARED)))
    assert snap_compare(app, terminal_size=(80, 24), run_before=one_by_one("down", "tab"))


def test_compare_many(snap_compare: Any, tmp_path: Path) -> None:
    plan = design(2, {str(depth): depth for depth in range(1, 25)})
    app = CnntuiApp("compare", compare=Picked(write_swept(tmp_path, plan=plan)))
    assert snap_compare(app, terminal_size=(120, 40), run_before=one_by_one(*["pagedown"] * 2, "m"))


@sizes
def test_compare_in_glyphs(snap_compare: Any, size: str, tmp_path: Path) -> None:
    app = CnntuiApp("compare", compare=Picked(write_swept(tmp_path)))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=one_by_one("down", "v"))


def test_compare_in_the_light(snap_compare: Any, tmp_path: Path) -> None:
    app = CnntuiApp("compare", compare=Picked(write_swept(tmp_path)))
    app.theme = "cnntui-light"
    assert snap_compare(app, terminal_size=(120, 40), run_before=one_by_one("down"))


@sizes
def test_compare_nothing(snap_compare: Any, size: str) -> None:
    assert snap_compare(CnntuiApp("compare"), terminal_size=SIZES[size], run_before=pressing())


def test_light(snap_compare: Any) -> None:
    app = CnntuiApp("convolve")
    app.theme = "cnntui-light"
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressing())
