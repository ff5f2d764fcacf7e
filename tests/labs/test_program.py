"""What is written as PyTorch is the same network: executed, with the same weights, it gives the same numbers."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnntui.core.analysis import analyse
from cnntui.core.items import Block, Branches, Call, From, Item, Repeat, Single
from cnntui.core.layers import Conv, Subsample, Table
from cnntui.core.merges import Add
from cnntui.core.nets import NetFile, load_net, parse_toml, zoo
from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.core.pointwise import Identity
from cnntui.core.vocabulary import VOCABULARY
from cnntui.labs.program import pytorch
from cnntui.labs.program.text import WIDTH
from cnntui.labs.program.writer import MODULE_OWN
from cnntui.training.model import build
from tests.core.random_networks import described, random_network

pytestmark = pytest.mark.usefixtures("one_thread")

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")  # of build; the programs themselves have none

BLOCKS = (
    Block("keep", ("c",), ("[ conv {c // 2} k1; bn; relu; conv {c} p1 | id ] add", "relu")),
    Block("wide", ("c", "s", "k"), ("conv {c} k{k} s{s} p{k//2}", "@keep(c)", "[ conv {2*c} k1 | id ] cat")),
    Block("skip", ("c",), ("conv {c} k1", "[ from input; conv {2*c} k1 | a: tanh; conv {2*c} p1; [ from a | id ] cat",
                           "conv {2*c} k1 ] add")),
    Block("deep", ("c", "n"), ("conv {c} k1; ( [ id | bn; relu; conv 3 p1 ] cat ) x{n}",)),
    Block("class", ("self", "l"), ("conv {self} k1; ( [ id | conv {self + l} k1; conv {self} k1 ] add ) x2",)),
)  # fmt: skip
TABLES = {"c3": Table("c3", ((0, 1), (1,), (0, 2), (0, 1, 2)))}
WRITTEN = {
    "chain": "conv 4 k5x3 s2x1 p1x2 d1x2 nobias; relu; flatten; linear 5 nobias",
    "pictures": "conv 4; bn; ln; in; gn 2; lrn; relu6; leakyrelu; elu; gelu; silu; hardswish; tanh; sigmoid; softmax; id",
    "vectors": "gap; bn; ln; gn 3; linear 4; softmax; dropout; dropout 0.2; flatten; linear 2",
    "same": "conv 4 k4 same; conv 4 k3x2 d2x3 same; dwconv k5 same nobias; dwconv k2 same; conv 4 k5x1 same g2",
    "windows": "maxpool 2; avgpool 3 s1 p1 nopad; maxpool 3x2 s2 p1 ceil; upsample 3; pad 1,0,2,3; avgpool 2 ceil",
    "other": "tconv 6 k3x2 s2 p1x0 op1 g3 nobias d1x2; dwconv s2; adaptiveavgpool 5x4; subsample 2; adaptiveavgpool 2",
    "table": "conv 4 k3 table c3; conv 3 k1; conv 4 k2 same nobias table c3; conv 3 k1; conv 4 k3x1 s2 p1x0 d2 table c3",
    "branches": "[ conv 4 p1 | conv 2 k1; relu | maxpool 3 s1 p1 ] cat; [ id | conv 9 k1 | bn; relu ] add; relu",
    "nested": "[ [ conv 4 k1 | [ id | conv 3 k1 ] mul; conv 4 k1 ] add; bn | conv 4 p1 | [ id | id ] cat; conv 4 k1 ] add",
    "gates": "conv 8 p1; [ id | gap; linear 2; relu; linear 8; sigmoid ] mul; [ gap | id | adaptiveavgpool 1 ] mul",
    "gated vectors": "gap; [ linear 4 | linear 4; sigmoid ] mul; [ id | linear 2 ] cat",
    "repeats": "( conv 8 p1; relu ) x3; ( bn ) x2; ( ( conv 8 p1; relu ) x2; maxpool 2 ) x2; ( id ) x3",
    "growing": "( [ id | conv 2 p1; relu ] cat ) x6; ( [ id | conv 2 k1 ] cat; relu ) x2; ( conv 8 k1 ) x1",
    "odd repeats": "( [ conv 6 p1 | conv 2 k1 ] cat; relu ) x4; ( [ id | id ] add ) x2; ( [ id | id ] cat ) x3",
    "names": "a: conv 4 p1; relu; b: [ from a | id | conv 4 p1 ] add; [ from input; conv 4 k1 | from b ] mul; from a; bn",
    "repeats that look outside": "a: conv 4 p1; ( [ from a | bn | from input; conv 4 k1 ] add ) x3; [ from a | id ] cat",
    "own names": "( a: bn; tanh; [ from a | id ] add ) x2; ( a: bn ) x2; a: conv 4 k1; ( c: tanh ); [ from a | from c ] cat",
    "read by nobody": "conv 4; [ id | id ] add; from input; [ a: id | conv 3; from input ] add; [ conv 3 p1 | from a ] add",
    "groups": "stem: ( conv 4 p1; relu ); body: ( @keep(4) ) x3; ( bn; train: relu ); head: ( [ id | gap ] mul; gap )",
    "blocks": "@keep(3); @wide(4, 1, 3); @wide(6, 2, 5); @skip(4); @skip(6); a: @skip(18); [ from a | id ] add",
    "growing blocks": "@deep(4, 3); relu; @deep(8, 5); conv 4 k1; @deep(6, 3)",
    "alike blocks": "( @class(4, 2) ) x2; @class(4, 7); @class(8, 2)",
    "sizes in blocks": "( @class(4, 2); maxpool 2 ) x2",
    "nothing": "id",
    "nothing at all": "from input",
}  # fmt: skip


def executed(source: str) -> nn.Module:
    """The network of a program, which prints nothing unless it is run as one."""
    names: dict[str, Any] = {}
    exec(compile(source, "program.py", "exec"), names)
    *_, whole = (each for each in names.values() if isinstance(each, type) and issubclass(each, nn.Module))
    made: nn.Module = whole()
    return made.eval()


def weights(module: nn.Module) -> list[Tensor]:
    """Random numbers that keep what passes through at about its size, in the shapes of its state."""
    torch.manual_seed(5)
    found = []
    for tensor in module.state_dict().values():
        spread = tensor[0].numel() ** -0.5 if tensor.dim() > 1 else 0
        new = torch.empty(tensor.shape, dtype=tensor.dtype)
        found.append(new.uniform_(-2 * spread, 2 * spread) if spread else new.fill_(1))
        if not spread and tensor.is_floating_point():
            new.uniform_(0.5, 1.5)
    return found


def agrees(net: NetFile, double: bool = True) -> str:
    """The program, if it is the same network as torch sees it."""
    source = pytorch(net)
    assert pytorch(net) == source
    assert max(map(len, source.splitlines())) <= WIDTH
    analysis = analyse(net.network)
    with torch.device("meta" if analysis.params > 1_000_000 else "cpu"):  # large ones are not filled twice
        mine, theirs = executed(source), build(net.network).eval()
    state = weights(theirs)
    assert [tensor.shape for tensor in mine.state_dict().values()] == [tensor.shape for tensor in state]
    assert sum(parameter.numel() for parameter in mine.parameters()) == analysis.params
    for module in (mine, theirs):
        module.load_state_dict(dict(zip(module.state_dict(), state, strict=True)), assign=True)
    x = torch.rand(2, *net.network.input)
    if double:
        mine, theirs, x = mine.double(), theirs.double(), x.double()
    with torch.no_grad():
        torch.testing.assert_close(mine(x), theirs(x), rtol=1e-5, atol=1e-5, equal_nan=True)
    return source


def smaller(name: str) -> NetFile:
    """A net of the zoo on a picture as small as leaves it the same parameters."""
    net = load_net(name)
    channels, height, width = net.network.input
    for size in (32, 64, 96):
        if size < height and height == width:
            shrunk = load_net(name, (channels, size, size))
            analysis = analyse(shrunk.network)
            if not analysis.error and analysis.params == analyse(net.network).params:
                return shrunk
    return net


@pytest.mark.parametrize("name", zoo())
def test_a_net_of_the_zoo_gives_the_same_output_as_a_program(name: str) -> None:
    net = load_net(name)
    source = agrees(smaller(name), double=False)
    with torch.device("meta"):
        whole = executed(pytorch(net))
        if "TableConv" not in source:
            assert whole(torch.zeros(1, *net.network.input)).shape[1:] == analyse(net.network).output


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_random_networks_give_the_same_output_as_programs(first: int) -> None:
    for seed in range(first, first + 20):
        network = random_network(random.Random(seed))
        assert agrees(NetFile(network)), described(network, seed)


@pytest.mark.parametrize("name", WRITTEN)
def test_everything_the_notation_can_say_gives_the_same_output_as_a_program(name: str) -> None:
    agrees(NetFile(parse(WRITTEN[name], (3, 13, 12), name, BLOCKS, TABLES)))


def test_every_layer_of_the_vocabulary_has_been_written() -> None:
    networks = [parse(text, (3, 13, 12), "", BLOCKS, TABLES) for text in WRITTEN.values()]
    assert {layer.op for network in networks for layer in network.layers} >= set(VOCABULARY) | {"add", "mul", "cat"}


RESIDUAL = """
name = "tiny-resnet"
year = 2015
idea = "A shortcut around every block."
source = "He et al."
input = [3, 32, 32]
layers = ["stem: ( conv 16 p1; bn; relu )", "( @residual(16) ) x3", "@down(32)", "( @residual(32) ) x3", "gap", "linear 10"]
[block.residual]
args = ["c"]
layers = ["[ conv {c} p1; bn | id ] add", "relu"]
[block.down]
args = ["c"]
layers = ["conv {c} s2 p1; relu"]
"""


def test_a_residual_net_reads_as_if_written_by_hand() -> None:
    assert (
        pytorch(parse_toml(RESIDUAL))
        == '''"""tiny-resnet (2015)

