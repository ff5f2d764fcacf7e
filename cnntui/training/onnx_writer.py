"""A run's net with its weights -> an ONNX file. A process: takes an Order, answers Written."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import torch

from cnntui.core.layers import shape_text
from cnntui.runs.checkpoints import State
from cnntui.runs.export import Order, Written
from cnntui.runs.files import write_atomic
from cnntui.runs.preparation import Preparation
from cnntui.runs.spec import Spec
from cnntui.training.answers import RefusedError, serve
from cnntui.training.model import Net
from cnntui.training.weights import read, trained

ABOUT = "{net}, trained by cnntui on {data}. Input: float32, batch×{shape}: {words}."


def write(order: Order) -> Written:
    """Write the net of a checkpoint, whole or not at all; a batch is of any size.

    Raises:
        WeightsError: when there are no weights.
        RefusedError: when there is no file.
    """
    run, out = Path(order.run), Path(order.out)
    weights = read(run, order.which)
    spec, model = trained(run, weights)
    document = exported(spec, model, weights.state)
    try:
        data = document.SerializeToString()
    except Exception as error:  # protobuf's own, of which there are several kinds
        raise RefusedError(f"{spec.net}: an ONNX file holds 2 GiB at most ({type(error).__name__})") from None
    try:
        write_atomic(out, data, sync=True)
    except OSError as error:
        raise RefusedError(f"{out}: {error.strerror}") from None
    return Written(weights.checkpoint.name, weights.refused, Preparation.of(spec, weights.state).words)


def exported(spec: Spec, model: Net, state: State) -> onnx.ModelProto:
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
        raise RefusedError(f"{spec.net}: torch made no ONNX program")
    document: onnx.ModelProto = program.model_proto
    document.doc_string = ABOUT.format(
        net=spec.net,
        data=state.data or spec.data,
        shape=shape_text(spec.input),
        words=Preparation.of(spec, state).words,
    )
    onnx.checker.check_model(document)
    return document


if __name__ == "__main__":
    sys.exit(serve(Order, write, lambda order: f"{order.out} not written"))
