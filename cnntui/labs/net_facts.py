"""What can be asked of a network in words, be it on a screen or not: `params`, `output`, `conv1.params`, `count["conv"]`."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from cnntui.core.analysis import Analysis, Fields, Row
from cnntui.core.backbone import trained_params
from cnntui.core.layers import Conv, DepthwiseConv, Linear, TransposedConv
from cnntui.core.merges import MERGES
from cnntui.core.network import INPUT
from cnntui.core.vocabulary import VOCABULARY, layer_text
from cnntui.labs.stages import Fact, Index, WordsError, nearest

OPS = (*VOCABULARY, *MERGES)
WEIGHTED = (Conv, DepthwiseConv, TransposedConv, Linear)
COSTS = (
    "params",
    "head",
    "backbone",
    "buffers",
    "macs",
    "flops",
    "memory",
    "share",
    "rf",
    "sigma",
)  # not known where a layer is impossible


class NoLayerError(WordsError):
    """No layer of the network has that name or number."""


def _pixels(value: float) -> float:
    return int(value) if value == int(value) else value


def _field(fields: Fields | None, name: str = "size") -> Fact:
    """One number where rows and columns are alike, else (rows, columns); None where the whole image is seen."""
    if fields is None:
        return None
    rows, columns = (_pixels(getattr(axis, name)) for axis in fields)
    return rows if rows == columns else (rows, columns)  # type: ignore[return-value]  # whole, but for odd upsampling


def _outputs(row: Row) -> int | None:
    return None if row.output is None else prod(row.output)


def depth(analysis: Analysis) -> int:
    """The convolutions and linear layers on the longest way through: the 18 of ResNet-18."""
    deepest = {INPUT: 0}
    for row in analysis.rows:
        own = isinstance(row.node.layer, WEIGHTED)
        deepest[row.node.name] = max(deepest[name] for name in row.node.inputs) + own
    return deepest[analysis.rows[-1].node.name] if analysis.rows else 0


# What it is called in a sentence, and how it is read.
OF_NET: dict[str, tuple[str, Callable[[Analysis], Fact]]] = {
    "net": ("the net", lambda net: net.network.name),
    "layers": ("the number of layers", lambda net: len(net.rows)),
    "depth": ("the number of layers with weights, one after another", depth),
    "params": ("the number of parameters", lambda net: net.params),
    "head": ("the number of parameters of the head", lambda net: trained_params(net.network, frozen=True)),
    "backbone": (
        "the number of parameters before the head",
        lambda net: net.params - trained_params(net.network, frozen=True),
    ),
    "buffers": ("the number of running statistics", lambda net: net.buffers),
    "macs": ("the number of MACs", lambda net: net.macs),
    "flops": ("the number of FLOPs", lambda net: 2 * net.macs),
    "memory": ("what training keeps of a picture, in bytes,", lambda net: net.memory),
    "input": ("the input", lambda net: net.network.input),
    "output": ("the output", lambda net: net.output),
    "outputs": ("how many numbers come out", lambda net: None if net.output is None else prod(net.output)),
    "classes": ("the number of classes", lambda net: net.classes),
    "rf": ("the receptive field of the last map", lambda net: _field(net.last_field)),
    "sigma": ("how far the influence of the pixels spreads", lambda net: _field(net.last_field, "deviation")),
    "ok": ("all layers are possible", lambda net: net.error is None),
    "error": ("a layer is impossible", lambda net: net.error is not None),
}
OF_LAYER: dict[str, tuple[str, Callable[[Analysis, Row], Fact]]] = {
    "params": ("the number of parameters", lambda net, row: row.params),
    "buffers": ("the number of running statistics", lambda net, row: row.buffers),
    "macs": ("the number of MACs", lambda net, row: row.macs),
    "flops": ("the number of FLOPs", lambda net, row: 2 * row.macs),
    "memory": ("what training keeps of a picture, in bytes,", lambda net, row: net.kept_bytes[net.rows.index(row)]),
    "share": ("the share of the parameters", lambda net, row: row.params / net.params if net.params else None),
    "input": ("the input", lambda net, row: row.input),
    "output": ("the output", lambda net, row: row.output),
    "outputs": ("how many numbers come out", lambda net, row: _outputs(row)),
    "rf": ("the receptive field", lambda net, row: _field(row.field)),
    "sigma": ("how far the influence of the pixels spreads", lambda net, row: _field(row.field, "deviation")),
    "jump": ("the pixels from one unit to the next", lambda net, row: _field(row.field, "jump")),
    "start": ("the pixel at the centre of the first unit", lambda net, row: _field(row.field, "start")),
    "op": ("the kind", lambda net, row: row.node.layer.op),
    "text": ("the words", lambda net, row: layer_text(row.node.layer)),
    "name": ("the name", lambda net, row: row.node.name),
    "number": ("the place", lambda net, row: net.rows.index(row) + 1),
    "ok": ("it is possible", lambda net, row: row.problem is None),
}
# Of an op, all its layers together.
OF_OP: dict[str, tuple[str, Callable[[Analysis, list[Row]], Fact]]] = {
    "count": ("the number of layers", lambda net, rows: len(rows)),
    "has": ("there is a layer", lambda net, rows: bool(rows)),
    "params": ("the number of parameters", lambda net, rows: sum(row.params for row in rows)),
    "macs": ("the number of MACs", lambda net, rows: sum(row.macs for row in rows)),
    "flops": ("the number of FLOPs", lambda net, rows: 2 * sum(row.macs for row in rows)),
    "share": (
        "the share of the parameters",
        lambda net, rows: sum(row.params for row in rows) / net.params if net.params else None,
    ),
}
NET_FACTS: dict[str, str] = {
    **{name: words for name, (words, _) in OF_OP.items()},
    **{name: words for name, (words, _) in OF_NET.items()},
    **{f"LAYER.{name}": words for name, (words, _) in OF_LAYER.items()},
    "LAYER.exists": "there is a layer",
}


def net_fact(analysis: Analysis, name: str, index: Index = ()) -> Fact:
    """A fact of a network; None where there is none: the output and the costs of one that is impossible.

    `params` is the network's, `conv1.params` a layer's, by its name; `params[3]` that of the third layer, `params["conv1"]`
    again one by its name, `params["conv"]` that of all convolutions together.

    Raises:
        NoLayerError: when no layer is called so.
        WordsError: when there is no such fact.
    """
    layer, _, of_layer = name.rpartition(".")
    if layer and not index:
        return _of_layer(analysis, layer, of_layer)
    if layer or len(index) > 1:
        raise WordsError(f'{name}[...]: write LAYER.params, params[NUMBER] or params["NAME"]')
    if index:
        return _of_part(analysis, name, index[0])
    if name not in OF_NET:
        need = f'write {name}["conv"], or another op' if name in OF_OP else nearest(name, NET_FACTS)
        raise WordsError(f"no fact of a net is called {name!r}; {need}")
    return None if name in COSTS and analysis.error else OF_NET[name][1](analysis)


def _of_part(analysis: Analysis, name: str, part: int | str) -> Fact:
    """Of a layer by its number or name, or of all of an op."""
    named = isinstance(part, int) or any(row.node.name == part for row in analysis.rows)
    if (name in OF_LAYER or name == "exists") and (named or part not in OPS):
        return _of_layer(analysis, part, name)
    if name not in OF_OP:
        raise WordsError(f"no fact of a net is called {name}[...]; {nearest(name, (*OF_OP, *OF_LAYER))}")
    if part not in OPS:
        raise WordsError(f"{name}[{part!r}]: no layer of the notation is called so; {nearest(str(part), OPS)}")
    if name in COSTS and analysis.error:
        return None
    return OF_OP[name][1](analysis, [row for row in analysis.rows if row.node.layer.op == part])


def _of_layer(analysis: Analysis, layer: str | int, name: str) -> Fact:
    if name != "exists" and name not in OF_LAYER:
        raise WordsError(f"no fact of a layer is called {name!r}; {nearest(name, (*OF_LAYER, 'exists'))}")
    if isinstance(layer, int):
        row = analysis.rows[layer - 1] if 1 <= layer <= len(analysis.rows) else None
    else:
        row = next((row for row in analysis.rows if row.node.name == layer), None)
    if name == "exists":
        return row is not None
    if row is None:
        names = [one.node.name for one in analysis.rows]
        many = f"there are {len(names)} layers" if isinstance(layer, int) else nearest(layer, names[:12])
        raise NoLayerError(f"{analysis.network.name} has no layer {layer}; {many}")
    return None if name in COSTS and row.output is None else OF_LAYER[name][1](analysis, row)