A shortcut around every block.

Source: He et al.
"""

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(c, c, 3, padding=1),
            nn.BatchNorm2d(c),
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.residual(x) + x
        x = self.relu(x)
        return x


class Down(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
        )


class TinyResnet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),  # 16×32×32
            nn.BatchNorm2d(16),
            nn.ReLU(),
        )
        self.layers = nn.Sequential(
            *[Residual(16) for _ in range(3)],
            Down(),  # 32×16×16
            *[Residual(32) for _ in range(3)],
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.layers(x)
        return x


if __name__ == "__main__":
    net = TinyResnet().eval()
    with torch.no_grad():
        output = net(torch.zeros(1, 3, 32, 32))
    print("output", tuple(output.shape))
    print(f"{sum(parameter.numel() for parameter in net.parameters()):,} parameters")
'''
    )


def test_a_program_prints_its_output_shape_and_its_parameters(tmp_path: Path) -> None:
    network = parse("conv 4 k4 same; bn; ( [ id | conv 4 k1 ] add ) x2; gap; linear 3", (2, 9, 9), "small")
    path = tmp_path / "small.py"
    path.write_text(pytorch(NetFile(network)), "utf-8")
    command = [sys.executable, "-W", "error", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == f"output (1, 3)\n{analyse(network).params} parameters\n"
    assert done.stderr == ""


EVIL = [
    '"""', "\\", 'x"""\nimport os\n"""', "a\nb", "class", "None", "__init__", "_modules", "self", "x", "inputs", "torch",
    "nn", "forward", "train", "half", "Tensor", "TableConv", "Scale", "range", "block", "i", "l", "I", "type", "noqa",
    "a.b-c", "é²", "1", ". .", "\ud800\u202e", "{name}", "%s", "a" * 500,
]  # fmt: skip


