"""Steps of learning against torch.optim, and what is written of them, parsed and done again."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cnntui.core.analysis import Analysis, analyse
from cnntui.core.arithmetic import Equation
from cnntui.core.backward import of_loss, of_unit
from cnntui.core.forward import Trace, forward
from cnntui.core.learning import SGD, Adam, AdamMoments, Moments, Momentum, Rule, gradient_terms, stepped
from cnntui.core.nets import load_net
from cnntui.core.network import INPUT
from cnntui.core.notation import parse
from cnntui.core.parameters import Parameters, module_names, untrained
from cnntui.core.workings import Line, worked
from tests.core.random_networks import random_network
from tests.core.readding import decimal
from tests.core.test_forward import judged

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
]
Make = Callable[[Any], torch.optim.Optimizer]
RULES: list[tuple[Rule, Make]] = [
    (SGD(0.05), lambda p: torch.optim.SGD(p, 0.05)),
    (SGD(0.05, 0.9), lambda p: torch.optim.SGD(p, 0.05, 0.9)),
    (SGD(0.05, 0.9, 5e-4), lambda p: torch.optim.SGD(p, 0.05, 0.9, weight_decay=5e-4)),
    (SGD(0.05, weight_decay=0.01), lambda p: torch.optim.SGD(p, 0.05, weight_decay=0.01)),
    (Adam(0.003), lambda p: torch.optim.Adam(p, 0.003)),
    (Adam(0.003, (0.8, 0.95), 1e-6), lambda p: torch.optim.Adam(p, 0.003, (0.8, 0.95), 1e-6)),
    (Adam(0.003, weight_decay=0.01), lambda p: torch.optim.Adam(p, 0.003, weight_decay=0.01)),
    (Adam(0.003, weight_decay=0.01, decoupled=True), lambda p: torch.optim.AdamW(p, 0.003)),
    (Adam(0.003, decoupled=True), lambda p: torch.optim.AdamW(p, 0.003, weight_decay=0)),
]


@pytest.mark.parametrize(("rule", "make"), RULES, ids=lambda each: str(each) if isinstance(each, SGD | Adam) else "")
@pytest.mark.parametrize("net", ["lenet5", "bn"])
def test_steps_are_torchs(net: str, rule: Rule, make: Make) -> None:
    """A net learns one picture for several steps, with its own gradients here and there."""
    analysis = analyse(
        load_net("lenet5").network
        if net == "lenet5"
        else parse("conv 4 p1 nobias; bn; relu; subsample 2; flatten; ln; linear 5", (2, 6, 6), "bn")
    )
    model, values, trace = judged(analysis, 4)
    optimizer = make(model.parameters())
    parameters, moments = trace.parameters, None
    modules = module_names(analysis.network)
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(values[INPUT][None]), torch.tensor([2])).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        before = forward(analysis, parameters, trace.values[INPUT])
        parameters, moments = stepped(parameters, of_loss(before, 2).parameters, rule, moments)
        theirs = model.state_dict()
        for node, own in parameters.items():
            for name, tensor in own.items():
                other = theirs[f"{modules[node]}.{name}"].numpy()
                # A mean of squares near nothing makes Adam's quotient of two roundings: what is compared is the step.
                assert np.abs(tensor - other).max() <= 1e-8 * max(1.0, np.abs(other).max()), f"{node}.{name}"
    losses = [of_loss_value(trace, each) for each in (trace.parameters, parameters)]
    assert losses[1] < losses[0]


def of_loss_value(trace: Trace, parameters: Parameters) -> float:
    scores = forward(trace.analysis, parameters, trace.values[INPUT]).scores
    return float(np.log(np.exp(scores).sum()) - scores[2])


def test_what_no_gradient_reaches_stays() -> None:
    analysis = analyse(parse("conv 2; bn; flatten; linear 3", (1, 4, 4), "small"))
    parameters = untrained(analysis)
    trace = forward(analysis, parameters, np.ones((1, 4, 4)))
    made, moments = stepped(parameters, of_unit(trace, "conv1", (0, 0, 0)).parameters, SGD(0.1, 0.9, 0.1))
    assert list(moments) == ["conv1"]
    for node, name in (("bn1", "weight"), ("bn1", "running_mean"), ("linear1", "weight")):
        assert made[node][name] is parameters[node][name]
    assert (made["conv1"]["weight"] != parameters["conv1"]["weight"]).any()
    assert parameters["conv1"]["weight"] is trace.parameters["conv1"]["weight"]


# -- what is written


def redo(line: Line) -> None:
    """Do what a printed line says."""
    found = re.fullmatch(r"(\S+) = (.*) (=|≈) (\S+)", str(line))
    assert found and found[1] == line.name
    body = re.sub(r"\d+(\.\d+)?(e[−+]\d+)?", lambda n: f"D('{n[0].replace('−', '-')}')", found[2])
    for sign, python in (("−", "-"), ("×", "*"), ("²", "**2"), ("^", "**"), ("√", "Decimal.sqrt")):
        body = body.replace(sign, python)
    with localcontext(prec=60):
        again = eval(body, {"D": Decimal, "Decimal": Decimal})
    result = decimal(found[4])
    half = Decimal(1).scaleb(int(result.as_tuple().exponent)) / 2
    assert found[3] == "=" and abs(again - result) <= half, str(line)


@pytest.mark.parametrize("text", ["0.9×0.5 = 0.46", "1e−08 − 2 = 2", "√(4) = 3", "(−2)² = −4", "1 = 1.1"])
def test_what_does_not_hold_is_noticed(text: str) -> None:
    """The judge can say no."""
    body, result = text.split(" = ")
    with pytest.raises(AssertionError):
        redo(Line("x", "", Equation((body,), "=", result)))


def chained(lines: Sequence[Line]) -> None:
    """What a line makes is printed alike wherever a later one uses it."""
    latest: dict[str, str] = {}
    for line in lines:
        for name, text in latest.items():
            if re.search(rf"(?<![A-Za-z_]){re.escape(name)}(?![A-Za-z_0-9\u0302])", line.formula):
                assert text in line.equation.terms[0], str(line)
        latest[line.name] = line.equation.result


@pytest.mark.parametrize(("rule", "make"), RULES, ids=lambda each: str(each) if isinstance(each, SGD | Adam) else "")
def test_written_steps(rule: Rule, make: Make) -> None:
    """Weights, gradients and moments of all sizes: each line holds, and the last is what torch's optimizer makes."""
    rng = np.random.default_rng(11)
    for round_ in range(75):
        size, steps = 10.0 ** rng.uniform(-5, 1), int(rng.integers(1, 5))
        weights = torch.tensor(rng.normal(size=3), dtype=torch.float64, requires_grad=True)
        if round_ % 3 == 0:
            weights = torch.tensor(rng.normal(size=3).astype(np.float32).astype(float), requires_grad=True)
        optimizer = make([weights])
        array = weights.detach().numpy().copy()
        moments: Moments | None = None
        for step in range(steps):
            gradient = rng.normal(size=3) * size * (rng.random(3) < 0.9)
            written = [rule.written(float(array[i]), float(gradient[i]), one(moments, i)) for i in range(3)]
            array, moments = rule.updated(array, gradient, moments)
            weights.grad = torch.tensor(gradient)
            optimizer.step()
            if step < steps - 1:
                continue
            for lines, true in zip(written, weights.detach().tolist(), strict=True):
                for line in lines:
                    redo(line)
                chained(lines)
                result = lines[-1].equation.result
                assert lines[-1].name == "weight"
                shown = -int(decimal(result).as_tuple().exponent)
                assert abs(decimal(result) - Decimal(true)) <= Decimal("0.500001").scaleb(-shown), lines[-1]


