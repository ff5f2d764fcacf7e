"""Networks against torch: shapes and parameters of random stacks, known totals, and what a broken net still says."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
import torch
from torch import nn

from cnntui.core.analysis import Row, analyse
from cnntui.core.axis import Axis, ImpossibleError
from cnntui.core.nets import load_net, zoo
from cnntui.core.network import sequential
from cnntui.core.notation import parse
from cnntui.core.receptive_field import Field
from cnntui.core.sight import sight
from cnntui.core.vocabulary import parse_layer
from cnntui.training.model import build, module


def torch_module(row: Row) -> nn.Module:
    """The layer of a row alone, given the input that we say it has."""
    assert row.input is not None
    return module(row.node.layer, row.input)


POINTWISE = (
    "relu", "relu6", "leakyrelu", "elu", "gelu", "silu", "hardswish", "tanh", "sigmoid", "softmax", "id", "bn",
    "dropout 0.3", "ln", "in", "lrn",
)  # fmt: skip


def random_stack(rng: random.Random) -> str:
    words: list[str] = []
    for _ in range(rng.randint(1, 6)):
        kernel = rng.choice(["k1", "k2", "k3", "k5", "k3x2", "k1x4"])
        words.append(
            rng.choice(
                [
                    " ".join(
                        [
                            f"conv {2 * rng.randint(1, 5)} {kernel}",
                            rng.choice(["same", "valid", "p1", "p2x1"]),
                            rng.choice(["", "d2"]),
                            rng.choice(["", "g2"]),
                            rng.choice(["", "nobias"]),
                        ]
                    ),
                    f"conv {2 * rng.randint(1, 5)} {kernel} s{rng.randint(1, 3)} p{rng.randint(0, 2)}",
                    f"maxpool {rng.choice(['2', '3 s2 p1', '3 s2 ceil', '2x3 p1'])}",
                    f"avgpool {rng.choice(['2', '3 s1 p1', '3 s2 p1 nopad ceil'])}",
                    f"dwconv {kernel} {rng.choice(['same', 'p1', 's2 p1', 'd2 p2'])} {rng.choice(['', 'nobias'])}",
                    " ".join(
                        [
                            f"tconv {2 * rng.randint(1, 4)} {kernel} s{rng.randint(1, 3)} p{rng.randint(0, 1)}",
                            rng.choice(["", "op1", "d2", "g2", "nobias"]),
                        ]
                    ),
                    f"adaptiveavgpool {rng.randint(1, 9)}x{rng.randint(2, 9)}",
                    f"upsample {rng.randint(1, 2)}",
                    f"pad {rng.randint(0, 2)},{rng.randint(0, 2)},0,1",
                    f"subsample {rng.randint(1, 3)}",
                    f"gn {rng.randint(1, 3)}",
                    *rng.sample(POINTWISE, 4),
                ]
            )
        )
    words.append(rng.choice(["gap", "flatten", "gap; bn; linear 7", "flatten; linear 5 nobias; relu; linear 3", "bn"]))
    return "; ".join(words)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("seed", range(600))
def test_a_random_stack_has_torchs_shapes_and_parameters(seed: int) -> None:
    """Where torch runs the stack, every row agrees with its layer; where torch refuses, so do we."""
    rng = random.Random(seed)
    while True:
        shape = (2 * rng.randint(1, 3), rng.randint(6, 24), rng.randint(6, 24))
        network = parse(random_stack(rng), shape)
        rows = analyse(network).rows
        x = torch.zeros(2, *shape)
        for row in rows:
            if row.problem:
                with pytest.raises((RuntimeError, ValueError)):
                    torch_module(row)(x)
                break
            assert row.input is not None
            assert row.input == tuple(x.shape[1:])
            layer = torch_module(row)
            assert sum(p.numel() for p in layer.parameters()) == row.params
            x = layer.eval()(x)
            assert row.output == tuple(x.shape[1:])
        else:
            return


@pytest.mark.parametrize(
    ("name", "params", "macs", "field"),
    [
        ("lenet5", 61_706, 416_520, None),
        ("mnist-2conv", 421_642, None, None),
        ("mnist-3conv", 93_322, None, None),
        ("rgb-gap", 94_538, None, None),
        ("lenet-20-50", 1_256_080, None, None),
        ("alexnet", 61_100_840, 714_188_480, Field(195, 32, 31)),
        ("vgg16", 138_357_544, 15_470_264_320, Field(212, 32, 15.5)),
    ],
)
def test_known_totals(name: str, params: int, macs: int | None, field: Field | None) -> None:
    analysis = analyse(load_net(name).network)
    assert analysis.params == params == sum(row.params for row in analysis.rows)
    if macs is not None:
        assert analysis.macs == macs
    if field is not None:
        assert analysis.last_field == (field, field)


@pytest.mark.parametrize("name", zoo())
def test_every_net_of_the_zoo_is_its_torch_module(name: str) -> None:
    net = load_net(name)
    analysis = analyse(net.network)
    assert analysis.error is None
    assert net.idea
    with torch.device("meta"):
        model = build(net.network)
        assert sum(p.numel() for p in model.parameters()) == analysis.params
        assert tuple(model.eval()(torch.zeros(1, *net.network.input)).shape[1:]) == analysis.output


def test_lenet5_sees_16_pixels_after_the_second_pool() -> None:
    rows = analyse(load_net("lenet5").network).rows
    assert rows[5].field == (Field(16, 4, 7.5), Field(16, 4, 7.5))
    assert rows[8].field is None, "after flatten a unit sees the whole image"


def seen(axes: list[Axis], unit: int) -> set[int]:
    """The input indices that can move one output of stacked axes, first layer first."""
    reached = {unit}
    for axis in reversed(axes):
        reached = {where for output in reached for where in axis.reads(output) if where is not None}
    return reached


def walk(axes: list[Axis]) -> Field:
    field = Field()
    for axis in axes:
        field = field.through(axis)
    return field


def chain(size: int, *layers: tuple[int, int, tuple[int, int], int]) -> list[Axis]:
    axes: list[Axis] = []
    for kernel, stride, padding, dilation in layers:
        axes.append(Axis(axes[-1].outputs if axes else size, kernel, stride, padding, dilation))
    return axes


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([(3, 1, (1, 1), 1)], Field(3, 1, 0)),
        ([(5, 2, (2, 2), 1), (3, 2, (1, 1), 1)], Field(9, 4, 0)),
        ([(3, 1, (0, 0), 1), (3, 1, (0, 0), 2), (3, 1, (0, 0), 4)], Field(15, 1, 7)),
        ([(4, 2, (1, 1), 1)], Field(4, 2, 0.5)),
        ([(4, 1, (1, 2), 1)], Field(4, 1, 0.5)),
        ([(2, 2, (0, 0), 1)] * 3, Field(8, 8, 3.5)),
        ([(7, 2, (3, 3), 1), (3, 2, (1, 1), 1)], Field(11, 4, 0)),
        ([(3, 1, (2, 2), 2)] * 2, Field(9, 1, 0)),
        *[([(3, 1, (1, 1), 1)] * n, Field(size, 1, 0)) for n, size in [(1, 3), (2, 5), (5, 11), (10, 21), (20, 41)]],
    ],
)
def test_the_recursion(layers: list[tuple[int, int, tuple[int, int], int]], expected: Field) -> None:
    assert walk(chain(64, *layers)) == expected


def test_exact_fields_of_single_units() -> None:
    axes = chain(8, (3, 2, (0, 0), 1), (3, 1, (1, 1), 1))
    assert [(min(s), max(s)) for s in (seen(axes, unit) for unit in range(3))] == [(0, 4), (0, 6), (2, 6)]
    assert len(seen(chain(64, *[(3, 1, (2, 2), 2)] * 2), 30)) == 5
    transposed = [Axis(5, 4, 2, (1, 1), transposed=True)]
    assert [sorted(seen(transposed, unit)) for unit in range(5)] == [[0], [0, 1], [0, 1], [1, 2], [1, 2]]


@pytest.mark.parametrize("seed", range(50))
def test_the_exact_field_is_the_support_of_the_gradient(seed: int) -> None:
    rng = random.Random(seed)
    axes: list[Axis] = []
    model = nn.Sequential()
    size = 20
    for _ in range(rng.randint(1, 4)):
        k, s, p, d = rng.randint(1, 4), rng.randint(1, 2), rng.randint(0, 2), rng.randint(1, 2)
        try:
            axis = Axis(size, k, s, (p, p), d)
        except ImpossibleError:
            continue
        axes.append(axis)
        size = axis.outputs
        layer = nn.Conv1d(1, 1, k, s, p, d, bias=False, dtype=torch.float64)
        nn.init.ones_(layer.weight)
        model.append(layer)
    x = torch.ones(1, 1, 20, dtype=torch.float64, requires_grad=True)
    unit = rng.randrange(size)
    model(x)[0, 0, unit].backward()
    assert x.grad is not None
    assert seen(axes, unit) == set(torch.nonzero(x.grad[0, 0]).flatten().tolist())


def test_a_broken_layer_keeps_what_is_above_it_and_offers_what_works() -> None:
    network = parse("conv 6 k5; tanh; conv 120 k31; flatten; linear 10", (1, 32, 32))
    analysis = analyse(network)
    assert analysis.error == "layer conv2: kernel 31 > 28"
    assert [row.output for row in analysis.rows] == [(6, 28, 28), (6, 28, 28), None, None, None]
    assert analysis.params == 156
    problem = analysis.rows[2].problem
    assert problem is not None
    assert [fix.text for fix in problem.fixes] == ["conv 120 k28", "conv 120 k31 p2"]
    assert analysis.rows[3].problem is None


def test_same_with_a_stride_becomes_the_padding_that_is_meant() -> None:
    problem = analyse(parse("conv 8 k5 same s2", (1, 28, 28))).rows[0].problem
    assert problem is not None and problem.message == "padding same needs stride 1, not 2"
    assert [fix.text for fix in problem.fixes] == ["conv 8 k5 s2 p2", "conv 8 same k5"]


@pytest.mark.parametrize("seed", range(100))
def test_every_fix_that_is_offered_works(seed: int) -> None:
    rng = random.Random(seed)
    text = rng.choice(
        [
            f"conv 4 k{rng.randint(5, 20)}x{rng.randint(1, 20)} p{rng.randint(0, 2)} d{rng.randint(1, 3)}",
            f"conv {rng.randint(1, 9)} g{rng.randint(2, 9)}",
            f"conv 4 s{rng.choice([0, 2])} same",
            f"maxpool {rng.randint(2, 12)} p{rng.randint(0, 8)}",
            f"avgpool {rng.randint(2, 12)}x{rng.randint(2, 12)} s{rng.randint(0, 2)}",
            "linear 10",
        ]
    )
    shape = (3, rng.randint(3, 9), rng.randint(3, 9))
    row = analyse(parse(text, shape)).rows[0]
    if row.problem is None:
        return
    assert row.problem.fixes, f"{text} on {shape}: {row.problem.message}"
    for fix in row.problem.fixes:
        assert analyse(sequential("mended", shape, fix.layers)).error is None


def test_names_count_within_their_kind() -> None:
    network = parse("conv 2; relu; stem: conv 3; conv 4", (1, 9, 9))
    assert [node.name for node in network] == ["conv1", "relu1", "stem", "conv2"]
    assert [node.inputs for node in network] == [("input",), ("conv1",), ("relu1",), ("stem",)]
    with pytest.raises(ImpossibleError, match="used twice"):
        sequential("twice", (1, 9, 9), network.layers[:2], ("a", "a"))


def test_macs_of_a_stride_7_stem() -> None:
    analysis = analyse(parse("conv 64 k7 s2 p3", (3, 224, 224)))
    assert (analysis.params, analysis.macs) == (9_472, 118_013_952)
    assert Fraction(analysis.macs, 112 * 112) == 64 * 3 * 49


def test_layers_are_values() -> None:
    assert parse_layer("conv 6 k5") == parse_layer("conv 6 k5x5 s1 valid d1")


LINEAR = (
    "conv 2 k3 s2 p1", "conv 2 k2x3 d2 p2", "conv 2 same k4", "dwconv k3 p1", "dwconv k2 s2", "tconv 2 k4 s2 p1",
    "tconv 2 k3 s3", "tconv 2 k2 d2", "avgpool 2", "avgpool 3 s2 p1 ceil", "subsample 2", "upsample 2", "pad 2,0,1,3",
    "adaptiveavgpool 5x4", "adaptiveavgpool 3", "id",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("seed", range(150))
def test_what_a_unit_sees_is_where_its_gradient_is(seed: int) -> None:
    """Exact rows and columns of the middle unit of every layer of a random stack of everything that slides."""
    rng = random.Random(seed)
    while True:
        network = parse(
            "; ".join(rng.choices(LINEAR, k=rng.randint(1, 5))), (2, rng.randint(9, 20), rng.randint(9, 20))
        )
        analysis = analyse(network)
        if analysis.error is None:
            break
    model = build(network).double().eval()
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    x = torch.ones(1, *network.input, dtype=torch.float64, requires_grad=True)
    for index, (_, y) in enumerate(model.trace(x)):
        found = sight(analysis, index)
        (gradient,) = torch.autograd.grad(y[0, :, y.shape[2] // 2, y.shape[3] // 2].sum(), x, retain_graph=True)
        touched = torch.nonzero(gradient[0].abs().sum(0))
        if found is None:
            assert network.nodes[index].layer.sees_everything() or analysis.rows[index].field is None
        else:
            assert found.rows == set(touched[:, 0].tolist())
            assert found.columns == set(touched[:, 1].tolist())


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("tconv 1 k4 s2 p1", 5, Field(2, 0.5, -0.25)),
        ("upsample 2", 5, Field(1, 0.5, -0.25)),
        ("upsample 2; conv 1 k3 p1", 5, Field(2, 0.5, -0.25)),
        ("pad 1,1,1,1; conv 1 k3", 5, Field(3, 1, 0)),
        ("adaptiveavgpool 2", 8, Field(4, 4, 1.5)),
        ("conv 1 k3 s2 p1; tconv 1 k2 s2", 8, Field(3, 1, -0.5)),
    ],
)
def test_the_recursion_where_maps_grow(text: str, size: int, expected: Field) -> None:
    assert analyse(parse(text, (1, size, size))).last_field == (expected, expected)


def test_multiply_accumulates() -> None:
    """Of a transposed convolution, each weight once for every input position; of a depthwise one, no cross terms."""
    analysis = analyse(parse("tconv 4 k3 s2; dwconv k5 p2; adaptiveavgpool 3; subsample 3", (2, 7, 6)))
    assert [row.macs for row in analysis.rows] == [2 * 4 * 9 * 7 * 6, 4 * 25 * 15 * 13, 0, 0]
    assert [row.params for row in analysis.rows] == [2 * 4 * 9 + 4, 4 * 25 + 4, 0, 8]