def hostile(name: str) -> NetFile:
    """A network with that name wherever one can stand; the notation would refuse most of them."""
    conv = Conv(2, (1, 1))
    inner: tuple[Item, ...] = (Single(conv), Branches(((Single(conv),), (Single(Identity()),)), Add()))
    items: tuple[Item, ...] = (
        Single(conv, name=name),
        Branches(((Single(conv, name=f"{name}2"), Single(conv)), (From(name),)), Add(), name=f"{name}3"),
        Repeat(
            (Single(conv, name=f"{name}4"), Branches(((From(name),), (From(f"{name}4"),)), Add())), 3, name=f"{name}5"
        ),
        Repeat((Single(conv), Single(Identity())), 1, name=f"{name}6"),
        Call(name, (3,), inner),
        Single(Conv(2, table=Table(name, ((0,), (0, 1))))),
        Single(Subsample((2, 2))),
        Branches(((From(f"{name}3"), Single(Conv(2, (7, 7)))), (Call(name, (2,), inner),)), Add()),
    )
    blocks = (Block(name, (name,), (f"conv {{{name}}} k1", f"[ conv {{{name}}} k1 | id ] add")),)
    return NetFile(Network(name, (2, 10, 10), items, blocks), 2000, name * 30, name)


def test_names_and_texts_stay_where_they_belong(tmp_path: Path) -> None:
    for index, name in enumerate(EVIL):
        source = agrees(hostile(name))
        assert "\nimport os" not in source
        (tmp_path / f"evil{index}.py").write_text(source, "utf-8")
    for name in zoo():
        (tmp_path / f"{name}.py").write_text(pytorch(load_net(name)), "utf-8")
    for name, text in WRITTEN.items():
        (tmp_path / f"{name}.py").write_text(pytorch(NetFile(parse(text, (3, 13, 12), name, BLOCKS, TABLES))), "utf-8")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_submodule_is_called_as_torch_calls_something_of_its_own() -> None:
    assert {name for name in dir(nn.Module()) if not name.startswith("_")} <= MODULE_OWN


def test_the_table_of_a_convolution_starts_as_training_starts_it() -> None:
    network = parse("conv 4 k5 table c3", (3, 9, 9), tables=TABLES)
    bound = torch.tensor([(25 * len(row)) ** -0.5 for row in TABLES["c3"].inputs])
    pairs = torch.tensor([output for output, row in enumerate(TABLES["c3"].inputs) for _ in row])
    for module in (executed(pytorch(NetFile(network))), build(network)):
        weight, bias = module.parameters()
        assert bool((weight.abs() <= bound[pairs, None, None]).all())
        assert bool((bias.abs() <= bound).all())
        assert weight.abs().max() > 0.9 * bound.max()


def test_an_impossible_network_is_no_program() -> None:
    with pytest.raises(ValueError, match=r"^layer conv2: kernel 9 > 4"):
        pytorch(NetFile(parse("conv 4; conv 4 k9", (1, 6, 6))))


@pytest.mark.parametrize(
    "text", ["( conv 8 p1; relu ) x3000", "( [ id | conv 2 p1 ] cat ) x200", "[" * 39 + "conv 2 k1" + "| id ] add" * 39]
)
def test_large_networks_are_short_programs(text: str) -> None:
    source = pytorch(NetFile(parse(text, (2, 3, 3))))
    assert len(source.splitlines()) < 70
    assert max(map(len, source.splitlines())) <= WIDTH
