"""Other people's networks: read right or not at all, and whatever their code does, one line comes of it."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import psutil
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's readers know it by this name
from onnx import TensorProto, helper
from torch import Tensor, nn
from torchvision import models

from cnntui.core import layers, pointwise
from cnntui.core.analysis import Analysis, analyse
from cnntui.core.layers import Layer, Shape
from cnntui.core.nets import load_net
from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.core.vocabulary import NotationError
from cnntui.runs.nets import is_callable, load_any
from cnntui.training import importer, onnx_reader
from cnntui.training.importer import read_module
from cnntui.training.model import build

LIMIT = 60.0


def network(model: nn.Module, shape: Shape = (3, 16, 16)) -> Network:
    return read_module(model, shape, "net")[0]


def ops(net: Network) -> list[str]:
    """What its layers are; a branch that only passes its input on is written id."""
    return [node.layer.op for node in net if node.layer.op != "id"]


def facts(net: Network) -> list[tuple[Layer, Shape | None, int]]:
    """Each layer that changes something, its shape and its parameters; gap is written as what torch has for it."""
    every: list[tuple[Layer, Shape | None, int]] = []
    for row in analyse(net).rows:
        if isinstance(row.node.layer, layers.GlobalAvgPool) and row.output:
            every += [(layers.AdaptiveAvgPool((1, 1)), (*row.output, 1, 1), 0), (layers.Flatten(), row.output, 0)]
        elif not isinstance(row.node.layer, pointwise.Identity | layers.AdaptiveAvgPool) or row.output != row.input:
            every.append((row.node.layer, row.output, row.params))
    return every


def alike(one: Network, other: Network) -> bool:
    """Whether they come to the same layers, in any order in which they can be computed."""
    return Counter(facts(one)) == Counter(facts(other))


def computes_the_same(model: nn.Module, net: Network) -> bool:
    """Whether our module of the network, given the other's weights by the names of its nodes, makes the same numbers."""
    ours = build(net).eval()
    for node, mine in zip(net, ours.children(), strict=True):
        if list(mine.parameters()):
            theirs = model.get_submodule(node.name.removeprefix("_"))
            mine.load_state_dict(theirs.state_dict())
            if hasattr(mine, "eps"):
                mine.eps = theirs.eps
    picture = torch.randn(2, *net.input)
    with torch.no_grad():
        return torch.equal(ours(picture), model.eval()(picture))


# torchvision


@pytest.mark.parametrize(
    "name",
    [
        "alexnet", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "mnasnet0_5", "mobilenet_v2",
        "regnet_y_400mf", "resnet18", "resnext50_32x4d", "squeezenet1_1",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_torchvision_computes_the_same(name: str) -> None:
    torch.manual_seed(0)
    slow = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = models.get_model(name, weights=None, **slow).eval()
    shape = (3, 80, 80) if name == "inception_v3" else (3, 64, 64)
    net, idea = read_module(model, shape, name)
    made: dict[str, Shape] = {}
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _m, _x, y, path=path: made.__setitem__(path, tuple(y.shape[1:])))
    assert computes_the_same(model, net)
    rows = {row.node.name: row for row in analyse(net).rows}
    assert {path: rows[path].output for path in made} == made
    used = [p for path, p in model.named_parameters() if not path.startswith(("aux", "AuxLogits"))]
    assert analyse(net).params == sum(p.numel() for p in used)
    assert ("that its output does not use" in idea) == (name in ("googlenet", "inception_v3"))


@pytest.mark.parametrize("name", ["resnet18", "alexnet", "vgg16"])
def test_torchvision_is_what_the_zoo_has(name: str) -> None:
    net, _ = importer.read(f"torchvision:{name}", None)
    assert alike(net, load_net(name).network)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("mobilenet_v3_small", "features.1.block.1.scale_activation (Hardsigmoid)"),
        ("shufflenet_v2_x0_5", "stage2.0 (transpose)"),
        ("vit_b_16", "permute"),
        ("convnext_tiny", "features.0.1"),
        ("swin_t", "permute"),
    ],
)
def test_torchvision_with_other_layers_is_refused(name: str, layer: str) -> None:
    with pytest.raises(NotationError, match="has no counterpart in the notation; there are conv, ") as caught:
        importer.read(f"torchvision:{name}", None)
    assert layer in str(caught.value)


