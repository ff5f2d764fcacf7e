"""Checkpoints: safetensors and JSON, complete or not there at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cnntui.runs.checkpoints import State, search
from cnntui.runs.files import clear_leftovers, sync_directory, write_atomic
from cnntui.runs.spec import Settings, Spec
from cnntui.training.step import moments_of, weights_of

KEEP = 3
SNAPSHOTS = 48  # at most, over a whole run
SNAPSHOT_BYTES = 256 << 20  # of all snapshots of a run


class Saved(State, frozen=True, kw_only=True):
    """What `state.json` says besides, for training on: `lr` before the schedule's factor, `best` test accuracy, 0 to 1."""

    lr: float
    best: float
    device: str
    data_sha256: str
    spec: dict[str, Any]


def save(run: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: Saved, best: bool) -> Path:
    """Write `checkpoints/step-N` and point LAST (and BEST) at it; keeps the newest three and the best.

    Everything is written beside, hashed, synced, and only then renamed into place; MANIFEST.json is written last.

    Raises:
        OSError: the earlier checkpoints are as they were, and nothing is left of this one.
    """
    directory = run / "checkpoints"
    clear_leftovers(directory)
    name = f"step-{state.step}"
    final = directory / name
    if not (final / "MANIFEST.json").exists():  # the weights of a step do not change
        shutil.rmtree(final, ignore_errors=True)
        _write(final, model, optimizer, state)
    write_atomic(directory / "LAST", name.encode(), sync=True)
    if best:
        write_atomic(directory / "BEST", name.encode(), sync=True)
    _thin(directory)
    return final


def _write(final: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: Saved) -> None:
    directory, name = final.parent, final.name
    temporary = directory / f".{name}.{os.getpid()}"
    try:
        temporary.mkdir(mode=0o700)
        save_file(plain(model.state_dict()), temporary / "model.safetensors")
        save_file(plain({**moments_of(optimizer), **lucks(state.device)}), temporary / "optimizer.safetensors")
        (temporary / "state.json").write_bytes(msgspec.json.encode(state))
        manifest = {path.name: _synced_sha256(path) for path in sorted(temporary.iterdir())}
        write_atomic(temporary / "MANIFEST.json", msgspec.json.encode(manifest), sync=True)
        temporary.rename(final)
        sync_directory(directory)
    except SafetensorError as error:  # how a full disk comes out of safetensors
        shutil.rmtree(temporary, ignore_errors=True)
        raise _refused(error) from None
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def newest(run: Path, say: Callable[[str], None]) -> Path | None:
    """The checkpoint to go on from: the last one that is whole. `say` is told of those that are not."""
    path, refused = search(run)
    for line in refused:
        say(f"{line}: not used")
    return path


def last_step(run: Path) -> int:
    """The step of the last checkpoint, 0 where there is none."""
    try:
        return int(_named(run / "checkpoints", "LAST").removeprefix("step-"))
    except ValueError:
        return 0


def _named(directory: Path, pointer: str) -> str:
    """The checkpoint that LAST or BEST names; empty where it cannot be read."""
    try:
        return (directory / pointer).read_text("utf-8")
    except (OSError, ValueError):
        return ""


def forget_after(run: Path, step: int) -> None:
    """Remove what lies beyond `step`: the training goes on from there, and comes by again.

    LAST and BEST never name what is not there: where they named something beyond, they name this step, or nothing.

    Raises:
        OSError: when they cannot be written.
    """
    directory = run / "checkpoints"
    here = directory / f"step-{step}"
    for pointer in ("LAST", "BEST"):
        match = re.fullmatch(r"step-(\d+)", _named(directory, pointer))
        if match is None or int(match[1]) > step:
            if here.is_dir():
                write_atomic(directory / pointer, here.name.encode(), sync=True)
            else:
                (directory / pointer).unlink(missing_ok=True)
    for path in [*directory.glob("step-*"), *(run / "snapshots").glob("step-*")]:
        match = re.fullmatch(r"step-(\d+)(\.safetensors)?", path.name)
        if match and int(match[1]) > step:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def read_saved(checkpoint: Path) -> Saved:
    """Its state.json.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is not of this version.
    """
    try:
        return msgspec.json.decode((checkpoint / "state.json").read_bytes(), type=Saved)
    except msgspec.MsgspecError as error:
        raise ValueError(f"state.json is not understood: {error}") from None


