"""The JSON documents of the commands: what other programs rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnntui.core.analysis import Analysis, Row
from cnntui.core.vocabulary import layer_text

if TYPE_CHECKING:  # inspecting a net is to start without numpy
    from cnntui.core.windows import Array
    from cnntui.labs.convolve import ConvolveState


def inspection(analysis: Analysis) -> dict[str, Any]:
    """The document of `inspect --json`."""

    def layer(row: Row, memory: int) -> dict[str, Any]:
        field, problem = row.field, row.problem
        return {
            "name": row.node.name,
            "op": row.node.layer.op,
            "text": layer_text(row.node.layer),
            "inputs": row.node.inputs,
            "output": row.output,
            "params": row.params,
            "buffers": row.buffers,
            "macs": row.macs,
            "memory": memory,
            "rf": field and {key: [getattr(axis, key) for axis in field] for key in ("size", "jump", "start")},
            "gated": row.gated,
            "error": problem
            and {
                "message": problem.message,
                "fix": [fix.text for fix in problem.fixes],
            },
        }

    return {
        "name": analysis.network.name,
        "input": analysis.network.input,
        "params": analysis.params,
        "buffers": analysis.buffers,
        "macs": analysis.macs,
        "memory": analysis.memory,
        "layers": [layer(row, memory) for row, memory in zip(analysis.rows, analysis.kept_bytes, strict=True)],
        "error": analysis.error,
    }


def convolution_document(state: ConvolveState, with_cell: bool, show: str = "output") -> dict[str, Any]:
    """The document of `convolve --json`; one filter gives (H,W), several (O,H,W).

    With an activation, `sum` is what it is given and `activation` holds its name and its value. Where an input cell or a
    weight is followed, `products` lists what they make, in the output cells that they go into.
    """
    operation = state.operation
    sums = operation.sums
    if sums is None:
        raise ValueError("the settings are impossible")
    shown = grid_shown(state, show)
    shown = shown[0] if len(shown) == 1 else shown
    document: dict[str, Any] = {show: shown.tolist(), "shape": shown.shape}
    if not with_cell:
        return document
    if state.looking != "output":
        products = state.reached if state.looking == "input" else state.touched()
        document["products"] = [
            {
                "output": p.output,
                "input": p.input,
                "value": p.value,
                "weight": p.weight / operation.cell_divisor(*p.output[1:]),
                "product": p.weight * p.value / operation.cell_divisor(*p.output[1:]),
            }
            for p in products
        ]
        return document
    at = (state.filter, *state.cell)
    # With the divisor inside the weight, the products and the bias add up to the sum.
    by = operation.cell_divisor(*state.cell)
    document["taps"] = [
        {"input": tap.input, "value": tap.value, "weight": tap.weight / by, "product": tap.product / by}
        for tap in operation.taps(*at)
    ]
    document |= {
        "bias": operation.cell_bias(state.filter),
        "sum": float(sums[at]),
        "equation": str(operation.equation(*at)),
    }
    if operation.activation:
        document["activation"] = {"name": operation.activation, "value": state.value}
    return document


def grid_shown(state: ConvolveState, show: str) -> Array:
    """A grid as (C, H, W): output, input, the kernel of the filter, its patches (im2col) or its sparse matrix.

    Raises:
        MoveError: when there is no such grid, or it would be too large.
    """
    import numpy as np

    from cnntui.labs.convolve import MoveError
    from cnntui.labs.panels import panels

    operation = state.operation
    if operation.output is None:
        raise MoveError(operation.problem or "")
    match show:
        case "output":
            return operation.output
        case "input":
            return operation.input
        case "kernel" if operation.pool:
            raise MoveError("a pool has no kernel")
        case "kernel":
            return np.asarray(operation.sliding[state.filter] / operation.divisor)
    values = panels(state, show)["input"].values[None]
    return values / operation.divisor if show == "matrix" else values
