"""Checkpoints: safetensors and JSON, complete or not there at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from cnntui.runs.files import sync_directory, write_atomic

KEEP = 3


def save(run: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any], best: bool) -> Path:
    """Write `checkpoints/step-N` and point LAST (and BEST) at it; keeps the newest three and the best.

    Everything is written beside, hashed, synced, and only then renamed into place; MANIFEST.json is written last.

    Raises:
        OSError: the earlier checkpoints are as they were, and nothing is left of this one.
    """
    directory = run / "checkpoints"
    for leftover in directory.glob(".step-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    name = f"step-{state['step']}"
    final = directory / name
    if not (final / "MANIFEST.json").exists():  # the weights of a step do not change
        _write(final, model, optimizer, state)
    write_atomic(directory / "LAST", name.encode(), sync=True)
    if best:
        write_atomic(directory / "BEST", name.encode(), sync=True)
    _thin(directory)
    return final


def _write(final: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    directory, name = final.parent, final.name
    temporary = directory / f".{name}.{os.getpid()}"
    try:
        temporary.mkdir(mode=0o700)
        save_file(_plain(model.state_dict()), temporary / "model.safetensors")
        tensors, groups = _flatten(optimizer)
        tensors["rng.cpu"] = torch.get_rng_state()
        save_file(_plain(tensors), temporary / "optimizer.safetensors")
        (temporary / "state.json").write_bytes(msgspec.json.encode({**state, "param_groups": groups}))
        manifest = {path.name: _sha256(path) for path in sorted(temporary.iterdir())}
        write_atomic(temporary / "MANIFEST.json", msgspec.json.encode(manifest), sync=True)
        temporary.rename(final)
        sync_directory(directory)
    except SafetensorError as error:  # how a full disk comes out of safetensors
        shutil.rmtree(temporary, ignore_errors=True)
        raise OSError(str(error)) from None
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies on the CPU: safetensors refuses shared storage."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _flatten(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """The optimizer's tensors by name, and its settings."""
    state = optimizer.state_dict()
    tensors = {
        f"state.{index}.{key}": torch.as_tensor(value)
        for index, values in state["state"].items()
        for key, value in values.items()
        if value is not None
    }
    groups = [
        {
            key: value
            for key, value in group.items()
            if isinstance(value, int | float | bool | str | list | tuple | None)
        }
        for group in state["param_groups"]
    ]
    return tensors, groups


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


def _thin(directory: Path) -> None:
    best = directory / "BEST"
    kept = {best.read_text("utf-8")} if best.exists() else set()
    names = ((re.fullmatch(r"step-(\d+)", path.name), path) for path in directory.iterdir())
    steps = sorted((int(match.group(1)), path) for match, path in names if match)
    for _, path in steps[:-KEEP]:
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