def test_the_input_of_torchvision_can_be_another() -> None:
    assert importer.read("torchvision:inception_v3", None)[0].input == (3, 299, 299)
    assert importer.read("torchvision:resnet18", (3, 64, 48))[0].input == (3, 64, 48)
    with pytest.raises(NotationError, match="on a picture of 1×64×64 it raised RuntimeError: "):
        importer.read("torchvision:resnet18", (1, 64, 64))


def test_no_such_classifier_says_which_there_are() -> None:
    with pytest.raises(NotationError, match="no such classifier; there is resnet18"):
        importer.read("torchvision:ResNet-18", None)


# our own


ALL = (
    "conv 8 k5x3 s2x1 p2x1 d1 nobias; conv 8 k2 same; conv 8 g4 p1; dwconv k3 p1; tconv 8 s2 op1 g2; bn; gn 4; in; ln; "
    "lrn; relu; relu6; leakyrelu; elu; gelu; silu; hardswish; tanh; sigmoid; softmax; pad 1,0,2,3; upsample 2; "
    "maxpool 3 s2 p1 ceil; avgpool 3 s2 p1; avgpool 2 ceil; avgpool 3 s1 p1 nopad; adaptiveavgpool 3x2; "
    "[ conv 8 k1 | bn ] add; [ id | relu; conv 4 k1 ] cat; [ id | gap; linear 12; sigmoid ] mul; "
    "[ id | adaptiveavgpool 1; conv 12 k1 ] mul; dropout 0.2; [ gap | flatten; bn; linear 7 nobias; ln ] cat; relu; "
    "linear 10"
)


def test_every_layer_of_ours_is_read_back() -> None:
    net = parse(ALL, (3, 33, 31))
    assert alike(network(build(net), (3, 33, 31)), net)


@pytest.mark.parametrize("name", ["lenet5", "mnist-gap", "vgg11", "resnet34", "densenet121", "efficientnet-b0"])
def test_the_zoo_is_read_back(name: str) -> None:
    net = load_net(name).network
    assert alike(network(build(net), net.input), net)


def test_the_graph_is_the_same_and_not_only_its_layers() -> None:
    net = parse("a: conv 4 p1; b: relu; [ conv 4 p1 | from a ] add; [ conv 2 k1 | from b | from input ] cat", (3, 8, 8))
    model = build(net)
    assert computes_the_same(model, network(model, (3, 8, 8)))


# nets as people write them


class Residual(nn.Module):
    """Functions between modules, one activation used twice, a logits reshape, and a log_softmax at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2, self.conv1 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.conv2(x))
        x = x + F.dropout(self.act(self.conv1(x)), 0.1, self.training)
        x = F.max_pool2d(x, 2).mean((-2, -1))
        return F.log_softmax(self.fc(x.view(x.size(0), -1)), dim=1)


def test_functions_are_seen() -> None:
    net, idea = read_module(Residual(), (3, 16, 16), "net")
    names = [node.name for node in net if node.layer.op != "id"]
    assert names == ["conv2", "act", "conv1", "act.2", "dropout1", "add1", "maxpool1", "gap1", "fc"]
    assert {node.name: node.inputs for node in net}["add1"] == ("id1", "dropout1")
    assert "log_softmax" in idea
    assert "without numbers" in idea


class Gated(nn.Module):
    """Squeeze and excitation as the first repositories wrote it."""

    def __init__(self, view: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 3), nn.Sigmoid())
        self.pool, self.view = nn.AdaptiveAvgPool2d(1), view

    def forward(self, x: Tensor) -> Tensor:
        b, c, _, _ = x.size()
        return x * self.view(self.fc(self.pool(x).view(b, c))).expand_as(x)


@pytest.mark.parametrize("view", [lambda y: y.view(2, 3, 1, 1), lambda y: y[:, :, None, None]])
def test_a_gate_is_a_mul(view: Callable[[Tensor], Tensor]) -> None:
    net = network(Gated(view))
    assert sorted(ops(net)) == sorted(["adaptiveavgpool", "flatten", "linear", "relu", "linear", "sigmoid", "mul"])
    assert analyse(net).output == (3, 16, 16)


def test_a_gate_over_the_columns_is_no_gate_of_ours() -> None:
    with pytest.raises(NotationError, match="reshaped to 1×1×3"):
        network(Gated(lambda y: y.view(2, 1, 1, 3)), (3, 3, 3))


class Lambda(nn.Module):
    """A function as a module, with a convolution before it."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 3, padding=1), function
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Any:
        return self.function(self.conv(x))


