"""Gradients in numpy against torch's autograd: every node, every parameter."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cnntui.core.activations import ACTIVATIONS, SLOPES
from cnntui.core.analysis import Analysis, analyse
from cnntui.core.backward import Gradients, backward, of_loss, of_unit
from cnntui.core.forward import Trace, forward
from cnntui.core.nets import load_net
from cnntui.core.network import INPUT, Network
from cnntui.core.notation import parse
from cnntui.core.parameters import module_names, untrained
from tests.core.random_networks import random_network
from tests.core.test_forward import DAGS, SMALL, judged

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
]
CLOSE = 1e-8


class Oracle:
    """The same network in torch, where each node's values are a tensor of their own."""

    def __init__(self, analysis: Analysis, seed: int) -> None:
        self.model, values, self.trace = judged(analysis, seed)
        for module in self.model.children():  # what hands its input on would share the input's gradient
            module.register_forward_hook(lambda module, inputs, output: output.clone())
        x = values[INPUT][None].repeat(2, 1, 1, 1).requires_grad_()
        self.values: dict[str, Tensor] = {INPUT: x, **dict(self.model.trace(x))}
        modules = module_names(analysis.network)
        self.nodes = {own: node for node, own in modules.items()}

    def agrees(self, mine: Gradients, result: Tensor, what: str) -> float:
        """Whether all gradients of a number are torch's; the worst relative difference."""
        named = dict(self.model.named_parameters())
        wanted = [*self.values.values(), *named.values()]
        found = torch.autograd.grad(result, wanted, allow_unused=True, retain_graph=True)
        worst = 0.0
        for (name, value), theirs in zip(self.values.items(), found, strict=False):
            if theirs is None:
                assert name not in mine.values, f"{what}: {name}"
            else:
                assert mine.values[name].shape == tuple(value.shape[1:]), f"{what}: {name}"
                worst = max(worst, difference(mine.values[name], theirs[0], f"{what}: {name}"))
        seen = set()
        for full, theirs in zip(named, found[len(self.values) :], strict=True):
            own, name = full.split(".", 1)
            node = self.nodes[own]
            if theirs is None:
                assert node not in mine.parameters, f"{what}: {full}"
            else:
                worst = max(worst, difference(mine.parameters[node][name], theirs, f"{what}: {full}"))
                seen.add((node, name))
        assert seen == {(node, name) for node, own in mine.parameters.items() for name in own}
        return worst


def difference(mine: np.ndarray, theirs: Tensor, what: str) -> float:
    assert mine.shape == tuple(theirs.shape), what
    scale = float(theirs.abs().max())
    apart = float(np.abs(mine - theirs.numpy()).max())
    assert apart <= CLOSE * scale + 1e-13, f"{what}: {apart} of {scale}"
    return apart / scale if scale > 1e-5 else 0.0


def check(analysis: Analysis, seed: int, units: int) -> float:
    """The loss and some units of some nodes; the worst relative difference."""
    oracle, rng = Oracle(analysis, seed), random.Random(seed)
    last = analysis.rows[-1].node.name
    scores = oracle.values[last][0].reshape(-1)
    label, smoothing = rng.randrange(len(scores)), rng.choice((0.0, 0.1))
    loss = nn.functional.cross_entropy(scores[None], torch.tensor([label]), label_smoothing=smoothing)
    worst = oracle.agrees(of_loss(oracle.trace, label, smoothing), loss, f"{seed} loss")
    for _ in range(units):
        node = rng.choice(list(oracle.values))
        value = oracle.values[node][0]
        unit = tuple(map(rng.randrange, value.shape))
        if node == INPUT:
            assert list(of_unit(oracle.trace, INPUT, unit).values) == [INPUT]
            continue
        worst = max(worst, oracle.agrees(of_unit(oracle.trace, node, unit), value[unit], f"{seed} {node} {unit}"))
    return worst


@pytest.mark.parametrize("net", SMALL)
def test_the_zoo(net: str) -> None:
    check(analyse(load_net(net).network), 0, units=6)


def test_random_networks() -> None:
    rng = random.Random(20)
    for seed in range(DAGS):
        check(analyse(random_network(rng)), seed, units=2)


@pytest.mark.parametrize(
    "words",
    [
        "tconv 6 k3x2 s2 p1 g2 op1",
        "tconv 4 k3 s1 p2 d3 op2",  # more output padding than a stride
        "tconv 2 k2 s3 op2; conv 3 s2",
        "conv 6 k2x4 same d2 g2",
        "conv 4 k3x2 s2x3 p2 d2x1 nobias",
        "dwconv k3 s2 p1; conv 8 k1 g4",
        "avgpool 3 s2 p1 ceil",
        "avgpool 3x2 s2x1 p1 ceil nopad",
        "maxpool 3 s2 p1 ceil",
        "adaptiveavgpool 5x3; subsample 2; upsample 3",
        "pad 1,0,2,3; lrn; in; gn 2",
        "ln; [ gap; sigmoid | id | softmax ] mul",
        "[ conv 1 k1 | adaptiveavgpool 1x1; tanh | id ] mul; bn; flatten; bn",
    ],
)
def test_windows_and_gates(words: str) -> None:
    check(analyse(parse(words, (4, 9, 8), "windows")), 1, units=8)


