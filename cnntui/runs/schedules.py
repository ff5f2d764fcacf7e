"""The learning rate at each step of a training."""

from __future__ import annotations

import math

RISE, FIRST, LAST = 0.3, 1 / 25, 1 / 25e4  # one cycle: the share of the steps that rise, the first factor and the last


def factor(schedule: str, step: int, steps: int) -> float:
    """What the learning rate is multiplied by after `step` of `steps` steps.

    constant: 1. cosine: half a cosine from 1 to 0 (Loshchilov, Hutter: SGDR, ICLR 2017). onecycle: from 1/25 up to 1 in the
    first 30 %, then down to nearly nothing, in half cosines (Smith, Topin: Super-Convergence, 2017; as torch's OneCycleLR).
    """
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return half_cosine(1, 0, step / steps)
    top, end = RISE * steps - 1, steps - 1
    if step <= top:
        return half_cosine(FIRST, 1, step / top)
    return half_cosine(1, LAST, (step - top) / (end - top))


def half_cosine(start: float, end: float, share: float) -> float:
    """From `start` to `end` along half a cosine; `share` of the way, 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, share))) / 2
