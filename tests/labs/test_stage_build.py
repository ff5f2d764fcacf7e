"""The Build screen in words, and the facts of any network: against torch, published figures and counting by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cnntui.core.analysis import analyse
from cnntui.core.nets import load_net
from cnntui.core.notation import parse
from cnntui.labs.net_facts import NET_FACTS, OF_LAYER, OF_OP, NoLayerError, net_fact
from cnntui.labs.stages import Index, WordsError, stage
from cnntui.labs.stages.build import STAGE, VIEWS, fact


def scene(*moves: str) -> Any:
    state = STAGE.start()
    for move in moves:
        state = STAGE.play(state, move)
    return state


def asked(name: str, *moves: str, index: Index = ()) -> Any:
    return fact(scene(*moves), name, index)


def of(net: str, name: str, index: Index = (), shape: tuple[int, int, int] | None = None) -> Any:
    return net_fact(analyse(load_net(net, shape).network), name, index)


def test_published_figures() -> None:
    assert of("resnet18", "params") == 11_689_512
    assert of("vgg16", "params", ("conv",)) == 14_714_688
    assert of("vgg16", "params", ("linear",)) == 123_642_856
    assert of("vgg16", "share", ("conv",)) == pytest.approx(14_714_688 / 138_357_544)
    assert of("lenet5", "params") == 61_706
    assert of("mnist-2conv", "share", ("linear",)) == pytest.approx((401_536 + 1_290) / 421_642)
    assert of("conv 64 k3", "conv1.params", shape=(3, 224, 224)) == 1_792
    assert of("conv 64 k7 s2 p3", "flops", shape=(3, 224, 224)) == 236_027_904
    assert of("bn", "params", shape=(64, 8, 8)) == 128


@pytest.mark.parametrize(
    ("net", "depth"),
    [
        ("lenet5", 5),
        ("alexnet", 8),
        ("vgg16", 16),
        ("googlenet", 22),
        ("resnet18", 18),
        ("resnet50", 50),
        ("densenet121", 121),
    ],
)
def test_depth_is_what_nets_are_called_by(net: str, depth: int) -> None:
    assert of(net, "depth") == depth


def test_the_facts_of_layers() -> None:
    lenet = scene().lab.analysis
    rows = lenet.rows
    assert [net_fact(lenet, f"{row.node.name}.op") for row in rows] == [
        net_fact(lenet, "op", (n + 1,)) for n, row in enumerate(rows)
    ]
    assert net_fact(lenet, "conv1.output") == (6, 28, 28)
    assert net_fact(lenet, "output", (1,)) == net_fact(lenet, "output", ("conv1",)) == (6, 28, 28)
    assert net_fact(lenet, "head") == 85 * 10, "linear 10, of 84 numbers and a bias"
    assert net_fact(lenet, "head") + net_fact(lenet, "backbone") == net_fact(lenet, "params")  # type: ignore[operator]
    assert net_fact(lenet, "conv2.rf") == 14
    assert net_fact(lenet, "conv2.jump") == 2
    assert net_fact(lenet, "linear1.rf") is None
    assert net_fact(lenet, "count", ("conv",)) == 3 and net_fact(lenet, "has", ("bn",)) is False
    assert net_fact(lenet, "conv1.exists") is True and net_fact(lenet, "conv9.exists") is False
    params: list[Any] = [net_fact(lenet, "params", (n + 1,)) for n in range(len(rows))]
    shares: list[Any] = [net_fact(lenet, f"{row.node.name}.share") for row in rows]
    assert sum(params) == net_fact(lenet, "params") and sum(shares) == pytest.approx(1)
    assert net_fact(lenet, "outputs") == net_fact(lenet, "classes") == 10


def test_torch_counts_the_same() -> None:
    modules = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, (3, 5), stride=2),
        torch.nn.BatchNorm2d(8),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 7 * 6, 4),
    )
    net = analyse(parse("conv 8 k3x5 s2; bn; flatten; linear 4", (3, 16, 16)))
    assert net_fact(net, "outputs") == modules(torch.zeros(2, 3, 16, 16)).shape[1]
    assert net_fact(net, "params") == sum(weights.numel() for weights in modules.parameters())
    assert net_fact(net, "params", ("bn",)) == sum(weights.numel() for weights in modules[1].parameters())
    assert net_fact(net, "buffers") == sum(kept.numel() for kept in modules.buffers())
    assert net_fact(net, "rf") == (3, 5)


def test_every_fact_can_be_asked_of_every_kind_of_net() -> None:
    nets = (load_net(name).network for name in ("lenet5", "resnet18", "unet", "lenet5-1998"))
    for network in (*nets, parse("conv 4 k99; relu", (1, 8, 8)), scene("layers id", "delete").lab.network):
        analysis = analyse(network)
        for name in NET_FACTS:
            if not name.startswith("LAYER") and name not in ("count", "has", "share"):
                net_fact(analysis, name)
        for name in OF_OP:
            net_fact(analysis, name, ("conv",))
        for name in OF_LAYER:
            for number in range(len(analysis.rows)):
                net_fact(analysis, name, (number + 1,))


def test_what_is_impossible_costs_nobody_knows_what() -> None:
    broken = ("input 1,8,8", "layers conv 4; conv 4 k99; relu")
    assert asked("ok", *broken) is False and asked("error", *broken) is True
    assert asked("params", *broken) is asked("output", *broken) is asked("conv2.macs", *broken) is None
    assert asked("conv1.params", *broken) == 40
    assert asked("fixes", *broken) > 0
    assert asked("ok", *broken, "mend 1") is True


def test_moves_build_what_the_notation_says() -> None:
    moves = (
        "input 3,32,32",
        "layers conv 8 p1",
        "add relu; maxpool 2",
        "select 1",
        "before bn",
        "select relu1",
        "rewrite tanh",
    )
    state = scene(*moves)
    assert [row.node.layer.op for row in state.lab.analysis.rows] == ["bn", "conv", "tanh", "maxpool"]
    assert asked("output", *moves) == (8, 16, 16)
    assert asked("layers", *moves, "select 4", "delete") == 3
    assert asked("layers", *moves, "select 2", "duplicate") == 5
    assert asked("op", *moves, "select 1", "move 1", index=(2,)) == "bn"
    assert asked("op", *moves, "select 2", "move -1", index=(1,)) == "conv"
    assert asked("count", *moves, "select conv1", "wrap x3", index=("conv",)) == 3
    assert asked("layers", *moves, "select 2", "mark", "select 3", "wrap x2") == 6
    assert asked("layers", *moves, "select 2", "wrap add") == 6  # beside id
    assert asked("net", *moves) == "my-net"


def test_other_ways_and_goals() -> None:
    moves = ("input 64,8,8", "layers conv 64 k5 p2", "goal params <= 80000; field >= 5")
    assert asked("goal.reached", *moves) is False
    assert asked("goal", *moves) == "params <= 80000; field >= 5"
    two = (*moves, "instead 1")
    assert asked("count", *two, index=("conv",)) == 2  # two of 3×3 see as far
    assert asked("rf", *two) == 5
    assert asked("params", *two) == 2 * (9 * 64 * 64 + 64)
    assert asked("goal.reached", *two) is True
    assert asked("goal", *two, "goal") == "none"


def test_what_a_unit_sees() -> None:
    moves = ("input 1,16,16", "layers conv 4 p1; conv 4 p1; maxpool 2; flatten; linear 3")
    assert asked("seen", *moves, "select 2") == 25
    assert asked("seen", *moves, "select 2", "unit 0,0") == 9  # the rest is padding
    assert asked("seen.shape", *moves, "select 3") == (6, 6)
    assert asked("unit", *moves, "select 2", "unit 3,4", "look 1,-2") == (4, 2)
    assert asked("seen", *moves, "select 5") == 256
    assert asked("seen", *moves, "select 1", "rewrite conv 4 p2 d2") == 9  # with gaps
    assert asked("selected", *moves, "select 3") == "maxpool1"
    assert asked("selected.output", *moves, "select 3") == (4, 8, 8)


def test_a_layer_inside_what_is_folded_is_selected_by_what_holds_it() -> None:
    shut = scene("net resnet18", "select 20").lab.line
    assert shut.fold == "folded" and shut.first <= 19 < shut.last
    inside = scene("net resnet18", "select 20", "unfold", "select 20").lab.line
    assert inside.first <= 19 < inside.last and inside.last - inside.first < shut.last - shut.first


def test_a_layer_that_is_gone_is_not_known_and_not_an_error() -> None:
    assert asked("conv3.params", "select conv3", "delete") is None
    with pytest.raises(NoLayerError, match="did you mean conv1"):
        net_fact(scene().lab.analysis, "conv11.params")


def test_the_view_is_part_of_the_scene() -> None:
    assert [asked("view", f"view {name}") for name in VIEWS] == list(VIEWS)


@pytest.mark.parametrize(
    ("move", "said"),
    [
        ("net lenet", "no net of the zoo is called 'lenet'; did you mean lenet5"),
        ("net ./my.toml", "no net of the zoo"),
        ("layers", "there is no layer in it"),
        ("layers con 5", "no layer is called 'con'"),
        ("select 99", "there is no layer 99; there are 12"),
        ("select conv9", "did you mean conv"),
        ("add", "type a layer"),
        ("mend 1", "nothing to mend"),
        ("instead 9", "other ways"),
        ("input 3", "not channels,height,width"),
        ("goal fast", "is no goal"),
        ("look 1", "not down,right"),
        ("view fild", "did you mean field"),
        ("delete it", "write delete"),
        ("dlete", "did you mean delete"),
    ],
)
def test_what_is_wrong_with_a_move_is_said(move: str, said: str) -> None:
    with pytest.raises(WordsError) as error:
        scene(move)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("name", "index", "said"),
    [
        ("parms", (), "did you mean params?"),
        ("conv1.parms", (), "did you mean params?"),
        ("count", (), 'write count["conv"]'),
        ("count", ("convv",), "did you mean conv?"),
        ("depth", ("conv",), "no fact of a net is called depth[...]"),
        ("params", (1, 2), "write LAYER.params"),
    ],
)
def test_what_is_no_fact_is_said(name: str, index: Index, said: str) -> None:
    with pytest.raises(WordsError) as error:
        fact(scene(), name, index)
    assert said in str(error.value)


def test_it_is_found_by_its_name() -> None:
    assert stage("build") is STAGE
