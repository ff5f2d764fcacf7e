"""A network in numpy against the same in torch, layer by layer."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from cnntui.core.activations import ACTIVATIONS
from cnntui.core.analysis import Analysis, analyse
from cnntui.core.forward import Trace, cross_entropy, forward
from cnntui.core.nets import load_net, zoo
from cnntui.core.network import INPUT
from cnntui.core.notation import parse
from cnntui.core.parameters import RESERVED, module_names, named, untrained
from cnntui.training.model import Net, build
from tests.core.random_networks import random_network

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = [name for name in zoo() if max(load_net(name).network.input[1:]) <= 64]
DAGS = 300


def judged(analysis: Analysis, seed: int) -> tuple[Net, dict[str, torch.Tensor], Trace]:
    """A network with random weights and statistics, its values in torch, and run in numpy."""
    torch.manual_seed(seed)
    model = build(analysis.network).double().eval()
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and ("running" in name or tensor.dim() == 1):
            tensor.uniform_(0.5, 1.5)
    # Twice the same: a group norm over single numbers is refused by torch for a batch of one.
    x = torch.randn(1, *analysis.network.input, dtype=torch.float64).repeat(2, 1, 1, 1)
    with torch.no_grad():
        values = {INPUT: x[0], **{name: made[0] for name, made in model.trace(x)}}
    parameters = named(analysis, {name: tensor.numpy() for name, tensor in model.state_dict().items()})
    return model, values, forward(analysis, parameters, x[0].numpy())


def close(mine: np.ndarray, theirs: torch.Tensor, what: str) -> None:
    assert mine.shape == tuple(theirs.shape), what
    scale = float(theirs.abs().max()) or 1.0
    assert np.abs(mine - theirs.numpy()).max() <= 1e-6 * scale + 1e-12, what


@pytest.mark.parametrize("net", SMALL)
def test_the_zoo(net: str) -> None:
    analysis = analyse(load_net(net).network)
    _, values, trace = judged(analysis, 0)
    assert trace.values.keys() == values.keys()
    for name, value in values.items():
        close(trace.values[name], value, name)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_random_networks() -> None:
    rng = random.Random(20)
    for seed in range(DAGS):
        network = random_network(rng)
        _, values, trace = judged(analyse(network), seed)
        for name, value in values.items():
            close(trace.values[name], value, f"{seed} {name}")


def test_scores_and_loss() -> None:
    analysis = analyse(parse("flatten; linear 5", (2, 3, 3), "small"))
    model, values, trace = judged(analysis, 1)
    scores = values["linear1"][None]
    close(trace.probabilities, scores.softmax(1)[0], "softmax")
    for smoothing in (0.0, 0.1):
        loss = nn.functional.cross_entropy(scores, torch.tensor([3]), label_smoothing=smoothing)
        assert cross_entropy(trace.scores, 3, smoothing) == pytest.approx(float(loss), rel=1e-9)
    ends = analyse(parse("flatten; linear 5; softmax", (2, 3, 3), "small"))
    _, values, trace = judged(ends, 1)
    close(trace.probabilities, values["softmax1"], "the net's own softmax")
    assert model is not None


@pytest.mark.parametrize(
    "text",
    [
        "flatten; linear 5; softmax; dropout",
        "flatten; linear 5; softmax; id; dropout; flatten",
        "conv 5 k3; softmax; flatten",
        "gap; softmax",
    ],
)
def test_a_softmax_before_what_only_hands_on(text: str) -> None:
    _, values, trace = judged(analyse(parse(text, (2, 3, 3), "small")), 1)
    close(trace.probabilities, list(values.values())[-1].reshape(-1), text)
    assert trace.probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize("text", ["conv 5 same; softmax; flatten", "flatten; linear 5; softmax; linear 4", "flatten"])
def test_a_softmax_of_something_else_is_not_the_classes(text: str) -> None:
    """Of each pixel, or before another layer: then the output is scores, as torch's cross entropy takes it."""
    _, values, trace = judged(analyse(parse(text, (2, 3, 3), "small")), 1)
    close(trace.probabilities, list(values.values())[-1].reshape(-1).softmax(0), text)


