"""Activations by torch's names, on arrays: what torch.nn.functional computes with its defaults."""

from __future__ import annotations

from collections.abc import Callable
from math import erf, sqrt

import numpy as np

from cnntui.core.windows import Array


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))  # the same number as 1/(1 + exp(−x)), without its overflow


_erf = np.vectorize(erf, otypes=[float])


def normal(x: Array) -> Array:
    """The normal distribution's cumulative function."""
    return np.asarray(0.5 * (1 + _erf(x / sqrt(2))))


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
