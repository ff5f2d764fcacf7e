"""The JSON documents of the commands: what other programs rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnntui.core.network import Analysis, Row
from cnntui.core.notation import layer_text

if TYPE_CHECKING:  # inspecting a net is to start without numpy
    from cnntui.labs.convolve import ConvolveState


def inspection(analysis: Analysis) -> dict[str, Any]:
    """The document of `inspect --json`."""

    def layer(row: Row) -> dict[str, Any]:
        field, problem = row.field, row.problem
        return {
            "name": row.node.name,
            "op": row.node.layer.op,
            "text": layer_text(row.node.layer),
            "inputs": row.node.inputs,
            "output": row.output,
            "params": row.params,
            "macs": row.macs,
            "rf": field and {key: [getattr(axis, key) for axis in field] for key in ("size", "jump", "start")},
            "error": problem
            and {
                "message": problem.message,
                "fix": ["; ".join(map(layer_text, fix)) for fix in problem.fixes],
            },
        }

    return {
        "name": analysis.network.name,
        "input": analysis.network.input,
        "params": analysis.params,
        "macs": analysis.macs,
        "layers": [layer(row) for row in analysis.rows],
        "error": analysis.error,
    }


def convolution_document(state: ConvolveState, with_cell: bool) -> dict[str, Any]:
    """The document of `convolve --json`; one filter gives (H,W), several (O,H,W)."""
    output = state.output
    if output is None:
        raise ValueError("the settings are impossible")
    shown = output[0] if len(output) == 1 else output
    document: dict[str, Any] = {"output": shown.tolist(), "shape": shown.shape}
    if with_cell:
        # With the divisor inside the weight, the products and the bias add up to the sum.
        by = state.cell_divisor
        document["taps"] = [
            {"input": tap.input, "value": tap.value, "weight": tap.weight / by, "product": tap.product / by}
            for tap in state.taps
        ]
        document |= {"bias": state.cell_bias, "sum": state.value, "equation": str(state.equation)}
    return document