def in_place(x: Tensor) -> Tensor:
    F.relu(x, inplace=True)
    return x


def in_place_by_part(x: Tensor) -> Tensor:
    x[:, 0] = 0
    return x


def in_place_by_view(x: Tensor) -> Tensor:
    x.view(2, -1).relu_()
    return x


def dropped(x: Tensor) -> Tensor:
    return x.contiguous() + F.dropout(x, 0.5, training=False).relu_()


def half_unknown(x: Tensor) -> Tensor:
    x.std()
    return x.relu()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (in_place, "conv relu"),
        (half_unknown, "conv relu"),
        (dropped, "conv dropout relu add"),
        (lambda x: F.dropout(x, 0.5, False, True).contiguous().relu_().add(x), "conv dropout relu add"),
        (lambda x: x.relu_().add_(x), "conv relu add"),
        (lambda x: sum([x, x.relu()]), "conv relu add"),
        (lambda x: torch.cat([x]), None),
        (lambda x: x.clamp(0, 6).clip(min=0), "conv relu6 relu"),
        (lambda x: F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1), "conv adaptiveavgpool flatten"),
        (lambda x: F.avg_pool2d(x, x.shape[2:]).squeeze(), "conv avgpool flatten"),
        (lambda x: x.mean((2, 3), keepdim=True).flatten(1), "conv adaptiveavgpool flatten"),
        (lambda x: F.interpolate(x, scale_factor=2), "conv upsample"),
        (lambda x: F.interpolate(x, size=(32, 32)), "conv upsample"),
        (lambda x: F.pad(x, (1, 2)), "conv pad"),
        (lambda x: {"out": x.tanh().contiguous()}, "conv tanh"),
        (lambda x: 1.0 * x + 0, "conv"),
    ],
)
def test_functions(function: Callable[[Tensor], Any], expected: str | None) -> None:
    if expected is None:
        with pytest.raises(NotationError, match="along dimension 0"):
            network(Lambda(function))
    else:
        assert sorted(ops(network(Lambda(function)))) == sorted(expected.split())


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (in_place_by_part, "changed in place"),
        (in_place_by_view, "changed in place"),
        (nn.LeakyReLU(0.2), r"layer function \(LeakyReLU\).*negative_slope is 0.2, where leakyrelu has 0.01"),
        (nn.ELU(2.0), "alpha is 2.0"),
        (nn.GELU("tanh"), "approximate is tanh"),
        (nn.LocalResponseNorm(3), "size is 3"),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), "circular"),
        (nn.MaxPool2d(3, dilation=2), "dilation is 2"),
        (nn.AvgPool2d(3, divisor_override=4), "divides by 4"),
        (nn.BatchNorm2d(4, affine=False), "parameters 0, not 8"),
        (nn.BatchNorm2d(4, track_running_stats=False), "no running mean"),
        (nn.InstanceNorm2d(4, affine=True), "parameters 8, not 0"),
        (nn.GroupNorm(2, 4, affine=False), "parameters 0, not 8"),
        (nn.LayerNorm(16), "over 16 of 4×16×16"),
        (nn.Hardsigmoid(), r"Hardsigmoid\) has no counterpart in the notation; there are conv, "),
        (nn.Upsample(scale_factor=1.5), "16×16 to 24×24"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), "bilinear"),
        (nn.Softmax(dim=3), "dimension 3"),
        (torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1)), "no conv of ours: its parameters"),
        (lambda x: x + 1, "adds a number"),
        (lambda x: x * 2, "multiplies by a number"),
        (lambda x: x + x.mean((2, 3), keepdim=True), "add needs equal shapes"),
        (lambda x: x + torch.rand_like(x), "rand_like"),
        (lambda x: x + torch.ones(4, 16, 16), "not of a parameter or a constant"),
        (lambda x: x.chunk(2, 1)[0], "chunk"),
        (lambda x: x[:, :2], "picks out a part"),
        (lambda x: x.transpose(1, 2), "transpose"),
        (lambda x: torch.stack([x, x]), "stack"),
        (lambda x: x.view(2, 8, 8, 16), "a reshape that the notation does not have"),
        (lambda x: F.relu(x.view(2, 8, 8, 16)), "reshaped to 8×8×16"),
        (lambda x: x.mean(1), "height and width"),
        (lambda x: (x, x.relu()), "one output"),
        (lambda x: None, "0 tensors"),
        (lambda x: torch.zeros(2, 3), "does not come from its input"),
        (lambda x: x / 0, "div"),
        (lambda x: undefined, "NameError"),  # type: ignore[name-defined]  # noqa: F821
        (lambda x: nn.Linear(4, 2)(x.mean((2, 3))), "parameters 0, not 10"),
    ],
)
def test_what_is_no_layer_of_ours_is_refused(function: Callable[[Tensor], Any], why: str) -> None:
    with pytest.raises(NotationError, match=why) as caught:
        network(Lambda(function))
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_what_torch_does_not_show_is_refused() -> None:
    with pytest.raises(NotationError, match=r"layer function \(.*\) has no counterpart"):
        network(Lambda(torch.jit.script(nn.ReLU())))


