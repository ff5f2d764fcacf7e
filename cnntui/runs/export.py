"""A trained net as a file for others: what kinds there are, and the process that writes one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import msgspec

from cnntui.runs.checkpoints import WEIGHTS, names, read_state, search
from cnntui.runs.children import ChildError, ask
from cnntui.runs.preparation import Preparation
from cnntui.runs.spec import Spec, read_json

TORCH = "cnntui.training.weights_writer"
ONNX = "cnntui.training.onnx_writer"
HOW_TO_GET_TORCH = "trained nets are read with torch: pip install 'cnntui[train]'"
HOW_TO_GET_ONNX = "ONNX files are written with torch, onnx and onnxscript: pip install 'cnntui[train,onnx]'"
WRITERS = {
    ".onnx": (ONNX, ("torch", "onnx", "onnxscript"), HOW_TO_GET_ONNX),
    ".safetensors": (TORCH, ("torch",), HOW_TO_GET_TORCH),
    ".pt": (TORCH, ("torch",), HOW_TO_GET_TORCH),
    ".pth": (TORCH, ("torch",), HOW_TO_GET_TORCH),
}
SECONDS = 300.0


class ExportError(Exception):
    """Why there is no file, in one line."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written: a checkpoint of a run to a file. `program` is the net's PyTorch source, for its names."""

    run: str
    which: str
    out: str
    program: str = ""


class Written(msgspec.Struct, frozen=True):
    """Which checkpoint was written, which were passed over and why; and how the net's input is prepared, in words."""

    checkpoint: str
    refused: tuple[str, ...] = ()
    input: str = ""


def export(run: Path, out: Path, which: str = "best", program: str = "", seconds: float = SECONDS) -> Written:
    """Write the net of a checkpoint to `out`, in the form of its suffix: one of WRITERS.

    `.onnx` takes float32 pictures (batch, C, H, W), normalised as for training, and makes what the net makes; the batch is
    of any size. `.safetensors` holds the weights, named as the run's own. `.pt` and `.pth` are a state dict of torch, named
    as in `program`. After `seconds` the process that writes is killed, and an earlier `out` is as it was.

    Raises:
        ExportError: when a package or a checkpoint is missing, or the file cannot be written.
    """
    module, packages, how_to_get = WRITERS[out.suffix]
    if not all(map(importlib.util.find_spec, packages)):
        raise ExportError(how_to_get)
    check_place(out)
    if read_json(run / "spec.json", Spec) is None:
        raise ExportError(f"{run} holds no readable spec.json")
    if not names(run):
        raise ExportError(f"{run.name} has no checkpoint yet: one is saved after each epoch")
    order = Order(run=str(run), which=which, out=str(out), program=program)
    try:
        return ask(module, order, Written, seconds, f"{out} not written")
    except ChildError as error:
        raise ExportError(str(error)) from None


def preparation(run: Path, spec: Spec) -> Preparation:
    """How the pictures of a run become inputs of its net: from the newest checkpoint, and what the log says of the data."""
    checkpoint, _ = search(run, "last", WEIGHTS)
    return Preparation.of(spec, read_state(run, checkpoint or run))


def check_place(out: Path) -> None:
    """That a file can be there.

    Raises:
        ExportError: when it is a directory, or in none.
    """
    if out.is_dir():
        raise ExportError(f"{out} is a directory")
    if not out.parent.is_dir():
        raise ExportError(f"{out}: there is no such directory")
