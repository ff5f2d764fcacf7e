"""One step of learning: a weight's gradient as the sum it is, and what torch's optimizers then do to the weight.

Computed for all weights at once, and written out for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from cnntui.core.backward import Gradients, Unit
from cnntui.core.forward import Trace, norm, window
from cnntui.core.layers import Conv, DepthwiseConv, Layer, Linear, Subsample, TransposedConv, shape_text
from cnntui.core.parameters import Parameters, pairs
from cnntui.core.pointwise import LayerNorm
from cnntui.core.windows import Array, avg_pool2d
from cnntui.core.workings import MOST, Line, worked

# -- the gradient of one weight


@dataclass(frozen=True, slots=True)
class Term:
    """One product of a weight's gradient: the gradient at an output of the layer times what the weight multiplied there.

    `input` is the unit that it multiplied: None for padding, and for a bias, which multiplies 1, or a mean over a window.
    A norm's weight multiplies the normalised number.
    """

    output: Unit
    input: Unit | None
    gradient: float
    value: float

    @property
    def product(self) -> float:
        """What it adds to the gradient."""
        return self.gradient * self.value


def gradient_terms(trace: Trace, gradients: Gradients, node: str, name: str, index: Unit) -> list[Term]:
    """The terms that add up to `gradients.parameters[node][name][index]`, in the order of the outputs.

    Empty where the result does not depend on the layer.

    Raises:
        ValueError: when there is no such weight, or no gradient changes it.
    """
    row = next((row for row in trace.analysis.rows if row.node.name == node), None)
    tensor = trace.parameters.get(node, {}).get(name)
    if row is None or tensor is None or name.startswith("running"):
        raise ValueError(f"no weights called {name} are learned in {node}")
    if len(index) != tensor.ndim or not all(0 <= i < n for i, n in zip(index, tensor.shape, strict=True)):
        raise ValueError(f"{node}'s {name} is {shape_text(tensor.shape)} and has nothing at {index}")
    if node not in gradients.values:
        return []
    x = trace.values[row.node.inputs[0]]
    return list(_terms(row.node.layer, trace.parameters[node], x, gradients.values[node], name, index))


def _terms(
    layer: Layer, tensors: Mapping[str, Array], x: Array, slopes: Array, name: str, index: Unit
) -> Iterator[Term]:
    if isinstance(layer, Linear) and name == "weight":
        output, read = index[:1], index[1:]
        yield Term(output, read, float(slopes[output]), float(x[read]))
        return
    if isinstance(layer, Conv | DepthwiseConv | TransposedConv) and name == "weight":
        yield from _products(layer, tensors["weight"], x, slopes, index)
        return
    units = [index] if isinstance(layer, LayerNorm) else [(index[0], *cell) for cell in np.ndindex(slopes.shape[1:])]
    if name.endswith("bias"):
        yield from (Term(unit, None, float(slopes[unit]), 1.0) for unit in units)
    elif isinstance(layer, Subsample):
        means = avg_pool2d(x, window(layer, x))
        yield from (Term(unit, None, float(slopes[unit]), float(means[unit])) for unit in units)
    else:
        by = norm(layer, tensors, x)
        ready = (x - by.mean) / by.deviation
        yield from (Term(unit, unit, float(slopes[unit]), float(ready[unit])) for unit in units)


def _products(
    layer: Conv | DepthwiseConv | TransposedConv, weight: Array, x: Array, slopes: Array, index: Unit
) -> Iterator[Term]:
    """Of a weight that slides: one term an output cell; where a transposed convolution stamps nothing there is none."""
    is_stamp = isinstance(layer, TransposedConv)
    if isinstance(layer, Conv) and layer.table:
        made, channel = (int(channels[index[0]]) for channels in pairs(layer.table))
    else:  # its own channel, and one of those that its group has on the other side
        own, other = index[:2]
        there = len(slopes) if is_stamp else len(x)
        groups = layer.groups if not isinstance(layer, DepthwiseConv) else len(x)
        other += own // (len(weight) // groups) * (there // groups)
        made, channel = (other, own) if is_stamp else (own, other)
    at = window(layer, x)
    down, across = (
        [axis.reads(output)[tap] for output in range(axis.outputs)]
        for axis, tap in ((at.rows, index[-2]), (at.columns, index[-1]))
    )
    for (row, i), (column, j) in product(enumerate(down), enumerate(across)):
        read = None if i is None or j is None else (channel, i, j)
        output = (made, row, column)
        if read or not is_stamp:
            yield Term(output, read, float(slopes[output]), float(x[read]) if read else 0.0)


# -- the rules

Number = Array | float


@dataclass(frozen=True, eq=False)
class Momentum:
    """What SGD remembers of a tensor; None before the first step, and without momentum."""

    momentum_buffer: Number | None = None


@dataclass(frozen=True, eq=False)
class AdamMoments:
    """What Adam remembers of a tensor: running means of the gradient and of its square, and how many steps were made."""

    exp_avg: Number = 0.0
    exp_avg_sq: Number = 0.0
    step: int = 0


Moments = Momentum | AdamMoments
MomentsOf = Mapping[str, Mapping[str, Moments]]
"""By node, then by the name within the layer, as `Parameters`."""


@dataclass(frozen=True)
class SGD:
    """torch.optim.SGD, without dampening and Nesterov's variant."""

    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0

    def updated(self, weight: Array, gradient: Array, moments: Moments | None = None) -> tuple[Array, Momentum]:
        """The weights one step on, and what is then remembered; arrays of any one shape. No moments: the first step.

        Raises:
            ValueError: when the moments are Adam's.
        """
        buffer = self._own(moments).momentum_buffer
        if self.weight_decay:
            gradient = gradient + self.weight_decay * weight
        if not self.momentum:
            return np.asarray(weight - self.lr * gradient), Momentum()
        buffer = gradient if buffer is None else self.momentum * buffer + gradient
        return np.asarray(weight - self.lr * buffer), Momentum(buffer)

    def written(
        self, weight: float, gradient: float, moments: Moments | None = None, digits: int = MOST
    ) -> tuple[Line, ...]:
        """The step of one weight, line by line; the last makes the new weight, with at most so many digits.

        Torch trains in float32, where about 6 digits of a weight are sure.

        Raises:
            ValueError: when the moments are Adam's, or a number is not finite.
        """
        buffer = self._own(moments).momentum_buffer
        given = {"weight": weight, "gradient": gradient, "lr": self.lr}
        steps, slope = [], "gradient"
        if self.weight_decay:
            given["weight_decay"] = self.weight_decay
            steps, slope = [("g", "gradient + weight_decay×weight")], "g"
        if self.momentum:
            given |= {"momentum": self.momentum, "v": 0.0 if buffer is None else float(buffer)}
            steps.append(("v", f"momentum×v + {slope}"))
            slope = "v"
        return worked([*steps, ("weight", f"weight − lr×{slope}")], given, "weight", digits)

    def _own(self, moments: Moments | None) -> Momentum:
        if isinstance(moments, AdamMoments):
            raise ValueError("moments of Adam for a step of SGD: take SGD's, or none for a first step")
        return moments or Momentum()


