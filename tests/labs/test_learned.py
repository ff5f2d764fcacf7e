"""Learning as it is written out: torch's gradient, torch's step, and lines that re-add."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from decimal import Decimal, localcontext
from itertools import pairwise
from math import inf, isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cnntui.core.arithmetic import Equation
from cnntui.core.learning import SGD, Adam, Rule
from cnntui.core.network import INPUT
from cnntui.core.notation import parse
from cnntui.core.parameters import module_names
from cnntui.core.workings import Line
from cnntui.labs.explore import CELL, ExploreState, MoveError
from cnntui.labs.learned import Learner, Learning, learner, loss_lines, stepped_state
from cnntui.labs.methods import methods, name_of
from cnntui.labs.opened import Picture, at_moment, open_model, open_net
from cnntui.runs.events import Data, EventWriter
from cnntui.runs.schedules import factor
from cnntui.runs.spec import Settings, Spec, read_json
from cnntui.runs.weights import Moment, optimizer_state
from cnntui.training.model import Net, build
from cnntui.training.optimizers import make_optimizer, set_lr
from tests.core.readding import decimal
from tests.core.test_learning import chained, redo
from tests.training.saved import make_run, network, save

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
]

NET = "conv 4 p1; bn; relu; [ id | conv 4 p1; relu ] add; subsample 2; flatten; linear 8; tanh; linear 3"
STEP, STEPS = 6, 20
NODES = ("conv1", "conv2", "subsample1", "linear1", "tanh1", "linear2")
OPTIMIZERS = pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])


def trained(
    directory: Path, optimizer: str, step: int = STEP, **settings: object
) -> tuple[Path, Net, torch.optim.Optimizer]:
    """A run of a few steps on noise, with a checkpoint that remembers what the optimizer did."""
    chosen = Settings(**{"data": "digits", "optimizer": optimizer, "lr": 0.01, **settings})  # type: ignore[arg-type]
    run = make_run(directory / "run", NET, chosen)
    spec = read_json(run / "spec.json", Spec)
    assert spec is not None
    torch.manual_seed(5)
    model = build(network(NET))
    theirs = make_optimizer(spec, model)
    for _ in range(step):
        theirs.zero_grad()
        nn.functional.cross_entropy(model(torch.randn(8, 1, 12, 12)), torch.arange(8) % 3).backward()  # type: ignore[no-untyped-call]
        theirs.step()
    save(run, step, best=True, model=model, optimizer=theirs, lr=0.01, shape=[1, 12, 12])
    writer = EventWriter(run)
    shape, names = (1, 12, 12), ["a", "b", "c"]
    writer.emit(
        Data(
            step=0,
            name="digits",
            train=1,
            test=1,
            shape=shape,
            classes=names,
            sha256="0" * 64,
            steps=STEPS,
            train_counts=[1] * 3,
            test_counts=[1] * 3,
            mean=[0.25],
            deviation=[0.5],
        )
    )
    writer.close()
    return run, model, theirs


def exploring(run: Path, label: int | None = 2) -> ExploreState:
    pixels = np.random.default_rng(1).integers(0, 256, (1, 12, 12)).astype(float)
    return ExploreState(open_model(str(run)), Picture(pixels, "noise", label))


def doubled(model: Net, optimizer: torch.optim.Optimizer, run: Path) -> tuple[Net, torch.optim.Optimizer]:
    """The same in double precision, as the checkpoint would go on."""
    spec = read_json(run / "spec.json", Spec)
    assert spec is not None
    model = copy.deepcopy(model).double().eval()
    other = make_optimizer(spec, model)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return model, other


def torch_step(model: Net, optimizer: torch.optim.Optimizer, state: ExploreState, label: int) -> float:
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(torch.from_numpy(state.input)[None]), torch.tensor([label]))
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def tensor_of(model: Net, made: Learner) -> torch.Tensor:
    modules = module_names(made.state.analysis.network)
    return dict(model.named_parameters())[f"{modules[made.weight.node]}.{made.weight.name}"]


def agrees(text: str, true: float) -> None:
    """A printed number is this one, to its last digit."""
    shown = decimal(text)
    assert abs(shown - Decimal(true)) <= Decimal("0.5001").scaleb(int(shown.as_tuple().exponent)), (text, true)


def adds_up(learning: Learning) -> None:
    """Whatever is printed, done again."""
    for line in learning.update:
        redo(line)
    chained(learning.update)
    for line in learning.loss:
        redo_loss(line)
    total = learning.gradient
    assert total.relation == "="
    result, terms = decimal(total.result), [decimal(term) for term in total.terms]
    assert abs(sum(terms) - result) <= Decimal(1).scaleb(int(result.as_tuple().exponent)) / 2
    shown, (more, rest, zeros) = learning.terms, learning.rest
    assert [decimal(term.product) for term in shown] + [decimal(rest)] * (
        more > 0 and decimal(rest) != 0
    ) == terms or not shown
    finest = min((int(each.as_tuple().exponent) for each in terms), default=0)
    for term in shown:
        again = decimal(term.gradient) * decimal(term.value)
        assert len(decimal(term.gradient).as_tuple().digits) <= 9
        assert term.relation == "≈" or abs(again - decimal(term.product)) <= Decimal(1).scaleb(finest) / 2, term
    assert sum(term.relation == "=" for term in shown) >= 0.8 * len(shown)
    assert decimal(learning.new) - decimal(learning.old) == decimal(learning.moved.lstrip("+"))
    assert zeros >= 0


def redo_loss(line: Line) -> None:
    """Do what a line of the loss says."""
    body, result = line.equation.terms[0], decimal(line.equation.result)
    with localcontext(prec=60):
        if line.name == "loss":
            again = -decimal(body.removeprefix("−log(").removesuffix(")")).ln()
        else:
            power, total = body.removeprefix("e^(").split(") / ")
            score, highest = power.split(" − ", 1) if not power.startswith("−") else power[1:].split(" − ", 1)
            sign = -1 if power.startswith("−") else 1
            again = (sign * decimal(score) - decimal(highest.strip("()"))).exp() / decimal(total)
    half = Decimal(1).scaleb(int(result.as_tuple().exponent)) / 2
    assert line.equation.relation == "=" and abs(again - result) <= half, str(line)


@OPTIMIZERS
def test_a_step_is_torchs(tmp_path: Path, optimizer: str) -> None:
    """The run's own optimizer with what it remembers, at its learning rate: gradient, update, and all weights after it."""
    run, model, theirs = trained(tmp_path, optimizer)
    state = exploring(run)
    lr = 0.01 * factor("cosine", STEP, STEPS)
    for node in NODES:
        other, going_on = doubled(model, theirs, run)
        set_lr(going_on, lr)
        made = learner(state.look(node), 0)
        assert made.lr == pytest.approx(lr) and made.moments is not None
        for _ in range(3):
            adds_up(made.learning)
            loss = torch_step(other, going_on, state, 2)
            agrees(made.learning.loss[1].equation.result, loss)
            tensor = tensor_of(other, made)
            assert tensor.grad is not None
            slope = float(tensor.grad[made.weight.index])
            agrees(made.learning.gradient.result, slope)
            agrees(made.learning.new, float(tensor.detach()[made.weight.index]))
            made = made.stepped()
            modules = module_names(state.analysis.network)
            for name, after in other.named_parameters():
                node_of = {f"{module}": each for each, module in modules.items()}[name.split(".")[0]]
                mine = made.state.parameters[node_of][name.split(".", 1)[1]]
                np.testing.assert_allclose(mine, after.detach().numpy(), rtol=1e-8, atol=1e-10)
        assert made.state.learned is not None and len(made.state.learned.steps) == 3


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"frozen": True}, "In the run conv1 is frozen; here all layers learn alike."),
        ({"backbone_lr": 0.001}, "In the run conv1 learns at 0.1 times the rate; here all layers learn alike."),
    ],
)
def test_a_layer_that_the_run_holds_back_is_told(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    run, _, _ = trained(tmp_path, "adam", **changed)
    state = exploring(run)
    assert (said in learner(state.look("conv1"), 0).learning.notes) == bool(said)
    assert not any("In the run" in note for note in learner(state.look("linear2"), 0).learning.notes)


def test_every_gradient_is_autograds(tmp_path: Path) -> None:
    run, model, theirs = trained(tmp_path, "adam")
    state = exploring(run)
    other, _ = doubled(model, theirs, run)
    nn.functional.cross_entropy(other(torch.from_numpy(state.input)[None]), torch.tensor([2])).backward()  # type: ignore[no-untyped-call]
    made = learner(state.look("conv1"), 0)
    for name, tensor in other.named_parameters():
        module, _, own = name.partition(".")
        assert tensor.grad is not None
        mine = made.gradients.parameters[module][own]
        np.testing.assert_allclose(mine, tensor.grad.numpy(), rtol=1e-8, atol=1e-12)
    for channel in range(4):
        for term in range(9):
            cell = learner(state.look("conv1", (channel, 3, 4), level=CELL), term)
            assert cell.weight.index == (channel, 0, term // 3, term % 3)
            agrees(cell.learning.gradient.result, float(tensor_of(other, cell).grad[cell.weight.index]))  # type: ignore[index]
            adds_up(cell.learning)


def torch_of(rule: Rule, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if isinstance(rule, SGD):
        return torch.optim.SGD(parameters, rule.lr, rule.momentum)
    return torch.optim.Adam(parameters, rule.lr)


def test_optimizers_are_compared_from_the_beginning(tmp_path: Path) -> None:
    """Those that are not the run's remember nothing, and take the learning rate that was chosen."""
    run, model, theirs = trained(tmp_path, "adamw")
    state = exploring(run).look("conv2")
    made = learner(state, 0)
    names = [method.name for method in made.methods]
    assert names == ["AdamW, weight decay 0.01", "SGD", "SGD, momentum 0.9", "Adam"]
    for name in names[1:]:
        made = made.other_method()
        assert name_of(made.rule) == name and made.moments is None
        now = replace(made, lr=0.003).faster(1)
        assert now.lr == 0.03
        other, _ = doubled(model, theirs, run)
        optimizer = torch_of(now.rule, list(other.parameters()))
        for _ in range(2):
            torch_step(other, optimizer, state, 2)
            adds_up(now.learning)
            agrees(now.learning.new, float(tensor_of(other, now).detach()[now.weight.index]))
            now = now.stepped()
    assert made.other_method().method.name == names[0]


def test_a_bias_is_the_sum_of_the_gradients(tmp_path: Path) -> None:
    run, model, theirs = trained(tmp_path, "sgd")
    made = learner(exploring(run).look("conv2"), 0).of_bias()
    other, going_on = doubled(model, theirs, run)
    torch_step(other, going_on, made.state, 2)
    assert made.weight.name == "bias"
    adds_up(made.learning)
    agrees(made.learning.gradient.result, float(tensor_of(other, made).grad[made.weight.index]))  # type: ignore[index]
    assert {(term.input, term.value) for term in made.learning.terms} == {("", "1")}
    with pytest.raises(MoveError, match="this is the bias already"):
        made.of_bias()


@pytest.mark.parametrize("scale", [1e-3, 1, 10, 40])
def test_the_loss_of_any_scores(scale: float) -> None:
    rng = np.random.default_rng(2)
    for count in (2, 3, 10, 1000):
        scores = rng.normal(size=count) * scale
        for label in {0, 1, int(scores.argmax()), int(scores.argmin())}:
            p, loss = loss_lines(scores, label)
            true = float(nn.functional.cross_entropy(torch.from_numpy(scores)[None], torch.tensor([label])))
            if true < 1e-9:  # here torch rounds, and far below p is written as 1
                assert loss.equation.relation == "=" or p.equation.result == "1"
                continue
            for line in (p, loss):
                assert max(map(len, re.findall(r"[\d.]+", str(line.equation)))) <= 9 + len("0.") + 4, line
                assert line.equation.relation == "=" or true < 1e-3
                if line.equation.relation == "=":
                    redo_loss(line)
            agrees(loss.equation.result, true)


def test_a_wrong_line_is_noticed() -> None:
    with pytest.raises(AssertionError):
        redo_loss(Line("loss", "", Equation(("−log(0.5)",), "=", "0.68")))
    with pytest.raises(AssertionError):
        redo_loss(Line("p", "", Equation(("e^(−1 − (−0.5)) / 2",), "=", "0.31")))
    redo_loss(Line("p", "", Equation(("e^(−1 − (−0.5)) / 2",), "=", "0.3")))


# -- on a copy


def test_steps_teach_the_picture_by_heart_and_nothing_is_lost(tmp_path: Path) -> None:
    run, _, _ = trained(tmp_path, "adam")
    state = exploring(run).look("linear2")
    made = learner(state, 0)
    for _ in range(30):
        made = made.stepped()
    after = made.state
    assert after.learned is not None
    assert after.probabilities[2] > 0.9 > 0.6 > state.probabilities[2]
    assert after.touched[0].startswith("30 steps, loss ")
    assert after.untouched.parameters is state.parameters, "the bars compare with the net as it was"
    assert after.model is state.model and after.restored().probabilities == pytest.approx(state.probabilities)
    losses = [(step.before, step.after) for step in after.learned.steps]
    assert all(first[1] == pytest.approx(second[0]) for first, second in pairwise(losses))
    shown = after.show(replace(after.picture, title="other"))
    assert shown.parameters is after.parameters, "another picture sees what was learned"
    again = learner(after, 0)
    assert again.method.name == made.method.name and again.moments is made.moments, "a new lesson goes on"
    moment = Moment(STEP, 1, run / "checkpoints" / f"step-{STEP}", "checkpoint")
    assert after.at(0, at_moment(after.model, moment)).learned is None


def test_what_was_set_by_hand_moves_too(tmp_path: Path) -> None:
    run, _, _ = trained(tmp_path, "sgd")
    state = exploring(run).look("linear2")
    state = state.changed("linear2", "bias", (1,), 0.75).changed(INPUT, "", (0, 0, 0), 0.5)
    after = stepped_state(state, 2, SGD(0.1), None)
    assert [change.node for change in after.changes] == [INPUT]
    assert 0 < abs(after.parameters["linear2"]["bias"][1] - 0.75) < 0.1
    later = after.changed("linear2", "bias", (1,), -1.0)
    assert later.parameters["linear2"]["bias"][1] == -1 and later.learned is after.learned


def test_a_step_too_large_is_refused(tmp_path: Path) -> None:
    state = exploring(trained(tmp_path, "sgd")[0])
    with pytest.raises(MoveError, match=r"^a step at learning rate 1e\+300|makes the loss (nan|inf): press −"):
        stepped_state(state, 2, SGD(1e300), None)


# -- which optimizer


def test_what_was_not_kept_begins_anew(tmp_path: Path) -> None:
    run, _, _ = trained(tmp_path, "adam")
    state = exploring(run)
    model = replace(state.model, step=4)
    method = methods(model)[0]
    assert method.moments is None and method.words == "what it remembered at step 4 was not kept: it begins anew"
    by = factor("cosine", 4, STEPS)
    assert method.rule == Adam(0.01 * by) and method.rate == f"0.01 × {by:.6f} (cosine)"
    at_end = methods(replace(model, step=STEPS))[0]
    assert at_end.rule == Adam(0.01) and at_end.rate == "the run's, now that its cosine schedule is over"
    assert methods(replace(model, step=None))[0].rule == Adam(0.01), "a file of weights has no step"


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("step", np.inf, "step inf"),
        ("step", np.nan, "step nan"),
        ("step", -1, "step -1.0"),
        ("step", 1e30, "step 1e+30"),
        ("exp_avg", np.nan, "exp_avg that is not finite"),
        ("exp_avg_sq", np.inf, "exp_avg_sq that is not finite"),
        ("exp_avg_sq", -1, "exp_avg_sq below 0"),
    ],
)
def test_what_no_optimizer_remembers_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: float, why: str
) -> None:
    run, _, _ = trained(tmp_path, "adam")
    saved = optimizer_state(run)
    whole = {number: dict(own) for number, own in saved.tensors.items()}
    whole[1][name] = np.full_like(whole[1][name], value, dtype=np.float64)
    monkeypatch.setattr("cnntui.labs.methods.optimizer_state", lambda *_: replace(saved, tensors=whole))
    state = exploring(run)
    method = methods(state.model)[0]
    assert method.moments is None
    assert method.words == f"step-{STEP} remembers of conv1.bias {why}: it begins anew"
    assert learner(state.look("conv2"), 0).stepped().state.learned is not None