def test_six_digits_are_float32s() -> None:
    """As a run keeps its weights: the six digits are torch's, to its own rounding."""
    rng = np.random.default_rng(3)
    for rule, make in RULES:
        for _ in range(50):
            weight, gradient = (float(np.float32(rng.normal() * 10.0 ** rng.integers(-5, 1))) for _ in range(2))
            theirs = torch.tensor([weight], requires_grad=True)
            optimizer = make([theirs])
            theirs.grad = torch.tensor([gradient])
            optimizer.step()
            lines = rule.written(weight, gradient, digits=6)
            for line in lines:
                redo(line)
            result = decimal(lines[-1].equation.result)
            true = theirs.item()
            largest = max(abs(true), abs(weight))
            assert len(result.as_tuple().digits) <= 6
            unit = 10.0 ** int(result.as_tuple().exponent)
            assert abs(float(result) - true) <= unit / 2 + 3 * np.spacing(np.float32(largest)), str(lines[-1])


def one(moments: Moments | None, index: int) -> Moments | None:
    if isinstance(moments, Momentum):
        buffer = moments.momentum_buffer
        return Momentum(None if buffer is None else float(np.asarray(buffer)[index]))
    if isinstance(moments, AdamMoments):
        mean, square = (float(np.asarray(each)[index]) for each in (moments.exp_avg, moments.exp_avg_sq))
        return AdamMoments(mean, square, moments.step)
    return None