def test_nothing_but_the_input() -> None:
    with pytest.raises(NotationError, match="no layer between"):
        network(nn.Identity())


def test_one_module_twice_is_refused() -> None:
    conv = nn.Conv2d(3, 3, 1)
    with pytest.raises(NotationError, match=r"layers _0 and _0.2 share 0\.(weight|bias); here each has its own"):
        network(nn.Sequential(conv, nn.ReLU(), conv))


class Deciding(nn.Module):
    """Goes where the numbers say."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.large(x) if x.sum() > 0 else self.small(x))


def test_where_the_numbers_decide_it_says_so() -> None:
    net, idea = read_module(Deciding(), (3, 16, 16), "net")
    assert ops(net) == ["conv", "relu"]
    assert net.nodes[0].name == "small"
    assert "where its way depends on the numbers, it is the way of zeros (" in idea
    assert "without 304 parameters (large)" in idea


def test_what_only_a_shape_decides_is_no_matter() -> None:
    _, idea = read_module(Lambda(lambda x: x.relu() if x.shape[-1] > 8 else x.tanh()), (3, 16, 16), "net")
    assert "depends" not in idea


def test_it_is_left_as_it_was() -> None:
    model = Residual().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_layers_that_learn_their_sizes_first() -> None:
    lazy = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
    assert [row.params for row in analyse(network(lazy)).rows] == [112, 8, 0, 0, 7850]
    with pytest.raises(NotationError, match="on a picture of 3×2×2 it raised RuntimeError"):
        network(nn.Sequential(nn.LazyConv2d(4, 3)), (3, 2, 2))


def test_another_eps_is_told() -> None:
    _, idea = read_module(nn.Sequential(nn.BatchNorm2d(3, eps=0.001)), (3, 4, 4), "net")
    assert "bn has eps 0.001 there, not 1e-05" in idea


# module:callable


PACKAGE = """
import sys
import torch
from torch import nn
def make():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 10))
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
    def forward(self, x):
        return self.conv(x).relu()
class Space:
    net = Net()
def shout():
    print("{" * 100_000)
    sys.stderr.write("loud")
    input_ = sys.stdin.read()
    assert input_ == ""
    return make()
def needs(width): return make()
def fails(): raise ValueError("a bad\\nline \\x1b[31m" + "x" * 1000)
def leaves(): sys.exit(3)
def text(): return "text"
number = 4
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with other people's modules, one of which is called like one of Python's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "othernets").mkdir()
    (tmp_path / "othernets" / "__init__.py").write_text("")
    (tmp_path / "othernets" / "nets.py").write_text(PACKAGE)
    (tmp_path / "random.py").write_text("raise RuntimeError('not the random of Python')")
    (tmp_path / "needy.py").write_text("import timmy_that_is_not_there")
    (tmp_path / "broken.py").write_text("def make(:")
    return tmp_path


