"""The rules that move weights: the one that a run trains with, as it stands at a moment, and others to compare it with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from cnntui.core.arithmetic import TIMES, brief
from cnntui.core.learning import SGD, Adam, AdamMoments, Moments, MomentsOf, Momentum, Rule
from cnntui.core.parameters import Parameters
from cnntui.core.windows import Array
from cnntui.core.workings import significant
from cnntui.labs.opened import Opened
from cnntui.runs.checkpoints import data_of
from cnntui.runs.schedules import factor
from cnntui.runs.spec import MOMENTUM, Spec, read_json
from cnntui.runs.weights import OptimizerState, WeightsError, optimizer_state

LR = 0.001  # of a net that belongs to no run
MOMENTS = ("momentum_buffer", "exp_avg", "exp_avg_sq")  # shaped as their weight
MOST_STEPS = 2**53  # float64 counts no further
ADAMW_DECAY = 0.01  # torch's default


@dataclass(frozen=True, eq=False)
class Method:
    """A rule, and what it remembers at the beginning.

    Args:
        rule: with its learning rate.
        moments: None: nothing yet.
        words: where the moments are from, or that there are none.
        rate: where the learning rate is from; empty: chosen.
    """

    rule: Rule
    moments: MomentsOf | None = None
    words: str = ""
    rate: str = ""

    @property
    def name(self) -> str:
        """What the rule is called."""
        return name_of(self.rule)


def name_of(rule: Rule) -> str:
    """What a rule is called, whatever its learning rate: `SGD, momentum 0.9`."""
    if isinstance(rule, SGD):
        name = "SGD" + (f", momentum {brief(rule.momentum)}" if rule.momentum else "")
    else:
        name = "AdamW" if rule.decoupled else "Adam"
    return name + (f", weight decay {brief(rule.weight_decay)}" if rule.weight_decay else "")


def methods(model: Opened) -> tuple[Method, ...]:
    """The run's own rule first, or Adam where there is no run; then the others, at the same learning rate."""
    spec = read_json(model.run / "spec.json", Spec) if model.run else None
    own = Method(Adam(LR), rate="torch's default") if spec is None else _of_run(model, spec)
    lr = own.rule.lr
    others = (Method(rule) for rule in (SGD(lr), SGD(lr, MOMENTUM), Adam(lr)))
    return (own, *(method for method in others if method.name != own.name))


def rule_of(spec: Spec, lr: float) -> Rule:
    """The rule that a spec names, with torch's defaults as the trainer takes them."""
    decay = spec.weight_decay
    if spec.optimizer == "sgd":
        return SGD(lr, MOMENTUM, decay or 0.0)
    if spec.optimizer == "adamw":
        return Adam(lr, weight_decay=ADAMW_DECAY if decay is None else decay, decoupled=True)
    return Adam(lr, weight_decay=decay or 0.0)


def _of_run(model: Opened, spec: Spec) -> Method:
    """As it stands at the moment that is looked at: exactly where a checkpoint is of that very step."""
    saved, words = None, "it remembers nothing yet: a first step"
    if model.run is not None and model.step is not None:
        try:
            saved = optimizer_state(model.run, f"step-{model.step}")
        except WeightsError:
            words = f"what it remembered at step {model.step:,} was not kept: it begins anew"
    moments = None
    if saved is not None:
        try:
            moments = remembered(saved, model.parameters)
        except WeightsError as error:
            words = f"{error}: it begins anew"
        if moments:
            words = f"it remembers what the run did at step {saved.step:,}"
    lr, rate = _rate(model, spec, spec.lr if saved is None else saved.lr)
    return Method(rule_of(spec, lr), moments, words, rate)


def _rate(model: Opened, spec: Spec, lr: float) -> tuple[float, str]:
    """The learning rate of the next step, and how it comes about; where there is no next one, without the schedule."""
    data = data_of(model.run) if model.run is not None and model.step is not None else None
    if data is None or model.step is None or spec.schedule == "constant":
        return lr, "the run's"
    if model.step >= data.steps:
        return lr, f"the run's, now that its {spec.schedule} schedule is over"
    by = factor(spec.schedule, model.step, data.steps)
    return lr * by, f"{brief(lr)} {TIMES} {significant(by, 6)} ({spec.schedule})"


def remembered(saved: OptimizerState, parameters: Parameters) -> MomentsOf | None:
    """What a checkpoint's optimizer remembers, by node and name; None where it remembers nothing, or is of another net.

    It numbers the weights as torch's `model.parameters()` does: node by node, what is no running statistic.

    Raises:
        WeightsError: when it holds what no optimizer makes.
    """
    learned = [
        (node, name, tensor.shape)
        for node, own in parameters.items()
        for name, tensor in own.items()
        if not name.startswith("running")
    ]
    made: dict[str, dict[str, Moments]] = {}
    for number, (node, name, shape) in enumerate(learned):
        own = saved.tensors.get(number, {})
        if any(own[key].shape != shape for key in MOMENTS if key in own):
            return None
        try:
            moments = _moments(own)
        except ValueError as error:
            raise WeightsError(f"{saved.checkpoint.name} remembers of {node}.{name} {error}") from None
        if moments is not None:
            made.setdefault(node, {})[name] = moments
    return made or None


def _moments(own: Mapping[str, Array]) -> Moments | None:
    """Of one tensor, in float64; None where nothing is remembered.

    Raises:
        ValueError: when a step cannot be taken from there, and why.
    """
    for key in MOMENTS:
        if key in own and not np.isfinite(own[key]).all():
            raise ValueError(f"{key} that is not finite")
    if "momentum_buffer" in own:
        return Momentum(own["momentum_buffer"].astype(float))
    if not {"exp_avg", "exp_avg_sq", "step"} <= own.keys():
        return None
    if (own["exp_avg_sq"] < 0).any():
        raise ValueError("exp_avg_sq below 0")
    step = own["step"]
    if step.size != 1 or not 0 <= step.item() <= MOST_STEPS:
        raise ValueError(f"step {step.item() if step.size == 1 else list(step.shape)}")
    return AdamMoments(own["exp_avg"].astype(float), own["exp_avg_sq"].astype(float), int(step.item()))


def with_rate(rule: Rule, lr: float) -> Rule:
    """The same rule with another learning rate."""
    return replace(rule, lr=lr)