def test_the_change_shows() -> None:
    """However small a step is beside its weight; and terms that nearly cancel are written with the digits it takes."""
    (line,) = SGD(0.01).written(0.5, 0.00001234)
    assert str(line) == "weight = 0.5 − 0.01×0.00001234 = 0.4999998766"
    lines = SGD(0.1, 0.9).written(0.25, -0.08999999, Momentum(0.1))
    assert str(lines[0]) == "v = 0.9×0.1 + (−0.08999999) = 1e−08"
    assert str(lines[1]) == "weight = 0.25 − 0.1×1e−08 = 0.249999999"
    assert str(SGD(0.1).written(1 / 3, 0.0)[0]) == "weight = 0.3333 − 0.1×0 = 0.3333"
    for line in Adam(0.001).written(1 / 3, 0.0):
        redo(line)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="gradient is nan: only finite numbers"):
        SGD(0.1).written(0.5, float("nan"))
    with pytest.raises(ValueError, match="moments of Adam for a step of SGD"):
        SGD(0.1).written(0.5, 0.1, AdamMoments())
    with pytest.raises(ValueError, match="moments of SGD for a step of Adam"):
        Adam(0.1).updated(np.ones(2), np.ones(2), Momentum())
    with pytest.raises(ValueError, match="is no part of a formula"):
        worked([("a", "b // b")], {"b": 1.0}, "b")
    trace = forward(analysis := analyse(parse("conv 2; bn", (1, 4, 4), "s")), untrained(analysis), np.ones((1, 4, 4)))
    gradients = of_unit(trace, "bn1", (0, 0, 0))
    for node, name in (("conv1", "scale"), ("bn1", "running_mean"), ("conv9", "weight")):
        with pytest.raises(ValueError, match=f"no weights called {name} are learned in {node}"):
            gradient_terms(trace, gradients, node, name, (0,))
    with pytest.raises(ValueError, match=r"conv1's weight is 2×1×3×3 and has nothing at \(0, 1, 0, 0\)"):
        gradient_terms(trace, gradients, "conv1", "weight", (0, 1, 0, 0))


# -- the gradient of one weight


def add_up(analysis: Analysis, seed: int, each: int) -> int:
    """Terms of some weights of each tensor; how many tensors there were."""
    _, _, trace = judged(analysis, seed)
    gradients = of_loss(trace, 0)
    rng, tensors = random.Random(seed), 0
    for node, own in gradients.parameters.items():
        read, op = next((row.node.inputs[0], row.node.layer.op) for row in analysis.rows if row.node.name == node)
        for name, gradient in own.items():
            tensors += 1
            for _ in range(each):
                index = tuple(map(rng.randrange, gradient.shape))
                terms = gradient_terms(trace, gradients, node, name, index)
                scale = sum(abs(term.product) for term in terms)
                assert abs(sum(term.product for term in terms) - gradient[index]) <= 1e-9 * scale + 1e-300
                assert len({term.output for term in terms}) == len(terms)
                for term in terms:
                    assert term.gradient == gradients.values[node][term.output]
                    if term.input is not None and op not in ("bn", "ln", "gn"):
                        assert term.value == trace.values[read][term.input]
                    elif op != "subsample" and term.input is None:
                        assert term.value == (name == "bias")
    return tensors


@pytest.mark.parametrize("net", ["lenet5", "lenet5-1998", "mnist-2conv"])
def test_terms_of_the_zoo(net: str) -> None:
    assert add_up(analyse(load_net(net).network), 0, 4) >= 8


@pytest.mark.parametrize(
    "words",
    [
        "conv 6 k2x4 same d2 g2; dwconv k3 s2 p1",
        "tconv 6 k3x2 s2 p1 g2 op1; bn; subsample 2",
        "tconv 4 k3 s1 p2 d3 op2; gn 2; flatten; bn; linear 3; ln",
    ],
)
def test_terms_of_every_layer(words: str) -> None:
    assert add_up(analyse(parse(words, (4, 9, 8), "terms")), 3, 10) >= 4


def test_terms_of_random_networks() -> None:
    rng = random.Random(5)
    for seed in range(60):
        add_up(analyse(random_network(rng)), seed, 1)


def test_terms_say_where_they_are_from() -> None:
    analysis = analyse(parse("conv 2 k3 p1", (1, 4, 5), "small"))
    x = np.arange(20.0).reshape(1, 4, 5) + 1
    trace = forward(analysis, untrained(analysis), x)
    gradients = of_unit(trace, "conv1", (1, 0, 0))
    terms = gradient_terms(trace, gradients, "conv1", "weight", (1, 0, 0, 1))  # the tap above the middle
    assert [term.input for term in terms[:6]] == [None, None, None, None, None, (0, 0, 0)]
    assert terms[5].output == (1, 1, 0) and terms[5].value == 1.0
    middle = gradient_terms(trace, gradients, "conv1", "weight", (1, 0, 1, 1))
    assert [term.product for term in middle if term.product] == [1.0]
    assert not any(term.gradient for term in gradient_terms(trace, gradients, "conv1", "bias", (0,)))