@pytest.mark.parametrize("name", ["make", "Net", "Space.net"])
@pytest.mark.parametrize("where", ["othernets.nets", "othernets/nets.py"])
def test_a_callable_a_class_and_a_module(here: Path, monkeypatch: pytest.MonkeyPatch, where: str, name: str) -> None:
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.delitem(sys.modules, "othernets.nets", raising=False)
    monkeypatch.delitem(sys.modules, "othernets", raising=False)
    net, _ = importer.read(f"{where}:{name}", (3, 16, 16))
    assert ops(net)[:2] == ["conv", "relu"]
    assert net.name == name


@pytest.mark.parametrize(
    ("net", "why"),
    [
        ("othernets.nets:fails", r"fails\(\) raised ValueError: a bad line \[31mx+…$"),
        ("othernets.nets:leaves", r"leaves\(\) raised SystemExit: 3$"),
        ("othernets.nets:needs", r"needs\(\) raised TypeError: needs\(\) missing 1 required"),
        ("othernets.nets:text", r"text\(\) returned str, not an nn.Module$"),
        ("othernets.nets:number", "number is of type int, not a function"),
        ("othernets.nets:maek", "othernets.nets has no maek; there is make"),
        ("othernets.nest:make", "no module is called othernets.nest, neither installed nor in "),
        ("nowhere:make", "no module is called nowhere"),
        ("nowhere.py:make", "there is no file nowhere.py"),
        ("needy:make", "importing needy raised ModuleNotFoundError: No module named 'timmy_that_is_not_there'"),
        ("broken.py:make", "importing broken.py raised SyntaxError"),
    ],
)
def test_what_makes_no_module(here: Path, monkeypatch: pytest.MonkeyPatch, net: str, why: str) -> None:
    monkeypatch.setattr("sys.path", [*sys.path])
    for module in ("othernets", "othernets.nets"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(NotationError, match=why) as caught:
        importer.read(net, (3, 16, 16))
    assert "\n" not in str(caught.value)


# the process


def test_what_each_net_is() -> None:
    assert is_callable("pkg.nets:make")
    assert is_callable("some/path/nets.py:Net.small")
    assert not is_callable("stem:relu")
    assert not is_callable("stem: conv 4; relu")
    assert not is_callable("resnet18")


def test_our_own_nets_need_no_process() -> None:
    assert load_any("lenet5") == load_net("lenet5")
    assert ops(load_any("stem:relu", (1, 4, 4)).network) == ["relu"]


def test_torchvision_by_its_process() -> None:
    read = load_any("torchvision:resnet18", (3, 64, 64))
    assert alike(read.network, load_net("resnet18", (3, 64, 64)).network)
    assert (read.network.name, read.source) == ("resnet18", "torchvision:resnet18")
    assert read.idea.startswith("recorded while torch ran it once")


def test_what_it_prints_is_not_its_answer(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    read = load_any("othernets.nets:shout", (3, 16, 16))
    assert ops(read.network) == ["conv", "relu", "flatten", "linear"]
    assert capfd.readouterr() == ("", "")


def test_a_callable_needs_its_input(here: Path) -> None:
    with pytest.raises(NotationError, match=r"othernets.nets:make needs its input: add --input C,H,W"):
        load_any("othernets.nets:make")
    with pytest.raises(NotationError, match=r"write othernets/nets.py:NAME"):
        load_any("othernets/nets.py")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("import os; os._exit(3)", "bad:make: its process ended with status 3 and without an answer"),
        ("import os; os.kill(os.getpid(), 9)", "bad:make: its process was killed by SIGKILL: out of memory, perhaps"),
        ("x = bytearray(1 << 45)", "bad:make: importing bad raised MemoryError"),
        (
            "import resource as r; assert 0 < r.getrlimit(r.RLIMIT_DATA)[0] < 1 << 45, 'no limit'; raise IndexError",
            "bad:make: importing bad raised IndexError",
        ),
    ],
)
def test_however_it_dies_there_is_one_line(here: Path, body: str, why: str) -> None:
    (here / "bad.py").write_text(body)
    with pytest.raises(NotationError) as caught:
        load_any("bad:make", (3, 16, 16))
    assert str(caught.value) == why


