"""The optimizer that a spec names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cnntui.runs.spec import MOMENTUM, Spec


def make_optimizer(spec: Spec, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer with torch's defaults (and a momentum for SGD), all weights in one kernel where torch can.

    On a GPU the learning rate is a tensor there, so that a captured step reads the present one.
    """
    device = next(model.parameters(), torch.zeros(())).device
    more: dict[str, Any] = {"lr": spec.lr, "fused": device.type in ("cpu", "cuda")}
    if spec.weight_decay is not None:
        more["weight_decay"] = spec.weight_decay
    if device.type == "cuda":
        more["lr"] = torch.tensor(spec.lr, device=device)
    if spec.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=MOMENTUM, **more)
    kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
    return kind(model.parameters(), capturable=device.type == "cuda", **more)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr
