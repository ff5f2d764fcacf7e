"""Numbers explained: the value is torch's, what is printed re-adds, what is framed is the support of torch's gradient."""

from __future__ import annotations

import random
from math import fsum, isfinite

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from cnntui.core.analysis import Analysis, analyse
from cnntui.core.explanation import Explanation, Source, Step, explain, largest, step, uses
from cnntui.core.forward import Trace, forward
from cnntui.core.nets import load_net
from cnntui.core.network import INPUT, Network
from cnntui.core.notation import parse
from cnntui.core.parameters import Parameters, named, untrained
from cnntui.training.model import Net, build
from tests.core.random_networks import random_network
from tests.core.readding import decimal, readd
from tests.core.supports import Supports

pytestmark = pytest.mark.usefixtures("one_thread")
RESIDUAL = (
    "conv 8 same nobias; bn; relu; [ conv 8 same nobias; bn; relu; conv 8 same nobias; bn | id ] add; relu; "
    "[ id | gap; linear 4; silu; linear 8; sigmoid ] mul; maxpool 3 s2 p1; "
    "[ dwconv k3 p1; lrn | conv 4 k1; gn 2; gelu ] cat; avgpool 2 p1; flatten; dropout; linear 10; softmax"
)
NETS = [("lenet5", 2_000), ("mnist-2conv", 500), ("residual", 1_500)]
DAGS = 150


def network_of(name: str) -> Network:
    return parse(RESIDUAL, (1, 24, 24), name) if name == "residual" else load_net(name).network