def test_what_hangs_is_ended_with_all_it_started(here: Path) -> None:
    (here / "hang.py").write_text(
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', {str(here)!r}])\n"
        "open('reached', 'w').close()\n"
        "while True: time.sleep(1)\n"
    )
    begun = time.monotonic()
    with pytest.raises(NotationError, match="hang:make: not read within 8 s; its process was ended"):
        load_any("hang:make", (3, 16, 16), seconds=8)
    assert time.monotonic() - begun < 12
    assert (here / "reached").exists()
    time.sleep(0.2)
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE:
            assert not {str(here), "hang:make"} & set(process.info["cmdline"] or ())


def test_packages_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for net in ("torchvision:resnet18", "pkg:make"):
        with pytest.raises(NotationError, match=r"pip install 'cnntui.train.'"):
            load_any(net, (3, 16, 16))
    with pytest.raises(NotationError, match=r"pip install 'cnntui.onnx.'"):
        load_any("net.onnx")


# ONNX


def exported(net: Network, path: Path, **settings: Any) -> Path:
    torch.onnx.export(build(net).eval(), (torch.zeros(2, *net.input),), path, **settings)
    return path


SIMPLE = (
    "conv 6 k5 p2; tanh; avgpool 2; conv 8 k4 same; relu6; maxpool 3 s2 p1 ceil; [ conv 8 p1 g2 | id ] add; "
    "[ conv 8 k1 nobias | id ] cat; silu; [ id | gap; linear 4; relu; linear 16; sigmoid ] mul; "
    "tconv 4 s2 op1; leakyrelu; elu; hardswish; pad 1,2,0,1; upsample 2; avgpool 3 s2 p1 nopad; "
    "softmax; ln; flatten; linear 12; relu; linear 10 nobias"
)


@pytest.mark.parametrize(
    "settings",
    [
        {"dynamo": False},
        {"dynamo": True, "verbose": False},
        {"dynamo": True, "verbose": False, "dynamic_shapes": ({0: "batch"},)},
    ],
    ids=["script", "dynamo", "any batch"],
)
@pytest.mark.filterwarnings("ignore")
def test_what_torch_exports_is_read_back(tmp_path: Path, settings: dict[str, Any]) -> None:
    net = parse(SIMPLE, (1, 28, 28))
    read, idea = onnx_reader.read(str(exported(net, tmp_path / "some.net.onnx", **settings)), None)
    same = [fact for fact in facts(read) if not isinstance(fact[0], layers.Pad)]
    assert Counter(same) == Counter(fact for fact in facts(net) if not isinstance(fact[0], layers.Pad))
    assert analyse(read).params == analyse(net).params
    assert read.name == "some.net"
    assert "ONNX file (opset" in idea


@pytest.mark.filterwarnings("ignore")
def test_a_real_net_by_onnx(tmp_path: Path) -> None:
    net = load_net("resnet18", (3, 64, 64)).network
    path = exported(net, tmp_path / "net.onnx", dynamo=False, training=torch.onnx.TrainingMode.PRESERVE)
    for file in tmp_path.iterdir():
        if file != path:
            file.unlink()  # weights apart from their file, which nobody opens
    assert alike(load_any(str(path)).network, net)


