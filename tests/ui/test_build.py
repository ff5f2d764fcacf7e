"""Stories on the Build screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, Label, Static

from cnntui.core.nets import load_net
from cnntui.core.notation import network_text
from cnntui.labs.build import open_net
from cnntui.labs.outline import outline
from cnntui.ui.app import CnntuiApp
from cnntui.ui.screens.dialogs import Ask, Choose, Lines
from cnntui.ui.views.build import BuildView
from cnntui.ui.views.train import TrainView
from cnntui.ui.widgets.derivation_panel import DerivationPanel
from cnntui.ui.widgets.layer_table import LayerTable
from cnntui.ui.widgets.receptive_field_map import ReceptiveFieldMap
from cnntui.ui.widgets.shape_pyramid import ShapePyramid
from cnntui.ui.widgets.totals import Totals
from cnntui.ui.widgets.ways_panel import WaysPanel
from tests.ui.helpers import burst


@asynccontextmanager
async def opened(
    net: str = "lenet5", size: tuple[int, int] = (120, 40), shape: tuple[int, int, int] | None = None
) -> AsyncIterator[tuple[BuildView, Pilot[None]]]:
    app = CnntuiApp("build", build=open_net(net, shape))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app.screen.query_one(BuildView), pilot


async def type_text(pilot: Pilot[None], text: str) -> None:
    names = {
        " ": "space",
        ";": "semicolon",
        ".": "full_stop",
        ",": "comma",
        "-": "minus",
        "_": "underscore",
        "/": "slash",
        "[": "left_square_bracket",
        "]": "right_square_bracket",
        "|": "vertical_line",
        "=": "equals_sign",
        ">": "greater_than_sign",
        "<": "less_than_sign",
    }
    await pilot.press(*(names.get(c, c) for c in text))


def cells(view: BuildView, row: int) -> list[str]:
    return view.query_one(LayerTable).cells(row)


def problem(view: BuildView) -> str:
    return str(view.query_one("#problem", Static).content)


async def test_the_table_says_what_the_analysis_says() -> None:
    async with opened() as (view, _):
        assert cells(view, 3)[:6] == ["4", "conv 16 k5", "16×10×10", "2,416", "14", "240,000"]
        assert "61,706 parameters   416,520 MACs   field 32" in view.query_one(Totals).render_line(0).text


async def test_adding_a_layer_updates_everything_while_it_is_typed() -> None:
    """An engineer adds a convolution under the first one and watches the shapes follow."""
    async with opened() as (view, pilot):
        await pilot.press("a")
        await type_text(pilot, "conv 8 same")
        await pilot.pause()
        assert cells(view, 1)[1:3] == ["conv 8 same", "8×28×28"]
        assert view.state.analysis.params == 61_706, "nothing is kept before enter"
        await pilot.press("enter")
        assert view.state.texts[1] == "conv 8 same"
        assert view.state.selected == 1
        await type_text(pilot, "relu")
        await pilot.press("enter")
        assert view.state.texts[:3] == ["conv 6 k5", "conv 8 same", "relu"], "the next can be written at once"
        await pilot.press("enter", "u", "u")
        assert view.state.analysis.params == 61_706


async def test_editing_in_place() -> None:
    async with opened() as (view, pilot):
        await pilot.press("down", "down", "down", "enter")
        editor = view.query_one(Input)
        assert editor.value == "conv 16 k5"
        await pilot.press(*["backspace"] * 2)
        await type_text(pilot, "k3")
        await pilot.press("enter")
        assert view.state.texts[3] == "conv 16"
        assert cells(view, 3)[2] == "16×12×12"


async def test_what_is_no_layer_says_so_and_stays_in_the_editor() -> None:
    async with opened() as (view, pilot):
        await pilot.press("a")
        await type_text(pilot, "cnv 8")
        await pilot.press("enter")
        assert "no layer is called 'cnv'" in problem(view)
        assert view.query_one(Input).value == "cnv 8"
        await pilot.press("escape")
        assert len(view.state.network) == 12


async def test_an_impossible_layer_is_marked_and_mended_by_one_key() -> None:
    async with opened() as (view, pilot):
        await pilot.press(*["down"] * 6, "enter", *["backspace"])
        await type_text(pilot, "9")
        await pilot.press("enter")
        assert cells(view, 6)[:3] == ["✗7", "conv 120 k9", "impossible"]
        assert cells(view, 5)[2] == "16×5×5", "the layers above keep their facts"
        assert cells(view, 7)[2] == "waits"
        assert "layer conv3: kernel 9 > 5" in problem(view)
        assert "1: conv 120 k5" in problem(view)
        await pilot.press("1")
        assert view.state.analysis.error is None
        assert view.state.texts[6] == "conv 120 k5"


async def test_deleting_moving_and_taking_it_back() -> None:
    async with opened() as (view, pilot):
        await pilot.press("x")
        assert view.state.texts[0] == "tanh"
        await pilot.press("J")
        assert (view.state.texts[:2], view.state.selected) == (["avgpool 2", "tanh"], 1)
        await pilot.press("u", "u")
        assert view.state.texts == open_net("lenet5").texts
        await pilot.press("r")
        assert view.state.texts[0] == "tanh"
        for _ in range(12):
            await pilot.press("x")
        assert view.state.texts == []
        await pilot.press("x", "a")
        await type_text(pilot, "gap; linear 3")
        await pilot.press("enter")
        assert view.state.analysis.output == (3,)


async def test_the_receptive_field_follows_the_selection() -> None:
    async with opened() as (view, pilot):
        picture = view.query_one(ReceptiveFieldMap)
        assert "unit 14,14 of conv1 sees 5×5" in picture.render_line(0).text
        await pilot.press("down", "down", "down")
        assert "unit 5,5 of conv2 sees 14×14" in picture.render_line(0).text
        await pilot.press("end")
        await pilot.pause()
        assert view.state.selected == 11
        assert "sees the whole image" in picture.render_line(0).text


async def test_another_input_shape() -> None:
    async with opened() as (view, pilot):
        await pilot.press("i")
        assert isinstance(pilot.app.screen, Ask)
        line = pilot.app.screen.query_one(Input)
        line.value = "1,28"
        await pilot.press("enter")
        assert str(pilot.app.screen.query_one(Label).content) == "Input: channels, height, width", "the question stays"
        assert "is not channels,height,width" in str(pilot.app.screen.query_one("#problem", Static).content)
        line.value = "1,28,28"
        await pilot.press("enter")
        await pilot.pause()
        assert view.state.network.input == (1, 28, 28)
        assert view.state.analysis.error == "layer conv3: kernel 5 > 4"


async def test_saving_and_opening(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    async with opened() as (view, pilot):
        await pilot.press("x", "w")
        pilot.app.screen.query_one(Input).value = str(path)
        await pilot.press("enter")
        await pilot.pause()
        saved = load_net(str(path))
        assert saved.network.layers == view.state.network.layers
        assert (saved.network.name, saved.year, saved.source) == ("mine", None, ""), "it is no longer LeCun's"
        await pilot.press("o")
        assert isinstance(pilot.app.screen, Choose)
        await pilot.press(*"a f", "enter")
        await pilot.pause()
        pilot.app.screen.query_one(Input).value = str(tmp_path / "absent.toml")
        await pilot.press("enter")
        assert "No such file" in str(pilot.app.screen.query_one("#problem", Static).content)
        pilot.app.screen.query_one(Input).value = str(path)
        await pilot.press("enter")
        await pilot.pause()
        assert view.state.path == path
        await pilot.press("u")
        assert view.state.texts[0] == "tanh", "opening can be taken back too"


async def test_a_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("precious")
    async with opened() as (_, pilot):
        await pilot.press("w")
        pilot.app.screen.query_one(Input).value = str(path)
        await pilot.press("enter")
        assert "is there already" in str(pilot.app.screen.query_one("#problem", Static).content)
    assert path.read_text() == "precious"


async def test_t_takes_the_net_to_the_train_screen() -> None:
    async with opened("mnist-3conv") as (view, pilot):
        await pilot.press("x", "t")
        await pilot.pause()
        train = pilot.app.screen.query_one(TrainView)
        assert train.state.network == view.state.network
        assert train.reader is None, "it waits for one key"


async def test_a_net_of_thirty_layers_scrolls() -> None:
    async with opened("vgg16", (80, 24)) as (view, pilot):
        table = view.query_one(LayerTable)
        await pilot.press(*["down"] * 30)
        assert view.state.selected == 30
        assert table.scroll_offset.y > 0


async def test_adding_before_the_first_layer() -> None:
    async with opened() as (view, pilot):
        await pilot.press("A")
        await type_text(pilot, "bn")
        await pilot.press("enter")
        assert view.state.texts[:2] == ["bn", "conv 6 k5"]
        assert view.state.network.name == "my-lenet5"


async def test_an_empty_net_is_not_saved(tmp_path: Path) -> None:
    async with opened() as (_, pilot):
        await pilot.press(*["x"] * 12, "w")
        pilot.app.screen.query_one(Input).value = str(tmp_path / "empty.toml")
        await pilot.press("enter")
        assert "there is no layer to save" in str(pilot.app.screen.query_one("#problem", Static).content)


async def test_building_lenet_from_memory() -> None:
    """A newcomer begins with nothing, and types what they remember; tab spares the long words."""
    async with opened("mnist-2conv", (80, 24)) as (view, pilot):
        await pilot.press("n")
        await pilot.pause()
        pilot.app.screen.query_one(Input).value = "1,32,32"
        await pilot.press("enter")
        await pilot.pause()
        assert view.state.lines == []
        await type_text(pilot, "conv 6 k5; tanh; avg")
        await pilot.press("tab")
        assert view.query_one(Input).value == "conv 6 k5; tanh; avgpool "
        await type_text(pilot, "2; conv 16 k5; tanh; avgpool 2; flatten; linear 120; tanh; linear 84; tanh; linear 10")
        await pilot.press("enter")
        assert view.state.analysis.params == 61_706
        assert view.state.analysis.output == (10,)


async def test_a_layer_is_found_by_what_it_does() -> None:
    async with opened() as (view, pilot):
        await pilot.press("a")
        assert "conv 16" in problem(view)
        await type_text(pilot, "norm")
        assert [line.split()[0] for line in problem(view).splitlines()][:3] == ["bn", "ln", "in"]
        await pilot.press("tab", "enter")
        assert view.state.texts[1] == "bn"


async def test_blocks_and_branches_fold() -> None:
    async with opened("resnet18") as (view, pilot):
        assert len(view.state.lines) == 13, "a large net shows its plan first"
        await pilot.press(*["down"] * 4, "right")
        assert view.state.texts[4] == "( … ) x2"
        await pilot.press("down", "right", "down", "right")
        assert cells(view, 7)[:3] == ["5", "    ├ conv 64 nobias p1", "64×56×56"]
        await pilot.press("left", "left")
        assert view.state.texts[5] == "@residual(64)"
        assert cells(view, 5)[1].startswith("  ▸")
        await pilot.press("z")
        assert len(view.state.lines) == 13
        await pilot.press("z")
        assert len(view.state.lines) == len(outline(view.state.network, frozenset()))


async def test_editing_inside_a_block_edits_all_its_calls() -> None:
    async with opened("resnet18") as (view, pilot):
        await pilot.press("z")
        inside = next(i for i, line in enumerate(view.state.lines) if line.block == "residual" and line.text == "relu")
        await pilot.press(*["down"] * inside, "enter")
        editor = view.query_one(Input)
        assert "{c}" in editor.value
        editor.value = editor.value.replace("relu", "silu")
        await pilot.press("enter")
        await pilot.pause()
        assert view.state.texts[inside] == "silu"
        assert sum(node.layer.op == "silu" for node in view.state.network) > 4


async def test_wrapping_several_layers() -> None:
    async with opened("mnist-3conv") as (view, pilot):
        await pilot.press("m", "down", "b")
        await pilot.pause()
        pilot.app.screen.query_one(Input).value = "add"
        await pilot.press("enter")
        await pilot.pause()
        assert view.state.texts[0] == "[ 2 branches ] add"
        assert "add needs equal shapes" in problem(view)
        assert "1: branch 2: conv" in problem(view)
        await pilot.press("1")
        assert view.state.analysis.error is None
        await pilot.press("u", "u")
        assert view.state.network == open_net("mnist-3conv").network


async def test_a_pinned_goal_is_checked_with_every_edit() -> None:
    async with opened() as (view, pilot):
        await pilot.press("g")
        await pilot.pause()
        pilot.app.screen.query_one(Input).value = "field >= 14; params < 20k; output 10"
        await pilot.press("enter")
        await pilot.pause()
        line = view.query_one(Totals).render_line(1).text
        assert "✓ field ≥ 14 · 32" in line
        assert "✗ params < 20,000 · 61,706" in line
        await pilot.press(*["down"] * 6, "enter")
        view.query_one(Input).value = "conv 20 k5"
        await pilot.pause()
        assert "✓ params < 20,000 · 13,206" in view.query_one(Totals).render_line(1).text, "while it is typed"


async def test_the_unit_is_moved_with_the_arrows() -> None:
    async with opened() as (view, pilot):
        picture = view.query_one(ReceptiveFieldMap)
        await pilot.press("down", "down", "down", "tab")
        assert picture.has_focus
        await pilot.press(*["up"] * 5, *["left"] * 5)
        assert "unit 0,0 of conv2 sees 14×14" in picture.render_line(0).text
        await pilot.press("escape")
        assert view.query_one(LayerTable).has_focus


async def test_gaps_in_what_a_unit_sees_are_told() -> None:
    async with opened("conv 2 k3 d2 p2; conv 2 k3 d2 p2", shape=(1, 16, 16)) as (view, pilot):
        await pilot.press("down")
        picture = view.query_one(ReceptiveFieldMap)
        assert "sees 5×5" in picture.render_line(0).text
        assert "with gaps, in 9×9" in picture.render_line(1).text


async def test_the_views_beside_the_table() -> None:
    async with opened() as (view, pilot):
        await pilot.press("v")
        numbers = "".join(view.query_one(DerivationPanel).render_line(y).text for y in range(20))
        assert "(32 + 2·0 − 1·(5 − 1) − 1)/1 + 1 " in numbers
        assert "6·1·5·5 + 6 = 156" in numbers
        await pilot.press("v", "v")
        pyramid = view.query_one(ShapePyramid)
        assert pyramid.has_class("-shown")
        assert "1×32×32" in pyramid.render_line(2).text
        await pilot.press("V")
        await pilot.pause()
        panel = view.query_one(WaysPanel)
        text = "\n".join(panel.render_line(y).text for y in range(20))
        assert "as it is" in text
        assert "fully connected" in text
        assert "2 of 3×3" in text
        await pilot.press("1")
        assert view.state.texts[:2] == ["conv 6", "conv 6"], "the first way: two 3×3 in place of the 5×5"
        assert view.state.analysis.error is None
        await pilot.press("v", "v")
        assert not any(part.has_class("-shown") for part in view.query(".beside"))


async def test_chosen_columns() -> None:
    async with opened() as (view, pilot):
        await pilot.press("c")
        await pilot.pause()
        line = pilot.app.screen.query_one(Input)
        line.value = "output, speed"
        await pilot.press("enter")
        assert "no column is called 'speed'" in str(pilot.app.screen.query_one("#problem", Static).content)
        line.value = "memory, effective, output"
        await pilot.press("enter")
        await pilot.pause()
        assert cells(view, 1)[2:] == ["18.4 KiB", "1.414", "6×28×28"]


async def test_another_net_beside_this_one() -> None:
    async with opened("vgg11") as (_, pilot):
        await pilot.press("equals_sign")
        await pilot.pause()
        await pilot.press(*"vgg13", "enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Lines)
        text = str(pilot.app.screen.query_one(Static).content)
        assert "vgg11, 133M parameters" in text.splitlines()[0]
        assert "conv 64 p1" in text.splitlines()[1]
        assert any(" + " in line for line in text.splitlines())


async def test_a_fold_and_an_undo_do_not_lose_what_was_written() -> None:
    async with opened("resnet18") as (view, pilot):
        await pilot.press("a")
        await type_text(pilot, "[ bn | id ] add")
        await pilot.press("enter", "escape")
        assert view.state.texts[1] == "[ 2 branches ] add"
        await pilot.press("z", "z", "u")
        assert view.state.network == open_net("resnet18").network
        await pilot.press("r")
        assert network_text(view.state.network)[1] == "[ bn | id ] add"


async def test_another_programs_network_is_read_without_stopping_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engineer opens their own nn.Module; the keys go on working while its process reads it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.stem = nn.Conv2d(3, 8, 3, padding=1)\n"
        "        self.more = nn.Conv2d(8, 8, 3, padding=1)\n"
        "    def forward(self, x):\n"
        "        x = self.stem(x).relu()\n"
        "        return x + self.more(x)\n"
    )
    async with opened() as (view, pilot):
        for name, found in (("mine.py:Nest 3,16,16", "Nest"), ("mine.py:Net 3,16,16", None)):
            if not found or pilot.app.screen is view.screen:
                await pilot.press("escape", "o", *"your", "enter")
                await pilot.pause()
            pilot.app.screen.query_one(Input).value = name
            await pilot.press("enter", "down")
            assert view.state.network.name == "lenet5"
            assert view.state.selected > 0
            await pilot.app.workers.wait_for_complete()
            await pilot.pause()
            if found:
                assert pilot.app.screen.query_one(Input).value == name, "the question comes back"
        assert [node.name for node in view.state.network] == ["stem", "relu1", "id1", "more", "add1"]
        assert view.state.analysis.output == (8, 16, 16)
        await pilot.press("u")
        assert view.state.network.name == "lenet5"


async def test_saving_a_program_and_the_facts(tmp_path: Path) -> None:
    async with opened("resnet18") as (view, pilot):
        for name, start in (("net.py", '"""resnet18'), ("net.md", "| name |"), ("net.csv", "name,text,")):
            await pilot.press("w")
            await pilot.pause()
            pilot.app.screen.query_one(Input).value = str(tmp_path / name)
            await pilot.press("enter")
            await pilot.pause()
            assert (tmp_path / name).read_text().startswith(start)
        assert view.state.path is None, "a program is no net's file"
        await pilot.press("w")
        await pilot.pause()
        pilot.app.screen.query_one(Input).value = str(tmp_path / "net.doc")
        await pilot.press("enter")
        assert "a net's file ends in .toml" in str(pilot.app.screen.query_one("#problem", Static).content)