def differences(state: Saved, spec: Spec, data_sha256: str) -> list[str]:
    """What a checkpoint was trained with, and the run would not be: one line each; none is as it must be."""
    now: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(spec))
    then = msgspec.to_builtins(Settings()) | state.spec  # settings that there were not yet are as they have always been
    lines = [
        f"{key} was {then.get(key)}, spec.json says {now.get(key)}"
        for key in sorted(then.keys() | now.keys())
        if then.get(key) != now.get(key)
    ]
    if state.data_sha256 != data_sha256:
        lines.append(f"the pictures of {state.data} are not the same any more")
    return lines


def restore(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint, found whole, into a model and its optimizer, in place; and torch's random state.

    In place, for a captured graph knows tensors by their address.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is not of this model.
    """
    try:
        model.load_state_dict(load_file(checkpoint / "model.safetensors"))
        tensors = load_file(checkpoint / "optimizer.safetensors")
        _put_lucks(tensors, next(model.parameters(), torch.zeros(())).device)
        _put_moments(tensors, optimizer)
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise ValueError(f"it is not of this net: {str(error).splitlines()[0]}") from None


def _put_moments(tensors: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
    present = moments_of(optimizer)
    weights = weights_of(optimizer)
    with torch.no_grad():
        for key, moment in present.items():
            moment.copy_(tensors[key]) if key in tensors else moment.zero_()  # saved before there was any: from zero on
    for key, tensor in tensors.items():
        match = re.fullmatch(r"state\.(\d+)\.(\w+)", key)
        if match and key not in present:
            weight = weights[int(match[1])]
            # Like its weight also in the order of its memory: fused kernels walk both side by side.
            like = weight.detach() if tensor.shape == weight.shape else tensor.to(weight.device)
            optimizer.state[weight][match[2]] = torch.empty_like(like, dtype=tensor.dtype).copy_(tensor)


def lucks(device: str) -> dict[str, Tensor]:
    """The state of the random numbers that training draws."""
    states = {"rng.cpu": torch.get_rng_state()}
    if device.startswith("cuda"):
        states["rng.cuda"] = torch.cuda.get_rng_state(device)
    return states


def _put_lucks(tensors: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(tensors["rng.cpu"])
    if "rng.cuda" in tensors and device.type == "cuda":
        torch.cuda.set_rng_state(tensors["rng.cuda"], device)


def snapshot_steps(steps: int, size: int) -> frozenset[int]:
    """When weights of `size` bytes are kept for scrubbing: at the start, then ever farther apart, and at the last step."""
    count = max(2, min(SNAPSHOTS, SNAPSHOT_BYTES // max(1, size)))
    return frozenset({0, steps, *(round(steps ** (i / (count - 1))) for i in range(count - 1))})


def snapshot(run: Path, model: nn.Module, step: int) -> Path:
    """Write the weights alone to `snapshots/step-N.safetensors`.

    Raises:
        OSError: nothing is left of it.
    """
    final = run / "snapshots" / f"step-{step}.safetensors"
    temporary = final.with_name(f".{final.name}")
    try:
        final.parent.mkdir(exist_ok=True, mode=0o700)
        clear_leftovers(final.parent)
        save_file(plain(model.state_dict()), temporary)
        temporary.replace(final)
    except SafetensorError as error:
        temporary.unlink(missing_ok=True)
        raise _refused(error) from None
    return final


def _refused(error: SafetensorError) -> OSError:
    """The error of the operating system that safetensors tells in the middle of its own words."""
    match = re.search(r"os error (\d+)", str(error))
    return OSError(int(match[1]), os.strerror(int(match[1]))) if match else OSError(str(error))


def plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies on the CPU: safetensors refuses shared storage."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _synced_sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


def _thin(directory: Path) -> None:
    best = _named(directory, "BEST")
    names = ((re.fullmatch(r"step-(\d+)", path.name), path) for path in directory.iterdir())
    steps = sorted((int(match.group(1)), path) for match, path in names if match)
    for _, path in steps[:-KEEP]:
        if path.name != best:
            shutil.rmtree(path, ignore_errors=True)