def model(
    nodes: list[onnx.NodeProto],
    weights: dict[str, list[int]] | None = None,
    shape: tuple[Any, ...] = (1, 3, 8, 8),
    constants: dict[str, list[Any]] | None = None,
    opset: int = 18,
) -> onnx.ModelProto:
    tensors = [
        helper.make_tensor(name, TensorProto.FLOAT, dims, b"\0" * 4 * int(torch.tensor(dims).prod()), raw=True)
        for name, dims in (weights or {}).items()
    ]
    tensors += [
        helper.make_tensor(name, TensorProto.INT64 if isinstance(v[0], int) else TensorProto.FLOAT, [len(v)], v)
        for name, v in (constants or {}).items()
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def read_model(made: onnx.ModelProto, directory: Path, shape: Shape | None = None) -> Analysis:
    path = directory / "net.onnx"
    path.write_bytes(made.SerializeToString())
    return analyse(onnx_reader.read(str(path), shape)[0])


def node(kind: str, *inputs: str, out: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, list(inputs), [out], **attributes)


CONV = {"w": [4, 3, 3, 3]}


@pytest.mark.parametrize(
    ("nodes", "written", "output"),
    [
        ([node("Conv", "x", "w", pads=[1, 0, 1, 0])], "conv", (4, 8, 6)),
        ([node("Conv", "x", "w", pads=[0, 1, 1, 0])], "pad conv", (4, 7, 7)),
        ([node("Conv", "x", "w", auto_pad="SAME_LOWER")], "conv", (4, 8, 8)),
        ([node("Conv", "x", "w", auto_pad="SAME_UPPER", strides=[2, 2])], "pad conv", (4, 4, 4)),
        ([node("Conv", "x", "w", auto_pad="VALID")], "conv", (4, 6, 6)),
        ([node("AveragePool", "x", kernel_shape=[2, 2], pads=[0, 0, 1, 1], count_include_pad=1)], "pad avgpool", None),
        ([node("ReduceMean", "x", "axes", keepdims=0)], "gap", (3,)),
        ([node("Clip", "x", "low", "high")], "relu6", (3, 8, 8)),
        ([node("Pad", "x", "pads")], "pad", (3, 11, 15)),
        ([node("Resize", "x", "", "scales", mode="nearest")], "upsample", (3, 16, 16)),
        ([node("LRN", "x", size=5)], "lrn", (3, 8, 8)),
        (
            [node("Flatten", "x", out="f"), node("MatMul", "f", "m", out="z"), node("Add", "b", "z")],
            "flatten linear",
            (5,),
        ),
        ([node("Flatten", "x", out="f"), node("LogSoftmax", "f")], "flatten", (192,)),
        ([node("Shape", "x", out="s"), node("Relu", "x", out="r"), node("Reshape", "r", "s")], "relu", (3, 8, 8)),
    ],
)
def test_operators(tmp_path: Path, nodes: list[onnx.NodeProto], written: str, output: Shape | None) -> None:
    constants: dict[str, list[Any]] = {"axes": [2, 3], "low": [0.0], "high": [6.0], "pads": [0, 0, 1, 3, 0, 0, 2, 4]}
    made = model(nodes, {**CONV, "m": [192, 5], "b": [5]}, constants={**constants, "scales": [1.0, 1.0, 2.0, 2.0]})
    if written == "relu6":
        for tensor in made.graph.initializer:
            if tensor.name in ("low", "high"):
                del tensor.dims[:]
    analysis = read_model(made, tmp_path)
    assert ops(analysis.network) == written.split()
    assert output is None or analysis.output == output


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([node("Conv", "x", "w", auto_pad="SAME_UPPER", strides=[2, 2], group=3)], "."),
        ([node("MaxPool", "x", kernel_shape=[2, 2], pads=[0, 0, 1, 1])], "differs from side to side"),
        ([node("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 2])], "dilations"),
        ([node("HardSigmoid", "x")], r"\(HardSigmoid\) has no counterpart in the notation; there are conv, "),
        ([node("LeakyRelu", "x", alpha=0.2)], "alpha"),
        ([node("Add", "x", "b")], "not of a constant"),
        ([node("Transpose", "x")], "Transpose"),
        ([node("ReduceMean", "x", "axes", keepdims=0)], "height and width"),
        ([node("Relu", "z")], "does not come from its input"),
        ([node("Reshape", "x", "to")], "a reshape that the notation does not have"),
        ([node("Conv", "x", "missing")], "not known"),
        ([node("Relu", "x", out="elsewhere")], "does not come from its input"),
        ([helper.make_node("Relu", ["x"], ["y"], domain="evil.example")], "evil.example"),
    ],
)
def test_operators_that_are_refused(tmp_path: Path, nodes: list[onnx.NodeProto], why: str) -> None:
    made = model(nodes, {**CONV, "b": [1, 3, 8, 8]}, constants={"axes": [1, 2], "to": [1, 6, 4, 8]})
    with pytest.raises(NotationError, match=why) as caught:
        read_model(made, tmp_path)
    assert "\n" not in str(caught.value)


def test_an_open_input_is_asked_for(tmp_path: Path) -> None:
    made = model([node("Conv", "x", "w")], CONV, ("batch", 3, "height", "width"))
    with pytest.raises(NotationError, match="add --input C,H,W"):
        read_model(made, tmp_path)
    assert read_model(made, tmp_path, (3, 20, 10)).output == (4, 18, 8)


def test_weights_elsewhere_are_not_opened(tmp_path: Path) -> None:
    made = model([node("Conv", "x", "w")])
    weight = made.graph.initializer.add(name="w", dims=[4, 3, 3, 3], data_type=TensorProto.FLOAT)
    weight.data_location = TensorProto.EXTERNAL
    os.mkfifo(tmp_path / "secret")  # whoever opens it to read waits for ever
    for key, value in (("location", "secret"), ("offset", "0"), ("length", "432")):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    assert read_model(made, tmp_path).params == 108
    weight.external_data[0].value = "../../../etc/passwd"
    assert read_model(made, tmp_path).params == 108


def hostile() -> dict[str, bytes]:
    good = model([node("Conv", "x", "w", out="z"), node("Relu", "z")], CONV).SerializeToString()
    huge = model([node("Conv", "x", "w")])
    huge.graph.initializer.add(name="w", dims=[1 << 40, 3, 3, 3], data_type=TensorProto.FLOAT, raw_data=b"\0\0\0\0")
    vast = model([node("Conv", "x", "w")])
    vast.graph.initializer.add(
        name="w", dims=[1 << 40, 3, 3, 3], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL
    )
    less = model([node("Conv", "x", "w")])
    less.graph.initializer.add(name="w", dims=[-4, 3, 3, 3], data_type=TensorProto.FLOAT)
    bomb = model([node("ConstantOfShape", "n", out="c"), node("Add", "x", "c")], constants={"n": [1 << 20, 1 << 20]})
    loop = model([node("Relu", "z", out="y"), node("Relu", "y", out="z"), node("Add", "x", "y", out="w")])
    return {
        "empty": b"",
        "random": bytes(torch.randint(0, 256, (4096,), generator=torch.Generator().manual_seed(0)).tolist()),
        "cut": good[: len(good) // 2],
        "pickle": pickle.dumps({"an": os.getcwd}),
        "zip": b"PK\x03\x04" + b"\0" * 100,
        "huge": huge.SerializeToString(),
        "vast": vast.SerializeToString(),
        "negative": less.SerializeToString(),
        "bomb": bomb.SerializeToString(),
        "loop": loop.SerializeToString(),
        "wide": model([node("Relu", "x")], shape=(1, 1 << 40, 1 << 40, 1 << 40)).SerializeToString(),
    }


@pytest.mark.parametrize("kind", hostile())
def test_a_hostile_file_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(hostile()[kind])
    begun = time.monotonic()
    with pytest.raises(NotationError) as caught:
        onnx_reader.read(str(path), None)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begun < 5


def test_every_cut_of_a_file_is_one_line_or_a_net(tmp_path: Path) -> None:
    good = model([node("Conv", "x", "w", out="z"), node("Relu", "z")], CONV).SerializeToString()
    path = tmp_path / "bad.onnx"
    for at in range(0, len(good), 7):
        for data in (good[:at], good[:at] + b"\xff" + good[at + 1 :]):
            path.write_bytes(data)
            try:
                onnx_reader.read(str(path), None)
            except NotationError as error:
                assert "\n" not in str(error)


def test_a_hostile_file_by_its_process(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(hostile()["random"])
    with pytest.raises(NotationError, match=r"bad.onnx: it is not an ONNX file, or "):
        load_any(str(path))
    with pytest.raises(NotationError, match=r"none.onnx: there is no such file"):
        load_any(str(tmp_path / "none.onnx"))
