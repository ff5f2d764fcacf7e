"""Runs with checkpoints, as if somebody had trained: written here, so that what reads them is tested against the format."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import save_file

from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.runs.spec import Settings, new_spec
from cnntui.training.model import Net, build
from cnntui.training.step import moments_of
from tests.labs.test_program import BLOCKS, TABLES

SMALL = "conv 4 k5 same; bn; relu; [ id | conv 4 p1; relu ] add; maxpool 2; subsample 2; flatten; linear 3"
STATE = {"epoch": 1, "net": "small", "data": "digits", "mean": [0.25], "deviation": [0.5], "classes": ["a", "b", "c"]}


def network(text: str = SMALL, name: str = "small") -> Network:
    return parse(text, (1, 12, 12), name, BLOCKS, TABLES)


def trained(net: Network, seed: int = 3) -> Net:
    """As if trained: statistics of batch norms as well."""
    torch.manual_seed(seed)
    model = build(net)
    with torch.no_grad():
        model(torch.randn(16, *net.input))
    return model.eval()


def make_run(directory: Path, text: str = SMALL, settings: Settings = Settings(data="digits")) -> Path:
    (directory / "checkpoints").mkdir(parents=True)
    (directory / "spec.json").write_bytes(msgspec.json.encode(new_spec(network(text), settings)))
    return directory


def save(
    run: Path,
    step: int,
    best: bool = False,
    model: Net | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    **state: Any,
) -> Net:
    """A checkpoint; of random weights, other ones for each step, unless a model is given."""
    model = model or trained(network(), step)
    directory = run / "checkpoints" / f"step-{step}"
    directory.mkdir()
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, directory / "model.safetensors"
    )
    moments = {name: tensor.contiguous() for name, tensor in moments_of(optimizer).items()} if optimizer else {}
    save_file({"rng.cpu": torch.get_rng_state(), **moments}, directory / "optimizer.safetensors")
    (directory / "state.json").write_text(json.dumps({**STATE, "step": step, **state}))
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}
    (directory / "MANIFEST.json").write_text(json.dumps(hashes))
    for pointer in ("LAST", "BEST") if best else ("LAST",):
        (directory.parent / pointer).write_text(directory.name)
    return model