def test_an_activation_keeps_the_precision() -> None:
    for kind in (np.float32, np.float64):
        x = np.linspace(-4, 4, 41).astype(kind)
        made = ACTIVATIONS["gelu"](x)
        assert made.dtype == kind
        np.testing.assert_allclose(made, nn.functional.gelu(torch.from_numpy(x)).numpy(), rtol=1e-6, atol=1e-6)


def test_silenced_channels() -> None:
    analysis = analyse(parse("conv 4 same; relu; conv 3 same; gap", (1, 6, 6), "small"))
    parameters = untrained(analysis, 3)
    x = np.random.default_rng(0).normal(size=(1, 6, 6))
    whole = forward(analysis, parameters, x)
    off = forward(analysis, parameters, x, {("relu1", 2)})
    assert not off.values["relu1"][2].any()
    assert (off.values["relu1"][[0, 1, 3]] == whole.values["relu1"][[0, 1, 3]]).all()
    assert (off.values["conv1"] == whole.values["conv1"]).all()
    without = {**parameters, "conv2": {**parameters["conv2"], "weight": parameters["conv2"]["weight"].copy()}}
    without["conv2"]["weight"][:, 2] = 0  # what a silenced channel comes to
    assert np.allclose(off.output, forward(analysis, without, x).output, rtol=1e-12)


def test_untrained_is_drawn_as_torch_draws() -> None:
    analysis = analyse(load_net("lenet5-1998").network)
    modules = module_names(analysis.network)
    theirs = build(analysis.network).state_dict()
    for node, own in untrained(analysis, 0).items():
        for name, tensor in own.items():
            other = theirs[f"{modules[node]}.{name}"].numpy()
            assert tensor.shape == other.shape
            if tensor.size > 200:
                assert tensor.std() == pytest.approx(other.std(), rel=0.15), f"{node}.{name}"
                assert abs(tensor).max() <= abs(other).max() * 1.1
    again, other = untrained(analysis, 0), untrained(analysis, 1)
    first = analysis.rows[0].node.name
    assert (again[first]["weight"] == untrained(analysis, 0)[first]["weight"]).all()
    assert (again[first]["weight"] != other[first]["weight"]).any()


def test_names_of_modules() -> None:
    assert {name for name in dir(nn.Module) if not name.startswith("_")} | {"trace", "training"} <= RESERVED
    network = parse("train: conv 2 k1; a.2: relu; a_2: relu; _apply: relu; eval: relu; eval_: relu", (1, 3, 3), "odd")
    assert module_names(network) == {
        "train": "train_",
        "a.2": "a_2",
        "a_2": "a_2_",
        "_apply": "_apply_",
        "eval": "eval_",
        "eval_": "eval__",
    }
    model = build(network)
    assert [name for name, _ in model.named_children()] == list(module_names(network).values())
    assert model(torch.zeros(1, 1, 3, 3)).shape == (1, 2, 3, 3)


def test_weights_of_another_net() -> None:
    analysis = analyse(parse("conv 4; flatten; linear 2", (1, 6, 6), "small"))
    tensors = {name: tensor.numpy() for name, tensor in build(analysis.network).state_dict().items()}
    with pytest.raises(ValueError, match=r"not of this net: conv1\.weight is 4×1×3×3, not 5×1×3×3"):
        named(analyse(parse("conv 5; flatten; linear 2", (1, 6, 6), "small")), tensors)
    del tensors["linear1.bias"]
    with pytest.raises(ValueError, match=r"linear1\.bias is missing"):
        named(analysis, tensors)
    with pytest.raises(ValueError, match="an input of"):
        forward(analysis, untrained(analysis), np.zeros((1, 5, 5)))