def trained(network: Network, steps: int) -> tuple[Net, Tensor]:
    """A network after some steps of Adam on scikit-learn's digits, and the pictures, three times as large."""
    torch.manual_seed(0)
    digits = load_digits()
    pictures = (
        torch.tensor(digits.images / 16, dtype=torch.float32)[:, None].repeat_interleave(3, 2).repeat_interleave(3, 3)
    )
    around = [(n - 24) // 2 for n in network.input[1:]]
    pictures = nn.functional.pad(pictures, (around[1], around[1], around[0], around[0]))
    labels = torch.tensor(digits.target)
    model = build(network).train()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(steps):
        batch = torch.randint(0, len(labels), (32,))
        loss = nn.functional.cross_entropy(model(pictures[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.double().eval(), pictures.double()


def parameters_of(analysis: Analysis, model: Net) -> Parameters:
    return named(analysis, {name: tensor.numpy() for name, tensor in model.state_dict().items()})


def any_unit(rng: random.Random, trace: Trace) -> tuple[str, tuple[int, ...]]:
    node = rng.choice(list(trace.values))
    return node, tuple(rng.randrange(size) for size in trace.values[node].shape)


def judge(trace: Trace, node: str, unit: tuple[int, ...], value: float, supports: Supports) -> Explanation:
    """One number, from every side."""
    where = f"{node} {unit}"
    found = explain(trace, node, unit)
    assert found.value == pytest.approx(value, rel=1e-5, abs=1e-9), where
    seen = supports.seen(node, unit)
    assert (found.pixels is None) == (seen is None), where
    if found.pixels is not None:
        assert {(y, x) for rows, columns in found.pixels.boxes for y in rows for x in columns} == seen, where
    for outer, inner in zip(found.steps, found.steps[1:], strict=False):
        assert outer.own.source == Source(inner.node, inner.unit), where
        assert outer.own.value == inner.value, where
        printed = inner.equations[-1].result
        equation = outer.equations[0]
        assert printed in (equation.result if outer.kind == "copy" else equation.terms[0]), where
    for each in found.steps:
        adds_up(each, where)
    assert found.equation == "; ".join(str(line) for each in found.steps for line in reversed(each.equations))
    return found


def adds_up(each: Step, where: str) -> None:
    for line in each.equations:
        readd(str(line))
    result = each.equations[-1].result
    assert float(decimal(result)) == pytest.approx(each.value, rel=1e-3, abs=1e-3), where
    assert each.has_bias or not each.bias
    values = [term.value for term in each.terms]
    match each.kind:
        case "sum" | "mean":
            made = fsum(term.product for term in each.terms) / each.divisor + each.bias
            scale = max([abs(term.product) for term in each.terms], default=0.0) + abs(each.bias)
            assert made == pytest.approx(each.value, rel=1e-9, abs=1e-12 * (1 + scale)), where
        case "max":
            assert each.winner == values.index(max(values)), where
            assert each.value == max(values), where
        case "copy":
            assert [each.value] == (values or [0.0]), where
    assert sum(map(len, each.channels)) == len(each.terms)


@pytest.fixture(scope="module", params=NETS, ids=lambda param: param[0])
def net(request: pytest.FixtureRequest) -> tuple[Network, Net, Tensor, int]:
    name, count = request.param
    network = network_of(name)
    model, pictures = trained(network, 20 if name == "mnist-2conv" else 60)
    return network, model, pictures, count


def test_cells_of_trained_nets(net: tuple[Network, Net, Tensor, int]) -> None:
    network, model, pictures, count = net
    analysis, supports = analyse(network), Supports.of(network)
    parameters = parameters_of(analysis, model)
    rng = random.Random(1)
    pictures_each = 10
    approximate = lines = 0
    for _ in range(pictures_each):
        x = pictures[rng.randrange(len(pictures))][None]
        with torch.no_grad():
            values = {INPUT: x[0], **{name: made[0] for name, made in model.trace(x)}}
        trace = forward(analysis, parameters, x[0].numpy())
        for _ in range(count // pictures_each):
            node, unit = any_unit(rng, trace)
            found = judge(trace, node, unit, float(values[node][unit]), supports)
            relations = [line.relation for each in found.steps for line in each.equations]
            lines += len(relations)
            approximate += relations.count("≈")
    assert approximate <= lines // 1000, f"{approximate} of {lines} lines are only about right"


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_cells_of_random_networks() -> None:
    rng = random.Random(30)
    approximate = lines = 0
    for seed in range(DAGS):
        network = random_network(rng)
        analysis, supports = analyse(network), Supports.of(network)
        torch.manual_seed(seed)
        model = build(network).double().eval()
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and ("running" in name or tensor.dim() == 1):
                tensor.uniform_(0.5, 1.5)
        x = torch.randn(1, *network.input, dtype=torch.float64).repeat(2, 1, 1, 1)
        with torch.no_grad():
            values = {INPUT: x[0], **{name: made[0] for name, made in model.trace(x)}}
        trace = forward(analysis, parameters_of(analysis, model), x[0].numpy())
        for _ in range(12):
            node, unit = any_unit(rng, trace)
            found = judge(trace, node, unit, float(values[node][unit]), supports)
            relations = [line.relation for each in found.steps for line in each.equations]
            lines += len(relations)
            approximate += relations.count("≈")
            there_and_back(trace, node, unit, rng)
    assert approximate <= lines // 100, f"{approximate} of {lines} lines are only about right"


def there_and_back(trace: Trace, node: str, unit: tuple[int, ...], rng: random.Random) -> None:
    """What reads a unit has it among its terms, and what is among the terms of a unit is read by it."""
    here = Source(node, unit)
    for user in rng.sample(found := uses(trace, node, unit), min(3, len(found))):
        assert here in [term.source for term in step(trace, user.node, user.unit).terms]
    assert len(set(found)) == len(found)
    if node != INPUT:
        sources = [term.source for term in step(trace, node, unit).terms if term.source]
        for source in rng.sample(sources, min(3, len(sources))):
            assert here in uses(trace, source.node, source.unit, 100_000)


@pytest.fixture(scope="module")
def small() -> Trace:
    analysis = analyse(parse("conv 4 same; relu; maxpool 2; flatten; linear 6; softmax", (2, 8, 8), "small"))
    return forward(analysis, untrained(analysis, 3), np.random.default_rng(0).random((2, 8, 8)))


def test_steps_go_back_to_what_mixes(small: Trace) -> None:
    found = explain(small, "relu1", (1, 0, 7))
    assert [each.op for each in found.steps] == ["relu", "conv"]
    assert found.pre_activation == small.values["conv1"][1, 0, 7]
    assert len(found.terms) == 18
    assert sum(term.source is None for term in found.terms) == 10
    assert found.terms[4].source == Source(INPUT, (0, 0, 7))
    assert found.bias == small.parameters["conv1"]["bias"][1]
    assert found.pixels is not None
    assert found.pixels.hull == (range(2), range(6, 8))
    first, *rest = found.equation.split("; ")
    assert first.startswith("relu(")
    assert rest[0].endswith(first[5 : first.index(")")])
    flat = explain(small, "flatten1", (17,))
    assert [each.op for each in flat.steps] == ["flatten", "maxpool"]
    assert flat.steps[0].terms[0].source == Source("maxpool1", (1, 0, 1))
    assert flat.pixels is not None
    whole = explain(small, "softmax1", (2,))
    assert whole.pixels is None
    assert whole.pre_activation == small.values["linear1"][2]
    pixel = explain(small, INPUT, (1, 2, 3))
    assert (pixel.steps, pixel.terms, pixel.bias) == ((), (), 0)
    assert pixel.pixels is not None
    assert (2, 3) in pixel.pixels
    assert pixel.equation == ""


def test_the_largest_terms_and_the_rest(small: Trace) -> None:
    linear = step(small, "linear1", (3,))
    assert len(linear.terms) == 64
    shown, rest = largest(linear, 5)
    assert rest is not None
    assert len(shown) == 5
    assert rest.count == 59
    assert rest.total == pytest.approx(linear.value - linear.bias - fsum(term.product for term in shown))
    others = [abs(term.product) for term in linear.terms if term not in shown]
    assert min(abs(term.product) for term in shown) >= max(others)
    assert rest.equation.relation == "="
    readd(str(rest.equation))
    assert rest.text.startswith("… + 59 smaller terms = ")
    assert rest.text.split(" = ")[1] == rest.equation.terms[5]
    assert largest(linear, 64) == (linear.terms, None)
    averaged = analyse(parse("gap", (1, 6, 6), "mean"))
    trace = forward(averaged, {}, np.random.default_rng(0).random((1, 6, 6)))
    _, rest = largest(step(trace, "gap1", (0,)), 4)
    assert rest is not None
    assert str(rest.equation).count(" + ") == 4
    readd(str(rest.equation))


def test_silenced_channels(small: Trace) -> None:
    trace = forward(small.analysis, small.parameters, small.values[INPUT], {("conv1", 1)})
    found = explain(trace, "relu1", (1, 3, 3))
    assert found.value == 0
    assert found.steps[-1].silenced
    assert found.equation == "relu(0) = 0; silenced = 0"
    assert Source("conv1", (1, 3, 3)) not in uses(trace, INPUT, (0, 3, 3))
    assert Source("conv1", (0, 3, 3)) in uses(trace, INPUT, (0, 3, 3))


def test_what_is_not_finite_is_said_as_it_is(small: Trace) -> None:
    broken = {**small.parameters, "conv1": {**small.parameters["conv1"], "bias": np.full(4, np.nan)}}
    trace = forward(small.analysis, broken, small.values[INPUT])
    found = explain(trace, "relu1", (0, 2, 2))
    assert not isfinite(found.value)
    assert all(line.relation == "≈" and line.result == "nan" for each in found.steps for line in each.equations)
    assert "nan" in explain(trace, "maxpool1", (0, 1, 1)).equation
    assert "nan" in explain(trace, "softmax1", (0,)).equation


@pytest.mark.parametrize(
    ("node", "unit", "message"),
    [
        ("conv9", (0, 0, 0), "no layer is called 'conv9'; there are input, conv1, relu1, maxpool1"),
        ("conv1", (4, 0, 0), "conv1 has no unit 4,0,0: it has channels 0 to 3, rows 0 to 7, columns 0 to 7"),
        ("conv1", (0, -1, 0), "conv1 has no unit 0,−1,0"),
        ("conv1", (0,), "conv1 is 4×8×8: a unit of it is channel, row, column, not 0"),
        ("linear1", (6,), "linear1 has no unit 6: it has units 0 to 5"),
        ("linear1", (1, 0, 0), "linear1 is 6: a unit of it is one number, not 1,0,0"),
    ],
)
def test_what_is_not_there(small: Trace, node: str, unit: tuple[int, ...], message: str) -> None:
    for ask in (explain, step, uses):
        with pytest.raises(ValueError, match=message):
            ask(small, node, unit)
    with pytest.raises(ValueError, match="input is the picture"):
        step(small, INPUT, (0, 0, 0))
