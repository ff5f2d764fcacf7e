"""One step against the textbook's, the schedules against torch's, and what compiling and capturing must leave alone."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cnntui.core.notation import parse
from cnntui.runs.schedules import factor
from cnntui.runs.spec import RECIPES, Settings, Spec, new_spec
from cnntui.training.augment import Augment
from cnntui.training.data import DataSet, Fitting, digits
from cnntui.training.model import build
from cnntui.training.optimizers import make_optimizer, set_lr
from cnntui.training.step import Step, autocast_of, moments_of

NET = parse("conv 8 same; bn; relu; maxpool 2; flatten; dropout 0.3; linear 10", (1, 8, 8), "small")
on_gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
DEVICES = ["cpu", pytest.param("cuda", marks=on_gpu)]
pytestmark = pytest.mark.usefixtures("one_thread")


def make(device: str = "cpu", net: str | None = None, **settings: Any) -> tuple[Step, DataSet, Spec]:
    network = parse(net, (1, 8, 8), "small") if net else NET
    spec = new_spec(network, Settings(data="digits", batch_size=32, device=device, **settings))
    torch.manual_seed(0)
    model = build(network).to(device).to(memory_format=torch.channels_last)
    data = digits().to(torch.device(device))
    fit = Fitting.of(data, spec.input)
    return Step(model, make_optimizer(spec, model), data, fit, Augment("none"), spec), data, spec


def batches(step: Step, count: int) -> list[torch.Tensor]:
    luck = torch.Generator().manual_seed(1)
    order = torch.randperm(len(step.data.train_labels), generator=luck).to(step.device)
    return list(torch.split(order, step.size))[:count]


@pytest.mark.parametrize("steps", [10, 37, 1000])
def test_one_cycle_and_cosine_are_torchs(steps: int) -> None:
    def rates(make_scheduler: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler]) -> list[float]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2)
        scheduler = make_scheduler(optimizer)
        rates = []
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return rates

    one_cycle = rates(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.2, steps, cycle_momentum=False))
    assert [0.2 * factor("onecycle", step, steps) for step in range(steps)] == pytest.approx(one_cycle)
    cosine = rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, steps))
    assert [0.2 * factor("cosine", step, steps) for step in range(steps)] == pytest.approx(cosine, abs=1e-12)


@pytest.mark.parametrize("steps", range(1, 9))
@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle"])
def test_a_run_of_few_steps_has_a_schedule_too(schedule: str, steps: int) -> None:
    assert all(0 < factor(schedule, step, steps) <= 1 for step in range(steps))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_steps_are_the_textbooks(optimizer: str, device: str) -> None:
    net = "conv 8 same; relu; maxpool 2; flatten; linear 10"  # dropout would draw other numbers on the two ways
    step, data, spec = make(
        device, net, optimizer=optimizer, lr=0.01, weight_decay=0.001, label_smoothing=0.1, precision="float32"
    )
    torch.manual_seed(0)
    model = build(spec.network).to(device)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[optimizer]
    more = {"momentum": 0.9} if optimizer == "sgd" else {}
    textbook = kind(model.parameters(), lr=0.01, weight_decay=0.001, **more)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
    mean, deviation = step.fit.mean[0], step.fit.deviation[0]
    losses = []
    for index in batches(step, 20):
        textbook.zero_grad()
        loss = loss_of(model((data.train_images[index].float() / 255 - mean) / deviation), data.train_labels[index])
        loss.backward()
        textbook.step()
        losses.append(loss.item())
        step(index)
    assert step.mean_loss() == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    for ours, theirs in zip(step.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_preparing_changes_nothing(optimizer: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled (and on a GPU captured) before the first step, the training is the one without."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    plain, _, _ = make(device, optimizer=optimizer, precision="float32")
    prepared, _, _ = make(device, optimizer=optimizer, precision="float32", compile=True)
    torch.manual_seed(5)
    prepared.prepare(capture=True)
    for name, value in plain.model.state_dict().items():
        assert value.equal(prepared.model.state_dict()[name]), name
    assert all(not moment.any() for moment in moments_of(prepared.optimizer).values())
    assert prepared.mean_loss() == 0
    for step in (plain, prepared):
        torch.manual_seed(5)
        for number, index in enumerate([*batches(step, 10), torch.arange(7, device=step.device)]):
            set_lr(step.optimizer, 0.01 / (number + 1))
            step(index)
    assert plain.mean_loss() == pytest.approx(prepared.mean_loss(), rel=1e-5)
    tight = {"rtol": 0, "atol": 0} if device == "cpu" else {"rtol": 1e-3, "atol": 1e-4}
    for name, value in plain.model.state_dict().items():
        torch.testing.assert_close(value, prepared.model.state_dict()[name], **tight)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_captured_step_is_replayed_on_every_batch() -> None:
    step, _, _ = make("cuda", lr=0.003)
    step.prepare(capture=True)
    assert step._graph is not None
    losses = []
    for _ in range(20):
        for index in batches(step, 45):
            step(index)
        losses.append(step.mean_loss())
    assert losses[-1] < 0.3 * losses[0]


def test_bfloat16_learns_and_its_weights_stay_float32() -> None:
    step, _, _ = make(precision="bfloat16", lr=0.01)
    assert step.precision is torch.bfloat16
    first = last = 0.0
    for epoch in range(4):
        for index in batches(step, 40):
            step(index)
        last = step.mean_loss()
        first = first if epoch else last
    assert last < 0.6 * first
    assert all(p.dtype is torch.float32 for p in step.model.parameters())


def test_auto_precision_on_the_cpu_is_float32() -> None:
    assert autocast_of("auto", torch.device("cpu")) is None
    assert autocast_of("float32", torch.device("cuda")) is None


def test_every_recipe_is_allowed() -> None:
    for recipe in RECIPES.values():
        Settings(**recipe).check()