def test_ties_go_where_torchs_go() -> None:
    """Equal cells after a relu and in overlapping windows, on the border and in the padding: the first takes it all."""
    for words in (
        "relu; maxpool 3 s2 p1",
        "relu6; maxpool 2x3 s1",
        "relu; maxpool 3 s2 ceil",
        "maxpool 2; maxpool 2 s1",
    ):
        oracle = Oracle(analyse(parse(words, (2, 9, 8), "ties")), 0)
        network = oracle.trace.analysis
        x = np.random.default_rng(0).integers(-3, 3, (2, 9, 8)).astype(float)
        trace = forward(network, {}, x)
        theirs = torch.tensor(x[None], requires_grad=True)
        made = oracle.model(theirs)
        weights = np.random.default_rng(1).normal(size=trace.output.shape)
        (made[0] * torch.tensor(weights)).sum().backward()
        mine = backward(trace, {network.rows[-1].node.name: weights}).values[INPUT]
        assert theirs.grad is not None
        difference(mine, theirs.grad[0], words)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes(name: str) -> None:
    """Kinks and far ends included."""
    x = np.concatenate([[-np.inf, -800, -3, -0.0, 0, 3, 6, 800], np.linspace(-7, 7, 141)])
    x = x if name in ("relu", "relu6", "leakyrelu", "tanh", "sigmoid") else x[1:]
    theirs = torch.tensor(x, requires_grad=True)
    getattr(nn.functional, "leaky_relu" if name == "leakyrelu" else name)(theirs).sum().backward()
    assert theirs.grad is not None
    assert np.abs(SLOPES[name](x) - theirs.grad.numpy()).max() < 1e-12


def test_several_starts_add_up() -> None:
    """A node that is started from and read later, and one that no start reads."""
    oracle = Oracle(analyse(parse("conv 4 same; relu; [ id | conv 4 k1 ] add; gap; linear 3", (2, 5, 5), "starts")), 5)
    rng = np.random.default_rng(2)
    start = {name: rng.normal(size=oracle.trace.values[name].shape) for name in ("relu1", "conv2", "gap1", INPUT)}
    result = sum((oracle.values[name][0] * torch.tensor(weights)).sum() for name, weights in start.items())
    assert isinstance(result, Tensor)
    mine = backward(oracle.trace, start)
    oracle.agrees(mine, result, "starts")
    assert "linear1" not in mine.values and "linear1" not in mine.parameters


def small(silenced: tuple[tuple[str, int], ...] = ()) -> Trace:
    analysis = analyse(parse("conv 4 same; relu; conv 3 same; softmax; gap", (1, 6, 6), "small"))
    x = np.random.default_rng(0).normal(size=(1, 6, 6))
    return forward(analysis, untrained(analysis, 3), x, silenced)


def test_silenced_channels() -> None:
    """Against what the loss does when the input and the weights move a little."""
    silenced = (("relu1", 2), ("softmax1", 0))
    trace = small(silenced)
    gradients = of_loss(trace, 1)
    assert not gradients.values["relu1"][2].any() and gradients.values["relu1"][[0, 1, 3]].all()
    assert not gradients.parameters["conv2"]["weight"][:, 2].any()
    assert not of_unit(trace, "relu1", (2, 0, 0)).values[INPUT].any()
    direction = np.random.default_rng(1).normal(size=(1, 6, 6))
    step = 1e-6
    moved = [
        forward(trace.analysis, trace.parameters, trace.values[INPUT] + sign * step * direction, silenced).scores
        for sign in (1, -1)
    ]
    losses = [np.log(np.exp(scores).sum()) - scores[1] for scores in moved]
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx((gradients.values[INPUT] * direction).sum(), rel=1e-6)


def test_no_layers() -> None:
    analysis = analyse(Network("nothing", (3, 1, 1), ()))
    trace = forward(analysis, {}, np.array([1.0, 2, 3])[:, None, None])
    gradient = of_loss(trace, 0).values[INPUT]
    assert gradient.shape == (3, 1, 1) and gradient.sum() == pytest.approx(0) and gradient[0] < 0


def test_bad_input() -> None:
    trace = small()
    with pytest.raises(ValueError, match="label 3 is not one of 3 classes from 0"):
        of_loss(trace, 3)
    with pytest.raises(ValueError, match="no node 'conv9' in small"):
        of_unit(trace, "conv9", (0,))
    for unit in ((0, 0), (0, 6, 0), (-1, 0, 0)):
        with pytest.raises(ValueError, match=r"conv1 is 4×6×6 and has no unit"):
            of_unit(trace, "conv1", unit)
    with pytest.raises(ValueError, match=r"a gradient of 3 for conv1, which is 4×6×6"):
        backward(trace, {"conv1": np.zeros(3)})