async def test_many_keys_at_once_do_what_they_would_one_by_one() -> None:
    """Over a slow link keys come in bursts: each acts where the one before it went."""
    async with opened() as (view, pilot):
        await burst(pilot, "down", "down", "x", "end", "d", "a", "x", "x")
        assert view.state.texts[2] == "conv 16 k5", "the third layer was deleted"
        assert view.state.texts[-2:] == ["linear 10", "linear 10"]
        assert view.query_one(Input).value == "xx", "what was typed behind a is text"


async def test_several_pasted_lines_are_several_layers() -> None:
    async with opened() as (view, pilot):
        await pilot.press("a")
        pilot.app.post_message(events.Paste("conv 8\n  relu\n\nconv 8 k3\n"))
        await pilot.pause()
        assert view.query_one(Input).value == "conv 8; relu; conv 8 k3"


async def test_a_resize_keeps_the_place_and_cuts_no_number() -> None:
    async with opened("resnet18", (120, 40)) as (view, pilot):
        await pilot.press(*["down"] * 5)
        for size in ((60, 20), (40, 12), (80, 24), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert view.state.selected == 5
            table = view.query_one(LayerTable)
            shown = table.render_line(1).text
            for fact in table.cells(0)[2:]:
                assert fact in shown
        heading = view.query_one(Totals)
        await pilot.resize_terminal(50, 12)
        await pilot.pause()
        assert heading.render_line(0).text.rstrip().endswith("11.7M parameters")


async def test_what_nobody_saved_is_there_the_next_time(homes: Path) -> None:
    async with opened() as (_, pilot):
        await pilot.press("x")
    async with opened() as (view, pilot):
        await pilot.press("o", *"what", "enter")
        await pilot.pause()
        assert view.state.texts[0] == "tanh"
        assert view.state.path is None


@pytest.mark.parametrize("name", ["a" * 300 + ".toml", "~nosuchuser/x.toml", "a\0b.toml", " "])
async def test_paths_that_are_none(name: str) -> None:
    async with opened() as (_, pilot):
        for keys in (("w",), ("o", *"a f", "enter")):
            await pilot.press(*keys)
            await pilot.pause()
            pilot.app.screen.query_one(Input).value = name
            await pilot.press("enter")
            assert isinstance(pilot.app.screen, Ask)
            assert str(pilot.app.screen.query_one("#problem", Static).content)
            await pilot.press("escape")


async def test_a_reader_that_hangs_ends_with_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slow.py").write_text("import time\ndef net():\n    open('started', 'w').close()\n    time.sleep(50)\n")
    async with opened() as (_, pilot):
        await pilot.press("o", *"your", "enter")
        await pilot.pause()
        pilot.app.screen.query_one(Input).value = "slow.py:net 1,8,8"
        await pilot.press("enter")
        while not (tmp_path / "started").exists():
            await asyncio.sleep(0.05)
        began = time.monotonic()
    assert time.monotonic() - began < 20, "nobody waits for its fifty seconds"
