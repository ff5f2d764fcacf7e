"""Activations by torch's names, on arrays: what torch.nn.functional computes with its defaults, and their slopes."""

from __future__ import annotations

from collections.abc import Callable
from math import erf, pi, sqrt

import numpy as np

from cnntui.core.windows import Array


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))  # the same number as 1/(1 + exp(−x)), without its overflow


_erf = np.vectorize(erf, otypes=[float])


def normal(x: Array) -> Array:
    """The normal distribution's cumulative function."""
    scaled = np.asarray(x / sqrt(2))
    return np.asarray(0.5 * (1 + _erf(scaled).astype(scaled.dtype)))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leakyrelu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * normal(x),
    "silu": lambda x: x * _sigmoid(x),
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
}


def _silu_slope(x: Array) -> Array:
    share = _sigmoid(x)
    return np.asarray(share * (1 + x * (1 - share)))


# At a kink the slope is what torch takes there: relu's at 0 is 0, hardswish's at −3 is 0 and at 3 is 1.
SLOPES: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.where(x > 0, 1.0, 0.0),
    "relu6": lambda x: np.where((x > 0) & (x < 6), 1.0, 0.0),
    "leakyrelu": lambda x: np.where(x > 0, 1.0, 0.01),
    "elu": lambda x: np.exp(np.minimum(x, 0)),
    "gelu": lambda x: normal(x) + x * np.exp(-0.5 * x * x) / sqrt(2 * pi),
    "silu": _silu_slope,
    "hardswish": lambda x: np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, x / 3 + 0.5)),
    "tanh": lambda x: 1 - np.tanh(x) ** 2,
    "sigmoid": lambda x: _sigmoid(x) * (1 - _sigmoid(x)),
}
