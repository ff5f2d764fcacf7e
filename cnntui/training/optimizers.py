"""The optimizer that a spec names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cnntui.core.backbone import backbone_and_head
from cnntui.core.parameters import module_names
from cnntui.runs.spec import MOMENTUM, Spec

SHARE = "share"  # of a group's learning rate in that of the run


def make_optimizer(spec: Spec, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer with torch's defaults (and a momentum for SGD), all weights in one kernel where torch can.

    On a GPU the learning rate is a tensor there, so that a captured step reads the present one. The weights are numbered as
    in `model.parameters()`, whatever is frozen and however many groups there are.
    """
    device = next(model.parameters(), torch.zeros(())).device
    more: dict[str, Any] = {"lr": spec.lr, "fused": device.type in ("cpu", "cuda")}
    if spec.weight_decay is not None:
        more["weight_decay"] = spec.weight_decay
    groups = _groups(spec, model)
    if device.type == "cuda":
        more["lr"] = torch.tensor(spec.lr, device=device)
        for group in groups:
            group["lr"] = torch.tensor(spec.lr * group[SHARE], device=device)
    if spec.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=MOMENTUM, **more)
    kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, capturable=device.type == "cuda", **more)


def _groups(spec: Spec, model: nn.Module) -> list[dict[str, Any]]:
    """All weights, or the backbone's, which come first, and the head's."""
    if spec.backbone_lr is None:
        return [{"params": list(model.parameters()), SHARE: 1.0}]
    names = module_names(spec.network)
    backbone = {names[node] for node in backbone_and_head(spec.network)[0]}
    parts: tuple[list[Tensor], list[Tensor]] = [], []
    for name, weight in model.named_parameters():
        parts[name.partition(".")[0] not in backbone].append(weight)
    shares = (spec.backbone_lr / spec.lr, 1.0)
    return [{"params": part, SHARE: share} for part, share in zip(parts, shares, strict=True) if part]


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """The learning rate of the next step; a backbone that has one of its own keeps its share of it."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr * group[SHARE])
        else:
            group["lr"] = lr * group[SHARE]