def test_a_map_has_no_class_to_learn() -> None:
    model = open_net(parse("conv 2 same; relu", (1, 8, 8), "small"))
    state = ExploreState(model, Picture(np.ones((1, 8, 8)), "white", 2)).look("conv1")
    with pytest.raises(MoveError, match=r"^the output is a map: 2×8×8, with no class to learn"):
        learner(state, 0)


def test_a_net_without_a_run(tmp_path: Path) -> None:
    model = open_net(parse("conv 2; relu; maxpool 2; flatten; linear 3", (1, 8, 8), "small"))
    state = ExploreState(model, Picture(np.full((1, 8, 8), 99.0), "grey", 1)).look("relu1")
    made = learner(state, 0)
    assert [method.rule for method in made.methods] == [Adam(0.001), SGD(0.001), SGD(0.001, 0.9)]
    assert made.weight.node == "conv1" and made.learning.method[1] == "lr 0.001, torch's default"
    adds_up(made.learning)


def test_the_rate_stays_within_its_scale(tmp_path: Path) -> None:
    made = learner(exploring(trained(tmp_path, "adam")[0]).look("conv1"), 0)
    for power in (1, -1):
        for _ in range(30):
            made = made.faster(power)
        assert made.faster(power) is made and isfinite(made.lr)


