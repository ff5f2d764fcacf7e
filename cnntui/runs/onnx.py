"""A trained net as an ONNX file: which checkpoint of a run it is, and the process that writes it."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cnntui.runs.spec import Spec, read_json

HOW_TO_GET_ONNX = "ONNX files are written with torch, onnx and onnxscript: pip install 'cnntui[train,onnx]'"
SECONDS = 300.0


class OnnxError(Exception):
    """Why there is no ONNX file, in one line."""


def export_onnx(run: Path, out: Path, seconds: float = SECONDS) -> str:
    """Write the net of a run's best checkpoint (else the last one) to `out`; returns the checkpoint's name.

    The file takes float32 pictures (batch, C, H, W), normalised as for training, and makes what the net makes; the batch is
    of any size. After `seconds` the process that writes it is killed, and an earlier `out` is as it was.

    Raises:
        OnnxError: when a package or a checkpoint is missing, or the file cannot be written.
    """
    if not all(map(importlib.util.find_spec, ("torch", "onnx", "onnxscript"))):
        raise OnnxError(HOW_TO_GET_ONNX)
    if out.is_dir():
        raise OnnxError(f"{out} is a directory")
    if not out.parent.is_dir():
        raise OnnxError(f"{out}: there is no such directory")
    if read_json(run / "spec.json", Spec) is None:
        raise OnnxError(f"{run} holds no readable spec.json")
    checkpoint = best_checkpoint(run)
    if checkpoint is None:
        raise OnnxError(f"{run.name} has no checkpoint yet: one is saved after each epoch")
    weights = checkpoint / "model.safetensors"
    command = [sys.executable, "-P", "-m", "cnntui.training.onnx_writer", *map(str, (run / "spec.json", weights, out))]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise OnnxError(f"{out} not written within {seconds:g} s; its process was ended") from None
    except OSError as error:
        raise OnnxError(f"no process can be started: {error}") from None
    if done.returncode < 0:
        why = ": out of memory, perhaps" if done.returncode == -signal.SIGKILL else ""
        raise OnnxError(f"{out} not written: its process was killed by signal {-done.returncode}{why}")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise OnnxError(said[-1] if said else f"{out} not written: its process ended with status {done.returncode}")
    return checkpoint.name


def best_checkpoint(run: Path) -> Path | None:
    """The checkpoint that BEST names, else LAST, else the newest; of those whose weights are what was saved."""
    return next((path for path in _checkpoints(run / "checkpoints") if _is_whole(path)), None)


def _checkpoints(directory: Path) -> Iterator[Path]:
    for pointer in ("BEST", "LAST"):
        try:
            name = (directory / pointer).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if re.fullmatch(r"step-\d+", name):
            yield directory / name
    steps = ((re.fullmatch(r"step-(\d+)", path.name), path) for path in directory.glob("step-*"))
    yield from (path for _, path in sorted(((int(m[1]), path) for m, path in steps if m), reverse=True))


def _is_whole(checkpoint: Path) -> bool:
    """Whether the weights are there, with the hash of the manifest."""
    name = "model.safetensors"
    hashes = read_json(checkpoint / "MANIFEST.json", dict[str, str]) or {}
    try:
        with (checkpoint / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == hashes.get(name)
    except OSError:
        return False
