"""A run's weights -> safetensors, or a file of torch. A process: takes an Order, answers Written.

A `.safetensors` file names its tensors as the run does, after the layers, and says in its metadata what they are of. A
`.pt` or `.pth` file is a state dict for the net of the program that `cnntui inspect NET --code` prints.
"""

from __future__ import annotations

import io
import runpy
import sys
import tempfile
from pathlib import Path

import msgspec
import torch
from safetensors.torch import save
from torch import Tensor, nn

from cnntui.runs.checkpoints import State
from cnntui.runs.export import Order, Written
from cnntui.runs.files import write_atomic
from cnntui.runs.preparation import Preparation
from cnntui.runs.spec import Spec
from cnntui.training.answers import RefusedError, serve
from cnntui.training.model import Net
from cnntui.training.weights import read, trained


def write(order: Order) -> Written:
    """Write the weights of a checkpoint, whole or not at all.

    Raises:
        WeightsError: when there are no weights.
        RefusedError: when there is no file.
    """
    run, out = Path(order.run), Path(order.out)
    weights = read(run, order.which)
    spec, model = trained(run, weights)
    if out.suffix == ".safetensors":
        tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        data = save(tensors, metadata(spec, weights.state))
    else:
        buffer = io.BytesIO()
        torch.save(named_as_in(order.program, model), buffer)
        data = buffer.getvalue()
    try:
        write_atomic(out, data, sync=True)
    except OSError as error:
        raise RefusedError(f"{out}: {error.strerror}") from None
    return Written(weights.checkpoint.name, weights.refused, Preparation.of(spec, weights.state).words)


def metadata(spec: Spec, state: State) -> dict[str, str]:
    """What the weights are of; lists in JSON, as safetensors holds texts alone. What is not known is left out.

    `input` is (C, H, W) of the net, `shape` that of the pictures, and `prepare` says how these become that.
    """
    lists = {
        "input": list(spec.input),
        "layers": spec.layers,
        "blocks": spec.blocks,
        "tables": spec.tables,
        "classes": state.classes,
        "mean": state.mean,
        "deviation": state.deviation,
        "shape": list(state.shape or ()),
    }
    return {
        "net": spec.net,
        "data": state.data or spec.data,
        "step": str(state.step),
        "prepare": Preparation.of(spec, state).words,
        **{name: msgspec.json.encode(value).decode() for name, value in lists.items() if value},
    }


def named_as_in(source: str, model: Net) -> dict[str, Tensor]:
    """The state of a model under the names that its program gives it.

    Both register their parameters in the order of the network's nodes, so they agree one by one.

    Raises:
        RefusedError: when they do not.
    """
    state = model.state_dict()
    names = {name: tensor.shape for name, tensor in program(source).state_dict().items()}
    if list(names.values()) != [tensor.shape for tensor in state.values()]:
        raise RefusedError("the net's program does not have the net's weights: this is a mistake of cnntui")
    return dict(zip(names, state.values(), strict=True))


def program(source: str) -> nn.Module:
    """The net of a program that was written for it; its tensors have shapes, but no values."""
    with tempfile.TemporaryDirectory(prefix="cnntui-") as directory:
        path = Path(directory, "program.py")
        path.write_text(source, "utf-8")
        names = runpy.run_path(str(path), run_name="program")
    *_, whole = (each for each in names.values() if isinstance(each, type) and issubclass(each, nn.Module))
    with torch.device("meta"):
        made: nn.Module = whole()
    return made


if __name__ == "__main__":
    sys.exit(serve(Order, write, lambda order: f"{order.out} not written"))
