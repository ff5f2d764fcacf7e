"""A run's net with its weights -> an ONNX file: `python -P -m cnntui.training.onnx_writer SPEC WEIGHTS OUT`.

Ends 0 when the file is there, else 1 with one line on stderr that says why not.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path

import onnx
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from cnntui.core.layers import shape_text
from cnntui.runs.files import write_atomic
from cnntui.runs.spec import Spec, read_json
from cnntui.training.model import Net, build

ABOUT = (
    "{net}, trained by cnntui on {data}. Input: float32 pictures, batch×{shape}, scaled to 0..1, then less the mean and "
    "over the deviation of the training pictures, by channel."
)


class WriterError(Exception):
    """Why there is no file, in one line."""


def write(spec_file: Path, weights: Path, out: Path) -> None:
    """Write the net of a spec with these weights, whole or not at all; a batch is of any size.

    Raises:
        WriterError: when the spec, the weights or the file cannot be.
    """
    spec = read_json(spec_file, Spec)
    if spec is None:
        raise WriterError(f"{spec_file} is no readable spec.json")
    document = exported(spec, _trained(spec, weights))
    try:
        data = document.SerializeToString()
    except Exception as error:  # protobuf's own, of which there are several kinds
        raise WriterError(f"{spec.net}: an ONNX file holds 2 GiB at most ({type(error).__name__})") from None
    try:
        write_atomic(out, data, sync=True)
    except OSError as error:
        raise WriterError(f"{out}: {error.strerror}") from None


def exported(spec: Spec, model: Net) -> onnx.ModelProto:
    """The model as ONNX, checked: `image` (batch, C, H, W) to `scores`."""
    # Two pictures: of one, the exporter would take the batch to be always one.
    example = torch.zeros(2, *spec.input)
    batch = {0: torch.export.Dim("batch")}
    program = torch.onnx.export(
        model.eval(),
        (example,),
        dynamo=True,
        verbose=False,
        input_names=["image"],
        output_names=["scores"],
        dynamic_shapes=(batch,),
    )
    if program is None:
        raise WriterError(f"{spec.net}: torch made no ONNX program")
    document: onnx.ModelProto = program.model_proto
    document.doc_string = ABOUT.format(net=spec.net, data=spec.data, shape=shape_text(spec.input))
    onnx.checker.check_model(document)
    return document


def _trained(spec: Spec, weights: Path) -> Net:
    try:
        model = build(spec.network)
        model.load_state_dict(load_file(weights))
    except (OSError, SafetensorError) as error:
        raise WriterError(f"{weights}: {getattr(error, 'strerror', None) or error}") from None
    except ValueError as error:
        raise WriterError(f"{spec.net}: {error}") from None
    except RuntimeError:
        raise WriterError(f"{weights} does not fit the layers of {spec.net}") from None
    return model


def main(arguments: list[str]) -> int:
    """The process."""
    os.umask(0o077)
    warnings.simplefilter("ignore")
    logging.disable()  # the exporter tells much of itself
    spec, weights, out = map(Path, arguments)
    try:
        write(spec, weights, out)
    except WriterError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:  # the exporter has many of its own
        print(f"{out} not written: {type(error).__name__}: {' '.join(str(error).split())[:400]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