# -- refusals


def test_what_cannot_be_learned_is_said(tmp_path: Path) -> None:
    run, _, _ = trained(tmp_path, "adam")
    state = exploring(run)
    with pytest.raises(MoveError, match=r"^a pixel is given, not learned"):
        learner(state, 0)
    unknown = exploring(run, None).look("conv1")
    with pytest.raises(MoveError, match=r"^what noise shows is not known: press its digit first, then w$"):
        learner(unknown, 0)
    assert learner(unknown.ask(1), 0).learning.label == "b"
    with pytest.raises(MoveError, match=r"^noise is of class 7: the net has 3$"):
        learner(exploring(run, 7).look("conv1"), 0)
    broken = state.changed("linear2", "bias", (0,), 1e308)
    broken.parameters["linear2"]["bias"][0] = inf
    with pytest.raises(MoveError, match=r"^the scores of noise are not all finite: there is no loss to learn from$"):
        learner(broken.look("conv1"), 0)
    pooled = open_net(parse("maxpool 2; flatten; linear 3", (1, 8, 8), "pooled"))
    with pytest.raises(MoveError, match=r"^maxpool1 has nothing that is learned"):
        learner(ExploreState(pooled, Picture(np.ones((1, 8, 8)), "grey", 1)).look("maxpool1"), 0)


def test_a_gradient_of_nothing(tmp_path: Path) -> None:
    """A silenced channel learns nothing from the picture, and that is what is printed."""
    run, _, _ = trained(tmp_path, "sgd")
    state = exploring(run).silence("relu2", 1).look("conv2", (1, 4, 4))
    made = learner(state, 0)
    assert made.learning.gradient.result == "0" and not made.learning.terms
    assert "does not change the loss" in made.learning.direction
    adds_up(made.learning)
