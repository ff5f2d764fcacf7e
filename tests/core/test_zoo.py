"""The zoo: torchvision layer by layer and score by score, published figures, and what a unit sees as gradients show it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, product
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from cnntui.core import layers, pointwise
from cnntui.core.analysis import Analysis, analyse
from cnntui.core.items import Branches, Call, Item, Items, Repeat, Single
from cnntui.core.layers import Layer
from cnntui.core.merges import Add, Cat, Mul
from cnntui.core.nets import load_net, parse_toml, zoo, zoo_directory
from cnntui.core.network import Network
from cnntui.core.receptive_field import Field
from cnntui.core.sight import sight
from cnntui.core.vocabulary import ACTIVATIONS
from cnntui.training.model import Net, build

pytestmark = pytest.mark.usefixtures("one_thread")

TORCHVISION = {
    "alexnet": "alexnet",
    "densenet121": "densenet121",
    "efficientnet-b0": "efficientnet_b0",
    "googlenet": "googlenet",
    "mobilenetv2": "mobilenet_v2",
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "resnet152": "resnet152",
    "squeezenet1.1": "squeezenet1_1",
    "vgg11": "vgg11",
    "vgg13": "vgg13",
    "vgg16": "vgg16",
    "vgg19": "vgg19",
}
SEQUENTIAL = {"alexnet", "vgg11", "vgg13", "vgg16", "vgg19"}
KINDS: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.Linear: "linear",
    nn.BatchNorm2d: "bn",
    nn.MaxPool2d: "maxpool",
    nn.AvgPool2d: "avgpool",
}


class Step(NamedTuple):
    """One layer as it was run."""

    kind: str
    params: int
    macs: int
    output: tuple[int, ...]


def torchvisions(name: str) -> nn.Module:
    """Its model of that name, on the meta device: shapes without numbers."""
    import torchvision

    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        model: nn.Module = torchvision.models.get_model(TORCHVISION[name], **options)
    return model.eval()


def steps(model: nn.Module, shape: tuple[int, ...]) -> list[Step]:
    """The layers of `KINDS` in the order in which they run, each with what it cost."""
    done: list[Step] = []

    def note(part: nn.Module, _: object, out: Tensor) -> None:
        macs = 0
        if isinstance(part, nn.Conv2d):
            macs = out.numel() * part.weight[0].numel()
        elif isinstance(part, nn.Linear):
            macs = part.weight.numel()
        params = sum(parameter.numel() for parameter in part.parameters())
        done.append(Step(KINDS[type(part)], params, macs, tuple(out.shape[1:])))

    for part in model.modules():
        if type(part) in KINDS:
            part.register_forward_hook(note)
    model(torch.zeros(1, *shape, device="meta"))
    return done


@pytest.mark.parametrize("name", TORCHVISION)
def test_every_net_that_torchvision_has_is_equal_layer_by_layer(name: str) -> None:
    analysis = analyse(load_net(name).network)
    model = torchvisions(name)
    expected = steps(model, analysis.network.input)
    found = [
        Step({"dwconv": "conv"}.get(row.node.layer.op, row.node.layer.op), row.params, row.macs, row.output or ())
        for row in analysis.rows
        if row.node.layer.op in ("dwconv", *KINDS.values())
    ]
    assert found == expected
    assert analysis.params == sum(parameter.numel() for parameter in model.parameters())
    assert analysis.buffers == sum(buffer.numel() for buffer in model.buffers())
    assert analysis.macs == sum(step.macs for step in expected)


@pytest.mark.parametrize("name", sorted(TORCHVISION.keys() - SEQUENTIAL))
def test_with_the_weights_of_torchvisions_the_scores_are_the_same(name: str) -> None:
    """What shapes cannot tell: which layer reads which, and where the activations are. At 64×64, which all of them take."""
    torch.manual_seed(0)
    theirs = torchvisions(name).to_empty(device="cpu")
    for part in theirs.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            part.eps = 1e-5  # torch's default; torchvision's GoogLeNet has 0.001
    for parameter in theirs.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_uniform_(parameter)
        else:  # a norm that changes nothing could stand anywhere
            nn.init.uniform_(parameter, 0.5, 1.5)
    with torch.device("meta"):
        ours = build(load_net(name, (3, 64, 64)).network).eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)), assign=True)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", zoo())
def test_every_net_says_when_why_and_from_whom(name: str) -> None:
    net = load_net(name)
    assert net.network.name == name
    assert isinstance(net.year, int)
    assert net.idea
    assert net.source


@pytest.mark.parametrize("name", zoo())
def test_every_net_makes_in_torch_what_its_analysis_says(name: str) -> None:
    analysis = analyse(load_net(name).network)
    with torch.device("meta"):
        model = build(analysis.network).eval()
        made = list(model.trace(torch.zeros(1, *analysis.network.input)))
    assert [tuple(y.shape[1:]) for _, y in made] == [row.output for row in analysis.rows]
    assert analysis.params == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("alexnet", 61_100_840, 714_188_480),
        ("lenet5", 61_706, 416_520),
        ("mobilenetv2", 3_504_872, 300_774_272),
        ("resnet18", 11_689_512, 1_814_073_344),
        ("vgg16", 138_357_544, 15_470_264_320),
    ],
)
def test_known_totals(name: str, params: int, macs: int) -> None:
    analysis = analyse(load_net(name).network)
    assert (analysis.params, analysis.macs) == (params, macs)


def test_lenet_of_1998_has_sixty_thousand_parameters() -> None:
    """As the paper counts them, C1 to F6; its output has none that are trained."""
    analysis = analyse(load_net("lenet5-1998").network)
    assert {row.node.name: row.params for row in analysis.rows if row.params} == {
        "C1": 156, "S2": 12, "C3": 1_516, "S4": 32, "C5": 48_120, "F6": 10_164
    }  # fmt: skip
    assert analysis.params == 60_000
    assert analysis.output == (84,)


FIELDS = {
    "alexnet": Field(195, 32, 31),
    "cifar10-bn": Field(32, 4, 1.5),
    "densenet121": Field(2071, 32, 14),
    "efficientnet-b0": Field(851, 32, 0),
    "googlenet": Field(379, 32, 22),
    "lenet-20-50": Field(16, 4, 1.5),
    "lenet5": Field(32, 4, 15.5),
    "lenet5-1998": Field(32, 4, 15.5),
    "mnist-2conv": Field(10, 4, 1.5),
    "mnist-3conv": Field(22, 8, 3.5),
    "mnist-gap": Field(24, 4, 1.5),
    "mobilenetv2": Field(491, 32, 0),
    "resnet18": Field(435, 32, 0),
    "resnet34": Field(899, 32, 0),
    "resnet50": Field(427, 32, 0),
    "resnet101": Field(971, 32, 0),
    "resnet152": Field(1451, 32, 0),
    "rgb-gap": Field(18, 4, 1.5),
    "squeezenet1.1": Field(207, 16, 15),
    "unet": Field(44, 1, 0),
    "vgg11": Field(150, 32, 15.5),
    "vgg13": Field(156, 32, 15.5),
    "vgg16": Field(212, 32, 15.5),
    "vgg19": Field(268, 32, 15.5),
}


@pytest.mark.parametrize("name", zoo())
def test_the_receptive_field_at_the_last_map(name: str) -> None:
    assert analyse(load_net(name).network).last_field == (FIELDS[name], FIELDS[name])


@pytest.mark.parametrize("name", ["lenet5", "lenet5-1998"])
def test_lenets_second_pool_sees_16_pixels(name: str) -> None:
    pools = [row for row in analyse(load_net(name).network).rows if row.node.layer.op in ("avgpool", "subsample")]
    assert pools[1].field == (Field(16, 4, 7.5),) * 2


@pytest.mark.parametrize("name", zoo())
def test_the_recursion_is_what_units_far_from_every_border_see(name: str) -> None:
    network = load_net(name).network
    # An adaptive pool has other windows on a larger picture.
    row = [row for row in analyse(network).rows if row.field and row.node.layer.op != "adaptiveavgpool"][-1]
    size = 128 * (int(FIELDS[name].size) // 50 + 1)
    analysis = analyse(replace(network, input=(network.input[0], size, size)))
    index = network.nodes.index(row.node)
    output = analysis.rows[index].output
    assert output is not None
    offsets = []
    for unit in range(output[1] // 2, output[1] // 2 + 4):
        seen = sight(analysis, index, (unit, unit))
        assert seen is not None
        rows, columns = seen.hull
        assert rows == columns
        assert seen.rows == set(rows), "no gaps"
        assert len(rows) == FIELDS[name].size
        offsets.append((rows[0] + rows[-1]) / 2 - (FIELDS[name].start + unit * FIELDS[name].jump))
    # On the way up, four units share what one unit of the smallest map sees: only their mean lies where it should.
    assert offsets == ([-0.5, -1.5, 1.5, 0.5] if name == "unet" else [0] * 4)


@pytest.mark.parametrize(("name", "size"), [("resnet50", 483), ("resnet101", 1027), ("resnet152", 1507)])
def test_with_the_stride_in_the_first_1x1_resnets_have_the_published_fields(name: str, size: int) -> None:
    """Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks, Distill 2019.

    Their nets put the stride into the last block of a stage; the size is the same, for then, too, every 3×3 of a stage
    comes before its stride. torchvision's first 3×3 of a stage has the stride itself, and so half the reach, which is
    8, 16 and 32 pixels less.
    """
    text = (zoo_directory() / f"{name}.toml").read_text("utf-8")
    for ours, papers in (("conv {c} k1 nobias", "conv {c} k1 s{s} nobias"), ("conv {c} s{s} p1", "conv {c} p1")):
        assert text.count(ours) == 1
        text = text.replace(ours, papers)
    analysis = analyse(parse_toml(text).network)
    assert analysis.last_field == (Field(size, 32, 0),) * 2
    assert FIELDS[name].size == size - (8 + 16 + 32)


def thin(items: Items) -> Items:
    """The same windows over one channel; nothing that bends, stops or stretches a gradient."""
    return tuple(map(_thin, items))


def _thin(item: Item) -> Item:
    match item:
        case Single(layer):
            return replace(item, layer=_thin_layer(layer))
        case Branches(branches, merge):
            # Side by side, or added up into the one channel: what is seen is the same.
            return replace(item, branches=tuple(map(thin, branches)), merge=Add() if isinstance(merge, Cat) else merge)
        case Repeat() | Call():
            return replace(item, items=thin(item.items))
    return item


def _thin_layer(layer: Layer) -> Layer:
    match layer:
        case layers.Conv():
            return replace(layer, out_channels=1, groups=1, table=None)
        case layers.TransposedConv():
            return replace(layer, out_channels=1, groups=1)
        case layers.Linear():
            return replace(layer, out_features=1)
        case layers.MaxPool():
            return layers.AvgPool(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
        case pointwise.BatchNorm() | pointwise.LocalResponseNorm() | pointwise.Dropout():
            return pointwise.Identity()
    return pointwise.Identity() if isinstance(layer, ACTIVATIONS) else layer


def open_gates(model: Net, analysis: Analysis) -> None:
    """Each gate that sees the whole image lets everything pass, whatever it sees."""
    parts = dict(zip((row.node.name for row in analysis.rows), model.children(), strict=True))
    fields = {row.node.name: row.field for row in analysis.rows}
    for row in analysis.rows:
        if isinstance(row.node.layer, Mul) and row.inputs:
            for name, gate in zip(row.node.inputs, row.node.layer.gated(row.inputs), strict=True):
                if gate and fields[name] is None:
                    parts[name].register_forward_hook(lambda part, _, out: torch.ones_like(out))


def touched(network: Network, units: list[tuple[int, int, int]]) -> Iterator[set[tuple[int, int]]]:
    """For each unit (layer, row, column) the input cells that its gradient reaches, when all weights are 1."""
    _, height, width = network.input
    narrow = Network(network.name, (1, height, width), thin(network.items))
    model = build(narrow).double().eval()
    open_gates(model, analyse(narrow))
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    x = torch.ones(1, 1, height, width, dtype=torch.float64, requires_grad=True)
    made = [y for _, y in islice(model.trace(x), max(units)[0] + 1)]
    for index, row, column in units:
        (gradient,) = torch.autograd.grad(made[index][0, 0, row, column], x, retain_graph=True)
        assert gradient.isfinite().all()
        yield {(i, j) for i, j in torch.nonzero(gradient[0, 0]).tolist()}


@pytest.mark.parametrize("name", zoo())
def test_what_a_unit_sees_is_where_its_gradient_is(name: str) -> None:
    """Cell by cell: a middle unit and a corner of the last map, and of the last one that sees half the picture at most."""
    network = load_net(name).network
    analysis = analyse(network)
    sizes = {index: row.field[0].size for index, row in enumerate(analysis.rows) if row.field}
    units = []
    for index in (max(sizes), max(index for index, size in sizes.items() if size <= network.input[1] / 2)):
        _, height, width = analysis.rows[index].output or ()
        units += [(index, height // 2, width // 2), (index, 0, 0)]
    cells = list(product(range(network.input[1]), range(network.input[2])))
    for (index, *unit), found in zip(units, touched(network, units), strict=True):
        seen = sight(analysis, index, (unit[0], unit[1]))
        assert seen is not None
        assert not found ^ {cell for cell in cells if cell in seen}
