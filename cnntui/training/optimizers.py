"""The optimizer that a spec names, and its learning rate at each step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from cnntui.runs.spec import Spec

RISE, FIRST, LAST = 0.3, 1 / 25, 1 / 25e4  # one cycle: the share of the steps that rise, the first factor and the last


def make_optimizer(spec: Spec, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer with torch's defaults (and momentum 0.9 for SGD), all weights in one kernel where torch can.

    On a GPU the learning rate is a tensor there, so that a captured step reads the present one.
    """
    device = next(model.parameters(), torch.zeros(())).device
    more: dict[str, Any] = {"lr": spec.lr, "fused": device.type in ("cpu", "cuda")}
    if spec.weight_decay is not None:
        more["weight_decay"] = spec.weight_decay
    if device.type == "cuda":
        more["lr"] = torch.tensor(spec.lr, device=device)
    if spec.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=0.9, **more)
    kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
    return kind(model.parameters(), capturable=device.type == "cuda", **more)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


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