@dataclass(frozen=True)
class Adam:
    """torch.optim.Adam; `decoupled`, torch.optim.AdamW: its decay, there 0.01 by default, is no part of the gradient."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    decoupled: bool = False

    def updated(self, weight: Array, gradient: Array, moments: Moments | None = None) -> tuple[Array, AdamMoments]:
        """The weights one step on, and what is then remembered; arrays of any one shape. No moments: the first step.

        Raises:
            ValueError: when the moments are SGD's.
        """
        before, (beta1, beta2) = self._own(moments), self.betas
        if self.weight_decay and self.decoupled:
            weight = weight * (1 - self.lr * self.weight_decay)
        elif self.weight_decay:
            gradient = gradient + self.weight_decay * weight
        step = before.step + 1
        exp_avg = beta1 * before.exp_avg + (1 - beta1) * gradient
        exp_avg_sq = beta2 * before.exp_avg_sq + (1 - beta2) * gradient * gradient
        mean, square = exp_avg / (1 - beta1**step), exp_avg_sq / (1 - beta2**step)
        return np.asarray(weight - self.lr * mean / (np.sqrt(square) + self.eps)), AdamMoments(
            exp_avg, exp_avg_sq, step
        )

    def written(
        self, weight: float, gradient: float, moments: Moments | None = None, digits: int = MOST
    ) -> tuple[Line, ...]:
        """The step of one weight, line by line; the last makes the new weight, with at most so many digits.

        Torch trains in float32, where about 6 digits of a weight are sure.

        Raises:
            ValueError: when the moments are SGD's, or a number is not finite.
        """
        before, (beta1, beta2) = self._own(moments), self.betas
        given = {"weight": weight, "gradient": gradient, "lr": self.lr, "β1": beta1, "β2": beta2, "eps": self.eps}
        given |= {"m": float(before.exp_avg), "v": float(before.exp_avg_sq), "t": before.step + 1}
        steps, slope = [], "gradient"
        if self.weight_decay:
            given["weight_decay"] = self.weight_decay
            if self.decoupled:
                steps = [("weight", "weight×(1 − lr×weight_decay)")]
            else:
                steps, slope = [("g", "gradient + weight_decay×weight")], "g"
        steps += [
            ("m", f"β1×m + (1 − β1)×{slope}"),
            ("v", f"β2×v + (1 − β2)×{slope}²"),
            ("m̂", "m / (1 − β1^t)"),
            ("v̂", "v / (1 − β2^t)"),
            ("step", "lr×m̂ / (√(v̂) + eps)"),
            ("weight", "weight − step"),
        ]
        return worked(steps, given, "weight", digits)

    def _own(self, moments: Moments | None) -> AdamMoments:
        if isinstance(moments, Momentum):
            raise ValueError("moments of SGD for a step of Adam: take Adam's, or none for a first step")
        return moments or AdamMoments()


# -- all weights


Rule = SGD | Adam


def stepped(
    parameters: Parameters, gradients: Parameters, rule: Rule, moments: MomentsOf | None = None
) -> tuple[Parameters, MomentsOf]:
    """All weights one step on, and what the rule then remembers of each.

    What has no gradient stays as it is: running statistics, and layers on which the loss does not depend.
    """
    made: dict[str, dict[str, Array]] = {node: dict(own) for node, own in parameters.items()}
    remembered: dict[str, dict[str, Moments]] = {node: dict(own) for node, own in (moments or {}).items()}
    for node, slopes in gradients.items():
        for name, gradient in slopes.items():
            own = remembered.setdefault(node, {})
            made[node][name], own[name] = rule.updated(parameters[node][name], gradient, own.get(name))
    return made, remembered
